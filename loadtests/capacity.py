"""The largest rate that meets an SLO: a search that is a pure function of what was measured.

Closed-loop runs at rising concurrency find the saturated throughput and the service times; a
G/G/c simulation of those times places the boundary; one open-loop run confirms it, and only where
the two disagree is the boundary bisected. Being a function of its history, an interrupted search
goes on from what is stored.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.stats import norm

from loadtests.errors import InvalidMeasurement
from loadtests.measurement import judge_measurement
from loadtests.queueing import latency_curve
from loadtests.slo import Verdict
from loadtests.steps import ClosedStep, OpenStep
from loadtests.stopping import floor_requests

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from loadtests.measurement import Measurement
    from loadtests.queueing import LatencyCurve
    from loadtests.slo import LatencyObjective, Slo
    from loadtests.steps import Step

__all__ = [
    "Capacity",
    "Evidence",
    "SearchSettings",
    "ServiceModel",
    "conclude",
    "next_step",
    "service_model",
    "tightest",
]

FLAT = 1.05  # throughput gained by doubling concurrency, below which it is flat
MOST_SERVERS = 64
FEWEST_RUNGS = 2
BISECTED_TO = 0.05
CONFIRMED_FROM = 0.8


@dataclass(frozen=True, slots=True)
class SearchSettings:
    """How long to measure.

    closed_requests, closed_s: each rung of the ladder ends at the first of them. confirm_s: the
    longest open-loop run. most_concurrency: the last rung. most_open: the most open-loop runs.
    confidence: of the interval that the model gives.
    """

    closed_requests: int = 500
    closed_s: float = 2.5
    confirm_s: float = 10.0
    most_concurrency: int = 64
    most_open: int = 4
    confidence: float = 0.8
    seed: int = 1


@dataclass(frozen=True, slots=True)
class Evidence:
    """A finished step. service_s: its service times, successes only, shape (n,)."""

    step: Step
    measurement: Measurement
    service_s: NDArray[np.float64]


@dataclass(frozen=True)
class ServiceModel:
    """The server as the ladder shows it.

    servers: that work side by side. service_s: their times, scaled so that servers / mean is the
    saturated throughput. saturation_error: relative standard error of that throughput.
    """

    servers: int
    service_s: NDArray[np.float64]
    saturation_rps: float
    saturation_error: float

    @property
    def mean_s(self) -> float:
        return float(self.service_s.mean())

    def curve(self, quantiles: tuple[float, ...], seed: int) -> LatencyCurve:
        return latency_curve(self.service_s, self.servers, quantiles, seed=seed)


@dataclass(frozen=True)
class Capacity:
    """rate_rps with low and high at the settings' confidence.

    basis: "confirmed" by an open-loop run that met the SLO at 80 % of rate_rps or more, "bisected"
    between runs that met and missed (low_rps is 0 where none met), "model" when no open-loop run
    said so much, "none" when not even one request at a time meets the SLO.
    best_s: at one request at a time, the latency at the tightest objective's quantile.
    """

    rate_rps: float
    low_rps: float
    high_rps: float
    basis: str
    model: ServiceModel
    best_s: float


def next_step(
    history: tuple[Evidence, ...], slo: Slo, settings: SearchSettings
) -> Step | Capacity:
    """What to measure next, or the answer.

    Raises InvalidMeasurement when one request at a time was not answered even once.
    """
    ladder = [each for each in history if isinstance(each.step, ClosedStep)]
    if ladder and not _answers(ladder):
        raise InvalidMeasurement(
            "not one request was answered well, sent one at a time",
            hint="look at the target's log and at its statuses; is the time-out long enough?",
        )
    rung = _next_rung(ladder, settings)
    if rung is not None:
        return rung
    return _place(history, ladder, _Context(slo, settings, may_measure=True))


@dataclass(frozen=True, slots=True)
class _Context:
    slo: Slo
    settings: SearchSettings
    may_measure: bool


@dataclass(frozen=True, slots=True)
class _Boundary:
    value: float
    low: float
    high: float


def conclude(history: tuple[Evidence, ...], slo: Slo, settings: SearchSettings) -> Capacity | None:
    """The answer from what is there, under any SLO; None without two rungs that were answered."""
    ladder = [each for each in history if isinstance(each.step, ClosedStep)]
    if len(ladder) < FEWEST_RUNGS or not _answers(ladder):
        return None
    return _answer(history, ladder, _Context(slo, settings, may_measure=False))


def _answer(history: tuple[Evidence, ...], ladder: list[Evidence], context: _Context) -> Capacity:
    found = _place(history, ladder, context)
    if not isinstance(found, Capacity):
        raise TypeError("a search that may not measure asked for a step")
    return found


def _place(
    history: tuple[Evidence, ...], ladder: list[Evidence], context: _Context
) -> Step | Capacity:
    model = service_model(ladder)
    boundary = _boundary(model, context.slo, context.settings)
    best_s = _best_s(ladder, context.slo)
    if boundary.value <= 0:
        return Capacity(0.0, 0.0, boundary.high, "none", model, best_s)
    opened = [each for each in history if isinstance(each.step, OpenStep)]
    return _confirm(opened, model, boundary, best_s, context)


def _answers(ladder: list[Evidence]) -> bool:
    return len(ladder[0].service_s) > 0 and ladder[0].measurement.throughput_rps > 0


def _next_rung(ladder: list[Evidence], settings: SearchSettings) -> ClosedStep | None:
    """One request alone, then two for each vCPU, then twice as many until throughput is flat.

    With several vCPUs at least four requests for each: kept-alive connections stay with the worker
    that took them, and few connections may leave a worker without any.
    """
    if not ladder:
        return ClosedStep(1, settings.closed_requests, settings.closed_s)
    vcpus = math.ceil(ladder[0].measurement.target.vcpus or 1)
    throughputs = [each.measurement.throughput_rps for each in ladder]
    last = ladder[-1].step
    reached = last.concurrency if isinstance(last, ClosedStep) else 1
    fewest = 1 if vcpus == 1 else 4 * vcpus
    is_flat = throughputs[-1] < FLAT * max(throughputs[:-1], default=0.0)
    if (is_flat and reached >= fewest) or reached >= settings.most_concurrency:
        return None
    concurrency = min(max(2 * vcpus, 2 * reached), settings.most_concurrency)
    return ClosedStep(concurrency, settings.closed_requests, settings.closed_s)


def service_model(ladder: list[Evidence]) -> ServiceModel:
    """Servers: saturated throughput times the service time of one request alone, rounded.

    A queue adds nothing to one request at a time, so its times are the service's own; scaling them
    to the saturated throughput charges what concurrency costs (contention, switching).
    """
    alone = ladder[0].service_s
    best = max(ladder, key=lambda each: each.measurement.throughput_rps)
    saturation = best.measurement.throughput_rps
    servers = int(np.clip(round(saturation * float(alone.mean())), 1, MOST_SERVERS))
    scaled = alone * (servers / (saturation * alone.mean()))
    count = len(best.service_s)
    # The spread of one time is not known; 1 is that of the exponential law.
    spread = float(best.service_s.std(ddof=1) / best.service_s.mean()) if count > 1 else 1.0
    return ServiceModel(servers, scaled, saturation, spread / math.sqrt(max(count, 1)) + 0.01)


def _boundary(model: ServiceModel, slo: Slo, settings: SearchSettings) -> _Boundary:
    """Where the simulated latency reaches each objective; the tightest counts."""
    quantiles = tuple(sorted({each.quantile for each in slo.latency}))
    curve = model.curve(quantiles, settings.seed)
    allowed = np.min(
        [
            curve.largest_utilization(each.quantile, each.limit_s / model.mean_s)
            for each in slo.latency
        ],
        axis=0,
    )
    rates = allowed / curve.mean_factors * model.saturation_rps
    upper = 0.5 + settings.confidence / 2
    if np.median(rates) <= 0:
        return _Boundary(0.0, 0.0, float(np.quantile(rates, upper)))
    noise = float(np.hypot(np.std(rates) / np.mean(rates), model.saturation_error))
    middle = float(np.median(rates))
    reach = float(norm.ppf(upper)) * noise
    return _Boundary(middle, middle * max(1 - reach, 0.0), middle * (1 + reach))


def _best_s(ladder: list[Evidence], slo: Slo) -> float:
    tightest = min(slo.latency, key=lambda each: each.limit_s)
    return float(np.quantile(ladder[0].service_s, tightest.quantile))


def _confirm(
    opened: list[Evidence],
    model: ServiceModel,
    boundary: _Boundary,
    best_s: float,
    context: _Context,
) -> Step | Capacity:
    settings = context.settings
    if not opened and context.may_measure:
        return _open_step(_confirming_rate(model, boundary, settings), model, settings)
    found = _placement(opened, context.slo)
    if found.missed is None:
        low = max(boundary.low, found.met)
        value = max(boundary.value, low)
        basis = "confirmed" if found.met >= CONFIRMED_FROM * value else "model"
        return Capacity(value, low, max(boundary.high, value), basis, model, best_s)
    exhausted = len(opened) >= settings.most_open or not context.may_measure
    if exhausted or found.missed - found.met <= BISECTED_TO * found.missed:
        low, high = sorted((found.met, found.missed))  # chance may have crossed them
        middle = found.middle if found.leans_met > 0 else 0.0
        return Capacity(middle, low, high, "bisected", model, best_s)
    return _open_step(found.middle, model, settings)


@dataclass(frozen=True, slots=True)
class _Placement:
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


def _placement(opened: list[Evidence], slo: Slo) -> _Placement:
    verdicts = {_rate(each): _place_run(each.measurement, slo) for each in opened}
    met = max((rate for rate, verdict in verdicts.items() if verdict is Verdict.MET), default=0.0)
    missed = [rate for rate, verdict in verdicts.items() if verdict is Verdict.MISSED]
    tried = {_rate(each): _leans_met(each.measurement, slo) for each in opened}
    above = min((rate for rate, leans in tried.items() if not leans and rate > met), default=met)
    below = max((rate for rate, leans in tried.items() if leans and rate < above), default=met)
    return _Placement(met, min(missed, default=None), max(met, below), above)


def _rate(evidence: Evidence) -> float:
    return evidence.step.rate_rps if isinstance(evidence.step, OpenStep) else 0.0


def _place_run(measured: Measurement, slo: Slo) -> Verdict:
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


def _confirming_rate(model: ServiceModel, boundary: _Boundary, settings: SearchSettings) -> float:
    """As near to the boundary as the time allows.

    Close to saturation a verdict needs many requests (`floor_requests`); the rate is lowered until
    they fit, but not below half of the saturated throughput.
    """
    rates = np.linspace(0.5, 0.95, 46) * model.saturation_rps
    fits = [
        rate
        for rate in rates
        if floor_requests(rate / model.saturation_rps) <= 0.8 * rate * settings.confirm_s
    ]
    affordable = max(fits, default=float(rates[0]))
    return float(min(0.95 * boundary.value, affordable))


def _open_step(rate_rps: float, model: ServiceModel, settings: SearchSettings) -> OpenStep:
    floor = floor_requests(rate_rps / model.saturation_rps)
    return OpenStep(rate_rps, settings.confirm_s, floor)


def tightest(slo: Slo) -> LatencyObjective:
    """The objective a run is watched by: the one with the highest quantile."""
    return max(slo.latency, key=lambda each: each.quantile)
