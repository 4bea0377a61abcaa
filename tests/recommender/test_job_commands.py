"""`recommender stop` and `delete`, and what `list` and `show` say of a run at work."""

import json
import sys
from datetime import timedelta

import pytest
from click.testing import CliRunner

from recommender.cli.jobs import delete_command, stop_command
from recommender.cli.places import jobs_folder
from recommender.cli.progress import progress_line
from recommender.cli.quick import request_of
from recommender.cli.runs import list_command, show_command
from recommender.errors import NothingMeasured, RunEnded, RunInUse
from recommender.jobs import Jobs
from recommender.kept_verdicts import keep_verdict
from recommender.store import RunStatus, open_store, this_process


@pytest.fixture
def file(tmp_path, monkeypatch):
    monkeypatch.setenv("RECOMMENDER_HOME", str(tmp_path / "home"))
    return tmp_path / "store.sqlite3"


@pytest.fixture
def store(file):
    with open_store(file, default_folder=file.parent) as opened:
        yield opened


@pytest.fixture
def say(file):
    def answer(command, *arguments, **given):
        asked = [*arguments, "--store", str(file)]
        return CliRunner().invoke(command, asked, catch_exceptions=False, **given)

    return answer


def test_a_run_is_stopped(say, store, file):
    (file.parent / "payload.json").write_text("{}")
    command = f"{sys.executable} -m loadtests.demo_server --port {{port}}"
    asked = ("--command", command, "--payload", str(file.parent / "payload.json"))
    run = Jobs(store, str(file), jobs_folder()).start_quick(request_of(asked))
    said = say(stop_command, run.id).output
    assert store.run(run.id).status is RunStatus.STOPPED
    assert f"recommender quick --resume {run.id}" in said
    with pytest.raises(RunEnded, match="stopped already"):
        say(stop_command, run.id)


def test_runs_are_deleted_one_by_one_when_that_is_sure(say, store):
    runs = [store.create_run("quick", None, {}, {}, this_process()) for _ in range(3)]
    for run in runs:
        store.finish(run.id, RunStatus.FINISHED)
    ids = [run.id for run in runs]
    asked = say(delete_command, *ids[:2], input="n\ny\n")
    assert f"deleted: {ids[1]}\n" in asked.stdout
    assert say(delete_command, ids[0], "--yes").stdout == f"deleted: {ids[0]}\n"
    assert [run.id for run in store.runs()] == [ids[2]]


def test_a_run_at_work_is_not_deleted(say, store):
    run = store.create_run("quick", None, {}, {}, this_process())
    with pytest.raises(RunInUse):
        say(delete_command, run.id, "--yes")
    assert store.run(run.id) == run


def test_list_and_show_say_what_a_run_does(say, store):
    run = store.create_run("quick", None, {}, {}, this_process())
    assert json.loads(say(list_command, "--json").stdout)[0]["progress"] is None
    store.report(run.id, "2 vCPU: 4 requests at a time", 90.0)
    listed = say(list_command)
    assert f"{run.id} now: 2 vCPU: 4 requests at a time, about" in listed.output
    (row,) = json.loads(say(list_command, "--json").stdout)
    assert row["progress"]["doing"] == "2 vCPU: 4 requests at a time"
    assert row["progress"]["left_s"] == 90.0
    with pytest.raises(NothingMeasured, match="now: 2 vCPU: 4 requests") as caught:
        say(show_command, run.id)
    assert f"recommender stop {run.id}" in caught.value.hint
    store.finish(run.id, RunStatus.STOPPED)
    assert "now:" not in say(list_command).output


def test_list_says_the_verdict_of_a_run_that_has_ended(say, store):
    runs = [store.create_run("loadtest", None, {}, {}, this_process()) for _ in range(2)]
    for run in runs:
        keep_verdict(store, run.id, "large holds 98 req/s at p95<100ms.")
    store.finish(runs[0].id, RunStatus.FINISHED)
    listed = {row["id"]: row["verdict"] for row in json.loads(say(list_command, "--json").stdout)}
    assert listed == {runs[0].id: "large holds 98 req/s at p95<100ms.", runs[1].id: None}
    said = say(list_command).stdout
    assert f"\n{runs[0].id}: large holds 98 req/s at p95<100ms.\n" in said
    assert f"{runs[1].id}:" not in said


def test_what_was_told_long_ago_is_said_to_be(store):
    run = store.create_run("quick", None, {}, {}, this_process())
    store.report(run.id, "ranking", 20.0)
    run = store.run(run.id)
    told_at = run.progress.told_at
    assert progress_line(run, told_at + timedelta(seconds=5)) == "ranking, about 20 s left"
    assert progress_line(run, told_at + timedelta(seconds=25)) == "ranking, a few seconds left"
    late = progress_line(run, told_at + timedelta(seconds=100))
    assert late == "ranking; nothing was told for 100 s"
