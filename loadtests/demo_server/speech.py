"""What a language server says to a request, token by token, and when.

A request's service is the time to its first token and the gaps between its steps; each step makes
`tokens_per_chunk` tokens, which leave together. Where the queue stretches a service (a stall, a
cliff), its steps stretch evenly.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from functools import lru_cache
from itertools import accumulate, islice
from typing import TYPE_CHECKING, Any

import numpy as np

from loadtests.demo_server.service_times import endless_draws
from loadtests.errors import UsageError

if TYPE_CHECKING:
    from loadtests.demo_server import DemoServer
    from loadtests.demo_server.connection import Request

__all__ = ["STREAMING_PATHS", "Speaker", "Speech", "TokenCount"]

CHAT, COMPLETIONS = "/v1/chat/completions", "/v1/completions"
STREAMING_PATHS = (CHAT, COMPLETIONS)
WORD = "tok "
BODIES_KEPT = 256  # a load generator sends the same body again and again
LAST_CHUNK = b"0\r\n\r\n"


@dataclass(frozen=True, slots=True)
class TokenCount:
    """Evenly from fewest to most, both included."""

    fewest: int
    most: int

    def __post_init__(self) -> None:
        if not 1 <= self.fewest <= self.most:
            raise UsageError(f"an answer cannot have from {self.fewest} to {self.most} tokens")

    @classmethod
    def parse(cls, spec: str) -> TokenCount:
        fewest, _, most = spec.partition(":")
        try:
            return cls(int(fewest), int(most or fewest))
        except ValueError as error:
            raise UsageError(
                f"{spec!r} is no number of tokens", hint="expected N or FEWEST:MOST, such as 10:50"
            ) from error


@dataclass(frozen=True, slots=True)
class _Asked:
    """What the body of a request asks for."""

    streams: bool
    usage: bool
    most_tokens: int | None


@dataclass(frozen=True, slots=True)
class Speech:
    """pieces: what is sent, and after which share of the service; the first belongs to its start.

    The first holds the head, and of a chat the role, which is no token. `whole`: sent at the end
    instead, where nothing is streamed. is_cut: the connection is closed after the last piece.
    """

    service_s: float
    pieces: tuple[tuple[float, bytes], ...]
    whole: bytes | None
    tokens: int
    chunks: int
    is_cut: bool


class Speaker:
    def __init__(self, settings: DemoServer, seed: np.random.SeedSequence) -> None:
        first, gaps, others = seed.spawn(3)
        ttft, itl = settings.first_token_time, settings.gap_time
        if ttft is None:
            raise UsageError("a server that does not stream says nothing")
        self._first_s = endless_draws(ttft, np.random.default_rng(first))
        self._gap_time = itl
        self._gaps_s = None if itl is None else endless_draws(itl, np.random.default_rng(gaps))
        self._random = np.random.default_rng(others)
        self._settings = settings
        self._count = TokenCount.parse(settings.tokens)
        self._asked_by = lru_cache(BODIES_KEPT)(_asked_by)
        self._wording = lru_cache(BODIES_KEPT)(_Wording)

    def speech(self, request: Request, body: bytes) -> Speech:
        settings, asked = self._settings, self._asked_by(body)
        tokens = int(self._random.integers(self._count.fewest, self._count.most + 1))
        tokens = min(tokens, asked.most_tokens or tokens)
        step = settings.tokens_per_chunk
        chunks = math.ceil(tokens / step)
        is_api = request.path in STREAMING_PATHS
        streams = asked.streams or not is_api
        is_cut = streams and self._random.random() < settings.cut_rate
        if is_cut:
            chunks = max(chunks // 2, 1)
            tokens = min(tokens, chunks * step)
        gaps_s = [] if self._gaps_s is None else list(islice(self._gaps_s, chunks - 1))
        times_s = list(accumulate([next(self._first_s), *gaps_s]))
        times_s += times_s[-1:] * (chunks - len(times_s))  # without gaps all come at once
        usage = not settings.no_usage and (asked.usage or not streams)
        wording = self._wording(request.path, keep_alive=request.keep_alive)
        pieces = wording.pieces(tokens, step, is_cut=is_cut, usage=usage)
        shares = [0.0, *(at_s / times_s[-1] for at_s in times_s)]
        return Speech(
            service_s=times_s[-1],
            pieces=tuple(zip(shares, pieces, strict=True)) if streams else (),
            whole=None if streams else wording.whole(tokens, usage=usage),
            tokens=tokens,
            chunks=chunks,
            is_cut=is_cut,
        )


class _Wording:
    """The bytes of one kind of answer."""

    def __init__(self, path: str, *, keep_alive: bool) -> None:
        self._path, self._is_api = path, path in STREAMING_PATHS
        kind = b"text/event-stream" if self._is_api else b"text/plain"
        self._connection = b"keep-alive" if keep_alive else b"close"
        self._head = (
            b"HTTP/1.1 200 OK\r\nContent-Type: %s\r\nTransfer-Encoding: chunked\r\n"
            b"Connection: %s\r\n\r\n" % (kind, self._connection)
        )

    def pieces(self, tokens: int, step: int, *, is_cut: bool, usage: bool) -> list[bytes]:
        first = self._head
        if self._path == CHAT:
            first += self._event({"role": "assistant", "content": ""})
        counts = [step] * (tokens // step) + ([tokens % step] if tokens % step else [])
        pieces = [first, *map(self._output, counts)]
        if not is_cut:
            pieces[-1] += self._end(tokens, usage=usage)
        return pieces

    def whole(self, tokens: int, *, usage: bool) -> bytes:
        message = {"role": "assistant", "content": WORD * tokens}
        choice = {"message": message} if self._path == CHAT else {"text": WORD * tokens}
        document: dict[str, Any] = {"choices": [choice | {"index": 0, "finish_reason": "stop"}]}
        if usage:
            document["usage"] = _usage(tokens)
        body = json.dumps(document).encode()
        head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n"
        return head % len(body) + b"Connection: %s\r\n\r\n" % self._connection + body

    def _output(self, tokens: int) -> bytes:
        if not self._is_api:
            return _chunk(WORD.encode() * tokens)
        return self._event({"content": WORD * tokens})

    def _end(self, tokens: int, *, usage: bool) -> bytes:
        if not self._is_api:
            return LAST_CHUNK
        end = self._event({}, finish="stop")
        if usage:
            end += _event({"choices": [], "usage": _usage(tokens)})
        return end + _chunk(b"data: [DONE]\n\n") + LAST_CHUNK

    def _event(self, delta: dict[str, str], finish: str | None = None) -> bytes:
        if self._path == CHAT:
            choice: dict[str, Any] = {"delta": delta}
        else:
            choice = {"text": delta.get("content", "")}
        return _event({"choices": [choice | {"index": 0, "finish_reason": finish}]})


def _asked_by(body: bytes) -> _Asked:
    try:
        document = json.loads(body)
    except ValueError:
        document = None
    if not isinstance(document, dict):
        return _Asked(streams=False, usage=False, most_tokens=None)
    options = document.get("stream_options")
    most = document.get("max_completion_tokens", document.get("max_tokens"))
    return _Asked(
        streams=document.get("stream") is True,
        usage=isinstance(options, dict) and options.get("include_usage") is True,
        most_tokens=most if isinstance(most, int) and most > 0 else None,
    )


def _usage(tokens: int) -> dict[str, int]:
    return {"prompt_tokens": 1, "completion_tokens": tokens, "total_tokens": tokens + 1}


def _event(document: dict[str, Any]) -> bytes:
    return _chunk(b"data: %s\n\n" % json.dumps(document).encode())


def _chunk(data: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(data), data)
