"""A share of a GPU, from what is asked to what will be done: pure, nothing is started here."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from loadtests.accelerators.devices import MPS_CONTROL
from loadtests.accelerators.sizes import elastic_size
from loadtests.errors import LimitUnavailable, UsageError

if TYPE_CHECKING:
    from loadtests.accelerators.devices import Found, Gpu, MigInstance

__all__ = ["Accelerator", "SharePlan", "plan_share"]

GIB = 2**30
MIB = 2**20
VISIBLE = "CUDA_VISIBLE_DEVICES"
THREADS = "CUDA_MPS_ACTIVE_THREAD_PERCENTAGE"
MEMORY = "CUDA_MPS_PINNED_DEVICE_MEM_LIMIT"


@dataclass(frozen=True, slots=True)
class Accelerator:
    """A GPU, or a share of one; at most one of share_ratio, mig and elastic_inference.

    share_ratio: of its threads, and of its memory unless memory_gib says otherwise.
    mig: an instance that is there already, by its profile, such as "1g.18gb".
    elastic_inference: a size of Amazon's, such as "eia2.medium".
    """

    device: int = 0
    share_ratio: float | None = None
    mig: str | None = None
    elastic_inference: str | None = None
    memory_gib: float | None = None

    def __post_init__(self) -> None:
        if self.device < 0:
            raise UsageError(f"GPUs are numbered from 0, not {self.device}")
        if sum(each is not None for each in self._shares) > 1:
            raise UsageError(
                "share_ratio, mig and elastic_inference are three ways to say one thing",
                hint="give one of them, or none for the whole GPU",
            )
        if self.share_ratio is not None and not 0 < self.share_ratio <= 1:
            raise UsageError(f"a share is above 0 and at most 1, not {self.share_ratio}")
        memory = self.memory_gib
        if memory is not None and not (math.isfinite(memory) and memory > 0):
            raise UsageError(f"memory_gib must be a number above 0, not {memory}")
        if memory is not None and self.share_ratio is None:
            raise UsageError(
                "memory_gib goes with share_ratio: the other ways bring a memory of their own"
            )
        if self.elastic_inference is not None:
            elastic_size(self.elastic_inference)

    @property
    def _shares(self) -> tuple[object, ...]:
        return self.share_ratio, self.mig, self.elastic_inference


@dataclass(frozen=True, slots=True)
class SharePlan:
    """What will be done. environment: for the target, without MPS's folder.

    mps: is a control daemon needed? words: for a person. share_ratio: what is really given, of
    the GPU's compute. memory_bytes: what may be allocated. assumption: where the size that was
    asked for was translated.
    """

    gpu: Gpu
    environment: dict[str, str]
    words: str
    share_ratio: float
    memory_bytes: int
    mps: bool = False
    assumption: str | None = None


@dataclass(frozen=True, slots=True)
class _Wanted:
    compute_ratio: float
    memory_bytes: int
    name: str
    assumption: str | None = None


def plan_share(asked: Accelerator, found: Found) -> SharePlan:
    """Raises LimitUnavailable where this machine cannot give it, with what it could give."""
    gpu = _gpu(asked, found)
    if asked.mig is not None:
        return _named_instance(asked.mig, gpu)
    wanted = _wanted(asked, gpu)
    if gpu.instances is not None:
        return _nearest_instance(wanted, gpu, gpu.instances)
    if wanted.compute_ratio >= 1 and wanted.memory_bytes >= gpu.memory_bytes:
        return SharePlan(gpu, {VISIBLE: gpu.uuid}, f"all of {gpu.label}", 1.0, gpu.memory_bytes)
    return _by_mps(wanted, gpu, found)


def _gpu(asked: Accelerator, found: Found) -> Gpu:
    if found.missing is not None:
        raise LimitUnavailable(
            f"no GPU here: {found.missing}",
            hint="measure on a machine that has one, or leave the accelerator out",
        )
    if asked.device >= len(found.gpus):
        raise LimitUnavailable(
            f"there is no GPU {asked.device} here",
            hint="there are " + "; ".join(each.label for each in found.gpus),
        )
    return found.gpus[asked.device]


def _wanted(asked: Accelerator, gpu: Gpu) -> _Wanted:
    if asked.elastic_inference is not None:
        return _elastic(asked.elastic_inference, gpu)
    share = 1.0 if asked.share_ratio is None else asked.share_ratio
    memory = share * gpu.memory_gib if asked.memory_gib is None else asked.memory_gib
    memory_bytes = round(memory * GIB)
    if memory_bytes > gpu.memory_bytes:
        raise LimitUnavailable(
            f"{memory:g} GiB cannot be given on {gpu.label}: it has {gpu.memory_gib:.0f} GiB"
        )
    return _Wanted(share, memory_bytes, f"{100 * share:g} %")


def _elastic(name: str, gpu: Gpu) -> _Wanted:
    size = elastic_size(name)
    if gpu.fp32_tflops is None:
        raise LimitUnavailable(
            f"{size.name} cannot be translated: {gpu.label} does not tell its cores and its clock",
            hint="give share_ratio instead",
        )
    memory_bytes = round(size.memory_gib * GIB)
    share = size.fp32_tflops / gpu.fp32_tflops
    if share > 1 or memory_bytes > gpu.memory_bytes:
        raise LimitUnavailable(f"{size.name} is larger than {gpu.label}")
    return _Wanted(
        share,
        memory_bytes,
        size.name,
        f"{size.name} is {size.fp32_tflops:g} TFLOPS in single precision, "
        f"{100 * share:.2g} % of the {gpu.fp32_tflops:.3g} that {gpu.name} can do at most; "
        "in half precision, and by memory bandwidth, the two compare otherwise",
    )


def _by_mps(wanted: _Wanted, gpu: Gpu, found: Found) -> SharePlan:
    """Percentages are whole, and rounded up: a share of 0 % would run nothing."""
    _can_share(gpu, found)
    percent = max(math.ceil(100 * wanted.compute_ratio - 1e-9), 1)
    memory_mib = max(wanted.memory_bytes // MIB, 1)
    return SharePlan(
        gpu=gpu,
        # The memory's device is counted among those visible, and one is.
        environment={VISIBLE: gpu.uuid, THREADS: str(percent), MEMORY: f"0={memory_mib}M"},
        words=f"{percent} % of the threads and {memory_mib / 1024:.3g} GiB of {gpu.label}, by MPS",
        share_ratio=percent / 100,
        memory_bytes=memory_mib * MIB,
        mps=True,
        assumption=wanted.assumption,
    )


def _can_share(gpu: Gpu, found: Found) -> None:
    if not gpu.shares_threads:
        raise LimitUnavailable(
            f"no share of {gpu.label} can be given: MPS limits threads from compute capability "
            "7.0 (Volta) on",
            hint="use the whole GPU",
        )
    if found.mps is None:
        raise LimitUnavailable(
            f"no share of {gpu.label} can be given: {MPS_CONTROL} is not installed",
            hint="it comes with NVIDIA's driver packages; or use the whole GPU",
        )


def _named_instance(profile: str, gpu: Gpu) -> SharePlan:
    if gpu.instances is None:
        raise LimitUnavailable(
            f"{gpu.label} is not divided by MIG, and we never divide one",
            hint="ask for share_ratio, which MPS gives without dividing it",
        )
    instance = next((each for each in gpu.instances if each.profile == profile), None)
    if instance is None:
        named = ", ".join(each.profile for each in gpu.instances)
        raise LimitUnavailable(
            f"{gpu.label} has no MIG instance {profile}",
            hint=f"it has {named}" if named else "none was made on it; an administrator can",
        )
    return _on(instance, gpu)


def _nearest_instance(wanted: _Wanted, gpu: Gpu, instances: tuple[MigInstance, ...]) -> SharePlan:
    """By compute; of two as near the smaller, so that no more is promised than was asked for."""
    if not instances:
        raise LimitUnavailable(
            f"{gpu.label} is set to be divided by MIG, and no instance was made: nothing can run "
            "on it",
            hint="an administrator can make one (nvidia-smi mig -cgi); we never divide a GPU",
        )
    nearest = min(
        instances,
        key=lambda each: (abs(each.compute_ratio - wanted.compute_ratio), each.compute_ratio),
    )
    told = f"the nearest to {wanted.name} that was made"
    assumption = told if wanted.assumption is None else f"{told}; {wanted.assumption}"
    return _on(nearest, gpu, assumption)


def _on(instance: MigInstance, gpu: Gpu, assumption: str | None = None) -> SharePlan:
    return SharePlan(
        gpu=gpu,
        environment={VISIBLE: instance.uuid},
        words=f"MIG instance {instance.profile} of {gpu.label}: "
        f"{100 * instance.compute_ratio:.0f} % of its compute, "
        f"{instance.memory_bytes / GIB:.3g} GiB",
        share_ratio=instance.compute_ratio,
        memory_bytes=instance.memory_bytes,
        assumption=assumption,
    )
