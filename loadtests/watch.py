"""Watching a running load: has it said enough, does the server fall behind?

A watch is called four times a second with the progress of a run and returns why to stop it: a
stable word, and behind a colon what was seen. It is made of parts that each look at one thing, and
a part that looks at all samples looks the less often the more there are.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from loadtests.queueing import tail_inflation, warmup_length
from loadtests.samples import ratio_bound
from loadtests.slo import TokenObjective
from loadtests.streaming.taken import taken_s

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from numpy.typing import NDArray

    from loadtests.runner import Progress
    from loadtests.samples import Samples
    from loadtests.slo import QuantileObjective

    Part = Callable[[Progress], str | None]

__all__ = [
    "DECIDED",
    "OVER_SATURATED",
    "Backlog",
    "Watch",
    "floor_requests",
    "is_over_saturated",
    "open_watch",
    "reason_word",
    "settling",
    "share_beyond",
]

OVER_SATURATED = "over-saturated"
DECIDED = "decided"
FEWEST = 200
FEWEST_TICKS = 8
MOST_TICKS = 512
GROWN_TO = 12  # requests below which a backlog is no backlog
# Deviations of a random walk. Simulated, 40 ticks: a queue at 90 % load passes both in 0 to 2 % of
# runs, one offered 1.3 times what it can serve in 93 to 100 %.
GROWTH, RECENT_GROWTH = 3.0, 1.65
SURE = 0.99
LOOK_AGAIN = 1.01  # times as many requests


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


def reason_word(reason: str) -> str:
    return reason.partition(":")[0]


@dataclass(slots=True)
class Watch:
    """Asks its parts in order; over_saturated is remembered for the measurement."""

    parts: tuple[Part, ...]
    over_saturated: bool = False

    def __call__(self, progress: Progress) -> str | None:
        for part in self.parts:
            reason = part(progress)
            if reason is not None:
                self.over_saturated = reason_word(reason) == OVER_SATURATED
                return reason
        return None


def open_watch(objectives: Iterable[QuantileObjective], floor: int) -> Watch:
    """Of a steady open-loop run: until all objectives are decided, or the server falls behind."""
    wanted = tuple(objectives)
    return Watch((Backlog(), _Decision(wanted, floor)) if wanted else (Backlog(),))


@dataclass(slots=True)
class Backlog:
    """Requests due and unanswered at each call.

    Dropped ones count for good: once every connection is taken, the queue of a server that falls
    behind grows among them. A long run is read at wider intervals.
    """

    readings: list[float] = field(default_factory=list)
    every: int = 1
    calls: int = 0

    def __call__(self, progress: Progress) -> str | None:
        self.calls += 1
        if self.calls % self.every:
            return None
        self.readings.append(progress.in_flight + progress.dropped)
        if len(self.readings) > MOST_TICKS:
            self.readings, self.every = self.readings[1::2], 2 * self.every
        return OVER_SATURATED if is_over_saturated(np.array(self.readings)) else None


@dataclass(slots=True)
class _Decision:
    """Is each objective's share above its limit surely below, or surely above, what is allowed?"""

    objectives: tuple[QuantileObjective, ...]
    floor: int
    checked: int = 0

    def __call__(self, progress: Progress) -> str | None:
        recorded = progress.recorded
        if recorded < max(self.floor, self.checked * LOOK_AGAIN):
            return None
        self.checked = recorded
        about_tokens = any(isinstance(each, TokenObjective) for each in self.objectives)
        samples = progress.samples(streamed=about_tokens)
        cut = max(settling(samples.latency_s), len(samples) // 5)
        steady = samples.take(slice(cut, None))
        decided = all(_is_decided(steady, objective) for objective in self.objectives)
        return DECIDED if decided else None


def _is_decided(steady: Samples, objective: QuantileObjective) -> bool:
    """Never of gaps between tokens, which go on as long as there are requests."""
    figure = objective.figure if isinstance(objective, TokenObjective) else "latency"
    taken = None if figure == "itl" else taken_s(steady, figure)
    if taken is None:
        return False
    bound = share_beyond(taken.known_s > objective.limit_s)
    allowed = 1 - objective.quantile
    return bound is not None and (bound[1] < allowed or bound[0] > allowed)


def share_beyond(exceeds: NDArray[np.bool_]) -> tuple[float, float] | None:
    """Where the share lies, at 99 %; requests that depend on one another count for fewer."""
    effective = int(len(exceeds) / tail_inflation(exceeds)) if len(exceeds) else 0
    share = float(exceeds.mean()) if len(exceeds) else 0.0
    bound = ratio_bound(round(share * effective), effective, confidence=SURE)
    return None if bound.low is None or bound.high is None else (bound.low, bound.high)


def settling(latency_s: NDArray[np.float64]) -> int:
    return warmup_length(np.where(np.isfinite(latency_s), latency_s, 0.0))
