"""The load generator: the only module that imports Locust, and a program of its own.

Locust patches the standard library on import, and any other work in its process is measurement
error, so it shares a process with nothing. It sends and judges nothing: Locust's own statistics
round to two digits.

    python -m loadtests.locustfile alone                      sends by itself
    python -m loadtests.locustfile master HOST PORT           sends nothing; has workers send
    python -m loadtests.locustfile worker HOST PORT NAME S    sends what its master says

Jobs      one JSON object a line on stdin, to alone and master: {"job": "load" | "stop" | "quit",
          …} (`Share.read` says what a load holds); to the master also "gone": a local worker's
          process ended. The end of stdin is the end of the program, a worker's too.
Answers   JSON lines on stdout: ready, started, progress (four a second), finished, failed; of the
          master also crew (who is there) and refused; of a worker joined, working, idle, ended
Samples   blocks of `generator.recording.RECORD` to the file the job names, streams to one beside
          it: by a lone generator itself, of workers by their master (generator.crew says how)
"""

from __future__ import annotations

import os
import resource
import socket
import sys
import time
from functools import partial
from http.client import HTTPException
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import gevent
import gevent.os
import locust.runners
from gevent import monkey
from gevent.event import Event
from geventhttpclient.connectionpool import ConnectionPool, SSLConnectionPool
from geventhttpclient.response import HTTPSocketPoolResponse
from locust import User, task
from locust.env import Environment
from locust.exception import RPCError
from locust.log import setup_logging
from typing_extensions import override

from loadtests.generator.alone import Alone
from loadtests.generator.generating import Generator
from loadtests.generator.kept import Kept
from loadtests.generator.lines import CannotServe, give_up, json_lines, say
from loadtests.generator.master import Master
from loadtests.generator.precise_timer import PreciseTimer
from loadtests.generator.recording import Outcome, Recorder
from loadtests.generator.streamed import StreamRecorder, exchange, outcome_of
from loadtests.generator.unread import Unread
from loadtests.generator.worker import Worker
from loadtests.streaming.answer import StreamedAnswer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from loadtests.generator.shares import Share

WELCOME_WITHIN_S = 5.0
REST_S = 0.01  # of a user whose connection failed: it must not try a million times a second
BLOCK_BYTES = 65536
OK_CLASS = 2  # of HTTP statuses
SUCCEEDED, REFUSED, BROKEN, TIMED_OUT, DROPPED, UNFINISHED = map(int, Outcome)


class _PlainConnections(Kept, ConnectionPool): ...


class _SecureConnections(Kept, SSLConnectionPool): ...


def connections(base_url: str, timeout_s: float) -> _PlainConnections | _SecureConnections:
    url = urlsplit(base_url)
    is_secure = url.scheme == "https"
    kind = _SecureConnections if is_secure else _PlainConnections
    poll = monkey.get_original("select", "poll")
    return kind(url.hostname or "", url.port or (443 if is_secure else 80), timeout_s, poll)


class Load:
    """One share of one job: its connections, its reused greenlets, its samples."""

    recorder_of = Recorder

    def __init__(self, share: Share, hand_on: Callable[..., object]) -> None:
        self.share, self._hand_on = share, hand_on
        self.connections = [connections(each, share.timeout_s) for each in share.base_urls]
        self.heads = [share.heads(each) for each in share.base_urls]
        self.idle: list[gevent.Greenlet] = []
        self.greenlets: list[gevent.Greenlet] = []
        self.pending: dict[int, tuple[float, float, int, int]] = {}
        self.stopping = False
        self.drain_s = share.drain_s
        self.handed_over = 0  # to a greenlet that has not begun to send
        self.timer = PreciseTimer(gevent.get_hub())
        self.over = Event()

    def run(self, start_s: float, report: Callable[[float, int, int], None]) -> None:
        """Until all is sent and answered, or given up."""
        self.report = report
        self.recorder = self.recorder_of(start_s, self._hand_on)
        try:
            self.open_loop() if self.share.loop == "open" else self.closed_loop()
        finally:
            self._drain()

    def halt(self, within_s: float) -> None:
        """Nothing new from now on; what is in flight has `within_s` to be answered."""
        self.stopping, self.drain_s = True, min(self.drain_s, within_s)
        self.timer.wake()
        self.over.set()

    def send(self, due_s: float, payload: int, variant: int) -> int:
        """One request, recorded however it ends."""
        recorder, clock = self.recorder, time.perf_counter
        key = id(gevent.getcurrent())
        sent_s = clock()
        first_s, status, outcome, size = sent_s, 0, BROKEN, 0
        recorder.change_in_flight(sent_s, 1)
        self.pending[key] = (due_s, sent_s, payload, variant)
        try:
            response = self._ask(payload, variant)
            first_s = clock()
            status = response.get_code()
            size = len(response.read())
            outcome = SUCCEEDED if status // 100 == OK_CLASS else REFUSED
        except TimeoutError:
            outcome = TIMED_OUT
        except (OSError, HTTPException, ValueError, RuntimeError, EOFError):
            outcome = BROKEN
        done_s = clock()
        del self.pending[key]
        recorder.change_in_flight(done_s, -1)
        recorder.add((due_s, sent_s, first_s, done_s), status, payload, outcome, variant, size)
        self.report(done_s - due_s, size, outcome)
        return outcome

    def _ask(self, payload: int, variant: int) -> HTTPSocketPoolResponse:
        kept = self.connections[variant]
        connection = kept.get_socket()
        try:
            connection.sendall(self.heads[variant][payload] + self.share.bodies[payload])
        except (BrokenPipeError, ConnectionResetError):
            pass  # it may have answered, and closed, before it had read all
        except BaseException:
            connection.close()
            raise
        return HTTPSocketPoolResponse(
            connection, kept, block_size=BLOCK_BYTES, method="POST", headers_type=Unread
        )

    def open_loop(self) -> None:
        """Walks the schedule; a request that finds all connections busy is dropped and counted."""
        recorder, clock, pool = self.recorder, time.perf_counter, self.share.pool
        start_s, loop, timer = recorder.start_s, gevent.get_hub().loop, self.timer
        for offset_s, payload, variant in self.share.walk():
            due_s = start_s + offset_s
            if due_s > clock() and not self.stopping:
                timer.sleep_until(due_s)
            if self.stopping:
                return
            if recorder.in_flight + self.handed_over >= pool:
                recorder.add((due_s, due_s, due_s, due_s), 0, payload, DROPPED, variant, 0)
            elif self.idle:
                self.handed_over += 1
                loop.run_callback(self.idle.pop().switch, (due_s, payload, variant))
            else:
                self.handed_over += 1
                self.greenlets.append(gevent.spawn(self._serve, (due_s, payload, variant)))

    def _serve(self, request: tuple[float, int, int]) -> None:
        """Sends what it is handed, again and again: a spawn for each request costs more."""
        hub = gevent.get_hub()
        while True:
            self.handed_over -= 1
            self.send(*request)
            self.idle.append(gevent.getcurrent())
            request = hub.switch()

    def closed_loop(self) -> None:
        """Users, each waiting for its answer, from the start of its span to its end."""
        share, start_s = self.share, self.recorder.start_s
        self.left = share.max_requests or 0
        self.at_work = 1  # this one, until all the users have begun
        self.choices = share.payloads.tolist()
        for turn in share.spans_s[:, 0].argsort(kind="stable").tolist():
            begin_s, end_s = start_s + share.spans_s[turn]
            if begin_s > time.perf_counter() and not self.stopping:
                self.timer.sleep_until(begin_s)
            if self.stopping or self.left <= 0:
                break
            self.at_work += 1
            user = int(share.users[turn])
            self.greenlets.append(gevent.spawn(self._repeat, user, float(end_s)))
        self._one_less()
        self.over.wait()

    def _repeat(self, user: int, end_s: float) -> None:
        """Due is sent: nobody but the user itself waits for its turn."""
        turn, choices = user, self.choices
        while self.left > 0 and not self.stopping and time.perf_counter() < end_s:
            self.left -= 1
            outcome = self.send(time.perf_counter(), choices[turn % len(choices)], 0)
            turn += self.share.all_users
            if outcome == BROKEN:
                gevent.sleep(REST_S)
        self._one_less()

    def _one_less(self) -> None:
        self.at_work -= 1
        if not self.at_work:
            self.over.set()

    def _drain(self) -> None:
        """Waits for what is in flight; what is left then is unfinished."""
        began_s = time.perf_counter()
        while self.pending or self.handed_over:
            if time.perf_counter() - began_s > self.drain_s:
                break
            gevent.sleep(0.005)
        gevent.killall(self.greenlets, block=True)
        now_s = time.perf_counter()
        for due_s, sent_s, payload, variant in self.pending.values():
            self.recorder.change_in_flight(now_s, -1)
            instants = (due_s, sent_s, sent_s, now_s)
            self.recorder.add(instants, 0, payload, UNFINISHED, variant, 0)
        for kept in self.connections:
            kept.close()
        self.timer.close()


class StreamingLoad(Load):
    """The same of answers that come bit by bit; whole ones take no part in what that costs."""

    recorder_of = StreamRecorder
    recorder: StreamRecorder

    @override
    def send(self, due_s: float, payload: int, variant: int) -> int:
        recorder, clock, key = self.recorder, time.perf_counter, id(gevent.getcurrent())
        answer, sent_s = StreamedAnswer(self.share.delivery), clock()
        recorder.change_in_flight(sent_s, 1)
        self.pending[key] = (due_s, sent_s, payload, variant)
        request = self.heads[variant][payload] + self.share.bodies[payload]
        kept, ends_s = self.connections[variant], sent_s + self.share.timeout_s
        read = partial(exchange, answer, kept, request, clock, ends_s)
        outcome = int(outcome_of(answer, read))
        done_s = clock()
        del self.pending[key]
        recorder.change_in_flight(done_s, -1)
        recorder.add_streamed((due_s, sent_s, done_s), (payload, outcome, variant), answer)
        self.report(done_s - due_s, answer.bytes, outcome)
        return outcome


def load_of(share: Share, hand_on: Callable[..., object]) -> Load:
    return (Load if share.delivery == "whole" else StreamingLoad)(share, hand_on)


class ScheduleUser(User):
    """Locust's one user in a process that sends: it performs job after job."""

    @task
    def run_job(self) -> None:
        """Locust calls it again after each."""
        self.environment.generator.perform(self.report)

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


def _lines(fd: int) -> Iterator[Any]:
    """While other greenlets run; ends with the input."""
    gevent.os.make_nonblocking(fd)
    return json_lines(lambda: gevent.os.nb_read(fd, BLOCK_BYTES))


def _tell_failures(environment: Environment, tell: Callable[[str], None]) -> None:
    environment.events.user_error.add_listener(  # type: ignore[no-untyped-call]
        lambda user_instance, exception, tb: tell(f"{type(exception).__name__}: {exception}")  # noqa: ARG005 - Locust's names
    )


def serve_alone() -> None:
    environment = Environment(user_classes=[ScheduleUser])
    runner = environment.create_local_runner()
    alone = Alone(_generator(environment, Alone.REPORT_EVERY_S), say)
    _tell_failures(environment, lambda text: say({"event": "failed", "message": text}))
    runner.start(1, spawn_rate=1)
    alone.serve(_lines(0))


def serve_master(host: str, port: int) -> None:
    """SystemExit or RPCError, by its version: Locust's words for a port that is taken."""
    try:
        runner = Environment(user_classes=[ScheduleUser]).create_master_runner(host, port)
    except (SystemExit, RPCError) as error:
        raise CannotServe(f"port {port} of {host} cannot be listened on: is it taken?") from error
    master = Master(runner, say, gevent.sleep)
    gevent.spawn(master.conduct).link_exception(
        lambda greenlet: give_up(f"{type(greenlet.exception).__name__}: {greenlet.exception}")
    )
    say({"event": "ready", "port": runner.server.port})
    master.serve(_lines(0))
    runner.quit()


def serve_worker(host: str, port: int, name: str, wait_s: float) -> None:
    """A master that is not there yet is waited for."""
    environment = Environment(user_classes=[ScheduleUser])
    gevent.spawn(_end_with_input, environment)
    try:
        socket.getaddrinfo(host, port)
    except socket.gaierror as error:
        raise CannotServe(f"there is no host {host} ({error.strerror})") from error
    locust.runners.CONNECT_TIMEOUT = 1
    locust.runners.CONNECT_RETRY_COUNT = int(wait_s)
    try:
        runner = environment.create_worker_runner(host, port)
    except ConnectionError as error:
        raise CannotServe(f"nothing answered at {host}:{port} within {wait_s:.0f} s") from error
    worker = Worker(runner, _generator(environment, Worker.REPORT_EVERY_S), name, say)
    _tell_failures(environment, worker.fail)
    runner.spawn_users({ScheduleUser.__name__: 1})
    worker.greet()
    gevent.spawn_later(WELCOME_WITHIN_S, worker.expect_welcome)
    runner.greenlet.join()
    if worker.failed is not None:
        raise CannotServe(worker.failed)
    say({"event": "ended"})


def _generator(environment: Environment, report_every_s: float) -> Generator:
    generator = Generator(load_of, environment.stats, report_every_s)
    environment.generator = generator  # type: ignore[attr-defined] # for the user to find
    return generator


def _end_with_input(environment: Environment) -> None:
    """Whoever started this process is gone, or wants it to be; the master is told."""
    for _ in _lines(0):
        pass
    environment.events.quitting.fire(environment=environment)  # type: ignore[no-untyped-call]
    gevent.sleep(0.1)
    os._exit(0)


def main() -> None:
    setup_logging("WARNING")  # type: ignore[no-untyped-call]
    locust.runners.HEARTBEAT_INTERVAL = Worker.HEARTBEAT_EVERY_S  # type: ignore[assignment]
    locust.runners.MASTER_HEARTBEAT_TIMEOUT = Worker.MASTER_SILENT_S
    most_files = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most_files, most_files))  # one a connection
    try:
        _serve(sys.argv[1:])
    except CannotServe as error:
        give_up(str(error))
    except (OSError, ValueError, KeyError) as error:
        give_up(f"{type(error).__name__}: {error}")
    sys.stdout.flush()
    os._exit(0)  # greenlets still sending must not hold the program


def _serve(given: list[str]) -> None:
    match given:
        case ["alone"]:
            serve_alone()
        case ["master", host, port]:
            serve_master(host, int(port))
        case ["worker", host, port, name, wait_s]:
            serve_worker(host, int(port), name, float(wait_s))
        case _:
            raise ValueError(f"{given} is no way to start a load generator")


if __name__ == "__main__":
    main()
