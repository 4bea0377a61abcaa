"""Residence of a server from what was measured of it here."""

from __future__ import annotations

from typing import TYPE_CHECKING

from recommender.performance.llm_serving.residence import Residence, ServingPoint, fit_residence

if TYPE_CHECKING:
    from collections.abc import Iterable

    from loadtests.measurement import Measurement

__all__ = ["measured_residence", "serving_point"]


def serving_point(measurement: Measurement) -> ServingPoint | None:
    """None of a run that shows no steady state, or is no evidence."""
    load = measurement.load
    served_s = measurement.service_mean_s
    steady = load.is_steady(measurement.starts) and not measurement.over_saturated
    if not (steady and measurement.is_evidence) or served_s is None:
        return None
    in_flight = measurement.in_flight if load.concurrency is None else float(load.concurrency)
    return ServingPoint(in_flight, measurement.throughput_rps, served_s)


def measured_residence(measurements: Iterable[Measurement]) -> Residence:
    """Of runs of one server under one size; refuses where they do not show how latency grows.

    Closed loops with one user and with as many as saturate the server are enough.
    """
    points = (serving_point(measurement) for measurement in measurements)
    return fit_residence([point for point in points if point is not None])
