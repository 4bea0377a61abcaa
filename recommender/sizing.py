"""How many replicas: enough for the peak, with headroom, with the stated confidence."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from recommender.demand import Constraints

__all__ = ["needed_replicas", "probability_met", "replicas_for", "with_zones"]


def with_zones(replicas: NDArray[np.float64], zones: int) -> NDArray[np.float64]:
    """Replicas spread evenly over zones, so that those left after losing one are enough."""
    if zones <= 1:
        return replicas
    return np.ceil(replicas / (zones - 1)) * zones


def needed_replicas(
    capacity_rps: NDArray[np.float64], peak_rps: float, constraints: Constraints
) -> NDArray[np.float64]:
    """For each draw of the capacity of one replica; infinite where it is zero."""
    usable = capacity_rps * (1 - constraints.headroom_ratio)
    with np.errstate(divide="ignore"):
        return with_zones(np.ceil(peak_rps / usable), constraints.zones)


def replicas_for(
    capacity_rps: NDArray[np.float64], peak_rps: float, constraints: Constraints
) -> int | None:
    """Fewest that meet the SLO with the stated confidence; None when no number does."""
    cautious = float(np.quantile(capacity_rps, 1 - constraints.confidence))
    if cautious <= 0:
        return None
    needed = needed_replicas(np.array([cautious]), peak_rps, constraints)[0]
    return None if not math.isfinite(needed) else int(needed)


def probability_met(capacity_rps: NDArray[np.float64], rate_per_replica_rps: float) -> float:
    """Share of draws whose capacity carries the rate, headroom not counted: it is there to be used."""
    return float(np.mean(capacity_rps >= rate_per_replica_rps))
