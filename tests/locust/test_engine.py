"""The real engine against a real server of known service times, both on loopback.

Noise on a busy machine only ever adds to latency: a run that is INVALID, or slower than the server
says it was, is taken again, a few times. A count that does not add up never is.
"""

import http.client
import json
import os
import socket
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path

import numpy as np
import psutil
import pytest

from loadtests.arrivals import due_times, payload_choices
from loadtests.demo_server import DemoServer
from loadtests.errors import EngineFailed
from loadtests.journal import Journal
from loadtests.monitor import wait_for_quiet
from loadtests.runner import ClosedJob, Destination, Engine, OpenJob
from loadtests.samples import RECORD, Outcome
from loadtests.validity import OpenEvidence, Status, check_open
from loadtests.workload import Payload, Workload

pytestmark = [pytest.mark.locust, pytest.mark.slow]

ROOT = Path(__file__).parents[2]
WORKLOAD = Workload((Payload("one", b"[1]"), Payload("two", b"[2, 2]")), "application/json")
TRIES = 5


class Served:
    """A demo server in a process of its own."""

    def __init__(self, port, process):
        self.base_url, self.port, self.process = f"http://127.0.0.1:{port}", port, process

    def ask(self, method, path):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        try:
            connection.request(method, path)
            return connection.getresponse().read()
        finally:
            connection.close()

    def truth(self):
        """Since the last reset, in order of arrival."""
        return json.loads(self.ask("GET", "/truth"))["requests"]

    def forget(self):
        self.ask("POST", "/truth/reset")


@contextmanager
def serving(**settings):
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [part.replace("{port}", str(port)) for part in DemoServer(**settings).command()]
    with subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE) as process:
        served = Served(port, process)
        try:
            wait_for(served)
            yield served
        finally:
            process.kill()


def wait_for(served):
    ends_s = time.monotonic() + 20
    while True:
        try:
            served.ask("GET", "/ping")
        except ConnectionRefusedError:
            assert served.process.poll() is None, served.process.stderr.read()
            assert time.monotonic() < ends_s
            time.sleep(0.02)
        else:
            return


@pytest.fixture(scope="module")
def engine(tmp_path_factory):
    folder = tmp_path_factory.mktemp("engine")
    with Engine(folder / "work", Journal(folder / "journal")) as engine:
        yield engine


def open_job(rate_rps, duration_s, seed=1):
    due_s = due_times(rate_rps, duration_s, seed=seed)
    return OpenJob(due_s, payload_choices(len(due_s), 2, seed=seed))


def closed_job(concurrency, max_requests, max_s):
    return ClosedJob(concurrency, max_requests, max_s, payload_choices(4096, 2, seed=1))


def assert_counts_add_up(run, job):
    samples = run.samples
    sent = int(samples.is_sent.sum())
    assert len(samples) == len(job.due_s) == sent + samples.dropped
    assert sent == samples.succeeded + samples.failed + samples.unfinished
    assert samples.due_s == pytest.approx(job.due_s, abs=2e-6)
    assert samples.records["payload"].tolist() == job.payloads.tolist()


def most_at_once(samples):
    sent = samples.records[samples.is_sent]
    instants = np.concatenate([sent["sent_us"], sent["done_us"]])
    steps = np.repeat([1, -1], len(sent))
    order = np.lexsort((steps, instants))  # who ends at an instant makes room for who begins at it
    return int(np.max(np.cumsum(steps[order]), initial=0))


def undisturbed(engine, served, job, agrees):
    """A VALID run of which agrees(run, true requests) holds; the counts must add up in each."""
    why = []
    for _ in range(TRIES):
        served.forget()
        run = engine.run(Destination(served.base_url, WORKLOAD), job)
        assert_counts_add_up(run, job)
        evidence = OpenEvidence(
            samples=run.samples,
            steady=run.samples,
            due=len(job.due_s),
            quantile=0.95,
            generator=run.generator,
            over_saturated=False,
            stopped_early=False,
        )
        validity = check_open(evidence)
        invalid = [each.found for each in validity.faults if each.status is Status.INVALID]
        if not invalid and agrees(run, served.truth()):
            return run
        why.append("; ".join(invalid) or "it does not agree")
        wait_for_quiet(tuple(os.sched_getaffinity(0)), limit_s=2.0)
    return pytest.fail(f"{TRIES} runs: {why}")


def true_latencies_s(truth):
    return np.array([request["sent_s"] - request["arrival_s"] for request in truth])


def quantiles_agree(measured_s, true_s, marks=(0.5, 0.9, 0.95, 0.99)):
    """A client sees what the server says and the cost of getting there, never less.

    At p99, of a few hundred requests, that cost holds a slice of whoever else wanted the core.
    """
    overheads_s = np.where(np.array(marks) < 0.99, 0.0015, 0.005)
    found, real = np.quantile(measured_s, marks), np.quantile(true_s, marks)
    assert np.all(found >= real - 0.0002), "faster than the server itself"
    return np.all(found <= real * 1.05 + overheads_s)


@pytest.mark.parametrize("service", ["det:0.01", "exp:0.008", "lognormal:0.01:0.5"])
def test_latency_is_the_servers_own_and_a_little_more(engine, service):
    with serving(servers=2, service=service, seed=3) as served:
        job = open_job(120, 2)
        run = undisturbed(
            engine,
            served,
            job,
            lambda run, truth: quantiles_agree(run.samples.latency_s, true_latencies_s(truth)),
        )
        assert run.samples.succeeded == len(job.due_s) == len(served.truth())
        assert run.stop_reason is None
        assert set(run.samples.status_counts()) == {200}


def test_arrivals_reach_the_server_as_they_were_planned(engine):
    """Open loop: a server that is busy receives no fewer requests for it."""
    with serving(servers=1, service="exp:0.008", seed=5) as served:
        job = open_job(100, 2)

        def planned(_, truth):
            arrived_s = np.array([request["arrival_s"] for request in truth])
            late_s = (arrived_s - arrived_s[0]) - (job.due_s - job.due_s[0])
            return np.median(late_s) < 0.002 and np.quantile(late_s, 0.95) < 0.008

        undisturbed(engine, served, job, planned)


def test_a_stall_is_seen_by_everyone_who_was_due_in_it(engine):
    """Frozen for the last quarter of every second: so many arrivals wait, up to 0.25 s.

    Coordinated omission is to send them late and to call that waiting nobody's.
    """
    with serving(servers=4, service="det:0.001", stall="1:0.25") as served:
        run = undisturbed(
            engine,
            served,
            open_job(200, 2),
            lambda run, truth: quantiles_agree(
                run.samples.latency_s, true_latencies_s(truth), marks=(0.9, 0.95, 0.99)
            ),
        )
        p90_s, p99_s = np.quantile(run.samples.latency_s, [0.9, 0.99])
        assert p90_s > 0.1
        assert p99_s > 0.2
        closed = engine.run(Destination(served.base_url, WORKLOAD), closed_job(1, 100_000, 2.0))
        assert np.quantile(closed.samples.service_s, 0.99) < 0.1, "the closed loop omits them"


def test_refusals_are_counted_as_the_server_counts_them(engine):
    with serving(servers=2, service="det:0.002", error_rate=0.2, seed=4) as served:
        job = open_job(200, 1)
        run = engine.run(Destination(served.base_url, WORKLOAD), job)
        assert_counts_add_up(run, job)
        refused = sum(request["status"] == 500 for request in served.truth())
        assert 10 < refused < 100
        assert run.samples.failed == refused
        assert run.samples.status_counts() == {200: len(job.due_s) - refused, 500: refused}
        assert set(run.samples.records["outcome"]) == {Outcome.SUCCEEDED, Outcome.REFUSED}


def test_an_answer_that_takes_too_long_is_a_time_out(engine):
    with serving(servers=64, service="det:3", seed=1) as served:
        job = OpenJob(np.array([0.0, 0.05, 0.1]), np.zeros(3, np.uint16))
        run = engine.run(Destination(served.base_url, WORKLOAD, timeout_s=0.3), job)
        assert_counts_add_up(run, job)
        assert set(run.samples.records["outcome"]) == {Outcome.TIMED_OUT}
        waited_s = run.samples.records["done_us"] - run.samples.records["sent_us"]
        assert np.all(waited_s >= 0.29e6)


def test_where_nobody_listens_every_request_is_broken(engine):
    with socket.socket() as taken:  # bound and not listening: nobody else can have the port
        taken.bind(("127.0.0.1", 0))
        job = open_job(200, 0.3)
        run = engine.run(Destination(f"http://127.0.0.1:{taken.getsockname()[1]}", WORKLOAD), job)
    assert_counts_add_up(run, job)
    assert set(run.samples.records["outcome"]) == {Outcome.BROKEN}


def test_a_server_that_dies_breaks_the_rest_and_loses_no_sample(engine):
    with serving(servers=4, service="det:0.002", fail_after=50) as served:
        job = open_job(200, 1)
        run = engine.run(Destination(served.base_url, WORKLOAD, timeout_s=2), job)
        assert served.process.wait(10) == 1
    assert_counts_add_up(run, job)
    assert 40 <= run.samples.succeeded <= 50
    assert run.samples.failed == len(job.due_s) - run.samples.succeeded
    assert run.elapsed_s < 1.9, "a broken connection is no reason to wait for an answer"


@contextmanager
def answering(answer):
    """A server of a few lines, in a thread: `answer` is given each connection."""
    with socket.create_server(("127.0.0.1", 0)) as listener, ThreadPoolExecutor(16) as threads:

        def accept():
            with suppress(OSError):  # the listener is closed
                while True:
                    threads.submit(answer, listener.accept()[0])

        threads.submit(accept)
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        listener.shutdown(socket.SHUT_RDWR)


def test_what_is_no_http_breaks_the_request(engine):
    def answer(connection):
        with connection:
            connection.recv(4096)
            connection.sendall(b"what do you want?\r\n\r\n")

    job = open_job(50, 0.4)
    with answering(answer) as base_url:
        run = engine.run(Destination(base_url, WORKLOAD, timeout_s=2), job)
    assert_counts_add_up(run, job)
    assert set(run.samples.records["outcome"]) == {Outcome.BROKEN}
    assert run.elapsed_s < 1.9


def test_an_idle_connection_that_the_server_closed_is_opened_again(engine):
    """Servers drop kept-alive connections after seconds: no fault of theirs, and no failure."""

    def answer(connection):
        connection.settimeout(0.15)
        with connection, suppress(TimeoutError):
            while connection.recv(4096):
                connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")

    job = OpenJob(np.array([0.0, 0.05, 0.5, 1.0]), np.zeros(4, np.uint16))
    with answering(answer) as base_url:
        run = engine.run(Destination(base_url, WORKLOAD, timeout_s=2), job)
    assert run.samples.succeeded == 4


def test_a_request_that_finds_every_connection_busy_is_dropped_and_counted(engine):
    """Two connections to a server that answers 20 a second, asked for 100."""
    with serving(servers=1, service="det:0.05") as served:
        job = open_job(100, 1.5)
        destination = Destination(served.base_url, WORKLOAD, connections=2)
        run = engine.run(destination, job)
        assert_counts_add_up(run, job)
        assert most_at_once(run.samples) == 2
        assert len(served.truth()) == len(job.due_s) - run.samples.dropped
    assert run.samples.dropped > len(job.due_s) / 2
    assert np.all(np.isinf(run.samples.latency_s[~run.samples.is_sent]))


def test_requests_due_at_the_same_instant_share_the_connections_there_are(engine):
    with serving(servers=64, service="det:0.02") as served:
        job = OpenJob(np.zeros(40), np.zeros(40, np.uint16))
        run = engine.run(Destination(served.base_url, WORKLOAD, connections=4), job)
        assert_counts_add_up(run, job)
        assert len(served.truth()) == 4
    assert run.samples.dropped == 36


@pytest.mark.parametrize("concurrency", [1, 3])
def test_a_closed_loop_keeps_its_concurrency_and_never_exceeds_it(engine, concurrency):
    with serving(servers=8, service="exp:0.005", seed=2) as served:
        run = engine.run(Destination(served.base_url, WORKLOAD), closed_job(concurrency, 200, 20))
        assert len(served.truth()) == 200
    assert most_at_once(run.samples) == concurrency
    assert len(run.samples) == run.samples.succeeded == 200
    assert run.samples.lateness_s == pytest.approx(0, abs=0.005)


def test_a_closed_loop_ends_when_its_time_is_up(engine):
    with serving(servers=1, service="det:0.01") as served:
        run = engine.run(Destination(served.base_url, WORKLOAD), closed_job(2, 100_000, 0.5))
    assert 0.4 < run.elapsed_s < 5
    assert 5 <= len(run.samples) <= 60
    assert run.samples.succeeded == len(run.samples)


def test_a_stopped_run_keeps_what_it_has_measured(engine):
    job, seen = open_job(100, 30), []

    def enough(progress):
        records = progress.read()
        seen.append((progress.recorded, records))
        return "enough" if progress.recorded >= 50 else None

    with serving(servers=4, service="det:0.005") as served:
        run = engine.run(Destination(served.base_url, WORKLOAD), job, enough)
        answered = len(served.truth())
    assert run.stop_reason == "enough"
    assert run.elapsed_s < 20
    assert 50 <= len(run.samples) == answered < len(job.due_s)
    assert run.samples.due_s == pytest.approx(job.due_s[:answered], abs=2e-6)
    for recorded, records in seen:
        assert len(records) == recorded
        assert records.dtype == RECORD


def test_what_a_stopped_run_leaves_unanswered_is_unfinished(engine):
    with serving(servers=64, service="det:8") as served:
        job = open_job(50, 10)
        destination = Destination(served.base_url, WORKLOAD)
        run = engine.run(
            destination, job, lambda progress: "enough" if progress.in_flight else None
        )
    assert run.samples.unfinished == len(run.samples) > 0
    assert np.all(np.isinf(run.samples.latency_s))
    assert run.elapsed_s < 7


def test_one_engine_takes_one_job_after_another(engine):
    with serving(servers=4, service="det:0.002") as first, serving(servers=4) as second:
        for number, served in enumerate((first, second, first)):
            served.forget()
            job = open_job(100, 0.5, seed=number)
            run = engine.run(Destination(served.base_url, WORKLOAD), job)
            assert_counts_add_up(run, job)
            assert len(served.truth()) == run.samples.succeeded == len(job.due_s)


def test_time_in_flight_counted_apart_is_the_sum_over_the_samples(engine):
    """Little's law, on which a validity check stands."""
    with serving(servers=4, service="exp:0.01", error_rate=0.1) as served:
        run = engine.run(Destination(served.base_url, WORKLOAD), open_job(100, 1))
    sent = run.samples.records[run.samples.is_sent]
    total_s = float(np.sum(sent["done_us"] - sent["sent_us"])) / 1e6
    assert run.generator.in_flight_s == pytest.approx(total_s, rel=0.01)
    assert 0 < run.generator.cpu_s < run.generator.wall_s


def test_a_killed_engine_is_told_and_leaves_nothing(tmp_path):
    journal = Journal(tmp_path / "journal")

    def kill(_):
        engine._process.kill()

    with serving(servers=4, service="det:0.002") as served, Engine(tmp_path, journal) as engine:
        pid = engine._process.pid
        with pytest.raises(EngineFailed, match="the load generator"):
            engine.run(Destination(served.base_url, WORKLOAD), open_job(50, 30), kill)
        with pytest.raises(EngineFailed, match=r"gone|ended"):
            engine.run(Destination(served.base_url, WORKLOAD), open_job(50, 0.2))
    assert not psutil.pid_exists(pid)
    assert not list((tmp_path / "journal").glob("*.json"))


def test_an_engine_ends_with_its_context_even_in_the_middle_of_a_job(tmp_path):
    journal = Journal(tmp_path / "journal")

    def interrupt(_):
        raise KeyboardInterrupt  # from the keyboard, in the middle of anything

    with serving(servers=4, service="det:0.002") as served:
        engine = Engine(tmp_path, journal)
        with pytest.raises(KeyboardInterrupt), engine:
            engine.run(Destination(served.base_url, WORKLOAD), open_job(50, 30), interrupt)
        assert not psutil.pid_exists(engine._process.pid)


def test_an_engine_that_cannot_start_says_why(tmp_path, monkeypatch):
    """The reason is the last line that the process wrote."""
    (tmp_path / "locust.py").write_text("raise RuntimeError('no load today')")
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    with pytest.raises(EngineFailed, match="no load today"):
        Engine(tmp_path / "work", Journal(tmp_path / "journal")).__enter__()
