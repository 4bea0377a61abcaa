"""One streamed answer, from its bytes as they arrive to its tokens and when each came.

An output chunk is what a server sends at once: an event that holds output, or in a body of plain
chunks each HTTP chunk. It came when its last byte did. How many tokens it holds nobody says, so
tokens are counted by the server's own usage where it tells, and else one to a chunk.
"""

from __future__ import annotations

from array import array
from enum import IntEnum
from typing import TYPE_CHECKING

from loadtests.streaming.events import Event, EventStream
from loadtests.streaming.framing import Framing
from loadtests.streaming.openai import said_by, tokens_of_whole

if TYPE_CHECKING:
    from loadtests.streaming.delivery import Delivery

__all__ = ["CountedBy", "Flaw", "StreamedAnswer"]

EVENTS = "text/event-stream"
GOOD = range(200, 300)
WHOLE_LIMIT_BYTES = 1024 * 1024  # of an answer that was not streamed, looked at for its usage


class CountedBy(IntEnum):
    """Who counted the tokens."""

    NOBODY = 0  # there are none, or the answer did not say
    USAGE = 1  # the server
    CHUNKS = 2  # we did, one to a chunk


class Flaw(IntEnum):
    """What was wrong with a stream that began with a good status."""

    NONE = 0
    CUT = 1  # it ended before its end
    REPORTED = 2  # the server reported an error in it
    EMPTY = 3  # it ended without any output
    WHOLE = 4  # no stream: the answer came at once, so nobody saw its first token


class StreamedAnswer:
    """Fed until `is_over`. Instants are those it is fed with, seconds.

    began_s: of its first byte. first_s, last_s: of the first and the last output chunk; None where
    there was none. gaps_s: between chunks, so one less than there are.
    """

    def __init__(self, delivery: Delivery) -> None:
        self.began_s: float | None = None
        self.first_s: float | None = None
        self.last_s: float | None = None
        self.gaps_s = array("d")
        self.bytes = 0
        self.error: str | None = None
        self._usage: int | None = None
        self._framing = Framing()
        self._events = EventStream()
        self._by_chunk = delivery == "chunks"
        self._chunk_bytes = 0
        self._whole = bytearray()
        self._is_ended = self._needs_end = False

    @property
    def is_over(self) -> bool:
        return self._framing.is_over

    @property
    def keeps_alive(self) -> bool:
        return self._framing.keeps_alive

    @property
    def status(self) -> int | None:
        return self._framing.status

    @property
    def chunks(self) -> int:
        return 0 if self.first_s is None else len(self.gaps_s) + 1

    @property
    def tokens(self) -> int:
        return self.chunks if self._usage is None else self._usage

    @property
    def counted_by(self) -> CountedBy:
        if self._usage is not None:
            return CountedBy.USAGE
        return CountedBy.CHUNKS if self.chunks else CountedBy.NOBODY

    @property
    def flaw(self) -> Flaw:
        """Of one that is over, or was given up; of several the first."""
        is_cut = self._framing.is_cut or not self.is_over
        lacks_end = self._needs_end and not self._is_ended
        flaws = (
            (Flaw.NONE, self.status not in GOOD),
            (Flaw.REPORTED, self.error is not None),
            (Flaw.CUT, is_cut or lacks_end),
            (Flaw.WHOLE, not self._is_streamed),
            (Flaw.EMPTY, self.chunks == 0),
        )
        return next((flaw for flaw, is_so in flaws if is_so), Flaw.NONE)

    def feed(self, at_s: float, data: bytes) -> None:
        """No data: the connection was closed. Raises NotHttp."""
        if data:
            self.began_s = at_s if self.began_s is None else self.began_s
            for piece, ends_chunk in self._framing.feed(data):
                self._take(at_s, piece, ends_chunk=ends_chunk)
        else:
            self._framing.end()
        if self.is_over and self.status in GOOD:
            self._end(at_s)

    @property
    def _is_streamed(self) -> bool:
        framing = self._framing
        return framing.content_type == EVENTS or (self._by_chunk and framing.is_chunked)

    def _take(self, at_s: float, piece: bytes, *, ends_chunk: bool) -> None:
        self.bytes += len(piece)
        if self.status not in GOOD:
            return
        if self._framing.content_type == EVENTS:
            self._hear(at_s, self._events.feed(piece))
        elif self._is_streamed:
            self._chunk_bytes += len(piece)
            if ends_chunk and self._chunk_bytes:
                self._put_out(at_s)
                self._chunk_bytes = 0
        elif len(self._whole) <= WHOLE_LIMIT_BYTES:
            self._whole += piece

    def _hear(self, at_s: float, events: list[Event]) -> None:
        for event in events:
            said = said_by(*event)
            if said.is_output:
                self._put_out(at_s)
            if said.tokens is not None:
                self._usage = said.tokens
            self._is_ended = self._is_ended or said.is_end
            self._needs_end = self._needs_end or said.needs_end
            self.error = said.error if self.error is None else self.error

    def _put_out(self, at_s: float) -> None:
        if self.last_s is None:
            self.first_s = at_s
        else:
            self.gaps_s.append(at_s - self.last_s)
        self.last_s = at_s

    def _end(self, at_s: float) -> None:
        if self._is_streamed:
            self._hear(at_s, self._events.end())
        elif len(self._whole) <= WHOLE_LIMIT_BYTES:
            self._usage = tokens_of_whole(bytes(self._whole))
