"""When a running load has said enough: decided, saturated, or out of time."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from scipy.stats import t as student

from loadtests.queueing import tail_inflation
from loadtests.samples import Outcome, ratio_bound

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from loadtests.runner import Progress
    from loadtests.slo import LatencyObjective

__all__ = ["DECIDED", "OVER_SATURATED", "OpenWatch", "floor_requests", "is_over_saturated"]

OVER_SATURATED = "over-saturated"
DECIDED = "decided"
FEWEST = 200
FEWEST_TICKS = 8
GROWN_TO = 12  # requests in flight below which a backlog is no backlog
OVERLOAD_SHARE = 0.5


def floor_requests(utilization: float) -> int:
    """Fewest requests before an early decision: max(200, 100/(1-ρ)²).

    Starting empty flatters a busy queue, and it forgets its start only after a number of
    requests that grows as 1/(1-ρ)²; without the floor overloads pass.
    """
    return int(max(FEWEST, 100 / (1 - min(utilization, 0.99)) ** 2))


def is_over_saturated(times_s: NDArray[np.float64], in_flight: NDArray[np.float64]) -> bool:
    """Does the backlog grow for good?

    The slope of requests in flight over time is above zero at 95 % (t interval), in the whole and
    in the second half, and the backlog is no longer a handful.
    """
    if len(times_s) < FEWEST_TICKS or in_flight[-3:].mean() < GROWN_TO:
        return False
    half = len(times_s) // 2
    return all(
        _slope_low(times_s[part], in_flight[part]) > 0 for part in (slice(None), slice(half, None))
    )


def _slope_low(x: NDArray[np.float64], y: NDArray[np.float64]) -> float:
    centred = x - x.mean()
    spread = float(np.sum(centred**2))
    slope = float(np.sum(centred * y)) / spread
    residual = y - y.mean() - slope * centred
    error = float(np.sqrt(np.sum(residual**2) / max(len(x) - 2, 1) / spread))
    return slope - float(student.ppf(0.95, max(len(x) - 2, 1))) * error


@dataclass(slots=True)
class OpenWatch:
    """Watches one open-loop run. Call with each Progress; returns why to stop, or None.

    objective: decided once its verdict is certain. floor: requests before any decision.
    """

    objective: LatencyObjective
    floor: int
    times_s: list[float] = field(default_factory=list)
    in_flight: list[float] = field(default_factory=list)
    over_saturated: bool = False

    def __call__(self, progress: Progress) -> str | None:
        self.times_s.append(progress.elapsed_s)
        self.in_flight.append(progress.in_flight)
        if is_over_saturated(np.array(self.times_s), np.array(self.in_flight)):
            self.over_saturated = True
            return OVER_SATURATED
        if progress.recorded >= self.floor and self._is_decided(progress.read()):
            return DECIDED
        return None

    def _is_decided(self, records: NDArray[np.void]) -> bool:
        """The share above the limit is surely below, or surely above, what the objective allows."""
        ordered = np.sort(records, order="due_us")
        steady = ordered[len(ordered) // 5 :]
        taken_s = (steady["done_us"] - steady["due_us"]) / 1e6
        exceeds = (taken_s > self.objective.limit_s) | (steady["outcome"] != Outcome.SUCCEEDED)
        effective = int(len(exceeds) / tail_inflation(exceeds))
        bound = ratio_bound(round(float(exceeds.mean()) * effective), effective, confidence=0.99)
        allowed = 1 - self.objective.quantile
        if bound.low is None or bound.high is None:
            return False
        return bound.high < allowed or bound.low > allowed
