"""The use case: stored measurements, a demand, a price book and a speed prior make a recommendation.

Pure: nothing is run, read or written, so a stored run can be ranked again under another objective,
traffic, region or price book.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from loadtests.validity import Status
from recommender.candidates import find_candidates
from recommender.errors import NothingMeasured
from recommender.evaluation import Errors, data_items, evaluate_machines
from recommender.performance.model import DRAWS, MeasuredSize, PerformanceModel
from recommender.performance.silicon import silicon_of
from recommender.performance.speed_prior import Machine
from recommender.ranking import rank
from recommender.recommendation import (
    CostOfMeasuring,
    Evidence,
    MeasurementSummary,
    ModelFacts,
    PriceBookFacts,
    Recommendation,
    SizeFacts,
)
from recommender.serverless import MIB_PER_VCPU, evaluate_serverless

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from loadtests.capacity import Capacity
    from loadtests.environment import Environment
    from loadtests.measurement import Measurement
    from pricing import PriceBook
    from recommender.demand import Demand
    from recommender.performance.speed_prior import SpeedPrior

__all__ = ["KeptMeasurement", "MeasuredRun", "recommend"]

DEFAULT_VCPUS = 1.0


@dataclass(frozen=True, slots=True)
class KeptMeasurement:
    key: str
    measurement: Measurement


@dataclass(frozen=True)
class MeasuredRun:
    """What was measured, of one container. sizes: each with its capacity under the demand's SLO.
    measured_on: the instance type it all ran on, where the user named one. source: the machine whose speed
    the figures stand for.
    """

    id: str | None
    sizes: tuple[MeasuredSize, ...]
    measurements: tuple[KeptMeasurement, ...]
    environment: Environment
    source: Machine
    measured_on: str | None
    seconds: float


def recommend(
    run: MeasuredRun, demand: Demand, book: PriceBook, prior: SpeedPrior, now: datetime
) -> Recommendation:
    """Raises NothingMeasured when no size has a measurement fit to be evidence."""
    if not run.sizes:
        raise NothingMeasured(
            "the run holds no measurement that may be used",
            hint="measure again; `recommender show` lists what was found and why it is INVALID",
        )
    model = PerformanceModel(run.sizes, run.source, prior)
    errors = _errors(run)
    measured = _measured_on(run, book)
    found = find_candidates(book, demand.constraints, frozenset(measured))
    machines, refused = evaluate_machines(found.machines, model, demand, book, (errors, measured))
    serverless, no_serverless = evaluate_serverless(found.serverless, model, demand, book, errors)
    return Recommendation(
        run=run.id,
        created_at=now.isoformat(timespec="seconds"),
        demand=demand,
        ranked=rank([*machines, *serverless], demand.traffic),
        rejected=(*refused, *no_serverless, *found.rejected),
        evidence=_evidence(run, model, book, prior, now),
        assumptions=_assumptions(run, demand, book),
        cost_of_measuring=CostOfMeasuring(
            seconds=round(run.seconds, 1),
            requests=sum(each.measurement.due for each in run.measurements),
            usd="0",
        ),
    )


def source_machine(environment: Environment) -> Machine:
    """The machine measurements were taken on, as the speed prior sees it."""
    silicon = None
    if environment.cpu_vendor and environment.cpu_family is not None:
        silicon = silicon_of(
            environment.cpu_vendor, environment.cpu_family, environment.cpu_model_number or 0
        )
    return Machine(
        vcpus=DEFAULT_VCPUS,
        silicon=silicon,
        threads_per_core=environment.threads_per_core,
        architecture=environment.architecture,
        clock_ghz=None,
    )


def _measured_on(run: MeasuredRun, book: PriceBook) -> dict[str, Capacity]:
    if run.measured_on is None:
        return {}
    instance = book.instance(run.measured_on)
    whole = max(run.sizes, key=lambda size: size.vcpus)
    return {instance.name: whole.capacity}


def _errors(run: MeasuredRun) -> Errors:
    """Over every valid measurement below saturation; an overloaded server fails for want of room."""
    kept = [
        each.measurement
        for each in run.measurements
        if each.measurement.validity.status is not Status.INVALID
        and not each.measurement.over_saturated
    ]
    bad = sum(each.failed + each.dropped + each.unfinished for each in kept)
    return Errors(bad, sum(each.due for each in kept))


def _evidence(
    run: MeasuredRun, model: PerformanceModel, book: PriceBook, prior: SpeedPrior, now: datetime
) -> Evidence:
    return Evidence(
        measurements=tuple(_summary(each) for each in run.measurements),
        sizes=tuple(_size(size) for size in model.sizes),
        price_book=PriceBookFacts(
            name=book.name,
            published_on=book.published_on.isoformat(),
            age_days=book.age_days(now.date()),
        ),
        model=ModelFacts(
            name="USL scaling, G/G/c queueing, speed prior by silicon",
            source_silicon=run.source.silicon,
            holdout_error=prior.holdout_error,
            holdout_coverage=prior.holdout_coverage,
            draws=DRAWS,
        ),
        environment=run.environment,
    )


def _summary(kept: KeptMeasurement) -> MeasurementSummary:
    measured = kept.measurement
    load = measured.load
    asked = (
        f"{load.concurrency} at a time" if load.loop == "closed" else f"{load.rate_rps:.4g} req/s"
    )
    return MeasurementSummary(
        key=kept.key,
        target=measured.target.label,
        vcpus=measured.target.vcpus,
        limits=measured.target.limits,
        load=f"{load.loop} loop, {asked}",
        throughput_rps=measured.throughput_rps,
        latency_p95_s=measured.latency_at(0.95).value,
        cpu_s_per_request=measured.cpu_s_per_request,
        requests=measured.due,
        validity=measured.validity.status.value,
        faults=tuple(f"{each.found}: {each.advice}" for each in measured.validity.faults),
    )


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
    )


def _assumptions(run: MeasuredRun, demand: Demand, book: PriceBook) -> tuple[str, ...]:
    constraints = demand.constraints
    silicon = run.source.silicon
    said = [
        f"Measured on {run.environment.cpu_name or 'a CPU that gives no name'}"
        + (f" ({silicon})" if silicon else "; its silicon is not known, so intervals are wide"),
        "Latency is the container's own: the network and SageMaker's overhead are not in it.",
        f"At peak {constraints.headroom_ratio:.0%} of the capacity is kept free; "
        f"fleets meet the SLO with {constraints.confidence:.0%} confidence.",
        "A fleet has a fixed size, enough for the peak: no automatic scaling.",
        "The server uses a larger machine as it did the sizes measured (a worker for each vCPU).",
        f"Serverless: {MIB_PER_VCPU} MiB for each vCPU, an idle instance gone after 5 minutes.",
        "EC2 is the machine alone: no load balancer, and nobody's time to run it.",
        "Spot prices are estimates, and a reclaimed machine is replaced within its notice.",
        "Prices are list prices, without tax, savings plans, free tier or endpoint storage.",
    ]
    if "sagemaker" in constraints.platforms and not data_items(book, constraints.region, demand):
        said.append(f"No price for data in and out is known in {constraints.region}: not billed.")
    if constraints.zones > 1:
        said.append(f"Replicas are spread over {constraints.zones} zones; losing one keeps the SLO.")
    return tuple(said)
