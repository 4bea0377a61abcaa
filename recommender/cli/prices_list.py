from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click
from rich.text import Text

from pricing import LINE_COLUMNS, LineFilter, line_row, lines_of
from recommender.cli.price_books import book_in_use
from recommender.cli.price_options import (
    HOME_REGION,
    Sheet,
    asked_regions,
    book_option,
    filter_options,
    region_option,
    sheet_options,
    taken_filter,
)
from recommender.cli.price_tables import (
    LEGEND,
    book_facts,
    book_said,
    lines_table,
)

if TYPE_CHECKING:
    from pricing import PriceBook

__all__ = ["export_command", "list_command"]


@click.command("list")
@filter_options
@region_option(HOME_REGION)
@click.option("--top", default=40, show_default=True, help="Cheapest to show.")
@click.option("--all", "show_all", is_flag=True, help="All of them.")
@book_option
@sheet_options
def list_command(top: int, *, show_all: bool, **given: Any) -> None:  # noqa: ANN401
    """List what the price book holds, the cheapest first.

    Files written by --csv and --json hold all that was asked for, whatever --top says.
    """
    sheet, book = Sheet.taken_from(given), book_in_use(given.pop("book"))
    wanted = taken_filter(given, book)
    regions = asked_regions(given.pop("regions"), book, (HOME_REGION,))
    lines = lines_of(book, regions, wanted)
    sheet.write(LINE_COLUMNS, [line_row(line) for line in lines], **book_facts(book))
    shown = lines if show_all else lines[:top]
    parts = [lines_table(shown, with_region=len(regions) > 1)] if shown else []
    hidden = len(lines) - len(shown)
    sheet.show(
        *parts,
        Text(f"{len(lines):,} prices" + (f", {hidden:,} not shown (--all)" if hidden else "")),
        *_unpriced(book, regions, wanted),
        Text(LEGEND, style="dim"),
        book_said(book),
    )


@click.command("export")
@region_option("all")
@book_option
@sheet_options
def export_command(**given: Any) -> None:  # noqa: ANN401
    """Write the whole price book, a row a price: to stdout as CSV, or where --csv and --json say.

    Each row has its unit, region, day, source, basis (reported or derived) and confidence.
    """
    if given["json_file"] is None and given["csv_file"] is None:
        given["csv_file"] = "-"
    sheet, book = Sheet.taken_from(given), book_in_use(given.pop("book"))
    regions = asked_regions(given.pop("regions"), book, book.regions)
    lines = lines_of(book, regions, LineFilter())
    sheet.write(LINE_COLUMNS, [line_row(line) for line in lines], **book_facts(book))
    sheet.show(Text(f"{len(lines):,} prices of {len(regions)} regions"), book_said(book))


def _unpriced(book: PriceBook, regions: tuple[str, ...], wanted: LineFilter) -> tuple[Text, ...]:
    """Of the types that were named, those that SageMaker has and the book cannot price."""
    if not wanted.names:
        return ()
    named = {machine.name for machine in book.matching(wanted.names)}
    return tuple(
        Text(f"{row.instance.hosting_name} in {region}: no price on SageMaker: {row.reason}")
        for region in regions
        for row in book.unpriced(region)
        if row.instance.name in named
    )
