"""What the load generator writes down of each request, and what it counts meanwhile.

Imported by the generator's own processes: nothing here is slow to load or to run.
"""

from __future__ import annotations

import resource
from array import array
from enum import IntEnum
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

__all__ = ["RECORD", "LatenessCounts", "Outcome", "Recorder", "cpu_seconds", "forget_seconds"]

# Microseconds from the start of the schedule. variant: which of the destinations it went to.
RECORD = np.dtype(
    [
        ("due_us", "<i8"), ("sent_us", "<i8"), ("first_byte_us", "<i8"), ("done_us", "<i8"),
        ("status", "<u2"), ("payload", "<u2"), ("outcome", "<u2"), ("variant", "<u2"),
        ("bytes", "<u8"),
    ]
)  # fmt: skip
KEPT_SECONDS = 60  # of Locust's counts per second: its pages show the last few
INSTANTS = ("due_us", "sent_us", "first_byte_us", "done_us")
FIGURES = ("status", "payload", "outcome", "variant", "bytes")


class Outcome(IntEnum):
    SUCCEEDED = 0
    REFUSED = 1  # answered with something else than 2xx
    BROKEN = 2  # no answer: connection refused, reset or ended early
    TIMED_OUT = 3
    DROPPED = 4  # due, never sent: the pool was full
    UNFINISHED = 5  # sent, unanswered when the run was stopped


class LatenessCounts:
    """How late requests were sent, in classes 9 % wide: a quantile without keeping them all."""

    PER_DOUBLING = 8
    CLASSES = 30 * PER_DOUBLING  # up to 2^30 µs

    def __init__(self) -> None:
        self.counts = np.zeros(self.CLASSES, np.int64)

    def add(self, late_us: NDArray[np.int64]) -> None:
        steps = np.log2(np.maximum(late_us, 1)) * self.PER_DOUBLING
        classes = np.minimum(steps.astype(np.int64), self.CLASSES - 1)
        self.counts += np.bincount(classes, minlength=self.CLASSES)

    def quantile_s(self, quantile: float) -> float | None:
        """The upper edge of the class it lies in; None of nothing."""
        total = int(self.counts.sum())
        if total == 0:
            return None
        found = int(np.searchsorted(np.cumsum(self.counts), quantile * total))
        return float(2 ** ((found + 1) / self.PER_DOUBLING)) / 1e6


class Recorder:
    """Samples until the next flush, which hands them on as one block of RECORDs.

    Instants given are seconds of the clock that start_s is read from. The time in flight is
    counted apart from the samples. What is added costs well under a microsecond; turning it into
    records is left to the flush.
    """

    def __init__(self, start_s: float, hand_on: Callable[..., object]) -> None:
        """hand_on: called with a block of RECORDs."""
        self.start_s = start_s
        self._hand_on = hand_on
        self._rows = array("d")
        self._changed_s = start_s
        self.lateness = LatenessCounts()
        self.counts = [0] * len(Outcome)
        self.in_flight = 0
        self.in_flight_s = 0.0

    @property
    def recorded(self) -> int:
        return sum(self.counts)

    def figures(self, now_s: float) -> dict[str, Any]:
        """As the generator tells of itself; samples to be had are those flushed."""
        return {
            "elapsed_s": now_s - self.start_s,
            "recorded": self.recorded,
            "sent": self.recorded - self.counts[Outcome.DROPPED],
            "in_flight": self.in_flight,
            "dropped": self.counts[Outcome.DROPPED],
            "in_flight_s": self.in_flight_s,
            "lateness_p99_s": self.lateness.quantile_s(0.99),
        }

    def change_in_flight(self, now_s: float, change: int) -> None:
        self.in_flight_s += self.in_flight * (now_s - self._changed_s)
        self._changed_s = now_s
        self.in_flight += change

    def add(self, instants: tuple[float, float, float, float], *figures: int) -> None:
        """instants: due, sent, first byte, done. figures: as in FIGURES."""
        self.counts[figures[2]] += 1
        self._rows.extend(instants)
        self._rows.extend(figures)

    def flush(self) -> None:
        if self._rows:
            self._hand_on(self._block())

    def _block(self) -> bytes:
        rows = np.frombuffer(self._rows, np.float64).reshape(-1, len(INSTANTS) + len(FIGURES))
        self._rows = array("d")
        records = np.empty(len(rows), RECORD)
        for column, name in enumerate(INSTANTS):
            records[name] = np.rint((rows[:, column] - self.start_s) * 1e6)
        for column, name in enumerate(FIGURES, len(INSTANTS)):
            records[name] = rows[:, column]
        sent = records[records["outcome"] != Outcome.DROPPED]
        self.lateness.add(sent["sent_us"] - sent["due_us"])
        return records.tobytes()


def cpu_seconds() -> float:
    """Of this process, since it began."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def forget_seconds(stats: Any) -> None:  # noqa: ANN401 - Locust's
    """Locust keeps a count for every second of a run; a long one would fill the memory."""
    for entry in (stats.total, *stats.entries.values()):
        for counts in (entry.num_reqs_per_sec, entry.num_fail_per_sec):
            for second in list(counts)[:-KEPT_SECONDS]:
                del counts[second]
