"""A scaling policy as it is written to JSON, and in words."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, assert_never

from pydantic import BaseModel, ConfigDict

from recommender.simulation.scaling_policy import (
    FixedSize,
    Policy,
    ScheduledBounds,
    StepScaling,
    TargetTracking,
)
from recommender.simulation.traffic import DAY_S, HOUR_S, MINUTE_S

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["BoundsFacts", "PolicyFacts", "StepFacts", "facts_of"]

DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class StepFacts(_Frozen):
    """above: by so much over the threshold, in units of the metric, so many instances more."""

    above: float
    more: int


class BoundsFacts(_Frozen):
    """at_s: seconds after Monday 00:00, on the clock of the traffic."""

    at_s: float
    min_replicas: int
    max_replicas: int

    @property
    def day(self) -> int:
        return int(self.at_s // DAY_S)

    @property
    def text(self) -> str:
        """Without the day."""
        rest_s = self.at_s % DAY_S
        clock = f"{rest_s // HOUR_S:02.0f}:{rest_s % HOUR_S // MINUTE_S:02.0f}"
        return f"{clock} {self.min_replicas} to {self.max_replicas}"


class PolicyFacts(_Frozen):
    """target: in units of the metric; of steps, the threshold to scale out above.

    None for a fixed size, as the cooldowns are. threshold_in, steps_out, step_in: of steps alone.
    """

    kind: Literal["fixed", "target-tracking", "step"]
    min_replicas: int
    max_replicas: int
    metric: Literal["invocations", "cpu", "concurrency"] | None = None
    target: float | None = None
    scale_out_cooldown_s: float | None = None
    scale_in_cooldown_s: float | None = None
    can_scale_in: bool = True
    threshold_in: float | None = None
    steps_out: tuple[StepFacts, ...] = ()
    step_in: int | None = None
    schedule: tuple[BoundsFacts, ...] = ()

    @property
    def text(self) -> str:
        return "; ".join([self._scaling_text, *self._schedule_text])

    @property
    def _scaling_text(self) -> str:
        bounds = f"{self.min_replicas} to {self.max_replicas}"
        out_s, in_s = self.scale_out_cooldown_s, self.scale_in_cooldown_s
        if self.target is None:
            return bounds if self.schedule else f"{self.min_replicas} at all times"
        if self.kind == "step":
            return f"{self._steps_text}, {bounds}, cooldown {out_s:.0f} s"
        kept = "" if self.can_scale_in else ", never scaled in"
        return (
            f"{self.target:g} {self.metric}, {bounds}, cooldowns {out_s:.0f} s out and "
            f"{in_s:.0f} s in{kept}"
        )

    @property
    def _steps_text(self) -> str:
        base = self.target or 0.0
        out = ", ".join(f"+{each.more} above {base + each.above:g}" for each in self.steps_out)
        return f"{self.metric}: {out}, -{self.step_in} below {self.threshold_in:g}"

    @property
    def _schedule_text(self) -> tuple[str, ...]:
        """What holds from the same time of several days is told once."""
        if not self.schedule:
            return ()
        days: dict[str, list[int]] = {}
        for each in self.schedule:
            days.setdefault(each.text, []).append(each.day)
        return ("from " + ", ".join(f"{_days_text(on)} {text}" for text, on in days.items()),)


def _days_text(days: Sequence[int]) -> str:
    if len(days) == len(DAYS):
        return "daily"
    if len(days) > 2 and max(days) - min(days) == len(days) - 1:  # noqa: PLR2004 - a range
        return f"{DAYS[min(days)]}-{DAYS[max(days)]}"
    return ", ".join(DAYS[day] for day in days)


def facts_of(policy: Policy) -> PolicyFacts:
    scaling = policy.scaling
    schedule = tuple(_bounds(each) for each in policy.schedule)
    low, high = policy.min_replicas, policy.max_replicas
    match scaling:
        case FixedSize():
            return PolicyFacts(
                kind="fixed", min_replicas=low, max_replicas=high, schedule=schedule
            )
        case TargetTracking():
            return PolicyFacts(
                kind="target-tracking",
                min_replicas=low,
                max_replicas=high,
                metric=scaling.metric,
                target=scaling.target,
                scale_out_cooldown_s=scaling.scale_out_cooldown_s,
                scale_in_cooldown_s=scaling.scale_in_cooldown_s,
                can_scale_in=scaling.can_scale_in,
                schedule=schedule,
            )
        case StepScaling():
            return PolicyFacts(
                kind="step",
                min_replicas=low,
                max_replicas=high,
                metric=scaling.metric,
                target=scaling.threshold_out,
                scale_out_cooldown_s=scaling.cooldown_s,
                scale_in_cooldown_s=scaling.cooldown_s,
                threshold_in=scaling.threshold_in,
                steps_out=tuple(
                    StepFacts(above=above, more=more) for above, more in scaling.changes_out
                ),
                step_in=scaling.change_in,
                schedule=schedule,
            )
        case _:
            assert_never(scaling)


def _bounds(scheduled: ScheduledBounds) -> BoundsFacts:
    return BoundsFacts(
        at_s=scheduled.at_s,
        min_replicas=scheduled.min_replicas,
        max_replicas=scheduled.max_replicas,
    )
