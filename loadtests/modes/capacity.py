"""The largest rate that meets an SLO: a search that is a pure function of what was measured.

Closed-loop runs at rising concurrency find the saturated throughput and the service times; a
G/G/c simulation of those times places the boundary; one open-loop run confirms it, and only where
the two disagree is the boundary bisected. Being a function of its history, an interrupted search
goes on from what is stored, and runs made for one SLO are evidence for every other.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from scipy.stats import norm

from loadtests.errors import InvalidMeasurement
from loadtests.judging import judge_measurement
from loadtests.modes.cliff import cliff_at
from loadtests.modes.ladder import (
    FEWEST_RUNGS,
    Evidence,
    LadderSettings,
    ServiceModel,
    is_answered,
    ladder_of,
    next_rung,
    service_model,
)
from loadtests.modes.placement import (
    SAME_RATE,
    Placement,
    is_tried,
    place_run,
    placement,
    rate_of,
)
from loadtests.slo import Verdict, tightest
from loadtests.steps import OpenStep
from loadtests.watch import floor_requests

if TYPE_CHECKING:
    from loadtests.modes.cliff import Cliff
    from loadtests.queueing import LatencyCurve
    from loadtests.slo import Objective, QuantileObjective, Slo
    from loadtests.steps import Step

__all__ = [
    "Capacity",
    "Evidence",
    "SearchSettings",
    "ServiceModel",
    "conclude",
    "next_step",
]

CONFIRMED_FROM = 0.8
SURPRISING = 0.6  # of the latency that the model expects at a rate; of the limit, one over it


@dataclass(frozen=True, slots=True)
class SearchSettings:
    """How long to measure.

    closed_requests, closed_s: each rung of the ladder ends at the first of them. confirm_s: the
    longest open-loop run. most_concurrency: the last rung. most_open: the most open-loop runs.
    confidence: of the interval that the model gives. climbs: where the confirming run was far
    faster than the model said, look above the model's boundary too, rather than stand by it.
    """

    closed_requests: int = 500
    closed_s: float = 2.5
    confirm_s: float = 10.0
    most_concurrency: int = 64
    most_open: int = 4
    confidence: float = 0.8
    climbs: bool = False
    seed: int = 1

    @property
    def ladder(self) -> LadderSettings:
        return LadderSettings(self.closed_requests, self.closed_s, self.most_concurrency)


@dataclass(frozen=True)
class Capacity:
    """rate_rps with low and high at the settings' confidence.

    basis: "confirmed" by an open-loop run that met the SLO at 80 % of rate_rps or more, "bisected"
    between runs that met and missed (low_rps is 0 where none met), "model" when no open-loop run
    said so much, "none" when not even one request at a time meets the SLO.
    best_s: at one request at a time, the latency at the tightest objective's quantile.
    first_breach: the objective that fails first as the load rises; None where nobody looked.
    cliff: None where there is none, or no evidence of one.
    """

    rate_rps: float
    low_rps: float
    high_rps: float
    basis: str
    model: ServiceModel
    best_s: float
    first_breach: Objective | None = None
    cliff: Cliff | None = None

    @property
    def headroom_ratio(self) -> float:
        """The share of the saturated throughput that lies above rate_rps."""
        return max(1 - self.rate_rps / self.model.saturation_rps, 0.0)

    @property
    def text(self) -> str:
        """In words: "p95 passes 100ms at 212 rps; cliff: saturation at 230 rps"."""
        breach = "the SLO<its limit" if self.first_breach is None else self.first_breach.text
        figure, limit = breach.split("<")
        if self.rate_rps <= 0:
            when = "for one request at a time" if self.basis == "none" else "at every rate tried"
            return f"{figure} is over {limit} {when}"
        said = f"{figure} passes {limit} at {self.rate_rps:.3g} rps"
        return said if self.cliff is None else f"{said}; cliff: {self.cliff.text}"


def next_step(
    history: tuple[Evidence, ...], slo: Slo, settings: SearchSettings
) -> Step | Capacity:
    """What to measure next, or the answer.

    Raises InvalidMeasurement when one request at a time was not answered even once.
    """
    ladder = ladder_of(history)
    rung = next_rung(ladder, settings.ladder)
    if rung is not None:
        return rung
    if not _is_measurable(ladder, slo):
        raise InvalidMeasurement(
            f"{slo.text} bounds tokens, and the answers were not streamed",
            hint='ask for a stream ("stream": true in the payload), or bound the latency instead',
        )
    return _place(history, ladder, _Context(slo, settings, may_measure=True))


@dataclass(frozen=True, slots=True)
class _Context:
    slo: Slo
    settings: SearchSettings
    may_measure: bool


@dataclass(frozen=True, slots=True)
class _Boundary:
    """binding: the objective that places it."""

    value: float
    low: float
    high: float
    binding: QuantileObjective


def conclude(history: tuple[Evidence, ...], slo: Slo, settings: SearchSettings) -> Capacity | None:
    """The answer from what is there, under any SLO.

    None without two rungs that were answered, and of tokens where answers were not streamed.
    """
    ladder = ladder_of(history)
    is_enough = len(ladder) >= FEWEST_RUNGS and is_answered(ladder)
    if not (is_enough and _is_measurable(ladder, slo)):
        return None
    return _answer(history, ladder, _Context(slo, settings, may_measure=False))


def _answer(history: tuple[Evidence, ...], ladder: list[Evidence], context: _Context) -> Capacity:
    found = _place(history, ladder, context)
    if not isinstance(found, Capacity):
        raise TypeError("a search that may not measure asked for a step")
    return found


@dataclass(frozen=True, slots=True)
class _Known:
    """What the ladder tells. best_s: as in Capacity.

    curve: the model's, in mean service times; None where the SLO is about tokens alone.
    """

    model: ServiceModel
    curve: LatencyCurve | None
    boundary: _Boundary
    best_s: float

    def is_surprised_by(self, run: Evidence) -> bool:
        """Was the run surely far faster than the model expects at its rate?"""
        if self.curve is None:
            return False
        quantile = self.boundary.binding.quantile
        seen_s = run.measurement.latency_at(quantile).high
        utilization = np.array(rate_of(run) / self.model.saturation_rps)
        expected_s = float(self.curve.at(utilization, quantile)) * self.model.mean_s
        return seen_s is not None and seen_s < SURPRISING * expected_s

    def capacity(self, rate_rps: float, between: tuple[float, float], basis: str) -> Capacity:
        low, high = between
        binding = self.boundary.binding
        return Capacity(rate_rps, low, high, basis, self.model, self.best_s, binding)


def _place(
    history: tuple[Evidence, ...], ladder: list[Evidence], context: _Context
) -> Step | Capacity:
    model = service_model(ladder)
    quantiles = tuple(sorted({each.quantile for each in context.slo.latency}))
    curve = model.curve(quantiles, context.settings.seed) if quantiles else None
    boundary = _boundary(model, curve, context.slo, context.settings)
    known = _Known(model, curve, boundary, _best_s(ladder, context.slo))
    if boundary.value <= 0:
        return known.capacity(0.0, (0.0, boundary.high), "none")
    opened = [each for each in history if isinstance(each.step, OpenStep)]
    is_modelled = not context.slo.tokens and context.slo.goodput is None
    found = (_confirm if is_modelled else _by_runs_alone)(opened, known, context)
    return _told(found, opened, context.slo) if isinstance(found, Capacity) else found


def _is_measurable(ladder: list[Evidence], slo: Slo) -> bool:
    return not slo.tokens or ladder[0].measurement.tokens is not None


def _boundary(
    model: ServiceModel, curve: LatencyCurve | None, slo: Slo, settings: SearchSettings
) -> _Boundary:
    """Where the simulated latency reaches each objective; the tightest counts."""
    if curve is None:
        saturation = model.saturation_rps
        return _Boundary(saturation, 0.0, saturation, tightest(slo))
    allowed = np.array(
        [
            curve.largest_utilization(each.quantile, each.limit_s / model.mean_s)
            for each in slo.latency
        ]
    )
    binding = slo.latency[int(np.argmin(np.median(allowed, axis=1)))]
    rates = allowed.min(axis=0) / curve.mean_factors * model.saturation_rps
    upper = 0.5 + settings.confidence / 2
    if np.median(rates) <= 0:
        return _Boundary(0.0, 0.0, float(np.quantile(rates, upper)), binding)
    noise = float(np.hypot(np.std(rates) / np.mean(rates), model.saturation_error))
    middle = float(np.median(rates))
    reach = float(norm.ppf(upper)) * noise
    return _Boundary(middle, middle * max(1 - reach, 0.0), middle * (1 + reach), binding)


def _best_s(ladder: list[Evidence], slo: Slo) -> float:
    lowest = min(slo.latency or slo.quantiles, key=lambda each: each.limit_s)
    return float(np.quantile(ladder[0].service_s, lowest.quantile))


def _confirm(opened: list[Evidence], known: _Known, context: _Context) -> Step | Capacity:
    """The model's boundary stands until a run below it misses; then runs alone place it.

    A run that decides nothing and was far over the limit is gone on from as if it had missed, and
    leaves no more of the model's interval than its upper end.
    """
    settings, boundary = context.settings, known.boundary
    found = placement(opened, context.slo)
    exhausted = len(opened) >= settings.most_open or not context.may_measure
    if settings.climbs and _is_model_too_slow(opened, found, known):
        return _climb(found, known, settings, exhausted=exhausted)
    if found.missed is None or found.missed >= boundary.value:
        doubted = _doubted(opened, found, known)
        if doubted is None:
            return _stand_by_model(opened, known, context, exhausted=exhausted)
        if exhausted:
            value = min(doubted, found.next_rate if found.leans_met > 0 else doubted)
            return known.capacity(value, (min(found.met, value), boundary.high), "model")
    elif exhausted or found.missed - found.met <= SAME_RATE * found.missed:
        low, high = sorted((found.met, found.missed))  # chance may have crossed them
        middle = found.next_rate if found.leans_met > 0 else 0.0
        return known.capacity(middle, (low, high), "bisected")
    return _open_step(found.next_rate, known.model, settings)


def _stand_by_model(
    opened: list[Evidence], known: _Known, context: _Context, *, exhausted: bool
) -> Step | Capacity:
    """Its boundary, once a run as near to it as time allows has met the SLO or said nothing."""
    settings, boundary = context.settings, known.boundary
    found = placement(opened, context.slo)
    low = max(boundary.low, found.met)
    value = max(boundary.value, low)
    high = max(boundary.high, value)
    is_confirmed = found.met >= CONFIRMED_FROM * value
    wanted = _confirming_rate(known.model, boundary, settings)
    if not (is_confirmed or exhausted or is_tried(wanted, opened)):
        return _open_step(wanted, known.model, settings)
    high = high if found.missed is None else max(min(high, found.missed), value)
    return known.capacity(value, (low, high), "confirmed" if is_confirmed else "model")


def _doubted(opened: list[Evidence], found: Placement, known: _Known) -> float | None:
    """The lowest rate within the model's boundary at which a run was far over the limit."""
    binding = known.boundary.binding
    far = [
        rate_of(each)
        for each in opened
        if found.met < rate_of(each) <= known.boundary.value
        and (seen_s := each.measurement.latency_at(binding.quantile).value) is not None
        and seen_s > binding.limit_s / SURPRISING
    ]
    return min(far, default=None)


def _by_runs_alone(opened: list[Evidence], known: _Known, context: _Context) -> Step | Capacity:
    """The model knows nothing of tokens; it only says beyond what no run is worth while."""
    model, settings = known.model, context.settings
    found = placement(opened, context.slo)
    exhausted = len(opened) >= settings.most_open or not context.may_measure
    if not (opened or exhausted):
        return _open_step(_confirming_rate(model, known.boundary, settings), model, settings)
    top = known.boundary.high if found.missed is None else found.missed
    middle = (found.leans_met + min(found.leans_missed, top)) / 2
    if exhausted or top - found.met <= SAME_RATE * top:
        rate_rps = middle if found.leans_met > 0 or not opened else 0.0
        low, high = sorted((found.met, top))
        return known.capacity(rate_rps, (low, high), "bisected" if opened else "model")
    return _open_step(middle if found.leans_met > 0 else found.next_rate, model, settings)


def _is_model_too_slow(opened: list[Evidence], found: Placement, known: _Known) -> bool:
    """It is, when the fastest rate that met the SLO met it far better than the model expects."""
    above_model = found.missed is None or found.missed > known.boundary.value
    return above_model and any(
        rate_of(each) == found.met and known.is_surprised_by(each) for each in opened
    )


def _climb(
    found: Placement, known: _Known, settings: SearchSettings, *, exhausted: bool
) -> Step | Capacity:
    """Between the highest rate that met the SLO and the lowest that missed, or saturation."""
    top = known.model.saturation_rps if found.missed is None else found.missed
    middle = (found.met + top) / 2
    if exhausted or top - found.met <= SAME_RATE * top:
        return known.capacity(max(middle, found.met), (found.met, max(top, found.met)), "bisected")
    return _open_step(middle, known.model, settings)


def _told(capacity: Capacity, opened: list[Evidence], slo: Slo) -> Capacity:
    """With what fails first, and how steeply."""
    verdicts = [(each, place_run(each.measurement, slo)) for each in opened]
    met = [each for each, verdict in verdicts if verdict is Verdict.MET]
    missed = [each for each, verdict in verdicts if verdict is Verdict.MISSED]
    lowest = min(missed, key=rate_of, default=None)
    highest = max(met, key=rate_of, default=None)
    breach = _first_breach(capacity, lowest, slo)
    saturation_rps = capacity.model.saturation_rps
    cliff = cliff_at(capacity.rate_rps, saturation_rps, (highest, lowest), tightest(slo))
    return replace(capacity, first_breach=breach, cliff=cliff)


def _first_breach(capacity: Capacity, lowest: Evidence | None, slo: Slo) -> Objective | None:
    """What the lowest run that missed has missed; else what the model says binds."""
    if lowest is None or capacity.basis != "bisected":
        return capacity.first_breach
    missed = [
        each
        for each in slo.objectives
        if judge_measurement(lowest.measurement, each) is Verdict.MISSED
    ]
    return capacity.first_breach if capacity.first_breach in missed else missed[0]


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
