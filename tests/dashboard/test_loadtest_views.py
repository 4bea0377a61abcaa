from dataclasses import replace
from datetime import UTC, datetime

import pytest

from dashboard.loadtest import KeyLine, loadtest_view
from loadtests.validity import Fault, Status, Validity
from recommender.loadtest.words import between
from recommender.store import Run, RunStatus

BEGAN = datetime(2026, 11, 21, 6, 4, 22, tzinfo=UTC)
RUN = Run(
    id="l1", kind="loadtest", label="two sizes", status=RunStatus.FINISHED, created_at=BEGAN,
    finished_at=BEGAN, request={}, environment={}, owner=None, heartbeat_at=None, error=None,
    tool_version=None, progress=None,
)  # fmt: skip


@pytest.fixture
def report(tested):
    return tested.report


def with_test(report, number, **changes):
    changed = report.tests[number].model_copy(update=changes)
    tests = (*report.tests[:number], changed, *report.tests[number + 1 :])
    return report.model_copy(update={"tests": tests})


def test_configurations_of_a_scenario_stand_below_one_another(report):
    summary = loadtest_view(RUN, report).summary
    assert [each.scenario for each in summary][:3] == ["capacity", "profile", "fixed burst"]
    shown = {each.scenario: [row.configuration for row in each.rows] for each in summary}
    assert shown["capacity"] == ["1 vCPU", "slower"]
    assert shown["tune"] == ["1 vCPU"]
    assert shown["compare 120rps"] == ["1 vCPU, slower"]


def test_the_summary_says_what_the_answers_say(report):
    summary = {each.scenario: each.rows[0].found for each in loadtest_view(RUN, report).summary}
    tiers = report.tests[0].answer.tiers
    assert summary["capacity"] == tuple(
        KeyLine(f"{each.tier}: {between(each.capacity_rps)} req/s") for each in tiers
    )
    verdicts = report.tests[2].answer.verdicts
    assert [line.verdict for line in summary["fixed burst"]] == [
        each.verdict.value for each in verdicts
    ]
    assert summary["compare 120rps"] == (KeyLine("slower against 1 vCPU", "fail"),)


def test_a_capacity_that_is_none_is_no_rate(report):
    answer = report.tests[0].answer
    none = answer.tiers[0].model_copy(update={"basis": "none"})
    spoiled = with_test(report, 0, answer=answer.model_copy(update={"tiers": (none,)}))
    found = loadtest_view(RUN, spoiled).summary[0].rows[0].found
    assert found == (KeyLine("missed even by one request at a time"),)


def test_every_run_is_listed_and_those_of_a_closed_loop_are_marked(report):
    profile = report.tests[1]
    runs = loadtest_view(RUN, report).tests[1].runs
    assert len(runs) == len(profile.runs)
    loops = [each.measurement.load.loop for each in profile.runs]
    assert [each.is_closed for each in runs] == [loop == "closed" for loop in loops]


def test_each_latency_stands_above_its_interval(report):
    opened = next(each for each in report.tests[2].runs)
    p95 = opened.measurement.latency_at(0.95)
    value, interval = loadtest_view(RUN, report).tests[2].runs[0].latency[1].split("\n")
    assert f"{value} ({interval})" == between(p95, 1e3)


def test_what_is_to_be_done_is_said_once_for_all_runs_it_is_about(report):
    fault = Fault(check="x", status=Status.INVALID, found="others were busy", advice="stop them")
    validity = Validity.of([fault])
    spoiled = tuple(
        each.model_copy(
            update={"measurement": each.measurement.model_copy(update={"validity": validity})}
        )
        for each in report.tests[1].runs[:2]
    )
    shown = loadtest_view(RUN, with_test(report, 1, runs=(), invalid=spoiled)).tests[1]
    (group,) = shown.faults
    assert (group.status, group.advice) == ("invalid", "stop them")
    assert group.found == ("1 at a time: others were busy", "2 at a time: others were busy")
    assert [run.validity for run in shown.runs] == ["invalid", "invalid"]


def test_a_test_that_was_not_run_says_why_in_the_summary_alone(report):
    left = with_test(
        report, 0, answer=None, findings=(), runs=(), state="not run", reason="no time was left"
    )
    view = loadtest_view(RUN, left)
    row = view.summary[0].rows[0]
    assert (row.anchor, row.state, row.found) == (None, "not run", (KeyLine("no time was left"),))
    assert len(view.tests) == len(report.tests) - 1
    assert view.tests[0].number == 1


def test_settings_are_ranked_and_those_that_failed_come_last_with_the_reason(report):
    number, test = next(
        (number, each) for number, each in enumerate(report.tests) if each.mode == "tune"
    )
    tuning = test.answer.tuning
    best, *_, worst = tuning.standings
    dropped = {"setting": worst.setting, "rung": 0, "reason": "it did not start"}
    changed = type(tuning).model_validate(
        tuning.model_dump() | {"standings": tuning.standings[:-1], "dropped": (dropped,)}
    )
    answer = test.answer.model_copy(update={"tuning": changed})
    settings = loadtest_view(RUN, with_test(report, number, answer=answer)).tests[number].settings
    assert len(settings) == len(tuning.standings)
    assert settings[0].setting == ", ".join(f"{k}={v}" for k, v in best.setting.items())
    assert settings[-1].score == "it did not start"


@pytest.mark.parametrize("status", list(RunStatus))
def test_a_run_that_can_go_on_says_how(report, status):
    view = loadtest_view(replace(RUN, status=status), report)
    assert (view.said is None) == (status is RunStatus.FINISHED)
    can_go_on = status not in (RunStatus.RUNNING, RunStatus.FINISHED)
    assert view.command == ("recommender loadtest --resume l1" if can_go_on else None)
