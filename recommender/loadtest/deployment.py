"""How a plan's configuration deploys its model: copies, serverless, spot, a share of a GPU."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import BeforeValidator, Field, model_validator
from typing_extensions import override

from loadtests.accelerators import Accelerator
from loadtests.errors import UsageError
from loadtests.quantities import Seconds
from loadtests.serverless.spec import IDLE_RECLAIM_S, MIB_PER_VCPU, ServerlessSpec
from loadtests.targets.replicas import Replicas
from recommender.loadtest.part import Part

__all__ = ["AcceleratorGiven", "ReplicasGiven", "ReplicasPart", "ServerlessGiven"]


class _Checked(Part):
    """A part that becomes a value of the load test; what that refuses, the plan refuses."""

    @model_validator(mode="after")
    def _is_allowed(self) -> Self:
        try:
            self.value()
        except UsageError as error:
            hint = f"; {error.hint}" if error.hint else ""
            raise ValueError(f"{error}{hint}") from error
        return self

    def value(self) -> object:
        raise NotImplementedError


def _counted(given: object) -> object:
    """A number alone, in place of a mapping."""
    return {"count": given} if isinstance(given, int) else given


class ReplicasPart(_Checked):
    """Copies behind one address, all of the configuration's size."""

    count: int = Field(ge=1)
    routing: Literal["round_robin", "least_outstanding"] = "round_robin"

    @override
    def value(self, vcpus: float | None = None) -> Replicas:
        return Replicas(self.count, self.routing, vcpus)


class ServerlessPart(_Checked):
    """A serverless endpoint's, as SageMaker has them. vcpus_per_gib, idle: assumptions.

    from_zero: no instance is there when a run begins.
    """

    memory_gib: int
    max_concurrency: int = 5
    provisioned_concurrency: int = 0
    vcpus_per_gib: float = 1024 / MIB_PER_VCPU
    idle_s: Seconds | None = Field(default=IDLE_RECLAIM_S, alias="idle")
    from_zero: bool = False

    @override
    def value(self) -> ServerlessSpec:
        return ServerlessSpec(
            memory_gib=self.memory_gib,
            max_concurrency=self.max_concurrency,
            provisioned_concurrency=self.provisioned_concurrency,
            vcpus_per_gib=self.vcpus_per_gib,
            idle_s=self.idle_s,
            from_zero=self.from_zero,
        )


class AcceleratorPart(_Checked):
    """A GPU of this machine, or a share of it; at most one of share, mig, elastic_inference."""

    device: int = 0
    share_ratio: float | None = Field(default=None, alias="share")
    mig: str | None = None
    elastic_inference: str | None = None
    memory_gib: float | None = None

    @override
    def value(self) -> Accelerator:
        return Accelerator(
            device=self.device,
            share_ratio=self.share_ratio,
            mig=self.mig,
            elastic_inference=self.elastic_inference,
            memory_gib=self.memory_gib,
        )


def _sized(given: object) -> object:
    """The memory alone, in place of a mapping."""
    return {"memory_gib": given} if isinstance(given, int) else given


def _shared(given: object) -> object:
    """A share or a size of Elastic Inference alone, in place of a mapping."""
    if isinstance(given, int | float) and not isinstance(given, bool):
        return {"share": given}
    return {"elastic_inference": given} if isinstance(given, str) else given


ReplicasGiven = Annotated[ReplicasPart, BeforeValidator(_counted)]
ServerlessGiven = Annotated[ServerlessPart, BeforeValidator(_sized)]
AcceleratorGiven = Annotated[AcceleratorPart, BeforeValidator(_shared)]
