"""How a fleet may be scaled: the settings that Application Auto Scaling knows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from recommender.errors import BadRequest

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

__all__ = [
    "COOLDOWN_S",
    "AlarmTiming",
    "FixedSize",
    "Metric",
    "Policy",
    "ScheduledBounds",
    "StepScaling",
    "TargetTracking",
]

COOLDOWN_S = 300.0

Metric = Literal["invocations", "cpu", "concurrency"]
"""invocations: of one instance in a minute. cpu: busy share of its CPUs, 0 to 1. concurrency:
requests in flight at one instance."""


@dataclass(frozen=True, slots=True)
class AlarmTiming:
    """Datapoints in a row until an alarm goes off, and how late each is known."""

    metric_delay_s: float = 60.0
    datapoints_out: int = 3
    datapoints_in: int = 15
    scale_in_ratio: float = 0.9


@dataclass(frozen=True, slots=True)
class TargetTracking:
    metric: Metric
    target: float
    scale_out_cooldown_s: float = COOLDOWN_S
    scale_in_cooldown_s: float = COOLDOWN_S
    can_scale_in: bool = True

    def __post_init__(self) -> None:
        if self.target <= 0 or (self.metric == "cpu" and self.target > 1):
            raise BadRequest(f"a target of {self.target:g} for {self.metric}")


@dataclass(frozen=True, slots=True)
class StepScaling:
    """changes: from how far above the threshold (below it, if negative), how many replicas more.

    A distance is in units of the metric. While the metric is past the threshold, the change whose
    distance is the farthest that it reaches is made; a cooldown follows each.
    """

    metric: Metric
    threshold_out: float
    threshold_in: float
    changes_out: tuple[tuple[float, int], ...] = ((0.0, 1),)
    change_in: int = 1
    cooldown_s: float = COOLDOWN_S

    def __post_init__(self) -> None:
        if not 0 <= self.threshold_in < self.threshold_out:
            raise BadRequest(
                f"scaling in below {self.threshold_in:g} and out above {self.threshold_out:g}"
            )
        if not self.changes_out or self.changes_out[0][0] != 0:
            raise BadRequest("the first change begins at the threshold, 0 above it")


@dataclass(frozen=True, slots=True)
class FixedSize:
    """No scaling: as many as at the start."""


@dataclass(frozen=True, slots=True)
class ScheduledBounds:
    """At this time of the week (seconds after Monday 00:00) the bounds become these."""

    at_s: float
    min_replicas: int
    max_replicas: int


@dataclass(frozen=True, slots=True)
class Policy:
    """schedule: takes the place of the bounds, from the first of its times on."""

    min_replicas: int
    max_replicas: int
    scaling: TargetTracking | StepScaling | FixedSize
    schedule: tuple[ScheduledBounds, ...] = ()

    def __post_init__(self) -> None:
        for low, high in (
            (self.min_replicas, self.max_replicas),
            *((each.min_replicas, each.max_replicas) for each in self.schedule),
        ):
            if not 1 <= low <= high:
                raise BadRequest(f"{low} to {high} replicas", hint="at least one, and min ≤ max")

    @property
    def family(self) -> tuple[object, ...]:
        """Policies of one family can be simulated side by side."""
        scaling = self.scaling
        if isinstance(scaling, TargetTracking):
            return (TargetTracking, scaling.metric, scaling.can_scale_in, self.schedule)
        return (scaling, self.schedule)

    def bounds(self, seconds_of_week: Floats) -> tuple[Floats, Floats]:
        """Least and most replicas in each step."""
        if not self.schedule:
            shape = len(seconds_of_week)
            low, high = float(self.min_replicas), float(self.max_replicas)
            return np.full(shape, low), np.full(shape, high)
        times = sorted(self.schedule, key=lambda each: each.at_s)
        starts_s = [each.at_s for each in times]
        # Before the week's first change, its last one still holds.
        place = np.searchsorted(starts_s, seconds_of_week, side="right") - 1
        return (
            np.array([each.min_replicas for each in times], dtype=np.float64)[place],
            np.array([each.max_replicas for each in times], dtype=np.float64)[place],
        )
