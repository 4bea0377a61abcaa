"""The demo server itself: requests in, virtual queue, replies at their computed instants."""

from __future__ import annotations

import asyncio
import gc
import heapq
import json
import signal
import time
from http import HTTPStatus
from itertools import count
from typing import TYPE_CHECKING, TextIO

from loadtests.demo_server.connection import Connection, Request, answer_bytes, head_reader
from loadtests.demo_server.faults import INJECTED, OK, Faults
from loadtests.demo_server.timer import Alarm
from loadtests.demo_server.truth import CLOCK, TruthRing, rows_as_json
from loadtests.demo_server.virtual_queue import VirtualQueue

if TYPE_CHECKING:
    from loadtests.demo_server import DemoServer

__all__ = ["serve"]

DIED = 1
TURNED_AWAY = 503
BODIES = {
    OK: b'{"predictions": [0]}',
    INJECTED: b'{"error": "injected"}',
    TURNED_AWAY: b'{"error": "queue full"}',
}


class Server:
    def __init__(self, settings: DemoServer, loop: asyncio.AbstractEventLoop) -> None:
        self._settings = settings
        self._loop = loop
        self._faults = Faults(settings)
        self._queue = VirtualQueue(
            settings.servers,
            stall=settings.stalls,
            waiting_limit=settings.queue_limit,
            cliff=settings.cliff_edge,
        )
        self._origin_s = time.monotonic()  # periods are counted from here
        self._alarm = Alarm(loop, self._release)
        self._set_for_s: float | None = None
        self._due: list[tuple[float, int, Connection, bytes, int]] = []
        self._order = count()
        self._truth = TruthRing(settings.truth_limit)
        self._answered = 0
        self._answers = {
            (status, keep_alive): answer_bytes(status, body, keep_alive=keep_alive)
            for status, body in BODIES.items()
            for keep_alive in (True, False)
        }
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
                self._tell(connection, request.query)
            case "POST", "/truth/reset":
                self._truth.reset()
                self._faults.begin_again(time.monotonic() - self._origin_s)
                connection.answer(HTTPStatus.OK, b"{}")
            case _, ("/invocations" | "/ping" | "/truth" | "/truth/reset"):
                connection.answer(HTTPStatus.METHOD_NOT_ALLOWED, b'{"error": "method"}')
            case _:
                connection.answer(HTTPStatus.NOT_FOUND, b'{"error": "path"}')

    def _invoke(self, connection: Connection, request: Request, now_s: float) -> None:
        origin_s = self._origin_s
        arrival_s = now_s - origin_s
        fail_after = self._settings.fail_after
        if fail_after is not None and self._answered >= fail_after:
            self.end(DIED)
            return
        self._faults.leak()
        if self._queue.is_full(arrival_s):
            number = self._truth.add(request.tag, TURNED_AWAY, now_s)
            self._reply(connection, self._answers[TURNED_AWAY, request.keep_alive], number, now_s)
            return
        passage = self._queue.admit(arrival_s, self._faults.service_s(arrival_s))
        status = self._faults.status(arrival_s)
        finish_s = origin_s + passage.finish_s
        number = self._truth.add(request.tag, status, now_s, origin_s + passage.start_s, finish_s)
        answer = self._answers[status, request.keep_alive]
        heapq.heappush(self._due, (finish_s, next(self._order), connection, answer, number))
        self._set_alarm()

    def _release(self) -> None:
        self._set_for_s = None
        now_s = time.monotonic()
        while self._due and self._due[0][0] <= now_s:
            _, _, connection, answer, number = heapq.heappop(self._due)
            self._reply(connection, answer, number, now_s)
            now_s = time.monotonic()
        self._set_alarm()

    def _set_alarm(self) -> None:
        if self._due and (self._set_for_s is None or self._due[0][0] < self._set_for_s):
            self._set_for_s = self._due[0][0]
            self._alarm.set(self._set_for_s)

    def _reply(self, connection: Connection, answer: bytes, number: int, now_s: float) -> None:
        self._truth.sent(number, now_s)
        self._answered += 1
        if self._log is not None:
            for line in rows_as_json(self._truth.row(number)):
                self._log.write(json.dumps(line) + "\n")
        connection.send(answer)

    def _tell(self, connection: Connection, query: str) -> None:
        match query:
            case "" | "format=json":
                connection.answer(HTTPStatus.OK, self._truth_json())
            case "format=npy":
                connection.answer(HTTPStatus.OK, self._truth.as_npy(), "application/x-npy")
            case _:
                connection.answer(HTTPStatus.BAD_REQUEST, b'{"error": "format is json or npy"}')

    def _truth_json(self) -> bytes:
        service = self._settings.service_time
        document = {
            "clock": CLOCK,
            "servers": self._settings.servers,
            "service": str(service),
            "mean_service_s": service.mean_s,
            "service_cv": service.cv,
            "origin_s": self._origin_s,
            "forgotten": self._truth.forgotten,
            "requests": rows_as_json(self._truth.rows()),
        }
        return json.dumps(document).encode()


async def serve(settings: DemoServer, host: str, port: int) -> int:
    """Until SIGTERM or SIGINT (0) or its planned death (1). OSError where it cannot listen."""
    loop = asyncio.get_running_loop()
    server = Server(settings, loop)
    try:
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, server.end, 0)
        read_head = head_reader()
        listener = await loop.create_server(
            lambda: Connection(server.handle, read_head), host, port, backlog=1024
        )
        # Requests leave no cycles, and a collection stops everything for as long as it takes.
        gc.disable()
        try:
            return await server.ended
        finally:
            listener.close()
    finally:
        server.close()
