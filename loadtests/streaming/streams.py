"""What is kept of many streamed answers: a row for each request, and the gaps between chunks.

A test of a million answers of two hundred tokens has 200 million gaps. Rows are kept of all of
them, so that time to first token, time per output token and counts are exact; of the gaps, whose
quantiles a million tell as well, each process keeps those of every answer at first, and of every
second, fourth … answer as it has had ENOUGH more. An answer's `turn` says whether it was among
them, so what is read back is thinned evenly: each answer of the run had the same chance.

As handed on, one block a flush: BLOCK, rows, gaps. Imported by the generator's own processes.
"""

from __future__ import annotations

import struct
from array import array
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from loadtests.streaming.answer import CountedBy, Flaw

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from loadtests.streaming.answer import StreamedAnswer

__all__ = ["GAP", "STREAM", "StreamLog", "Streams"]

# Beside each RECORD. Microseconds from the start of the schedule, NONE where no token came. gaps:
# how many are kept of it, all or none. turn: its place among the answers with output, by process.
STREAM = np.dtype(
    [
        ("first_token_us", "<i8"), ("last_token_us", "<i8"),
        ("tokens", "<u4"), ("chunks", "<u4"), ("gaps", "<u4"), ("turn", "<u4"),
        ("counted_by", "u1"), ("flaw", "u1"),
    ]
)  # fmt: skip
NONE = -1
GAP = np.dtype("<u4")  # microseconds; 71 minutes at most
ENOUGH = 1_000_000
BLOCK = struct.Struct("<QQ")  # rows, gaps
NOTHING = (float("nan"), float("nan"), 0, 0, 0, 0, CountedBy.NOBODY, Flaw.NONE)


class StreamLog:
    """Rows and gaps until the next flush. Instants as a Recorder's."""

    def __init__(self, start_s: float, enough: int = ENOUGH) -> None:
        self._start_s, self._enough = start_s, enough
        self._rows, self._gaps_s = array("d"), array("d")
        self._turn = self._kept = 0
        self._every = 1

    def add_nothing(self) -> None:
        """Of a request that was not answered, or not sent."""
        self._rows.extend(NOTHING)

    def add(self, answer: StreamedAnswer) -> None:
        first_s, last_s = answer.first_s, answer.last_s
        if first_s is None or last_s is None:
            first_s = last_s = float("nan")
        gaps, turn = self._keep(answer.gaps_s) if answer.chunks else (0, 0)
        counts = (answer.tokens, answer.chunks, gaps, turn)
        self._rows.extend((first_s, last_s, *counts, answer.counted_by, answer.flaw))

    def block(self) -> bytes:
        """What has been added since the last one."""
        rows = np.frombuffer(self._rows, np.float64).reshape(-1, len(STREAM.names or ()))
        gaps_us = np.rint(np.frombuffer(self._gaps_s, np.float64) * 1e6)
        self._rows, self._gaps_s = array("d"), array("d")
        records = np.empty(len(rows), STREAM)
        for column, name in enumerate(STREAM.names or ()):
            values = rows[:, column]
            if name.endswith("_us"):
                came = np.rint((values - self._start_s) * 1e6)
                values = np.where(np.isnan(values), NONE, came)
            records[name] = values
        gaps = np.minimum(gaps_us, np.iinfo(GAP).max).astype(GAP)
        return BLOCK.pack(len(records), len(gaps)) + records.tobytes() + gaps.tobytes()

    def _keep(self, gaps_s: array[float]) -> tuple[int, int]:
        """How many of them are kept, and the answer's turn."""
        turn, self._turn = self._turn, self._turn + 1
        if turn % self._every:
            return 0, turn
        self._gaps_s.extend(gaps_s)
        self._kept += len(gaps_s)
        if self._kept >= self._enough:
            self._kept, self._every = 0, 2 * self._every
        return len(gaps_s), turn


@dataclass(frozen=True)
class Streams:
    """rows: dtype STREAM, in the order of the samples they belong to. gaps: of each row, in turn.

    starts: where the gaps of each row begin in gaps_us, dtype GAP, which parts of one whole share.
    """

    rows: NDArray[np.void]
    starts: NDArray[np.int64]
    gaps_us: NDArray[np.uint32]

    @classmethod
    def of(cls, rows: NDArray[np.void], gaps_us: NDArray[np.uint32]) -> Streams:
        """gaps_us: those of the first row, of the second, and so on."""
        return cls(rows, np.cumsum(rows["gaps"], dtype=np.int64) - rows["gaps"], gaps_us)

    @classmethod
    def read(cls, data: bytes) -> Streams:
        """Of blocks, one after the other; the last may still be on its way, and is left out."""
        rows, gaps, at = [np.empty(0, STREAM)], [np.empty(0, GAP)], 0
        while len(data) - at >= BLOCK.size:
            row_count, gap_count = BLOCK.unpack_from(data, at)
            gaps_at = at + BLOCK.size + row_count * STREAM.itemsize
            end = gaps_at + gap_count * GAP.itemsize
            if end > len(data):
                break
            rows.append(np.frombuffer(data, STREAM, row_count, at + BLOCK.size))
            gaps.append(np.frombuffer(data, GAP, gap_count, gaps_at))
            at = end
        return cls.of(np.concatenate(rows), np.concatenate(gaps)).thinned()

    def __len__(self) -> int:
        return len(self.rows)

    def take(self, chosen: NDArray[np.bool_] | NDArray[np.int64] | slice) -> Streams:
        return Streams(self.rows[chosen], self.starts[chosen], self.gaps_us)

    def thinned(self) -> Streams:
        """With the gaps of answers that every process had kept to the end; a copy."""
        rows = self.rows.copy()
        rows["gaps"][~self.is_kept] = 0
        return Streams.of(rows, Streams(rows, self.starts, self.gaps_us).gaps_in_order())

    @property
    def is_kept(self) -> NDArray[np.bool_]:
        """Of each row: had it output, and is it among those whose gaps are kept, if it has any?"""
        turns, has_output = self.rows["turn"], self.rows["chunks"] > 0
        lacking = turns[(self.rows["gaps"] == 0) & (self.rows["chunks"] > 1)]
        every = 1
        while np.any(lacking % every == 0):
            every *= 2
        return np.asarray(has_output & (turns % every == 0))

    def gaps_in_order(self) -> NDArray[np.uint32]:
        """Of each row in turn, one after the other."""
        counts = self.rows["gaps"].astype(np.int64)
        within = np.arange(int(counts.sum())) - np.repeat(np.cumsum(counts) - counts, counts)
        return np.asarray(self.gaps_us[np.repeat(self.starts, counts) + within])
