"""The real engine against a real server of known service times, both on loopback.

Noise on a busy machine only ever adds to latency: a run that is INVALID, or slower than the server
says it was, is taken again, a few times. A count that does not add up never is.
"""

import os
import socket
import sys
import time
from contextlib import suppress

import numpy as np
import psutil
import pytest
from servers import (
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
from loadtests.monitor import wait_for_quiet
from loadtests.runner import ClosedJob, Destination, Engine, OpenJob
from loadtests.samples import RECORD, Outcome
from loadtests.validity import OpenEvidence, Status, check_open
from loadtests.workload import Payload, Workload

pytestmark = [pytest.mark.locust, pytest.mark.slow]

TRIES = 5


@pytest.fixture(scope="module")
def engine(tmp_path_factory):
    folder = tmp_path_factory.mktemp("engine")
    with Engine(folder / "work", Journal(folder / "journal")) as engine:
        yield engine


def undisturbed(engine, served, job, agrees):
    """A VALID run of which agrees(run, true requests) holds; the counts must add up in each."""
    why = []
    for _ in range(TRIES):
        served.forget()
        run = engine.run(Destination((served.base_url,), WORKLOAD), job)
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


def test_a_run_says_when_it_began(engine):
    """On this machine's clock, so that what else was seen meanwhile can be laid beside it."""
    with serving(servers=1, service="det:0.002", seed=3) as served:
        asked_s = time.perf_counter()
        run = engine.run(Destination((served.base_url,), WORKLOAD), open_job(50, 1))
        assert asked_s < run.started_s
        assert run.started_s + run.elapsed_s < time.perf_counter()


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
        closed = engine.run(Destination((served.base_url,), WORKLOAD), closed_job(1, 100_000, 2.0))
        assert np.quantile(closed.samples.service_s, 0.99) < 0.1, "the closed loop omits them"


@pytest.mark.beside
def test_refusals_are_counted_as_the_server_counts_them(engine):
    with serving(servers=2, service="det:0.002", error_rate=0.2, seed=4) as served:
        job = open_job(200, 1)
        run = engine.run(Destination((served.base_url,), WORKLOAD), job)
        assert_counts_add_up(run, job)
        refused = sum(request["status"] == 500 for request in served.truth())
        assert 10 < refused < 100
        assert run.samples.failed == refused
        assert run.samples.status_counts() == {200: len(job.due_s) - refused, 500: refused}
        assert set(run.samples.records["outcome"]) == {Outcome.SUCCEEDED, Outcome.REFUSED}


def test_an_answer_that_takes_too_long_is_a_time_out(engine):
    with serving(servers=64, service="det:3", seed=1) as served:
        job = OpenJob(np.array([0.0, 0.05, 0.1]), np.zeros(3, np.uint16))
        run = engine.run(Destination((served.base_url,), WORKLOAD, timeout_s=0.3), job)
        assert_counts_add_up(run, job)
        assert set(run.samples.records["outcome"]) == {Outcome.TIMED_OUT}
        waited_s = run.samples.records["done_us"] - run.samples.records["sent_us"]
        assert np.all(waited_s >= 0.29e6)


def test_where_nobody_listens_every_request_is_broken(engine):
    with socket.socket() as taken:  # bound and not listening: nobody else can have the port
        taken.bind(("127.0.0.1", 0))
        job = open_job(200, 0.3)
        run = engine.run(
            Destination((f"http://127.0.0.1:{taken.getsockname()[1]}",), WORKLOAD), job
        )
    assert_counts_add_up(run, job)
    assert set(run.samples.records["outcome"]) == {Outcome.BROKEN}


def test_a_server_that_dies_breaks_the_rest_and_loses_no_sample(engine):
    with serving(servers=4, service="det:0.002", fail_after=50) as served:
        job = open_job(200, 1)
        run = engine.run(Destination((served.base_url,), WORKLOAD, timeout_s=2), job)
        assert served.process.wait(10) == 1
    assert_counts_add_up(run, job)
    assert 40 <= run.samples.succeeded <= 50
    assert run.samples.failed == len(job.due_s) - run.samples.succeeded
    assert run.elapsed_s < 1.9, "a broken connection is no reason to wait for an answer"


def test_what_is_no_http_breaks_the_request(engine):
    def answer(connection):
        with connection:
            connection.recv(4096)
            connection.sendall(b"what do you want?\r\n\r\n")

    job = open_job(50, 0.4)
    with answering(answer) as base_url:
        run = engine.run(Destination((base_url,), WORKLOAD, timeout_s=2), job)
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
        run = engine.run(Destination((base_url,), WORKLOAD, timeout_s=2), job)
    assert run.samples.succeeded == 4


@pytest.mark.beside
def test_a_request_that_finds_every_connection_busy_is_dropped_and_counted(engine):
    """Two connections to a server that answers 20 a second, asked for 100."""
    with serving(servers=1, service="det:0.05") as served:
        job = open_job(100, 1.5)
        destination = Destination((served.base_url,), WORKLOAD, connections=2)
        run = engine.run(destination, job)
        assert_counts_add_up(run, job)
        assert most_at_once(run.samples) == 2
        assert len(served.truth()) == len(job.due_s) - run.samples.dropped
    assert run.samples.dropped > len(job.due_s) / 2
    assert np.all(np.isinf(run.samples.latency_s[~run.samples.is_sent]))


@pytest.mark.beside
def test_requests_due_at_the_same_instant_share_the_connections_there_are(engine):
    with serving(servers=64, service="det:0.02") as served:
        job = OpenJob(np.zeros(40), np.zeros(40, np.uint16))
        run = engine.run(Destination((served.base_url,), WORKLOAD, connections=4), job)
        assert_counts_add_up(run, job)
        assert len(served.truth()) == 4
    assert run.samples.dropped == 36


@pytest.mark.parametrize("concurrency", [1, 3])
def test_a_closed_loop_keeps_its_concurrency_and_never_exceeds_it(engine, concurrency):
    with serving(servers=8, service="exp:0.005", seed=2) as served:
        run = engine.run(
            Destination((served.base_url,), WORKLOAD), closed_job(concurrency, 200, 20)
        )
        assert len(served.truth()) == 200
    assert most_at_once(run.samples) == concurrency
    assert len(run.samples) == run.samples.succeeded == 200
    assert run.samples.lateness_s == pytest.approx(0, abs=0.005)


def test_a_closed_loop_ends_when_its_time_is_up(engine):
    with serving(servers=1, service="det:0.01") as served:
        run = engine.run(Destination((served.base_url,), WORKLOAD), closed_job(2, 100_000, 0.5))
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
        run = engine.run(Destination((served.base_url,), WORKLOAD), job, enough)
        answered = len(served.truth())
    assert run.stop_reason == "enough"
    assert run.elapsed_s < 20
    assert 50 <= len(run.samples) == answered < len(job.due_s)
    assert run.samples.due_s == pytest.approx(job.due_s[:answered], abs=2e-6)
    for recorded, records in seen:
        assert len(records) == recorded
        assert records.dtype == RECORD


@pytest.mark.beside
def test_what_a_stopped_run_leaves_unanswered_is_unfinished(engine):
    with serving(servers=64, service="det:8") as served:
        job = open_job(50, 10)
        destination = Destination((served.base_url,), WORKLOAD)
        run = engine.run(
            destination, job, lambda progress: "enough" if progress.in_flight else None
        )
    assert run.samples.unfinished == len(run.samples) > 0
    assert np.all(np.isinf(run.samples.latency_s))
    assert run.elapsed_s < 7


def test_a_stop_is_not_kept_waiting_by_the_next_due_time(engine):
    """Nothing is due for half a minute, and what is in flight hangs: a second is all it gets."""
    with serving(servers=64, service="det:60") as served:
        job = OpenJob(np.array([0.0, 0.1, 30.0]), np.zeros(3, np.uint16))
        run = engine.run(
            Destination((served.base_url,), WORKLOAD),
            job,
            lambda progress: "enough" if progress.in_flight == 2 else None,
        )
    assert run.samples.unfinished == len(run.samples) == 2
    assert run.stop_reason == "enough"
    assert run.elapsed_s < 4


def test_a_closed_loop_is_stopped_at_once(engine):
    with serving(servers=64, service="det:60") as served:
        run = engine.run(
            Destination((served.base_url,), WORKLOAD),
            closed_job(5, 1000, 60.0),
            lambda progress: "enough" if progress.in_flight == 5 else None,
        )
    assert run.samples.unfinished == len(run.samples) == 5
    assert run.elapsed_s < 4


def test_users_that_are_refused_neither_storm_the_server_nor_keep_the_stop_out(engine):
    with socket.socket() as taken:  # bound and not listening
        taken.bind(("127.0.0.1", 0))
        run = engine.run(
            Destination((f"http://127.0.0.1:{taken.getsockname()[1]}",), WORKLOAD),
            closed_job(2, 10**6, 60.0),
            lambda progress: "enough" if progress.elapsed_s > 0.5 else None,
        )
    assert set(run.samples.records["outcome"]) == {Outcome.BROKEN}
    assert run.elapsed_s < 3
    assert len(run.samples) < 2 * 100 * run.elapsed_s + 2


def test_users_come_and_go_by_their_spans(engine):
    """Two users from the start, one more in the middle third: PHASES and STAIRS are such spans."""
    spans_s = np.array([[0.0, 1.5], [0.5, 1.0], [0.0, 1.5]])
    with serving(servers=8, service="det:0.02") as served:
        job = ClosedJob(spans_s, 10_000, np.zeros(16, np.uint16))
        run = engine.run(Destination((served.base_url,), WORKLOAD), job)
    sent_s = run.samples.records["sent_us"] / 1e6
    done_s = run.samples.records["done_us"] / 1e6
    in_flight = [int(np.sum((sent_s <= at) & (at < done_s))) for at in np.arange(0.1, 1.5, 0.01)]
    seen = np.array(in_flight)
    assert seen.max() == 3
    assert np.median(seen[:35]) == np.median(seen[-45:]) == 2
    assert np.median(seen[45:85]) == 3
    assert sent_s.max() < 1.5
    assert run.samples.succeeded == len(run.samples) > 100


def test_a_user_waits_for_the_answer_that_its_span_ends_in(engine):
    with serving(servers=8, service="det:0.4") as served:
        job = ClosedJob(np.array([[0.0, 0.1]]), 10_000, np.zeros(1, np.uint16))
        run = engine.run(Destination((served.base_url,), WORKLOAD), job)
    assert run.samples.succeeded == len(run.samples) == 1
    assert run.elapsed_s > 0.4


def test_each_request_goes_to_the_variant_that_the_schedule_names(engine):
    first, second = Scribe(), Scribe()
    variants = np.array([0, 0, 1, 0, 1, 0, 0, 0, 1, 0] * 3, np.uint16)
    workload = Workload(tuple(Payload(str(n), b"[%d]" % n) for n in range(30)), "application/json")
    job = OpenJob(np.arange(30) / 100, np.arange(30, dtype=np.uint16), variants)
    with answering(first) as one, answering(second) as other:
        run = engine.run(Destination((one, other), workload, connections=8), job)
    expected = [payload.body for payload in workload.payloads]
    assert sorted(first.bodies()) == sorted(
        b for b, v in zip(expected, variants, strict=True) if v == 0
    )
    assert sorted(second.bodies()) == sorted(
        b for b, v in zip(expected, variants, strict=True) if v == 1
    )
    assert run.samples.records["variant"].tolist() == variants.tolist()
    assert len(run.samples.of_variant(1)) == 9
    assert run.samples.of_variant(1).succeeded == 9


@pytest.mark.beside
def test_each_payload_carries_its_own_content_type(engine):
    scribe = Scribe()
    workload = Workload(
        (Payload("rows", b"1,2", content_type="text/csv"), Payload("list", b"[1]")),
        "application/json",
    )
    job = OpenJob(np.array([0.0, 0.05, 0.1]), np.array([0, 1, 0], np.uint16))
    with answering(scribe) as base_url:
        engine.run(Destination((base_url,), workload), job)
    assert [(body, kind) for body, kind, _ in scribe.written] == [
        (b"1,2", "text/csv"),
        (b"[1]", "application/json"),
        (b"1,2", "text/csv"),
    ]


@pytest.mark.beside
def test_an_answer_sent_before_all_was_read_is_an_answer(engine):
    """A server may refuse a large body by its head, and close."""

    def refuse(connection):
        with connection:
            connection.recv(4096)
            connection.sendall(
                b"HTTP/1.1 413 Content Too Large\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
            )
            connection.shutdown(socket.SHUT_WR)
            with suppress(OSError):
                while connection.recv(1 << 20):
                    pass

    workload = Workload((Payload("large", bytes(8 << 20)),), "application/octet-stream")
    job = OpenJob(np.array([0.0]), np.zeros(1, np.uint16))
    with answering(refuse) as base_url:
        run = engine.run(Destination((base_url,), workload, timeout_s=5), job)
    assert run.samples.status_counts() == {413: 1}
    assert run.samples.records["outcome"].tolist() == [Outcome.REFUSED]


@pytest.mark.beside
def test_one_engine_takes_one_job_after_another(engine):
    with serving(servers=4, service="det:0.002") as first, serving(servers=4) as second:
        for number, served in enumerate((first, second, first)):
            served.forget()
            job = open_job(100, 0.5, seed=number)
            run = engine.run(Destination((served.base_url,), WORKLOAD), job)
            assert_counts_add_up(run, job)
            assert len(served.truth()) == run.samples.succeeded == len(job.due_s)


@pytest.mark.beside
def test_time_in_flight_counted_apart_is_the_sum_over_the_samples(engine):
    """Little's law, on which a validity check stands."""
    with serving(servers=4, service="exp:0.01", error_rate=0.1) as served:
        run = engine.run(Destination((served.base_url,), WORKLOAD), open_job(100, 1))
    sent = run.samples.records[run.samples.is_sent]
    total_s = float(np.sum(sent["done_us"] - sent["sent_us"])) / 1e6
    assert run.generator.in_flight_s == pytest.approx(total_s, rel=0.01)
    assert 0 < run.generator.cpu_s < run.generator.wall_s


@pytest.mark.beside
def test_the_memory_of_a_generator_does_not_grow_with_what_it_has_sent(engine):
    """Kept in memory, 30,000 samples would be 1.4 MB."""
    generator, seen = psutil.Process(engine._process.pid), []

    def look(progress):
        seen.append((progress.recorded, generator.memory_info().rss))

    with serving(servers=64, service="det:0.0002") as served:
        run = engine.run(
            Destination((served.base_url,), WORKLOAD), closed_job(16, 40_000, 60.0), look
        )
    assert len(run.samples) == 40_000
    settled = [rss for recorded, rss in seen if recorded >= 10_000]
    assert max(settled) - settled[0] < 0.5e6


@pytest.mark.beside
def test_a_killed_engine_is_told_and_leaves_nothing(tmp_path):
    journal = Journal(tmp_path / "journal")

    def kill(_):
        engine._process.kill()

    with serving(servers=4, service="det:0.002") as served, Engine(tmp_path, journal) as engine:
        pid = engine._process.pid
        with pytest.raises(EngineFailed, match="the load generator"):
            engine.run(Destination((served.base_url,), WORKLOAD), open_job(50, 30), kill)
        with pytest.raises(EngineFailed, match=r"gone|ended"):
            engine.run(Destination((served.base_url,), WORKLOAD), open_job(50, 0.2))
    assert not psutil.pid_exists(pid)
    assert not list((tmp_path / "journal").glob("*.json"))


@pytest.mark.beside
def test_an_engine_ends_with_its_context_even_in_the_middle_of_a_job(tmp_path):
    journal = Journal(tmp_path / "journal")

    def interrupt(_):
        raise KeyboardInterrupt  # from the keyboard, in the middle of anything

    with serving(servers=4, service="det:0.002") as served:
        engine = Engine(tmp_path, journal)
        with pytest.raises(KeyboardInterrupt), engine:
            engine.run(Destination((served.base_url,), WORKLOAD), open_job(50, 30), interrupt)
        assert not psutil.pid_exists(engine._process.pid)


@pytest.mark.beside
def test_an_engine_that_cannot_start_says_why(tmp_path, monkeypatch):
    """The reason is the last line that the process wrote."""
    (tmp_path / "locust.py").write_text("raise RuntimeError('no load today')")
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    with pytest.raises(EngineFailed, match="no load today"):
        Engine(tmp_path / "work", Journal(tmp_path / "journal")).__enter__()
