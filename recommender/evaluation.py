"""Machines judged and priced: replicas, latency, verdicts, bill, and cost in every draw."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from loadtests.capacity import tightest
from pricing import Platform
from recommender.candidates import option_of
from recommender.cost import HOURS_PER_MONTH, Bill, LineItem, data_items
from recommender.limits import (
    REAL_TIME_PAYLOAD_BYTES,
    answer_obstacle,
    payload_notes,
    payload_obstacle,
)
from recommender.performance.scaling import GROUP_REACH_RATIO
from recommender.recommendation import Basis, Performance, PriceFacts, RejectReason
from recommender.sizing import needed_replicas, replicas_for
from recommender.verdicts import Rejection, judge_all, latency_of, median_of, range_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from loadtests.slo import Slo
    from pricing import InstanceType, Offer, PriceBook, ServerlessOffer
    from recommender.demand import Demand
    from recommender.performance.model import Host, PerformanceModel, Prediction
    from recommender.recommendation import ObjectiveVerdict, Option, Rejected
    from recommender.verdicts import Errors

__all__ = ["Evaluated", "MachineEvaluation", "Question", "price_facts"]

MEMORY_SHARE, SYSTEM_GIB = 0.9, 0.3  # the rest is the system's, and it needs that much at least


@dataclass(frozen=True)
class Question:
    """What is asked, and what is known besides the speed of machines.

    size_known: whether somebody said how many vCPUs the figures stand for.
    """

    demand: Demand
    book: PriceBook
    errors: Errors
    size_known: bool = True

    @cached_property
    def slo(self) -> Slo:
        return self.demand.objectives

    @cached_property
    def data_items(self) -> tuple[LineItem, ...]:
        return data_items(self.book, self.demand.constraints.region, self.demand)


@dataclass(frozen=True)
class Evaluated:
    """cost_draws: USD a month in each draw, infinite where no fleet meets the SLO."""

    option: Option
    bill: Bill
    price: PriceFacts
    performance: Performance
    verdicts: tuple[ObjectiveVerdict, ...]
    cost_draws: NDArray[np.float64]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Fleet:
    """One machine type: everything that does not depend on how it is bought.

    needed: replicas in each draw.
    """

    replicas: int
    needed: NDArray[np.float64]
    performance: Performance
    verdicts: tuple[ObjectiveVerdict, ...]
    notes: tuple[str, ...]


@dataclass(frozen=True)
class MachineEvaluation:
    """hosts, predictions: by the instance type's bare name."""

    model: PerformanceModel
    question: Question
    hosts: Mapping[str, Host]
    predictions: Mapping[str, Prediction]

    def run(self, offers: Sequence[Offer]) -> tuple[list[Evaluated], list[Rejected]]:
        """Each machine type is sized once, however many ways there are to buy it."""
        fleets: dict[str, _Fleet | Rejection] = {}
        evaluated, rejected = [], []
        for offer in offers:
            instance = offer.instance
            if instance.name not in fleets:
                fleets[instance.name] = self._fleet(instance)
            found = self._under_limits(offer, fleets[instance.name])
            if isinstance(found, Rejection):
                rejected.append(found.of(option_of(offer), offer.usd_per_hour))
            else:
                evaluated.append(self._priced(offer, found))
        return evaluated, rejected

    def _fleet(self, instance: InstanceType) -> _Fleet | Rejection:
        host, prediction = self.hosts[instance.name], self.predictions[instance.name]
        if host.measured is None and (full := self._memory_obstacle(instance)) is not None:
            return full
        demand = self.question.demand
        peak_rps, constraints = demand.traffic.peak_rps, demand.constraints
        replicas = replicas_for(prediction.capacity_rps, peak_rps, constraints)
        if replicas is None:
            return self._too_slow(prediction)
        latency_s = prediction.latency_s(peak_rps / replicas)
        verdicts, obstacle = judge_all(
            self.question.slo, latency_s, self.question.errors, constraints.confidence
        )
        if obstacle is not None:
            return obstacle
        return _Fleet(
            replicas=replicas,
            needed=needed_replicas(prediction.capacity_rps, peak_rps, constraints),
            performance=self._performance(instance, prediction, replicas, latency_s),
            verdicts=verdicts,
            notes=self._notes(instance, host),
        )

    def _memory_obstacle(self, instance: InstanceType) -> Rejection | None:
        needs = self.model.memory_bytes(instance.vcpus)
        has_gib = min(MEMORY_SHARE * instance.memory_gib, instance.memory_gib - SYSTEM_GIB)
        if needs is None or needs <= has_gib * 2**30:
            return None
        return Rejection(
            RejectReason.MEMORY,
            f"needs about {needs / 2**30:.2g} GiB with a worker for each of {instance.vcpus} "
            f"vCPUs; {instance.memory_gib:g} GiB leave {max(has_gib, 0):.2g}",
        )

    def _too_slow(self, prediction: Prediction) -> Rejection:
        """How near an idle machine of this type comes to the objective it misses most."""
        confidence = self.question.demand.constraints.confidence
        idle = {
            each: prediction.idle_latency_s(each.quantile) for each in self.question.slo.latency
        }
        worst = max(idle, key=lambda each: median_of(idle[each]) / each.limit_s)
        cautious_s = float(np.quantile(idle[worst], confidence, method="higher"))
        met = float(np.mean(prediction.capacity_rps > 0))
        return Rejection(
            RejectReason.MISSES_SLO if met <= 1 - confidence else RejectReason.UNCERTAIN,
            f"an idle one has p{worst.quantile * 100:g} of {median_of(idle[worst]) * 1e3:.3g} ms "
            f"({cautious_s * 1e3:.3g} ms at {confidence:.0%} confidence); the limit is "
            f"{worst.limit_s * 1e3:g} ms",
            margin_ratio=1 - cautious_s / worst.limit_s,
        )

    def _performance(
        self,
        instance: InstanceType,
        prediction: Prediction,
        replicas: int,
        latency_s: Mapping[float, NDArray[np.float64]],
    ) -> Performance:
        peak_rps = self.question.demand.traffic.peak_rps
        claimed = tightest(self.question.slo).quantile
        sustained_rps = median_of(prediction.saturation_rps) * prediction.sustained_ratio
        return Performance(
            capacity_rps=range_of(prediction.capacity_rps * replicas),
            latency_s=latency_of(latency_s),
            interval=range_of(latency_s[claimed]),
            interval_quantile=claimed,
            utilization_ratio=peak_rps / replicas / sustained_rps,
            basis=self._basis(instance),
            price_basis="reported",
        )

    def _basis(self, instance: InstanceType) -> Basis:
        host, model = self.hosts[instance.name], self.model
        if host.measured is not None:
            return Basis.MEASURED
        within_reach = instance.vcpus <= GROUP_REACH_RATIO * model.largest.vcpus
        benchmarked = model.source.silicon is not None and all(
            model.prior.is_benchmarked(each) for each in (model.source, host.machine)
        )
        known = (
            within_reach and benchmarked and self.question.size_known and not instance.burstable
        )
        return Basis.TRANSFERRED if known else Basis.PREDICTED

    def _notes(self, instance: InstanceType, host: Host) -> tuple[str, ...]:
        notes = []
        if instance.baseline_ratio is not None:
            notes.append(
                f"burstable: loaded to its baseline of {instance.baseline_ratio:.0%} a vCPU"
            )
        if host.measured is not None:
            if host.measured.vcpus < instance.vcpus:
                notes.append(
                    f"measured with {host.measured.vcpus:g} of its {instance.vcpus} vCPUs"
                )
            return tuple(notes)
        if instance.cpu.silicon_note:
            notes.append(instance.cpu.silicon_note)
        if instance.cpu.silicon is None:
            notes.append("its silicon is not known")
        if instance.vcpus > GROUP_REACH_RATIO * self.model.largest.vcpus:
            notes.append(
                f"{instance.vcpus} vCPUs is more than {GROUP_REACH_RATIO:g} times the largest "
                "size measured"
            )
        return tuple(notes)

    def _under_limits(self, offer: Offer, fleet: _Fleet | Rejection) -> _Fleet | Rejection:
        """SageMaker's own limits; EC2 has none."""
        if offer.platform is not Platform.SAGEMAKER:
            return fleet
        obstacle = payload_obstacle(self.question.demand.workload, REAL_TIME_PAYLOAD_BYTES)
        if obstacle is None and isinstance(fleet, _Fleet):
            obstacle = answer_obstacle(fleet.performance.latency_s.p99)
        return fleet if obstacle is None else obstacle

    def _priced(self, offer: Offer, fleet: _Fleet) -> Evaluated:
        hours = LineItem(
            f"{offer.name} {offer.purchase.value}",
            Decimal(fleet.replicas) * HOURS_PER_MONTH,
            "instance-hour",
            offer.usd_per_hour,
        )
        is_hosting = offer.platform is Platform.SAGEMAKER
        bill = Bill((hours, *(self.question.data_items if is_hosting else ())))
        extra = float(bill.usd_per_month - hours.usd)
        return Evaluated(
            option=option_of(offer, fleet.replicas),
            bill=bill,
            price=price_facts(offer),
            performance=fleet.performance.model_copy(update={"price_basis": offer.basis.value}),
            verdicts=fleet.verdicts,
            cost_draws=fleet.needed * float(offer.usd_per_hour) * HOURS_PER_MONTH + extra,
            notes=(
                *fleet.notes,
                *_spot_notes(offer),
                *(payload_notes(self.question.demand.workload) if is_hosting else ()),
            ),
        )


def price_facts(offer: Offer | ServerlessOffer) -> PriceFacts:
    return PriceFacts(
        basis=offer.basis.value,
        confidence=offer.confidence.value,
        observed_on=offer.observed_on.isoformat(),
        source=offer.source,
    )


def _spot_notes(offer: Offer) -> tuple[str, ...]:
    if offer.purchase.value != "spot":
        return ()
    if offer.interruption_band is None:
        return ("spot: how often such machines are reclaimed is not known",)
    return (f"spot: {offer.interruption_band} of such machines are reclaimed in a month",)
