"""Batch transform: how many rows a second, when nobody waits for any of them.

The ladder is climbed until throughput is flat; then the server is held at the fewest senders that
reach it, long enough for an interval. Senders beyond those only wait.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict
from scipy.stats import t as student

from loadtests.errors import InvalidMeasurement
from loadtests.ladder import LadderSettings, ladder_of, next_rung
from loadtests.measurement import Interval
from loadtests.steps import ClosedStep, UsersStep
from loadtests.stopping import StopRules
from loadtests.users import Constant

if TYPE_CHECKING:
    from collections.abc import Sequence

    from loadtests.ladder import Evidence
    from loadtests.steps import Step

__all__ = ["OfflineResult", "OfflineSettings", "Rung", "next_step"]

REACHED = 0.97  # of the best throughput of the ladder
BATCHES = 20
FEWEST_IN_BATCH = 5
MILLION = 1e6


@dataclass(frozen=True, slots=True)
class OfflineSettings:
    """rows_per_request: records in each payload. rules: may end the sustained run early."""

    ladder: LadderSettings = field(default_factory=LadderSettings)
    sustained_s: float = 30.0
    rows_per_request: int = 1
    rules: StopRules = field(default_factory=StopRules)


class Rung(BaseModel):
    model_config = ConfigDict(frozen=True)

    concurrency: int
    throughput_rps: float
    service_mean_s: float | None


class OfflineResult(BaseModel):
    """The sustained run. Rates count good answers only.

    s_per_million_rows: of this one target, wherever it runs. stop_reason: why it ended early.
    reason: why there is no interval.
    """

    model_config = ConfigDict(frozen=True)

    concurrency: int
    rungs: tuple[Rung, ...]
    requests_per_s: Interval
    rows_per_s: Interval
    s_per_million_rows: Interval
    failed_ratio: float | None
    stop_reason: str | None = None
    reason: str | None = None


def next_step(history: tuple[Evidence, ...], settings: OfflineSettings) -> Step | OfflineResult:
    """What to measure next, or the answer.

    Raises InvalidMeasurement when one request at a time was not answered even once, or none in
    the sustained run.
    """
    ladder = ladder_of(history)
    rung = next_rung(ladder, settings.ladder)
    if rung is not None:
        return rung
    concurrency, sustained = _best(ladder), _sustained(history)
    if sustained is None:
        users = Constant(users=concurrency, duration_s=settings.sustained_s)
        return UsersStep(users, settings.rules)
    found = _rate(sustained)
    rows = settings.rows_per_request
    return OfflineResult(
        concurrency=concurrency,
        rungs=tuple(_rung(each) for each in ladder),
        requests_per_s=found,
        rows_per_s=_scaled(found, rows),
        s_per_million_rows=_inverted(found, MILLION / rows),
        failed_ratio=sustained.measurement.error_ratio.value,
        stop_reason=sustained.measurement.stop_reason,
        reason=None if found.low is not None else "too few answers for an interval: run longer",
    )


def _sustained(history: Sequence[Evidence]) -> Evidence | None:
    return next((each for each in history if isinstance(each.step, UsersStep)), None)


def _best(ladder: Sequence[Evidence]) -> int:
    """The fewest senders that reach what more reach too, within the noise of a short rung."""
    most = max(each.measurement.throughput_rps for each in ladder)
    return min(
        each.step.concurrency
        for each in ladder
        if isinstance(each.step, ClosedStep) and each.measurement.throughput_rps >= REACHED * most
    )


def _rung(evidence: Evidence) -> Rung:
    measured = evidence.measurement
    return Rung(
        concurrency=measured.load.concurrency or 1,
        throughput_rps=measured.throughput_rps,
        service_mean_s=measured.service_mean_s,
    )


def _rate(sustained: Evidence) -> Interval:
    """Good answers per second, with an interval of 95 % by batch means.

    With n senders who never rest X = n/W (Little 1961), so X is known as well as W, the mean time
    a request takes. Means of 20 batches of consecutive requests are nearly independent (Law &
    Kelton, Simulation Modeling and Analysis, §9.5), and Student's t allows for their number.
    """
    value, taken_s = sustained.measurement.throughput_rps, sustained.service_s
    if value <= 0:
        raise InvalidMeasurement(
            "the sustained run has no good answer",
            hint="look at the target's log and at its statuses",
        )
    size = len(taken_s) // BATCHES
    if size < FEWEST_IN_BATCH:
        return Interval(value=value)
    means = taken_s[: size * BATCHES].reshape(BATCHES, size).mean(axis=1)
    error = float(means.std(ddof=1) / means.mean()) / math.sqrt(BATCHES)
    reach = float(student.ppf(0.975, BATCHES - 1)) * error
    return Interval(value=value, low=value / (1 + reach), high=value * (1 + reach))


def _scaled(found: Interval, factor: float) -> Interval:
    ends = (found.value, found.low, found.high)
    value, low, high = (None if each is None else each * factor for each in ends)
    return Interval(value=value, low=low, high=high)


def _inverted(found: Interval, amount: float) -> Interval:
    value, low, high = (
        None if each is None or each <= 0 else amount / each
        for each in (found.value, found.high, found.low)
    )
    return Interval(value=value, low=low, high=high)
