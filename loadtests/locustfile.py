"""The load generator: the only module that imports Locust, and a program of its own.

`python -m loadtests.locustfile` reads jobs, one JSON object a line, and answers in JSON lines.
Locust patches the standard library on import, and any other work in its process is measurement
error, so it shares a process with nothing. It sends and judges nothing: Locust's own statistics
round to two digits.

Jobs      {"job": "open" | "closed" | "stop" | "quit", …} (`Job` in loadtests.runner)
Answers   ready, started, progress (four a second), finished, failed
Samples   fixed-size records (`loadtests.samples.RECORD`), appended to the file the job names
"""

from __future__ import annotations

import ctypes
import gc
import json
import os
import resource
import struct
import sys
import time
from http.client import HTTPException
from pathlib import Path
from typing import TYPE_CHECKING, Any

import gevent
import gevent.os
import numpy as np
from gevent import socket as gevent_socket
from gevent.queue import Queue
from geventhttpclient import HTTPClient
from locust import FastHttpUser, task
from locust.env import Environment
from locust.log import setup_logging

if TYPE_CHECKING:
    from collections.abc import Callable

PROGRESS_EVERY_S = 0.25
LEAD_IN_S = 0.05  # so that the first request is not late for want of a running loop
RECORD = struct.Struct("<qqqqHHHHQ")
OK_CLASS = 2  # of HTTP statuses
SUCCEEDED, REFUSED, BROKEN, TIMED_OUT, DROPPED, UNFINISHED = range(6)


class PreciseTimer:
    """Sleeps to an absolute time by timerfd: epoll's own time-out counts whole milliseconds."""

    def __init__(self) -> None:
        self._libc = ctypes.CDLL(None, use_errno=True)
        nonblocking_cloexec = 0o4000 | 0o2000000
        self._fd = self._libc.timerfd_create(1, nonblocking_cloexec)
        if self._fd < 0:
            raise OSError(ctypes.get_errno(), "timerfd_create failed")
        self._hub = gevent.get_hub()
        self._watcher = self._hub.loop.io(self._fd, 1)

    def sleep_until(self, monotonic_s: float) -> None:
        seconds = int(monotonic_s)
        when = struct.pack("qqqq", 0, 0, seconds, int((monotonic_s - seconds) * 1e9))
        if self._libc.timerfd_settime(self._fd, 1, when, None) != 0:
            raise OSError(ctypes.get_errno(), "timerfd_settime failed")
        self._hub.wait(self._watcher)
        os.read(self._fd, 8)


class Recorder:
    """Samples in memory until the next flush; the time in flight counted apart from them."""

    def __init__(self, file: str, start_s: float) -> None:
        self._file = Path(file).open("ab", buffering=0)  # noqa: SIM115 - open for the whole job
        self._pending = bytearray()
        self.start_s = start_s
        self.counts = [0] * 6
        self.in_flight = 0
        self.in_flight_s = 0.0
        self._changed_s = start_s

    def change_in_flight(self, now_s: float, change: int) -> None:
        self.in_flight_s += self.in_flight * (now_s - self._changed_s)
        self._changed_s = now_s
        self.in_flight += change

    def add(
        self,
        times: tuple[float, float, float, float],
        status: int,
        payload: int,
        outcome: int,
        size: int,
    ) -> None:
        start_s = self.start_s
        due, sent, first, done = times
        self.counts[outcome] += 1
        self._pending += RECORD.pack(
            round((due - start_s) * 1e6), round((sent - start_s) * 1e6),
            round((first - start_s) * 1e6), round((done - start_s) * 1e6),
            status, payload, outcome, 0, size,
        )  # fmt: skip

    def flush(self) -> None:
        if self._pending:
            self._file.write(self._pending)
            self._pending.clear()

    def close(self) -> None:
        self.flush()
        self._file.close()


class Load:
    """One job: its connections, its reused greenlets, its samples."""

    def __init__(self, user: ScheduleUser, job: dict[str, Any]) -> None:
        self.user, self.job = user, job
        self.client = HTTPClient.from_url(
            job["base_url"],
            concurrency=job["pool"],
            connection_timeout=job["timeout_s"],
            network_timeout=job["timeout_s"],
            headers={"Content-Type": job["content_type"]},
        )
        self.bodies = [_read(file) for file in job["payload_files"]]
        self.path = job["path"]
        self.idle: list[gevent.Greenlet] = []
        self.greenlets: list[gevent.Greenlet] = []
        self.pending: dict[int, tuple[float, float, int]] = {}
        self.stopping = False
        self.handed_over = 0  # to a greenlet that has not begun to send
        self.recorder = Recorder(job["samples_file"], time.perf_counter() + LEAD_IN_S)

    def send(self, due_s: float, payload: int) -> None:
        """One request, recorded however it ends."""
        recorder, clock = self.recorder, time.perf_counter
        key = id(gevent.getcurrent())
        sent_s = clock()
        first_s, status, outcome, size = sent_s, 0, BROKEN, 0
        recorder.change_in_flight(sent_s, 1)
        self.pending[key] = (due_s, sent_s, payload)
        try:
            response = self.client.request("POST", self.path, body=self.bodies[payload])
            first_s = clock()
            status = response.status_code
            size = len(response.read())
            outcome = SUCCEEDED if status // 100 == OK_CLASS else REFUSED
        except (TimeoutError, gevent_socket.timeout):
            outcome = TIMED_OUT
        except (OSError, HTTPException, ValueError, RuntimeError, EOFError):
            outcome = BROKEN
        done_s = clock()
        del self.pending[key]
        recorder.change_in_flight(done_s, -1)
        recorder.add((due_s, sent_s, max(first_s, sent_s), done_s), status, payload, outcome, size)
        self.user.report(done_s - due_s, size, outcome)

    def open_loop(self) -> None:
        """Walks the schedule; a request that finds all connections busy is dropped and counted."""
        due = np.load(self.job["schedule_file"]).tolist()
        payloads = np.load(self.job["choices_file"]).tolist()
        timer, recorder, clock, pool = (
            PreciseTimer(),
            self.recorder,
            time.perf_counter,
            self.job["pool"],
        )
        start_s, loop = recorder.start_s, gevent.get_hub().loop
        for offset_s, payload in zip(due, payloads, strict=True):
            due_s = start_s + offset_s
            if due_s > clock():
                timer.sleep_until(due_s)
            if self.stopping:
                return
            if recorder.in_flight + self.handed_over >= pool:
                recorder.add((due_s, due_s, due_s, due_s), 0, payload, DROPPED, 0)
            elif self.idle:
                self.handed_over += 1
                loop.run_callback(self.idle.pop().switch, (due_s, payload))
            else:
                self.handed_over += 1
                self.greenlets.append(gevent.spawn(self._serve, (due_s, payload)))

    def _serve(self, request: tuple[float, int]) -> None:
        """Sends what it is handed, again and again: a spawn for each request costs more."""
        hub = gevent.get_hub()
        while True:
            self.handed_over -= 1
            self.send(*request)
            self.idle.append(gevent.getcurrent())
            request = hub.switch()

    def closed_loop(self) -> None:
        """`concurrency` senders, each waiting for its answer; due is sent."""
        self.left = self.job["max_requests"]
        self.ends_s = self.recorder.start_s + self.job["max_s"]
        choices = np.load(self.job["choices_file"]).tolist()
        timer = PreciseTimer()
        timer.sleep_until(self.recorder.start_s)
        self.greenlets = [
            gevent.spawn(self._repeat, choices, n) for n in range(self.job["concurrency"])
        ]
        gevent.joinall(self.greenlets)

    def _repeat(self, choices: list[int], offset: int) -> None:
        turn, step = offset, self.job["concurrency"]
        while self.left > 0 and not self.stopping and time.perf_counter() < self.ends_s:
            self.left -= 1
            self.send(time.perf_counter(), choices[turn % len(choices)])
            turn += step

    def drain(self, limit_s: float) -> None:
        """Waits for what is in flight; what is left then is unfinished."""
        ends_s = time.perf_counter() + limit_s
        while (self.pending or self.handed_over) and time.perf_counter() < ends_s:
            gevent.sleep(0.005)
        now_s = time.perf_counter()
        unfinished = list(self.pending.values())
        gevent.killall(self.greenlets, block=False)
        for due_s, sent_s, payload in unfinished:
            self.recorder.change_in_flight(now_s, -1)
            self.recorder.add((due_s, sent_s, sent_s, now_s), 0, payload, UNFINISHED, 0)
        self.recorder.close()
        self.client.close()


class ScheduleUser(FastHttpUser):
    """Locust's one user: it walks the schedule of the job it was started for."""

    abstract = False
    host = "http://127.0.0.1"

    @task
    def run_job(self) -> None:
        """Waits for the next job; Locust calls it again after each."""
        engine: Engine = self.environment.engine
        load = engine.begin(self, engine.jobs.get())
        try:
            load.open_loop() if load.job["job"] == "open" else load.closed_loop()
        finally:
            engine.end(load)

    def report(self, latency_s: float, size: int, outcome: int) -> None:
        """Locust's own listeners and pages still see the traffic."""
        self.environment.events.request.fire(
            request_type="POST",
            name="/invocations",
            response_time=latency_s * 1e3,
            response_length=size,
            exception=None if outcome == SUCCEEDED else OSError(outcome),
            context={},
        )


class Engine:
    def __init__(self) -> None:
        self.environment = Environment(user_classes=[ScheduleUser])
        self.environment.engine = self  # type: ignore[attr-defined] # for the user to find
        self.runner = self.environment.create_local_runner()
        self.jobs: Queue[dict[str, Any]] = Queue()
        self.load: Load | None = None
        self.stop_reason: str | None = None

    def serve(self) -> None:
        """Until quit, or until whoever started it is gone (end of input)."""
        self.runner.start(1, spawn_rate=1)
        say({"event": "ready"})
        for job in _lines(0):
            match job["job"]:
                case "quit":
                    return
                case "stop":
                    if self.load is not None:
                        self.load.stopping, self.stop_reason = True, job["reason"]
                case _:
                    self.jobs.put(job)

    def begin(self, user: ScheduleUser, job: dict[str, Any]) -> Load:
        self.stop_reason = None
        if job.get("cores"):
            os.sched_setaffinity(0, job["cores"])
        gc.collect()
        gc.freeze()
        self.load = Load(user, job)
        self.cpu_s, self.wall_s = cpu_seconds(), time.perf_counter()
        say({"event": "started", "clock_s": self.load.recorder.start_s})
        self.reporter = gevent.spawn(self.report)
        return self.load

    def report(self) -> None:
        while self.load is not None:
            gevent.sleep(PROGRESS_EVERY_S)
            if self.load is not None:
                self.load.recorder.flush()
                say({"event": "progress", **self.figures(self.load)})

    def figures(self, load: Load) -> dict[str, Any]:
        recorder = load.recorder
        now_s = time.perf_counter()
        return {
            "elapsed_s": now_s - recorder.start_s,
            "recorded": sum(recorder.counts),
            "in_flight": recorder.in_flight,
            "dropped": recorder.counts[DROPPED],
            "in_flight_s": recorder.in_flight_s,
            "cpu_s": cpu_seconds() - self.cpu_s,
            "wall_s": now_s - self.wall_s,
        }

    def end(self, load: Load) -> None:
        limit_s = load.job["drain_s"]
        load.drain(min(limit_s, 2.0) if self.stop_reason else limit_s)
        self.load = None
        self.reporter.kill(block=False)
        say({"event": "finished", "stop_reason": self.stop_reason, **self.figures(load)})


def cpu_seconds() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def say(message: dict[str, Any]) -> None:
    os.write(1, json.dumps(message).encode() + b"\n")


def _read(file: str) -> bytes:
    return Path(file).read_bytes()


def _lines(fd: int) -> Any:  # noqa: ANN401 - whatever JSON holds
    """JSON objects as they arrive, while other greenlets run; ends with the input."""
    rest = b""
    gevent.os.make_nonblocking(fd)
    while block := gevent.os.nb_read(fd, 65536):
        *lines, rest = (rest + block).split(b"\n")
        for line in lines:
            if line.strip():
                yield json.loads(line)


def main() -> None:
    setup_logging("WARNING")  # type: ignore[no-untyped-call]
    engine = Engine()
    failing: Callable[[Exception], None] = lambda error: say(  # noqa: E731 - one use
        {"event": "failed", "message": f"{type(error).__name__}: {error}"}
    )
    engine.environment.events.user_error.add_listener(  # type: ignore[no-untyped-call]
        lambda user_instance, exception, tb: failing(exception)  # noqa: ARG005 - Locust's names
    )
    try:
        engine.serve()
    except (OSError, ValueError, KeyError) as error:
        failing(error)
    sys.stdout.flush()
    os._exit(0)  # greenlets still sending must not hold the program


if __name__ == "__main__":
    main()
