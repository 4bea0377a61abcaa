"""Machines judged: replicas, latency, verdicts, and what each draw would need."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from decimal import Decimal
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from loadtests.slo import tightest
from pricing import HOURS_PER_MONTH, Platform
from recommender.accelerated import devices_of
from recommender.candidates import how_to_measure
from recommender.cost import fleet_items
from recommender.fleets import Carrying, Fleet, Options, Refusal, Refused
from recommender.limits import (
    REAL_TIME_PAYLOAD_BYTES,
    answer_obstacle,
    payload_notes,
    payload_obstacle,
)
from recommender.performance.scaling import GROUP_REACH_RATIO
from recommender.recommendation import Basis, Performance, RejectReason
from recommender.sizing import needed_replicas, replicas_for
from recommender.verdicts import Judge, Rejection, latency_of, median_of, range_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from loadtests.slo import Slo
    from pricing import InstanceType, Offer, PriceBook
    from recommender.accelerated import OnAccelerators
    from recommender.cost import LineItem
    from recommender.demand import Demand
    from recommender.performance.model import Host, PerformanceModel, Prediction
    from recommender.verdicts import Errors

__all__ = ["MachineEvaluation", "Question"]

# Of size past the largest measured: validation carried 8 vCPUs to 448, and nothing further.
FURTHEST_DOUBLINGS = 6.0
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
    def judge(self) -> Judge:
        return Judge(self.slo, self.errors, self.demand.constraints.confidence)

    @cached_property
    def items(self) -> Mapping[Platform, tuple[LineItem, ...]]:
        """What is on the bill besides machines, or seconds, by platform."""
        return {each: fleet_items(self.book, each, self.demand) for each in Platform}


@dataclass(frozen=True)
class MachineEvaluation:
    """hosts, predictions, speed_ratios: by the instance type's bare name.

    speed_ratios: of a vCPU over the source's, in each draw. on_accelerators: where the model's
    file tells of them.
    """

    model: PerformanceModel
    question: Question
    hosts: Mapping[str, Host]
    predictions: Mapping[str, Prediction]
    speed_ratios: Mapping[str, NDArray[np.float64]]
    on_accelerators: OnAccelerators | None = None

    def run(self, offers: Sequence[Offer]) -> tuple[Options, list[Refused]]:
        """Each machine type is judged once, however many ways there are to buy it."""
        alone = {name: self._machine(self.question.book.instance(name)) for name in self.hosts}
        judged = {
            Platform.SAGEMAKER: {name: self._hosted(found) for name, found in alone.items()},
            Platform.EC2: self._billed(alone, Platform.EC2),
            Platform.OWN: self._billed(alone, Platform.OWN),
        }
        fleets: list[Fleet] = []
        bought: list[Offer] = []
        refused: list[Refused] = []
        for offer in offers:
            found = _enough_of(offer, judged[offer.platform][offer.instance.name])
            if isinstance(found, Fleet):
                fleets.append(found)
                bought.append(offer)
            else:
                refused.append(Refused(found, offer))
        return Options(fleets, bought), refused

    def _hosted(self, found: Fleet | Refusal) -> Fleet | Refusal:
        """SageMaker has limits of its own, and bills for data."""
        workload = self.question.demand.workload
        obstacle = payload_obstacle(workload, REAL_TIME_PAYLOAD_BYTES)
        if obstacle is None and isinstance(found, Fleet):
            obstacle = answer_obstacle(found.performance.latency_s.p99)
        if obstacle is not None:
            return Refusal(obstacle)
        found = replace(found, items=self.question.items[Platform.SAGEMAKER])
        if isinstance(found, Refusal):
            return found
        return replace(found, notes=(*found.notes, *payload_notes(workload)))

    def _billed(
        self, alone: Mapping[str, Fleet | Refusal], platform: Platform
    ) -> dict[str, Fleet | Refusal]:
        items = self.question.items[platform]
        return {name: replace(found, items=items) for name, found in alone.items()}

    def _machine(self, instance: InstanceType) -> Fleet | Refusal:
        host, prediction = self.hosts[instance.name], self.predictions[instance.name]
        if host.measured is None and (obstacle := self._unfit(instance)) is not None:
            return Refusal(obstacle)
        demand = self.question.demand
        peak_rps, constraints = demand.traffic.peak_rps, demand.constraints
        needed = needed_replicas(prediction.capacity_rps, peak_rps, constraints)
        replicas = replicas_for(prediction.capacity_rps, peak_rps, constraints)
        if replicas is None:
            return self._refusal(instance, self._too_slow(prediction), needed)
        latency_s = prediction.latency_s(peak_rps / replicas)
        verdicts, obstacle = self.question.judge.judge(latency_s)
        if obstacle is not None:
            return self._refusal(instance, obstacle, needed)
        return Fleet(
            machine=instance.name,
            replicas=replicas,
            unit="instance-hour",
            quantity=Decimal(replicas) * HOURS_PER_MONTH,
            quantity_draws=needed * HOURS_PER_MONTH,
            performance=self._performance(instance, prediction, replicas, latency_s),
            verdicts=verdicts,
            notes=self._notes(instance, host),
            carrying=self._carrying(instance, prediction),
        )

    def _carrying(self, instance: InstanceType, prediction: Prediction) -> Carrying:
        host = self.hosts[instance.name]
        is_carried = host.measured is None and self._accelerated(instance) is None
        speed = self.speed_ratios[instance.name] if is_carried else None
        saturation_rps = prediction.saturation_rps
        return Carrying(
            vcpus=float(instance.vcpus),
            silicon=host.machine.silicon,
            speed_ratio=speed,
            at_source_rps=None
            if speed is None
            else saturation_rps / self.model.demand.throughput_ratio(speed),
            saturation_rps=saturation_rps,
            capacity_rps=prediction.capacity_rps,
            confidence=self.question.demand.constraints.confidence,
        )

    def _refusal(
        self, instance: InstanceType, obstacle: Rejection, needed: NDArray[np.float64]
    ) -> Refusal:
        if obstacle.reason is not RejectReason.UNCERTAIN:
            return Refusal(obstacle)
        return Refusal(obstacle, instance.name, needed * HOURS_PER_MONTH)

    def _accelerated(self, instance: InstanceType) -> OnAccelerators | None:
        """None where CPUs serve, or the machine itself was measured."""
        is_plain = instance.accelerator is None or self.hosts[instance.name].measured is not None
        return None if is_plain else self.on_accelerators

    def _unfit(self, instance: InstanceType) -> Rejection | None:
        """An accelerator's own memory was looked at before: candidates fit in it."""
        if self._accelerated(instance) is not None:
            return self._memory_obstacle(instance)
        return self._memory_obstacle(instance) or self._range_obstacle(instance)

    def _range_obstacle(self, instance: InstanceType) -> Rejection | None:
        largest = self.model.largest.vcpus
        doublings = math.log2(instance.vcpus / largest)
        if doublings <= FURTHEST_DOUBLINGS:
            return None
        return Rejection(
            RejectReason.OUT_OF_RANGE,
            f"{instance.vcpus} vCPUs are {doublings:.1f} doublings past the {largest:g} vCPU "
            f"measured; the model was validated over {FURTHEST_DOUBLINGS:g}",
            how_to_measure(instance),
        )

    def _memory_obstacle(self, instance: InstanceType) -> Rejection | None:
        workers, of_what = self._workers(instance)
        needs = self.model.memory_bytes(workers)
        has_gib = min(MEMORY_SHARE * instance.memory_gib, instance.memory_gib - SYSTEM_GIB)
        if needs is None or needs <= has_gib * 2**30:
            return None
        return Rejection(
            RejectReason.MEMORY,
            f"needs about {needs / 2**30:.2g} GiB with a worker for each of {workers} "
            f"{of_what}; {instance.memory_gib:g} GiB leave {max(has_gib, 0):.2g}",
        )

    def _workers(self, instance: InstanceType) -> tuple[int, str]:
        accelerator = instance.accelerator
        if accelerator is None or self._accelerated(instance) is None:
            return instance.vcpus, "vCPUs"
        return devices_of(accelerator), "accelerators"

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
        if self._accelerated(instance) is not None:
            return Basis.PREDICTED
        within_reach = instance.vcpus <= GROUP_REACH_RATIO * model.largest.vcpus
        benchmarked = model.source.silicon is not None and all(
            model.prior.is_benchmarked(each) for each in (model.source, host.machine)
        )
        known = (
            within_reach and benchmarked and self.question.size_known and not instance.burstable
        )
        return Basis.TRANSFERRED if known else Basis.PREDICTED

    def _notes(self, instance: InstanceType, host: Host) -> tuple[str, ...]:
        if (accelerated := self._accelerated(instance)) is not None:
            return accelerated.notes(instance)
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


def _enough_of(offer: Offer, found: Fleet | Refusal) -> Fleet | Refusal:
    """One has only so many machines of one's own."""
    if isinstance(found, Refusal) or offer.machines is None or found.replicas <= offer.machines:
        return found
    return Refusal(
        Rejection(
            RejectReason.LIMIT,
            f"{found.replicas} would be needed at peak; there are {offer.machines}",
        )
    )
