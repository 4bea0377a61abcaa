"""Servers to load, each in a process or a thread of its own, and the jobs to load them with."""

import http.client
import json
import socket
import subprocess
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path

import numpy as np
import pytest

from loadtests.arrivals import due_times, payload_choices
from loadtests.demo_server import DemoServer
from loadtests.runner import ClosedJob, OpenJob
from loadtests.traffic import Steady
from loadtests.workload import Payload, Workload

ROOT = Path(__file__).parents[2]
WORKLOAD = Workload((Payload("one", b"[1]"), Payload("two", b"[2, 2]")), "application/json")


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


class Scribe:
    """Writes down the body and the content type of every request, and when it came."""

    def __init__(self, delay_s=0.0):
        self.delay_s, self.written, self._lock = delay_s, [], threading.Lock()

    def __call__(self, connection):
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with connection, suppress(OSError):
            received = b""
            while block := connection.recv(65536):
                received += block
                head, end, body = received.partition(b"\r\n\r\n")
                headers = dict(
                    line.split(": ", 1) for line in head.decode().split("\r\n")[1:] if end
                )
                if not end or len(body) < int(headers["Content-Length"]):
                    continue
                received = b""
                with self._lock:
                    self.written.append((body, headers["Content-Type"], time.perf_counter()))
                time.sleep(self.delay_s)
                connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")

    def bodies(self):
        return [body for body, _, _ in self.written]


def open_job(rate_rps, duration_s, seed=1):
    due_s = due_times(Steady(rps=rate_rps), duration_s, seed=seed)
    return OpenJob(due_s, payload_choices(len(due_s), 2, seed=seed))


def closed_job(concurrency, max_requests, max_s):
    return ClosedJob.constant(concurrency, max_requests, max_s, payload_choices(4096, 2, seed=1))


def most_at_once(samples):
    sent = samples.records[samples.is_sent]
    instants = np.concatenate([sent["sent_us"], sent["done_us"]])
    steps = np.repeat([1, -1], len(sent))
    order = np.lexsort((steps, instants))  # who ends at an instant makes room for who begins at it
    return int(np.max(np.cumsum(steps[order]), initial=0))


def assert_counts_add_up(run, job):
    samples = run.samples
    sent = int(samples.is_sent.sum())
    assert len(samples) == len(job.due_s) == sent + samples.dropped
    assert sent == samples.succeeded + samples.failed + samples.unfinished
    assert samples.due_s == pytest.approx(job.due_s, abs=2e-6)
    assert samples.records["payload"].tolist() == job.payloads.tolist()
