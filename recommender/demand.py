"""What is asked for: workload, traffic, objective and constraints."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

from loadtests.errors import UsageError
from loadtests.slo import Slo, parse_slo
from loadtests.traffic import Hourly
from pricing import OwnMachine, SavingsPlan

if TYPE_CHECKING:
    from loadtests.traffic import Traffic

__all__ = ["Constraints", "Demand", "TrafficFacts", "WorkloadFacts", "slo_to_rank_by"]

Architecture = Literal["x86_64", "arm64"]
Platform = Literal["sagemaker", "serverless", "ec2", "own"]
Purchase = Literal["on-demand", "spot", "savings-plan"]
SavedOn = Literal["sagemaker", "ec2"]
SavingRatio = Annotated[Decimal, Field(gt=0, lt=1)]
SavedBy = SavingsPlan | SavingRatio


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
    """hourly: requests in each hour, in order; None for a steady rate.

    arrivals_cv: of the gaps between requests, deviation over mean, while the rate is the same: 1
    is independent users (Poisson), above it they come in bursts.
    """

    text: str
    peak_rps: float = Field(gt=0)
    mean_rps: float = Field(gt=0)
    hourly: tuple[float, ...] | None = None
    arrivals_cv: float = Field(default=1.0, gt=0, le=10)

    @classmethod
    def of(cls, traffic: Traffic, arrivals_cv: float = 1.0) -> TrafficFacts:
        hourly = traffic.requests if isinstance(traffic, Hourly) else None
        return cls(
            text=traffic.text if arrivals_cv == 1 else f"{traffic.text}, cv {arrivals_cv:g}",
            peak_rps=traffic.peak_rps,
            mean_rps=traffic.mean_rps,
            hourly=hourly,
            arrivals_cv=arrivals_cv,
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
    own_machines: considered whatever the platforms and purchases. savings_plans: by platform, the
    share of the on-demand price that the user's plan saves; or, on SageMaker, the plan by name, at
    the rates in the price book.
    self_hosting_usd_per_month: what running machines oneself costs besides them. load_balancer:
    whether one stands before machines of EC2.
    """

    region: str = "us-east-1"
    architectures: tuple[Architecture, ...] = ("x86_64",)
    platforms: tuple[Platform, ...] = ("sagemaker", "serverless", "ec2")
    purchases: tuple[Purchase, ...] = ("on-demand", "spot")
    instance_types: tuple[str, ...] = ()
    headroom_ratio: float = Field(default=0.2, ge=0, lt=1)
    zones: int = Field(default=1, ge=1, le=6)
    confidence: float = Field(default=0.8, gt=0.5, lt=1)
    own_machines: tuple[OwnMachine, ...] = ()
    savings_plans: dict[SavedOn, SavedBy] = Field(default_factory=dict)
    self_hosting_usd_per_month: Decimal = Field(default=Decimal(0), ge=0)
    load_balancer: bool = True

    @field_validator("savings_plans")
    @classmethod
    def _require_known_rates(cls, plans: dict[SavedOn, SavedBy]) -> dict[SavedOn, SavedBy]:
        for platform, plan in plans.items():
            if platform != "sagemaker" and isinstance(plan, SavingsPlan):
                raise ValueError(
                    f"rates of {plan} on {platform} are not in any price book; give the share "
                    "that it saves"
                )
        return plans


class Demand(_Frozen):
    workload: WorkloadFacts
    traffic: TrafficFacts
    slo: str
    constraints: Constraints = Constraints()

    @property
    def objectives(self) -> Slo:
        return slo_to_rank_by(self.slo)


def slo_to_rank_by(text: str) -> Slo:
    """Raises UsageError, also for what can be measured but not carried over to another machine."""
    slo = parse_slo(text)
    others = [*slo.tokens, *(() if slo.goodput is None else (slo.goodput,))]
    if others:
        raise UsageError(
            f"nothing can be ranked by {others[0].text}: how it changes from one machine to "
            "another is not known",
            hint="rank by latency and errors (p95<100ms, error_rate<1%), or measure it: "
            "recommender loadtest",
        )
    return slo
