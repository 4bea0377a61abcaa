"""Several generators, one schedule: real processes on Locust's master and workers."""

import os
import signal
import socket
import subprocess
import sys
import time
from contextlib import contextmanager

import numpy as np
import psutil
import pytest
from servers import (
    ROOT,
    WORKLOAD,
    Scribe,
    answering,
    assert_counts_add_up,
    closed_job,
    most_at_once,
    open_job,
    serving,
)

from loadtests.errors import EngineFailed
from loadtests.journal import Journal
from loadtests.runner import Destination, Engine, OpenJob, Workers
from loadtests.validity import OpenEvidence, Status, check_closed, check_open
from loadtests.workload import Payload, Workload

pytestmark = [pytest.mark.locust, pytest.mark.slow]

CLI = "from recommender.cli.worker import worker_command; worker_command()"
# A worker of another machine, as far as it can tell; and one of another version.
ELSEWHERE = "import loadtests.generator.crew as crew; crew.boot_id = lambda: 'another'"
NEWER = "import loadtests.generator.crew as crew; crew.PROTOCOL = 99"
PROGRAM = "import loadtests.locustfile as program; program.main()"


@contextmanager
def engine_of(folder, workers, tell=lambda _: None):
    with Engine(folder / "work", Journal(folder / "journal"), workers, tell) as engine:
        yield engine
    assert not list((folder / "journal").glob("*.json"))


@pytest.fixture(scope="module")
def engine(tmp_path_factory):
    with engine_of(tmp_path_factory.mktemp("engine"), Workers(local=2)) as engine:
        yield engine


def wait_until(holds, within_s=10.0):
    ends_s = time.monotonic() + within_s
    while not holds():
        assert time.monotonic() < ends_s, "in vain"
        time.sleep(0.02)


def judged(run, job):
    return check_open(
        OpenEvidence(
            samples=run.samples,
            steady=run.samples,
            due=len(job.due_s),
            quantile=0.95,
            generator=run.generator,
            over_saturated=False,
            stopped_early=run.stop_reason is not None,
        )
    )


def test_what_two_workers_send_is_the_schedule_and_nothing_else(engine):
    count, scribe = 300, Scribe()
    bodies = [b"[%d]" % number for number in range(count)]
    workload = Workload(tuple(Payload(str(n), body) for n, body in enumerate(bodies)), "text/csv")
    due_s = open_job(150, 10).due_s[:count]
    job = OpenJob(due_s, np.arange(count, dtype=np.uint16))
    with answering(scribe) as base_url:
        run = engine.run(Destination((base_url,), workload, connections=12), job)
    assert_counts_add_up(run, job)
    assert sorted(scribe.bodies()) == sorted(bodies), "each once"
    assert [worker.sent for worker in run.generator.workers] == [count / 2, count / 2]
    came_s = np.array(
        [at for _, _, at in sorted(scribe.written, key=lambda each: int(each[0][1:-1]))]
    )
    off_s = came_s - due_s
    assert np.median(np.abs(off_s - np.median(off_s))) < 0.005, "one start for all of them"


def test_merged_samples_are_what_the_server_has_seen(engine):
    with serving(servers=8, service="exp:0.004", error_rate=0.1, seed=2) as served:
        job = open_job(300, 2)
        run = engine.run(Destination((served.base_url,), WORKLOAD), job)
        truth = served.truth()
    assert_counts_add_up(run, job)
    assert len(truth) == len(job.due_s)
    assert run.samples.failed == sum(request["status"] == 500 for request in truth)
    seen_s = np.sort(run.samples.records["done_us"] - run.samples.records["sent_us"]) / 1e6
    true_s = np.sort([request["sent_s"] - request["arrival_s"] for request in truth])
    assert np.all(seen_s >= true_s - 0.0002), "no answer came before it was given"
    total_s = float(np.sum(seen_s))
    assert run.generator.in_flight_s == pytest.approx(total_s, rel=0.01)
    assert run.lost_workers == ()
    workers = run.generator.workers
    assert sum(worker.sent for worker in workers) == len(run.samples)
    assert run.generator.busy == max(worker.busy for worker in workers) > 0
    assert run.generator.cpu_s > sum(worker.cpu_s for worker in workers), "the master's too"


def test_users_and_requests_of_a_closed_loop_are_divided(engine):
    with serving(servers=8, service="det:0.01") as served:
        run = engine.run(Destination((served.base_url,), WORKLOAD), closed_job(3, 201, 20))
        assert len(served.truth()) == 201
    assert len(run.samples) == run.samples.succeeded == 201
    assert most_at_once(run.samples) == 3


def test_connections_are_divided_and_never_exceeded(engine):
    with serving(servers=64, service="det:0.05") as served:
        job = OpenJob(np.zeros(40), np.zeros(40, np.uint16))
        run = engine.run(Destination((served.base_url,), WORKLOAD, connections=5), job)
        assert len(run.samples) == 40
        assert len(served.truth()) == 5
        one = engine.run(Destination((served.base_url,), WORKLOAD, connections=1), job)
    assert run.samples.dropped == 35
    assert one.samples.dropped == 39
    assert len(one.generator.workers) == 1, "one connection cannot be divided"


def test_a_stop_reaches_all_workers_at_once(engine):
    with serving(servers=64, service="det:60") as served:
        job = open_job(40, 60)
        run = engine.run(
            Destination((served.base_url,), WORKLOAD),
            job,
            lambda progress: "enough" if progress.in_flight > 4 else None,
        )
    assert run.stop_reason == "enough"
    assert run.samples.unfinished == len(run.samples) > 4
    assert run.elapsed_s < 6


def test_a_killed_worker_is_noticed_and_the_rest_is_kept(tmp_path):
    job, killed = open_job(200, 20), []

    def kill_one(progress):
        if progress.elapsed_s > 1.5 and not killed:
            os.kill(engine._workers["local-1"].pid, signal.SIGKILL)
            killed.append((progress.elapsed_s, time.perf_counter()))

    with serving(servers=8, service="det:0.002") as served:
        destination = Destination((served.base_url,), WORKLOAD)
        with engine_of(tmp_path, Workers(local=2)) as engine:
            run = engine.run(destination, job, kill_one)
            noticed_s = time.perf_counter() - killed[0][1]
            seen = len(served.truth())
            again = open_job(100, 1)
            after = engine.run(destination, again)
    killed_s = killed[0][0]
    assert run.lost_workers == ("local-1",)
    assert noticed_s < 3 + 1, "3 s to notice, 1 s for what the others have in flight"
    assert run.stop_reason is not None
    validity = judged(run, job)
    assert validity.status is Status.INVALID
    assert any(each.check == "workers" and "local-1" in each.found for each in validity.faults)
    due_us = np.round(job.due_s * 1e6)
    mine, others = due_us[0::2], due_us[1::2]
    sampled = run.samples.records["due_us"]
    kept = np.isin(others, np.concatenate([sampled, sampled - 1, sampled + 1]))
    count = int(kept.sum())
    assert np.all(kept[:count]), "of the other one, everything up to the halt"
    assert others[count - 1] / 1e6 > killed_s
    of_killed = mine[np.isin(mine, np.concatenate([sampled, sampled - 1, sampled + 1]))]
    assert killed_s - of_killed[-1] / 1e6 < 1.3, "at most a second of its samples is lost"
    assert seen - len(run.samples) <= 1.0 * 100 + 20
    assert_counts_add_up(after, again)
    assert [each.name for each in after.generator.workers] == ["local-2", "local-3"]


def test_a_worker_that_falls_silent_is_lost_too(tmp_path):
    stopped = []

    def stop_one(progress):
        if progress.elapsed_s > 0.6 and not stopped:
            os.kill(engine._workers["local-2"].pid, signal.SIGSTOP)
            stopped.append(time.perf_counter())

    with (
        serving(servers=8, service="det:0.002") as served,
        engine_of(tmp_path, Workers(local=2)) as engine,
    ):
        run = engine.run(
            Destination((served.base_url,), WORKLOAD), closed_job(2, 10**6, 20.0), stop_one
        )
        noticed_s = time.perf_counter() - stopped[0]
        held = psutil.Process(engine._workers["local-2"].pid)
    assert run.lost_workers == ("local-2",)
    assert noticed_s < 3 + 1
    faults = check_closed(run.samples, run.generator).faults
    assert [each.status for each in faults if each.check == "workers"] == [Status.INVALID]
    assert not held.is_running()


@pytest.mark.beside
def test_without_a_master_the_engine_fails_and_nothing_is_left(tmp_path):
    def kill(_):
        os.kill(engine._process.pid, signal.SIGKILL)

    with (
        serving(servers=8, service="det:0.002") as served,
        engine_of(tmp_path, Workers(local=2)) as engine,
    ):
        pids = [engine._process.pid, *(each.pid for each in engine._workers.values())]
        with pytest.raises(EngineFailed):
            engine.run(Destination((served.base_url,), WORKLOAD), open_job(50, 30), kill)
    assert not any(psutil.pid_exists(pid) for pid in pids)


KILLED = """
import sys, time
from pathlib import Path
from loadtests.journal import Journal
from loadtests.runner import Engine, Workers
folder = Path(sys.argv[1])
with Engine(folder / "work", Journal(folder / "journal"), Workers(local=2)) as engine:
    print(engine._process.pid, *(each.pid for each in engine._workers.values()), flush=True)
    time.sleep(60)
"""


@pytest.mark.beside
def test_nothing_outlives_whoever_started_it(tmp_path):
    """Killed, it can clean up nothing: its generators end because it is gone."""
    with subprocess.Popen(
        [sys.executable, "-c", KILLED, str(tmp_path)], cwd=ROOT, stdout=subprocess.PIPE, text=True
    ) as process:
        pids = [int(pid) for pid in process.stdout.readline().split()]
        assert len(pids) == 3
        process.kill()
    wait_until(lambda: not any(psutil.pid_exists(pid) for pid in pids), within_s=8)


@contextmanager
def worker_elsewhere(code, *arguments):
    with subprocess.Popen(
        [sys.executable, "-c", code, *map(str, arguments)],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def free_port():
    with answering(lambda connection: connection.close()) as base_url:
        return int(base_url.rpartition(":")[2])


def test_a_worker_started_elsewhere_takes_its_share(tmp_path):
    """One as a person starts it; one that shares no clock with the master, which must ask it."""
    port, told = free_port(), []
    plan = Workers(local=0, expected=2, port=port, wait_s=30)
    other = (f"{ELSEWHERE}; {PROGRAM}", "worker", "127.0.0.1", port, "another", 30)
    with (
        serving(servers=8, service="det:0.002") as served,
        worker_elsewhere(CLI, "--master", "127.0.0.1", "--port", port) as person,
        worker_elsewhere(*other) as machine,
    ):
        with engine_of(tmp_path, plan, told.append) as engine:
            job = open_job(200, 1)
            run = engine.run(Destination((served.base_url,), WORKLOAD), job)
        assert person.wait(10) == 0, "the load test is over, and so is the worker"
        assert machine.wait(10) == 0
        said = person.stderr.read()
    assert_counts_add_up(run, job)
    names = {worker.name for worker in run.generator.workers}
    assert "another" in names
    assert len(names) == 2
    assert np.quantile(np.abs(run.samples.lateness_s), 0.5) < 0.005
    assert run.samples.lateness_s.min() > -0.001, "nothing is sent before it is due"
    assert "works for" in said
    assert "sent" in said
    assert any("2 of 2" in line for line in told)


@pytest.mark.beside
def test_workers_that_do_not_come_are_told_how_to_be_started(tmp_path):
    with pytest.raises(EngineFailed, match="0 of 1") as caught:
        Engine(
            tmp_path / "work",
            Journal(tmp_path / "journal"),
            Workers(local=0, expected=1, wait_s=1),
        ).__enter__()
    assert "recommender worker --master" in caught.value.hint
    assert not list((tmp_path / "journal").glob("*.json"))


def test_a_worker_of_another_version_is_turned_away(tmp_path):
    port, told = free_port(), []
    code = (f"{NEWER}; {PROGRAM}", "worker", "127.0.0.1", port, "newer", 20)
    plan = Workers(local=0, expected=1, port=port, wait_s=4)
    engine = Engine(tmp_path / "work", Journal(tmp_path / "journal"), plan, told.append)
    with worker_elsewhere(*code) as newer:
        with pytest.raises(EngineFailed, match="0 of 1"):
            engine.__enter__()
        assert newer.wait(10) == 1
        assert "version 99" in newer.stdout.read()
    assert any("newer was turned away" in line for line in told)


STOCK = """
import sys
from locust.env import Environment
Environment().create_master_runner("127.0.0.1", int(sys.argv[1])).greenlet.join()
"""


@pytest.mark.beside
def test_a_worker_of_ours_is_none_for_stock_locust():
    port = free_port()
    code = (PROGRAM, "worker", "127.0.0.1", port, "ours", 30)
    with worker_elsewhere(STOCK, port), worker_elsewhere(*code) as ours:
        assert ours.wait(40) == 1
        assert "no load test of this program" in ours.stdout.read()


@pytest.mark.beside
def test_a_port_that_is_taken_is_named(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        engine = Engine(tmp_path / "work", Journal(tmp_path / "journal"), Workers(2, port=port))
        with pytest.raises(EngineFailed, match=f"port {port} of 127.0.0.1"):
            engine.__enter__()


@pytest.mark.beside
def test_a_worker_without_a_master_says_so():
    arguments = ("--master", "127.0.0.1", "--port", str(free_port()), "--wait-s", "1")
    ended = subprocess.run(
        [sys.executable, "-c", CLI, *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ended.returncode != 0
    assert "nothing answered at 127.0.0.1" in ended.stderr
