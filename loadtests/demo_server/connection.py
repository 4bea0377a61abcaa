"""Just enough HTTP/1.1 for a fast server: keep-alive, Content-Length, Expect; one at a time.

A second request sent before the first is answered (pipelining) waits its turn and arrives, for the
queue, when the first has been answered.
"""

from __future__ import annotations

import asyncio
from functools import lru_cache
from http import HTTPStatus
from typing import TYPE_CHECKING, NamedTuple

from typing_extensions import override

from loadtests.demo_server.truth import TAG_BYTES

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Connection", "Head", "Request", "answer_bytes", "head_reader"]

HEAD_LIMIT_BYTES = 64 * 1024
BODY_LIMIT_BYTES = 64 * 1024**2
HEADS_KEPT = 1024  # a load generator sends the same head again and again
HEAD_END = b"\r\n\r\n"
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


class Request(NamedTuple):
    method: str
    path: str
    query: str
    tag: bytes
    keep_alive: bool


class Head(NamedTuple):
    request: Request
    body_bytes: int
    expects_continue: bool


class _Refused(Exception):  # noqa: N818 - the name says what happened
    def __init__(self, status: HTTPStatus) -> None:
        super().__init__(status.phrase)
        self.status = status


class Connection(asyncio.Protocol):
    def __init__(
        self,
        handle: Callable[[Connection, Request, bytes], None],
        read_head: Callable[[bytes], Head],
    ) -> None:
        self._handle = handle
        self._read_head = read_head
        self._received = bytearray()
        self._head: Head | None = None
        self._answering: Request | None = None
        self._transport: asyncio.Transport | None = None

    @override
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        if isinstance(transport, asyncio.Transport):
            self._transport = transport

    @override
    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None

    @override
    def data_received(self, data: bytes) -> None:
        self._received += data
        self._proceed()

    def answer(self, status: int, body: bytes, content_type: str = "application/json") -> None:
        """To the request that was handed on last. The caller may have gone in the meantime."""
        keep_alive = self._answering is not None and self._answering.keep_alive
        self.send(_answer_head(status, len(body), content_type, keep_alive=keep_alive), body)

    def send(self, *pieces: bytes) -> None:
        """As `answer`, with what `answer_bytes` made before."""
        request, self._answering = self._answering, None
        if self._transport is None or request is None:
            return
        for piece in pieces:
            self._transport.write(piece)
        if not request.keep_alive:
            self._transport.close()
        elif self._received:
            asyncio.get_running_loop().call_soon(self._proceed)

    def push(self, piece: bytes) -> None:
        """Part of an answer; `send` or `cut` ends it."""
        if self._transport is not None:
            self._transport.write(piece)

    def cut(self) -> None:
        """In the middle of an answer."""
        self._answering = None
        if self._transport is not None:
            self._transport.close()

    def _proceed(self) -> None:
        try:
            found = self._next_request()
        except _Refused as refused:
            self._refuse(refused.status)
            return
        if found is not None:
            self._answering, body = found
            self._handle(self, self._answering, body)

    def _next_request(self) -> tuple[Request, bytes] | None:
        if self._answering is not None:
            return None
        if self._head is None:
            end = self._received.find(HEAD_END)
            if end < 0 and len(self._received) <= HEAD_LIMIT_BYTES:
                return None
            if not 0 <= end <= HEAD_LIMIT_BYTES:
                raise _Refused(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE)
            self._head = self._read_head(bytes(self._received[:end]))
            del self._received[: end + len(HEAD_END)]
            if self._head.expects_continue and self._transport is not None:
                self._transport.write(CONTINUE)
        request, body_bytes, _ = self._head
        if len(self._received) < body_bytes:
            return None
        body = bytes(self._received[:body_bytes])
        del self._received[:body_bytes]
        self._head = None
        return request, body

    def _refuse(self, status: HTTPStatus) -> None:
        self._received.clear()
        if self._transport is not None:
            body = b'{"error": "%s"}' % status.phrase.encode()
            self._transport.write(answer_bytes(status, body, keep_alive=False))
            self._transport.close()


def answer_bytes(
    status: int, body: bytes, content_type: str = "application/json", *, keep_alive: bool = True
) -> bytes:
    return _answer_head(status, len(body), content_type, keep_alive=keep_alive) + body


def _answer_head(status: int, body_bytes: int, content_type: str, *, keep_alive: bool) -> bytes:
    phrase = HTTPStatus(status).phrase
    connection = "keep-alive" if keep_alive else "close"
    return (
        f"HTTP/1.1 {int(status)} {phrase}\r\nContent-Type: {content_type}\r\n"
        f"Content-Length: {body_bytes}\r\nConnection: {connection}\r\n\r\n"
    ).encode()


def head_reader() -> Callable[[bytes], Head]:
    """Reads what comes before a body; the last heads read are remembered."""
    return lru_cache(HEADS_KEPT)(_parse_head)


def _parse_head(head: bytes) -> Head:
    first, *lines = head.decode("latin-1").split("\r\n")
    try:
        method, path, protocol = first.split(" ")
    except ValueError as error:
        raise _Refused(HTTPStatus.BAD_REQUEST) from error
    if not protocol.startswith("HTTP/1."):
        raise _Refused(HTTPStatus.HTTP_VERSION_NOT_SUPPORTED)
    headers = {}
    for line in lines:
        name, _, value = line.partition(":")
        headers[name.lower()] = value.strip()
    if "transfer-encoding" in headers:
        raise _Refused(HTTPStatus.LENGTH_REQUIRED)
    wish = headers.get("connection", "").lower()
    keep_alive = wish == "keep-alive" if protocol == "HTTP/1.0" else wish != "close"
    path, _, query = path.partition("?")
    tag = headers.get("x-tag", "").encode("latin-1")
    if len(tag) > TAG_BYTES:
        raise _Refused(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE)
    request = Request(method, path, query, tag, keep_alive)
    expects_continue = headers.get("expect", "").lower() == "100-continue"
    return Head(request, _body_bytes(headers.get("content-length", "0")), expects_continue)


def _body_bytes(content_length: str) -> int:
    if not (content_length.isascii() and content_length.isdigit()):
        raise _Refused(HTTPStatus.BAD_REQUEST)
    length = int(content_length)
    if length > BODY_LIMIT_BYTES:
        raise _Refused(HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
    return length
