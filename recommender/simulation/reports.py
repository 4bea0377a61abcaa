"""The two reports: of every way to serve, and of the scaling policy to deploy."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

from recommender.errors import BadRequest
from recommender.simulation.advice import deployable, explain
from recommender.simulation.policy_search import recommend_policy
from recommender.simulation.report import MissingWay, in_order, report, way_of
from recommender.simulation.ways.compare import compare, zones_of
from recommender.simulation.ways.curves import break_even_of
from recommender.simulation.ways.fleets import fleet_found
from recommender.simulation.ways.found import WAYS

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from recommender.simulation.market import Market
    from recommender.simulation.report import SimulationReport, Way
    from recommender.simulation.scaling_policy import Policy

__all__ = ["cheapest_mix", "scaling_report", "ways_report"]

MIXES = ("layers", "two-types")


def ways_report(
    market: Market, now: datetime, names: Sequence[str] = tuple(WAYS), policy: Policy | None = None
) -> SimulationReport:
    """names: of WAYS. policy: the user's own. Raises BadRequest where no way has any ground."""
    compared = compare(market, names, policy)
    ways = in_order(way_of(each, market) for each in compared.found)
    if not ways:
        first = compared.missing[0]
        raise BadRequest(first.reason, hint=first.hint)
    policies = {each.name: each.policy for each in compared.found}
    scaled = (policies[way.name] for way in ways if way.meets)
    to_deploy = (deployable(each) for each in scaled if each is not None)
    return report(market, ways, now).model_copy(
        update={
            "missing": tuple(MissingWay.model_validate(asdict(each)) for each in compared.missing),
            "zones": zones_of(market) if "fixed" in names else (),
            "break_even": break_even_of(market, compared.found),
            "deploy": next((each for each in to_deploy if each is not None), None),
        }
    )


def cheapest_mix(ways: SimulationReport) -> Way | None:
    """Of more than one kind of thing that serves; None where none meets the objective."""
    meeting = (each for each in ways.ways if each.name in MIXES and each.meets)
    return min(meeting, key=lambda each: float(each.usd_per_month), default=None)


def scaling_report(market: Market, now: datetime) -> SimulationReport:
    """The policy searched for, and beside it what it was held against."""
    served = market.following
    advice = recommend_policy(served.scenario, market.confidence)
    tried = {
        "recommended": advice.best,
        "smallest fixed": None if advice.best.is_fixed else advice.fixed,
        "AWS's formula": advice.formula,
        "cheaper": advice.nearest,
    }
    ways = tuple(
        way_of(fleet_found(name, each, served), market)
        for name, each in tried.items()
        if each is not None
    )
    return report(market, ways, now).model_copy(
        update={
            "explanation": explain(advice, served),
            "deploy": deployable(advice.best.policy),
        }
    )
