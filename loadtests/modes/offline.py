"""Batch transform: how many rows a second, when nobody waits for any of them.

The ladder is climbed until throughput is flat; then the server is held at the fewest senders that
reach it, long enough for an interval. Senders beyond those only wait.

Where records are given, and not payloads, the ladder is climbed with the fewest of them to a
request, and then requests grow until they do no good (`batching`).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict
from scipy.stats import t as student

from loadtests.errors import InvalidMeasurement
from loadtests.measurement import Interval
from loadtests.modes.batching import BatchSizes, next_size
from loadtests.modes.ladder import LadderSettings, ladder_of, next_rung
from loadtests.steps import ClosedStep, UsersStep
from loadtests.stopping import StopRules
from loadtests.users import Constant

if TYPE_CHECKING:
    from collections.abc import Sequence

    from loadtests.modes.batching import BatchSettings
    from loadtests.modes.ladder import Evidence
    from loadtests.steps import Step

__all__ = ["OfflineResult", "OfflineSettings", "Rung", "next_step"]

REACHED = 0.97  # of the best throughput of the ladder
BATCHES = 20
FEWEST_IN_BATCH = 5
MILLION = 1e6


@dataclass(frozen=True, slots=True)
class OfflineSettings:
    """rows_per_request: records in each payload. rules: may end the sustained run early.

    batches: the records are joined into requests here, in the sizes that these allow.
    """

    ladder: LadderSettings = field(default_factory=LadderSettings)
    sustained_s: float = 30.0
    rows_per_request: int = 1
    rules: StopRules = field(default_factory=StopRules)
    batches: BatchSettings | None = None


class Rung(BaseModel):
    model_config = ConfigDict(frozen=True)

    concurrency: int
    throughput_rps: float
    service_mean_s: float | None


class OfflineResult(BaseModel):
    """The sustained run. Rates count good answers only.

    s_per_million_rows: of this one target, wherever it runs. stop_reason: why it ended early.
    reason: why there is no interval. rungs: of the ladder, with the fewest records to a request.
    """

    model_config = ConfigDict(frozen=True)

    concurrency: int
    rungs: tuple[Rung, ...]
    rows_per_request: int = 1
    batches: BatchSizes | None = None
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
    ladder = _ladder(history, settings)
    rung = next_rung(ladder, settings.ladder)
    if rung is not None:
        return replace(rung, rows=_first_rows(settings))
    concurrency = _best(ladder)
    sizes = _sizes(history, concurrency, settings)
    if isinstance(sizes, ClosedStep):
        return sizes
    sustained = _sustained(history)
    if sustained is None:
        users = Constant(users=concurrency, duration_s=settings.sustained_s)
        return UsersStep(users, settings.rules, rows=None if sizes is None else sizes.rows)
    found = _rate(sustained)
    rows = settings.rows_per_request if sizes is None else sizes.rows
    return OfflineResult(
        concurrency=concurrency,
        rungs=tuple(_rung(each) for each in ladder),
        rows_per_request=rows,
        batches=sizes,
        requests_per_s=found,
        rows_per_s=_scaled(found, rows),
        s_per_million_rows=_inverted(found, MILLION / rows),
        failed_ratio=sustained.measurement.error_ratio.value,
        stop_reason=sustained.measurement.stop_reason,
        reason=None if found.low is not None else "too few answers for an interval: run longer",
    )


def _first_rows(settings: OfflineSettings) -> int | None:
    return None if settings.batches is None else settings.batches.first_rows


def _ladder(history: Sequence[Evidence], settings: OfflineSettings) -> list[Evidence]:
    """Of concurrency, at the fewest records to a request."""
    first = _first_rows(settings)
    return [
        each
        for each in ladder_of(history)
        if isinstance(each.step, ClosedStep) and each.step.rows == first
    ]


def _sizes(
    history: Sequence[Evidence], concurrency: int, settings: OfflineSettings
) -> ClosedStep | BatchSizes | None:
    if settings.batches is None:
        return None
    tried = [
        each
        for each in ladder_of(history)
        if isinstance(each.step, ClosedStep) and each.step.concurrency == concurrency
    ]
    return next_size(tried, concurrency, settings.batches)


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
