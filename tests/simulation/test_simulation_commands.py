"""`recommender simulate` and `recommender scaling` on a run that was measured by simulation."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from recommender.cli.app import cli
from recommender.cli.output import Destinations
from recommender.cli.simulation_tables import present_bench
from recommender.errors import BadRequest
from recommender.request import QuickRequest, Source
from recommender.simulation.bench import BenchCase, BenchTimed
from recommender.simulation.report import SimulationReport
from recommender.simulation.traffic_files import read_traffic_file
from recommender.simulation.ways.found import WAYS
from recommender.store import open_store

sys.path.insert(0, str(Path(__file__).parents[1] / "recommender"))

from measured_runs import SLO, Server, demand, measure

ROOT = Path(__file__).parents[2]
ONE_MACHINE = ("--instance-type", "ml.c7i.large")
DAY = "time,requests\n" + "\n".join(
    f"2026-03-02T{hour:02}:00Z,{5_400_000 if 8 <= hour < 18 else 540_000}" for hour in range(24)
)


STEPS = """
MinCapacity: 1
MaxCapacity: 9
StepScalingPolicyConfigurations:
  - Alarm:
      MetricName: InvocationsPerInstance
      ComparisonOperator: GreaterThanThreshold
      Threshold: 9000
    StepAdjustments:
      - {MetricIntervalLowerBound: 0, MetricIntervalUpperBound: 3000, ScalingAdjustment: 1}
      - {MetricIntervalLowerBound: 3000, ScalingAdjustment: 2}
  - Alarm:
      MetricName: InvocationsPerInstance
      ComparisonOperator: LessThanThreshold
      Threshold: 5000
    StepAdjustments: [{MetricIntervalUpperBound: 0, ScalingAdjustment: -1}]
ScheduledActions:
  - Schedule: cron(30 7 ? * MON-FRI *)
    ScalableTargetAction: {MinCapacity: 3, MaxCapacity: 9}
  - Schedule: cron(0 19 * * ? *)
    ScalableTargetAction: {MinCapacity: 1, MaxCapacity: 9}
"""


@pytest.fixture(scope="module")
def url(tmp_path_factory):
    folder = tmp_path_factory.mktemp("store")
    found = f"sqlite:///{folder}/store.sqlite3"
    asked = demand("20rps")
    request = QuickRequest(
        source=Source(kind="sample"), traffic=asked.traffic, slo=SLO, constraints=asked.constraints
    )
    with open_store(found, default_folder=folder) as store:
        measure(Server()).keep_in(store, request)
    return found


@pytest.fixture
def answer(url):
    """The document that a command writes, and its exit code."""

    def ask(*arguments):
        given = [*arguments, "--store", url, "--json", "-"]
        result = CliRunner().invoke(cli, given, catch_exceptions=False)
        return SimulationReport.model_validate_json(result.stdout), result.exit_code

    return ask


@pytest.fixture
def day(tmp_path):
    file = tmp_path / "day.csv"
    file.write_text(DAY)
    return str(file)


def test_every_way_to_serve_is_ranked_by_cost_or_missing_with_its_reason(answer, day):
    found, code = answer("simulate", "--traffic", day, "--platform", "sagemaker", *ONE_MACHINE)
    assert code == 0
    told = [way.name for way in found.ways] + [each.name for each in found.missing]
    assert sorted(told) == sorted(WAYS)
    meeting = [way for way in found.ways if way.meets and not way.at_best]
    costs = [float(way.usd_per_month) for way in meeting]
    assert found.meets
    assert costs == sorted(costs)
    assert found.ways[: len(meeting)] == tuple(meeting)
    reasons = {each.name: each.reason for each in found.missing}
    assert "EC2 is not among the platforms" in reasons["spot"]
    assert "serverless is not among the platforms" in reasons["serverless"]
    for way in found.ways:
        assert float(way.usd_per_month) == pytest.approx(sum(float(i.usd) for i in way.items))


@pytest.fixture(scope="module")
def everything(url, tmp_path_factory):
    """Of a morning: all that can be bought, with what is not fleets, and its break-even chart."""
    folder = tmp_path_factory.mktemp("all")
    day, written, chart = folder / "day.csv", folder / "a.json", folder / "chart.html"
    day.write_text(DAY)
    given = [
        "simulate", "--traffic", str(day), "--store", url, "--json", str(written),
        "--chart", str(chart), "--way", "serverless", "--way", "provisioned",
        "--way", "provisioned-scaled", "--way", "spot", "--way", "layers",
        "--way", "fixed", "--savings-plan", "0.4",
    ]  # fmt: skip
    CliRunner().invoke(cli, given, catch_exceptions=False)
    return SimulationReport.model_validate_json(written.read_text()), chart.read_text()


def test_serverless_spot_and_layers_have_bills_that_add_up(everything):
    found, _ = everything
    ways = {way.name: way for way in found.ways}
    assert len(ways) == 6
    assert {item.unit for item in ways["serverless"].items} == {"second", "GB"}
    assert any(item.name == "provisioned" for item in ways["provisioned"].items)
    assert [item.name for item in ways["spot"].items][:2] == ["spot", "on-demand"]
    assert ways["layers"].at_best
    assert any("saves 40%" in note for note in ways["layers"].notes)
    for way in ways.values():
        assert float(way.usd_per_month) == pytest.approx(sum(float(i.usd) for i in way.items))


def test_break_even_points_lie_where_two_curves_cost_the_same(everything):
    found, chart = everything
    exact = found.break_even
    curves = {curve.name: curve for curve in exact.curves}
    assert {"serverless", "fixed", "spot"} <= set(curves)
    assert exact.requests_per_month == pytest.approx(found.traffic.mean_rps * 730 * 3600)
    met = [each for each in exact.crossings if not each.at_a_step]
    assert met
    for each in met:
        at = each.requests_per_month
        for name in (each.cheaper_below, each.cheaper_above):
            curve = curves[name]
            usd = np.interp(at, curve.requests_per_month, curve.usd_per_month)
            assert usd == pytest.approx(each.usd_per_month, rel=0.01)
    assert "Plotly" in chart
    ways = {way.name: float(way.usd_per_month) for way in found.ways}
    for name in ("fixed", "serverless"):
        curve = curves[name]
        now = np.interp(exact.requests_per_month, curve.requests_per_month, curve.usd_per_month)
        assert now == pytest.approx(ways[name], rel=0.01)


def test_zones_cost_more_and_bear_the_loss_of_one(everything):
    single, double, _ = everything[0].zones
    assert (single.zones, single.extra_usd_per_month) == (1, 0)
    assert double.extra_usd_per_month > 0
    assert double.lost_ratio <= 0.01 < single.lost_ratio


def test_your_own_target_is_one_of_the_ways(answer, day):
    found, _ = answer(
        "simulate", "--traffic", day, "--target", "5000", "--max", "9", "--no-scale-in",
        "--way", "fixed", *ONE_MACHINE,
    )  # fmt: skip
    ways = {way.name: way for way in found.ways}
    yours = ways["yours"]
    assert (yours.policy.target, yours.policy.max_replicas) == (5000, 9)
    assert not yours.policy.can_scale_in
    assert found.traffic.start == "2026-03-02T00:00:00+00:00"
    assert found.traffic.duration_s == 86400
    course = yours.course
    assert len(course.replicas) * course.step_s == pytest.approx(86400, rel=0.01)
    assert max(course.replicas) <= yours.replicas_most
    mean_rps = sum(course.rate_rps) / len(course.rate_rps)
    assert mean_rps == pytest.approx(found.traffic.mean_rps, rel=0.02)


def test_a_policy_in_a_file_is_one_of_the_ways(answer, day, tmp_path):
    file = tmp_path / "policy.yaml"
    file.write_text(STEPS)
    found, _ = answer("simulate", "--traffic", day, "--policy", str(file), "--way", "fixed")
    yours = next(way for way in found.ways if way.name == "yours")
    assert yours.policy.kind == "step"
    assert yours.text.endswith("from Mon-Fri 07:30 3 to 9, daily 19:00 1 to 9")
    assert max(yours.course.replicas) >= 3


def test_a_ranking_may_simulate_its_shortlist(url, day):
    """Machines that differ, each with a policy of its own; the ranking itself is as without."""
    given = [
        "rank", "--traffic", day, "--simulate", "2", "--platform", "sagemaker", "--top", "1",
        "--instance-type", "ml.c7i.large", "--instance-type", "ml.c7i.xlarge", "--store", url,
    ]  # fmt: skip
    plain, simulated = CliRunner().invoke(cli, given).stdout.split("Simulated: 2 machines")
    assert "ml.c7i.xlarge (SageMaker real-time" in plain
    rows = [line for line in simulated.splitlines() if line.startswith("scaled: ")]
    assert sorted(row.split()[1] for row in rows) == ["ml.c7i.large", "ml.c7i.xlarge"]


def test_without_traffic_it_is_the_runs_own(answer):
    found, _ = answer("simulate", "--replicas", "2", "--way", "fixed", *ONE_MACHINE)
    assert found.traffic.mean_rps == pytest.approx(20)
    yours = next(way for way in found.ways if way.name == "yours")
    assert yours.policy.min_replicas == 2


def test_all_that_is_assumed_of_the_traffic_is_said_to_a_person_and_in_files(url, day, tmp_path):
    written, page = tmp_path / "answer.json", tmp_path / "answer.md"
    given = [
        "simulate", "--traffic", day, "--growth", "2", "--for", "2day", "--spread", "0.3",
        "--target", "3000", "--way", "fixed", "--store", url, *ONE_MACHINE,
        "--json", str(written), "--markdown", str(page),
    ]  # fmt: skip
    text = CliRunner().invoke(cli, given, catch_exceptions=False).stdout
    assert "$/month" in text
    assert "Assumed" in text
    assert "instance-hour" in text
    assert "| fixed: ml.c7i.large" in page.read_text()
    found = SimulationReport.model_validate_json(written.read_text())
    assert found.traffic.duration_s == 2 * 86400
    assert found.traffic.peak_rps == pytest.approx(3000)
    assert found.traffic.text.endswith("x 2")
    bill = next(way for way in found.ways if way.name == "yours").usd_per_month_range
    assert bill.high > 1.2 * bill.low


def test_scaling_gives_a_policy_to_deploy_and_says_why(answer, day):
    found, code = answer("scaling", "--traffic", day, *ONE_MACHINE)
    assert (code, found.meets) == (0, True)
    best = found.ways[0]
    target = found.deploy.register_scalable_target
    assert target["MinCapacity"] == best.policy.min_replicas
    assert target["MaxCapacity"] == best.policy.max_replicas
    configuration = found.deploy.put_scaling_policy["TargetTrackingScalingPolicyConfiguration"]
    assert configuration["TargetValue"] == best.policy.target
    assert any("cheapest" in line for line in found.explanation)
    assert best.probability >= 0.8


def test_the_bench_says_what_a_day_takes_and_what_the_goal_is(capsys):
    timed = [BenchTimed(BenchCase("a week", 7 * 86400.0, 1, 1, goal_s=1.0), seconds=0.7)]
    present_bench(timed, Destinations(json_file=None, markdown=None, color=False))
    shown = capsys.readouterr().out
    assert "a week" in shown
    assert "0.1000" in shown
    present_bench(timed, Destinations(json_file="-", markdown=None, color=False))
    assert json.loads(capsys.readouterr().out)[0]["case"]["goal_s"] == 1.0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--replicas", "2", "--target", "5"], "name one"),
        (["--for", "400day"], "traffic of 400day"),
        (["--slo", "p95<1ms"], "no instance that can be simulated meets"),
    ],
)
def test_what_cannot_be_simulated_is_said(url, arguments, message):
    given = ["simulate", *arguments, "--way", "fixed", "--store", url, *ONE_MACHINE]
    result = CliRunner().invoke(cli, given)
    assert isinstance(result.exception, BadRequest)
    assert message in str(result.exception)


def test_where_no_way_surely_meets_the_objective_the_exit_code_says_so(answer, day):
    found, code = answer(
        "simulate", "--traffic", day, "--replicas", "1", "--way", "formula",
        "--confidence", "0.99", *ONE_MACHINE,
    )  # fmt: skip
    assert not any(way.meets for way in found.ways)
    assert (code, found.meets) == (5, False)


def test_where_no_way_has_ground_its_reason_is_the_error(url):
    given = ["simulate", "--way", "spot", "--platform", "sagemaker", "--store", url]
    result = CliRunner().invoke(cli, given)
    assert isinstance(result.exception, BadRequest)
    assert "EC2 is not among the platforms" in str(result.exception)
    assert result.exception.hint == "--platform ec2"


def test_a_duration_that_is_none_is_a_usage_error(url):
    result = CliRunner().invoke(cli, ["simulate", "--for", "long", "--store", url])
    assert result.exit_code == 2
    assert "'long' is no duration" in result.output


def test_the_week_of_the_docs_is_a_week():
    week = read_traffic_file(ROOT / "recommender" / "docs" / "week.csv")
    assert week.duration_s == 7 * 86400
    assert (
        "mean 240rps, peak 690rps" in (ROOT / "recommender" / "docs" / "simulation.md").read_text()
    )
    assert week.mean_rps == pytest.approx(240, abs=0.5)
    assert week.peak_rps == pytest.approx(690, abs=0.5)
