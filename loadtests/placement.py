"""Where runs at steady rates place the boundary between meeting an SLO and missing it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from loadtests.measurement import judge_measurement
from loadtests.slo import Verdict
from loadtests.steps import OpenStep

if TYPE_CHECKING:
    from loadtests.ladder import Evidence
    from loadtests.measurement import Measurement
    from loadtests.slo import Slo

__all__ = ["Placement", "place_run", "placement", "rate_of"]


@dataclass(frozen=True, slots=True)
class Placement:
    """Requests per second: met and missed surely, and as the estimates alone would have it.

    met: the highest, 0 for none. missed: the lowest, None for none.
    """

    met: float
    missed: float | None
    leans_met: float
    leans_missed: float

    @property
    def middle(self) -> float:
        """Never a rate that was tried before, whether that run decided anything or not."""
        return (self.leans_met + self.leans_missed) / 2


def placement(opened: list[Evidence], slo: Slo) -> Placement:
    verdicts = {rate_of(each): place_run(each.measurement, slo) for each in opened}
    met = max((rate for rate, verdict in verdicts.items() if verdict is Verdict.MET), default=0.0)
    missed = [rate for rate, verdict in verdicts.items() if verdict is Verdict.MISSED]
    tried = {rate_of(each): _leans_met(each.measurement, slo) for each in opened}
    above = min((rate for rate, leans in tried.items() if not leans and rate > met), default=met)
    below = max((rate for rate, leans in tried.items() if leans and rate < above), default=met)
    return Placement(met, min(missed, default=None), max(met, below), above)


def rate_of(evidence: Evidence) -> float:
    return evidence.step.rate_rps if isinstance(evidence.step, OpenStep) else 0.0


def place_run(measured: Measurement, slo: Slo) -> Verdict:
    """UNKNOWN places nothing.

    Whether so few requests fail as the SLO allows takes more requests than one run has; errors
    place a run only where they surely miss it, and are judged over all runs in the end.
    """
    verdicts = {judge_measurement(measured, each) for each in slo.objectives}
    if Verdict.MISSED in verdicts:
        return Verdict.MISSED
    latencies = {judge_measurement(measured, each) for each in slo.latency}
    return Verdict.MET if latencies == {Verdict.MET} else Verdict.UNKNOWN


def _leans_met(measured: Measurement, slo: Slo) -> bool:
    """By the estimates, whatever their intervals."""
    estimates = [(measured.latency_at(each.quantile).value, each.limit_s) for each in slo.latency]
    if slo.error_rate is not None:
        estimates.append((measured.error_ratio.value, slo.error_rate.limit_ratio))
    return all(value is not None and value <= limit for value, limit in estimates)
