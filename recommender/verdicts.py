"""Objectives judged from draws and from counts: what machines and serverless have in common.

UNKNOWN never counts as MET: an option with any other verdict is rejected, and says why.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from scipy.special import ndtri

from loadtests.samples import ratio_bound
from loadtests.slo import ErrorRateObjective, LatencyObjective, Verdict, judge
from recommender.recommendation import (
    LatencySeconds,
    ObjectiveVerdict,
    Range,
    Rejected,
    RejectReason,
)

if TYPE_CHECKING:
    from collections.abc import Mapping
    from decimal import Decimal

    from numpy.typing import NDArray

    from loadtests.slo import Slo
    from recommender.recommendation import Option

__all__ = [
    "Errors",
    "Judge",
    "Rejection",
    "judge_errors",
    "judge_latency",
    "latency_of",
    "median_of",
    "range_of",
    "requests_to_settle",
    "verdict_at",
]


@dataclass(frozen=True, slots=True)
class Errors:
    """Requests that were answered wrongly or not at all, among those sent below saturation."""

    bad: int
    requests: int

    @property
    def ratio(self) -> float | None:
        return self.bad / self.requests if self.requests else None


@dataclass(frozen=True, slots=True)
class Rejection:
    """Why an option is out. margin_ratio: how far from its latency objective, below zero."""

    reason: RejectReason
    detail: str
    remedy: str | None = None
    margin_ratio: float | None = None

    def of(self, option: Option, usd_per_hour: Decimal | None = None) -> Rejected:
        return Rejected(
            option=option,
            reason=self.reason,
            detail=self.detail,
            remedy=self.remedy,
            margin_ratio=self.margin_ratio,
            usd_per_hour=None if usd_per_hour is None else f"{usd_per_hour:f}",
        )

    def because(self, why: str) -> Rejection:
        return replace(self, detail=f"{self.detail}: {why}")


def verdict_at(probability: float, confidence: float) -> Verdict:
    if probability >= confidence:
        return Verdict.MET
    return Verdict.MISSED if probability <= 1 - confidence else Verdict.UNKNOWN


def judge_latency(
    objective: LatencyObjective, taken_s: NDArray[np.float64] | None, confidence: float
) -> ObjectiveVerdict:
    """taken_s: the objective's quantile in each draw; None where nothing measured tells."""
    if taken_s is None:
        return ObjectiveVerdict(
            objective=objective.text, verdict=Verdict.UNKNOWN, probability=None, margin_ratio=None
        )
    probability = float(np.mean(taken_s <= objective.limit_s))
    median = median_of(taken_s)
    return ObjectiveVerdict(
        objective=objective.text,
        verdict=verdict_at(probability, confidence),
        probability=probability,
        margin_ratio=1 - median / objective.limit_s if math.isfinite(median) else None,
    )


def judge_errors(
    objective: ErrorRateObjective, errors: Errors, confidence: float
) -> ObjectiveVerdict:
    """By a bound on one side at `confidence`: an interval of 2 x confidence - 1 on both."""
    bound = ratio_bound(errors.bad, errors.requests, confidence=2 * confidence - 1)
    limit, seen = objective.limit_ratio, errors.ratio
    return ObjectiveVerdict(
        objective=objective.text,
        verdict=judge(bound, limit),
        probability=None,
        margin_ratio=None if seen is None else 1 - seen / limit,
    )


def requests_to_settle(errors: Errors, limit_ratio: float, confidence: float) -> int | None:
    """How many requests of this error rate would be enough for a verdict, in all.

    The Wilson interval leaves the limit L out once n ≥ z² L (1 - L) / (p - L)². None where no
    number is: at the limit itself.
    """
    seen = errors.ratio or 0.0
    if seen == limit_ratio:
        return None
    z = float(ndtri(confidence))
    return math.ceil(z * z * limit_ratio * (1 - limit_ratio) / (seen - limit_ratio) ** 2)


@dataclass(frozen=True)
class Judge:
    """What every option is held to. Errors were counted once, and are judged once."""

    slo: Slo
    errors: Errors
    confidence: float

    def judge(
        self, latency_s: Mapping[float, NDArray[np.float64] | None]
    ) -> tuple[tuple[ObjectiveVerdict, ...], Rejection | None]:
        """A verdict for each objective, and what the worst of them means; None when all are met.

        latency_s: draws by quantile; None where nothing measured tells.
        """
        judged = [
            (
                each,
                self._of_errors[each]
                if isinstance(each, ErrorRateObjective)
                else judge_latency(each, latency_s[each.quantile], self.confidence),
            )
            for each in self._objectives
        ]
        verdicts = tuple(verdict for _, verdict in judged)
        unmet = [pair for pair in judged if pair[1].verdict is not Verdict.MET]
        if not unmet:
            return verdicts, None
        objective, worst = min(unmet, key=lambda pair: _severity(pair[1]))
        if isinstance(objective, ErrorRateObjective):
            limit_ratio = objective.limit_ratio
            return verdicts, _too_many_errors(worst, self.errors, limit_ratio, self.confidence)
        return verdicts, _too_slow(worst, self.confidence)

    @cached_property
    def _objectives(self) -> tuple[LatencyObjective | ErrorRateObjective, ...]:
        """Those of other kinds have been refused before (`demand.slo_to_rank_by`)."""
        kinds = LatencyObjective | ErrorRateObjective
        return tuple(each for each in self.slo.objectives if isinstance(each, kinds))

    @cached_property
    def _of_errors(self) -> dict[ErrorRateObjective, ObjectiveVerdict]:
        return {
            each: judge_errors(each, self.errors, self.confidence)
            for each in self._objectives
            if isinstance(each, ErrorRateObjective)
        }


def range_of(draws: NDArray[np.float64]) -> Range:
    low, median, high = _ordered(draws, 0.1, 0.5, 0.9)
    return Range(low=low, median=median, high=high if math.isfinite(high) else None)


def median_of(draws: NDArray[np.float64]) -> float:
    return _ordered(draws, 0.5)[0]


def _ordered(draws: NDArray[np.float64], *quantiles: float) -> list[float]:
    """The draws at those quantiles, not points between two: one of them may be infinite."""
    places = [math.floor(quantile * (len(draws) - 1)) for quantile in quantiles]
    sorted_there = np.partition(draws, places)
    return [float(sorted_there[place]) for place in places]


def latency_of(taken_s: Mapping[float, NDArray[np.float64] | None]) -> LatencySeconds:
    """Medians; None where the quantile is not known or has none."""

    def at(quantile: float) -> float | None:
        draws = taken_s[quantile]
        median = math.inf if draws is None else median_of(draws)
        return median if math.isfinite(median) else None

    return LatencySeconds(p50=at(0.5), p90=at(0.9), p95=at(0.95), p99=at(0.99))


def _severity(verdict: ObjectiveVerdict) -> tuple[bool, float]:
    """The least is the worst."""
    return verdict.verdict is not Verdict.MISSED, verdict.margin_ratio or 0.0


def _too_slow(verdict: ObjectiveVerdict, confidence: float) -> Rejection:
    if verdict.probability is None:
        return Rejection(
            RejectReason.NEEDS_MEASUREMENT, f"nothing measured tells whether {verdict.objective}"
        )
    met = f"{verdict.objective} is met with a probability of {verdict.probability:.0%}"
    if verdict.verdict is Verdict.MISSED:
        return Rejection(RejectReason.MISSES_SLO, met, margin_ratio=verdict.margin_ratio)
    return Rejection(
        RejectReason.UNCERTAIN,
        f"{met}; {confidence:.0%} is asked for",
        margin_ratio=verdict.margin_ratio,
    )


def _too_many_errors(
    verdict: ObjectiveVerdict, errors: Errors, limit_ratio: float, confidence: float
) -> Rejection:
    seen = f"{errors.bad} of {errors.requests} requests failed"
    if verdict.verdict is Verdict.MISSED:
        return Rejection(RejectReason.MISSES_SLO, f"{verdict.objective} is missed: {seen}")
    detail = f"{verdict.objective} is not established: {seen}"
    enough = requests_to_settle(errors, limit_ratio, confidence)
    if enough is None:
        return Rejection(
            RejectReason.INCONCLUSIVE,
            f"{detail}, and no number of requests like these would settle it",
            remedy="allow more errors, or mend the server",
        )
    more = max(enough - errors.requests, 1)
    return Rejection(
        RejectReason.INCONCLUSIVE,
        f"{detail}; about {more:,} more like these would settle it",
        remedy="measure for longer: --measure-s 60",
    )
