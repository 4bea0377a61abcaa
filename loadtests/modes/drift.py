"""Does a long run change as it goes: latency, throughput, memory?

Trends are Theil-Sen slopes over windows of the run, tested by Mann-Kendall with the variance that
correlated windows have. The traffic must be steady: a load that rises makes latency rise with it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum
from itertools import pairwise
from typing import TYPE_CHECKING, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field
from scipy.stats import norm, rankdata, theilslopes

from loadtests.measurement import Interval
from loadtests.queueing import warmup_length
from loadtests.samples import Samples
from loadtests.timeline import window_quantiles

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = [
    "MemorySeries",
    "Soak",
    "SoakSettings",
    "Trend",
    "TrendVerdict",
    "judge_soak",
]

Subject = Literal["latency", "answered", "throughput", "memory"]

FEWEST_WINDOWS = 10
FEWEST_BEYOND = 5  # requests beyond the quantile in each window
HOUR_S = 3600.0
GIB = 2.0**30
WORTH_IT = 100  # times as long


class TrendVerdict(StrEnum):
    STEADY = "steady"
    DRIFTING = "drifting"
    INCONCLUSIVE = "inconclusive"


class SoakSettings(BaseModel):
    """quantile: of the latency. windows: that a run is cut into.

    matters_ratio: a change over the whole run, as a share of the median, that would matter;
    answered_matters_ratio: of the share of requests answered well, as a difference.
    memory_matters_bytes: memory grown in an hour below which nothing is called a leak.
    warm_up_ratio: of a run, left out of the memory's trend; a server fills its caches.
    confidence: that nothing steady is called drifting, over all that is looked at together.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    quantile: float = Field(default=0.95, gt=0, lt=1)
    windows: int = Field(default=40, ge=FEWEST_WINDOWS)
    matters_ratio: float = Field(default=0.1, gt=0)
    answered_matters_ratio: float = Field(default=0.01, gt=0)
    memory_matters_bytes: float = Field(default=16 * 2.0**20, gt=0)
    warm_up_ratio: float = Field(default=0.2, ge=0, lt=1)
    confidence: float = Field(default=0.95, gt=0, lt=1)


@dataclass(frozen=True, slots=True)
class MemorySeries:
    """Read while the load ran. times_s: from its start. Both of shape (n,)."""

    times_s: NDArray[np.float64]
    memory_bytes: NDArray[np.float64]


class Trend(BaseModel):
    """of: what changes. median and change per hour in its unit, with an interval.

    over_run_ratio: the change over what was looked at, as a share of the median; None where the
    median is 0. p_value: of no trend, Mann-Kendall, two-sided; None with too little to test.
    out_of_memory_h: hours from the end of the run until memory is full; None where none grows, or
    nobody said how much there is.
    """

    model_config = ConfigDict(frozen=True)

    of: Subject
    unit: str
    verdict: TrendVerdict
    reason: str
    windows: int
    median: float | None = None
    per_hour: Interval = Interval(value=None)
    over_run_ratio: float | None = None
    p_value: float | None = None
    out_of_memory_h: Interval | None = None


class Soak(BaseModel):
    """verdict: DRIFTING when anything drifts, STEADY when everything looked at is steady."""

    model_config = ConfigDict(frozen=True)

    verdict: TrendVerdict
    trends: tuple[Trend, ...]


@dataclass(frozen=True, slots=True)
class _Series:
    """values at times_s, and how much of a change over all of it matters."""

    of: Subject
    unit: str
    times_s: NDArray[np.float64]
    values: NDArray[np.float64]
    matters: float


def judge_soak(
    samples: Samples,
    settings: SoakSettings,
    *,
    loop: Literal["open", "closed"] = "open",
    memory: MemorySeries | None = None,
    memory_gib: float | None = None,
) -> Soak:
    """An open loop is asked whether it is still answered, a closed one how fast."""
    steady = _settled(samples)
    served = _answered if loop == "open" else _throughput
    series = [_latency(steady, settings), served(steady, settings)]
    if memory is not None:
        series.append(_memory(memory, settings))
    # Bonferroni: each may be wrong only so often that all together are wrong as often as asked.
    confidence = 1 - (1 - settings.confidence) / len(series)
    trends = [_trend(each, confidence) for each in series]
    if memory is not None and memory_gib is not None:
        trends[-1] = _until_full(trends[-1], memory, memory_gib)
    return Soak(verdict=_worst([each.verdict for each in trends]), trends=tuple(trends))


def _settled(samples: Samples) -> Samples:
    """Without the warm-up, a tenth at most: a drift looks like a warm-up that never ends."""
    cut = warmup_length(np.where(np.isfinite(samples.latency_s), samples.latency_s, 0.0))
    return Samples(samples.records[min(cut, len(samples) // 10) :])


def _worst(verdicts: list[TrendVerdict]) -> TrendVerdict:
    for verdict in (TrendVerdict.DRIFTING, TrendVerdict.INCONCLUSIVE):
        if verdict in verdicts:
            return verdict
    return TrendVerdict.STEADY


def _edges(count: int, settings: SoakSettings) -> NDArray[np.int64]:
    """Windows of equally many requests, and of enough for the quantile."""
    fewest = math.ceil(FEWEST_BEYOND / (1 - settings.quantile))
    windows = min(settings.windows, count // fewest)
    return np.linspace(0, count, windows + 1).astype(np.int64)


def _middles(values: NDArray[np.float64], edges: NDArray[np.int64]) -> NDArray[np.float64]:
    return np.array([values[first:last].mean() for first, last in pairwise(edges.tolist())])


def _latency(steady: Samples, settings: SoakSettings) -> _Series:
    """The quantile in each window; windows in which failures reach into it are left out."""
    edges = _edges(len(steady), settings)
    found = window_quantiles(steady.latency_s, edges, (settings.quantile,))[0]
    known = np.isfinite(found)
    values = found[known]
    matters = settings.matters_ratio * float(np.median(values)) if len(values) else 0.0
    return _Series("latency", "s", _middles(steady.due_s, edges)[known], values, matters)


def _answered(steady: Samples, settings: SoakSettings) -> _Series:
    """The share of requests answered well: how many are due is chance, and not the server's."""
    edges = _edges(len(steady), settings)
    shares = _middles(steady.is_success.astype(np.float64), edges)
    times_s = _middles(steady.due_s, edges)
    return _Series("answered", "of 1", times_s, shares, settings.answered_matters_ratio)


def _throughput(steady: Samples, settings: SoakSettings) -> _Series:
    """Good answers per second, by the time of the answer, while requests were being sent."""
    span_s = float(steady.due_s[-1] - steady.due_s[0]) if len(steady) else 0.0
    if span_s <= 0:
        return _Series("throughput", "rps", np.empty(0), np.empty(0), 0.0)
    good_s = steady.records["done_us"][steady.is_success] / 1e6
    edges_s = np.linspace(float(steady.due_s[0]), float(steady.due_s[-1]), settings.windows + 1)
    rates = np.histogram(good_s, edges_s)[0] / (span_s / settings.windows)
    matters = settings.matters_ratio * float(np.median(rates))
    return _Series("throughput", "rps", (edges_s[:-1] + edges_s[1:]) / 2, rates, matters)


def _memory(memory: MemorySeries, settings: SoakSettings) -> _Series:
    """Medians of windows: readings follow one another too closely to be told apart."""
    if len(memory.times_s) == 0:
        return _Series("memory", "bytes", np.empty(0), np.empty(0), 0.0)
    first_s, last_s = float(memory.times_s[0]), float(memory.times_s[-1])
    settled = memory.times_s >= first_s + settings.warm_up_ratio * (last_s - first_s)
    times_s, values = memory.times_s[settled], memory.memory_bytes[settled]
    count = min(settings.windows, len(times_s))
    middles_s = np.array([part.mean() for part in np.array_split(times_s, count)])
    medians = np.array([np.median(part) for part in np.array_split(values, count)])
    hours = float(middles_s[-1] - middles_s[0]) / HOUR_S
    matters = settings.memory_matters_bytes * hours
    return _Series("memory", "bytes", middles_s, medians, matters)


def _trend(series: _Series, confidence: float) -> Trend:
    """STEADY when the change is surely too small to matter, DRIFTING when it is surely there.

    And, for DRIFTING, by estimate large enough to matter. Everything else is INCONCLUSIVE.
    """
    count = len(series.values)
    span_s = float(series.times_s[-1] - series.times_s[0]) if count > 1 else 0.0
    if count < FEWEST_WINDOWS or span_s <= 0:
        return Trend(
            of=series.of,
            unit=series.unit,
            verdict=TrendVerdict.INCONCLUSIVE,
            reason=f"{count} windows are too few: {FEWEST_WINDOWS} or more show a trend",
            windows=count,
        )
    slope = _slope(series.times_s, series.values, confidence)
    change = slope.value * span_s
    median = float(np.median(series.values))
    verdict, reason = _verdict(series, slope, span_s)
    return Trend(
        of=series.of,
        unit=series.unit,
        verdict=verdict,
        reason=reason,
        windows=count,
        median=median,
        per_hour=Interval(
            value=slope.value * HOUR_S, low=slope.low * HOUR_S, high=slope.high * HOUR_S
        ),
        over_run_ratio=change / median if median > 0 else None,
        p_value=slope.p_value,
    )


def _verdict(series: _Series, slope: _Slope, span_s: float) -> tuple[TrendVerdict, str]:
    low, high, matters = slope.low * span_s, slope.high * span_s, series.matters
    between = f"between {_signed(low)} and {_signed(high)} {series.unit} over the run"
    if low == high == 0:
        return TrendVerdict.STEADY, "it did not change"
    if -matters <= low and high <= matters:
        return TrendVerdict.STEADY, f"it changed by {between}; less than {matters:.3g} matters not"
    is_there = low > 0 or high < 0
    if is_there and abs(slope.value) * span_s >= matters:
        return TrendVerdict.DRIFTING, f"it changed by {between}"
    # The interval of a mean change narrows with the root of the time.
    longer = ((high - low) / 2 / matters) ** 2 if matters > 0 else math.inf
    advice = (
        f"run about {longer:.1f} times as long" if 1 < longer <= WORTH_IT else "run for longer"
    )
    return TrendVerdict.INCONCLUSIVE, (
        f"it changed by {between}, and {matters:.3g} would matter: {advice}"
    )


def _signed(change: float) -> str:
    return f"{change:+.3g}"


@dataclass(frozen=True, slots=True)
class _Slope:
    """Per second."""

    value: float
    low: float
    high: float
    p_value: float


def _slope(times_s: NDArray[np.float64], values: NDArray[np.float64], confidence: float) -> _Slope:
    """Theil-Sen slope, Sen's interval and the Mann-Kendall test.

    The interval are the slopes of rank (N ± z sd(S))/2 among all N (Sen, JASA 63, 1968); S has
    the variance n(n-1)(2n+5)/18, less that of ties (Kendall 1975), times `_correlation_factor`.
    """
    count = len(values)
    first, second = np.triu_indices(count, 1)
    rises = values[second] - values[first]
    slopes = np.sort(rises / (times_s[second] - times_s[first]))
    score = float(np.sign(rises).sum())
    _, ties = np.unique(values, return_counts=True)
    pure = count * (count - 1) * (2 * count + 5) - float(
        np.sum(ties * (ties - 1) * (2 * ties + 5))
    )
    value = float(theilslopes(values, times_s).slope)
    factor = _correlation_factor(values - value * times_s)
    deviation = math.sqrt(max(pure, 0.0) / 18 * factor)
    reach = float(norm.ppf(0.5 + confidence / 2)) * deviation
    pairs = len(slopes)
    low = slopes[max(math.floor((pairs - reach) / 2) - 1, 0)]
    high = slopes[min(math.ceil((pairs + reach) / 2), pairs - 1)]
    # One less for continuity.
    z = max(abs(score) - 1, 0.0) / deviation if deviation > 0 else 0.0
    return _Slope(value, float(low), float(high), float(2 * norm.sf(z)))


def _correlation_factor(residuals: NDArray[np.float64]) -> float:
    """How many times more S varies when windows depend on one another; at least 1.

    1 + 2/(n(n-1)(n-2)) sum over lags i of (n-i)(n-i-1)(n-i-2) r_i, with r_i the autocorrelation of
    the detrended ranks (Hamed & Rao, J. Hydrology 204, 1998). Lags count up to the first that is
    not significantly positive.
    """
    count = len(residuals)
    ranks = rankdata(residuals)
    deviations = ranks - ranks.mean()
    power = float(deviations @ deviations)
    if power == 0:
        return 1.0
    total = 0.0
    for lag in range(1, count - 2):
        correlation = float(deviations[lag:] @ deviations[:-lag]) / power
        # An estimate from n values is low by about 1/n (Marriott & Pope 1954).
        correlation += (1 + 3 * max(correlation, 0.0)) / count
        if correlation < norm.ppf(0.95) / math.sqrt(count):
            break
        left = count - lag
        total += left * (left - 1) * (left - 2) * correlation
    return max(1 + 2 * total / (count * (count - 1) * (count - 2)), 1.0)


def _until_full(found: Trend, memory: MemorySeries, memory_gib: float) -> Trend:
    """Hours left, as the memory last read goes on growing."""
    if found.verdict is not TrendVerdict.DRIFTING or (found.per_hour.value or 0.0) <= 0:
        return found
    left = max(memory_gib * GIB - float(memory.memory_bytes[-1]), 0.0)
    growth = found.per_hour
    hours = Interval(
        value=_ratio(left, growth.value),
        low=_ratio(left, growth.high),
        high=_ratio(left, growth.low),
    )
    return found.model_copy(update={"out_of_memory_h": hours})


def _ratio(amount: float, per_hour: float | None) -> float | None:
    return None if per_hour is None or per_hour <= 0 else amount / per_hour
