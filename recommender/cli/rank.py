from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import click

from loadtests.environment import utc_now
from recommender.cli.options import (
    constraint_changes,
    constraints_options,
    open_chosen_store,
    store_option,
)
from recommender.cli.output import Output, output_options, present
from recommender.cli.own_prior import prior_in_use
from recommender.cli.price_books import book_in_use
from recommender.cli.ranking_table import present_bench
from recommender.cli.simulation_tables import show_ways
from recommender.kept_verdicts import keep_recommendation
from recommender.ranking_bench import bench_ranking
from recommender.rerank import Changes, asked_anew, rerank
from recommender.simulation.market import open_market
from recommender.simulation.report import in_order, report, way_of
from recommender.simulation.scaling_policy import AlarmTiming
from recommender.simulation.served import Terms
from recommender.simulation.traffic import TrafficTrace
from recommender.simulation.traffic_files import read_traffic
from recommender.simulation.ways.shortlist import shortlist
from recommender.stored_run import read_run

if TYPE_CHECKING:
    from recommender.demand import TrafficFacts
    from recommender.simulation.market import Market

SHORTLIST_DRAWS = 12


@click.command("rank")
@click.argument("run", default="latest")
@click.option("--slo", metavar="SLO", help="Other objectives.")
@click.option("--traffic", metavar="RATE|CSV", help="Other traffic.")
@click.option("--prices", metavar="BOOK", help="Another price book: its name, or its folder.")
@click.option("--keep", is_flag=True, help="Store the answer as the run's newest recommendation.")
@click.option(
    "--benchmark",
    is_flag=True,
    help="Time it with 6,000 to 50,000 options instead: offers of every region, and more of them.",
)
@click.option(
    "--simulate",
    "simulated",
    type=click.IntRange(1, 50),
    metavar="N",
    help="Simulate the N machines that come closest when scaled, minute by minute, each with the "
    "best policy for it: what they cost then is shown below.",
)
@constraints_options
@output_options
@store_option
def rank_command(run: str, store_url: str | None, **given: Any) -> None:  # noqa: ANN401
    """Rank a stored RUN again, for another demand or other prices, without measuring anything.

    --benchmark exits with 4 when 50,000 options take 300 ms or more.
    """
    output = Output.taken_from(given)
    changes = Changes(
        slo=given.pop("slo"), traffic=given.pop("traffic"), constraints=constraint_changes(given)
    )
    book, prior = book_in_use(given.pop("prices")), prior_in_use()
    with open_chosen_store(store_url) as store:
        found = store.run(run)
        if given.pop("benchmark"):
            demand = asked_anew(store, found, changes)
            measured = read_run(store, found, demand.slo)
            bench = bench_ranking(measured, demand, book, prior)
            sys.exit(present_bench(bench, output.destinations))
        answer = rerank(store, found, changes, (book, prior), utc_now())
        if given.pop("keep"):
            keep_recommendation(store, found.id, answer)
        code = present(answer, output)
        most = given.pop("simulated")
        if most is not None and output.destinations.is_for_a_person:
            terms = _terms(changes.traffic, answer.demand.traffic)
            _simulate(open_market(store, found, changes, terms, (book, prior)), most, output)
    sys.exit(code)


def _terms(text: str | None, facts: TrafficFacts) -> Terms:
    """text: None where the traffic is the run's own."""
    trace = TrafficTrace.of_facts(facts) if text is None else read_traffic(text)
    return Terms(trace, facts.text, AlarmTiming(), draws=SHORTLIST_DRAWS)


def _simulate(market: Market, most: int, output: Output) -> None:
    found = shortlist(market, most)
    ways = in_order(way_of(each, market) for each in found)
    console = output.destinations.console()
    console.print(
        f"\nSimulated: {len(found)} machines, the closest of those that meet the SLO; each "
        "scaled by the best policy for it"
    )
    show_ways(report(market, ways, utc_now()), console)
