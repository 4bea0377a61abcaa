"""Scaling policies in files: read as AWS words them, and refused with the line."""

import json
import re
from pathlib import Path

import pytest
from click.testing import CliRunner

from recommender.cli.app import cli
from recommender.errors import BadRequest
from recommender.simulation.policy_facts import facts_of
from recommender.simulation.policy_file import read_policy, times_of_week
from recommender.simulation.scaling_policy import (
    FixedSize,
    ScheduledBounds,
    StepScaling,
    TargetTracking,
)

DOCS = Path(__file__).parents[2] / "recommender" / "docs" / "simulation.md"
YAML = re.compile(r"```yaml\n(.*?)```", re.DOTALL)
DAY_S, HOUR_S = 86400.0, 3600.0
TRACKING = """\
MinCapacity: 2
MaxCapacity: 20
TargetTrackingScalingPolicyConfiguration:
  TargetValue: 4000
  PredefinedMetricSpecification:
    PredefinedMetricType: SageMakerVariantInvocationsPerInstance
  ScaleOutCooldown: 60
  DisableScaleIn: true
"""
STEPS = """\
MinCapacity: 2
MaxCapacity: 20
StepScalingPolicyConfigurations:
  - Alarm: {MetricName: CPUUtilizationNormalized, ComparisonOperator: GreaterThanThreshold, Threshold: 60}
    AdjustmentType: ChangeInCapacity
    StepAdjustments:
      - {MetricIntervalLowerBound: 0, MetricIntervalUpperBound: 20, ScalingAdjustment: 1}
      - {MetricIntervalLowerBound: 20, ScalingAdjustment: 3}
    Cooldown: 120
  - Alarm: {MetricName: CPUUtilizationNormalized, ComparisonOperator: LessThanThreshold, Threshold: 30}
    StepAdjustments: [{MetricIntervalUpperBound: 0, ScalingAdjustment: -1}]
"""  # noqa: E501 - as a user may write it
SCHEDULED = """\
MinCapacity: 1
MaxCapacity: 9
ScheduledActions:
  - ScheduledActionName: morning
    Schedule: cron(30 6 ? * MON-FRI *)
    ScalableTargetAction: {MinCapacity: 8, MaxCapacity: 9}
"""


@pytest.fixture
def read(tmp_path):
    def read(text):
        file = tmp_path / "policy.yaml"
        file.write_text(text)
        return read_policy(file)

    return read


def test_every_policy_in_the_docs_is_a_policy(read):
    found = [text for text in YAML.findall(DOCS.read_text()) if "MinCapacity" in text]
    assert [type(read(text).scaling) for text in found] == [TargetTracking, StepScaling]


def test_the_schema_has_the_keys_as_they_are_written():
    printed = CliRunner().invoke(cli, ["schema", "policy"]).stdout
    assert set(json.loads(printed)["properties"]) == {
        "MinCapacity", "MaxCapacity", "TargetTrackingScalingPolicyConfiguration",
        "StepScalingPolicyConfigurations", "ScheduledActions",
    }  # fmt: skip


def test_target_tracking_is_read(read):
    policy = read(TRACKING)
    assert (policy.min_replicas, policy.max_replicas) == (2, 20)
    assert policy.scaling == TargetTracking("invocations", 4000, 60, 300, can_scale_in=False)


def test_per_cent_of_cpu_become_a_share(read):
    """Of the threshold and of the distances from it; the longer cooldown holds."""
    assert read(STEPS).scaling == StepScaling(
        "cpu", 0.6, 0.3, ((0.0, 1), (0.2, 3)), change_in=1, cooldown_s=300
    )


def test_a_schedule_sets_bounds_at_times_of_the_week(read):
    policy = read(SCHEDULED)
    assert policy.scaling == FixedSize()
    at_s = 6.5 * HOUR_S
    assert policy.schedule == tuple(ScheduledBounds(day * DAY_S + at_s, 8, 9) for day in range(5))
    assert facts_of(policy).text == "1 to 9; from Mon-Fri 06:30 8 to 9"


@pytest.mark.parametrize(
    ("schedule", "times"),
    [
        ("cron(0 8 ? * MON *)", [8 * HOUR_S]),
        ("cron(0 8 * * 1)", [6 * DAY_S + 8 * HOUR_S]),
        (
            "cron(15 0,12 ? * SUN-MON *)",
            [900, 12.25 * HOUR_S, 6 * DAY_S + 900, 6.51041666 * DAY_S],
        ),
    ],
    ids=["monday", "sunday-by-number", "over-the-weekend"],
)
def test_times_of_the_week_are_those_of_cron(schedule, times):
    assert sorted(times_of_week(schedule)) == pytest.approx(times)


@pytest.mark.parametrize(
    ("found", "instead", "message"),
    [
        ("ScaleOutCooldown", "ScaleOutCoolDown", "line 7.*did you mean `ScaleOutCooldown`"),
        ("TargetValue: 4000", "TargetValue: -1", "line 4.*greater than 0, not -1"),
        ("SageMakerVariantInvocationsPerInstance", "CPU", "line 6.*not 'CPU'"),
        ("MaxCapacity: 20", "MaxCapacity: 1", "MinCapacity 2 is above MaxCapacity 1"),
        ("MinCapacity: 2\n", "", "`MinCapacity` is missing"),
        ("MinCapacity: 2", "MaxCapacity: 20", "line 2: `MaxCapacity` is given twice"),
    ],
    ids=["key", "value", "metric", "bounds", "missing", "twice"],
)  # fmt: skip
def test_what_is_wrong_is_told_with_its_line(read, found, instead, message):
    with pytest.raises(BadRequest, match=message):
        read(TRACKING.replace(found, instead, 1))


@pytest.mark.parametrize(
    ("found", "instead", "message"),
    [
        ("UpperBound: 20", "UpperBound: 10", "line 4.*begins where the one before it ends"),
        ("ScalingAdjustment: -1", "ScalingAdjustment: 1", "line 10.*takes instances away"),
        ("Threshold: 30", "Threshold: 70", "scaling in below 0.7 and out above 0.6"),
        ("ChangeInCapacity", "ExactCapacity", "line 5.*'ChangeInCapacity', not 'ExactCapacity'"),
    ],
    ids=["gap", "sign", "order", "kind"],
)
def test_wrong_steps_are_told(read, found, instead, message):
    with pytest.raises(BadRequest, match=message):
        read(STEPS.replace(found, instead, 1))


def test_steps_need_an_alarm_on_each_side(read):
    outwards = STEPS[: STEPS.rindex("  - Alarm")]
    with pytest.raises(BadRequest, match="one GreaterThanThreshold, one LessThanThreshold"):
        read(outwards)


@pytest.mark.parametrize("days", ["cron(30 6 1 * MON *)", "rate(1 day)", "cron(61 6 ? * FUN *)"])
def test_what_does_not_come_every_week_is_refused(read, days):
    with pytest.raises(BadRequest, match=r"line 5.*a time of the week is cron"):
        read(SCHEDULED.replace("cron(30 6 ? * MON-FRI *)", days))
