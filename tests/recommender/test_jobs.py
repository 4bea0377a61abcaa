"""Jobs on a real store, with real processes, which are stopped before they have done anything."""

import os
import signal
import sys
import time
from dataclasses import replace
from pathlib import Path
from unittest.mock import Mock

import psutil
import pytest

from loadtests.errors import UsageError
from recommender import jobs as jobs_module
from recommender.cli.quick import request_of
from recommender.errors import (
    BadRequest,
    RecommenderError,
    RunEnded,
    RunInUse,
    UnknownRun,
)
from recommender.jobs import Jobs
from recommender.loadtest.plan import Plan
from recommender.store import Owner, RunStatus, open_store, process_owner, this_process

SOON_S = 20.0
SERVER = f"{sys.executable} -m loadtests.demo_server --port {{port}}"
ELSEWHERE = Owner(host="elsewhere", boot_id="another boot", pid=7, pid_started=1.5)


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("RECOMMENDER_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("RECOMMENDER_TOKEN", "the secret of the dashboard")
    (tmp_path / "payload.json").write_text("{}")
    return tmp_path


@pytest.fixture
def store(home):
    with open_store(home / "store.sqlite3", default_folder=home) as opened:
        yield opened


@pytest.fixture
def jobs(store, home):
    """What it started is gone in the end."""
    made = Jobs(store, str(home / "store.sqlite3"), home / "jobs")
    yield made
    for run in store.runs():
        if run.status in (RunStatus.CREATED, RunStatus.RUNNING) and run.owner != this_process():
            made.stop(run.id)


@pytest.fixture
def request_(home):
    return request_of(
        ["--command", SERVER, "--sizes", "1", "--payload", str(home / "payload.json")]
    )


def happens(condition):
    ends = time.monotonic() + SOON_S
    while not condition():
        assert time.monotonic() < ends, "it did not happen"
        time.sleep(0.01)


def is_gone(owner):
    try:
        return process_owner(owner.pid) != owner
    except ProcessLookupError:
        return True


def at_work_on(run_id):
    """Processes started for that run."""
    commands = psutil.process_iter(["cmdline"])
    return [each.pid for each in commands if run_id in (each.info["cmdline"] or ())]


def ended(store, status):
    run = store.create_run("quick", None, {}, {}, this_process())
    return store.finish(run.id, status, "why")


def test_a_job_is_stored_as_the_command_stores_it_and_left_to_a_process(jobs, request_):
    run = jobs.start_quick(request_)
    assert (run.kind, run.label, run.status) == ("quick", SERVER, RunStatus.CREATED)
    assert run.request["workload_digest"] is not None
    process = psutil.Process(run.owner.pid)
    assert os.getsid(run.owner.pid) == run.owner.pid != os.getsid(0)
    assert process_owner(run.owner.pid) == run.owner
    happens(lambda: process.cmdline()[:1] == [sys.executable])  # neither shell nor, between, none
    assert process.cmdline()[-3:] == ["quick", "--resume", run.id]
    environment = process.environ()
    assert environment["RECOMMENDER_STORE"].endswith("store.sqlite3")
    assert "RECOMMENDER_TOKEN" not in environment
    jobs.stop(run.id)
    assert is_gone(run.owner)


def test_what_is_wrong_with_a_request_is_found_before_anything_is_stored(jobs, request_, store):
    wrong = {"slo": "p95<banana"}, {"payloads": ("/no/such/file.json",)}
    for change in wrong:
        with pytest.raises(UsageError):
            jobs.start_quick(request_.model_copy(update=change))
    assert store.runs() == ()


def test_a_job_that_has_not_begun_is_stopped_and_leaves_no_process(jobs, request_, store):
    run = jobs.start_quick(request_)
    jobs.stop(run.id)
    stopped = store.run(run.id)
    assert (stopped.status, stopped.error) == (RunStatus.STOPPED, "stopped by the user")
    assert is_gone(run.owner)
    happens(lambda: not psutil.pid_exists(run.owner.pid))  # a zombie would


def test_a_job_whose_process_dies_at_once_is_interrupted_and_can_go_on(jobs, request_, store):
    run = jobs.start_quick(request_)
    os.kill(run.owner.pid, signal.SIGKILL)
    happens(lambda: store.run(run.id).status is RunStatus.INTERRUPTED)
    with pytest.raises(RunEnded, match="gone already"):
        jobs.stop(run.id)
    again = jobs.resume(run.id)
    assert again.status is RunStatus.CREATED
    assert again.owner != run.owner


def test_of_two_who_resume_a_run_one_starts_a_process(jobs, store, home, request_):
    run = jobs.start_quick(request_)
    jobs.stop(run.id)
    other = Jobs(store, str(home / "store.sqlite3"), home / "elsewhere")
    jobs.resume(run.id)
    with pytest.raises(RunInUse):
        other.resume(run.id)
    happens(lambda: len(at_work_on(run.id)) == 1)


def test_a_process_whose_starter_dies_before_the_run_is_left_to_it_ends(
    jobs, request_, store, monkeypatch
):
    monkeypatch.setattr(store, "leave_to", Mock(side_effect=KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        jobs.start_quick(request_)
    (run,) = store.runs()
    happens(lambda: not at_work_on(run.id))
    assert (run.status, run.owner) == (RunStatus.CREATED, None)
    assert jobs.said(run.id) is None
    jobs.stop(run.id)
    assert store.run(run.id).status is RunStatus.STOPPED


def test_a_job_whose_process_cannot_be_started_fails_with_the_reason(jobs, request_, store, home):
    (home / "jobs").mkdir(exist_ok=True)
    (home / "jobs" / "logs").write_text("a file in the way")
    with pytest.raises(RecommenderError, match="could not be started"):
        jobs.start_quick(request_)
    (run,) = store.runs()
    assert run.status is RunStatus.FAILED
    assert "could not be started" in run.error


def test_a_run_elsewhere_is_not_stopped_and_nobody_here_is_hit(jobs, store):
    """Its process's number is this process's, on another machine."""
    owner = replace(ELSEWHERE, pid=os.getpid())
    run = store.create_run("quick", None, {}, {}, owner)
    with pytest.raises(BadRequest, match="on elsewhere") as caught:
        jobs.stop(run.id)
    assert f"recommender stop {run.id}" in caught.value.hint
    assert store.run(run.id).status is RunStatus.RUNNING
    store.finish(run.id, RunStatus.STOPPED)


def test_a_process_with_the_number_of_a_dead_one_is_not_hit(store):
    run = store.create_run("quick", None, {}, {}, this_process())
    jobs_module._ask_to_stop(run, replace(this_process(), pid_started=0.5))
    store.finish(run.id, RunStatus.STOPPED)


@pytest.mark.parametrize("status", [RunStatus.FINISHED, RunStatus.FAILED, RunStatus.STOPPED])
def test_what_has_ended_is_not_stopped(jobs, store, status):
    run = ended(store, status)
    with pytest.raises(RunEnded, match=status.lower()):
        jobs.stop(run.id)
    assert store.run(run.id) == run


def test_what_has_finished_is_not_resumed_and_leaves_no_process(jobs, store):
    run = ended(store, RunStatus.FINISHED)
    with pytest.raises(RunEnded):
        jobs.resume(run.id)
    happens(lambda: not at_work_on(run.id))


def test_a_run_is_deleted_with_its_log_and_its_uploads(jobs, store, request_):
    upload = jobs.keep_upload("payload.json", b"{}")
    run = jobs.start_quick(request_.model_copy(update={"payloads": (str(upload),)}))
    with pytest.raises(RunInUse):
        jobs.delete(run.id)
    jobs.stop(run.id)
    log = Path(jobs._log(run.id))
    log.write_text("said")
    jobs.delete(run.id)
    with pytest.raises(UnknownRun):
        store.run(run.id)
    assert not log.exists()
    assert not upload.exists()


def test_the_last_that_a_process_said_is_kept_short(jobs, store):
    run = ended(store, RunStatus.FAILED)
    assert jobs.said(run.id) is None
    log = jobs._log(run.id)
    log.parent.mkdir(parents=True)
    log.write_bytes(b"\xff broken\n" + b"".join(b"line %d\n" % n for n in range(10_000)))
    lines = jobs.said(run.id).splitlines()
    assert lines == [f"line {n}" for n in range(9_980, 10_000)]


@pytest.mark.parametrize("name", ["../../etc/passwd", "", "..", "a/b"])
def test_nothing_but_a_log_is_read(jobs, name):
    assert jobs.said(name) is None


def test_open_to_other_machines_no_program_is_started(store, home, request_):
    guarded = Jobs(store, None, home / "jobs", runs_programs=False)
    with pytest.raises(BadRequest, match="`command` is refused"):
        guarded.start_quick(request_)
    plan = {"model": SERVER, "payloads": "payload.json", "traffic": "10rps", "duration": "1s"}
    with pytest.raises(BadRequest, match="`command` is refused"):
        guarded.start_loadtest(Plan.model_validate(plan), home)
    assert store.runs() == ()


def test_a_load_test_is_stored_as_the_command_stores_it(jobs, home):
    plan = {"name": "mine", "model": SERVER, "payloads": "payload.json", "traffic": "10rps"}
    run = jobs.start_loadtest(Plan.model_validate(plan | {"duration": "1s"}), home)
    assert (run.kind, run.label, run.status) == ("loadtest", "mine", RunStatus.CREATED)
    assert run.request["folder"] == str(home)
    happens(
        lambda: psutil.Process(run.owner.pid).cmdline()[-3:] == ["loadtest", "--resume", run.id]
    )
