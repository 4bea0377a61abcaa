"""Machines with an accelerator, for a model whose file says how large it is.

What was measured on a CPU tells the work of a request; the roofline, how long a GPU takes for it.
What is beside the model (HTTP, Python, tokenising) stays on the machine's CPUs. A machine of
several GPUs serves with a process on each.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from loadtests.queueing import Queue, latency_curve
from pricing import AcceleratorKind, gpu_spec
from recommender.performance.accelerators import Device
from recommender.performance.accelerators.memory import DeviceMemory
from recommender.performance.accelerators.request_work import CpuTime, request_work
from recommender.performance.model import (
    CUSTOMERS,
    DRAWS,
    REPLICATIONS,
    REPORTED,
    Prediction,
    largest_utilization,
)
from recommender.recommendation import RejectReason
from recommender.verdicts import Rejection

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from loadtests.queueing import LatencyCurve
    from loadtests.slo import Slo
    from pricing import Accelerator, GpuSpec, InstanceType
    from recommender.model_files import ModelFacts, ModelProfile
    from recommender.performance.accelerators import GpuRoofline
    from recommender.performance.accelerators.request_work import RequestWork
    from recommender.performance.model import PerformanceModel

    Floats = NDArray[np.float64]

__all__ = ["AcceleratedModel", "OnAccelerators", "devices_of", "has_datasheet"]

_SEED = 5
_UNKNOWN = "no model was benchmarked on its kind, and no datasheet of it is here"
SUITED = "the accelerator runs the model: the image must have a GPU build"


def has_datasheet(accelerator: Accelerator) -> bool:
    """Can a model's file tell of it?"""
    return _spec_of(accelerator) is not None


def devices_of(accelerator: Accelerator) -> int:
    """Processes that serve side by side: one for each whole device, one on a slice."""
    return max(int(accelerator.count), 1)


@dataclass(frozen=True)
class AcceleratedModel:
    """What is known of a model before anything is asked of it."""

    facts: ModelFacts
    roofline: GpuRoofline

    def obstacle(self, instance: InstanceType, how_to_measure: str) -> Rejection | None:
        """Why nothing can be said of it on this machine's accelerator."""
        accelerator = instance.accelerator
        if accelerator is None:
            return None
        untold = f"nothing measured elsewhere tells how this model runs on {accelerator.model}"
        spec, profile = _spec_of(accelerator), self.facts.profile
        if profile is None or spec is None:
            why = self.facts.unreadable if profile is None else _UNKNOWN
            return Rejection(RejectReason.NEEDS_MEASUREMENT, f"{untold}: {why}", how_to_measure)
        return _memory_obstacle(profile, self.facts.batch, accelerator)

    def carried(self, model: PerformanceModel, slo: Slo) -> OnAccelerators | None:
        """From what was measured on a CPU; None where the file says nothing."""
        profile = self.facts.profile
        return None if profile is None else OnAccelerators(self, profile, model, slo)

    @property
    def assumptions(self) -> tuple[str, ...]:
        profile = self.facts.profile
        if profile is None:
            return ()
        items = self.facts.items_per_request
        said = "as was said" if items is not None and profile.flops_per_item else (
            "as its CPU time tells"
        )  # fmt: skip
        return (
            (
                f"GPUs: {profile.source}, {profile.parameters / 1e6:.3g} million parameters, "
                f"{profile.weight_bytes / 2**20:.3g} MiB of {profile.precision} weights, "
                f"{profile.layers} layers; the work of a request {said}; {self.facts.batch} "
                "answered together."
            ),
            f"GPUs: {SUITED}, as efficient as llama.cpp's; eager PyTorch is slower.",
            *(f"GPUs: {note}." for note in profile.notes),
        )


@dataclass(frozen=True)
class OnAccelerators:
    """Predictions of one model, under one objective, for machines without an obstacle."""

    known: AcceleratedModel
    profile: ModelProfile
    model: PerformanceModel
    slo: Slo

    def predict(self, instance: InstanceType, speed_ratio: Floats) -> Prediction:
        """speed_ratio: of a vCPU over the source's, in each draw."""
        accelerator, device = self._device(instance)
        batch = self.known.facts.batch
        batch_s = self._device_seconds(device)
        host_s = self.work.host_cpu_s / speed_ratio
        mean_s = batch_s + host_s + self._waiting_s
        devices = devices_of(accelerator)
        saturation = np.minimum(devices * batch / batch_s, instance.vcpus / host_s)
        curve, delay_s = self._curve(devices), self.model.reference.delay_s
        allowed = largest_utilization(curve, mean_s, delay_s, self.slo)
        ones = np.ones(DRAWS)
        return Prediction(saturation, allowed * saturation, mean_s, ones, 1.0, delay_s, curve)

    def notes(self, instance: InstanceType) -> tuple[str, ...]:
        accelerator, device = self._device(instance)
        notes = [SUITED]
        if accelerator.is_fractional:
            notes.append(f"{accelerator.count:g} of a device takes {1 / accelerator.count:g} times"
                         " as long as a whole one, and what slicing costs")  # fmt: skip
        if not self.known.roofline.has_measured(device.spec):
            notes.append(f"{accelerator.model} is predicted from its datasheet and other GPUs")
        return tuple(notes)

    @cached_property
    def work(self) -> RequestWork:
        size = self.model.reference
        cpu_s = size.cpu_s_per_request
        measured = CpuTime(
            size.service_mean_s * min(size.vcpus, 1.0) if cpu_s is None else cpu_s,
            self.model.source.silicon,
        )
        facts = self.known.facts
        return request_work(
            self.profile, facts.items_per_request, measured, self.known.roofline, _rng(0), DRAWS
        )

    @property
    def _waiting_s(self) -> float:
        """Of a request: neither computing here nor there."""
        size = self.model.reference
        return size.service_mean_s * (1 - self.model.demand.computing_ratio)

    @cached_property
    def _shared_error(self) -> Floats:
        return self.work.error_sd * _rng(1).standard_normal(DRAWS)

    def _device_seconds(self, device: Device) -> Floats:
        """Of one batch; what is not known of one kind of GPU is the same in every machine."""
        roofline, passes = self.known.roofline, self.work.passes.together(self.known.facts.batch)
        error = self._shared_error
        if not roofline.has_measured(device.spec):
            rng = _rng(2, *device.spec.name.encode())
            error = error + roofline.gpu_error_sd(passes) * rng.standard_normal(DRAWS)
        return np.asarray(roofline.seconds(passes, device) * np.exp(error))

    def _device(self, instance: InstanceType) -> tuple[Accelerator, Device]:
        accelerator = instance.accelerator
        spec = None if accelerator is None else _spec_of(accelerator)
        if accelerator is None or spec is None:
            raise ValueError(f"{instance.name} has no accelerator that is known here")
        fraction = min(accelerator.count, 1.0)
        return accelerator, Device(spec, fraction, host=instance.cpu.silicon)

    def _curve(self, devices: int) -> LatencyCurve:
        if devices not in self._curves:
            self._curves[devices] = latency_curve(
                self.model.unit_service,
                Queue(devices, self.model.arrivals_cv),
                tuple(sorted({*(each.quantile for each in self.slo.latency), *REPORTED})),
                seed=self.model.seed,
                customers=CUSTOMERS,
                replications=REPLICATIONS // 2,
            )
        return self._curves[devices]

    @cached_property
    def _curves(self) -> dict[int, LatencyCurve]:
        return {}


def _spec_of(accelerator: Accelerator) -> GpuSpec | None:
    if accelerator.kind is not AcceleratorKind.GPU:
        return None
    whole_gib = accelerator.memory_gib / accelerator.count
    return gpu_spec(accelerator.model, whole_gib)


def _memory_obstacle(
    profile: ModelProfile, batch: int, accelerator: Accelerator
) -> Rejection | None:
    needs = DeviceMemory.of(profile, batch)
    has_gib = accelerator.memory_gib_per_device
    if needs.total_bytes <= has_gib * 2**30:
        return None
    return Rejection(
        RejectReason.MEMORY,
        f"needs about {needs.total_bytes / 2**30:.3g} GiB on one accelerator: weights "
        f"{needs.weights_bytes / 2**30:.3g}, cache {needs.cache_bytes / 2**30:.3g}, activations "
        f"{needs.activations_bytes / 2**30:.2g}, runtime {needs.runtime_bytes / 2**30:.2g}; "
        f"{accelerator.model} has {has_gib:.3g}",
    )


def _rng(*stream: int) -> np.random.Generator:
    return np.random.default_rng(np.random.SeedSequence([_SEED, *stream]))
