"""One record per request, microseconds, and what follows from many of them.

On disk and in the store samples are columns of differences, deflated: about 8 bytes a request.

Format history
1 (0.1.0): b"RSMP", version, count; then deflated, bytes of equal significance side by side, the
  columns due (differences), late, wait, read, status, payload, outcome, bytes.
2 (0.2.0): a column variant before bytes; in format 1 all are of variant 0.
3 (0.3.0): only where answers were streamed; else format 2 is written still. Header; the bytes that
  columns and rows take, deflated, and the number of gaps; columns as in 2; columns of the rows of
  `streaming.streams`; the gaps. Each of these three is deflated by itself, and side by side.
"""

from __future__ import annotations

import math
import struct
import zlib
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from scipy.stats import binom, norm

from loadtests.errors import LoadTestError
from loadtests.generator.recording import RECORD, Outcome
from loadtests.slo import Bound
from loadtests.streaming.streams import GAP, STREAM, Streams

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

__all__ = ["RECORD", "Outcome", "Samples", "quantile_bound", "ratio_bound"]

VERSION = 3
MAGIC = b"RSMP"
RANK_SLACK = 1e-9  # 0.55 * 100 is a little more than 55 in floating point
HEADER = struct.Struct("<4sHQ")
STREAMED_FROM = 3
STREAMED = struct.Struct("<QQQ")  # bytes of the deflated columns and rows, number of gaps
INSTANTS = 4

# Stored as they are, after the four times; by format.
PLAIN = {
    1: ("status", "payload", "outcome", "bytes"),
    2: ("status", "payload", "outcome", "variant", "bytes"),
    3: ("status", "payload", "outcome", "variant", "bytes"),
}


@dataclass(frozen=True)
class Samples:
    """Records in due order. Dropped ones carry only a due time.

    streams: of each record, where answers were streamed.
    """

    records: NDArray[np.void]
    streams: Streams | None = None

    def __post_init__(self) -> None:
        if self.records.dtype != RECORD:
            raise ValueError("samples are records of dtype RECORD")
        if self.streams is not None and len(self.streams) != len(self.records):
            raise ValueError(f"{len(self.streams)} streams of {len(self.records)} samples")

    def __len__(self) -> int:
        return len(self.records)

    @cached_property
    def due_s(self) -> NDArray[np.float64]:
        return np.asarray(self.records["due_us"] / 1e6)

    @cached_property
    def is_sent(self) -> NDArray[np.bool_]:
        return np.asarray(self.records["outcome"] != Outcome.DROPPED)

    @cached_property
    def is_success(self) -> NDArray[np.bool_]:
        return np.asarray(self.records["outcome"] == Outcome.SUCCEEDED)

    @cached_property
    def latency_s(self) -> NDArray[np.float64]:
        """Due to done, of every sample; infinite where no good answer came."""
        taken = (self.records["done_us"] - self.records["due_us"]) / 1e6
        return np.where(self.is_success, taken, np.inf)

    @cached_property
    def service_s(self) -> NDArray[np.float64]:
        """Sent to done, of the successes only."""
        good = self.records[self.is_success]
        return np.asarray((good["done_us"] - good["sent_us"]) / 1e6)

    @cached_property
    def lateness_s(self) -> NDArray[np.float64]:
        """Due to sent, of those sent."""
        sent = self.records[self.is_sent]
        return np.asarray((sent["sent_us"] - sent["due_us"]) / 1e6)

    @classmethod
    def in_due_order(cls, records: NDArray[np.void], streams: Streams | None) -> Samples:
        """As they arrived; streams may be of some more, which arrived after these."""
        order = np.argsort(records, order="due_us", kind="stable")
        return cls(records[order], None if streams is None else streams.take(order))

    def take(self, chosen: NDArray[np.bool_] | slice) -> Samples:
        """Some of them, in the same order."""
        streams = None if self.streams is None else self.streams.take(chosen)
        return Samples(self.records[chosen], streams)

    def of_variant(self, variant: int) -> Samples:
        """Those sent, or due to be sent, to that destination."""
        return self.take(self.records["variant"] == variant)

    def not_cut_off(self) -> Samples:
        """Of a run that was stopped: those that had time to be answered.

        The stop leaves the slow ones of the last moments unanswered and the quick ones not, so
        those moments go: all that was due later than the longest answer took before the end. What
        is unfinished in the rest had longer than any answer took, and is the server's doing.
        """
        if self.unfinished == 0:
            return self
        records = self.records
        answered = records[np.isin(records["outcome"], (Outcome.SUCCEEDED, Outcome.REFUSED))]
        longest_us = np.max(answered["done_us"] - answered["due_us"], initial=0)
        ended_us = np.max(records["done_us"])
        return self.take(records["due_us"] <= ended_us - longest_us)

    @property
    def failed(self) -> int:
        return len(self) - self.succeeded - self.dropped - self.unfinished

    @property
    def dropped(self) -> int:
        return int(np.sum(~self.is_sent))

    @property
    def unfinished(self) -> int:
        return int(np.sum(self.records["outcome"] == Outcome.UNFINISHED))

    @property
    def succeeded(self) -> int:
        return int(np.sum(self.is_success))

    def status_counts(self) -> dict[int, int]:
        statuses, counts = np.unique(self.records["status"][self.is_sent], return_counts=True)
        return {int(status): int(count) for status, count in zip(statuses, counts, strict=True)}

    def encode(self) -> bytes:
        records, streams = self.records, self.streams
        version = 2 if streams is None else VERSION
        columns = (
            np.diff(records["due_us"], prepend=0),
            records["sent_us"] - records["due_us"],
            records["first_byte_us"] - records["sent_us"],
            records["done_us"] - records["first_byte_us"],
            *(records[name] for name in PLAIN[version]),
        )
        head, body = HEADER.pack(MAGIC, version, len(records)), _deflated(columns)
        if streams is None:
            return head + body
        gaps = streams.gaps_in_order()
        rows = _deflated([streams.rows[name] for name in STREAM.names or ()])
        sizes = STREAMED.pack(len(body), len(rows), len(gaps))
        return b"".join((head, sizes, body, rows, _deflated_gaps(gaps)))

    @classmethod
    def decode(cls, data: bytes) -> Samples:
        """Raises LoadTestError for damaged bytes and for a version this program does not know."""
        try:
            magic, version, count = HEADER.unpack_from(data)
        except struct.error as error:
            raise LoadTestError("these bytes are not samples") from error
        if magic != MAGIC:
            raise LoadTestError("these bytes are not samples")
        if version not in PLAIN:
            raise LoadTestError(
                f"the samples are of format {version}; this version reads up to {VERSION}",
                hint="upgrade inference-recommender",
            )
        try:
            return _decoded(memoryview(data)[HEADER.size :], version, count)
        except (zlib.error, ValueError, struct.error) as error:
            raise LoadTestError(f"the samples are damaged: {error}") from error


def _decoded(data: memoryview, version: int, count: int) -> Samples:
    plain = PLAIN[version]
    width = INSTANTS + len(plain)
    if version < STREAMED_FROM:
        return Samples(_records(_inflated(data, width, count), plain))
    body_bytes, rows_bytes, gap_count = STREAMED.unpack_from(data)
    body = data[STREAMED.size :]
    columns = _inflated(body[:body_bytes], width, count)
    names = STREAM.names or ()
    row_columns = _inflated(body[body_bytes : body_bytes + rows_bytes], len(names), count)
    rows = np.zeros(count, STREAM)
    for name, column in zip(names, row_columns, strict=True):
        rows[name] = column
    gaps = _inflated_gaps(body[body_bytes + rows_bytes :])
    if len(gaps) != gap_count or int(rows["gaps"].sum()) != gap_count:
        raise ValueError(f"{len(gaps)} gaps where {gap_count} are due")
    return Samples(_records(columns, plain), Streams.of(rows, gaps))


def _records(columns: NDArray[np.int64], plain: tuple[str, ...]) -> NDArray[np.void]:
    records = np.zeros(columns.shape[1], RECORD)
    records["due_us"] = np.cumsum(columns[0])
    records["sent_us"] = records["due_us"] + columns[1]
    records["first_byte_us"] = records["sent_us"] + columns[2]
    records["done_us"] = records["first_byte_us"] + columns[3]
    for name, column in zip(plain, columns[INSTANTS:], strict=True):
        records[name] = column
    return records


def quantile_bound(
    values: NDArray[np.float64],
    quantile: float,
    *,
    confidence: float = 0.95,
    inflation: float = 1.0,
) -> Bound:
    """The quantile of n values, with its order-statistic interval.

    The number of values below the true quantile is Binomial(n, quantile), whatever the
    distribution (Hahn & Meeker, Statistical Intervals, §5.2), so two order statistics bracket it.
    Latencies under load are correlated: `inflation` ≥ 1, the ratio n / effective n, widens the
    interval by lowering n. Either end is None when n is too small for it; the value is infinite
    where failures reach into the quantile.
    """
    count = len(values)
    if count == 0:
        return Bound(None, None, None)
    ordered = np.sort(values)
    effective = max(int(count / inflation), 1)
    tail = (1 - confidence) / 2
    # So few steps may say more than more of them do, by where they happen to fall: never narrower.
    plain, wide = _ranks(count, count, quantile, tail), _ranks(count, effective, quantile, tail)
    low_rank, high_rank = min(plain[0], wide[0]), max(plain[1], wide[1])
    return Bound(
        float(ordered[_rank(quantile, count) - 1]),
        None if low_rank < 1 else float(ordered[low_rank - 1]),
        None if high_rank > count else float(ordered[high_rank - 1]),
    )


def _ranks(count: int, effective: int, quantile: float, tail: float) -> tuple[int, int]:
    """Among `effective` values, carried over to all of them and rounded outwards."""
    low = int(binom.ppf(tail, effective, quantile))
    high = int(binom.ppf(1 - tail, effective, quantile)) + 1
    return low * count // effective, -(-high * count // effective)


def _rank(quantile: float, count: int) -> int:
    """The smallest rank k, from 1, with k / count ≥ quantile; 0.55 of 100 is the 55th."""
    return min(max(math.ceil(quantile * count - RANK_SLACK), 1), count)


def ratio_bound(hits: int, count: int, *, confidence: float = 0.95) -> Bound:
    """The share hits / count, with the Wilson interval (Wilson 1927)."""
    if count == 0:
        return Bound(None, None, None)
    z = float(norm.ppf(0.5 + confidence / 2))
    share, weight = hits / count, z * z / count
    centre = (share + weight / 2) / (1 + weight)
    half = z * math.sqrt(share * (1 - share) / count + weight / (4 * count)) / (1 + weight)
    # What is not there is 0 and what is all is 1, without the rounding of floating point.
    low = 0.0 if hits == 0 else max(centre - half, 0.0)
    high = 1.0 if hits == count else min(centre + half, 1.0)
    return Bound(share, low, high)


def _deflated(columns: Iterable[NDArray[np.generic]]) -> bytes:
    body = b"".join(np.ascontiguousarray(column, "<i8").tobytes() for column in columns)
    return zlib.compress(_shuffled(body, 8), 6)


def _inflated(data: memoryview, width: int, count: int) -> NDArray[np.int64]:
    body = _unshuffled(zlib.decompress(data), 8)
    return np.frombuffer(body, "<i8").reshape(width, count)


def _deflated_gaps(gaps_us: NDArray[np.uint32]) -> bytes:
    return zlib.compress(_shuffled(gaps_us.astype(GAP).tobytes(), GAP.itemsize), 6)


def _inflated_gaps(data: memoryview) -> NDArray[np.uint32]:
    return np.frombuffer(_unshuffled(zlib.decompress(data), GAP.itemsize), GAP)


def _shuffled(body: bytes, width: int) -> bytes:
    """Bytes of equal significance side by side: small differences leave long runs of zeros."""
    return np.frombuffer(body, np.uint8).reshape(-1, width).T.tobytes() if body else b""


def _unshuffled(body: bytes, width: int) -> bytes:
    return np.frombuffer(body, np.uint8).reshape(width, -1).T.tobytes() if body else b""
