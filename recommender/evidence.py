"""What a recommendation rests on: every measurement, every size, the prices and the model."""

from __future__ import annotations

from typing import TYPE_CHECKING

from recommender.performance.model import DRAWS
from recommender.recommendation import (
    CostOfMeasuring,
    Evidence,
    MeasurementSummary,
    ModelFacts,
    PriceBookFacts,
    SizeFacts,
)

if TYPE_CHECKING:
    from datetime import date

    from loadtests.measurement import Load, Measurement
    from pricing import PriceBook
    from recommender.measured import KeptMeasurement, MeasuredRun
    from recommender.performance.measured_size import MeasuredSize
    from recommender.performance.model import PerformanceModel

__all__ = ["cost_of_measuring", "evidence_of", "summary_of"]

UNSEEN = "none that was benchmarked"


def evidence_of(
    run: MeasuredRun, model: PerformanceModel, book: PriceBook, today: date
) -> Evidence:
    return Evidence(
        measurements=tuple(summary_of(each) for each in run.measurements),
        sizes=tuple(_size(size) for size in model.sizes),
        price_book=PriceBookFacts(
            name=book.name,
            published_on=book.published_on.isoformat(),
            age_days=book.age_days(today),
        ),
        model=ModelFacts(
            name="USL scaling, G/G/c queueing, speed prior by silicon",
            source_silicon=model.source.silicon,
            source_likely={
                machine.silicon or UNSEEN: round(share, 4) for machine, share in run.likely
            },
            holdout_error=model.prior.holdout_error,
            holdout_coverage=model.prior.holdout_coverage,
            memory_traffic=model.memory_traffic,
            draws=DRAWS,
        ),
        environment=run.environment,
    )


def cost_of_measuring(run: MeasuredRun) -> CostOfMeasuring:
    """What ran here cost nobody a dollar; INVALID tries are counted, for they were made."""
    return CostOfMeasuring(
        seconds=round(run.seconds, 1),
        requests=sum(_sent(each.measurement) for each in run.measurements),
        usd="0",
    )


def summary_of(kept: KeptMeasurement) -> MeasurementSummary:
    measured = kept.measurement
    latency = measured.latency_at(0.95)
    return MeasurementSummary(
        key=kept.key,
        target=measured.target.label,
        vcpus=measured.target.vcpus,
        limits=measured.target.limits,
        load=_load(measured.load),
        throughput_rps=measured.throughput_rps,
        latency_p95_s=latency.value,
        latency_p95_low_s=latency.low,
        latency_p95_high_s=latency.high,
        service_mean_s=measured.service_mean_s,
        cpu_s_per_request=measured.cpu_s_per_request,
        requests=_sent(measured),
        validity=measured.validity.status.value,
        faults=tuple(f"{each.found}: {each.advice}" for each in measured.validity.faults),
    )


def _load(load: Load) -> str:
    if load.rate_rps is None:
        return f"{load.loop} loop, {load.concurrency} at a time"
    return f"{load.loop} loop, {load.rate_rps:.4g} req/s"


def _sent(measured: Measurement) -> int:
    """Not those due: a run that is decided early leaves most of its schedule unsent."""
    return measured.succeeded + measured.failed + measured.unfinished


def _size(size: MeasuredSize) -> SizeFacts:
    capacity = size.capacity
    return SizeFacts(
        vcpus=size.vcpus,
        capacity_rps=capacity.rate_rps,
        capacity_low_rps=capacity.low_rps,
        capacity_high_rps=capacity.high_rps,
        basis=capacity.basis,
        saturation_rps=capacity.model.saturation_rps,
        servers=capacity.model.servers,
        service_mean_s=capacity.model.mean_s,
        cpu_s_per_request=size.cpu_s_per_request,
        memory_peak_bytes=size.memory_peak_bytes,
        setup_s=size.setup_s,
        bound_by=None if size.cpu_s_per_request is None else size.demand.bound_by,
    )
