"""What it costs that losing a zone keeps the SLO, and what losing one would do."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from pricing import HOURS_PER_MONTH
from recommender.simulation.overload import Overload
from recommender.sizing import replicas_for

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from recommender.demand import Constraints
    from recommender.simulation.traffic import TrafficTrace

    Floats = NDArray[np.float64]

__all__ = ["ZonePlan", "zone_plans"]


@dataclass(frozen=True, slots=True)
class ZonePlan:
    """A fleet of one size that keeps the SLO when one of its zones is lost; with one, no more.

    extra_usd_per_month: over a fleet that need not bear that. lost_ratio: of the requests that
    come while the fullest zone is gone, whenever that is, those that are not good, with the
    confidence asked for: all where there is no other zone.
    """

    zones: int
    replicas: int
    left: int
    usd_per_month: float
    extra_usd_per_month: float
    lost_ratio: float


def zone_plans(
    trace: TrafficTrace,
    capacity_rps: Floats,
    usd_per_hour: float,
    constraints: Constraints,
    zones: Sequence[int] = (1, 2, 3, 4, 5, 6),
) -> tuple[ZonePlan, ...]:
    """For each number of zones; none where no number of replicas meets the SLO.

    capacity_rps: of one replica, shape (draws,). Every plan meets the SLO while all zones are
    there; which of them is cheapest depends on how evenly the replicas go into the zones.
    """
    plans = []
    single = _replicas(capacity_rps, trace.peak_rps, constraints, 1)
    for number in zones:
        replicas = _replicas(capacity_rps, trace.peak_rps, constraints, number)
        if replicas is None or single is None:
            continue
        left = replicas - -(-replicas // number)
        usd = usd_per_hour * HOURS_PER_MONTH
        lost = _lost(trace, capacity_rps * left, constraints.confidence)
        plans.append(
            ZonePlan(number, replicas, left, replicas * usd, (replicas - single) * usd, lost)
        )
    return tuple(plans)


def _replicas(
    capacity_rps: Floats, peak_rps: float, constraints: Constraints, zones: int
) -> int | None:
    asked = constraints.model_copy(update={"zones": zones})
    return replicas_for(capacity_rps, peak_rps, asked)


def _lost(trace: TrafficTrace, capacity_rps: Floats, confidence: float) -> float:
    """While more comes than is within the SLO, none of it is good."""
    overload, ends_s = Overload(trace), np.array([trace.duration_s])
    cautious = float(np.quantile(capacity_rps, 1 - confidence, method="lower"))
    late = overload.during(cautious, np.zeros(1), ends_s)
    return float(late[0] / trace.requests)
