"""Instance types: what the machines physically are, whatever they cost."""

from dataclasses import dataclass
from enum import StrEnum
from math import isfinite
from typing import Final

from pricing.text import require_line, require_optional_line

AWS: Final = "aws"


class Architecture(StrEnum):
    X86_64 = "x86_64"
    ARM64 = "arm64"


class AcceleratorKind(StrEnum):
    GPU = "gpu"
    """Runs CUDA."""
    NEURON = "neuron"
    """AWS Inferentia and Trainium."""
    GAUDI = "gaudi"


SILICON = frozenset(
    {
        *("IvyBridge", "Haswell", "Broadwell", "Skylake", "CascadeLake", "IceLake"),
        *("SapphireRapids", "EmeraldRapids", "GraniteRapids"),
        *("Zen1", "Zen2", "Zen3", "Zen4", "Zen5"),
        *("Neoverse-N1", "Neoverse-V1", "Neoverse-V2", "Neoverse-V3"),
    }
)
"""The micro-architecture keys by which CPU performance is carried from machine to machine."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cpu:
    """`clock_ghz` is the sustained all-core clock AWS states.

    `silicon` is a key of SILICON, or None where the micro-architecture is not known;
    `silicon_note` says where one family is served from more than one.
    """

    architecture: Architecture
    vendor: str
    model: str | None = None
    clock_ghz: float | None = None
    silicon: str | None = None
    silicon_note: str | None = None

    def __post_init__(self) -> None:
        require_line("cpu vendor", self.vendor)
        require_optional_line("cpu model", self.model)
        require_optional_line("silicon_note", self.silicon_note)
        _require_positive("clock_ghz", self.clock_ghz)
        if self.silicon is not None and self.silicon not in SILICON:
            raise ValueError(f"silicon is {self.silicon!r}; known: {', '.join(sorted(SILICON))}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Accelerator:
    """All accelerators of one machine.

    `count` may be a fraction: 0.125 is an eighth of a device. `memory_gib` is what the machine
    sees in all: that of every whole device together, or of the slice.
    """

    kind: AcceleratorKind
    model: str
    count: float
    memory_gib: float

    def __post_init__(self) -> None:
        require_line("accelerator model", self.model)
        _require_positive("accelerator count", self.count)
        _require_positive("accelerator memory_gib", self.memory_gib)
        if self.count > 1 and not self.count.is_integer():
            raise ValueError(f"accelerator count is {self.count}; above one it is whole")

    @property
    def text(self) -> str:
        """For people."""
        return f"{self.count:g} × {self.model}"  # noqa: RUF001 - a count

    @property
    def is_fractional(self) -> bool:
        return self.count < 1

    @property
    def memory_gib_per_device(self) -> float:
        """What a model on one device, or on the slice, can use."""
        return self.memory_gib / max(self.count, 1.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class InstanceType:
    """A machine, named as EC2 names it.

    `hosting_name` is the name under which SageMaker endpoints accept it; None where they do not.
    `network_gbps` is the sustained bandwidth, without bursts. `baseline_ratio` is the share of
    each vCPU that a burstable machine may use for ever; None on every other machine.
    `provider` is who has it: "aws" for every machine of a price book. None elsewhere means: not
    known.
    """

    name: str
    vcpus: int
    memory_gib: float
    cpu: Cpu
    source: str
    hosting_name: str | None = None
    batch_transform: bool = False
    physical_cores: int | None = None
    accelerators: tuple[Accelerator, ...] = ()
    network_gbps: float | None = None
    burstable: bool = False
    baseline_ratio: float | None = None
    current_generation: bool = True
    spot_supported: bool | None = None
    provider: str = AWS

    def __post_init__(self) -> None:
        require_line("instance name", self.name)
        require_line("provider", self.provider)
        require_line("source", self.source)
        require_optional_line("hosting_name", self.hosting_name)
        _require_positive("vcpus", self.vcpus)
        _require_positive("memory_gib", self.memory_gib)
        _require_positive("physical_cores", self.physical_cores)
        _require_positive("network_gbps", self.network_gbps)
        if self.physical_cores is not None and self.physical_cores > self.vcpus:
            raise ValueError(f"{self.physical_cores} physical cores carry {self.vcpus} vCPUs")
        if self.burstable != (self.baseline_ratio is not None):
            raise ValueError("a burstable machine has a baseline_ratio, and no other has one")
        if self.baseline_ratio is not None and not 0 < self.baseline_ratio < 1:
            raise ValueError(f"baseline_ratio is {self.baseline_ratio}; it lies between 0 and 1")
        if len(self.accelerators) > 1:
            raise ValueError("a machine has accelerators of one kind")
        if self.batch_transform and self.hosting_name is None:
            raise ValueError("a batch transform type has a SageMaker name")

    @property
    def family(self) -> str:
        return self.name.partition(".")[0]

    @property
    def accelerator(self) -> Accelerator | None:
        return self.accelerators[0] if self.accelerators else None

    @property
    def sustained_vcpus(self) -> float:
        """How many vCPUs can be kept busy without end."""
        return self.vcpus * (1.0 if self.baseline_ratio is None else self.baseline_ratio)


def _require_positive(name: str, value: float | None) -> None:
    if value is not None and not (isfinite(value) and value > 0):
        raise ValueError(f"{name} is {value}; it must be more than zero")
