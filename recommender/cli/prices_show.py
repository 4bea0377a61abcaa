from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click
from rich.text import Text

from pricing import LINE_COLUMNS, LineFilter, exact_usd, line_row, lines_of, machine_facts
from recommender.cli.price_books import book_in_use
from recommender.cli.price_options import (
    Sheet,
    asked_regions,
    book_option,
    region_option,
    sheet_options,
)
from recommender.cli.price_tables import book_facts, book_said
from recommender.cli.tables import plain_table

if TYPE_CHECKING:
    from rich.table import Table

    from pricing import InstanceType, MachineFact, PriceBook, PriceLine

__all__ = ["show_command"]


@click.command("show")
@click.argument("name", metavar="TYPE")
@region_option("all")
@book_option
@sheet_options
def show_command(name: str, **given: Any) -> None:  # noqa: ANN401
    """Show all that is known of the machine TYPE: what it is, what it costs, and who says so."""
    sheet, book = Sheet.taken_from(given), book_in_use(given.pop("book"))
    machine = book.instance(name)
    regions = asked_regions(given.pop("regions"), book, book.regions)
    lines = sorted(
        lines_of(book, regions, LineFilter(names=(machine.name,))), key=lambda line: line.key
    )
    facts = machine_facts(machine)
    told = [{"fact": each.name, "value": each.value, "source": each.source} for each in facts]
    sheet.write(LINE_COLUMNS, [line_row(line) for line in lines], machine=told, **book_facts(book))
    sheet.show(
        Text(machine.hosting_name or machine.name, style="bold"),
        _facts_table(facts),
        Text(""),
        _prices_table(lines),
        *_without_price(machine, book, regions),
        book_said(book),
    )


def _facts_table(facts: tuple[MachineFact, ...]) -> Table:
    table = plain_table(has_heading=False)
    table.add_column(no_wrap=True)
    table.add_column()
    table.add_column(style="dim")
    for each in facts:
        table.add_row(each.name, each.value, each.source)
    return table


def _prices_table(lines: list[PriceLine]) -> Table:
    table = plain_table()
    for name in ("region", "platform", "bought"):
        table.add_column(name, no_wrap=True)
    for name in ("USD/hour", "saves", "reclaimed"):
        table.add_column(name, justify="right", no_wrap=True)
    for name in ("seen", "basis", "trust"):
        table.add_column(name, no_wrap=True)
    table.add_column("source")
    for line in lines:
        row = line.row
        table.add_row(
            row.region,
            str(line.platform),
            str(line.plan or line.purchase),
            exact_usd(line.usd),
            "" if line.saving_ratio is None else f"{line.saving_ratio:.0%}",
            line.interruption_band or "",
            row.observed_on.isoformat(),
            row.basis.value,
            row.confidence.value,
            row.source if row.note is None else f"{row.source}; {row.note}",
        )
    return table


def _without_price(
    machine: InstanceType, book: PriceBook, regions: tuple[str, ...]
) -> tuple[Text, ...]:
    reasons = {
        region: row.reason
        for region in regions
        for row in book.unpriced(region)
        if row.instance == machine
    }
    if len(reasons) > 1 and len(regions) > 1:
        return (Text(f"no SageMaker price is known in: {', '.join(reasons)}"),)
    return tuple(
        Text(f"no SageMaker price in {region}: {reason}") for region, reason in reasons.items()
    )
