"""The demo server itself: requests in, virtual queue, replies at their computed instants."""

from __future__ import annotations

import asyncio
import gc
import heapq
import json
import signal
import time
from dataclasses import dataclass
from http import HTTPStatus
from itertools import count
from typing import TYPE_CHECKING, TextIO

import numpy as np

from loadtests.demo_server.connection import Connection, Request
from loadtests.demo_server.service_times import endless_draws
from loadtests.demo_server.timer import Alarm
from loadtests.demo_server.virtual_queue import StallSchedule, VirtualQueue

if TYPE_CHECKING:
    from loadtests.demo_server import DemoServer

__all__ = ["serve"]

DIED = 1
CLOCK = "CLOCK_MONOTONIC"  # Python's time.monotonic, and on Linux its time.perf_counter too
ANSWER = b'{"predictions": [0]}'
INJECTED_ERROR = b'{"error": "injected"}'
QUEUE_FULL = b'{"error": "queue full"}'


@dataclass(slots=True)
class TrueRequest:
    """Instants on CLOCK. One turned away never starts; sent_s is None until it is answered."""

    tag: str | None
    status: int
    arrival_s: float
    start_s: float | None
    finish_s: float | None
    sent_s: float | None = None

    def as_json(self) -> dict[str, object]:
        return {name: getattr(self, name) for name in self.__slots__}


class Server:
    def __init__(self, settings: DemoServer, loop: asyncio.AbstractEventLoop) -> None:
        services, errors = np.random.SeedSequence(settings.seed).spawn(2)
        self._settings = settings
        self._loop = loop
        self._service_times_s = endless_draws(
            settings.service_time, np.random.default_rng(services)
        )
        self._errors = np.random.default_rng(errors)
        self._queue = VirtualQueue(
            settings.servers,
            stall=None if settings.stall is None else StallSchedule.parse(settings.stall),
            waiting_limit=settings.queue_limit,
        )
        self._origin_s = time.monotonic()  # stalls are counted from here
        self._alarm = Alarm(loop, self._release)
        self._set_for_s: float | None = None
        self._due: list[tuple[float, int, Connection, TrueRequest]] = []
        self._order = count()
        self._truth: list[TrueRequest] = []
        self._answered = 0
        self._log: TextIO | None = None
        self.ended: asyncio.Future[int] = loop.create_future()
        if settings.log is not None:
            self._log = open(settings.log, "a", buffering=1)  # noqa: PTH123, SIM115 - see close

    def close(self) -> None:
        self._alarm.close()
        if self._log is not None:
            self._log.close()

    def end(self, status: int) -> None:
        if not self.ended.done():
            self.ended.set_result(status)

    def handle(self, connection: Connection, request: Request) -> None:
        match request.method, request.path:
            case (("POST" | "GET"), "/invocations"):
                self._invoke(connection, request, time.monotonic())
            case "GET", "/ping":
                delay_s = self._settings.ping_delay_s
                self._loop.call_later(delay_s, connection.answer, self._settings.ping_status, b"")
            case "GET", "/truth":
                connection.answer(HTTPStatus.OK, self._truth_json())
            case "POST", "/truth/reset":
                self._truth = []
                connection.answer(HTTPStatus.OK, b"{}")
            case _, ("/invocations" | "/ping" | "/truth" | "/truth/reset"):
                connection.answer(HTTPStatus.METHOD_NOT_ALLOWED, b'{"error": "method"}')
            case _:
                connection.answer(HTTPStatus.NOT_FOUND, b'{"error": "path"}')

    def _invoke(self, connection: Connection, request: Request, now_s: float) -> None:
        arrival_s = now_s - self._origin_s
        fail_after = self._settings.fail_after
        if fail_after is not None and self._answered >= fail_after:
            self.end(DIED)
            return
        if self._queue.is_full(arrival_s):
            status = HTTPStatus.SERVICE_UNAVAILABLE
            rejected = TrueRequest(request.tag, status, now_s, None, None)
            self._truth.append(rejected)
            self._reply(connection, rejected, now_s)
            return
        passage = self._queue.admit(arrival_s, next(self._service_times_s))
        true_request = TrueRequest(
            request.tag,
            self._drawn_status(),
            now_s,
            self._origin_s + passage.start_s,
            self._origin_s + passage.finish_s,
        )
        self._truth.append(true_request)
        finish_s = self._origin_s + passage.finish_s
        heapq.heappush(self._due, (finish_s, next(self._order), connection, true_request))
        self._set_alarm()

    def _drawn_status(self) -> int:
        rate = self._settings.error_rate
        is_error = rate > 0 and self._errors.random() < rate
        return HTTPStatus.INTERNAL_SERVER_ERROR if is_error else HTTPStatus.OK

    def _release(self) -> None:
        self._set_for_s = None
        now_s = time.monotonic()
        while self._due and self._due[0][0] <= now_s:
            _, _, connection, true_request = heapq.heappop(self._due)
            self._reply(connection, true_request, now_s)
            now_s = time.monotonic()
        self._set_alarm()

    def _set_alarm(self) -> None:
        if self._due and (self._set_for_s is None or self._due[0][0] < self._set_for_s):
            self._set_for_s = self._due[0][0]
            self._alarm.set(self._set_for_s)

    def _reply(self, connection: Connection, true_request: TrueRequest, now_s: float) -> None:
        match true_request.status:
            case HTTPStatus.OK:
                body = ANSWER
            case HTTPStatus.SERVICE_UNAVAILABLE:
                body = QUEUE_FULL
            case _:
                body = INJECTED_ERROR
        true_request.sent_s = now_s
        self._answered += 1
        if self._log is not None:
            self._log.write(json.dumps(true_request.as_json()) + "\n")
        connection.answer(true_request.status, body)

    def _truth_json(self) -> bytes:
        service = self._settings.service_time
        document = {
            "clock": CLOCK,
            "servers": self._settings.servers,
            "service": str(service),
            "mean_service_s": service.mean_s,
            "service_cv": service.cv,
            "origin_s": self._origin_s,
            "requests": [true_request.as_json() for true_request in self._truth],
        }
        return json.dumps(document).encode()


async def serve(settings: DemoServer, host: str, port: int) -> int:
    """Until SIGTERM or SIGINT (0) or its planned death (1). OSError where it cannot listen."""
    loop = asyncio.get_running_loop()
    server = Server(settings, loop)
    try:
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, server.end, 0)
        listener = await loop.create_server(
            lambda: Connection(server.handle), host, port, backlog=1024
        )
        # Requests leave no cycles, and a collection that walks the truth stops everything for ms.
        gc.disable()
        try:
            return await server.ended
        finally:
            listener.close()
    finally:
        server.close()
