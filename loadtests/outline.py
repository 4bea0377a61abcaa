"""What the pictures of a run show, small however many requests it had.

Made once, when the run has just been measured, and kept beside it: a page opens without reading
millions of samples. Every figure is one of the samples or a count of them; none is interpolated.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict

from loadtests.resources.tracks import Tracks, tracks_of
from loadtests.samples import Outcome
from loadtests.steady import settled
from loadtests.timeline import MOST_WINDOWS, Window, round_window_s, timeline

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from loadtests.measurement import Measurement
    from loadtests.resources import ResourceSeries
    from loadtests.samples import Samples

__all__ = ["FORMAT", "Distribution", "ErrorKind", "Outline", "outline_of"]

FORMAT = 1
FEWEST_IN_WINDOW = 20  # fewer say nothing of a quantile
PER_HALVING = 5  # points of a distribution, each time its tail halves
MICROSECOND = 6  # decimals of a second: samples know no more

Failing = Literal["refused", "broken", "timed out", "dropped", "unfinished"]
FAILING: dict[Outcome, Failing] = {
    Outcome.REFUSED: "refused",
    Outcome.BROKEN: "broken",
    Outcome.TIMED_OUT: "timed out",
    Outcome.DROPPED: "dropped",
    Outcome.UNFINISHED: "unfinished",
}


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Distribution(_Frozen):
    """Of `count` requests, `failed` of which are infinitely late and lie beyond the last point.

    seconds: order statistics, the smallest with at least that share of all at or below it. The
    last one is the largest there is; it stands in the middle of its step, at 1 - 1/(2 count).
    """

    count: int
    failed: int
    quantiles: tuple[float, ...]
    seconds: tuple[float, ...]


class ErrorKind(_Frozen):
    """status: of those refused. first_s, last_s: due times of the first and the last."""

    kind: Failing
    status: int | None
    count: int
    first_s: float
    last_s: float


class Outline(_Frozen):
    """Distributions are of the steady part, as the measurement's quantiles; the rest is of it all.

    latency: None of a closed loop too: nobody waits to be sent. tracks: None where nobody watched.
    """

    requests: int
    windows: tuple[Window, ...]
    latency: Distribution | None
    service: Distribution | None
    errors: tuple[ErrorKind, ...]
    tracks: Tracks | None


def outline_of(
    measurement: Measurement, samples: Samples, resources: ResourceSeries | None = None
) -> Outline:
    is_steady = measurement.load.is_steady(measurement.starts)
    steady = settled(samples, measurement.stop_reason, is_steady=is_steady)
    is_open = measurement.load.loop == "open"
    return Outline(
        requests=len(samples),
        windows=_windows(samples),
        latency=_distribution(steady.latency_s) if is_open else None,
        service=_distribution(steady.service_s),
        errors=tuple(_errors(samples)),
        tracks=None if resources is None else tracks_of(resources),
    )


def _windows(samples: Samples) -> tuple[Window, ...]:
    """Long enough that a quantile in them says something."""
    if len(samples) == 0:
        return ()
    most = min(MOST_WINDOWS, max(len(samples) // FEWEST_IN_WINDOW, 1))
    return timeline(samples, window_s=round_window_s(float(samples.due_s[-1]), most))


def _distribution(taken_s: NDArray[np.float64]) -> Distribution | None:
    count = len(taken_s)
    if count == 0:
        return None
    good_s = np.sort(taken_s[np.isfinite(taken_s)])
    halvings = np.arange(PER_HALVING * int(np.log2(count)) + 1) / PER_HALVING
    shares = 1 - 0.5**halvings
    ranks = np.maximum(np.ceil(shares * count - 1e-9).astype(int), 1)
    is_known = ranks < min(len(good_s) + 1, count)
    quantiles, seconds = shares[is_known].tolist(), good_s[ranks[is_known] - 1].tolist()
    if len(good_s) == count:
        quantiles.append(1 - 0.5 / count)
        seconds.append(float(good_s[-1]))
    return Distribution(
        count=count,
        failed=count - len(good_s),
        quantiles=tuple(quantiles),
        seconds=tuple(round(each, MICROSECOND) for each in seconds),
    )


def _errors(samples: Samples) -> list[ErrorKind]:
    """The most frequent first."""
    bad = samples.records[~samples.is_success]
    statuses = np.where(bad["outcome"] == Outcome.REFUSED, bad["status"], 0)
    alike = bad["outcome"].astype(np.int64) << 16 | statuses
    found = []
    for code in np.unique(alike).tolist():
        due_us = bad["due_us"][alike == code]
        found.append(
            ErrorKind(
                kind=FAILING[Outcome(code >> 16)],
                status=code & 0xFFFF or None,
                count=len(due_us),
                first_s=int(due_us.min()) / 1e6,
                last_s=int(due_us.max()) / 1e6,
            )
        )
    return sorted(found, key=lambda each: -each.count)
