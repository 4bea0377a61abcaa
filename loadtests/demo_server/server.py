"""The demo server itself: requests in, virtual queue, replies at their computed instants."""

from __future__ import annotations

import asyncio
import gc
import heapq
import json
import signal
import time
from functools import partial
from http import HTTPStatus
from itertools import count
from typing import TYPE_CHECKING, TextIO

import numpy as np

from loadtests.demo_server.connection import Connection, Request, answer_bytes, head_reader
from loadtests.demo_server.faults import INJECTED, OK, Faults
from loadtests.demo_server.rows import rows_in
from loadtests.demo_server.speaking import Speaking
from loadtests.demo_server.speech import STREAMING_PATHS, Speaker
from loadtests.demo_server.stream_truth import StreamTruth
from loadtests.demo_server.timer import Alarm
from loadtests.demo_server.truth import CLOCK, TruthRing, rows_as_json
from loadtests.demo_server.virtual_queue import VirtualQueue

if TYPE_CHECKING:
    from collections.abc import Callable

    from loadtests.demo_server import DemoServer
    from loadtests.demo_server.speech import Speech

__all__ = ["serve"]

DIED = 1
SPOKEN = 0x5BEE  # a random stream of its own: what is said changes no service time or fault
TURNED_AWAY = 503
TOO_LARGE = 413
NPY = "application/x-npy"
PATHS = ("/invocations", "/ping", "/truth", "/truth/streams", "/truth/gaps", "/truth/reset")
BODIES = {
    OK: b'{"predictions": [0]}',
    INJECTED: b'{"error": "injected"}',
    TURNED_AWAY: b'{"error": "queue full"}',
    TOO_LARGE: b'{"error": "too many rows"}',
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
        self._due: list[tuple[float, int, Callable[[float], None]]] = []
        self._order = count()
        self._truth = TruthRing(settings.truth_limit)
        self._stream_truth = StreamTruth(settings.truth_limit)
        self._speaker = None
        if settings.ttft is not None:
            self._speaker = Speaker(settings, np.random.SeedSequence([settings.seed, SPOKEN]))
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

    def handle(self, connection: Connection, request: Request, body: bytes) -> None:
        match request.method, request.path:
            case (("POST" | "GET"), "/invocations"):
                self._invoke(connection, request, body, time.monotonic())
            case "POST", path if path in STREAMING_PATHS and self._speaker is not None:
                self._invoke(connection, request, body, time.monotonic())
            case "GET", "/ping":
                delay_s = self._settings.ping_delay_s
                self._loop.call_later(delay_s, connection.answer, self._settings.ping_status, b"")
            case "GET", ("/truth" | "/truth/streams" | "/truth/gaps"):
                self._tell(connection, request.path, request.query)
            case "POST", "/truth/reset":
                self._truth.reset()
                self._stream_truth.reset()
                self._faults.begin_again(time.monotonic() - self._origin_s)
                connection.answer(HTTPStatus.OK, b"{}")
            case _, path if path in PATHS:
                connection.answer(HTTPStatus.METHOD_NOT_ALLOWED, b'{"error": "method"}')
            case _:
                connection.answer(HTTPStatus.NOT_FOUND, b'{"error": "path"}')

    def _invoke(self, connection: Connection, request: Request, body: bytes, now_s: float) -> None:
        origin_s = self._origin_s
        arrival_s = now_s - origin_s
        fail_after = self._settings.fail_after
        if fail_after is not None and self._answered >= fail_after:
            self.end(DIED)
            return
        self._faults.leak()
        rows, limit = rows_in(body), self._settings.row_limit
        is_too_large = limit is not None and rows > limit
        if is_too_large or self._queue.is_full(arrival_s):
            refusal = TOO_LARGE if is_too_large else TURNED_AWAY
            number = self._truth.add(request.tag, refusal, now_s)
            self._reply(connection, self._answers[refusal, request.keep_alive], number, now_s)
            return
        speech = None if self._speaker is None else self._speaker.speech(request, body)
        service_s = self._service_s(arrival_s, speech) + rows * self._settings.per_row_s
        passage = self._queue.admit(arrival_s, service_s)
        status = self._faults.status(arrival_s)
        start_s, finish_s = origin_s + passage.start_s, origin_s + passage.finish_s
        number = self._truth.add(request.tag, status, now_s, start_s, finish_s)
        if speech is not None and speech.whole is None and status == OK:
            instants = (now_s, start_s, finish_s)
            speaking = Speaking(speech, connection, instants, self._stream_truth)
            self._schedule(start_s, partial(self._speak, speaking, number))
            return
        answer = self._answers[status, request.keep_alive]
        if speech is not None and speech.whole is not None and status == OK:
            answer = speech.whole
        self._schedule(finish_s, partial(self._reply, connection, answer, number))

    def _service_s(self, arrival_s: float, speech: Speech | None) -> float:
        if speech is None:
            return self._faults.service_s(arrival_s)
        return self._faults.drifted_s(speech.service_s, arrival_s)

    def _schedule(self, instant_s: float, act: Callable[[float], None]) -> None:
        heapq.heappush(self._due, (instant_s, next(self._order), act))
        self._set_alarm()

    def _release(self) -> None:
        self._set_for_s = None
        now_s = time.monotonic()
        while self._due and self._due[0][0] <= now_s:
            _, _, act = heapq.heappop(self._due)
            act(now_s)
            now_s = time.monotonic()
        self._set_alarm()

    def _set_alarm(self) -> None:
        if self._due and (self._set_for_s is None or self._due[0][0] < self._set_for_s):
            self._set_for_s = self._due[0][0]
            self._alarm.set(self._set_for_s)

    def _reply(self, connection: Connection, answer: bytes, number: int, now_s: float) -> None:
        self._note_sent(number, now_s)
        connection.send(answer)

    def _speak(self, speaking: Speaking, number: int, now_s: float) -> None:
        speaking.go_on()
        due_s = speaking.due_s
        if due_s is None:
            self._note_sent(number, now_s)
        else:
            self._schedule(due_s, partial(self._speak, speaking, number))

    def _note_sent(self, number: int, now_s: float) -> None:
        self._truth.sent(number, now_s)
        self._answered += 1
        if self._log is not None:
            for line in rows_as_json(self._truth.row(number)):
                self._log.write(json.dumps(line) + "\n")

    def _tell(self, connection: Connection, path: str, query: str) -> None:
        match path, query:
            case "/truth", ("" | "format=json"):
                connection.answer(HTTPStatus.OK, self._truth_json())
            case "/truth", "format=npy":
                connection.answer(HTTPStatus.OK, self._truth.as_npy(), NPY)
            case "/truth/streams", "":
                connection.answer(HTTPStatus.OK, self._stream_truth.rows_npy(), NPY)
            case "/truth/gaps", "":
                connection.answer(HTTPStatus.OK, self._stream_truth.gaps_npy(), NPY)
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
