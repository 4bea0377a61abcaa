"""What really happened to each request: the server's record, and how another program asks for it.

A ring of fixed records outside Python's heap: memory is touched only as it fills, nothing is left
for the garbage collector to walk, and the last `limit` requests are kept.
"""

from __future__ import annotations

import io
import math
import mmap
import struct
from http import HTTPStatus
from http.client import HTTPConnection, HTTPException
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import numpy as np

from loadtests.errors import TargetUnreachable

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = [
    "CLOCK",
    "TAG_BYTES",
    "TRUTH",
    "TruthRing",
    "ask",
    "forget_truth",
    "read_truth",
    "rows_as_json",
]

CLOCK = "CLOCK_MONOTONIC"  # Python's time.monotonic, and on Linux its time.perf_counter too
TAG_BYTES = 30
ANSWER_WITHIN_S = 60

# Instants on CLOCK. One turned away never starts or finishes, and sent_s waits for the answer:
# NaN in the array, null in JSON.
TRUTH = np.dtype(
    [
        ("arrival_s", "<f8"), ("start_s", "<f8"), ("finish_s", "<f8"), ("sent_s", "<f8"),
        ("status", "<u2"), ("tag", f"S{TAG_BYTES}"),
    ]
)  # fmt: skip
ROW = struct.Struct(f"<ddddH{TAG_BYTES}s")
SENT = struct.Struct("<d")
SENT_OFFSET = 24
INSTANTS = ("arrival_s", "start_s", "finish_s", "sent_s")


class TruthRing:
    """Requests are named by a number that is never given twice, a reset included."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._memory = mmap.mmap(-1, limit * ROW.size)
        self._first = 0  # since the last reset
        self._next = 0

    @property
    def forgotten(self) -> int:
        """Since the last reset, for want of room."""
        return max(self._next - self._first - self._limit, 0)

    def add(
        self,
        tag: bytes,
        status: int,
        arrival_s: float,
        start_s: float = math.nan,
        finish_s: float = math.nan,
    ) -> int:
        number = self._next
        self._next = number + 1
        offset = number % self._limit * ROW.size
        ROW.pack_into(self._memory, offset, arrival_s, start_s, finish_s, math.nan, status, tag)
        return number

    def sent(self, number: int, instant_s: float) -> None:
        """One that was forgotten in the meantime stays so."""
        if self._holds(number):
            offset = number % self._limit * ROW.size
            SENT.pack_into(self._memory, offset + SENT_OFFSET, instant_s)

    def reset(self) -> None:
        self._first = self._next

    def rows(self) -> NDArray[np.void]:
        """A copy of dtype TRUTH, in order of arrival."""
        held: NDArray[np.void] = np.concatenate(self._pieces())
        return held

    def as_npy(self) -> bytes:
        """The same as a file of numpy's; the rows are copied once."""
        pieces = self._pieces()
        header = io.BytesIO()
        of = np.lib.format.header_data_from_array_1_0(pieces[0])
        shape = (sum(map(len, pieces)),)
        np.lib.format.write_array_header_1_0(header, of | {"shape": shape})
        return b"".join((header.getvalue(), *(piece.view(np.uint8).data for piece in pieces)))

    def _pieces(self) -> list[NDArray[np.void]]:
        """Of the memory itself: one, or two where the ring is at its end."""
        every = np.frombuffer(self._memory, TRUTH)
        first = self._first + self.forgotten
        begin, count = first % self._limit, self._next - first
        return [every[begin : begin + count], every[: max(begin + count - self._limit, 0)]]

    def row(self, number: int) -> NDArray[np.void]:
        """A copy of one that is held, shape (1,); none that is forgotten, shape (0,)."""
        offset = number % self._limit * ROW.size
        return np.frombuffer(self._memory, TRUTH, int(self._holds(number)), offset).copy()

    def _holds(self, number: int) -> bool:
        return number >= self._first and number >= self._next - self._limit


def rows_as_json(rows: NDArray[np.void]) -> list[dict[str, object]]:
    return [
        {
            "tag": tag.decode("latin-1") or None,
            "status": status,
            **{
                name: None if math.isnan(at_s) else at_s
                for name, at_s in zip(INSTANTS, instants, strict=True)
            },
        }
        for *instants, status, tag in rows.tolist()
    ]


def read_truth(base_url: str) -> NDArray[np.void]:
    """Of a demo server, since its last reset: dtype TRUTH, in order of arrival."""
    rows: NDArray[np.void] = np.load(io.BytesIO(ask(base_url, "GET", "/truth?format=npy")))
    return rows


def forget_truth(base_url: str) -> None:
    ask(base_url, "POST", "/truth/reset")


def ask(base_url: str, method: str, path: str) -> bytes:
    """Of a demo server. Raises TargetUnreachable."""
    connection = HTTPConnection(urlsplit(base_url).netloc, timeout=ANSWER_WITHIN_S)
    try:
        connection.request(method, path)
        answer = connection.getresponse()
        body = answer.read()
    except (OSError, HTTPException) as error:
        raise TargetUnreachable(
            f"the demo server at {base_url} did not answer: {error}"
        ) from error
    finally:
        connection.close()
    if answer.status != HTTPStatus.OK:
        raise TargetUnreachable(f"the server at {base_url} answered {answer.status} to {path}")
    return body
