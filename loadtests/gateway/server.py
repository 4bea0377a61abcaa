"""The gateway itself: a request in, to a member of each stage, an answer out, a record of it."""

from __future__ import annotations

import asyncio
import json
import sys
import time
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import aiohttp
from aiohttp import web

from loadtests.gateway.passages import NO_MEMBER, pack
from loadtests.gateway.pools import Refusal, pool_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping
    from pathlib import Path

    from loadtests.gateway.pools import Pool
    from loadtests.gateway.settings import GatewaySettings, Stage

__all__ = ["serve"]

LOOPBACK = "127.0.0.1"
LOOK_AT_IDLE_EVERY_S = 0.05
ENDS_WITHIN_S = 1.0  # though somebody still waits for an answer
BAD_GATEWAY, GATEWAY_TIMEOUT, FAILED = 502, 504, 500
JSON = "application/json"
# Of one connection, not of the message (RFC 9110, 7.6.1), or written anew by whoever sends it.
NOT_PASSED_ON = frozenset(
    {
        *("connection", "keep-alive", "proxy-connection", "te", "trailer", "transfer-encoding"),
        *("upgrade", "content-length", "host", "expect"),
    }
)
ADDED_UNASKED = frozenset({"Accept", "Accept-Encoding", "Content-Type", "User-Agent"})
Ticket = asyncio.Future[int]


@dataclass(slots=True)
class _Passage:
    """At one stage. member: NO_MEMBER when it was turned away."""

    stage: int
    member: int
    waited: bool
    status: int
    sent_s: float
    answered_s: float


@dataclass(frozen=True, slots=True)
class _Message:
    body: bytes
    headers: Mapping[str, str]

    @property
    def content_type(self) -> str:
        return self.headers.get("Content-Type", "application/octet-stream")


@dataclass(frozen=True, slots=True)
class _Answer:
    status: int
    message: _Message

    @property
    def is_good(self) -> bool:
        return self.status < 300  # noqa: PLR2004


class _Stage:
    def __init__(self, number: int, stage: Stage) -> None:
        self.number, self.name = number, stage.name
        self.pool: Pool[Ticket] = pool_of(stage)
        self.addresses: dict[int, str] = {}


class Gateway:
    """Its words to the parent go out by `tell`, one JSON document a line."""

    def __init__(
        self, settings: GatewaySettings, records: Path, session: aiohttp.ClientSession
    ) -> None:
        self._settings = settings
        self._session = session
        self._stages = tuple(_Stage(n, stage) for n, stage in enumerate(settings.stages))
        self._came = 0
        self._records = records.open("ab", buffering=1 << 16)

    def close(self) -> None:
        self._records.close()

    async def handle(self, request: web.Request) -> web.StreamResponse:
        if request.path == "/ping":
            return web.Response()
        arrived_s = time.perf_counter()
        message = _Message(await request.read(), request.headers)
        number, self._came = self._came, self._came + 1
        passages: list[_Passage] = []
        if len(self._stages) == 1:
            return await self._pass_through(request, message, number, arrived_s)
        ask = self._in_line if self._settings.shape == "line" else self._to_all
        answer = await ask(request, message, passages)
        self._record(number, passages, arrived_s)
        return web.Response(
            status=answer.status, body=answer.message.body, headers=_passed_on(answer.message)
        )

    async def _in_line(
        self, request: web.Request, message: _Message, passages: list[_Passage]
    ) -> _Answer:
        answer = _Answer(FAILED, message)
        for stage in self._stages:
            answer = await self._ask(stage, request, message, passages)
            if not answer.is_good:
                break
            headers = request.headers.copy()
            headers["Content-Type"] = answer.message.content_type
            message = _Message(answer.message.body, headers)
        return answer

    async def _to_all(
        self, request: web.Request, message: _Message, passages: list[_Passage]
    ) -> _Answer:
        asked = (self._ask(stage, request, message, passages) for stage in self._stages)
        answers = await asyncio.gather(*asked)
        bad = next((answer for answer in answers if not answer.is_good), None)
        if bad is not None:
            return bad
        named = zip(self._stages, answers, strict=True)
        told = {stage.name: _as_json(answer.message) for stage, answer in named}
        return _Answer(200, _Message(json.dumps(told).encode(), {"Content-Type": JSON}))

    async def _ask(
        self, stage: _Stage, request: web.Request, message: _Message, passages: list[_Passage]
    ) -> _Answer:
        """One stage; the whole answer."""
        member, waited = await self._place(stage)
        sent_s = time.perf_counter()
        if isinstance(member, Refusal):
            answer, seat = _refused(member.status, member.reason), NO_MEMBER
        else:
            seat = member
            try:
                async with self._send(stage, member, request, message) as response:
                    body = await response.read()
                    answer = _Answer(response.status, _Message(body, response.headers))
            except (aiohttp.ClientError, TimeoutError) as problem:
                answer = self._not_answered(stage, member, problem)
            finally:
                self._free(stage, member)
        passages.append(
            _Passage(stage.number, seat, waited, answer.status, sent_s, time.perf_counter())
        )
        return answer

    async def _pass_through(
        self, request: web.Request, message: _Message, number: int, arrived_s: float
    ) -> web.StreamResponse:
        """The only stage; its answer is passed on piece by piece, as it comes."""
        (stage,) = self._stages
        member, waited = await self._place(stage)
        sent_s = time.perf_counter()
        if isinstance(member, Refusal):
            passage = _Passage(stage.number, NO_MEMBER, waited, member.status, sent_s, sent_s)
            self._record(number, [passage], arrived_s)
            return _as_response(_refused(member.status, member.reason))
        status = FAILED
        try:
            async with self._send(stage, member, request, message) as answer:
                status = answer.status
                return await _relay(request, answer)
        except (aiohttp.ClientError, TimeoutError) as problem:
            refusal = self._not_answered(stage, member, problem)
            status = refusal.status
            return _as_response(refusal)
        except _BrokenOff as broken:
            if not broken.by_caller:
                status = self._not_answered(stage, member, broken).status
            return broken.response
        finally:
            self._free(stage, member)
            passage = _Passage(stage.number, member, waited, status, sent_s, time.perf_counter())
            self._record(number, [passage], arrived_s)

    async def _place(self, stage: _Stage) -> tuple[int | Refusal, bool]:
        """The member that gets it, and whether it had to wait for one."""
        ticket: Ticket = asyncio.get_running_loop().create_future()
        taken = stage.pool.take(ticket, time.perf_counter())
        if taken is not None:
            return taken, False
        self._want(stage)
        try:
            return await ticket, True
        except asyncio.CancelledError:
            if ticket.cancelled():
                stage.pool.leave(ticket)
            elif ticket.done() and ticket.exception() is None:
                self._free(stage, ticket.result())
            raise
        except _NotStarted as problem:
            return Refusal(FAILED, str(problem)), True

    def _send(
        self, stage: _Stage, member: int, request: web.Request, message: _Message
    ) -> aiohttp.client._RequestContextManager:
        return self._session.request(
            request.method,
            stage.addresses[member] + request.path_qs,
            data=message.body or None,
            headers=_passed_on(message),
            allow_redirects=False,
        )

    def _not_answered(self, stage: _Stage, member: int, problem: Exception) -> _Answer:
        if isinstance(problem, TimeoutError):
            waited_s = self._settings.answer_s
            return _refused(GATEWAY_TIMEOUT, f"{stage.name} was silent for {waited_s:g} s")
        tell({"event": "failed", "stage": stage.number, "member": member, "why": str(problem)})
        return _refused(BAD_GATEWAY, f"{stage.name}: {problem}")

    def _free(self, stage: _Stage, member: int) -> None:
        _hand_over(stage.pool.give_back(member, time.perf_counter()))

    def _want(self, stage: _Stage) -> None:
        if (wanted := stage.pool.wanted()) > 0:
            tell({"event": "wanted", "stage": stage.number, "count": wanted})

    def obey(self, order: Mapping[str, Any]) -> None:
        stage = self._stages[order.get("stage", 0)]
        match order["do"]:
            case "add":
                stage.addresses[order["member"]] = order["url"]
                _hand_over(stage.pool.add(order["member"], time.perf_counter()))
            case "remove":
                stage.pool.remove(order["member"])
            case "start_failed":
                ticket = stage.pool.start_failed()
                if ticket is not None and not ticket.done():
                    ticket.set_exception(_NotStarted(order["why"]))
            case "flush":
                self._records.flush()
            case "count":
                pass
            case other:
                raise ValueError(other)
        tell({"event": "done", "number": order["number"], "came": self._came})

    async def look_at_idle(self) -> None:
        """For ever: what is too long without work, and what should be there but is not."""
        while True:
            for stage in self._stages:
                for member in stage.pool.idle(time.perf_counter()):
                    tell({"event": "idle", "stage": stage.number, "member": member})
                self._want(stage)
            await asyncio.sleep(LOOK_AT_IDLE_EVERY_S)

    def _record(self, request: int, passages: list[_Passage], arrived_s: float) -> None:
        left_s = time.perf_counter()
        for each in passages:
            self._records.write(
                pack(
                    request=request,
                    stage=each.stage,
                    waited=each.waited,
                    member=each.member,
                    status=each.status,
                    arrived_s=arrived_s,
                    sent_s=each.sent_s,
                    answered_s=each.answered_s,
                    left_s=left_s,
                )
            )


class _NotStarted(Exception):  # noqa: N818 - the name says what happened
    pass


def tell(event: Mapping[str, object]) -> None:
    sys.stdout.write(json.dumps(event) + "\n")
    sys.stdout.flush()


def _hand_over(next_one: tuple[Ticket, int] | None) -> None:
    if next_one is not None:
        ticket, member = next_one
        ticket.set_result(member)


def _passed_on(message: _Message) -> list[tuple[str, str]]:
    """A header may stand there twice."""
    return [(k, v) for k, v in message.headers.items() if k.lower() not in NOT_PASSED_ON]


def _refused(status: int, reason: str) -> _Answer:
    body = json.dumps({"error": reason}).encode()
    return _Answer(status, _Message(body, {"Content-Type": JSON}))


def _as_response(answer: _Answer) -> web.Response:
    return web.Response(
        status=answer.status, body=answer.message.body, headers=answer.message.headers
    )


def _as_json(message: _Message) -> object:
    """What is no JSON goes in as text."""
    text = message.body.decode(errors="replace")
    if "json" in message.content_type and "jsonlines" not in message.content_type:
        with suppress(ValueError):
            return json.loads(text)
    return text


async def _relay(request: web.Request, answer: aiohttp.ClientResponse) -> web.StreamResponse:
    headers = _passed_on(_Message(b"", answer.headers))
    if answer.content_length is not None:
        return web.Response(status=answer.status, body=await answer.read(), headers=headers)
    response = web.StreamResponse(status=answer.status, headers=headers)
    response.enable_chunked_encoding()
    try:
        await response.prepare(request)
        async for piece in _pieces(answer, request, response):
            await response.write(piece)
        await response.write_eof()
    except ConnectionError as problem:
        raise _BrokenOff(response, str(problem), by_caller=True) from problem
    return response


async def _pieces(
    answer: aiohttp.ClientResponse, request: web.Request, response: web.StreamResponse
) -> AsyncIterator[bytes]:
    """A caller who was given half an answer can only be told by a connection that breaks."""
    try:
        async for piece in answer.content.iter_any():
            yield piece
    except (aiohttp.ClientError, TimeoutError) as problem:
        if request.transport is not None:
            request.transport.abort()
        raise _BrokenOff(response, str(problem), by_caller=False) from problem


class _BrokenOff(Exception):  # noqa: N818 - the name says what happened
    """In the middle of an answer."""

    def __init__(self, response: web.StreamResponse, why: str, *, by_caller: bool) -> None:
        super().__init__(why)
        self.response, self.by_caller = response, by_caller


async def serve(settings: GatewaySettings, records: Path) -> None:
    """Until its standard input is closed. Tells its port first."""
    silence = aiohttp.ClientTimeout(total=None, sock_connect=10.0, sock_read=settings.answer_s)
    connector = aiohttp.TCPConnector(limit=0, keepalive_timeout=600.0)
    async with aiohttp.ClientSession(
        connector=connector,
        timeout=silence,
        auto_decompress=False,
        skip_auto_headers=ADDED_UNASKED,
    ) as session:
        gateway = Gateway(settings, records, session)
        program = web.Application(client_max_size=settings.largest_body_bytes)
        program.router.add_route("*", "/{path:.*}", gateway.handle)
        runner = web.AppRunner(
            program, access_log=None, auto_decompress=False, shutdown_timeout=ENDS_WITHIN_S
        )
        await runner.setup()
        site = web.TCPSite(runner, LOOPBACK, 0, backlog=1024)
        await site.start()
        port = runner.addresses[0][1]
        tell({"event": "listening", "port": port})
        looking = asyncio.create_task(gateway.look_at_idle())
        try:
            async for line in await _standard_input():
                gateway.obey(json.loads(line))
        finally:
            looking.cancel()
            await runner.cleanup()
            gateway.close()


async def _standard_input() -> asyncio.StreamReader:
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), sys.stdin
    )
    return reader
