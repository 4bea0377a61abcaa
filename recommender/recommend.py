"""The use case: measurements, a demand, a price book and a speed prior make a recommendation.

Pure: nothing is run, read or written, so a stored run can be ranked again under another objective,
traffic, region or price book.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from recommender.candidates import find_candidates
from recommender.errors import NothingMeasured
from recommender.evaluation import MachineEvaluation, Question
from recommender.evidence import cost_of_measuring, evidence_of
from recommender.machines import machine_of, serverless_machine
from recommender.measured import errors_in
from recommender.performance.model import Host, PerformanceModel
from recommender.ranking import nearest_first, rank
from recommender.recommendation import Recommendation
from recommender.serverless import MIB_PER_VCPU, ServerlessEvaluation

if TYPE_CHECKING:
    from datetime import datetime

    from pricing import InstanceType, PriceBook
    from recommender.candidates import Candidates
    from recommender.demand import Demand
    from recommender.evaluation import Evaluated
    from recommender.measured import MeasuredRun
    from recommender.performance.model import MeasuredSize
    from recommender.performance.speed_prior import SpeedPrior
    from recommender.recommendation import Rejected

__all__ = ["recommend"]


def recommend(
    run: MeasuredRun, demand: Demand, book: PriceBook, prior: SpeedPrior, now: datetime
) -> Recommendation:
    """Raises NothingMeasured when no size has a measurement fit to be evidence."""
    if not run.sizes:
        raise NothingMeasured(
            "the run holds no measurement that may be used",
            hint="measure again; `recommender show` lists what was found and why it is INVALID",
        )
    instance = None if run.measured_on is None else book.instance(run.measured_on)
    run = run if instance is None else _on_instance(run, instance)
    model = PerformanceModel(run.sizes, run.source, prior)
    found = find_candidates(book, demand.constraints, instance)
    question = Question(demand, book, errors_in(run.measurements), run.size_known)
    ranked, rejected = _judge(found, model, question, instance)
    return Recommendation(
        run=run.id,
        created_at=now.isoformat(timespec="seconds"),
        demand=demand,
        ranked=rank(ranked, demand.traffic),
        rejected=nearest_first([*rejected, *found.rejected]),
        evidence=evidence_of(run, model, book, now.date()),
        assumptions=_assumptions(run, question),
        cost_of_measuring=cost_of_measuring(run),
    )


def _on_instance(run: MeasuredRun, instance: InstanceType) -> MeasuredRun:
    """The figures are of that machine; a server of a size nobody named has all of it."""
    sizes = run.sizes
    if not run.size_known:
        sizes = tuple(replace(size, vcpus=float(instance.vcpus)) for size in sizes)
    return replace(run, sizes=sizes, source=machine_of(instance), size_known=True)


def _judge(
    found: Candidates,
    model: PerformanceModel,
    question: Question,
    measured: InstanceType | None,
) -> tuple[list[Evaluated], list[Rejected]]:
    """Every machine, and serverless, in the same draws."""
    asked = {offer.instance.name for offer in found.machines}
    columns = {
        n: instance for n, instance in enumerate(question.book.instances) if instance.name in asked
    }
    hosts = {
        instance.name: _host(instance, model, measured is not None and measured == instance)
        for instance in columns.values()
    }
    # Drawn for all that the book knows: a figure does not depend on what else was asked for.
    catalogue = [machine_of(instance) for instance in question.book.instances]
    ratios = model.speed_ratios([*catalogue, serverless_machine()])
    predicted = model.predict(list(hosts.values()), ratios[:, list(columns)], question.slo)
    predictions = dict(zip(hosts, predicted, strict=True))
    fleets, refused = MachineEvaluation(model, question, hosts, predictions).run(found.machines)
    serverless, too_slow = ServerlessEvaluation(model, question, ratios[:, -1]).run(
        found.serverless
    )
    return [*fleets, *serverless], [*refused, *too_slow]


def _host(instance: InstanceType, model: PerformanceModel, is_measured: bool) -> Host:  # noqa: FBT001
    return Host(
        machine_of(instance),
        instance.baseline_ratio or 1.0,
        _whole(instance, model.largest) if is_measured else None,
    )


def _whole(instance: InstanceType, size: MeasuredSize) -> MeasuredSize | None:
    """What was measured stands for the machine where all of it was used.

    A machine with an accelerator can only be measured, so there part of its vCPUs stands for at
    least as much; a plain one is extrapolated from its own measured sizes.
    """
    return size if size.vcpus >= instance.vcpus or instance.accelerators else None


def _assumptions(run: MeasuredRun, question: Question) -> tuple[str, ...]:
    constraints = question.demand.constraints
    return (
        *_assumed_of_the_source(run),
        "Latency is the container's own: the network and SageMaker's overhead are not in it.",
        (
            f"At peak {constraints.headroom_ratio:.0%} of the capacity is kept free; "
            f"fleets meet the SLO with {constraints.confidence:.0%} confidence."
        ),
        "A fleet has a fixed size, enough for the peak: no automatic scaling.",
        "The server uses a larger machine as it did the sizes measured (a worker for each vCPU).",
        f"Serverless: {MIB_PER_VCPU} MiB for each vCPU, an idle instance gone after 5 minutes.",
        "EC2 is the machine alone: no load balancer, and nobody's time to run it.",
        "Spot prices are estimates, and a reclaimed machine is replaced within its notice.",
        "Prices are list prices, without tax, savings plans, free tier or endpoint storage.",
        *_assumed_of_data(question),
        *_assumed_of_zones(constraints.zones),
    )


def _assumed_of_the_source(run: MeasuredRun) -> tuple[str, ...]:
    if run.measured_on is not None:
        return (f"Measured on {run.measured_on}, as was said: nothing checks it.",)
    where = run.environment.cpu_name or "a CPU that gives no name"
    silicon = run.source.silicon
    said = f"Measured on {where} ({silicon})" if silicon else (
        f"Measured beside {where}; the server's silicon is not known, so intervals are wide"
    )  # fmt: skip
    if run.size_known:
        return (f"{said}.",)
    vcpus = max(size.vcpus for size in run.sizes)
    return (
        f"{said}.",
        f"Nobody said how many vCPUs the server has: {vcpus:g} assumed, as here. Say it: --vcpus",
    )


def _assumed_of_data(question: Question) -> tuple[str, ...]:
    region = question.demand.constraints.region
    if not question.data_items:
        return (f"No price for data in and out is known in {region}: not billed.",)
    if question.demand.workload.response_bytes_mean is None:
        return ("No answer's size was seen: data out is not billed.",)
    return ()


def _assumed_of_zones(zones: int) -> tuple[str, ...]:
    if zones == 1:
        return ()
    return (f"Replicas are spread over {zones} zones; losing one keeps the SLO.",)
