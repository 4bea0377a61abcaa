"""The use case: measurements, a demand, a price book and a speed prior make a recommendation.

Pure: nothing is run, read or written, so a stored run can be ranked again under another objective,
traffic, region or price book.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

from loadtests.serverless.spec import MIB_PER_VCPU
from loadtests.validity import HOST_SLOWDOWN
from pricing import Platform, SavingsPlan
from recommender.candidates import find_candidates
from recommender.cost import LOAD_BALANCER
from recommender.errors import NothingMeasured
from recommender.evaluation import MachineEvaluation, Question
from recommender.evidence import cost_of_measuring, evidence_of
from recommender.machines import machine_of, serverless_machine
from recommender.measured import errors_in
from recommender.next_measurement import Measuring
from recommender.offered import offered
from recommender.performance.model import Host, PerformanceModel
from recommender.ranking import nearest_first, rank
from recommender.recommendation import Recommendation
from recommender.serverless import ServerlessEvaluation

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime

    import numpy as np
    from numpy.typing import NDArray

    from pricing import InstanceType, PriceBook
    from recommender.accelerated import AcceleratedModel, OnAccelerators
    from recommender.candidates import Candidates
    from recommender.demand import Constraints, Demand
    from recommender.fleets import Options, Refused
    from recommender.measured import MeasuredRun
    from recommender.performance.measured_size import MeasuredSize
    from recommender.performance.model import Prediction
    from recommender.performance.speed_prior import SpeedPrior

    Kept = Callable[[frozenset[str], Callable[[], "Foreseen"]], "Foreseen"]

__all__ = [
    "Foreseen",
    "Judged",
    "answer",
    "fit",
    "foresee",
    "host_of",
    "judge",
    "placed_in",
    "recommend",
]


def recommend(
    run: MeasuredRun, demand: Demand, book: PriceBook, prior: SpeedPrior, now: datetime
) -> Recommendation:
    """Raises NothingMeasured when no size has a measurement fit to be evidence."""
    book = offered(book, demand.constraints)
    placed = placed_in(book, run)
    return answer(placed, fit(placed, demand, prior), demand, book, now)


def answer(
    run: MeasuredRun,
    model: PerformanceModel,
    demand: Demand,
    book: PriceBook,
    now: datetime,
    kept: Kept = lambda _, make: make(),
) -> Recommendation:
    """The answer to one demand.

    book: on the demand's terms (`offered`). run: placed in it; model: fitted to it
    under the demand's SLO and burstiness. kept: gives what was foreseen of the same machines
    before, or has it made.

    What the model has simulated it keeps, so that asking it again takes a tenth of the time.
    """
    instance = None if run.measured_on is None else book.instance(run.measured_on)
    found = find_candidates(book, demand.constraints, instance, run.accelerated)
    question = Question(demand, book, errors_in(run.measurements), run.size_known)
    machines = frozenset(offer.instance.name for offer in found.machines)
    foreseen = kept(
        machines,
        lambda: foresee(machines, model, question, instance, run.accelerated),
    )
    judged = _judged(found, model, question, foreseen)
    measuring = Measuring(
        book.offers(demand.constraints.region), run.seconds, judged.saturation_rps
    )
    return Recommendation(
        run=run.id,
        created_at=now.isoformat(timespec="seconds"),
        demand=demand,
        ranked=rank(judged.evaluated, demand.traffic),
        rejected=nearest_first([*(each.rejected for each in judged.refused), *found.rejected]),
        evidence=evidence_of(run, model, book, now.date()),
        assumptions=_assumptions(run, question),
        cost_of_measuring=cost_of_measuring(run),
        value_of_measuring=measuring.worth(judged.evaluated, judged.refused),
    )


def fit(run: MeasuredRun, demand: Demand, prior: SpeedPrior) -> PerformanceModel:
    """Raises NothingMeasured when no size has a measurement fit to be evidence."""
    if not run.sizes:
        raise NothingMeasured(
            "the run holds no measurement that may be used",
            hint="measure again; `recommender show` lists what was found and why it is INVALID",
        )
    bursts = demand.traffic.arrivals_cv
    return PerformanceModel(run.sizes, run.source, prior, arrivals_cv=bursts, likely=run.likely)


class Judged(NamedTuple):
    """saturation_rps: of each machine, draws by its bare name."""

    evaluated: Options
    refused: list[Refused]
    saturation_rps: dict[str, NDArray[np.float64]]


def placed_in(book: PriceBook, run: MeasuredRun) -> MeasuredRun:
    """On the machine it names, figures are of that; a server of a size nobody named has all."""
    if run.measured_on is None:
        return run
    instance = book.instance(run.measured_on)
    sizes = run.sizes
    if not run.size_known:
        sizes = tuple(replace(size, vcpus=float(instance.vcpus)) for size in sizes)
    return replace(run, sizes=sizes, source=machine_of(instance), likely=(), size_known=True)


class Foreseen(NamedTuple):
    """What each machine can do, whatever the traffic: all in the same draws.

    hosts, predictions, speed_ratios: by the instance type's bare name. serverless_ratio: of a
    serverless vCPU over the source's, in each draw.
    """

    hosts: Mapping[str, Host]
    predictions: Mapping[str, Prediction]
    speed_ratios: Mapping[str, NDArray[np.float64]]
    serverless_ratio: NDArray[np.float64]
    on_accelerators: OnAccelerators | None


def judge(
    found: Candidates,
    model: PerformanceModel,
    question: Question,
    measured: InstanceType | None,
    accelerated: AcceleratedModel | None = None,
) -> Judged:
    """Every machine, and serverless, in the same draws."""
    machines = frozenset(offer.instance.name for offer in found.machines)
    foreseen = foresee(machines, model, question, measured, accelerated)
    return _judged(found, model, question, foreseen)


def foresee(
    machines: frozenset[str],
    model: PerformanceModel,
    question: Question,
    measured: InstanceType | None,
    accelerated: AcceleratedModel | None = None,
) -> Foreseen:
    """machines: by their bare names. Of the question, its book and its SLO alone count."""
    columns = {
        n: instance
        for n, instance in enumerate(question.book.instances)
        if instance.name in machines
    }
    hosts = {
        instance.name: host_of(instance, model, measured is not None and measured == instance)
        for instance in columns.values()
    }
    # Drawn for all that the book knows: a figure does not depend on what else was asked for.
    catalogue = [machine_of(instance) for instance in question.book.instances]
    ratios = model.speed_ratios([*catalogue, serverless_machine()])
    predicted = model.predict(list(hosts.values()), ratios[:, list(columns)], question.slo)
    predictions = dict(zip(hosts, predicted, strict=True))
    speeds = {instance.name: ratios[:, n] for n, instance in columns.items()}
    on_accelerators = None if accelerated is None else accelerated.carried(model, question.slo)
    if on_accelerators is not None:
        predictions |= {
            instance.name: on_accelerators.predict(instance, speeds[instance.name])
            for instance in columns.values()
            if instance.accelerator is not None and hosts[instance.name].measured is None
        }
    return Foreseen(hosts, predictions, speeds, ratios[:, -1], on_accelerators)


def _judged(
    found: Candidates, model: PerformanceModel, question: Question, foreseen: Foreseen
) -> Judged:
    machines = MachineEvaluation(
        model,
        question,
        foreseen.hosts,
        foreseen.predictions,
        foreseen.speed_ratios,
        foreseen.on_accelerators,
    )
    fleets, refused = machines.run(found.machines)
    serverless, too_slow = ServerlessEvaluation(model, question, foreseen.serverless_ratio).run(
        found.serverless
    )
    return Judged(
        fleets.and_these(serverless),
        [*refused, *too_slow],
        {name: each.saturation_rps for name, each in foreseen.predictions.items()},
    )


def host_of(instance: InstanceType, model: PerformanceModel, is_measured: bool) -> Host:  # noqa: FBT001
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
        *_assumed_of_the_host(run),
        "Latency is the container's own: the network and SageMaker's overhead are not in it.",
        (
            f"At peak {constraints.headroom_ratio:.0%} of the capacity is kept free; "
            f"fleets meet the SLO with {constraints.confidence:.0%} confidence."
        ),
        "A fleet has a fixed size, enough for the peak: no automatic scaling.",
        "The server uses a larger machine as it did the sizes measured (a worker for each vCPU).",
        f"Serverless: {MIB_PER_VCPU} MiB for each vCPU, an idle instance gone after 5 minutes.",
        "Spot prices are estimates, and a reclaimed machine is replaced within its notice.",
        "Prices are list prices in USD, without tax, free tier or endpoint storage.",
        *_assumed_of_self_hosting(question),
        *_assumed_of_savings_plans(constraints),
        *_assumed_of_data(question),
        *_assumed_of_zones(constraints.zones),
        *(() if run.accelerated is None else run.accelerated.assumptions),
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


def _assumed_of_the_host(run: MeasuredRun) -> tuple[str, ...]:
    """Only where it tells something: of one that was slower in some measurements."""
    paces_s = [
        each.measurement.host_work_s
        for each in run.measurements
        if each.measurement.is_evidence and each.measurement.host_work_s is not None
    ]
    if not paces_s or (apart := max(paces_s) / min(paces_s)) <= HOST_SLOWDOWN:
        return ()
    said = (
        f"The machine was up to {apart:.2f} times slower in some measurements than in others; "
        "what computes is compared as if it had kept the middle of its paces."
    )
    return (said,)


def _assumed_of_self_hosting(question: Question) -> tuple[str, ...]:
    constraints = question.demand.constraints
    billed = {item.name for item in question.items[Platform.EC2]}
    if not constraints.load_balancer:
        balanced = "without a load balancer, as was said"
    elif LOAD_BALANCER in billed:
        balanced = "with one load balancer, to which clients keep their connections open"
    else:
        balanced = f"without a load balancer: its price in {constraints.region} is not known"
    usd = constraints.self_hosting_usd_per_month
    runs = (
        f"running machines oneself costs ${usd.normalize():f} a month besides, as was said"
        if usd
        else "nobody's time to run it is billed (--self-hosting-usd)"
    )
    return (f"EC2 is {balanced}; {runs}.",)


def _assumed_of_savings_plans(constraints: Constraints) -> tuple[str, ...]:
    plans = constraints.savings_plans
    if not plans:
        return ("No savings plan (--savings-plan).",)
    shares = {name: plan for name, plan in plans.items() if not isinstance(plan, SavingsPlan)}
    saved = ", ".join(f"{share:%} on {name}" for name, share in shares.items())
    said = f"Savings plans save {saved}, as was said, on all that is committed to."
    return (
        *([said] if shares else []),
        *(
            f"Savings plan {plan} on {name} is at the price book's rates, on all that is "
            "committed to; a machine without a rate is not offered under it."
            for name, plan in plans.items()
            if name not in shares
        ),
    )


def _assumed_of_data(question: Question) -> tuple[str, ...]:
    region = question.demand.constraints.region
    if not question.items[Platform.SAGEMAKER]:
        return (f"No price for data in and out is known in {region}: not billed.",)
    if question.demand.workload.response_bytes_mean is None:
        return ("No answer's size was seen: data out is not billed.",)
    return ()


def _assumed_of_zones(zones: int) -> tuple[str, ...]:
    if zones == 1:
        return ()
    return (f"Replicas are spread over {zones} zones; losing one keeps the SLO.",)
