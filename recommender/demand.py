"""What is asked for: workload, traffic, objective and constraints."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import BaseModel, ConfigDict, Field

from loadtests.slo import Slo, parse_slo
from loadtests.traffic import Hourly

if TYPE_CHECKING:
    from loadtests.traffic import Traffic

__all__ = ["Constraints", "Demand", "TrafficFacts", "WorkloadFacts"]

Architecture = Literal["x86_64", "arm64"]
Platform = Literal["sagemaker", "serverless", "ec2"]
Purchase = Literal["on-demand", "spot"]


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class WorkloadFacts(_Frozen):
    """digest: names the payloads sent, and equals the one in each measurement."""

    digest: str
    content_type: str
    payloads: int
    request_bytes_mean: float = Field(ge=0)
    request_bytes_largest: int = Field(ge=0)
    response_bytes_mean: float | None = Field(default=None, ge=0)


class TrafficFacts(_Frozen):
    """hourly: requests in each hour, in order; None for a steady rate."""

    text: str
    peak_rps: float = Field(gt=0)
    mean_rps: float = Field(gt=0)
    hourly: tuple[float, ...] | None = None

    @classmethod
    def of(cls, traffic: Traffic) -> TrafficFacts:
        hourly = traffic.requests if isinstance(traffic, Hourly) else None
        return cls(
            text=traffic.text, peak_rps=traffic.peak_rps, mean_rps=traffic.mean_rps, hourly=hourly
        )

    @property
    def hours_rps(self) -> tuple[float, ...]:
        """The rate in each hour; one for steady traffic."""
        if self.hourly is None:
            return (self.mean_rps,)
        return tuple(count / 3600 for count in self.hourly)


class Constraints(_Frozen):
    """What may be chosen from, and how carefully.

    headroom_ratio: share of capacity kept free at peak. zones: with two or more, losing one keeps
    the SLO. confidence: with which a fleet must meet the SLO. instance_types: globs; empty is all.
    """

    region: str = "us-east-1"
    architectures: tuple[Architecture, ...] = ("x86_64",)
    platforms: tuple[Platform, ...] = ("sagemaker", "serverless", "ec2")
    purchases: tuple[Purchase, ...] = ("on-demand", "spot")
    instance_types: tuple[str, ...] = ()
    headroom_ratio: float = Field(default=0.2, ge=0, lt=1)
    zones: int = Field(default=1, ge=1, le=6)
    confidence: float = Field(default=0.8, gt=0.5, lt=1)


class Demand(_Frozen):
    workload: WorkloadFacts
    traffic: TrafficFacts
    slo: str
    constraints: Constraints = Constraints()

    @property
    def objectives(self) -> Slo:
        return parse_slo(self.slo)
