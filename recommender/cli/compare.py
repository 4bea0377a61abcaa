from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import click
from typing_extensions import override

from loadtests.environment import utc_now
from recommender.cli.comparison_tables import comparison_markdown, render_comparison
from recommender.cli.options import open_chosen_store, store_option
from recommender.cli.output import INCONCLUSIVE, Destinations, destination_options
from recommender.cli.own_prior import prior_in_use
from recommender.cli.price_books import book_in_use
from recommender.comparison import (
    DEFAULT_THRESHOLD,
    Reference,
    StoreMarket,
    Verdict,
    compare_runs,
    in_money,
    read_side,
)
from recommender.what_if import WhatIf

if TYPE_CHECKING:
    from recommender.comparison import RunComparison

__all__ = ["compare_command", "comparison_exit_code"]

WORSE = 3


class ShareType(click.ParamType[float]):
    """5%, or 0.05."""

    name = "share"

    @override
    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        text = str(value).strip()
        try:
            share = float(text.removesuffix("%")) / (100 if text.endswith("%") else 1)
        except ValueError:
            self.fail(f"{value!r} is no share: 5%, or 0.05", param, ctx)
        if not 0 < share <= 1:
            self.fail(f"{value!r} is not above 0 and at most 100%", param, ctx)
        return share


@click.command("compare")
@click.argument("before")
@click.argument("after")
@click.option(
    "--threshold",
    type=ShareType(),
    default=f"{DEFAULT_THRESHOLD:.0%}",
    metavar="SHARE",
    show_default=True,
    help="How much more or less matters.",
)
@click.option(
    "--prices", metavar="BOOK", help="A price book's name, or its folder.  [default: the newest]"
)
@destination_options
@store_option
def compare_command(before: str, after: str, store_url: str | None, **given: Any) -> None:  # noqa: ANN401 - click's own
    """Say what is better and what is worse in run AFTER than in run BEFORE.

    Each is a stored run: its id, the start of it, or `latest`; of a load test RUN:CONFIGURATION
    names one of its configurations, so that `RUN:small RUN:large` compares two of the same test.
    What both were asked alike is compared, as a ratio with a 95 % interval, and ranked in money
    under the same question; INVALID measurements never are. Nothing is measured.

    Two runs were made at different times. To tell small differences apart, or for a gate that must
    not be fooled by a slow hour of the machine, prefer a load test with `mode: compare`: it sends
    both variants the same traffic, interleaved.

    The exit code is 0 when nothing is worse, 3 when something is, and 4 when it cannot be told.
    """
    output = Destinations.taken_from(given)
    book = book_in_use(given["prices"])
    with open_chosen_store(store_url) as store:
        sides = [read_side(store, Reference.parse(each)) for each in (before, after)]
        market = StoreMarket(WhatIf(store, prior_in_use()), book, utc_now())
        compared = compare_runs(sides[0], sides[1], given["threshold"])
        found = in_money(compared, sides[0], sides[1], market)
    output.write(found.model_dump_json(indent=2) + "\n", comparison_markdown(found))
    if output.is_for_a_person:
        render_comparison(output.console(), found)
    sys.exit(comparison_exit_code(found))


def comparison_exit_code(found: RunComparison) -> int:
    match found.verdict:
        case Verdict.WORSE:
            return WORSE
        case Verdict.UNKNOWN:
            return INCONCLUSIVE
        case Verdict.BETTER | Verdict.SAME:
            return 0
