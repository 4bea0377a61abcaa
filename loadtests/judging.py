"""Does a measurement meet an objective? By its whole interval, and not at all where it is none."""

from __future__ import annotations

from typing import TYPE_CHECKING

from loadtests.slo import (
    ErrorRateObjective,
    GoodputObjective,
    LatencyObjective,
    TokenObjective,
    Verdict,
    judge,
    judge_least,
)

if TYPE_CHECKING:
    from loadtests.measurement import Measurement
    from loadtests.slo import Objective, QuantileObjective

__all__ = ["judge_measurement"]


def judge_measurement(measured: Measurement, objective: Objective) -> Verdict:
    if not measured.is_evidence:
        return Verdict.UNKNOWN
    match objective:
        case LatencyObjective() | TokenObjective():
            return _judge_quantile(measured, objective)
        case ErrorRateObjective(limit_ratio):
            return judge(measured.error_ratio.bound, limit_ratio)
        case GoodputObjective():
            return _judge_goodput(measured, objective)


def _judge_quantile(measured: Measurement, objective: QuantileObjective) -> Verdict:
    """A backlog that grows for good misses every objective, however short the run was.

    Where failures reach into the quantile its value is infinite, stored as None: missed when there
    are surely more of them than the quantile leaves room for, else not decided.
    """
    if measured.over_saturated:
        return Verdict.MISSED
    found = measured.at(objective)
    if found.value is not None:
        return judge(found.bound, objective.limit_s)
    if found.low is not None and found.low > objective.limit_s:
        return Verdict.MISSED
    surely_bad = measured.error_ratio.low
    if surely_bad is not None and surely_bad > 1 - objective.quantile:
        return Verdict.MISSED
    return Verdict.UNKNOWN


def _judge_goodput(measured: Measurement, objective: GoodputObjective) -> Verdict:
    """By what was summarised for the very same limits."""
    if measured.over_saturated:
        return Verdict.MISSED
    ratio = measured.goodput_within(objective.within)
    return judge_least(ratio.bound, objective.least_ratio)
