"""Is one variant worse than another? Both are sent the same interleaved traffic.

What shakes the machine shakes both, so time is cut into blocks, each holding what both variants
were asked in it, and the blocks are resampled (block bootstrap: Künsch, Ann. Statist. 17, 1989).
The verdict is one of non-inferiority: PASS when the candidate is surely not worse than the margin
allows, FAIL when it surely is.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from loadtests.measurement import Interval
from loadtests.modes.bootstrap import block_weights, interval, resampled_quantiles, resampled_sums
from loadtests.queueing import tail_inflation, warmup_length
from loadtests.samples import Samples, ratio_bound

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

__all__ = [
    "CompareSettings",
    "CompareVerdict",
    "Comparison",
    "Difference",
    "compare",
]

Subject = Literal["latency", "errors", "throughput"]

FEWEST_BLOCKS = 10
BLOCKS = (32, 16)  # short blocks still depend on one another: the wider interval counts
FEWEST_IN_BLOCK = 20
FEWEST_BEYOND = 20
WORTH_IT = 1000.0  # times as many requests


class CompareVerdict(StrEnum):
    PASS = "pass"  # noqa: S105 - a verdict
    FAIL = "fail"
    INCONCLUSIVE = "inconclusive"


class CompareSettings(BaseModel):
    """margin_ratio: how much worse still passes, of the latency quantile and the throughput.

    error_margin_ratio: of the share of requests that fail, as a difference.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    quantile: float = Field(default=0.95, gt=0, lt=1)
    margin_ratio: float = Field(default=0.05, gt=0)
    error_margin_ratio: float = Field(default=0.01, gt=0, lt=1)
    confidence: float = Field(default=0.95, gt=0, lt=1)
    resamples: int = Field(default=2000, ge=200)
    seed: int = 1


class Difference(BaseModel):
    """of: "latency" and "throughput" candidate over baseline, "errors" candidate less baseline.

    margin: how much worse passes, as a share and for errors as a difference. more_requests: to
    both together, that would decide it if the estimate is right; None with the reason when it is
    decided, or nothing will.
    """

    model_config = ConfigDict(frozen=True)

    of: Subject
    baseline: float | None
    candidate: float | None
    difference: Interval
    margin: float
    verdict: CompareVerdict
    reason: str
    more_requests: int | None = None


class Comparison(BaseModel):
    """verdict: FAIL when anything fails, PASS when everything passes.

    shadow: the candidate's answers reached nobody.
    """

    model_config = ConfigDict(frozen=True)

    baseline: str
    candidate: str
    shadow: bool
    verdict: CompareVerdict
    baseline_requests: int
    candidate_requests: int
    differences: tuple[Difference, ...]

    @property
    def more_requests(self) -> int | None:
        """That would decide all that is open; None when some of it cannot be, or nothing is."""
        undecided = [
            each.more_requests
            for each in self.differences
            if each.verdict is CompareVerdict.INCONCLUSIVE
        ]
        known = [each for each in undecided if each is not None]
        return max(known) if known and len(known) == len(undecided) else None


def compare(
    baseline: tuple[str, Samples],
    candidate: tuple[str, Samples],
    settings: CompareSettings,
    *,
    loop: Literal["open", "closed"] = "open",
    shadow: bool = False,
) -> Comparison:
    """baseline, candidate: name and samples. A closed loop is compared by throughput as well."""
    pair = _steady(baseline[1], candidate[1])
    differences = [_latency(pair, settings), _errors(pair, settings)]
    if loop == "closed":
        differences.append(_throughput(pair, settings))
    return Comparison(
        baseline=baseline[0],
        candidate=candidate[0],
        shadow=shadow,
        verdict=_overall([each.verdict for each in differences]),
        baseline_requests=len(pair.baseline),
        candidate_requests=len(pair.candidate),
        differences=tuple(differences),
    )


def _overall(verdicts: list[CompareVerdict]) -> CompareVerdict:
    for verdict in (CompareVerdict.FAIL, CompareVerdict.INCONCLUSIVE):
        if verdict in verdicts:
            return verdict
    return CompareVerdict.PASS


@dataclass(frozen=True, slots=True)
class _Pair:
    """Both from the same time on, when both had warmed up."""

    baseline: Samples
    candidate: Samples

    @property
    def both(self) -> tuple[Samples, Samples]:
        return self.baseline, self.candidate

    @property
    def count(self) -> int:
        return len(self.baseline) + len(self.candidate)

    @property
    def most_blocks(self) -> int:
        return min(len(self.baseline), len(self.candidate)) // FEWEST_IN_BLOCK

    def blocks(self, number: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """The block that each request is due in, of equally long ones."""
        first_s = min(float(each.due_s[0]) for each in self.both)
        last_s = max(float(each.due_s[-1]) for each in self.both)
        width_s = (last_s - first_s) / number or 1.0
        in_block = [
            np.minimum(((each.due_s - first_s) / width_s).astype(np.int64), number - 1)
            for each in self.both
        ]
        return in_block[0], in_block[1]


def _steady(baseline: Samples, candidate: Samples) -> _Pair:
    from_us = max(_settled_us(each) for each in (baseline, candidate))
    return _Pair(*(_from(each, from_us) for each in (baseline, candidate)))


def _from(samples: Samples, from_us: int) -> Samples:
    return Samples(samples.records[samples.records["due_us"] >= from_us])


def _settled_us(samples: Samples) -> int:
    if len(samples) == 0:
        return 0
    taken = np.where(np.isfinite(samples.latency_s), samples.latency_s, 0.0)
    return int(samples.records["due_us"][warmup_length(taken)])


def _latency(pair: _Pair, settings: CompareSettings) -> Difference:
    quantile = settings.quantile
    found = [_quantile(each.latency_s, quantile) for each in pair.both]
    figure = _Figure("latency", f"p{quantile * 100:g}", found[0], found[1], settings.margin_ratio)
    fewest = math.ceil(FEWEST_BEYOND / (1 - quantile))
    if min(len(each) for each in pair.both) < fewest or pair.most_blocks < FEWEST_BLOCKS:
        return figure.undecided(f"it takes {fewest} requests to each variant, or more")
    if found[0] is None or found[1] is None:
        return figure.undecided("failures reach into it: see the errors")

    def log_ratios(blocks: int) -> NDArray[np.float64]:
        weights = block_weights(blocks, settings.resamples, settings.seed)
        baseline, candidate = (
            resampled_quantiles(each.latency_s, block, quantile, weights)
            for each, block in zip(pair.both, pair.blocks(blocks), strict=True)
        )
        return _log_ratio(candidate, baseline)

    value = math.log(found[1] / found[0])
    return figure.judged(_widest(value, log_ratios, pair, settings), pair.count)


def _throughput(pair: _Pair, settings: CompareSettings) -> Difference:
    """Good answers per second that a sender waited, which holds however senders are shared out."""
    good = [each.is_success.astype(np.float64) for each in pair.both]
    waited = [_waited_s(each) for each in pair.both]
    found = [
        float(one.sum() / max(other.sum(), 1e-9)) for one, other in zip(good, waited, strict=True)
    ]
    figure = _Figure("throughput", "throughput", found[0], found[1], settings.margin_ratio)
    if min(found) <= 0 or pair.most_blocks < FEWEST_BLOCKS:
        return figure.undecided("too few good answers")

    def log_ratios(blocks: int) -> NDArray[np.float64]:
        weights = block_weights(blocks, settings.resamples, settings.seed)
        baseline, candidate = (
            resampled_sums(good[n], block, weights) / resampled_sums(waited[n], block, weights)
            for n, block in enumerate(pair.blocks(blocks))
        )
        return _log_ratio(candidate, baseline)

    value = math.log(found[1] / found[0])
    return figure.judged(_widest(value, log_ratios, pair, settings), pair.count)


def _quantile(values: NDArray[np.float64], quantile: float) -> float | None:
    if len(values) == 0:
        return None
    found = float(np.quantile(values, quantile, method="higher"))
    return found if 0 < found < math.inf else None


def _waited_s(samples: Samples) -> NDArray[np.float64]:
    return np.asarray((samples.records["done_us"] - samples.records["sent_us"]) / 1e6)


def _log_ratio(
    candidate: NDArray[np.float64], baseline: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Infinite where failures reach into one of them; 0 where into both."""
    with np.errstate(invalid="ignore"):
        difference: NDArray[np.float64] = np.log(candidate) - np.log(baseline)
    difference[np.isnan(difference)] = 0.0
    return difference


def _widest(
    value: float,
    resampled: Callable[[int], NDArray[np.float64]],
    pair: _Pair,
    settings: CompareSettings,
) -> _Estimate:
    numbers = {min(number, pair.most_blocks) for number in BLOCKS}
    ends = [interval(value, resampled(n), n, settings.confidence) for n in sorted(numbers)]
    return _Estimate(value, min(low for low, _ in ends), max(high for _, high in ends))


def _errors(pair: _Pair, settings: CompareSettings) -> Difference:
    """The difference of shares, by the hybrid of two Wilson intervals (Newcombe 1998, method 10).

    Errors that come in bursts count for fewer requests (`tail_inflation`).
    """
    shares = [float(np.mean(~each.is_success)) if len(each) else None for each in pair.both]
    figure = _Figure("errors", "errors", shares[0], shares[1], settings.error_margin_ratio)
    if shares[0] is None or shares[1] is None:
        return figure.undecided("a variant was asked nothing")
    baseline, candidate = (_wilson(each, settings.confidence) for each in pair.both)
    value = candidate.value - baseline.value
    low = value - math.hypot(candidate.value - candidate.low, baseline.high - baseline.value)
    high = value + math.hypot(candidate.high - candidate.value, baseline.value - baseline.low)
    return figure.judged(_Estimate(value, low, high), pair.count)


def _wilson(samples: Samples, confidence: float) -> _Estimate:
    failed = ~samples.is_success
    effective = max(int(len(failed) / tail_inflation(failed, batches=BLOCKS)), 1)
    share = float(failed.mean())
    bound = ratio_bound(round(share * effective), effective, confidence=confidence)
    return _Estimate(share, min(bound.low or 0.0, share), max(bound.high or 1.0, share))


@dataclass(frozen=True, slots=True)
class _Estimate:
    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class _Figure:
    """What is compared. margin: how much worse passes, as given in the settings."""

    of: Subject
    said: str
    baseline: float | None
    candidate: float | None
    margin: float

    def undecided(self, reason: str) -> Difference:
        return self._difference(Interval(value=None), CompareVerdict.INCONCLUSIVE, reason)

    def judged(self, found: _Estimate, requests: int) -> Difference:
        """found: of the logarithm of a ratio, and of the difference itself for errors."""
        limit = self.margin if self.of == "errors" else math.log1p(self.margin)
        worse = self._worse(found)
        shown = self._shown(found)
        reason = f"{self.said} {self._between(shown)}"
        if worse.high <= limit:
            return self._difference(shown, CompareVerdict.PASS, reason)
        if worse.low > limit:
            return self._difference(shown, CompareVerdict.FAIL, reason)
        more = _more_requests(worse, limit, requests)
        if more is None:
            reason += "; that lies at the margin, and no test of bearable length decides it"
        return self._difference(shown, CompareVerdict.INCONCLUSIVE, reason, more)

    def _worse(self, found: _Estimate) -> _Estimate:
        """Such that more of it is worse."""
        if self.of != "throughput":
            return found
        return _Estimate(-found.value, -found.high, -found.low)

    def _shown(self, found: _Estimate) -> Interval:
        ends = (found.value, found.low, found.high)
        if self.of != "errors":
            ends = (math.exp(ends[0]), math.exp(ends[1]), math.exp(ends[2]))
        value, low, high = (each if math.isfinite(each) else None for each in ends)
        return Interval(value=value, low=low, high=high)

    def _between(self, shown: Interval) -> str:
        low = "0" if shown.low is None else f"{shown.low:.3g}"
        high = "any number of" if shown.high is None else f"{shown.high:.3g}"
        if self.of == "errors":
            return f"differ by {low} to {high} of the requests; {self.margin:.3g} passes"
        return f"is {low} to {high} times the baseline's; {1 + self.margin:.4g} times passes"

    def _difference(
        self,
        shown: Interval,
        verdict: CompareVerdict,
        reason: str,
        more_requests: int | None = None,
    ) -> Difference:
        return Difference(
            of=self.of,
            baseline=self.baseline,
            candidate=self.candidate,
            difference=shown,
            margin=self.margin,
            verdict=verdict,
            reason=reason,
            more_requests=more_requests,
        )


def _more_requests(worse: _Estimate, limit: float, requests: int) -> int | None:
    """The half-width narrows as 1/sqrt(n), until the limit is just outside."""
    above = worse.value > limit
    half = worse.value - worse.low if above else worse.high - worse.value
    distance = abs(worse.value - limit)
    times = (half / distance) ** 2 if distance > 0 else math.inf
    return math.ceil(requests * (times - 1)) if times <= WORTH_IT else None
