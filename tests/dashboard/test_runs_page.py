"""The list of runs, and what is done about them, through Flask's test client."""

import json
from datetime import timedelta

import pytest
from asking_patterns import ask, dashed
from shown import shown, spelled

from dashboard.app import create_app
from dashboard.components.job_buttons import job_buttons
from dashboard.data import StoreRepository
from dashboard.run_list import chosen, job_line
from loadtests.environment import utc_now
from recommender.jobs import Jobs
from recommender.kept_verdicts import keep_recommendation, keep_verdict
from recommender.store import Owner, RunStatus, this_process

GONE = Owner(host="elsewhere", boot_id="another boot", pid=7, pid_started=1.5)


@pytest.fixture
def jobs(store, tmp_path):
    return Jobs(store, None, tmp_path / "jobs")


@pytest.fixture
def app(store, jobs):
    return create_app(StoreRepository(store), jobs=jobs)


def run_at(store, status, kind="quick"):
    """A run of this process, or one that nobody took on."""
    if status is RunStatus.CREATED:
        return store.create_run(kind, "a label", {}, {}, None)
    run = store.create_run(kind, "<b>a</b> label", {}, {}, this_process())
    return run if status is RunStatus.RUNNING else store.finish(run.id, status)


def buttons_of(run, *, jobs_allowed=True):
    said = spelled(job_buttons(run, jobs_allowed=jobs_allowed))
    return [name for name in ("Stop", "Go on", "Again", "Delete for good") if f'"{name}' in said]


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        (RunStatus.CREATED, ["Stop", "Go on", "Again", "Delete for good"]),
        (RunStatus.RUNNING, ["Stop", "Again"]),
        (RunStatus.FINISHED, ["Again", "Delete for good"]),
        (RunStatus.FAILED, ["Go on", "Again", "Delete for good"]),
        (RunStatus.STOPPED, ["Go on", "Again", "Delete for good"]),
    ],
)
def test_what_can_be_done_about_a_run_follows_from_how_it_stands(store, status, expected):
    run = run_at(store, status)
    assert buttons_of(run) == expected
    assert buttons_of(run, jobs_allowed=False) == []


def test_one_that_a_process_is_about_to_take_on_is_not_deleted(store):
    run = store.leave_to(run_at(store, RunStatus.CREATED).id, this_process())
    assert buttons_of(run) == ["Stop", "Again"]


def listed(app, runs, standing, **values):
    """What the list answers to the clock."""
    picked = [{"type": "run-picked", "run": run.id} for run in runs]
    live = [{"type": "run-live", "run": run.id} for run in runs]
    done = [{"type": "job-done", "run": run.id} for run in runs]
    given = {
        ("runs-kind", "value"): values.get("kind", "all"),
        ("runs-status", "value"): values.get("status"),
        ("runs-standing", "data"): standing,
        ("runs-tick", "n_intervals"): 1,
    }
    for run in values.get("picked", ()):
        given[(dashed({"type": "run-picked", "run": run.id}), "checked")] = True
    there = picked + live + done
    return ask(app, "runs-list.children", given, changed=("runs-tick", "n_intervals"), there=there)


def standing_of(runs):
    return [[run.id, run.status.value] for run in runs]


def test_only_what_changes_is_told_anew_while_a_run_is_at_work(app, store):
    ended, running = run_at(store, RunStatus.FAILED), run_at(store, RunStatus.RUNNING)
    store.report(running.id, "1 vCPU: 3 requests at a time", 41.0)
    runs = store.runs()
    answer = listed(app, runs, standing_of(runs))
    assert "runs-list" not in answer
    live = json.dumps(answer[dashed({"type": "run-live", "run": running.id})])
    assert "3 requests at a time" in live
    assert "about 40 s left" in live
    assert dashed({"type": "run-live", "run": ended.id}) not in answer
    assert answer["runs-tick"]["disabled"] is False


def test_the_list_is_told_anew_when_a_run_ends_and_then_the_clock_stops(app, store):
    running = run_at(store, RunStatus.RUNNING)
    before = standing_of(store.runs())
    store.finish(running.id, RunStatus.STOPPED)
    answer = listed(app, store.runs(), before, picked=[running])
    rows = json.dumps(answer["runs-list"])
    assert "stopped" in rows
    assert '"checked": true' in rows
    assert answer["runs-tick"]["disabled"] is True


def test_a_run_that_has_ended_says_its_verdict_and_no_other_does(app, store, recommendation):
    quick, load = run_at(store, RunStatus.RUNNING), run_at(store, RunStatus.RUNNING, "loadtest")
    empty = run_at(store, RunStatus.FINISHED)
    before = standing_of(store.runs())
    keep_recommendation(store, quick.id, recommendation)
    keep_verdict(store, load.id, "large holds 98 req/s at p95<100ms.")
    assert "job-verdict" not in json.dumps(listed(app, store.runs(), []))
    store.finish(quick.id, RunStatus.FINISHED)
    answer = listed(app, store.runs(), before)
    (said,) = verdicts_in(answer, quick)
    assert "c7g.large (EC2 spot, us-east-1) serves 50rps at p95<100ms" in said
    assert "for $73.00 a month" in said
    assert verdicts_in(answer, load) == []
    store.finish(load.id, RunStatus.FINISHED)
    answer = listed(app, store.runs(), before)
    assert verdicts_in(answer, load) == ["large holds 98 req/s at p95<100ms."]
    assert verdicts_in(answer, empty) == []


def test_verdicts_are_listed_without_a_look_into_any_run(store, recommendation, monkeypatch):
    for _ in range(3):
        run = run_at(store, RunStatus.RUNNING)
        keep_recommendation(store, run.id, recommendation)
        store.finish(run.id, RunStatus.FINISHED)
    repository, asked = StoreRepository(store), []
    for name in ("recommendation", "measurements", "samples", "resources", "aggregate"):
        monkeypatch.setattr(store, name, lambda *_, name=name: pytest.fail(f"{name} is read"))
    found = store.aggregates
    monkeypatch.setattr(store, "aggregates", lambda *given: asked.append(given) or found(*given))
    assert shown(repository, "/runs").count("job-verdict") == 3
    assert len(asked) == 1


def verdicts_in(answer, run):
    """Of the run's row in the list that was told anew."""
    rows = answer["runs-list"]["children"]
    (row,) = [row for row in rows if row["props"]["id"] == f"run-{run.id}"]
    told = row["props"]["children"][1]["props"]["children"]
    said = [part["props"] for part in told]
    return [part["children"] for part in said if part.get("className") == "job-verdict"]


def test_runs_are_chosen_by_kind_and_status(app, store):
    quick, load = run_at(store, RunStatus.FAILED), run_at(store, RunStatus.FINISHED, "loadtest")
    runs = store.runs()
    for asked, kept, hidden in (
        ({"kind": "loadtest"}, load, quick),
        ({"kind": "quick", "status": "failed"}, quick, load),
    ):
        rows = json.dumps(listed(app, runs, standing_of(runs), **asked)["runs-list"])
        assert kept.id in rows
        assert hidden.id not in rows
    nothing = listed(app, runs, standing_of(runs), status="running")
    assert "No run is like that" in json.dumps(nothing)
    assert chosen(runs, "all", "all") == runs


def test_two_runs_are_compared_the_older_first(app, store):
    older, newer = run_at(store, RunStatus.FINISHED), run_at(store, RunStatus.FINISHED)
    picked = [{"type": "run-picked", "run": run.id} for run in store.runs()]

    def link(*runs):
        given = {(dashed({"type": "run-picked", "run": run.id}), "checked"): True for run in runs}
        return json.dumps(
            ask(app, "runs-compare.children", given, changed=(picked[0], "checked"), there=picked)
        )

    assert f"/compare?a={older.id}&b={newer.id}" in link(newer, older)
    assert "href" not in link(newer)


def act(app, run, does):
    named = {"type": "job", "run": run.id, "does": does}
    answer = ask(
        app, "job-done", {(dashed(named), "n_clicks"): 1}, changed=(named, "n_clicks"),
        there=[named],
    )  # fmt: skip
    done = answer.get(dashed({"type": "job-done", "run": run.id}), {}).get("data")
    return done, json.dumps(answer, ensure_ascii=False)


def test_a_run_is_deleted(app, store):
    run = run_at(store, RunStatus.FAILED)
    assert act(app, run, "delete")[0] == "delete"
    assert store.runs() == ()


def test_a_run_that_waits_is_stopped(app, store):
    run = run_at(store, RunStatus.CREATED)
    assert act(app, run, "stop")[0] == "stop"
    assert store.run(run.id).status is RunStatus.STOPPED


def test_what_cannot_be_done_is_said_and_nothing_is_told_as_done(app, store):
    ended = run_at(store, RunStatus.FINISHED)
    done, said = act(app, ended, "stop")
    assert done is None
    assert "nobody works on the run" in said
    running = run_at(store, RunStatus.RUNNING)
    done, said = act(app, running, "delete")
    assert done is None
    assert store.run(running.id)


def test_a_page_that_appears_does_nothing(app, store):
    """Buttons that come onto a page call back with no click."""
    run = run_at(store, RunStatus.FAILED)
    named = {"type": "job", "run": run.id, "does": "delete"}
    ask(app, "job-done", {}, changed=(named, "n_clicks"), there=[named])
    assert store.run(run.id)


def test_how_long_a_run_took_or_has_been_at_work(store):
    running = run_at(store, RunStatus.RUNNING)
    later = running.created_at + timedelta(seconds=75)
    assert "for 75 s" in job_line(running, later).facts
    ended = run_at(store, RunStatus.FINISHED)
    assert any(each.startswith("took ") for each in job_line(ended, utc_now()).facts)
    gone = store.create_run("quick", None, {}, {}, GONE)
    assert job_line(gone, utc_now()).measured == "not named"


def test_what_is_not_allowed_is_not_offered(store, jobs):
    repository = StoreRepository(store)
    run_at(store, RunStatus.FAILED)

    own = shown(repository, "/runs", jobs=jobs)
    assert "Delete for good" in own
    assert '"/new"' in own
    others = shown(repository, "/runs")
    assert "Delete for good" not in others
    assert "only reads" in others
