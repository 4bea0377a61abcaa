"""What accelerators and CPUs can do at most, and who says so.

Of accelerators: dense throughput of one whole device by precision, and memory bandwidth, by the
makers' datasheets. Of CPUs: the memory that one socket of the micro-architecture has, channels x
transfers a second x 8 bytes; a machine shares a socket with others unless it is the largest.
"""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from pricing.gpus import gpu_spec

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pricing.instances import Accelerator

__all__ = ["MEMORY_CLASSES", "MemoryClass", "Peaks", "memory_class", "peaks_of"]

BF16_FROM: Final = 8.0  # compute capability: tensor cores take it as fast as FP16
BYTES_PER_TRANSFER: Final = 8
NVIDIA_SAYS: Final = "NVIDIA's datasheet of the product"
NEURON_SAYS: Final = "AWS Neuron documentation, architecture of the chip"


@dataclass(frozen=True, slots=True)
class Peaks:
    """Of one whole device. tera_ops: by precision, TFLOP/s or, for integers, TOP/s; dense."""

    tera_ops: Mapping[str, float]
    bandwidth_gb_s: float
    source: str


@dataclass(frozen=True, slots=True)
class MemoryClass:
    """Of one socket. mega_transfers: a second, on each channel."""

    kind: str
    channels: int
    mega_transfers: int
    source: str

    @property
    def bandwidth_gb_s(self) -> float:
        return self.channels * self.mega_transfers * BYTES_PER_TRANSFER / 1e3

    @property
    def name(self) -> str:
        return f"{self.channels} channels of {self.kind}-{self.mega_transfers}"


# 8-bit precisions: not in GpuSpec, for no prediction rests on them.
_EIGHT_BITS: Final = MappingProxyType(
    {
        "NVIDIA T4": {"INT8": 130.0},
        "NVIDIA A10G": {"INT8": 250.0},
        "NVIDIA A100": {"INT8": 624.0},
        "NVIDIA L4": {"INT8": 242.0, "FP8": 242.0},
        "NVIDIA L40S": {"INT8": 733.0, "FP8": 733.0},
        "NVIDIA H100": {"INT8": 1979.0, "FP8": 1979.0},
        "NVIDIA H200": {"INT8": 1979.0, "FP8": 1979.0},
        "NVIDIA B200": {"INT8": 4500.0, "FP8": 4500.0},
    }
)

_NEURON: Final = MappingProxyType(
    {
        "AWS Inferentia": Peaks({"FP16": 64.0, "BF16": 64.0, "INT8": 128.0}, 50.0, NEURON_SAYS),
        "AWS Inferentia2": Peaks(
            {"FP32": 47.5, "FP16": 190.0, "BF16": 190.0, "INT8": 380.0}, 820.0, NEURON_SAYS
        ),
        "AWS Trainium": Peaks(
            {"FP32": 47.5, "FP16": 190.0, "BF16": 190.0, "INT8": 380.0}, 820.0, NEURON_SAYS
        ),
        "AWS Trainium2": Peaks(
            {"FP32": 181.0, "FP16": 667.0, "BF16": 667.0, "FP8": 1299.0}, 2900.0, NEURON_SAYS
        ),
    }
)

_XEON: Final = "Intel's specification of the Xeon generation"
_EPYC: Final = "AMD's specification of the EPYC generation"
_GRAVITON: Final = "AWS on the Graviton generation"

MEMORY_CLASSES: Final = MappingProxyType(
    {
        "IvyBridge": MemoryClass("DDR3", 4, 1866, _XEON),
        "Haswell": MemoryClass("DDR4", 4, 2133, _XEON),
        "Broadwell": MemoryClass("DDR4", 4, 2400, _XEON),
        "Skylake": MemoryClass("DDR4", 6, 2666, _XEON),
        "CascadeLake": MemoryClass("DDR4", 6, 2933, _XEON),
        "IceLake": MemoryClass("DDR4", 8, 3200, _XEON),
        "SapphireRapids": MemoryClass("DDR5", 8, 4800, _XEON),
        "EmeraldRapids": MemoryClass("DDR5", 8, 5600, _XEON),
        "GraniteRapids": MemoryClass("DDR5", 12, 6400, _XEON),
        "Zen1": MemoryClass("DDR4", 8, 2666, _EPYC),
        "Zen2": MemoryClass("DDR4", 8, 3200, _EPYC),
        "Zen3": MemoryClass("DDR4", 8, 3200, _EPYC),
        "Zen4": MemoryClass("DDR5", 12, 4800, _EPYC),
        "Zen5": MemoryClass("DDR5", 12, 6000, _EPYC),
        "Neoverse-N1": MemoryClass("DDR4", 8, 3200, _GRAVITON),
        "Neoverse-V1": MemoryClass("DDR5", 8, 4800, _GRAVITON),
        "Neoverse-V2": MemoryClass("DDR5", 12, 5600, _GRAVITON),
    }
)
"""By silicon; what is not here is not known."""


def memory_class(silicon: str | None) -> MemoryClass | None:
    return None if silicon is None else MEMORY_CLASSES.get(silicon)


def peaks_of(accelerator: Accelerator) -> Peaks | None:
    """None where no datasheet is known."""
    if accelerator.model in _NEURON:
        return _NEURON[accelerator.model]
    whole_gib = accelerator.memory_gib / accelerator.count
    spec = gpu_spec(accelerator.model, whole_gib)
    if spec is None:
        return None
    tera_ops = {"FP32": spec.fp32_tflops, "FP16": spec.fp16_tflops}
    if spec.compute_capability >= BF16_FROM:
        tera_ops["BF16"] = spec.fp16_tflops
    return Peaks(
        tera_ops | _EIGHT_BITS.get(spec.name, {}), float(spec.bandwidth_gb_s), NVIDIA_SAYS
    )
