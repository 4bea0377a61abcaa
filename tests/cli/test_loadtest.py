"""`recommender loadtest` on servers whose truth is known: every mode, every load, every end."""

import json
import re
import signal
from datetime import datetime
from itertools import pairwise
from statistics import median
from typing import Any, NamedTuple

import pytest

from loadtests.demo_server import DemoServer
from loadtests.demo_server.theory import capacity_rps
from recommender.loadtest.report import LoadTestReport
from recommender.loadtest.verdict import verdict

pytestmark = pytest.mark.locust

INVALID = 4
SERVICE_S = 0.004
SEARCHED = """
name: what it can do
model: "demo: --servers 1 --service det:0.004"
payloads: payload.json
configurations: [{name: demo, usd_per_hour: 0.36}]
slo: {strict: p95<15ms, loose: "p95<40ms, error_rate<1%"}
duration: 3
rung: 0.5
scenarios:
  - {mode: capacity, most_open: 2}
  - {mode: profile, points: 3}
  - {mode: offline, rows_per_request: 10}
"""
INSTRUMENT = 0.08  # of the capacity: what 0.2 ms of a client's own time are worth at 4 ms

DRIVEN = """
name: every kind of load
model: "demo: --servers 1 --service det:0.002"
payloads: payload.json
configurations: [{name: demo}]
slo: p50<500ms, error_rate<10%
scenarios:
  - {name: steady, traffic: 150rps, duration: 1.5}
  - {name: even, traffic: 150rps, duration: 1.5, arrivals: constant}
  - {name: clumped, traffic: 150rps, duration: 1.5, arrivals: {gamma: 1.5}}
  - {name: ramp, traffic: {kind: ramp, start_rps: 100, end_rps: 200, duration_s: 1.5}}
  - name: steps
    traffic: {kind: steps, steps: [{rps: 100, duration_s: 0.75}, {rps: 200, duration_s: 0.75}]}
  - name: burst
    traffic: {kind: burst, base_rps: 100, burst_rps: 250, for_s: 0.25, every_s: 0.5}
    duration: 1.5
  - {name: diurnal, traffic: {kind: diurnal, mean_rps: 150, peak_rps: 250, period_s: 1.5}}
  - {name: hourly, traffic: {kind: hourly, file: day.csv, hour_s: 750ms}}
  - {name: replay, traffic: {kind: replay, file: times.txt, speed: 1.5}}
  - name: phases
    traffic:
      TrafficType: PHASES
      Phases: [{InitialNumberOfUsers: 1, SpawnRate: 80, DurationInSeconds: 1.5}]
  - name: stairs
    traffic:
      TrafficType: STAIRS
      Stairs: {UsersPerStep: 1, NumberOfSteps: 2, DurationInSeconds: 1.5}
"""
ASKED = {
    "steady": 225, "even": 225, "clumped": 225, "ramp": 225, "steps": 225, "burst": 262.5,
    "diurnal": 225, "hourly": 225, "replay": 400,
}  # fmt: skip
EXACT = {"even", "replay"}
CLOSED = {"phases", "stairs"}

COMPARED = """
name: two builds
model: "demo: --servers 1 --service det:0.001"
payloads: payload.json
configurations:
  - name: old
  - {name: new, model: "demo: --servers 1 --service det:0.004"}
mode: compare
traffic: 300rps
duration: 4
"""

TUNED = """
name: settings
model: "sh -c 'exec demo: --service det:0.004 --servers ${DEMO_SERVERS:-1}'"
payloads: payload.json
configurations: [{name: demo}]
mode: tune
environment: {NOBODY_READS: [a, b], DEMO_SERVERS: [1, 0]}
objective: throughput
shortest_s: 1
trial_s: 1
"""

FOUR = """
model: "demo: --servers 1 --service det:0.002"
payloads: payload.json
configurations: [{name: demo}]
slo: p95<500ms, error_rate<10%
traffic: 200rps
duration: 1.5
scenarios: [{name: one}, {name: two}, {name: three}, {name: four}]
"""


class Seen(NamedTuple):
    """reports: of each time it was tried, the last at the end."""

    program: Any
    done: Any
    reports: list[LoadTestReport]

    @property
    def report(self):
        return self.reports[-1]

    def test(self, scenario):
        """The first that came to its end."""
        tests = [test for each in self.reports for test in each.tests if test.scenario == scenario]
        return next((each for each in tests if each.state == "finished"), tests[-1])

    def answer(self, scenario):
        found = self.test(scenario)
        assert found.state == "finished", found.reason
        return found.answer


def report_in(program):
    return LoadTestReport.model_validate_json((program.folder / "report.json").read_text())


@pytest.fixture(scope="module")
def look_at(loadtested):
    def look(plan):
        program, done, reports = loadtested(plan)
        return Seen(program, done, list(map(LoadTestReport.model_validate_json, reports)))

    return look


@pytest.fixture(scope="module")
def searched(look_at):
    return look_at(SEARCHED)


@pytest.fixture(scope="module")
def driven(look_at):
    return look_at(DRIVEN)


def holds(interval, truth, widened=0.0):
    low, high = interval.low * (1 - widened), interval.high * (1 + widened)
    return low <= truth <= high


def test_the_capacity_under_each_tier_is_that_of_theory(searched):
    tiers = {each.tier: each for each in searched.answer("capacity").tiers}
    server = DemoServer(service=f"det:{SERVICE_S}")
    for name, limit_s in (("strict", 0.015), ("loose", 0.040)):
        truth_rps = capacity_rps(server, 0.95, limit_s)
        assert holds(tiers[name].capacity_rps, truth_rps, INSTRUMENT), tiers[name]
        assert tiers[name].saturation_rps == pytest.approx(1 / SERVICE_S, rel=0.1)
    assert tiers["strict"].capacity_rps.value < tiers["loose"].capacity_rps.value


def test_money_is_told_at_the_rate_that_was_found(searched):
    (first, _) = searched.answer("capacity").tiers
    by_hand = 0.36 / (first.capacity_rps.value * 3600) * 1e6
    assert float(first.usd_per_million) == pytest.approx(by_hand)
    assert searched.report.cost_of_measuring.usd == "0"  # a process here is billed by nobody


def test_the_curve_rises_to_the_knee_that_theory_has(searched):
    curve = searched.answer("profile").curve
    assert len(curve.points) == 3
    medians = [
        next(each.seconds.value for each in point.latency if each.quantile == 0.95)
        for point in curve.points
    ]
    assert medians == sorted(medians)
    # M/D/1: p95 is two services where (1-u)e^u = 0.95, at a utilization u of 0.287 (Erlang 1909)
    assert holds(curve.knee.rate_rps, 0.287 / SERVICE_S, INSTRUMENT)
    assert curve.saturation.measured_rps == pytest.approx(1 / SERVICE_S, rel=0.1)


def test_a_batch_runs_as_fast_as_the_server_can(searched):
    offline = searched.answer("offline").offline
    assert offline.requests_per_s.value == pytest.approx(1 / SERVICE_S, rel=0.05)
    assert offline.rows_per_s.value == pytest.approx(10 * offline.requests_per_s.value)


def test_every_finding_is_told_in_the_table_and_in_markdown_alike(searched):
    markdown = (searched.program.folder / "report.md").read_text()
    table = " ".join(searched.done.stdout.split())
    for test in searched.report.tests:
        assert test.findings
        for finding in test.findings:
            assert finding in markdown
            assert finding in table


def test_a_stored_run_is_listed_and_shown_again_without_measuring(searched):
    program = searched.program
    listed = json.loads(program.run("list", "--limit", "1", "--json").stdout)[0]
    assert (listed["kind"], listed["status"]) == ("loadtest", "finished")
    assert listed["id"] == searched.report.run
    assert listed["measured"] == "what it can do"
    assert listed["verdict"] == verdict(searched.report)
    shown = program.run("show", listed["id"], "--json", "again.json")
    assert shown.returncode == 0
    assert shown.stdout == searched.done.stdout
    again = (program.folder / "again.json").read_text()
    assert again == (program.folder / "report.json").read_text()
    assert program.nothing_left()


@pytest.mark.parametrize("kind", ASKED)
def test_each_kind_of_traffic_is_asked_as_planned_and_judged(driven, kind):
    answer = driven.answer(kind)
    assert answer.loop == "open"
    assert {each.verdict.value for each in answer.verdicts} == {"met"}
    assert driven.done.returncode in (0, INVALID)
    (run,) = driven.test(kind).runs
    asked, found = ASKED[kind], run.measurement
    spread = 1 if kind in EXACT else 5 * 1.5 * asked**0.5
    assert abs(found.due - asked) <= spread
    assert found.due == found.succeeded + found.failed + found.dropped + found.unfinished
    fastest_s = min(each.seconds.value for each in found.latency)
    assert 0.002 <= fastest_s < 0.02


@pytest.mark.parametrize("kind", sorted(CLOSED))
def test_users_who_wait_get_what_the_server_can_do(driven, kind):
    assert driven.answer(kind).loop == "closed"
    (run,) = driven.test(kind).runs
    assert 300 < run.measurement.throughput_rps <= 505
    assert any("closed loop" in finding for finding in driven.test(kind).findings)


def test_what_was_explained_is_what_happened(driven):
    program = driven.program
    stored = len(json.loads(program.run("list", "--json").stdout))
    told = program.run("loadtest", "plan.yaml", "--explain")
    assert told.returncode == 0
    (about_s,) = re.findall(r"11 tests, about (\d+) s", told.stdout)
    tests = driven.report.tests
    runs = [run.measurement for test in tests for run in (*test.runs, *test.invalid)]
    runs.sort(key=lambda each: each.started_at)
    began_s = [datetime.fromisoformat(each.started_at).timestamp() for each in runs]
    pauses_s = [
        after_s - before_s - run.elapsed_s
        for (before_s, after_s), run in zip(pairwise(began_s), runs, strict=False)
    ]
    lasted_s = sum(each.elapsed_s for each in runs) / len(runs)
    took_s = runs[0].target.setup_s + len(tests) * (lasted_s + median(pauses_s))
    assert float(about_s) == pytest.approx(took_s, rel=0.2)
    assert len(json.loads(program.run("list", "--json").stdout)) == stored
    assert program.nothing_left()


def test_a_slower_build_fails_its_comparison(look_at):
    seen = look_at(COMPARED)
    assert seen.done.returncode == 3, seen.done.stdout
    (test,) = seen.report.tests
    (comparison,) = test.answer.comparisons
    assert (comparison.baseline, comparison.candidate) == ("old", "new")
    assert comparison.verdict.value == "fail"
    latency = next(each for each in comparison.differences if each.of == "latency")
    assert latency.baseline < 0.003
    assert latency.candidate > 0.004
    assert "new against old: FAIL." in seen.done.stdout
    counts = {run.configuration: run.measurement.due for run in test.runs}
    assert abs(counts["old"] - counts["new"]) < 5 * sum(counts.values()) ** 0.5


def test_a_setting_that_changes_nothing_is_not_called_better_and_one_that_breaks_is_dropped(
    look_at,
):
    seen = look_at(TUNED)
    assert seen.done.returncode == 0, seen.done.stdout
    tuning = seen.answer("tune").tuning
    assert tuning.best.setting["DEMO_SERVERS"] == "1"
    assert tuning.best.score == pytest.approx(1 / SERVICE_S, rel=0.1)
    assert not tuning.gain.is_sure
    assert "No setting is surely better than the baseline." in seen.done.stdout
    broken = [each for each in tuning.dropped if each.setting["DEMO_SERVERS"] == "0"]
    assert broken
    assert all("servers cannot be 0" in each.reason for each in broken)
    assert "servers cannot be 0" in " ".join(seen.done.stdout.split())
    assert seen.program.nothing_left()


def test_a_leak_is_found_by_a_soak(look_at):
    seen = look_at("""
model: "demo: --servers 1 --service det:0.001 --leak 20000"
payloads: payload.json
configurations: [{name: demo}]
scenarios: [{name: soak, mode: soak, traffic: 250rps, duration: 8}]
""")
    trends = {each.of: each for each in seen.answer("soak").soak.trends}
    leaked_per_hour = 20_000 * 250 * 3600
    assert trends["memory"].verdict.value == "drifting"
    assert trends["memory"].per_hour.value == pytest.approx(leaked_per_hour, rel=0.25)
    assert trends["answered"].verdict.value != "drifting"


def test_a_killed_run_goes_on_and_measures_nothing_twice(recommender):
    recommender.write_plan(FOUR)
    process = recommender.start("loadtest", "plan.yaml")
    wait_for_words(process.stderr, "demo: two:")
    process.send_signal(signal.SIGKILL)
    process.wait()
    (listed,) = json.loads(recommender.run("list", "--json").stdout)
    assert listed["status"] == "interrupted"
    recommender.run("show", "--json", "report.json")
    before = kept_runs(report_in(recommender))
    recommender.run("loadtest", "--resume", listed["id"], "--quiet", "--json", "report.json")
    (listed,) = json.loads(recommender.run("list", "--json").stdout)
    assert listed["status"] == "finished"
    after = kept_runs(report_in(recommender))
    assert before.items() <= after.items()
    assert len(after) > len(before)
    assert recommender.nothing_left()
    recommender.run("cleanup")
    assert "nothing to clean up" in recommender.run("cleanup").stdout


@pytest.mark.beside
def test_ctrl_c_stops_everything_and_keeps_what_was_measured(recommender):
    recommender.write_plan(FOUR)
    process = recommender.start("loadtest", "plan.yaml")
    wait_for_words(process.stderr, "demo: two:")
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=30)
    assert process.returncode == 130
    assert "--resume" in said
    assert "Traceback" not in said
    assert recommender.nothing_left()
    (listed,) = json.loads(recommender.run("list", "--json").stdout)
    assert listed["status"] == "stopped"
    shown = recommender.run("show", "--json", "report.json")
    assert shown.returncode == 4
    report = report_in(recommender)
    assert kept_runs(report)
    assert report.tests[0].state in ("finished", "invalid")
    assert report.tests[-1].state == "not run"


def test_a_limit_on_time_ends_the_plan_and_says_what_was_not_run(recommender):
    recommender.write_plan(FOUR + "limits: {time: 3s}\n")
    done = recommender.run("loadtest", "plan.yaml", "--quiet", "--json", "report.json")
    assert done.returncode == 4, done.stderr
    report = report_in(recommender)
    assert report.cost_of_measuring.seconds < 3.5
    last = report.tests[-1]
    assert (last.state, last.runs) == ("not run", ())
    assert "limit on time" in last.reason
    assert "limit on time" in done.stdout
    assert recommender.nothing_left()


@pytest.mark.beside
def test_a_command_that_dies_fails_its_test_and_no_other(recommender):
    recommender.write_plan("""
model: "demo: --servers 1 --service det:0.002"
payloads: payload.json
configurations:
  - {name: absent, model: no-such-program --port 1}
  - {name: dying, model: "demo: --service det:0.002 --fail-after 300"}
  - {name: sound}
slo: p95<500ms, error_rate<10%
traffic: 200rps
duration: 2
""")
    done = recommender.run("loadtest", "plan.yaml", "--quiet", "--json", "report.json")
    assert done.returncode == 1, done.stderr
    tests = {test.configurations[0]: test for test in report_in(recommender).tests}
    assert tests["absent"].state == "failed"
    assert "no-such-program" in tests["absent"].reason
    assert tests["dying"].state == "failed"
    assert "status 1" in tests["dying"].reason
    assert tests["sound"].runs or tests["sound"].invalid
    assert "Traceback" not in done.stderr
    assert recommender.nothing_left()


REFUSED = {
    "an unknown key": ("model: sample\nscenarois: []\n", ("line 2", "scenarios")),
    "no payload": ("model: 'demo:'\n", ("payload",)),
    "an unknown instance type": (
        "model: sample\nconfigurations: [{instance_type: ml.m5.lrage}]\n",
        ("ml.m5.lrage", "ml.m5.large"),
    ),
    "a payload that is not there": (
        "model: 'demo:'\npayloads: nowhere.json\n",
        ("nowhere.json",),
    ),
}


@pytest.mark.beside
@pytest.mark.parametrize("name", REFUSED)
def test_a_plan_that_cannot_be_run_is_refused_before_anything_is_started(recommender, name):
    plan, words = REFUSED[name]
    recommender.write_plan(plan)
    for arguments in ((), ("--explain",)):
        done = recommender.run("loadtest", "plan.yaml", *arguments)
        assert done.returncode == 2, done.stderr
        for each in words:
            assert each in done.stderr
        assert "Traceback" not in done.stderr
    assert json.loads(recommender.run("list", "--json").stdout) == []


def test_a_missed_objective_is_exit_code_3(recommender):
    recommender.write_plan("""
model: "demo: --servers 1 --service det:0.020"
payloads: payload.json
configurations: [{name: demo}]
slo: p50<5ms
traffic: {kind: constant, users: 1, duration_s: 2}
""")
    done = recommender.measure("loadtest", "plan.yaml", "--quiet", "--json", "report.json")
    assert done.returncode == 3, done.stdout
    assert "MISSED" in done.stdout


def kept_runs(report):
    """What is told of each run, by its place."""
    return {
        (test.scenario, run.key): run.measurement.model_dump_json()
        for test in report.tests
        for run in (*test.runs, *test.invalid)
    }


def wait_for_words(told, words):
    """Until the program says so."""
    assert any(words in line for line in told), "it ended before"
