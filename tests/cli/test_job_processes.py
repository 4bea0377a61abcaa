"""Runs in processes of their own, from the first word to the last."""

import subprocess
import sys
import time
from contextlib import suppress

import pytest

from recommender.cli.quick import request_of
from recommender.errors import RunEnded
from recommender.jobs import Jobs
from recommender.store import RunStatus, open_store

pytestmark = [pytest.mark.locust, pytest.mark.beside]

SERVER = f"{sys.executable} -m loadtests.demo_server --port {{port}} --service det:0.004"
STARTER = """
import sys
from pathlib import Path
from recommender.cli.quick import request_of
from recommender.jobs import Jobs
from recommender.store import open_store

home, arguments = Path(sys.argv[1]), sys.argv[2:]
with open_store(None, default_folder=home / "data") as store:
    print(Jobs(store, None, home / "state" / "jobs").start_quick(request_of(arguments)).id)
"""


@pytest.fixture
def store(recommender, monkeypatch):
    for name, value in recommender.environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(recommender.folder)
    with open_store(None, default_folder=recommender.home / "data") as opened:
        yield opened


@pytest.fixture
def jobs(store, recommender):
    return Jobs(store, None, recommender.home / "state" / "jobs")


def happens(condition, within_s=60):
    ends = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < ends, "it did not happen"
        time.sleep(0.05)


def test_a_job_outlives_who_started_it_and_is_stopped_resumed_and_deleted(
    recommender, store, jobs
):
    started = subprocess.run(
        [
            *(sys.executable, "-c", STARTER, str(recommender.home), "--command", SERVER),
            *("--sizes", "1,2", "--measure-s", "20", "--payload", "payload.json"),
        ],
        stdout=subprocess.PIPE,
        text=True,
        check=True,
        timeout=60,
    )
    run_id = started.stdout.strip()
    happens(lambda: len(store.measurements(run_id)) >= 1)
    running = store.run(run_id)
    assert running.status is RunStatus.RUNNING
    assert running.progress.doing.startswith("1 vCPU: ")
    assert "placing this machine" in jobs.said(run_id)
    jobs.stop(run_id)
    with suppress(RunEnded):  # it may have tidied up by now
        jobs.stop(run_id)
    happens(lambda: store.run(run_id).status is not RunStatus.RUNNING)
    stopped = store.run(run_id)
    assert (stopped.status, stopped.error) == (RunStatus.STOPPED, "stopped by the user")
    assert recommender.nothing_left()
    kept = store.measurements(run_id)
    assert kept
    jobs.resume(run_id)
    happens(lambda: store.run(run_id).status is RunStatus.RUNNING)
    jobs.stop(run_id)
    happens(lambda: store.run(run_id).status is RunStatus.STOPPED)
    assert store.measurements(run_id)[: len(kept)] == kept
    assert recommender.nothing_left()
    jobs.delete(run_id)
    assert store.runs() == ()
    assert jobs.said(run_id) is None


def test_two_jobs_take_turns(recommender, jobs, store):
    asked = request_of(["--command", SERVER, "--payload", "payload.json", "--measure-s", "20"])
    first, second = (jobs.start_quick(asked).id for _ in range(2))

    def waits_for(run_id):
        told = store.run(second if run_id == first else first).progress
        return told is not None and told.doing.startswith(f"waiting for {run_id}, ")

    happens(lambda: waits_for(first) or waits_for(second))
    if waits_for(second):  # whichever process was there first
        first, second = second, first
    happens(lambda: store.measurements(first))
    assert waits_for(first)
    assert store.measurements(second) == ()
    jobs.stop(first)
    happens(lambda: store.measurements(second))
    jobs.stop(second)
    happens(lambda: store.run(second).status is RunStatus.STOPPED)
    assert recommender.nothing_left()


def test_a_job_whose_command_does_not_exist_fails_with_the_reason(jobs, store):
    asked = request_of(["--command", "no-such-server {port}", "--payload", "payload.json"])
    run_id = jobs.start_quick(asked).id
    happens(lambda: store.run(run_id).finished_at is not None)
    failed = store.run(run_id)
    assert failed.status is RunStatus.FAILED
    assert "no-such-server" in failed.error
    assert "no-such-server" in jobs.said(run_id)


def test_a_job_that_cannot_begin_fails_with_the_reason(recommender, jobs, store):
    run_id = jobs.start_quick(request_of(["--command", SERVER, "--payload", "payload.json"])).id
    (recommender.folder / "payload.json").write_text("another")
    happens(lambda: store.run(run_id).finished_at is not None)
    failed = store.run(run_id)
    assert failed.status is RunStatus.FAILED
    assert "not those the run began with" in failed.error
    assert "put them back" in jobs.said(run_id)
    assert store.measurements(run_id) == ()
