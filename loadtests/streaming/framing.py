"""Where an HTTP/1.1 answer's head, chunks and end are in bytes that come in pieces (RFC 9112).

Only what is read of streamed answers, whose every chunk counts, goes through here.
"""

from __future__ import annotations

from enum import Enum, auto
from http import HTTPStatus

__all__ = ["Framing", "NotHttp"]

HEAD_LIMIT_BYTES = 64 * 1024
HEAD_END = b"\r\n\r\n"
LINE_END = b"\r\n"
MOST_SIZE_DIGITS = 16


class NotHttp(ValueError):  # noqa: N818 - the name says what happened
    """What came is no answer of HTTP/1."""


class _At(Enum):
    HEAD = auto()
    LENGTH = auto()  # of a body whose length was said
    UNTIL_CLOSE = auto()
    CHUNK_SIZE = auto()
    CHUNK = auto()
    CHUNK_END = auto()
    TRAILER = auto()
    OVER = auto()


class Framing:
    """One answer. status and content_type: once the head is complete; None and "" before.

    is_cut: the connection ended before the answer did. keeps_alive: may be asked again on it.
    """

    def __init__(self) -> None:
        self.status: int | None = None
        self.content_type = ""
        self.is_chunked = False
        self.is_cut = False
        self._persists = False
        self._at = _At.HEAD
        self._rest = bytearray()
        self._left = 0  # bytes of the body, or of the chunk

    @property
    def is_over(self) -> bool:
        return self._at is _At.OVER

    @property
    def keeps_alive(self) -> bool:
        return self.is_over and self._persists and not self._rest

    def end(self) -> None:
        """The connection was closed."""
        self.is_cut = self._at not in (_At.UNTIL_CLOSE, _At.OVER)
        self._persists, self._at = False, _At.OVER

    def feed(self, data: bytes) -> list[tuple[bytes, bool]]:
        """Pieces of the body, each with whether an HTTP chunk ends with it. Raises NotHttp."""
        self._rest += data
        pieces: list[tuple[bytes, bool]] = []
        while self._step(pieces):
            pass
        return pieces

    def _step(self, pieces: list[tuple[bytes, bool]]) -> bool:
        """On to the next part of the answer; False where more bytes are needed."""
        goes_on = False
        match self._at:
            case _At.CHUNK | _At.LENGTH | _At.UNTIL_CLOSE:
                goes_on = self._body(pieces)
            case _At.CHUNK_SIZE:
                goes_on = self._chunk_size()
            case _At.CHUNK_END:
                goes_on = self._chunk_end()
            case _At.HEAD:
                goes_on = self._head()
            case _At.TRAILER:
                goes_on = self._trailer()
            case _At.OVER:
                pass
        return goes_on

    def _head(self) -> bool:
        end = self._rest.find(HEAD_END)
        if end < 0:
            if len(self._rest) > HEAD_LIMIT_BYTES:
                raise NotHttp("the head of the answer does not end")
            return False
        lines = bytes(self._rest[:end]).decode("latin-1").split("\r\n")
        del self._rest[: end + len(HEAD_END)]
        version, self.status = _status_line(lines[0])
        if self.status < HTTPStatus.OK:  # interim; the answer itself follows
            self.status = None
            return True
        self._read_headers(version, _headers(lines[1:]))
        return True

    def _read_headers(self, version: str, headers: dict[str, str]) -> None:
        self.content_type = headers.get("content-type", "").partition(";")[0].strip().lower()
        wish = headers.get("connection", "").lower()
        self._persists = wish == "keep-alive" if version == "HTTP/1.0" else wish != "close"
        self.is_chunked = "chunked" in headers.get("transfer-encoding", "").lower()
        length = headers.get("content-length", "")
        if self.status in (HTTPStatus.NO_CONTENT, HTTPStatus.NOT_MODIFIED):
            self._at = _At.OVER
        elif self.is_chunked:
            self._at = _At.CHUNK_SIZE
        elif length:
            if not (length.isascii() and length.isdigit()):
                raise NotHttp(f"a body cannot be {length!r} bytes long")
            self._left = int(length)
            self._at = _At.LENGTH if self._left else _At.OVER
        else:
            self._at = _At.UNTIL_CLOSE

    def _body(self, pieces: list[tuple[bytes, bool]]) -> bool:
        if not self._rest:
            return False
        if self._at is _At.UNTIL_CLOSE:
            pieces.append((bytes(self._rest), False))
            self._rest.clear()
            return False
        taken = bytes(self._rest[: self._left])
        del self._rest[: self._left]
        self._left -= len(taken)
        is_whole = self._left == 0
        pieces.append((taken, is_whole and self._at is _At.CHUNK))
        if is_whole:
            self._at = _At.CHUNK_END if self._at is _At.CHUNK else _At.OVER
        return is_whole

    def _chunk_size(self) -> bool:
        line = self._line()
        if line is None:
            return False
        size = line.partition(b";")[0].strip()
        if not 0 < len(size) <= MOST_SIZE_DIGITS or size.strip(b"0123456789abcdefABCDEF"):
            raise NotHttp(f"a chunk cannot be {size[:40]!r} bytes long")
        self._left = int(size, 16)
        self._at = _At.CHUNK if self._left else _At.TRAILER
        return True

    def _chunk_end(self) -> bool:
        if len(self._rest) < len(LINE_END):
            return False
        if not self._rest.startswith(LINE_END):
            raise NotHttp("a chunk is longer than it said")
        del self._rest[: len(LINE_END)]
        self._at = _At.CHUNK_SIZE
        return True

    def _trailer(self) -> bool:
        line = self._line()
        if line is None:
            return False
        if not line:
            self._at = _At.OVER
        return True

    def _line(self) -> bytes | None:
        end = self._rest.find(LINE_END)
        if end < 0:
            if len(self._rest) > HEAD_LIMIT_BYTES:
                raise NotHttp("a line of the answer does not end")
            return None
        line = bytes(self._rest[:end])
        del self._rest[: end + len(LINE_END)]
        return line


def _status_line(line: str) -> tuple[str, int]:
    version, _, rest = line.partition(" ")
    code = rest[:3]
    if version not in ("HTTP/1.1", "HTTP/1.0") or not (code.isascii() and code.isdigit()):
        raise NotHttp(f"{line[:60]!r} begins no answer of HTTP/1")
    return version, int(code)


def _headers(lines: list[str]) -> dict[str, str]:
    parted = (line.partition(":") for line in lines)
    return {name.strip().lower(): value.strip() for name, _, value in parted}
