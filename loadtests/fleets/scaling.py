"""How much of N times one server's capacity N servers have."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from loadtests.errors import UsageError
from loadtests.fleets.passing import Frozen
from loadtests.intervals import Interval

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["CapacityOf", "ScalingEfficiency", "scaling_efficiency"]


@dataclass(frozen=True, slots=True)
class CapacityOf:
    """Of so many replicas, with its interval. cores_shared: a core was asked for more than one.

    Replicas that wait for one another's core say how this machine scales, and nothing of a fleet
    of machines.
    """

    rate_rps: float
    low_rps: float
    high_rps: float
    cores_shared: bool = False


class ScalingEfficiency(Frozen):
    """efficiency: capacity(N) / (N capacity(1)), 1 when each added replica adds a whole one.

    None with the reason where it is not known.
    """

    replicas: int
    capacity_rps: float
    efficiency: Interval
    reason: str | None = None


def scaling_efficiency(capacities: Mapping[int, CapacityOf]) -> tuple[ScalingEfficiency, ...]:
    """By the number of replicas, which must include 1. The interval keeps the capacities' own.

    The two capacities are independent measurements, so the logarithms' distances to either side
    add up in squares.
    """
    if 1 not in capacities:
        raise UsageError(
            "how capacity grows with replicas needs the capacity of one",
            hint="add a configuration with replicas: 1",
        )
    one = capacities[1]
    return tuple(
        _efficiency(replicas, capacities[replicas], one) for replicas in sorted(capacities)
    )


def _efficiency(replicas: int, found: CapacityOf, one: CapacityOf) -> ScalingEfficiency:
    def told(efficiency: Interval, reason: str | None = None) -> ScalingEfficiency:
        return ScalingEfficiency(
            replicas=replicas, capacity_rps=found.rate_rps, efficiency=efficiency, reason=reason
        )

    if replicas == 1:
        return told(Interval(value=1.0, low=1.0, high=1.0))
    if one.rate_rps <= 0 or found.rate_rps <= 0:
        return told(Interval(value=None), "no rate met the objective")
    if found.cores_shared:
        return told(Interval(value=None), "the replicas shared cores of this machine")
    value = found.rate_rps / (replicas * one.rate_rps)
    below = _together(
        _log_ratio(found.rate_rps, found.low_rps), _log_ratio(one.high_rps, one.rate_rps)
    )
    above = _together(
        _log_ratio(found.high_rps, found.rate_rps), _log_ratio(one.rate_rps, one.low_rps)
    )
    return told(
        Interval(
            value=value,
            low=None if below is None else value * math.exp(-below),
            high=None if above is None else value * math.exp(above),
        )
    )


def _log_ratio(larger: float, smaller: float) -> float | None:
    """None where the smaller is 0: nothing bounds it from below."""
    return math.log(larger / smaller) if smaller > 0 and math.isfinite(larger) else None


def _together(first: float | None, second: float | None) -> float | None:
    return None if first is None or second is None else math.hypot(first, second)
