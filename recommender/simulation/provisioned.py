"""Provisioned concurrency that follows the traffic."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["ProvisionedScaling"]

CALM_RATIO = 0.9  # of the target: below it there is too much


@dataclass(frozen=True, slots=True)
class ProvisionedScaling:
    """Target tracking of the share of provisioned concurrency in use, least to most of it.

    Set to what use / target asks for after raise_after_s above the target, or lower_after_s below
    90 % of it: the alarms that Application Auto Scaling makes for Lambda's (3 and 15 datapoints of
    a minute, by Lambda's developer guide); for SageMaker's AWS gives no figures. ready_s: until
    more of it is there. Requests beyond it are not seen in its use, which ends at 1.
    """

    target_ratio: float
    least: int
    most: int
    raise_after_s: float = 180.0
    lower_after_s: float = 900.0
    ready_s: float = 60.0

    def __post_init__(self) -> None:
        if not 0 < self.target_ratio < 1:
            raise ValueError(f"a target of {self.target_ratio:g}: it lies between 0 and 1")
        if not 1 <= self.least <= self.most:
            raise ValueError(f"{self.least} to {self.most} instances always ready")

    def course(self, busy: NDArray[np.float64], step_s: float) -> NDArray[np.int64]:
        """Of it in each step, from the least on. busy: requests in progress, on average."""
        provisioned = np.empty(len(busy), dtype=np.int64)
        now = coming = self.least
        there_at = above_s = below_s = 0.0
        for step, load in enumerate(busy.tolist()):
            now = coming if step * step_s >= there_at else now
            provisioned[step] = now
            use = min(load / now, 1.0)
            above_s = above_s + step_s if use > self.target_ratio else 0.0
            below_s = below_s + step_s if use < CALM_RATIO * self.target_ratio else 0.0
            is_due = above_s >= self.raise_after_s or below_s >= self.lower_after_s
            if is_due and now == coming:
                coming = self._wanted(now, use)
                there_at = (step + 1) * step_s + (self.ready_s if coming > now else 0.0)
                above_s = below_s = 0.0
        return provisioned

    def _wanted(self, now: int, use: float) -> int:
        return min(max(math.ceil(now * use / self.target_ratio), self.least), self.most)
