"""One fleet under one policy, on a run that was measured by simulation."""

import ast
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from botocore.session import get_session
from botocore.validate import ParamValidator

from loadtests.environment import utc_now
from pricing import load_book
from recommender.errors import BadRequest
from recommender.performance.speed_prior import SpeedPrior
from recommender.simulation.advice import boto3_script, deployable
from recommender.simulation.asking import NO_LIMIT, Tracking, fixed_size
from recommender.simulation.fleet_day import FleetStage, verdict
from recommender.simulation.market import market_of
from recommender.simulation.reports import cheapest_mix, scaling_report, ways_report
from recommender.simulation.scaling_policy import AlarmTiming, Policy, StepScaling
from recommender.simulation.served import Terms
from recommender.simulation.traffic import TrafficTrace

sys.path.insert(0, str(Path(__file__).parents[1] / "recommender"))

from measured_runs import Server, demand, measure

HOURS_RPS = np.array([20.0, 60.0, 400.0, 900.0, 300.0, 20.0])
MACHINES = ("ml.c7i.large", "ml.c8g.medium")


@pytest.fixture(scope="module")
def stage():
    known = load_book("2026-11-21"), SpeedPrior.bundled()
    terms = Terms(TrafficTrace(3600.0, HOURS_RPS), "hours", AlarmTiming(), draws=8)
    asked = demand("1rps", instance_types=MACHINES)
    return FleetStage(market_of(measure(Server()).run, asked, terms, known))


@pytest.fixture(scope="module")
def searched(stage):
    return stage.day(None, None)


@pytest.fixture(scope="module")
def tracked(stage):
    return stage.day(Tracking(3000.0, least=1, most=12).policy, None)


def test_what_is_wanted_is_never_less_than_what_serves_and_is_more_while_some_start(tracked):
    course = tracked.chosen.course
    paid, serving = np.array(course.fleet.paid), np.array(course.replicas)
    assert (paid >= serving - 1e-9).all()
    assert (paid > serving + 0.5).any()
    assert tracked.usd_per_hour_course == pytest.approx(paid * tracked.usd_per_hour)


def test_quantiles_of_latency_are_in_their_order(tracked):
    course = tracked.chosen.course
    ordered = np.array([course.fleet.p50_s, course.latency_s, course.fleet.p99_s])
    assert (np.diff(ordered, axis=0) >= 0).all()


def test_the_policy_searched_for_is_the_one_that_scaling_recommends(stage, searched):
    recommended = scaling_report(stage.market, utc_now())
    assert searched.chosen.policy == recommended.ways[0].policy
    assert searched.chosen.usd_per_month == recommended.ways[0].usd_per_month
    assert searched.explanation == recommended.explanation
    assert searched.deploy == recommended.deploy


def test_a_machine_may_be_chosen_of_those_that_meet_the_objective(stage, searched):
    names = [each.name for each in searched.machines]
    assert sorted(names) == sorted(MACHINES)
    costs = [each.usd_per_month for each in searched.machines]
    assert costs == sorted(costs)
    assert searched.machine == names[0]
    assert stage.day(fixed_size(9), names[1]).machine == names[1]
    with pytest.raises(BadRequest, match="does not meet p95"):
        stage.day(None, "ml.p5.48xlarge")


def test_the_verdict_says_whether_at_what_cost_and_against_what(stage, searched):
    ways = ways_report(stage.market, utc_now(), ("fixed", "two-types"))
    first, beside, cheapest = verdict(searched, ways)
    assert "meets p95<100ms" in first
    assert "of the requests are in time, for $" in first
    assert beside.startswith("A fixed fleet for the peak, ml.")
    assert beside.endswith("more).")
    assert cheapest.startswith("The cheapest way found: ")
    assert cheapest_mix(ways).name == "two-types"
    too_small = verdict(stage.day(fixed_size(1), None), None)[0]
    assert "A fixed fleet of 1" in too_small
    assert "misses p95<100ms" in too_small


def test_what_is_to_be_deployed_is_what_aws_takes():
    policy = Tracking(700.0, "invocations", 2, 9, 60.0, 300.0, can_scale_in=False).policy
    found = deployable(policy)
    service = get_session().get_service_model("application-autoscaling")
    bodies = {
        "RegisterScalableTarget": found.register_scalable_target,
        "PutScalingPolicy": found.put_scaling_policy,
    }
    for name, body in bodies.items():
        shape = service.operation_model(name).input_shape
        assert not ParamValidator().validate(body, shape).has_errors()
    configuration = found.put_scaling_policy["TargetTrackingScalingPolicyConfiguration"]
    assert configuration["DisableScaleIn"] is True
    calls = [
        node for node in ast.walk(ast.parse(boto3_script(found))) if isinstance(node, ast.Call)
    ]
    given = [{each.arg: ast.literal_eval(each.value) for each in call.keywords} for call in calls]
    assert found.register_scalable_target in given
    assert found.put_scaling_policy in given


def test_what_aws_has_no_predefined_metric_for_is_not_to_be_deployed():
    requests = deployable(Tracking(2.0, "concurrency").policy)
    metric = requests.put_scaling_policy["TargetTrackingScalingPolicyConfiguration"]
    assert "Concurrent" in metric["PredefinedMetricSpecification"]["PredefinedMetricType"]
    assert deployable(Tracking(0.5, "cpu").policy) is None
    assert deployable(fixed_size(3)) is None
    assert deployable(Policy(1, 9, StepScaling("invocations", 900.0, 500.0))) is None


def test_without_a_most_there_is_no_limit_and_bounds_must_fit():
    assert Tracking(700.0).policy.max_replicas == NO_LIMIT
    with pytest.raises(BadRequest, match="9 to 2 replicas"):
        _ = replace(Tracking(700.0), least=9, most=2).policy
