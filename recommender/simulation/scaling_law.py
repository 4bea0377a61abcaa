"""What a policy does at a value of its metric, for many policies of one family side by side.

Target tracking: desired = ⌈replicas · metric / target⌉, above the target and below nine tenths of
it. Step scaling: so many more, by how far the metric is past the threshold.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, assert_never

import numpy as np

from recommender.simulation.scaling_policy import FixedSize, StepScaling, TargetTracking

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from recommender.simulation.replica import Replica
    from recommender.simulation.scaling_policy import AlarmTiming, Metric, Policy

    Floats = NDArray[np.float64]

__all__ = ["ScalingLaw", "Sensor", "law_of"]

ROUNDING = 1e-9
MINUTE_S = 60.0
LOADS = np.linspace(0.0, 1.5, 301)  # utilisations at which a metric is tabled


@dataclass(frozen=True, eq=False)
class Sensor:
    """The metric of a fleet of such replicas."""

    kind: Metric
    replica: Replica

    def value(self, rate_rps: Floats, replicas: Floats, waiting: Floats) -> Floats:
        """rate_rps: to all replicas. waiting: requests left over, at all of them."""
        load_rps = rate_rps / replicas
        if self.kind == "invocations":
            return load_rps * MINUTE_S
        metric = self._at(load_rps / self.replica.saturation_rps)
        return metric + waiting / replicas if self.kind == "concurrency" else metric

    def _at(self, utilization: Floats) -> Floats:
        if self.kind == "cpu":
            return np.minimum(utilization, 1.0) * self.replica.busy_ratio
        return self.replica.in_flight(utilization)

    def load_rps(self, value: Floats) -> Floats:
        """Of one replica, where the metric has this value; shape (policies, draws)."""
        if self.kind == "invocations":
            return np.broadcast_to(value / MINUTE_S, (len(value), self.replica.draws))
        utilization = np.interp(value, self._at(LOADS), LOADS)
        return np.asarray(utilization * self.replica.saturation_rps)


@dataclass(frozen=True, eq=False)
class ScalingLaw:
    """Every array has the shape (policies, 1). steps: of step scaling; None tracks a target.

    Cooldowns in steps of the simulation.
    """

    sensor: Sensor
    high: Floats
    low: Floats
    out_cooldown: Floats
    in_cooldown: Floats
    steps: StepScaling | None = None
    scales: bool = True
    scales_in: bool = True

    @property
    def counts_queue(self) -> bool:
        return self.scales and self.sensor.kind == "concurrency"

    def step_out(
        self, metric: Floats, replicas: Floats, wanted: Floats, unfinished: Floats
    ) -> Floats:
        """unfinished: the step whose cooldown is not over, 0 where there is none.

        A larger one counts what was added already.
        """
        if self.steps is None:
            step = self._needed(metric, replicas) - wanted
            return np.where(step > unfinished, step, 0.0)
        distances, changes = np.array(self.steps.changes_out, dtype=np.float64).T
        reached = np.searchsorted(distances, metric - self.high, side="right") - 1
        return np.asarray(changes[np.maximum(reached, 0)] - unfinished)

    def step_in(self, metric: Floats, replicas: Floats, serving: Floats) -> Floats:
        if not self.scales_in:
            return np.zeros_like(serving)
        if self.steps is not None:
            return np.full_like(serving, self.steps.change_in)
        return serving - self._needed(metric, replicas)

    def _needed(self, metric: Floats, replicas: Floats) -> Floats:
        return np.ceil(replicas * metric / self.high - ROUNDING)


def law_of(
    policies: Sequence[Policy], replica: Replica, step_s: float, timing: AlarmTiming
) -> ScalingLaw:
    """Policies of one family."""
    first = policies[0].scaling
    ones = np.ones((len(policies), 1))
    match first:
        case FixedSize():
            sensor = Sensor("invocations", replica)
            return ScalingLaw(sensor, ones, ones, ones, ones, scales=False)
        case StepScaling():
            cooldown = ones * np.ceil(first.cooldown_s / step_s)
            return ScalingLaw(
                sensor=Sensor(first.metric, replica),
                high=ones * first.threshold_out,
                low=ones * first.threshold_in,
                out_cooldown=cooldown,
                in_cooldown=cooldown,
                steps=first,
            )
        case TargetTracking():
            tracked = [each.scaling for each in policies if isinstance(each.scaling, type(first))]
            target, out_s, in_s = np.array(
                [(t.target, t.scale_out_cooldown_s, t.scale_in_cooldown_s) for t in tracked]
            ).T[:, :, None]
            return ScalingLaw(
                sensor=Sensor(first.metric, replica),
                high=target,
                low=target * timing.scale_in_ratio,
                out_cooldown=np.ceil(out_s / step_s),
                in_cooldown=np.ceil(in_s / step_s),
                scales_in=first.can_scale_in,
            )
        case _:
            assert_never(first)
