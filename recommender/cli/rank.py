from __future__ import annotations

import sys
from typing import Any

import click

from loadtests.environment import utc_now
from pricing import load_book
from recommender.cli.options import (
    constraint_changes,
    constraints_options,
    open_chosen_store,
    store_option,
)
from recommender.cli.output import Output, output_options, present
from recommender.performance.speed_prior import SpeedPrior
from recommender.rerank import Changes, rerank


@click.command("rank")
@click.argument("run", default="latest")
@click.option("--slo", metavar="SLO", help="Other objectives.")
@click.option("--traffic", metavar="RATE|CSV", help="Other traffic.")
@click.option("--prices", metavar="BOOK", help="Another price book: its name, or its folder.")
@click.option("--keep", is_flag=True, help="Store the answer as the run's newest recommendation.")
@constraints_options
@output_options
@store_option
def rank_command(run: str, store_url: str | None, **given: Any) -> None:  # noqa: ANN401
    """Rank a stored RUN again, for another demand or other prices, without measuring anything."""
    output = Output.taken_from(given)
    changes = Changes(
        slo=given.pop("slo"), traffic=given.pop("traffic"), constraints=constraint_changes(given)
    )
    book = load_book(given.pop("prices"))
    with open_chosen_store(store_url) as store:
        found = store.run(run)
        answer = rerank(store, found, changes, (book, SpeedPrior.bundled()), utc_now())
        if given.pop("keep"):
            store.add_recommendation(found.id, answer.model_dump(mode="json"))
    sys.exit(present(answer, output))
