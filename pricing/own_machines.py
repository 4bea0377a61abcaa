"""Machines that a user tells of: their own, or another cloud's, at the hourly cost they say."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from pricing.instances import Accelerator, AcceleratorKind, Architecture, Cpu, InstanceType
from pricing.offers import Confidence, Offer, Platform, PriceBasis, Purchase

__all__ = ["OwnMachine"]


class OwnMachine(BaseModel):
    """usd_per_hour: of one machine, all that it costs. machines: how many there are.

    vcpus: hardware threads. observed_on: the day for which the cost holds. accelerator_memory_gib:
    of all accelerators together, as in the price book. source: the file and the line.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    name: str = Field(min_length=1)
    usd_per_hour: Decimal = Field(gt=0)
    vcpus: int = Field(gt=0)
    memory_gib: float = Field(gt=0)
    architecture: Literal["x86_64", "arm64"]
    machines: int | None = Field(default=None, gt=0)
    physical_cores: int | None = Field(default=None, gt=0)
    cpu_model: str | None = None
    silicon: str | None = None
    clock_ghz: float | None = Field(default=None, gt=0)
    accelerator_kind: Literal["gpu", "neuron", "gaudi"] | None = None
    accelerator_model: str | None = None
    accelerator_count: float | None = Field(default=None, gt=0)
    accelerator_memory_gib: float | None = Field(default=None, gt=0)
    network_gbps: float | None = Field(default=None, gt=0)
    provider: str = "own"
    observed_on: date
    note: str | None = None
    source: str

    @model_validator(mode="after")
    def _is_a_machine(self) -> Self:
        """What a machine and an offer demand is said when the row is read."""
        self.offer("anywhere")
        return self

    @property
    def instance(self) -> InstanceType:
        return InstanceType(
            name=self.name,
            vcpus=self.vcpus,
            memory_gib=self.memory_gib,
            cpu=Cpu(
                architecture=Architecture(self.architecture),
                vendor="not said",
                model=self.cpu_model,
                clock_ghz=self.clock_ghz,
                silicon=self.silicon,
            ),
            physical_cores=self.physical_cores,
            accelerators=self._accelerators(),
            network_gbps=self.network_gbps,
            provider=self.provider,
            source=self.source,
        )

    def offer(self, region: str) -> Offer:
        """Whatever the region: the machine stands where it stands."""
        return Offer(
            instance=self.instance,
            platform=Platform.OWN,
            purchase=Purchase.ON_DEMAND,
            usd_per_hour=self.usd_per_hour,
            machines=self.machines,
            region=region,
            observed_on=self.observed_on,
            source=self.source,
            basis=PriceBasis.REPORTED,
            confidence=Confidence.HIGH,
            note=self.note,
        )

    def _accelerators(self) -> tuple[Accelerator, ...]:
        model, memory_gib = self.accelerator_model, self.accelerator_memory_gib
        others = (self.accelerator_kind, self.accelerator_count)
        if model is None and memory_gib is None and others == (None, None):
            return ()
        if model is None or memory_gib is None:
            raise ValueError("an accelerator has accelerator_model and accelerator_memory_gib")
        return (
            Accelerator(
                kind=AcceleratorKind(self.accelerator_kind or "gpu"),
                model=model,
                count=self.accelerator_count or 1.0,
                memory_gib=memory_gib,
            ),
        )
