"""What really left of each stream, and how another program asks for it."""

from __future__ import annotations

import io
from array import array
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from loadtests.demo_server.truth import ask

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["STREAM_TRUTH", "Spoken", "StreamTruth", "read_gaps", "read_stream_truth"]

# Instants on truth.CLOCK, at which the bytes were handed to the kernel.
STREAM_TRUTH = np.dtype(
    [
        ("arrival_s", "<f8"), ("start_s", "<f8"), ("first_s", "<f8"), ("last_s", "<f8"),
        ("tokens", "<i8"), ("chunks", "<i8"), ("is_cut", "?"),
    ]
)  # fmt: skip


class Spoken(NamedTuple):
    """In the words of STREAM_TRUTH."""

    arrival_s: float
    start_s: float
    first_s: float
    last_s: float
    tokens: int
    chunks: int
    is_cut: bool


class StreamTruth:
    """The first `limit` streams since the last reset, and the gaps between chunks of all kept."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self.reset()

    def reset(self) -> None:
        self._rows, self._gaps_s = array("d"), array("d")

    def add(self, spoken: Spoken, gaps_s: list[float]) -> None:
        if len(self._rows) < self._limit * len(spoken):
            self._rows.extend(spoken)
            self._gaps_s.extend(gaps_s)

    def rows_npy(self) -> bytes:
        """In order of arrival."""
        given = np.array(self._rows, np.float64).reshape(-1, len(STREAM_TRUTH.names or ()))
        rows = np.zeros(len(given), STREAM_TRUTH)
        for column, name in enumerate(STREAM_TRUTH.names or ()):
            rows[name] = given[:, column]
        return _npy(rows[np.argsort(rows["arrival_s"], kind="stable")])

    def gaps_npy(self) -> bytes:
        return _npy(np.array(self._gaps_s, np.float64))


def read_stream_truth(base_url: str) -> NDArray[np.void]:
    """Of a demo server, since its last reset: dtype STREAM_TRUTH, in order of arrival."""
    rows: NDArray[np.void] = np.load(io.BytesIO(ask(base_url, "GET", "/truth/streams")))
    return rows


def read_gaps(base_url: str) -> NDArray[np.float64]:
    """Between the chunks of those streams, seconds, in no order."""
    gaps_s: NDArray[np.float64] = np.load(io.BytesIO(ask(base_url, "GET", "/truth/gaps")))
    return gaps_s


def _npy(values: NDArray[np.generic]) -> bytes:
    file = io.BytesIO()
    np.save(file, values)
    return file.getvalue()
