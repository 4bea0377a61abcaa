"""When is a service back to what it was before something happened to it?"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from pydantic import Field
from scipy.stats import binom

from loadtests.fleets.passing import Frozen
from loadtests.intervals import BATCHES, Interval
from loadtests.queueing import tail_inflation
from loadtests.samples import ratio_bound

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from loadtests.samples import Samples

__all__ = ["Recovered", "Recovery", "Usual", "as_interval", "recovered", "usual_of"]

SURE = 0.999  # of each window: in a run of a hundred, none is called disturbed by chance
IN_WINDOW, TELLING_IN_WINDOW = 40, 10
BUSY_QUANTILE = 0.75  # beyond it requests waited for others: stretches of it are busy ones
SHORTEST_WINDOW_S = 0.1


class Recovery(Frozen):
    """What counts as disturbed, and as back.

    quantile: of the latency that is compared. band_ratio: how much slower is still as before.
    limit_s: slower answers are no goodput; None where every good answer is.
    before_s: as long a stretch before the notice is what it is compared with, at most.
    for_s: it is back when nothing was disturbed any more for so long.
    """

    quantile: float = Field(default=0.95, gt=0, lt=1)
    band_ratio: float = Field(default=0.25, ge=0)
    limit_s: float | None = Field(default=None, gt=0)
    before_s: float = Field(default=30.0, gt=0)
    for_s: float = Field(default=1.0, gt=0)


@dataclass(frozen=True, slots=True)
class Usual:
    """slow_s: slower is beyond the band. slow_ratio, bad_ratio: shares then, at most.

    alike: how many requests in a row fare alike, for they wait in the same queue: they tell no
    more than one.
    """

    requests: int
    slow_s: float
    slow_ratio: float
    bad_ratio: float
    alike: float


@dataclass(frozen=True, slots=True)
class Recovered:
    """at_s: when the last disturbed request was due; from where on nothing was disturbed.

    low_s, high_s: of the window it lies in. reason: why it is not known.
    """

    at_s: float | None
    low_s: float | None = None
    high_s: float | None = None
    reason: str | None = None


def usual_of(samples: Samples, recovery: Recovery) -> Usual | None:
    """Of samples from before; None with too few to tell its quantile."""
    latency_s = samples.latency_s
    if len(latency_s) * (1 - recovery.quantile) < 1:
        return None
    usual_s = float(np.quantile(latency_s, recovery.quantile, method="higher"))
    if not np.isfinite(usual_s):
        return None
    slow_s = usual_s * (1 + recovery.band_ratio)
    slow = int(np.sum(latency_s > slow_s))
    bad = int(np.sum(~samples.is_success))
    alike = max(
        tail_inflation(latency_s > np.quantile(latency_s, each), batches=BATCHES)
        for each in (BUSY_QUANTILE, recovery.quantile)
    )
    allowed = max(1 - recovery.quantile, _highest(slow / alike, len(latency_s) / alike))
    return Usual(len(samples), slow_s, allowed, _highest(bad, len(latency_s)), alike)


def _highest(hits: float, count: float) -> float:
    high = ratio_bound(math.ceil(hits), max(math.floor(count), 1)).high
    return 1.0 if high is None else high


def recovered(
    samples: Samples, usual: Usual, span_s: tuple[float, float], for_s: float
) -> Recovered:
    """samples: in due order; those due in span_s are looked at, window by window.

    It begins where surely more of a window's requests were slow, or failed, than before, and lasts
    as long as more are.
    """
    first_s, last_s = span_s
    due_s = samples.due_s
    chosen = (due_s >= first_s) & (due_s < last_s)
    due_s = due_s[chosen]
    if len(due_s) == 0:
        return Recovered(None, reason="nothing was due after it")
    in_window = max(IN_WINDOW, TELLING_IN_WINDOW * usual.alike)
    width_s = max(in_window * (last_s - first_s) / len(due_s), SHORTEST_WINDOW_S)
    bad = ~samples.is_success[chosen]
    slow = samples.latency_s[chosen] > usual.slow_s
    window = ((due_s - first_s) / width_s).astype(np.int64)
    slower = _Windows(window, slow, usual.slow_ratio, usual.alike)
    worse = _Windows(window, bad, usual.bad_ratio, 1.0)
    disturbed = slower.surely_more | worse.surely_more
    if not disturbed.any():
        return Recovered(first_s, first_s, first_s)
    last = int(np.flatnonzero(disturbed)[-1])
    as_before = np.flatnonzero(~(slower.more | worse.more)[last + 1 :])
    last += int(as_before[0]) if len(as_before) else len(disturbed) - 1 - last
    at_s = float(due_s[(window == last) & (slow | bad)][-1])
    if last_s - at_s < for_s:
        return Recovered(None, reason=f"not back for {for_s:g} s before the load, or calm, ended")
    return Recovered(at_s, first_s + last * width_s, first_s + (last + 1) * width_s)


@dataclass(frozen=True, slots=True)
class _Windows:
    """Requests by window: is it a hit? usual_ratio: of them are, before, at most."""

    window: NDArray[np.int64]
    hits: NDArray[np.bool_]
    usual_ratio: float
    alike: float

    @property
    def _counts(self) -> NDArray[np.float64]:
        return np.bincount(self.window) / self.alike

    @property
    def _found(self) -> NDArray[np.float64]:
        return np.bincount(self.window, self.hits) / self.alike

    @property
    def more(self) -> NDArray[np.bool_]:
        return np.asarray(self._found > self.usual_ratio * self._counts)

    @property
    def surely_more(self) -> NDArray[np.bool_]:
        return np.asarray(self._found > binom.ppf(SURE, np.ceil(self._counts), self.usual_ratio))


def as_interval(found: Recovered, since_s: float) -> Interval:
    """How long after; never before."""
    if found.at_s is None:
        return Interval(value=None)
    low_s, high_s = found.low_s, found.high_s
    return Interval(
        value=max(found.at_s - since_s, 0.0),
        low=None if low_s is None else max(low_s - since_s, 0.0),
        high=None if high_s is None else max(high_s - since_s, 0.0),
    )
