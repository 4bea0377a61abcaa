# ruff: noqa: RUF002 - the field's own symbols
"""Latency against load: the ladder, then open-loop runs at rising shares of the saturated rate."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from pydantic import BaseModel, ConfigDict
from scipy.optimize import isotonic_regression, least_squares

from loadtests.errors import UsageError
from loadtests.measurement import Interval, Quantile
from loadtests.modes.ladder import LadderSettings, ladder_of, next_rung, service_model
from loadtests.steps import ClosedStep, OpenStep
from loadtests.validity import Status
from loadtests.watch import floor_requests

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from loadtests.modes.ladder import Evidence
    from loadtests.steps import Step

__all__ = ["Knee", "LoadCurve", "LoadPoint", "ProfileSettings", "Saturation", "next_step"]

LOWEST, HIGHEST = 0.1, 0.95
FEWEST_RUNGS_FOR_USL = 4
Z95 = 1.96
LEAST_ERROR = 0.005  # of the largest: no quantile is known better
NEVER = 2**31  # requests before an early end


@dataclass(frozen=True, slots=True)
class ProfileSettings:
    """points: runs, at even shares 0.1 to 0.95 of the saturated rate; rates_rps instead of them.

    step_s: the shortest run; a busier server is measured for longer, up to most_step_s, as it
    forgets its start more slowly. knee_factor: times the unloaded latency at knee_quantile.
    """

    ladder: LadderSettings = field(default_factory=LadderSettings)
    points: int = 8
    rates_rps: tuple[float, ...] | None = None
    step_s: float = 15.0
    most_step_s: float = 60.0
    knee_quantile: float = 0.95
    knee_factor: float = 2.0
    resamples: int = 400
    seed: int = 1


class LoadPoint(BaseModel):
    """utilization_ratio: of the saturated throughput. cpu_ratio: busy vCPUs over those it has."""

    model_config = ConfigDict(frozen=True)

    rate_rps: float
    achieved_rps: float
    throughput_rps: float
    utilization_ratio: float
    cpu_ratio: float | None
    latency: tuple[Quantile, ...]
    error_ratio: Interval
    over_saturated: bool
    validity: Status


class Knee(BaseModel):
    """The rate from which latency counts as high; None with the reason where none was seen."""

    model_config = ConfigDict(frozen=True)

    rate_rps: Interval
    quantile: float
    unloaded_s: float
    limit_s: float
    reason: str | None = None


class Saturation(BaseModel):
    """measured_rps: the best throughput of the ladder.

    By the Universal Scalability Law X(n) = λn/(1 + σ(n-1) + κn(n-1)) (Gunther, Guerrilla Capacity
    Planning, 2007): peak_rps, at peak_concurrency senders, with σ and κ. None, with the reason,
    where too few rungs place three unknowns; peak_concurrency is None too where κ is 0 and
    throughput only flattens, at λ/σ.
    """

    model_config = ConfigDict(frozen=True)

    measured_rps: float
    peak_rps: float | None = None
    peak_concurrency: float | None = None
    contention: float | None = None
    coherency: float | None = None
    reason: str | None = None


class LoadCurve(BaseModel):
    model_config = ConfigDict(frozen=True)

    points: tuple[LoadPoint, ...]
    knee: Knee
    saturation: Saturation


def next_step(history: tuple[Evidence, ...], settings: ProfileSettings) -> Step | LoadCurve:
    """What to measure next, or the curve.

    Rates rise, and end where the server no longer keeps up: higher ones only say so again.
    Raises InvalidMeasurement when one request at a time was not answered even once.
    """
    _check(settings)
    ladder = ladder_of(history)
    rung = next_rung(ladder, settings.ladder)
    if rung is not None:
        return rung
    opened, done = _opened(history), {each.step.key for each in history}
    saturation_rps = service_model(ladder).saturation_rps
    for rate_rps in _rates(settings, saturation_rps):
        if any(each.measurement.over_saturated and _rate(each) <= rate_rps for each in opened):
            break
        step = _step(rate_rps, saturation_rps, settings)
        if step.key not in done:
            return step
    return _curve(ladder, opened, settings)


def _check(settings: ProfileSettings) -> None:
    given = settings.rates_rps
    if given is not None and not all(math.isfinite(rate) and rate > 0 for rate in given):
        raise UsageError(f"a rate must be above 0 requests/s; the profile's are {given}")
    if settings.points < 2 or settings.knee_factor <= 1:  # noqa: PLR2004 - a line has two ends
        raise UsageError("a profile has two points or more, and a knee factor above 1")


def _rates(settings: ProfileSettings, saturation_rps: float) -> list[float]:
    if settings.rates_rps is not None:
        return sorted(set(settings.rates_rps))
    return [
        float(share * saturation_rps) for share in np.linspace(LOWEST, HIGHEST, settings.points)
    ]


def _step(rate_rps: float, saturation_rps: float, settings: ProfileSettings) -> OpenStep:
    """Nothing is to be decided, so it never ends early but for a growing backlog."""
    needed_s = floor_requests(rate_rps / saturation_rps) / rate_rps
    longest_s = max(settings.most_step_s, settings.step_s)
    return OpenStep(rate_rps, float(np.clip(needed_s, settings.step_s, longest_s)), NEVER)


def _opened(history: Sequence[Evidence]) -> list[Evidence]:
    """By rate; INVALID ones are no evidence."""
    found = [
        each
        for each in history
        if isinstance(each.step, OpenStep) and each.measurement.is_evidence
    ]
    return sorted(found, key=_rate)


def _rate(evidence: Evidence) -> float:
    return evidence.step.rate_rps if isinstance(evidence.step, OpenStep) else 0.0


def _curve(
    ladder: Sequence[Evidence], opened: Sequence[Evidence], settings: ProfileSettings
) -> LoadCurve:
    saturation = _saturation(ladder)
    points = tuple(_point(each, saturation.measured_rps) for each in opened)
    return LoadCurve(
        points=points, knee=_knee(ladder[0].service_s, points, settings), saturation=saturation
    )


def _point(evidence: Evidence, saturation_rps: float) -> LoadPoint:
    measured, rate_rps = evidence.measurement, _rate(evidence)
    vcpus, busy = measured.target.vcpus, measured.cpu_busy_vcpus
    return LoadPoint(
        rate_rps=rate_rps,
        achieved_rps=measured.achieved_rps,
        throughput_rps=measured.throughput_rps,
        utilization_ratio=rate_rps / saturation_rps,
        cpu_ratio=None if vcpus is None or busy is None else busy / vcpus,
        latency=measured.latency,
        error_ratio=measured.error_ratio,
        over_saturated=measured.over_saturated,
        validity=measured.validity.status,
    )


def _saturation(ladder: Sequence[Evidence]) -> Saturation:
    senders = np.array(
        [each.step.concurrency for each in ladder if isinstance(each.step, ClosedStep)], float
    )
    rates = np.array([each.measurement.throughput_rps for each in ladder])
    measured_rps = float(rates.max())
    if len(rates) < FEWEST_RUNGS_FOR_USL:
        return Saturation(
            measured_rps=measured_rps,
            reason=f"throughput was flat after {len(rates)} rungs; a law takes "
            f"{FEWEST_RUNGS_FOR_USL}",
        )
    law = _fit_usl(senders, rates)
    if law is None:
        return Saturation(measured_rps=measured_rps, reason="no such law fits the ladder")
    one_rps, contention, coherency = law
    peak = math.sqrt(max(1 - contention, 0.0) / coherency) if coherency > 0 else None
    most = one_rps / contention if contention > 0 else None
    return Saturation(
        measured_rps=measured_rps,
        peak_rps=most if peak is None else float(_usl(np.array([max(peak, 1.0)]), law)[0]),
        peak_concurrency=peak,
        contention=contention,
        coherency=coherency,
    )


def _usl(senders: NDArray[np.float64], law: tuple[float, float, float]) -> NDArray[np.float64]:
    one_rps, contention, coherency = law
    others = senders - 1
    return one_rps * senders / (1 + contention * others + coherency * senders * others)


def _fit_usl(
    senders: NDArray[np.float64], rates: NDArray[np.float64]
) -> tuple[float, float, float] | None:
    """λ, σ, κ by least squares of logarithms, σ and κ never negative."""
    start = np.array([rates[0], 0.1, 1e-3])
    found = least_squares(
        lambda law: np.log(_usl(senders, (law[0], law[1], law[2])) / rates),
        start,
        bounds=([1e-9, 0.0, 0.0], [np.inf, 1.0, 1.0]),
        x_scale=start,
    )
    one_rps, contention, coherency = (float(each) for each in found.x)
    negligible = 1e-7  # a bound is approached, not reached
    if not found.success:
        return None
    return one_rps, contention, coherency if coherency > negligible else 0.0


def _knee(
    alone_s: NDArray[np.float64], points: Sequence[LoadPoint], settings: ProfileSettings
) -> Knee:
    """Where the quantile is knee_factor times that of one request alone.

    The reciprocal of a latency never rises with the load, is 0 where the queue grows for good, and
    falls along a straight line in M/M/1 (1/W = μ - λ). So that is what is fitted, by isotonic
    regression weighted by how well each point is known (Barlow et al., Statistical Inference under
    Order Restrictions, 1972), and read off between the points along straight lines. The interval
    is what remains when the points and the unloaded quantile are drawn anew within theirs.
    """
    quantile, factor = settings.knee_quantile, settings.knee_factor
    unloaded_s = float(np.quantile(alone_s, quantile))
    known = _known(points, quantile)
    rng = np.random.default_rng(np.random.SeedSequence([settings.seed, 0x4B]))
    drawn = rng.standard_normal((settings.resamples, len(known.rates)))
    again_s = rng.choice(alone_s, (settings.resamples, len(alone_s)))
    starts = 1 / np.quantile(again_s, quantile, axis=1)
    found = _crossing(known, known.speeds, 1 / unloaded_s, factor)
    others = [
        _crossing(known, np.maximum(speeds, 0.0), float(start), factor)
        for speeds, start in zip(known.speeds + known.errors * drawn, starts, strict=True)
    ]
    rate_rps, reason = _placed(found, np.array(others), known)
    return Knee(
        rate_rps=rate_rps,
        quantile=quantile,
        unloaded_s=unloaded_s,
        limit_s=factor * unloaded_s,
        reason=reason,
    )


@dataclass(frozen=True, slots=True)
class _Known:
    """One over the quantile in seconds, with its standard error; by rising rate."""

    rates: NDArray[np.float64]
    speeds: NDArray[np.float64]
    errors: NDArray[np.float64]


def _known(points: Sequence[LoadPoint], quantile: float) -> _Known:
    rows = []
    for point in points:
        found = next((each.seconds for each in point.latency if each.quantile == quantile), None)
        if point.over_saturated:
            rows.append((point.rate_rps, 0.0, 0.0))
        elif found is not None and found.value is not None and found.value > 0:
            speed = 1 / found.value
            rows.append((point.rate_rps, speed, speed * _relative_error(found)))
    rates, speeds, errors = np.array(rows).reshape(-1, 3).T
    floor = LEAST_ERROR * (float(speeds.max(initial=0.0)) or 1.0)
    return _Known(rates, speeds, np.where(speeds > 0, np.maximum(errors, floor), floor))


def _relative_error(found: Interval) -> float:
    """By the side that reaches further; 1 where both ends are open."""
    value = found.value or 1.0
    ends = [end for end in (found.low, found.high) if end is not None and end > 0]
    return max((abs(math.log(end / value)) for end in ends), default=Z95) / Z95


def _crossing(known: _Known, speeds: NDArray[np.float64], alone: float, factor: float) -> float:
    """The rate where the fit passes the limit; infinite where it never does."""
    if len(speeds) == 0:
        return math.inf
    fitted = isotonic_regression(speeds, weights=1 / known.errors**2, increasing=False).x
    rates, heights = np.append(0.0, known.rates), np.append(alone, np.minimum(fitted, alone))
    limit = alone / factor
    below = int(np.argmax(heights <= limit))
    if heights[below] > limit:
        return math.inf
    share = (heights[below - 1] - limit) / (heights[below - 1] - heights[below])
    return float(rates[below - 1] + share * (rates[below] - rates[below - 1]))


def _placed(
    found: float, others: NDArray[np.float64], known: _Known
) -> tuple[Interval, str | None]:
    """An end beyond the highest rate measured is open."""
    low, high = (float(end) for end in np.quantile(others, [0.025, 0.975], method="nearest"))
    if math.isfinite(found):
        top = max(high, found)
        return Interval(
            value=found, low=min(low, found), high=top if math.isfinite(top) else None
        ), None
    if len(known.rates) == 0:
        return Interval(value=None), "no run tells the quantile"
    highest = float(known.rates[-1])
    reason = f"latency stays below the limit up to the highest rate measured, {highest:.3g} rps"
    return Interval(value=None, low=min(low, highest)), reason
