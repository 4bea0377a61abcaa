"""How many replicas are in service, step by step, as AWS's Application Auto Scaling has it.

A metric is one datapoint for each step (a minute), known some minutes later. An alarm goes off
when so many datapoints in a row are beyond its threshold; while it is on, the policy acts. A
replica asked for serves after its start-up time and is paid for from the beginning.

A cooldown runs from the end of an activity. While more replicas start, and in the cooldown after
that, only a larger step is made than the one it belongs to. While they start, nothing is taken
away; scaling in ends at once.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from recommender.simulation.scaling_law import law_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from recommender.simulation.replica import Replica
    from recommender.simulation.scaling_policy import AlarmTiming, Policy

    Floats = NDArray[np.float64]
    Counts = NDArray[np.int32]

__all__ = ["Scaled", "Scaler", "scale"]

ROUNDING = 1e-9


@dataclass(frozen=True, eq=False)
class Scaled:
    """Shapes (steps, policies, draws). replicas: in service. paid: those starting, too."""

    replicas: Floats
    paid: Floats


def scale(
    policies: Sequence[Policy],
    replica: Replica,
    arrivals: Floats,
    clock: tuple[float, Floats],
    timing: AlarmTiming,
) -> Scaled:
    """Policies of one family, side by side.

    arrivals: requests that come in each step, shape (steps, draws). clock: seconds of a step, and
    of the week at which each begins. It starts with what the first step needs.
    """
    return Scaler(policies, replica, arrivals, clock, timing).run(0, len(arrivals))


class Scaler:
    """One pass over the steps, in parts that follow one another.

    Arrays have the shape (policies, draws), where nothing else is said.
    serving, wanted: replicas in service, and those still starting with them. starting: by the step
    in which they will serve, a ring. high, low: datapoints in a row beyond the thresholds.
    """

    def __init__(
        self,
        policies: Sequence[Policy],
        replica: Replica,
        arrivals: Floats,
        clock: tuple[float, Floats],
        timing: AlarmTiming,
    ) -> None:
        self.step_s, seconds_of_week = clock
        self.is_scheduled = bool(policies[0].schedule)
        self.rate_rps, self.timing = arrivals / self.step_s, timing
        self.saturation_rps = replica.saturation_rps
        bounds = [policy.bounds(seconds_of_week) for policy in policies]
        self.least = np.stack([low for low, _ in bounds], axis=1)[:, :, None]
        self.most = np.stack([high for _, high in bounds], axis=1)[:, :, None]
        self.law = law_of(policies, replica, self.step_s, timing)
        shape = (len(policies), arrivals.shape[1])
        self.start_steps = max(math.ceil(replica.start_s / self.step_s - ROUNDING), 1)
        self.lag = 1 + round(timing.metric_delay_s / self.step_s)
        self.seen, self.waiting = np.zeros((2, self.lag, *shape))
        self.serving = self._first(shape)
        self.wanted = self.serving.copy()
        self.starting = np.zeros((self.start_steps + 1, *shape))
        self.last_ready = -1
        self.high, self.low = np.zeros((2, *shape), dtype=np.int32)
        self.out_until, self.in_until = np.zeros(shape), np.zeros(shape)
        self.last_step = np.zeros(shape)

    def run(self, first: int, until: int) -> Scaled:
        """The steps from first on. A decision sees the step that is `lag` before its own."""
        steps = until - first
        replicas = np.concatenate([self.seen, np.empty((steps, *self.serving.shape))])
        queue = np.concatenate([self.waiting, np.zeros((steps, *self.serving.shape))])
        paid = np.empty((steps, *self.serving.shape))
        for place in range(steps):
            now = first + place
            self._serve(now)
            if now >= self.lag and self.law.scales:
                rate_rps = self.rate_rps[now - self.lag]
                metric = self.law.sensor.value(rate_rps, replicas[place], queue[place])
                self._look(now, metric, replicas[place])
            replicas[place + self.lag], paid[place] = self.serving, self.wanted
            if self.law.counts_queue:
                more_rps = self.rate_rps[now] - self.serving * self.saturation_rps
                left = queue[place + self.lag - 1] + more_rps * self.step_s
                queue[place + self.lag] = np.maximum(left, 0.0)
        self.seen, self.waiting = replicas[-self.lag :].copy(), queue[-self.lag :].copy()
        return Scaled(replicas[self.lag :], paid)

    def _first(self, shape: tuple[int, int]) -> Floats:
        """Enough for the first step at the target."""
        if not self.law.scales:
            return np.broadcast_to(self.least[0], shape).copy()
        needed = np.ceil(self.rate_rps[0] / self.law.sensor.load_rps(self.law.high))
        return np.asarray(np.clip(needed, self.least[0], self.most[0]))

    def _serve(self, now: int) -> None:
        """Those ready enter service; a schedule's bounds hold from their time on."""
        if now <= self.last_ready:
            ready = self.starting[now % len(self.starting)]
            self.serving += ready
            ready[:] = 0
        if not self.is_scheduled:
            return
        bounded = np.clip(self.wanted, self.least[now], self.most[now])
        fewer = bounded < self.wanted
        if fewer.any():
            self.starting[:, fewer] = 0
            self.serving[fewer] = self.wanted[fewer] = bounded[fewer]
        if (bounded > self.wanted).any():
            self._start(now, bounded - self.wanted)

    def _start(self, now: int, added: Floats) -> None:
        self.last_ready = now + self.start_steps
        self.starting[self.last_ready % len(self.starting)] += added
        self.wanted += added

    def _look(self, now: int, metric: Floats, replicas: Floats) -> None:
        """At one more datapoint, which `replicas` gave."""
        above, below = metric > self.law.high, metric < self.law.low
        if self._in_a_row(self.high, above) >= self.timing.datapoints_out:
            self._scale_out(now, metric, replicas)
        if self._in_a_row(self.low, below) >= self.timing.datapoints_in:
            self._scale_in(now, metric, replicas)

    @staticmethod
    def _in_a_row(counts: Counts, beyond: NDArray[np.bool_]) -> int:
        """Counts one more datapoint; the most of all."""
        if not beyond.any():
            counts[:] = 0
            return 0
        counts += 1
        counts *= beyond
        return int(counts.max())

    def _scale_out(self, now: int, metric: Floats, replicas: Floats) -> None:
        unfinished = np.where(now < self.out_until, self.last_step, 0.0)
        step = self.law.step_out(metric, replicas, self.wanted, unfinished)
        step = np.minimum(step, self.most[now] - self.wanted)
        acts = (self.high >= self.timing.datapoints_out) & (step > 0)
        if not acts.any():
            return
        self._start(now, np.where(acts, step, 0.0))
        self.last_step = np.where(acts, step, self.last_step)
        ends = now + self.start_steps + self.law.out_cooldown
        self.out_until = np.where(acts, ends, self.out_until)

    def _scale_in(self, now: int, metric: Floats, replicas: Floats) -> None:
        step = self.law.step_in(metric, replicas, self.serving)
        step = np.minimum(step, self.serving - self.least[now])
        acts = (self.low >= self.timing.datapoints_in) & (step > 0)
        acts &= (now >= self.in_until) & (self.wanted == self.serving)
        if not acts.any():
            return
        taken = np.where(acts, step, 0.0)
        self.serving -= taken
        self.wanted -= taken
        self.in_until = np.where(acts, now + self.law.in_cooldown, self.in_until)
