"""What was measured of one container: all that a recommendation needs to know of a run."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from recommender.verdicts import Errors

if TYPE_CHECKING:
    from loadtests.environment import Environment
    from loadtests.measurement import Measurement
    from recommender.accelerated import AcceleratedModel
    from recommender.performance.measured_size import MeasuredSize
    from recommender.performance.speed_prior import Machine

__all__ = ["KeptMeasurement", "MeasuredRun", "errors_in", "response_bytes_mean"]


@dataclass(frozen=True, slots=True)
class KeptMeasurement:
    key: str
    measurement: Measurement


@dataclass(frozen=True)
class MeasuredRun:
    """What was measured, of one container.

    sizes: each with its capacity under the demand's SLO. source: the machine whose speed the
    figures stand for. measured_on: the instance type it all ran on, where the user named one.
    likely: what that machine may be, with probabilities; empty where it is sure.
    size_known: False where nobody said how many vCPUs a server has that was there already.
    accelerated: what is known of its model; None where nothing was said.
    """

    id: str | None
    sizes: tuple[MeasuredSize, ...]
    measurements: tuple[KeptMeasurement, ...]
    environment: Environment
    source: Machine
    measured_on: str | None
    seconds: float
    size_known: bool = True
    likely: tuple[tuple[Machine, float], ...] = ()
    accelerated: AcceleratedModel | None = None


def errors_in(measurements: tuple[KeptMeasurement, ...]) -> Errors:
    """Over every measurement fit to be evidence, below saturation.

    An overloaded server fails for want of room. Counted are requests that were sent or dropped,
    not those due: a run that is decided early leaves most of its schedule alone.
    """
    kept = [
        each.measurement
        for each in measurements
        if each.measurement.is_evidence and not each.measurement.over_saturated
    ]
    bad = sum(each.failed + each.dropped + each.unfinished for each in kept)
    return Errors(bad, bad + sum(each.succeeded for each in kept))


def response_bytes_mean(measurements: tuple[KeptMeasurement, ...]) -> float | None:
    """Over all good answers; None where there was none."""
    answered = [
        (each.measurement.succeeded, each.measurement.response_bytes_mean)
        for each in measurements
        if each.measurement.response_bytes_mean is not None
    ]
    total = sum(count for count, _ in answered)
    return sum(count * mean for count, mean in answered) / total if total else None
