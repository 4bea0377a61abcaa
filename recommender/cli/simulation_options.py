"""What `recommender simulate` and `recommender scaling` have in common: their options."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC
from typing import TYPE_CHECKING, Any, Self, TypeVar

import click
from typing_extensions import override

from loadtests.quantities import DURATION_GRAMMAR, parse_seconds
from recommender.cli.options import (
    constraint_changes,
    constraints_options,
    open_chosen_store,
    store_option,
)
from recommender.cli.output import Destinations, destination_options
from recommender.cli.own_prior import prior_in_use
from recommender.cli.price_books import book_in_use
from recommender.rerank import Changes, asked_anew
from recommender.simulation.asking import Playing
from recommender.simulation.market import open_market
from recommender.simulation.scaling_policy import AlarmTiming
from recommender.simulation.served import INSTANCE_START_S
from recommender.simulation.traffic import TrafficTrace
from recommender.simulation.traffic_files import read_traffic, read_zone

if TYPE_CHECKING:
    from recommender.simulation.market import Market

__all__ = ["Asked", "Duration", "simulation_options"]

Function = TypeVar("Function", bound=Callable[..., Any])


class Duration(click.ParamType[float]):
    name = "duration"

    @override
    def convert(self, value: Any, param: Any, ctx: Any) -> float:
        found = value if isinstance(value, float) else parse_seconds(value)
        if found is None or not 0 <= found < float("inf"):
            self.fail(f"{value!r} is no duration; that is {DURATION_GRAMMAR}", param, ctx)
        return found


def simulation_options(function: Function) -> Function:
    for option in (
        click.option(
            "--traffic", metavar="RATE|FILE",
            help="A CSV of times and requests, hourly counts, a CloudWatch export or an access "
            "log; or a rate, alone or after diurnal, weekly or burst.  [default: the run's]",
        ),
        click.option("--time-zone", metavar="NAME", help="Of times without one.  [default: UTC]"),
        click.option(
            "--gaps", type=click.Choice(["refuse", "zero"]), default="refuse", show_default=True,
            help="Whether a missing row is a fault, or a time without requests.",
        ),
        click.option(
            "--growth", type=click.FloatRange(0, min_open=True), default=1.0, show_default=True,
            metavar="FACTOR", help="Simulate so many times that traffic.",
        ),
        click.option(
            "--spread", type=click.FloatRange(0), default=0.0, show_default=True, metavar="SHARE",
            help="How unsure the traffic's level is: 0.3 is within a factor of 1.3, up or down, "
            "with a probability of 80 %.",
        ),
        click.option(
            "--for", "duration_s", type=Duration(), metavar="DURATION",
            help="Simulate so long, the traffic over and over.  [default: once]",
        ),
        click.option(
            "--start", "instance_start_s", type=Duration(), metavar="DURATION",
            default=INSTANCE_START_S,
            help="Until an instance is there, without the container's own start.  [default: 4min]",
        ),
        click.option(
            "--metric-delay", "metric_delay_s", type=Duration(), metavar="DURATION", default=60.0,
            help="How late a metric is known.  [default: 1min]",
        ),
        click.option("--slo", metavar="SLO", help="Another objective than the run's."),
        click.option("--prices", metavar="BOOK", help="Another price book: its name, or folder."),
    ):  # fmt: skip
        function = option(function)
    return constraints_options(destination_options(store_option(function)))


@dataclass(frozen=True, eq=False)
class Asked:
    """What both commands make of their options."""

    market: Market
    destinations: Destinations

    @classmethod
    def taken_from(cls, run: str, given: dict[str, Any]) -> Self:
        """Takes its options out of `given`."""
        destinations = Destinations.taken_from(given)
        known = book_in_use(given.pop("prices")), prior_in_use()
        changes = Changes(slo=given.pop("slo"), constraints=constraint_changes(given))
        text = given.pop("traffic")
        with open_chosen_store(given.pop("store_url")) as store:
            found = store.run(run)
            if text is None:
                facts = asked_anew(store, found, changes).traffic
                text, trace = facts.text, TrafficTrace.of_facts(facts)
            else:
                trace = _trace(text, given)
            terms = _playing(given).terms(trace, text)
            market = open_market(store, found, changes, terms, known)
        return cls(market, destinations)


def _trace(text: str, given: dict[str, Any]) -> TrafficTrace:
    zone = given["time_zone"]
    clock = UTC if zone is None else read_zone(zone)
    return read_traffic(text, clock=clock, gaps=given["gaps"])


def _playing(given: dict[str, Any]) -> Playing:
    for name in ("time_zone", "gaps"):
        given.pop(name)
    return Playing(
        timing=AlarmTiming(metric_delay_s=given.pop("metric_delay_s")),
        growth=given.pop("growth"),
        duration_s=given.pop("duration_s"),
        instance_start_s=given.pop("instance_start_s"),
        spread_ratio=given.pop("spread"),
    )
