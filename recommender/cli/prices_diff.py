from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click
from rich.text import Text

from loadtests.environment import utc_now
from pricing import compare_books, exact_usd
from recommender.cli.options import open_chosen_store, store_option
from recommender.cli.own_prior import prior_in_use
from recommender.cli.price_books import book_in_use
from recommender.cli.price_options import Sheet, region_option, sheet_options
from recommender.cli.tables import plain_table
from recommender.repricing import deployed_text, repriced

if TYPE_CHECKING:
    from rich.table import Table

    from pricing import Differences, PriceBook, PriceLine
    from recommender.recommendation import Candidate
    from recommender.repricing import Repriced

__all__ = ["diff_command"]

COLUMNS = (
    *("state", "what", "platform", "purchase", "region", "unit", "before_usd", "after_usd"),
    *("change_ratio", "before_observed_on", "after_observed_on"),
)


@click.command("diff")
@click.argument("before", metavar="BOOK")
@click.argument("after", metavar="BOOK", required=False)
@region_option("all")
@click.option("--top", default=20, show_default=True, help="Largest changes to show.")
@click.option(
    "--runs",
    "most_runs",
    default=20,
    show_default=True,
    type=click.IntRange(0),
    help="Newest runs to rank under both books; 0 for none.",
)
@sheet_options
@store_option
def diff_command(
    before: str,
    after: str | None,
    top: int,
    most_runs: int,
    store_url: str | None,
    **given: Any,  # noqa: ANN401
) -> None:  # fmt: skip
    """Show what moved from one BOOK to another, and which recommendations would change.

    A book is a name or a folder; without the second one, it is the newest. Each run of the store
    is ranked under both.
    """
    sheet, regions = Sheet.taken_from(given), given.pop("regions")
    books = book_in_use(before), book_in_use(after)
    asked = None if not regions or "all" in regions else regions
    for region in asked or ():
        if region not in books[0].offers_by_region:
            books[1].require_region(region)
    found = compare_books(*books, asked)
    with open_chosen_store(store_url) as store:
        runs = store.runs(limit=most_runs) if most_runs else []
        judged = tuple(repriced(store, runs, books, prior_in_use(), utc_now()))
    rows = _rows(found)
    sheet.write(COLUMNS, rows, recommendations=[_run_row(each) for each in judged])
    sheet.show(
        Text(_summary(books, found)),
        *([_moves(found, top)] if found.moved else []),
        *_recommendations(judged),
    )


def _summary(books: tuple[PriceBook, PriceBook], found: Differences) -> str:
    return (
        f"{books[0].name} to {books[1].name}: {len(found.moved):,} prices moved, "
        f"{len(found.added):,} new, {len(found.removed):,} gone, {found.unmoved:,} the same"
    )


def _rows(found: Differences) -> list[dict[str, Any]]:
    moved = [
        _row("moved", move.before, move.after) | {"change_ratio": f"{move.change_ratio:.6f}"}
        for move in found.moved
    ]
    added = [_row("new", None, line) for line in found.added]
    return moved + added + [_row("gone", line, None) for line in found.removed]


def _row(state: str, before: PriceLine | None, after: PriceLine | None) -> dict[str, Any]:
    line = after or before
    if line is None:
        raise ValueError("a price is in one book or in the other")
    return {
        "state": state,
        "what": line.what,
        "platform": None if line.platform is None else line.platform.value,
        "purchase": line.terms,
        "region": line.row.region,
        "unit": line.unit,
        "before_usd": None if before is None else exact_usd(before.usd),
        "after_usd": None if after is None else exact_usd(after.usd),
        "change_ratio": None,
        "before_observed_on": None if before is None else before.row.observed_on.isoformat(),
        "after_observed_on": None if after is None else after.row.observed_on.isoformat(),
    }


def _moves(found: Differences, top: int) -> Table:
    table = plain_table()
    for name in ("what", "bought", "region"):
        table.add_column(name, no_wrap=True)
    for name in ("USD before", "after", "change"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("per", no_wrap=True)
    for move in found.moved[:top]:
        line = move.after
        table.add_row(
            line.what,
            line.bought_as,
            line.row.region,
            exact_usd(move.before.usd),
            exact_usd(line.usd),
            f"{move.change_ratio:+.1%}",
            line.unit,
        )
    if len(found.moved) > top:
        table.add_row("…", f"{len(found.moved) - top:,} more (--top)")
    return table


def _recommendations(judged: tuple[Repriced, ...]) -> tuple[Text, ...]:
    if not judged:
        return (Text("No stored recommendation was ranked again."),)
    ranked = [each for each in judged if each.obstacle is None]
    changed = [each for each in ranked if each.changes]
    lines = [
        f"  {each.run}  {each.label}: {deployed_text(each.before)} becomes "
        f"{deployed_text(each.after)}"
        for each in changed
    ]
    lines += [
        f"  {each.run}  {each.label}: cannot be ranked again: {each.obstacle}"
        for each in judged
        if each.obstacle is not None
    ]
    head = f"{len(changed) or 'None'} of {len(ranked)} stored recommendations would change"
    return tuple(Text(line) for line in (head, *lines))


def _run_row(each: Repriced) -> dict[str, Any]:
    return {
        "run": each.run,
        "measured": each.label,
        "changes": None if each.obstacle else each.changes,
        "obstacle": each.obstacle,
        "before": _option_row(each.before),
        "after": _option_row(each.after),
    }


def _option_row(best: Candidate | None) -> dict[str, Any] | None:
    if best is None:
        return None
    return {**best.option.model_dump(mode="json"), "usd_per_month": best.cost.usd_per_month}
