"""How much larger a figure of one run is than of another, and how sure that is.

The two runs were measured at different times, so nothing pairs their requests: each side is
resampled in blocks of time by itself, and the errors of both add up. All estimates are natural
logarithms of ratios, but for shares of errors, which are differences.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.stats import norm
from scipy.stats import t as student

from loadtests.modes.bootstrap import block_weights, interval, resampled_quantiles, resampled_sums
from loadtests.queueing import tail_inflation
from loadtests.samples import ratio_bound

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from loadtests.measurement import Interval
    from loadtests.samples import Samples

    Floats = NDArray[np.float64]
    Resampled = Callable[[Samples, int, int], Floats]

__all__ = [
    "CONFIDENCE",
    "Estimate",
    "Evidence",
    "fewest_requests",
    "of_bounds",
    "of_means",
    "of_pairs",
    "of_quantiles",
    "of_shares",
    "of_throughputs",
]

CONFIDENCE = 0.95
Z = float(norm.ppf(0.5 + CONFIDENCE / 2))
BLOCKS = (32, 16)  # short blocks still depend on one another: the wider interval counts
FEWEST_BLOCKS, FEWEST_IN_BLOCK, FEWEST_BEYOND = 10, 10, 20
RESAMPLES = 1000
WORTH_IT = 1000.0  # times as many requests


@dataclass(frozen=True, slots=True)
class Estimate:
    """low, high: the 95 % interval, infinite where it is open. freedom: of Student's law.

    host: how much of a half-width no number of requests takes away.
    """

    value: float
    low: float
    high: float
    freedom: float = math.inf
    host: float = 0.0

    def on_host(self, spread: float) -> Estimate:
        """With the host's own speed between one run and the next; spread: its deviation."""
        reach = Z * spread
        return Estimate(
            self.value,
            self.value - math.hypot(self.value - self.low, reach),
            self.value + math.hypot(self.high - self.value, reach),
            self.freedom,
            reach,
        )

    @property
    def chance(self) -> float:
        """Of so large an estimate where there is no difference (two-sided)."""
        if self.value == 0:
            return 1.0
        half = self.value - self.low if self.value > 0 else self.high - self.value
        if half <= 0:
            return 0.0
        scale = float(student.ppf(0.5 + CONFIDENCE / 2, self.freedom))
        return 2 * float(student.sf(scale * abs(self.value) / half, self.freedom))

    def times_as_many(self, limit: float, together: int) -> float | None:
        """Requests, until a verdict is reached; None where none are enough.

        What requests leave open narrows as 1/sqrt(n). An estimate beyond the limit must be clear
        of 0 as the first of those looked at together must be (Bonferroni); one within it, of the
        limit.
        """
        size = abs(self.value)
        strict = (1 - CONFIDENCE) / 2 / together
        needed = size * Z / float(norm.isf(strict)) if size >= limit else limit - size
        outer = max(self.high - self.value, self.value - self.low)
        left = needed**2 - self.host**2
        if not math.isfinite(outer) or left <= 0:
            return None
        times = (outer**2 - self.host**2) / left
        return max(times, 1.0) if times <= WORTH_IT else None


@dataclass(frozen=True, slots=True)
class Evidence:
    """The steady samples of both sides, in due order."""

    before: Samples
    after: Samples

    @property
    def both(self) -> tuple[Samples, Samples]:
        return self.before, self.after

    @property
    def requests(self) -> tuple[int, int]:
        return len(self.before), len(self.after)

    @property
    def most_blocks(self) -> int:
        return min(self.requests) // FEWEST_IN_BLOCK

    @property
    def is_enough(self) -> bool:
        return self.most_blocks >= FEWEST_BLOCKS

    @property
    def seeds(self) -> tuple[int, int]:
        """Each side keeps its own, whichever comes first: exchanged sides say the inverse."""
        one, other = (each.records.tobytes() for each in self.both)
        return (1, 2) if one <= other else (2, 1)


def fewest_requests(quantile: float) -> int:
    return max(math.ceil(FEWEST_BEYOND / (1 - quantile)), FEWEST_BLOCKS * FEWEST_IN_BLOCK)


def of_throughputs(found: Evidence, values: tuple[float, float]) -> Estimate:
    """values: the rates themselves; good answers per second waited say how sure they are."""

    def resampled(samples: Samples, blocks: int, seed: int) -> Floats:
        weights, block = block_weights(blocks, RESAMPLES, seed), _blocks(samples, blocks)
        good = resampled_sums(samples.is_success.astype(np.float64), block, weights)
        waited_s = (samples.records["done_us"] - samples.records["sent_us"]) / 1e6
        return np.log(good / resampled_sums(np.asarray(waited_s), block, weights))

    def point(samples: Samples) -> float:
        waited_s = float((samples.records["done_us"] - samples.records["sent_us"]).sum()) / 1e6
        return math.log(samples.succeeded / waited_s)

    centred = _widest(found, resampled, point)
    shift = math.log(values[1] / values[0]) - centred.value
    return Estimate(
        centred.value + shift, centred.low + shift, centred.high + shift, centred.freedom
    )


def of_means(found: Evidence) -> Estimate:
    """Of service times, successes only."""

    def resampled(samples: Samples, blocks: int, seed: int) -> Floats:
        good = samples.take(samples.is_success)
        weights, block = block_weights(blocks, RESAMPLES, seed), _blocks(good, blocks)
        times = resampled_sums(good.service_s, block, weights)
        return np.log(times / resampled_sums(np.ones(len(good)), block, weights))

    return _widest(found, resampled, lambda samples: math.log(float(samples.service_s.mean())))


def of_quantiles(found: Evidence, quantile: float, *, is_service: bool) -> Estimate | None:
    """Of latencies, or of service times; None where failures reach into it."""

    def values(samples: Samples) -> Floats:
        return samples.service_s if is_service else samples.latency_s

    def resampled(samples: Samples, blocks: int, seed: int) -> Floats:
        kept = samples.take(samples.is_success) if is_service else samples
        weights = block_weights(blocks, RESAMPLES, seed)
        return np.log(resampled_quantiles(values(kept), _blocks(kept, blocks), quantile, weights))

    def point(samples: Samples) -> float:
        return math.log(float(np.quantile(values(samples), quantile, method="higher")))

    points = [point(each) for each in found.both]
    if not all(map(math.isfinite, points)):
        return None
    return _widest(found, resampled, point)


def of_shares(before: NDArray[np.bool_], after: NDArray[np.bool_]) -> Estimate:
    """The difference of two shares, by the hybrid of two Wilson intervals (Newcombe 1998, 10).

    Errors that come in bursts count for fewer requests (`tail_inflation`).
    """
    one, other = _wilson(before), _wilson(after)
    value = other.value - one.value
    return Estimate(
        value,
        value - math.hypot(other.value - other.low, one.high - one.value),
        value + math.hypot(other.high - other.value, one.value - one.low),
    )


def of_bounds(before: Interval, after: Interval, confidence: float) -> Estimate | None:
    """Of two figures known with their intervals alone: their half-widths add up as squares.

    (MOVER: Zou & Donner, Statist. Med. 27, 2008.) None without both figures.
    """
    if not before.value or not after.value:
        return None
    wider = Z / float(norm.ppf(0.5 + confidence / 2))
    ends = [_log_reach(each, wider) for each in (before, after)]
    value = math.log(after.value / before.value)
    return Estimate(
        value,
        value - math.hypot(ends[1][0], ends[0][1]),
        value + math.hypot(ends[1][1], ends[0][0]),
    )


def of_pairs(log_ratios: Floats) -> Estimate | None:
    """Of figures read once on each side, of several pairs alike; None of a single pair."""
    count = len(log_ratios)
    if count < 2:  # noqa: PLR2004 - one pair has no spread
        return None
    value = float(log_ratios.mean())
    reach = float(student.ppf(0.5 + CONFIDENCE / 2, count - 1))
    reach *= float(log_ratios.std(ddof=1)) / math.sqrt(count)
    return Estimate(value, value - reach, value + reach, count - 1.0)


def _wilson(is_bad: NDArray[np.bool_]) -> Estimate:
    effective = max(int(len(is_bad) / tail_inflation(is_bad, batches=BLOCKS)), 1)
    share = float(is_bad.mean())
    bound = ratio_bound(round(share * effective), effective, confidence=CONFIDENCE)
    return Estimate(share, min(bound.low or 0.0, share), max(bound.high or 0.0, share))


def _log_reach(found: Interval, wider: float) -> tuple[float, float]:
    """Below and above, in logarithms."""
    value = found.value or 1.0
    below = math.inf if not found.low else math.log(value / found.low) * wider
    above = math.inf if found.high is None else math.log(found.high / value) * wider
    return max(below, 0.0), max(above, 0.0)


def _widest(found: Evidence, resampled: Resampled, point: Callable[[Samples], float]) -> Estimate:
    value = point(found.after) - point(found.before)
    numbers = sorted({min(number, found.most_blocks) for number in BLOCKS})
    one, other = found.seeds
    ends = [
        interval(
            value,
            resampled(found.after, number, other) - resampled(found.before, number, one),
            number,
            CONFIDENCE,
        )
        for number in numbers
    ]
    low, high = min(low for low, _ in ends), max(high for _, high in ends)
    return Estimate(value, min(low, value), max(high, value), numbers[0] - 1.0)


def _blocks(samples: Samples, number: int) -> NDArray[np.int64]:
    """The block that each request is in: as many in a row in each."""
    return np.arange(len(samples)) * number // len(samples)
