from __future__ import annotations

import click

from recommender.cli.lazy import LazyGroup

PARTS = {
    "list": ("recommender.cli.prices_list", "List what the price book holds."),
    "show": ("recommender.cli.prices_show", "Show all that is known of one machine."),
    "history": ("recommender.cli.prices_history", "Show what it cost in each book."),
    "diff": ("recommender.cli.prices_diff", "Show what moved, and what that would change."),
    "export": ("recommender.cli.prices_list", "Write the whole book as CSV or JSON."),
    "refresh": ("recommender.cli.prices_refresh", "Fetch prices, and make a new book of them."),
}


@click.group("prices", cls=LazyGroup, parts=PARTS)
def prices_command() -> None:
    """What everything costs, since when, and who says so.

    Prices are USD without tax. A book is one day's view of them; `refresh` makes a new one.
    """
