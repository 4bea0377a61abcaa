"""One record per request, microseconds, and what follows from many of them.

On disk and in the store samples are columns of differences, deflated: about 8 bytes a request.

Format history
1 (0.1.0): header b"RSMP" + version, then deflated columns due, late, wait, read, status, payload, bytes.
"""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass
from enum import IntEnum
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from scipy.stats import binom

from loadtests.errors import LoadTestError
from loadtests.slo import Bound

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["RECORD", "Outcome", "Samples", "quantile_bound", "ratio_bound"]

VERSION = 1
MAGIC = b"RSMP"

# As the engine writes them: microseconds from the start of the schedule.
RECORD = np.dtype(
    [
        ("due_us", "<i8"), ("sent_us", "<i8"), ("first_byte_us", "<i8"), ("done_us", "<i8"),
        ("status", "<u2"), ("payload", "<u2"), ("outcome", "<u2"), ("spare", "<u2"),
        ("bytes", "<u8"),
    ]
)  # fmt: skip


class Outcome(IntEnum):
    SUCCEEDED = 0
    REFUSED = 1  # answered with something else than 2xx
    BROKEN = 2  # no answer: connection refused, reset or ended early
    TIMED_OUT = 3
    DROPPED = 4  # due, never sent: the pool was full
    UNFINISHED = 5  # sent, unanswered when the run was stopped


@dataclass(frozen=True)
class Samples:
    """Records in due order. Dropped ones carry only a due time."""

    records: NDArray[np.void]

    def __post_init__(self) -> None:
        if self.records.dtype != RECORD:
            raise ValueError("samples are records of dtype RECORD")

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

    @property
    def failed(self) -> int:
        return int(np.sum(self.is_sent & ~self.is_success & (self.records["outcome"] != Outcome.UNFINISHED)))

    @property
    def dropped(self) -> int:
        return int(np.sum(~self.is_sent))

    @property
    def unfinished(self) -> int:
        return int(np.sum(self.records["outcome"] == Outcome.UNFINISHED))

    @property
    def succeeded(self) -> int:
        return int(np.sum(self.is_success))

    def between(self, start_s: float, end_s: float) -> Samples:
        """Those due in [start_s, end_s)."""
        return Samples(self.records[(self.due_s >= start_s) & (self.due_s < end_s)])

    def status_counts(self) -> dict[int, int]:
        statuses, counts = np.unique(self.records["status"][self.is_sent], return_counts=True)
        return {int(status): int(count) for status, count in zip(statuses, counts, strict=True)}

    def encode(self) -> bytes:
        records = self.records
        columns = (
            np.diff(records["due_us"], prepend=0),
            records["sent_us"] - records["due_us"],
            records["first_byte_us"] - records["sent_us"],
            records["done_us"] - records["first_byte_us"],
            records["status"], records["payload"], records["outcome"], records["bytes"],
        )  # fmt: skip
        body = b"".join(np.ascontiguousarray(column, "<i8").tobytes() for column in columns)
        return MAGIC + struct.pack("<HQ", VERSION, len(records)) + zlib.compress(_shuffled(body), 6)

    @classmethod
    def decode(cls, data: bytes) -> Samples:
        """Raises LoadTestError for a version this program does not know."""
        if data[:4] != MAGIC:
            raise LoadTestError("these bytes are not samples")
        version, count = struct.unpack_from("<HQ", data, 4)
        if version != VERSION:
            raise LoadTestError(
                f"the samples are of format {version}; this version reads up to {VERSION}",
                hint="upgrade inference-recommender",
            )
        body = _unshuffled(zlib.decompress(data[14:]))
        columns = np.frombuffer(body, "<i8").reshape(8, count)
        records = np.zeros(count, RECORD)
        records["due_us"] = np.cumsum(columns[0])
        records["sent_us"] = records["due_us"] + columns[1]
        records["first_byte_us"] = records["sent_us"] + columns[2]
        records["done_us"] = records["first_byte_us"] + columns[3]
        for name, column in zip(("status", "payload", "outcome", "bytes"), columns[4:], strict=True):
            records[name] = column
        return cls(records)


def quantile_bound(
    values: NDArray[np.float64], quantile: float, *, confidence: float = 0.95, inflation: float = 1.0
) -> Bound:
    """The quantile of n values, with its order-statistic interval.

    The number of values below the true quantile is Binomial(n, quantile), whatever the distribution
    (Hahn & Meeker, Statistical Intervals, §5.2), so two order statistics bracket it. Latencies under
    load are correlated: `inflation` ≥ 1, the ratio n / effective n, widens the interval by lowering n.
    Either end is None when n is too small for it; the value is infinite where failures reach into the quantile.
    """
    count = len(values)
    if count == 0:
        return Bound(None, None, None)
    ordered = np.sort(values)
    value = float(ordered[min(int(np.ceil(quantile * count)), count) - 1])
    effective = max(int(count / inflation), 1)
    tail = (1 - confidence) / 2
    low = int(binom.ppf(tail, effective, quantile))
    high = int(binom.ppf(1 - tail, effective, quantile)) + 1
    low_value = None if low < 1 else float(ordered[max(int(low / effective * count) - 1, 0)])
    high_value = (
        None if high > effective else float(ordered[min(int(np.ceil(high / effective * count)), count) - 1])
    )
    return Bound(value, low_value, high_value)


def ratio_bound(hits: int, count: int, *, confidence: float = 0.95) -> Bound:
    """hits of count, with the Wilson interval (Wilson 1927)."""
    if count == 0:
        return Bound(None, None, None)
    z = 1.959963984540054 if confidence == 0.95 else float(_normal_quantile(confidence))
    share = hits / count
    centre = (share + z * z / (2 * count)) / (1 + z * z / count)
    half = z * np.sqrt(share * (1 - share) / count + z * z / (4 * count * count)) / (1 + z * z / count)
    return Bound(share, max(float(centre - half), 0.0), min(float(centre + half), 1.0))


def _normal_quantile(confidence: float) -> float:
    from scipy.special import ndtri  # noqa: PLC0415 - rarely asked for

    return float(ndtri(0.5 + confidence / 2))


def _shuffled(body: bytes) -> bytes:
    """Bytes of equal significance side by side: small differences leave long runs of zeros."""
    return np.frombuffer(body, np.uint8).reshape(-1, 8).T.tobytes() if body else b""


def _unshuffled(body: bytes) -> bytes:
    return np.frombuffer(body, np.uint8).reshape(8, -1).T.tobytes() if body else b""
