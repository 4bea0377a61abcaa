"""How many requests come while there are more of them than some rate, over any span of a trace."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from recommender.simulation.traffic import TrafficTrace

    Floats = NDArray[np.float64]

__all__ = ["Overload"]


@dataclass(frozen=True, eq=False)
class Overload:
    """Exact, as the rate is the same all through a step. Instants: seconds into the trace."""

    trace: TrafficTrace

    @cached_property
    def _edges_s(self) -> Floats:
        return np.asarray(self.trace.step_s * np.arange(len(self.trace.rate_rps) + 1.0))

    def during(self, threshold_rps: float, from_s: Floats, to_s: Floats) -> Floats:
        """All requests of the time in which they come at more than the threshold."""
        rates = self.trace.rate_rps
        return self._between(np.where(rates > threshold_rps, rates, 0.0), from_s, to_s)

    def beyond(self, threshold_rps: float, from_s: Floats, to_s: Floats) -> Floats:
        """Only those above it."""
        return self._between(np.maximum(self.trace.rate_rps - threshold_rps, 0.0), from_s, to_s)

    def _between(self, counted_rps: Floats, from_s: Floats, to_s: Floats) -> Floats:
        by_then = np.concatenate([[0.0], np.cumsum(counted_rps * self.trace.step_s)])
        until, since = (np.interp(at_s, self._edges_s, by_then) for at_s in (to_s, from_s))
        return np.asarray(until - since)
