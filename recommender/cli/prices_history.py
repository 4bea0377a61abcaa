from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Self

import click
from rich.text import Text

from pricing import (
    Library,
    LineFilter,
    UnknownInstanceType,
    exact_usd,
    price_history,
)
from recommender.cli.price_books import price_shelf
from recommender.cli.price_options import (
    ALL_REGIONS,
    HOME_REGION,
    Sheet,
    region_option,
    sheet_options,
)
from recommender.cli.tables import plain_table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.table import Table

    from pricing import InstanceType, PriceBook, PriceEntry

__all__ = ["history_command"]


@click.command("history")
@click.argument("name", metavar="TYPE")
@region_option(HOME_REGION)
@sheet_options
def history_command(name: str, **given: Any) -> None:  # noqa: ANN401
    """Show what TYPE cost in each price book there is, the oldest first."""
    sheet = Sheet.taken_from(given)
    books, faults = Library(price_shelf()).readable()
    history = History.of(books, name, given.pop("regions") or (HOME_REGION,))
    sheet.write(History.columns, history.rows())
    sheet.show(
        history.table(), *(Text(f"passed over: {fault}", style="yellow") for fault in faults)
    )


@dataclass(frozen=True, slots=True)
class History:
    columns: ClassVar[tuple[str, ...]] = (
        *("book", "what", "platform", "purchase", "region", "usd", "unit", "change"),
        *("observed_on", "basis", "source"),
    )
    entries: tuple[PriceEntry, ...]

    @classmethod
    def of(cls, books: Sequence[PriceBook], name: str, regions: tuple[str, ...]) -> Self:
        """Raises UnknownInstanceType where no book knows the type, and UnknownRegion."""
        wanted = LineFilter(names=(_machine(books, name).name,))
        asked = set(regions)
        if ALL_REGIONS in asked:
            asked = {region for book in books for region in book.regions}
        for region in asked - {region for book in books for region in book.regions}:
            books[-1].require_region(region)
        return cls(tuple(price_history(books, sorted(asked), wanted)))

    def rows(self) -> list[dict[str, Any]]:
        return [
            {
                "book": entry.book,
                "what": entry.line.what,
                "platform": entry.line.platform and entry.line.platform.value,
                "purchase": entry.line.terms,
                "region": entry.line.row.region,
                "usd": exact_usd(entry.line.usd),
                "unit": entry.line.unit,
                "change": _change(entry),
                "observed_on": entry.line.row.observed_on.isoformat(),
                "basis": entry.line.row.basis.value,
                "source": entry.line.row.source,
            }
            for entry in self.entries
        ]

    def table(self) -> Table:
        table = plain_table()
        for name in ("book", "what", "bought", "region"):
            table.add_column(name, no_wrap=True)
        for name in ("USD/hour", "change"):
            table.add_column(name, justify="right", no_wrap=True)
        table.add_column("seen", no_wrap=True)
        table.add_column("source")
        for entry in self.entries:
            line, row = entry.line, entry.line.row
            table.add_row(
                entry.book,
                line.what,
                line.bought_as,
                row.region,
                ("~" if row.basis == "derived" else "") + exact_usd(line.usd),
                _change(entry),
                row.observed_on.isoformat(),
                row.source,
            )
        return table


def _machine(books: Sequence[PriceBook], name: str) -> InstanceType:
    """As the newest book that knows it has it."""
    for book in reversed(books[1:]):
        try:
            return book.instance(name)
        except UnknownInstanceType:
            continue
    return books[0].instance(name)


def _change(entry: PriceEntry) -> str:
    ratio = entry.change_ratio
    if ratio is None:
        return ""
    return f"{ratio:+.1%}" if ratio else "same"
