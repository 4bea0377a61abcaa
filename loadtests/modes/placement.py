"""Where runs at steady rates place the boundary between meeting an SLO and missing it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from loadtests.judging import judge_measurement
from loadtests.slo import ErrorRateObjective, Verdict
from loadtests.steps import OpenStep

if TYPE_CHECKING:
    from loadtests.measurement import Measurement
    from loadtests.modes.ladder import Evidence
    from loadtests.slo import Slo

__all__ = ["SAME_RATE", "Placement", "is_tried", "place_run", "placement", "rate_of"]

QUARTERS = 4
SAME_RATE = 0.05  # so near to another a rate says the same again, and a boundary is placed


@dataclass(frozen=True, slots=True)
class Placement:
    """Requests per second: met and missed surely, and as the estimates alone would have it.

    met: the highest, 0 for none. missed: the lowest, None for none, and then leans_missed may be
    infinite. tried: how many runs.
    """

    met: float
    missed: float | None
    leans_met: float
    leans_missed: float
    tried: int

    @property
    def next_rate(self) -> float:
        """Never a rate that was tried before, whether that run decided anything or not.

        The middle; where all missed, three quarters of the first, half and a quarter of it, since
        the first was a prediction and is seldom wrong by much; then halves.
        """
        if self.leans_met > 0:
            return (self.leans_met + self.leans_missed) / 2
        left = max(QUARTERS - self.tried, 1)
        return self.leans_missed * left / (left + 1)


def placement(opened: list[Evidence], slo: Slo) -> Placement:
    verdicts = {rate_of(each): place_run(each.measurement, slo) for each in opened}
    met = max((rate for rate, verdict in verdicts.items() if verdict is Verdict.MET), default=0.0)
    missed = [rate for rate, verdict in verdicts.items() if verdict is Verdict.MISSED]
    tried = {rate_of(each): _leans_met(each.measurement, slo) for each in opened}
    beyond = met if missed else math.inf
    above = min(
        (rate for rate, leans in tried.items() if not leans and rate > met), default=beyond
    )
    below = max((rate for rate, leans in tried.items() if leans and rate < above), default=met)
    return Placement(met, min(missed, default=None), max(met, below), above, len(tried))


def rate_of(evidence: Evidence) -> float:
    return evidence.step.rate_rps if isinstance(evidence.step, OpenStep) else 0.0


def is_tried(rate_rps: float, opened: list[Evidence]) -> bool:
    return any(math.isclose(rate_rps, rate_of(each), rel_tol=SAME_RATE) for each in opened)


def place_run(measured: Measurement, slo: Slo) -> Verdict:
    """UNKNOWN places nothing.

    Whether so few requests fail as the SLO allows takes more requests than one run has; errors
    place a run only where they surely miss it, and are judged over all runs in the end.
    """
    verdicts = {judge_measurement(measured, each) for each in slo.objectives}
    if Verdict.MISSED in verdicts:
        return Verdict.MISSED
    decisive = (each for each in slo.objectives if not isinstance(each, ErrorRateObjective))
    placing = {judge_measurement(measured, each) for each in decisive}
    return Verdict.MET if placing == {Verdict.MET} else Verdict.UNKNOWN


def _leans_met(measured: Measurement, slo: Slo) -> bool:
    """By the estimates, whatever their intervals."""
    estimates = [(measured.at(each).value, each.limit_s) for each in slo.quantiles]
    if slo.error_rate is not None:
        estimates.append((measured.error_ratio.value, slo.error_rate.limit_ratio))
    if slo.goodput is not None:
        good = measured.goodput_within(slo.goodput.within).value
        estimates.append((None if good is None else 1 - good, 1 - slo.goodput.least_ratio))
    return all(value is not None and value <= limit for value, limit in estimates)
