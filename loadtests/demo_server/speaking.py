"""A stream on its way to one client: each piece at its instant."""

from __future__ import annotations

import time
from itertools import pairwise
from typing import TYPE_CHECKING

from loadtests.demo_server.stream_truth import Spoken

if TYPE_CHECKING:
    from loadtests.demo_server.connection import Connection
    from loadtests.demo_server.speech import Speech
    from loadtests.demo_server.stream_truth import StreamTruth

__all__ = ["Speaking"]


class Speaking:
    """arrival, start and finish on the clock of time.monotonic."""

    def __init__(
        self,
        speech: Speech,
        connection: Connection,
        instants: tuple[float, float, float],
        truth: StreamTruth,
    ) -> None:
        self._speech, self._connection, self._truth = speech, connection, truth
        self._arrival_s, self._start_s, self._finish_s = instants
        self._next = 0
        self._left_s: list[float] = []  # when each chunk left

    @property
    def due_s(self) -> float | None:
        """When the next piece is to leave; None when all have."""
        if self._next == len(self._speech.pieces):
            return None
        share, _ = self._speech.pieces[self._next]
        return self._start_s + share * (self._finish_s - self._start_s)

    def go_on(self) -> None:
        """The next piece leaves."""
        _, piece = self._speech.pieces[self._next]
        self._next += 1
        is_last = self._next == len(self._speech.pieces)
        if not is_last:
            self._connection.push(piece)
        elif self._speech.is_cut:
            self._connection.push(piece)
            self._connection.cut()
        else:
            self._connection.send(piece)
        if self._next > 1:  # the first piece holds no token
            self._left_s.append(time.monotonic())
        if is_last:
            self._tell()

    def _tell(self) -> None:
        speech, left_s = self._speech, self._left_s
        gaps_s = [after - before for before, after in pairwise(left_s)]
        ends = (left_s[0], left_s[-1], speech.tokens, speech.chunks, speech.is_cut)
        self._truth.add(Spoken(self._arrival_s, self._start_s, *ends), gaps_s)
