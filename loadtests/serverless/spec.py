"""A serverless configuration, and what SageMaker allows one.

Limits as documented: developer guide, "Deploy models with Amazon SageMaker Serverless Inference"
(memory, concurrency, 4 MB, 3 minutes to the first /ping, 60 s for an answer).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from loadtests.errors import UsageError
from loadtests.targets.protocol import Sizing

__all__ = [
    "IDLE_RECLAIM_S",
    "LARGEST_MEMORY_GIB",
    "MIB_PER_VCPU",
    "MOST_CONCURRENT",
    "PAYLOAD_LIMIT_BYTES",
    "STARTUP_LIMIT_S",
    "ServerlessSpec",
]

LARGEST_MEMORY_GIB = 6
MOST_CONCURRENT = 200
PAYLOAD_LIMIT_BYTES = 4_000_000
STARTUP_LIMIT_S = 180.0
# Assumptions: AWS says that CPU grows with memory and that idle instances go, and gives no figure.
MIB_PER_VCPU = 1769  # Lambda's
IDLE_RECLAIM_S = 300.0


@dataclass(frozen=True, slots=True)
class ServerlessSpec:
    """memory_gib: of an instance; whole, 1 to 6 (SageMaker's 1024 to 6144 MB).

    max_concurrency: requests in progress, and so instances, beyond which there is 429.
    provisioned_concurrency: instances that are always ready.
    vcpus_per_gib: an assumption, as is idle_s, after which an instance without work is reclaimed;
    None for never. from_zero: every run of load begins with the provisioned ones alone.
    """

    memory_gib: int
    max_concurrency: int
    provisioned_concurrency: int = 0
    vcpus_per_gib: float = 1024 / MIB_PER_VCPU
    idle_s: float | None = IDLE_RECLAIM_S
    from_zero: bool = False

    def __post_init__(self) -> None:
        if self.memory_gib not in range(1, LARGEST_MEMORY_GIB + 1):
            raise UsageError(
                f"a serverless instance has 1 to {LARGEST_MEMORY_GIB} GB of memory, whole, not "
                f"{self.memory_gib:g}"
            )
        if self.max_concurrency not in range(1, MOST_CONCURRENT + 1):
            raise UsageError(
                f"a serverless endpoint takes 1 to {MOST_CONCURRENT} requests at a time, not "
                f"{self.max_concurrency:g}"
            )
        if self.provisioned_concurrency not in range(self.max_concurrency + 1):
            raise UsageError(
                f"provisioned concurrency is 0 to the {self.max_concurrency} of the maximum, not "
                f"{self.provisioned_concurrency:g}"
            )
        if not (math.isfinite(self.vcpus_per_gib) and self.vcpus_per_gib > 0):
            raise UsageError(f"vCPUs per GB must be above 0, not {self.vcpus_per_gib:g}")
        if self.idle_s is not None and not self.idle_s > 0:
            raise UsageError(f"idle instances are kept for a time above 0, not {self.idle_s:g} s")

    @property
    def vcpus(self) -> float:
        """Of an instance, to a thousandth."""
        return round(self.memory_gib * self.vcpus_per_gib, 3)

    @property
    def sizing(self) -> Sizing:
        """Of an instance."""
        return Sizing(vcpus=self.vcpus, memory_gib=float(self.memory_gib))

    @property
    def assumptions(self) -> tuple[str, ...]:
        """Sentences for whoever reads a figure."""
        kept = "for good" if self.idle_s is None else f"{self.idle_s:g} s"
        size = f"{self.vcpus:.3g} vCPUs for {self.memory_gib} GB"
        return (
            f"{size}: AWS states that CPU grows with memory, and no figure",
            f"an idle instance is kept {kept}: AWS states no figure",
            "a start is the container's alone: placing it and fetching its image come on top",
        )

    def describe(self) -> str:
        ready = self.provisioned_concurrency
        always = f", {ready} always ready" if ready else ""
        return f"serverless {self.memory_gib} GB, up to {self.max_concurrency} at a time{always}"
