"""A run as it went: what was asked, answered and waited for, window by window."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
from pydantic import BaseModel, ConfigDict

from loadtests.errors import UsageError
from loadtests.samples import Outcome

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from loadtests.samples import Samples

__all__ = ["Window", "round_window_s", "timeline", "window_quantiles"]

MOST_WINDOWS = 120
SHOWN = (0.5, 0.95, 0.99)
EDGE = 1e-9  # a run of 60.0000000001 s has 60 windows of a second


class Window(BaseModel):
    """Seconds from start_s on.

    offered: due in it. achieved: sent in it. throughput: answered well in it. Latencies are of the
    requests due in it, failures counting as infinitely late; None where none was due, and where
    failures reach into the quantile. service_*: sent to done, of the successes among them.
    failed, dropped: of those due in it; unfinished ones have failed. in_flight: time average.
    """

    model_config = ConfigDict(frozen=True)

    start_s: float
    end_s: float
    offered_rps: float
    achieved_rps: float
    throughput_rps: float
    p50_s: float | None
    p95_s: float | None
    p99_s: float | None
    service_p50_s: float | None
    service_p95_s: float | None
    service_p99_s: float | None
    failed: int
    dropped: int
    in_flight: float


def timeline(
    samples: Samples, *, window_s: float | None = None, duration_s: float | None = None
) -> tuple[Window, ...]:
    """window_s: a round number that makes at most 120 windows, where not given.

    duration_s: of the load; until the last due time where not given. Raises UsageError for a
    window that is no length of time.
    """
    if window_s is not None and not (math.isfinite(window_s) and window_s > 0):
        raise UsageError(f"a window must be longer than 0 s, not {window_s}")
    if len(samples) == 0:
        return ()
    span_s = float(samples.due_s[-1]) if duration_s is None else duration_s
    width_s = round_window_s(span_s) if window_s is None else window_s
    count = max(math.ceil(span_s / width_s - EDGE), 1)
    edges_s = np.arange(count + 1, dtype=np.float64) * width_s
    columns = _columns(samples, edges_s)
    return tuple(
        Window(start_s=float(start_s), end_s=float(end_s), **dict(zip(columns, row, strict=True)))
        for start_s, end_s, *row in zip(edges_s[:-1], edges_s[1:], *columns.values(), strict=True)
    )


def round_window_s(span_s: float, most: int = MOST_WINDOWS) -> float:
    """The shortest of 1, 2, 5 times a power of ten seconds that needs at most so many windows."""
    least_s = max(span_s / most, 1e-3)
    power = 10.0 ** math.floor(math.log10(least_s))
    return next(unit * power for unit in (1, 2, 5, 10) if unit * power >= least_s * (1 - EDGE))


def _columns(samples: Samples, edges_s: NDArray[np.float64]) -> dict[str, list[object]]:
    records, width_s = samples.records, float(edges_s[1])
    outcome = records["outcome"]
    due_in = np.searchsorted(samples.due_s, edges_s)
    due_in[-1] = np.searchsorted(samples.due_s, edges_s[-1], side="right")  # the end is in it
    sent_s = records["sent_us"][samples.is_sent] / 1e6
    done_s = records["done_us"][samples.is_sent] / 1e6
    good_s = records["done_us"][samples.is_success] / 1e6
    dropped = outcome == Outcome.DROPPED
    good_in = np.append(0, np.cumsum(samples.is_success))[due_in]
    return {
        "offered_rps": (np.diff(due_in) / width_s).tolist(),
        "achieved_rps": (np.histogram(sent_s, edges_s)[0] / width_s).tolist(),
        "throughput_rps": (np.histogram(good_s, edges_s)[0] / width_s).tolist(),
        **_quantiles("", samples.latency_s, due_in),
        **_quantiles("service_", samples.service_s, good_in),
        "failed": _count(~samples.is_success & ~dropped, due_in),
        "dropped": _count(dropped, due_in),
        "in_flight": (np.diff(_waited_s(sent_s, done_s, edges_s)) / width_s).tolist(),
    }


def _quantiles(
    kind: str, taken_s: NDArray[np.float64], starts: NDArray[np.int64]
) -> dict[str, list[object]]:
    found = window_quantiles(taken_s, starts, SHOWN)
    return {
        f"{kind}p{quantile * 100:.0f}_s": [
            float(value) if math.isfinite(value) else None for value in column
        ]
        for quantile, column in zip(SHOWN, found, strict=True)
    }


def window_quantiles(
    values: NDArray[np.float64], starts: NDArray[np.int64], quantiles: tuple[float, ...]
) -> NDArray[np.float64]:
    """The smallest value with at least that share at or below it, of each run of values.

    starts: shape (windows + 1,), where each window begins in `values`, and the last ends. Shape
    (quantiles, windows); infinite for a window without values.
    """
    found = np.full((len(quantiles), len(starts) - 1), np.inf)
    for window, (first, last) in enumerate(pairwise(starts.tolist())):
        if last > first:
            ordered = np.sort(values[first:last])
            ranks = np.ceil(np.array(quantiles) * (last - first) - EDGE).astype(int)
            found[:, window] = ordered[np.maximum(ranks, 1) - 1]
    return found


def _count(flags: NDArray[np.bool_], starts: NDArray[np.int64]) -> list[object]:
    return list(np.diff(np.append(0, np.cumsum(flags))[starts]).tolist())


def _waited_s(
    sent_s: NDArray[np.float64], done_s: NDArray[np.float64], at_s: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Seconds that all requests together had been in flight by each time."""
    return _elapsed_since(sent_s, at_s) - _elapsed_since(done_s, at_s)


def _elapsed_since(began_s: NDArray[np.float64], at_s: NDArray[np.float64]) -> NDArray[np.float64]:
    """Sum over all i of max(0, at - began_i)."""
    ordered = np.sort(began_s)
    passed = np.searchsorted(ordered, at_s)
    return np.asarray(passed * at_s - np.append(0.0, np.cumsum(ordered))[passed])
