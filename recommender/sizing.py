"""How many replicas: enough for the peak, with headroom, with the stated confidence."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from recommender.demand import Constraints

__all__ = ["cautious", "needed_replicas", "replicas_for", "with_zones"]


def with_zones(replicas: NDArray[np.float64], zones: int) -> NDArray[np.float64]:
    """Fewest of which `replicas` are left when one zone of `zones` is lost.

    Spread as evenly as they go, n replicas put ⌈n/z⌉ into the fullest zone, and the least n with
    n - ⌈n/z⌉ ≥ k is k + ⌈k/(z-1)⌉.
    """
    if zones <= 1:
        return replicas
    return replicas + np.ceil(replicas / (zones - 1))


def needed_replicas(
    capacity_rps: NDArray[np.float64], peak_rps: float, constraints: Constraints
) -> NDArray[np.float64]:
    """For each draw of the capacity of one replica; infinite where it is zero."""
    usable = capacity_rps * (1 - constraints.headroom_ratio)
    with np.errstate(divide="ignore"):
        return with_zones(np.ceil(peak_rps / usable), constraints.zones)


def cautious(capacity_rps: NDArray[np.float64], confidence: float) -> float:
    """The largest of the draws that the capacity reaches with that confidence."""
    place = math.floor((1 - confidence) * (len(capacity_rps) - 1))
    return float(np.partition(capacity_rps, place)[place])


def replicas_for(
    capacity_rps: NDArray[np.float64], peak_rps: float, constraints: Constraints
) -> int | None:
    """Fewest that meet the SLO with the stated confidence; None when no number does."""
    sized_by = np.array([cautious(capacity_rps, constraints.confidence)])
    needed = float(needed_replicas(sized_by, peak_rps, constraints)[0])
    return int(needed) if math.isfinite(needed) else None
