"""Which NVIDIA GPUs this machine has, found out without changing anything."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from loadtests.accelerators.nvml import Nvml, Untold, known, open_nvml

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["Found", "Gpu", "MigInstance", "describe_accelerators", "find_gpus"]

MPS_CONTROL = "nvidia-cuda-mps-control"
SHARES_THREADS_FROM = (7, 0)  # Volta: before it, clients of MPS cannot be held to a percentage
FLOPS_PER_CORE_AND_CYCLE = 2  # one fused multiply-add
GIB = 2**30
MIB = 2**20
MIG_MARK = "MIG "


@dataclass(frozen=True, slots=True)
class MigInstance:
    """A part of a GPU that was cut off before we came.

    compute_ratio: of the whole GPU's compute slices.
    """

    uuid: str
    profile: str
    compute_ratio: float
    memory_bytes: int


@dataclass(frozen=True, slots=True)
class Gpu:
    """instances: None where MIG is off, or unknown to the GPU. None elsewhere: not told.

    fp32_tflops: the most it can do, cores x 2 operations x largest clock; 67 for an H200.
    """

    index: int
    name: str
    uuid: str
    memory_bytes: int
    compute_capability: tuple[int, int] | None
    fp32_tflops: float | None
    instances: tuple[MigInstance, ...] | None

    @property
    def label(self) -> str:
        return f"GPU {self.index}, {self.name}"

    @property
    def memory_gib(self) -> float:
        return self.memory_bytes / GIB

    @property
    def shares_threads(self) -> bool:
        """Can MPS hold a program to a part of its threads?"""
        able = self.compute_capability
        return able is not None and able >= SHARES_THREADS_FROM


@dataclass(frozen=True, slots=True)
class Found:
    """missing: why there is no GPU. mps: path of the control program, None where there is none."""

    gpus: tuple[Gpu, ...]
    driver: str | None
    missing: str | None
    mps: str | None


def find_gpus(library: Any | None = None) -> Found:  # noqa: ANN401 - pynvml
    """library: in place of pynvml."""
    mps = shutil.which(MPS_CONTROL)
    nvml = open_nvml(library)
    if isinstance(nvml, Untold):
        return Found((), None, nvml.why, mps)
    try:
        gpus = tuple(_gpu(nvml, index, handle) for index, handle in enumerate(nvml.handles))
        driver = known(nvml.told("nvmlSystemGetDriverVersion"), str)
    finally:
        nvml.close()
    return Found(gpus, driver, None, mps)


def describe_accelerators(found: Found | None = None) -> tuple[str, ...]:
    """Lines for a person: one for each GPU, or why there is none."""
    found = find_gpus() if found is None else found
    if found.missing is not None:
        return (f"no GPU here: {found.missing}",)
    return tuple(_line(gpu, found) for gpu in found.gpus)


def _line(gpu: Gpu, found: Found) -> str:
    able = gpu.compute_capability
    parts = [f"{gpu.label}: {gpu.memory_gib:.0f} GiB"]
    parts += [] if able is None else [f"compute capability {able[0]}.{able[1]}"]
    parts += [] if found.driver is None else [f"driver {found.driver}"]
    parts.append(_shares(gpu, found.mps))
    return ", ".join(parts)


def _shares(gpu: Gpu, mps: str | None) -> str:
    if gpu.instances is not None:
        named = ", ".join(each.profile for each in gpu.instances) or "none was made"
        return f"divided by MIG ({named})"
    if not gpu.shares_threads:
        return "no shares: MPS needs compute capability 7.0"
    return f"no shares: {MPS_CONTROL} is not installed" if mps is None else "shares by MPS"


def _gpu(nvml: Nvml, index: int, handle: Any) -> Gpu:  # noqa: ANN401 - NVML's own
    return Gpu(
        index=index,
        name=str(nvml.ask("nvmlDeviceGetName", handle)),
        uuid=str(nvml.ask("nvmlDeviceGetUUID", handle)),
        memory_bytes=int(nvml.ask("nvmlDeviceGetMemoryInfo", handle).total),
        compute_capability=known(
            nvml.told("nvmlDeviceGetCudaComputeCapability", handle),
            lambda able: (int(able[0]), int(able[1])),
        ),
        fp32_tflops=_fp32_tflops(nvml, handle),
        instances=_instances(nvml, handle),
    )


def _fp32_tflops(nvml: Nvml, handle: Any) -> float | None:  # noqa: ANN401
    cores = nvml.told("nvmlDeviceGetNumGpuCores", handle)
    clock_mhz = nvml.told("nvmlDeviceGetMaxClockInfo", handle, nvml.library.NVML_CLOCK_SM)
    if isinstance(cores, Untold) or isinstance(clock_mhz, Untold):
        return None
    return float(cores * FLOPS_PER_CORE_AND_CYCLE * clock_mhz / 1e6)


def _instances(nvml: Nvml, handle: Any) -> tuple[MigInstance, ...] | None:  # noqa: ANN401
    mode = nvml.told("nvmlDeviceGetMigMode", handle)
    if isinstance(mode, Untold) or mode[0] != nvml.library.NVML_DEVICE_MIG_ENABLE:
        return None
    slices = int(nvml.ask("nvmlDeviceGetMaxMigDeviceCount", handle))
    return tuple(_instance(nvml, part, slices) for part in _parts(nvml, handle, slices))


def _parts(nvml: Nvml, handle: Any, slices: int) -> Iterator[Any]:  # noqa: ANN401
    """NVML numbers the places where an instance could be; where there is none it is not found."""
    for place in range(slices):
        part = nvml.told("nvmlDeviceGetMigDeviceHandleByIndex", handle, place)
        if not isinstance(part, Untold):
            yield part


def _instance(nvml: Nvml, part: Any, slices: int) -> MigInstance:  # noqa: ANN401
    size = nvml.ask("nvmlDeviceGetAttributes", part)
    memory_bytes = int(size.memorySizeMB) * MIB
    named = str(nvml.ask("nvmlDeviceGetName", part))
    _, is_named, profile = named.partition(MIG_MARK)
    sized = f"{size.gpuInstanceSliceCount}g.{round(memory_bytes / GIB)}gb"
    return MigInstance(
        uuid=str(nvml.ask("nvmlDeviceGetUUID", part)),
        profile=profile if is_named else sized,
        compute_ratio=size.computeInstanceSliceCount / slices,
        memory_bytes=memory_bytes,
    )
