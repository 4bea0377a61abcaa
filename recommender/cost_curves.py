"""What ranked options cost at more and at fewer requests a month, in traffic of the same shape.

Fleets are counted as they were for the traffic asked for: by the capacity that one replica has
with the stated confidence. What is paid by the request grows with the requests. Nothing is
measured, predicted or simulated anew.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from pricing import HOURS_PER_MONTH
from recommender.cost import requests_per_month, usd_by_growth
from recommender.explain import group_of
from recommender.simulation.break_even import (
    FleetTerms,
    break_even,
    fleet_curve,
    per_request_curve,
)

if TYPE_CHECKING:
    from recommender.demand import Demand
    from recommender.recommendation import Candidate, Recommendation
    from recommender.simulation.break_even import BreakEven, CostCurve

__all__ = ["cheapest_of_each_way", "cost_curves"]

REACH = 10.0  # times the requests asked for
MOST_MACHINES = 2_000  # of a fleet, at the end of its curve


def cost_curves(recommendation: Recommendation) -> BreakEven:
    """Of the cheapest option of each way to buy, up to ten times the requests asked for."""
    demand = recommendation.demand
    chosen = cheapest_of_each_way(recommendation)
    requests = float(requests_per_month(demand.traffic))
    replicas = max([1, *(each.option.replicas or 1 for each in chosen if each.carried)])
    until = requests * max(min(REACH, MOST_MACHINES / replicas), 1.0)
    return break_even([_curve(each, demand, until) for each in chosen])


def cheapest_of_each_way(recommendation: Recommendation) -> tuple[Candidate, ...]:
    """Cheapest first. An answer of format 1 does not say what a replica carries: no fleets."""
    found: dict[str, Candidate] = {}
    for each in recommendation.ranked:
        if each.carried is not None or each.option.serverless is not None:
            found.setdefault(group_of(each.option), each)
    return tuple(found.values())


def _curve(each: Candidate, demand: Demand, until: float) -> CostCurve:
    main, *rest = each.cost.items
    requests = float(requests_per_month(demand.traffic))
    growing_usd, fixed_usd = usd_by_growth(rest)
    name, peak_ratio = group_of(each.option), demand.traffic.peak_rps / demand.traffic.mean_rps
    if each.carried is None:
        most = each.performance.capacity_rps.low / peak_ratio * HOURS_PER_MONTH * 3600
        by_the_request = (float(main.usd) + growing_usd) / requests
        return per_request_curve(
            name, by_the_request, min(until, max(most, requests)), usd_per_month=fixed_usd
        )
    constraints = demand.constraints
    terms = FleetTerms(
        usd_per_hour=float(main.usd_per_unit),
        capacity_rps=each.carried.sized_by_rps * (1 - constraints.headroom_ratio),
        zones=constraints.zones,
    )
    return fleet_curve(
        name,
        terms,
        np.array([peak_ratio]),
        until,
        usd_per_request=growing_usd / requests,
        usd_per_month=fixed_usd,
    )
