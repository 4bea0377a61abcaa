"""A scaling policy in a file, in the words of Application Auto Scaling and CloudWatch.

YAML, and so JSON too: bounds, and target tracking, steps or a schedule of bounds. One that scales
by what this simulation does not know is refused, with the line.
"""

from __future__ import annotations

import re
from itertools import pairwise
from typing import TYPE_CHECKING, Literal, Self

from pydantic import Field, field_validator, model_validator

from recommender.errors import BadRequest
from recommender.loadtest.document import Form, read_document
from recommender.loadtest.part import Part
from recommender.simulation.scaling_policy import (
    COOLDOWN_S,
    FixedSize,
    Metric,
    Policy,
    ScheduledBounds,
    StepScaling,
    TargetTracking,
)
from recommender.simulation.traffic import DAY_S, HOUR_S, MINUTE_S

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["PolicyFile", "read_policy"]

FORM = Form(
    "scaling policy",
    hint="`recommender schema policy` prints every key",
    usage="recommender simulate --policy policy.yaml",
)
DAYS = ("MON", "TUE", "WED", "THU", "FRI", "SAT", "SUN")
CRON = re.compile(r"cron\((\S+) (\S+) (\S+) (\S+) (\S+?)(?: (\S+))?\)")
WEEKLY = (
    "a time of the week is cron(MINUTE HOUR ? * DAYS *), with DAYS as in MON-FRI, SAT,SUN or *; "
    "what repeats otherwise is not simulated"
)
PER_CENT = 0.01

Predefined = Literal[
    "SageMakerVariantInvocationsPerInstance",
    "SageMakerVariantConcurrentRequestsPerModelHighResolution",
]
MetricName = Literal[
    "InvocationsPerInstance", "CPUUtilizationNormalized", "ConcurrentRequestsPerModel"
]
METRICS: dict[str, tuple[Metric, float]] = {
    "SageMakerVariantInvocationsPerInstance": ("invocations", 1.0),
    "SageMakerVariantConcurrentRequestsPerModelHighResolution": ("concurrency", 1.0),
    "InvocationsPerInstance": ("invocations", 1.0),
    "ConcurrentRequestsPerModel": ("concurrency", 1.0),
    "CPUUtilizationNormalized": ("cpu", PER_CENT),
}
"""Of this simulation, and how much of its unit the metric's own is."""


class PredefinedMetric(Part):
    type: Predefined = Field(alias="PredefinedMetricType")


class CustomMetric(Part):
    name: MetricName = Field(alias="MetricName")
    namespace: str | None = Field(default=None, alias="Namespace")
    statistic: Literal["Average"] = Field(default="Average", alias="Statistic")


class Tracking(Part):
    target: float = Field(alias="TargetValue", gt=0)
    predefined: PredefinedMetric | None = Field(
        default=None, alias="PredefinedMetricSpecification"
    )
    custom: CustomMetric | None = Field(default=None, alias="CustomizedMetricSpecification")
    out_s: float = Field(default=COOLDOWN_S, alias="ScaleOutCooldown", ge=0)
    in_s: float = Field(default=COOLDOWN_S, alias="ScaleInCooldown", ge=0)
    disable_scale_in: bool = Field(default=False, alias="DisableScaleIn")

    @model_validator(mode="after")
    def _names_one_metric(self) -> Self:
        if (self.predefined is None) == (self.custom is None):
            raise ValueError(
                "name one metric: PredefinedMetricSpecification or CustomizedMetricSpecification"
            )
        return self

    @property
    def scaling(self) -> TargetTracking:
        name = self.predefined.type if self.predefined is not None else ""
        metric, unit = METRICS[self.custom.name if self.custom is not None else name]
        can_scale_in = not self.disable_scale_in
        return TargetTracking(metric, self.target * unit, self.out_s, self.in_s, can_scale_in)


class Alarm(Part):
    """On which side of its threshold it goes off, its steps say."""

    name: MetricName = Field(alias="MetricName")
    threshold: float = Field(alias="Threshold", ge=0)
    operator: Literal["GreaterThanThreshold", "LessThanThreshold"] = Field(
        alias="ComparisonOperator"
    )


class StepAdjustment(Part):
    """Bounds are distances from the alarm's threshold, in the metric's own unit."""

    lower: float | None = Field(default=None, alias="MetricIntervalLowerBound")
    upper: float | None = Field(default=None, alias="MetricIntervalUpperBound")
    adjustment: int = Field(alias="ScalingAdjustment")


class Steps(Part):
    """One policy: what is done past one alarm."""

    alarm: Alarm = Field(alias="Alarm")
    kind: Literal["ChangeInCapacity"] = Field(default="ChangeInCapacity", alias="AdjustmentType")
    adjustments: tuple[StepAdjustment, ...] = Field(alias="StepAdjustments", min_length=1)
    cooldown_s: float = Field(default=COOLDOWN_S, alias="Cooldown", ge=0)

    @property
    def scales_out(self) -> bool:
        return self.alarm.operator == "GreaterThanThreshold"

    @model_validator(mode="after")
    def _is_whole(self) -> Self:
        return self._checked_out() if self.scales_out else self._checked_in()

    def _checked_out(self) -> Self:
        steps = self.adjustments
        if steps[0].lower not in (None, 0) or steps[-1].upper is not None:
            raise ValueError("steps out begin at a lower bound of 0, and the last has no upper")
        for before, after in pairwise(steps):
            if after.lower is None or before.upper != after.lower:
                raise ValueError(
                    "each step begins where the one before it ends: its "
                    "MetricIntervalUpperBound is the next one's MetricIntervalLowerBound"
                )
        if any(step.adjustment < 1 for step in steps):
            raise ValueError("a step above the threshold adds one instance or more")
        return self

    def _checked_in(self) -> Self:
        if len(self.adjustments) != 1 or self.adjustments[0].adjustment >= 0:
            raise ValueError(
                "below the threshold one step takes instances away (ScalingAdjustment: -1); "
                "more than one is not simulated"
            )
        return self


class Bounds(Part):
    least: int = Field(alias="MinCapacity", ge=1)
    most: int = Field(alias="MaxCapacity", ge=1)

    @model_validator(mode="after")
    def _is_in_order(self) -> Self:
        if self.least > self.most:
            raise ValueError(f"MinCapacity {self.least} is above MaxCapacity {self.most}")
        return self


class ScheduledAction(Part):
    """On the clock of the traffic."""

    name: str | None = Field(default=None, alias="ScheduledActionName")
    schedule: str = Field(alias="Schedule")
    action: Bounds = Field(alias="ScalableTargetAction")

    @field_validator("schedule")
    @classmethod
    def _is_weekly(cls, given: str) -> str:
        times_of_week(given)
        return given

    @property
    def bounds(self) -> tuple[ScheduledBounds, ...]:
        low, high = self.action.least, self.action.most
        return tuple(ScheduledBounds(at_s, low, high) for at_s in times_of_week(self.schedule))


class PolicyFile(Bounds):
    tracking: Tracking | None = Field(
        default=None, alias="TargetTrackingScalingPolicyConfiguration"
    )
    steps: tuple[Steps, ...] = Field(default=(), alias="StepScalingPolicyConfigurations")
    scheduled: tuple[ScheduledAction, ...] = Field(default=(), alias="ScheduledActions")

    @model_validator(mode="after")
    def _scales_in_one_way(self) -> Self:
        if self.tracking is not None and self.steps:
            raise ValueError("target tracking or steps: both together are not simulated")
        if self.steps and sorted(each.scales_out for each in self.steps) != [False, True]:
            raise ValueError(
                "steps are two policies: one GreaterThanThreshold, one LessThanThreshold"
            )
        if self.steps and len({each.alarm.name for each in self.steps}) > 1:
            raise ValueError("both alarms watch one MetricName")
        return self

    @property
    def policy(self) -> Policy:
        schedule = tuple(bounds for each in self.scheduled for bounds in each.bounds)
        scaling = FixedSize() if self.tracking is None else self.tracking.scaling
        return Policy(self.least, self.most, self._stepped or scaling, schedule)

    @property
    def _stepped(self) -> StepScaling | None:
        """The longer of the two cooldowns: the simulation has one."""
        if not self.steps:
            return None
        inwards, outwards = sorted(self.steps, key=lambda each: each.scales_out)
        metric, unit = METRICS[outwards.alarm.name]
        return StepScaling(
            metric,
            threshold_out=outwards.alarm.threshold * unit,
            threshold_in=inwards.alarm.threshold * unit,
            changes_out=tuple(
                ((step.lower or 0.0) * unit, step.adjustment) for step in outwards.adjustments
            ),
            change_in=-inwards.adjustments[0].adjustment,
            cooldown_s=max(each.cooldown_s for each in self.steps),
        )


def read_policy(file: Path) -> Policy:
    """Raises BadRequest that lists what is wrong, each with its line."""
    found = read_document(file, FORM, PolicyFile.model_validate)
    try:
        return found.policy
    except BadRequest as error:
        raise BadRequest(f"{file}: {error.message}", hint=error.hint or FORM.hint) from error


def times_of_week(schedule: str) -> tuple[float, ...]:
    """Seconds after Monday 00:00. Raises ValueError for what does not come every week alike."""
    found = CRON.fullmatch(schedule.strip())
    if found is None or any(field not in (None, "*", "?") for field in found.group(3, 4, 6)):
        raise ValueError(f"{schedule!r} is not simulated: {WEEKLY}")
    minutes, hours = (
        _numbers(text, most) for text, most in zip(found.group(1, 2), (59, 23), strict=True)
    )
    days = _days(found[5])
    if not (minutes and hours and days):
        raise ValueError(f"{schedule!r} is not understood: {WEEKLY}")
    return tuple(
        day * DAY_S + hour * HOUR_S + minute * MINUTE_S
        for day in days
        for hour in hours
        for minute in minutes
    )


def _numbers(text: str, most: int) -> list[int]:
    """Empty where it is no list of them."""
    parts = text.split(",")
    if not all(part.isdecimal() and int(part) <= most for part in parts):
        return []
    return sorted({int(part) for part in parts})


def _days(text: str) -> list[int]:
    """Monday is 0; empty where it is not understood. AWS counts Sunday as 1."""
    if text in ("*", "?"):
        return list(range(7))
    found: set[int] = set()
    for part in text.upper().split(","):
        ends = [_day(each) for each in part.split("-")]
        if len(ends) > 2 or None in ends:  # noqa: PLR2004 - from, to
            return []
        first, last = (day for day in (ends[0], ends[-1]) if day is not None)
        found |= {(first + n) % 7 for n in range((last - first) % 7 + 1)}
    return sorted(found)


def _day(text: str) -> int | None:
    if text in DAYS:
        return DAYS.index(text)
    return (int(text) - 2) % 7 if text.isdecimal() and 1 <= int(text) <= 7 else None  # noqa: PLR2004 - days
