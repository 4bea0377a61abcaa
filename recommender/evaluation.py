"""Candidates judged and priced: replicas, latency, verdicts, bill, and cost in every draw."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING

import numpy as np

from loadtests.samples import ratio_bound
from loadtests.slo import ErrorRateObjective, LatencyObjective, Verdict, judge
from pricing import NoPrice, Platform, UnitItem
from recommender.candidates import option_of
from recommender.cost import HOURS_PER_MONTH, Bill, LineItem, gigabytes
from recommender.performance.model import Host
from recommender.performance.speed_prior import Machine
from recommender.recommendation import (
    Basis,
    LatencySeconds,
    ObjectiveVerdict,
    Performance,
    Range,
    Rejected,
    RejectReason,
)
from recommender.sizing import needed_replicas, probability_met, replicas_for

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from loadtests.capacity import Capacity
    from loadtests.queueing import LatencyCurve
    from loadtests.slo import Objective, Slo
    from pricing import InstanceType, Offer, PriceBook
    from recommender.demand import Demand
    from recommender.performance.model import PerformanceModel, Predictions
    from recommender.recommendation import Option

__all__ = ["Errors", "Evaluated", "data_items", "evaluate_machines", "host_of", "judge_errors"]

MEMORY_SHARE = 0.9  # of the machine's; the rest is the system's


@dataclass(frozen=True, slots=True)
class Errors:
    """Requests that were answered wrongly or not at all, among those sent below saturation."""

    bad: int
    requests: int


@dataclass(frozen=True)
class Evaluated:
    """cost_draws: USD a month in each draw, infinite where no fleet meets the SLO; shape (draws,)."""

    option: Option
    bill: Bill
    performance: Performance
    verdicts: tuple[ObjectiveVerdict, ...]
    cost_draws: NDArray[np.float64]
    notes: tuple[str, ...] = ()


def host_of(instance: InstanceType) -> Host:
    cores = instance.physical_cores
    machine = Machine(
        vcpus=float(instance.vcpus),
        silicon=instance.cpu.silicon,
        threads_per_core=None if cores is None else max(round(instance.vcpus / cores), 1),
        architecture=instance.cpu.architecture.value,
        clock_ghz=instance.cpu.clock_ghz,
        provider="aws",
    )
    return Host(machine, instance.baseline_ratio or 1.0)


@dataclass(frozen=True)
class _Fleet:
    """One machine type, predicted: everything that does not depend on how it is bought."""

    replicas: int
    capacity: NDArray[np.float64]
    needed: NDArray[np.float64]
    performance: Performance
    verdicts: tuple[ObjectiveVerdict, ...]
    notes: tuple[str, ...]


class MachineEvaluation:
    """All offers of machines in one go: each machine type is predicted once.

    measured: capacities measured on the instance type itself, by bare name; they replace the
    prediction.
    """

    def __init__(
        self,
        model: PerformanceModel,
        demand: Demand,
        book: PriceBook,
        errors: Errors,
        measured: Mapping[str, Capacity],
    ) -> None:
        self.model, self.demand, self.book = model, demand, book
        self.errors, self.measured = errors, measured
        self.slo = demand.objectives

    def run(self, offers: Sequence[Offer]) -> tuple[list[Evaluated], list[Rejected]]:
        instances = list({offer.instance.name: offer.instance for offer in offers}.values())
        if not instances:
            return [], []
        hosts = [host_of(instance) for instance in instances]
        servers = self.model.servers_at(np.array([host.machine.vcpus for host in hosts]))
        quantiles = tuple(each.quantile for each in self.slo.latency)
        curves = self.model.curves([int(count) for count in servers], quantiles)
        predictions = self.model.predict(hosts, self.slo, curves)
        fleets = {
            instance.name: self._fleet(instance, column, predictions, curves)
            for column, instance in enumerate(instances)
        }
        evaluated, rejected = [], []
        for offer in offers:
            fleet = fleets[offer.instance.name]
            if isinstance(fleet, _Fleet):
                evaluated.append(self._priced(offer, fleet))
            else:
                reason, detail = fleet
                rejected.append(Rejected(option=option_of(offer), reason=reason, detail=detail))
        return evaluated, rejected

    def _fleet(
        self,
        instance: InstanceType,
        column: int,
        predictions: Predictions,
        curves: dict[int, LatencyCurve],
    ) -> _Fleet | tuple[RejectReason, str]:
        needs = self.model.memory_bytes(instance.vcpus)
        if needs is not None and needs > MEMORY_SHARE * instance.memory_gib * 2**30:
            return (
                RejectReason.MEMORY,
                f"needs about {needs / 2**30:.2g} GiB with a worker for each of {instance.vcpus} "
                f"vCPUs; has {instance.memory_gib:g} GiB",
            )
        measured = self.measured.get(instance.name)
        capacity = (
            predictions.capacity_rps[:, column] if measured is None else _measured_draws(measured)
        )
        traffic, constraints = self.demand.traffic, self.demand.constraints
        replicas = replicas_for(capacity, traffic.peak_rps, constraints)
        if replicas is None:
            return RejectReason.MISSES_SLO, self._why_missed(predictions, column)
        rate = traffic.peak_rps / replicas
        curve = curves[int(predictions.servers[column])]
        latency = self.model.latency_draws(predictions, column, rate, curve)
        verdicts = _verdicts(self.demand, self.slo, capacity, rate, latency, self.errors)
        worst = next((each for each in verdicts if each.verdict is not Verdict.MET), None)
        if worst is not None:
            return _reject_reason(worst, self.errors)
        return _Fleet(
            replicas=replicas,
            capacity=capacity,
            needed=needed_replicas(capacity, traffic.peak_rps, constraints),
            performance=self._performance(
                replicas, capacity, latency, predictions.saturation_rps[:, column], instance
            ),
            verdicts=verdicts,
            notes=_notes(instance, self.model),
        )

    def _performance(
        self,
        replicas: int,
        capacity: NDArray[np.float64],
        latency: dict[float, NDArray[np.float64]],
        saturation: NDArray[np.float64],
        instance: InstanceType,
    ) -> Performance:
        tightest = max(each.quantile for each in self.slo.latency)
        return Performance(
            capacity_rps=_range(capacity * replicas),
            latency_s=LatencySeconds(
                **{f"p{round(q * 100)}": _median(latency[q]) for q in (0.5, 0.9, 0.95, 0.99)}
            ),
            interval=_range(latency[tightest]),
            utilization_ratio=self.demand.traffic.peak_rps / replicas / float(np.median(saturation)),
            basis=Basis.MEASURED if instance.name in self.measured else Basis.TRANSFERRED,
            price_basis="reported",
        )

    def _priced(self, offer: Offer, fleet: _Fleet) -> Evaluated:
        hours = LineItem(
            f"{offer.name} {offer.purchase.value}",
            Decimal(fleet.replicas) * HOURS_PER_MONTH,
            "instance-hour",
            offer.usd_per_hour,
        )
        data = data_items(self.book, offer.region, self.demand) if offer.platform is Platform.SAGEMAKER else ()
        bill = Bill((hours, *data))
        extra = float(bill.usd_per_month - hours.usd)
        return Evaluated(
            option=option_of(offer, fleet.replicas),
            bill=bill,
            performance=fleet.performance.model_copy(update={"price_basis": offer.basis.value}),
            verdicts=fleet.verdicts,
            cost_draws=fleet.needed * float(offer.usd_per_hour) * HOURS_PER_MONTH + extra,
            notes=(*fleet.notes, *_purchase_notes(offer)),
        )

    def _why_missed(self, predictions: Predictions, column: int) -> str:
        """How near an idle machine of this type comes."""
        objective = max(self.slo.latency, key=lambda each: each.quantile)
        mean_s = predictions.servers[column] / predictions.saturation_rps[:, column]
        shape = float(np.quantile(self.model.unit_service, objective.quantile))
        alone = float(np.quantile(mean_s * shape, self.demand.constraints.confidence))
        return (
            f"one request alone takes p{objective.quantile * 100:g} {alone * 1e3:.3g} ms "
            f"(at {self.demand.constraints.confidence:.0%} confidence); "
            f"the limit is {objective.limit_s * 1e3:g} ms"
        )


def evaluate_machines(
    offers: Sequence[Offer],
    model: PerformanceModel,
    demand: Demand,
    book: PriceBook,
    known: tuple[Errors, Mapping[str, Capacity]],
) -> tuple[list[Evaluated], list[Rejected]]:
    """known: the errors seen, and the capacities measured on instance types themselves."""
    errors, measured = known
    return MachineEvaluation(model, demand, book, errors, measured).run(offers)


def data_items(book: PriceBook, region: str, demand: Demand) -> tuple[LineItem, ...]:
    """What SageMaker charges for data in and out; nothing where the book has no price (it is said
    among the assumptions).
    """
    workload = demand.workload
    sizes = (
        ("data in", UnitItem.DATA_IN, workload.request_bytes_mean),
        ("data out", UnitItem.DATA_OUT, workload.response_bytes_mean),
    )
    items = []
    for name, item, size in sizes:
        if size is None:
            continue
        try:
            price = book.unit_price(item, region)
        except NoPrice:
            continue
        items.append(LineItem(name, gigabytes(size, demand.traffic), price.unit, price.usd))
    return tuple(items)


def judge_errors(objective: ErrorRateObjective, errors: Errors, confidence: float) -> Verdict:
    bound = ratio_bound(errors.bad, errors.requests, confidence=2 * confidence - 1)
    return judge(bound, objective.limit_ratio)


def _verdicts(
    demand: Demand,
    slo: Slo,
    capacity: NDArray[np.float64],
    rate_rps: float,
    latency: dict[float, NDArray[np.float64]],
    errors: Errors,
) -> tuple[ObjectiveVerdict, ...]:
    confidence = demand.constraints.confidence
    met = probability_met(capacity, rate_rps)

    def one(objective: Objective) -> ObjectiveVerdict:
        match objective:
            case LatencyObjective(quantile, limit_s):
                return ObjectiveVerdict(
                    objective=objective.text,
                    verdict=_verdict(met, confidence),
                    probability=met,
                    margin_ratio=1 - _median(latency[quantile]) / limit_s,
                )
            case ErrorRateObjective(limit_ratio):
                seen = errors.bad / errors.requests if errors.requests else None
                return ObjectiveVerdict(
                    objective=objective.text,
                    verdict=judge_errors(objective, errors, confidence),
                    probability=None,
                    margin_ratio=None if seen is None or limit_ratio == 0 else 1 - seen / limit_ratio,
                )

    return tuple(one(objective) for objective in slo.objectives)


def _verdict(probability: float, confidence: float) -> Verdict:
    if probability >= confidence:
        return Verdict.MET
    return Verdict.MISSED if probability <= 1 - confidence else Verdict.UNKNOWN


def _reject_reason(worst: ObjectiveVerdict, errors: Errors) -> tuple[RejectReason, str]:
    if worst.probability is None:
        seen = f"{errors.bad} of {errors.requests} requests failed"
        if worst.verdict is Verdict.UNKNOWN:
            return RejectReason.INCONCLUSIVE, f"{worst.objective} is not established: {seen}"
        return RejectReason.MISSES_SLO, f"{worst.objective} is missed: {seen}"
    return (
        RejectReason.MISSES_SLO,
        f"{worst.objective} is met with probability {worst.probability:.0%} only",
    )


def _measured_draws(capacity: Capacity) -> NDArray[np.float64]:
    """Draws spread as the measured interval says (80 %, normal), never below zero."""
    from recommender.performance.model import DRAWS  # noqa: PLC0415 - one number

    half = (capacity.high_rps - capacity.low_rps) / 2 / 1.2816
    rng = np.random.default_rng(np.random.SeedSequence([1, 7]))
    return np.maximum(rng.normal(capacity.rate_rps, max(half, 1e-9), DRAWS), 0.0)


def _range(draws: NDArray[np.float64]) -> Range:
    low, median, high = (float(value) for value in np.quantile(draws, [0.1, 0.5, 0.9], method="lower"))
    return Range(low=low, median=median, high=high if np.isfinite(high) else None)


def _median(draws: NDArray[np.float64]) -> float:
    return float(np.quantile(draws, 0.5, method="lower"))


def _notes(instance: InstanceType, model: PerformanceModel) -> tuple[str, ...]:
    notes = []
    if instance.burstable:
        notes.append(f"burstable: counted at its baseline of {instance.baseline_ratio:.0%} a vCPU")
    if instance.cpu.silicon_note:
        notes.append(instance.cpu.silicon_note)
    if instance.cpu.silicon is None:
        notes.append("its silicon is not known")
    largest = max(size.vcpus for size in model.sizes)
    if instance.vcpus > 4 * largest:
        notes.append(f"{instance.vcpus} vCPUs is more than 4 times the largest size measured")
    return tuple(notes)


def _purchase_notes(offer: Offer) -> tuple[str, ...]:
    if offer.interruption_band is None:
        return ()
    return (f"spot: {offer.interruption_band} of such machines are reclaimed in a month",)
