"""Prices as rows, for a file and for a person."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rich.text import Text

from loadtests.environment import utc_now
from pricing import exact_usd
from recommender.cli.tables import plain_table

if TYPE_CHECKING:
    from collections.abc import Iterable

    from rich.table import Table

    from pricing import PriceBook, PriceLine

__all__ = ["LEGEND", "book_facts", "book_said", "lines_table"]

LEGEND = "~ derived by a rule   saves: below on-demand   reclaimed: share of machines in a month"


def lines_table(lines: Iterable[PriceLine], *, with_region: bool) -> Table:
    table = plain_table()
    table.add_column("what", no_wrap=True)
    table.add_column("bought", no_wrap=True)
    if with_region:
        table.add_column("region", no_wrap=True)
    table.add_column("USD", justify="right", no_wrap=True)
    table.add_column("per", no_wrap=True)
    table.add_column("saves", justify="right", no_wrap=True)
    table.add_column("reclaimed", justify="right", no_wrap=True)
    table.add_column("vCPU", justify="right", no_wrap=True)
    table.add_column("GiB", justify="right", no_wrap=True)
    table.add_column("accelerator", no_wrap=True)
    table.add_column("seen", no_wrap=True)
    table.add_column("trust", no_wrap=True)
    for line in lines:
        region = (line.row.region,) if with_region else ()
        table.add_row(line.what, line.bought_as, *region, *_cells(line))
    return table


def book_said(book: PriceBook) -> Text:
    """The book and its age, wherever its prices are shown."""
    today = utc_now().date()
    age = f"{book.age_days(today)} days old"
    stale = " - prices may have moved since" if book.is_stale(today) else ""
    return Text(
        f"price book {book.name}, {age}{stale}; USD without tax",
        style="yellow" if stale else "dim",
    )


def book_facts(book: PriceBook) -> dict[str, Any]:
    return {
        "price_book": book.name,
        "published_on": book.published_on.isoformat(),
        "age_days": book.age_days(utc_now().date()),
        "currency": "USD, without tax",
    }


def _cells(line: PriceLine) -> tuple[str, ...]:
    machine = line.instance
    price = f"{'~' if line.row.basis == 'derived' else ''}{exact_usd(line.usd)}"
    accelerator = None if machine is None else machine.accelerator
    return (
        price,
        line.unit,
        "" if line.saving_ratio is None else f"{line.saving_ratio:.0%}",
        line.interruption_band or "",
        "" if machine is None else str(machine.vcpus),
        "" if machine is None else f"{machine.memory_gib:g}",
        "" if accelerator is None else accelerator.text,
        line.row.observed_on.isoformat(),
        line.row.confidence.value,
    )
