"""When a running load has said enough: decided, saturated, or out of time."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from loadtests.queueing import tail_inflation, warmup_length
from loadtests.samples import Samples, ratio_bound

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from loadtests.runner import Progress
    from loadtests.slo import LatencyObjective

__all__ = ["DECIDED", "OVER_SATURATED", "OpenWatch", "floor_requests", "is_over_saturated"]

OVER_SATURATED = "over-saturated"
DECIDED = "decided"
FEWEST = 200
FEWEST_TICKS = 8
GROWN_TO = 12  # requests below which a backlog is no backlog
# Deviations of a random walk. Simulated, 40 ticks: a queue at 90 % load passes both in 0 to 2 % of
# runs, one offered 1.3 times what it can serve in 93 to 100 %.
GROWTH, RECENT_GROWTH = 3.0, 1.65


def floor_requests(utilization: float) -> int:
    """Fewest requests before an early decision: max(200, 100/(1-u)²), u the utilisation.

    Starting empty flatters a busy queue, and it forgets its start only after a number of
    requests that grows as 1/(1-u)²; without the floor overloads pass.
    """
    return int(max(FEWEST, 100 / (1 - min(utilization, 0.99)) ** 2))


def is_over_saturated(backlog: NDArray[np.float64]) -> bool:
    """Does the backlog, read at even intervals from the start of the load, grow for good?

    A stable queue wanders too, and each reading stands on the one before, so a trend fitted
    through the readings as if they were independent is soon "significant". The changes between
    readings are nearly independent. Their sum must be further from zero than chance takes a
    random walk of such steps: over the whole run by 3 standard deviations and over its second
    half by 1.65; and the backlog must be more than a handful.
    """
    count = len(backlog)
    if count < FEWEST_TICKS or backlog[-3:].mean() < GROWN_TO:
        return False
    steps = np.diff(backlog, prepend=0.0)
    recent = steps[count // 2 :]
    step = float(steps.std(ddof=1))
    return bool(
        steps.sum() > GROWTH * step * math.sqrt(count)
        and recent.sum() > RECENT_GROWTH * step * math.sqrt(len(recent))
    )


@dataclass(slots=True)
class OpenWatch:
    """Watches one open-loop run. Call with each Progress; returns why to stop, or None.

    objective: decided once its verdict is certain. floor: requests before any decision.
    backlog: requests due and unanswered at each call. Dropped ones count for good: once every
    connection is taken, the queue of a server that falls behind grows among them.
    """

    objective: LatencyObjective
    floor: int
    backlog: list[float] = field(default_factory=list)
    over_saturated: bool = False

    def __call__(self, progress: Progress) -> str | None:
        self.backlog.append(progress.in_flight + progress.dropped)
        if is_over_saturated(np.array(self.backlog)):
            self.over_saturated = True
            return OVER_SATURATED
        if progress.recorded >= self.floor and self._is_decided(progress.read()):
            return DECIDED
        return None

    def _is_decided(self, records: NDArray[np.void]) -> bool:
        """Is the share above the limit surely below, or surely above, what is allowed?"""
        latency_s = Samples(np.sort(records, order="due_us")).latency_s
        settling = warmup_length(np.where(np.isfinite(latency_s), latency_s, 0.0))
        exceeds = latency_s[max(settling, len(latency_s) // 5) :] > self.objective.limit_s
        effective = int(len(exceeds) / tail_inflation(exceeds))
        bound = ratio_bound(round(float(exceeds.mean()) * effective), effective, confidence=0.99)
        allowed = 1 - self.objective.quantile
        if bound.low is None or bound.high is None:
            return False
        return bound.high < allowed or bound.low > allowed
