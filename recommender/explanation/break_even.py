"""At which traffic another option would be the cheapest: every ranked option's cost, scaled.

A fleet is counted as it was for the traffic asked for: by the capacity that one replica has with
the stated confidence. What is paid by the request grows with the requests.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from pricing import HOURS_PER_MONTH
from recommender.cost import grows_with_requests
from recommender.sizing import needed_replicas

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from recommender.demand import Demand
    from recommender.recommendation import Candidate

    Floats = NDArray[np.float64]

__all__ = ["FURTHEST", "BreakEven", "break_even", "next_replica_rps"]

FURTHEST = 16.0
STEPS_OF_TWO = 70  # 1 % apart


@dataclass(frozen=True, slots=True)
class BreakEven:
    """The nearest peak rate at which `cheaper` costs less than what is explained."""

    peak_rps: float
    cheaper: Candidate


def break_even(
    chosen: Candidate, ranked: Sequence[Candidate], demand: Demand
) -> tuple[BreakEven | None, BreakEven | None]:
    """(below, above) the traffic asked for; None where nothing is up to FURTHEST times away."""
    steps = round(STEPS_OF_TWO * np.log2(FURTHEST))
    up = 2.0 ** (np.arange(1, steps + 1) / STEPS_OF_TWO)
    asked = float(chosen.cost.usd_per_month)
    dearer = [
        each
        for each in ranked
        if each is not chosen and _can_scale(each) and float(each.cost.usd_per_month) >= asked
    ]
    if not dearer or not _can_scale(chosen):
        return None, None
    return _crossing(chosen, dearer, demand, 1 / up), _crossing(chosen, dearer, demand, up)


def next_replica_rps(chosen: Candidate, demand: Demand) -> float | None:
    """The largest peak rate that the fleet is counted for; None where no fleet is counted."""
    carried, replicas = chosen.carried, chosen.option.replicas
    if carried is None or replicas is None:
        return None
    usable = carried.sized_by_rps * (1 - demand.constraints.headroom_ratio)
    zones = demand.constraints.zones
    left = replicas if zones == 1 else replicas - -(-replicas // zones)
    return left * usable


def _crossing(
    chosen: Candidate, dearer: Sequence[Candidate], demand: Demand, factors: Floats
) -> BreakEven | None:
    """factors: of the traffic asked for, the nearest first."""
    costs = np.stack([_usd(each, factors, demand) for each in dearer])
    cheaper = costs < _usd(chosen, factors, demand) * (1 - 1e-9)
    at = np.flatnonzero(cheaper.any(axis=0))
    if len(at) == 0:
        return None
    cheapest = dearer[int(costs[:, at[0]].argmin())]
    return BreakEven(demand.traffic.peak_rps * float(factors[at[0]]), cheapest)


def _can_scale(each: Candidate) -> bool:
    """Not a fleet of an answer of format 1, which does not say what one replica carries."""
    return each.carried is not None or each.option.serverless is not None


def _usd(each: Candidate, factors: Floats, demand: Demand) -> Floats:
    main, *rest = each.cost.items
    growing = sum(float(item.usd) for item in rest if grows_with_requests(item.unit))
    besides = factors * growing + sum(float(item.usd) for item in rest) - growing
    if each.carried is None:
        return np.asarray(factors * float(main.usd) + besides)
    replicas = needed_replicas(
        np.full(len(factors), each.carried.sized_by_rps) / factors,
        demand.traffic.peak_rps,
        demand.constraints,
    )
    return np.asarray(replicas * HOURS_PER_MONTH * float(main.usd_per_unit) + besides)
