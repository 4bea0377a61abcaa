"""The machines that a ranking for the peak leaves close, each at what it costs when scaled.

A ranking of many thousands of options cannot simulate each of them. It is the machines that would
cost least if there were always just as many as the traffic needs that are simulated, each with the
policy searched for it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from recommender.simulation.policy_search import recommend_policy
from recommender.simulation.ways.fleets import fleet_found

if TYPE_CHECKING:
    from recommender.simulation.market import Market
    from recommender.simulation.served import Machine
    from recommender.simulation.ways.found import Found

__all__ = ["shortlist"]


def shortlist(market: Market, most: int) -> tuple[Found, ...]:
    """At most so many, of different machines. Raises BadRequest where none meets the SLO."""
    nearest = sorted(market.fleet_machines, key=market.terms.usd_per_hour)
    different = {each.offer.name: each for each in reversed(nearest)}
    chosen = [each for each in nearest if different[each.offer.name] is each][:most]
    return tuple(_scaled(market, each) for each in chosen)


def _scaled(market: Market, machine: Machine) -> Found:
    served = market.serve(machine)
    best = recommend_policy(served.scenario, market.confidence).best
    return fleet_found("scaled", best, served)
