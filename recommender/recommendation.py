"""The answer, as it is written to JSON: ranked options, rejected ones, evidence and assumptions.

Format history
1 (0.1.0): first.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from loadtests.environment import Environment
from loadtests.slo import Verdict
from recommender.demand import Demand

__all__ = [
    "FORMAT",
    "Basis",
    "Candidate",
    "Cost",
    "CostItem",
    "CostOfMeasuring",
    "Evidence",
    "LatencySeconds",
    "MeasurementSummary",
    "ModelFacts",
    "ObjectiveVerdict",
    "Option",
    "Performance",
    "PriceBookFacts",
    "PriceFacts",
    "Range",
    "Recommendation",
    "RejectReason",
    "Rejected",
    "Serverless",
    "SizeFacts",
]

FORMAT = 1


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Basis(StrEnum):
    """How a figure is known, best first.

    measured: on this machine itself. transferred: measured on another, and carried over between
    silicons that both were benchmarked. predicted: carried over past what was benchmarked or
    measured (silicon not known, far larger, burstable). prior: by an assumption about the service.
    """

    MEASURED = "measured"
    TRANSFERRED = "transferred"
    PREDICTED = "predicted"
    PRIOR = "prior"


class RejectReason(StrEnum):
    MISSES_SLO = "misses-slo"
    UNCERTAIN = "uncertain"
    """It may meet the SLO, with less confidence than was asked for."""
    NEEDS_MEASUREMENT = "needs-measurement"
    NO_PRICE = "no-price"
    RETIRED = "retired"
    ARCHITECTURE = "architecture"
    MEMORY = "memory"
    LIMIT = "limit"
    INCONCLUSIVE = "inconclusive"


class Range(_Frozen):
    """A median with an 80 % interval. high: None where the queue may have no steady state."""

    median: float
    low: float
    high: float | None


class Serverless(_Frozen):
    memory_mib: int
    max_concurrency: int


class Option(_Frozen):
    """One way to deploy. replicas: machines; for serverless, requests in flight at peak."""

    platform: Literal["sagemaker", "serverless", "ec2"]
    instance_type: str | None = None
    purchase: Literal["on-demand", "spot"]
    region: str
    replicas: int | None = None
    serverless: Serverless | None = None
    accelerator: str | None = None
    environment: dict[str, str] = Field(default_factory=dict)

    @property
    def text(self) -> str:
        if self.serverless is not None:
            return f"serverless {self.serverless.memory_mib // 1024} GB"
        count = "" if self.replicas is None else f"{self.replicas} × "  # noqa: RUF001 - for people
        return f"{count}{self.instance_type}"


class CostItem(_Frozen):
    """In a month; decimals as text. usd: quantity x usd_per_unit, to the billionth."""

    name: str
    quantity: str
    unit: str
    usd_per_unit: str
    usd: str


class PriceFacts(_Frozen):
    """Where the main price of a bill comes from: its first item."""

    basis: Literal["reported", "derived"]
    confidence: Literal["high", "medium", "low"]
    observed_on: str
    source: str


class Cost(_Frozen):
    """usd_per_million: of the requests asked at the user's traffic, idle time included."""

    usd_per_hour: str
    usd_per_month: str
    usd_per_million: str
    items: tuple[CostItem, ...]
    price: PriceFacts


class LatencySeconds(_Frozen):
    """None where it is not known (a cold start of serverless) or has no steady state."""

    p50: float | None
    p90: float | None
    p95: float | None
    p99: float | None


class Performance(_Frozen):
    """At peak traffic.

    capacity_rps: of the whole fleet, at the SLO. latency_s: medians. interval: of the latency at
    interval_quantile, the highest quantile that the SLO bounds. utilization_ratio: of what can be
    sustained for ever.
    """

    capacity_rps: Range
    latency_s: LatencySeconds
    interval: Range
    interval_quantile: float
    utilization_ratio: float
    basis: Basis
    price_basis: Literal["reported", "derived"]


class ObjectiveVerdict(_Frozen):
    """One objective of the SLO.

    probability: that it is met at peak, from the draws; None for an error rate, which is judged by
    counting. margin_ratio: share of the limit that is left, below zero where missed.
    """

    objective: str
    verdict: Verdict
    probability: float | None
    margin_ratio: float | None


class Candidate(_Frozen):
    """probability_best: share of draws in which it is the cheapest that meets the SLO."""

    rank: int
    option: Option
    cost: Cost
    performance: Performance
    verdicts: tuple[ObjectiveVerdict, ...]
    probability_best: float
    frontier: bool
    notes: tuple[str, ...] = ()


class Rejected(_Frozen):
    """detail: what was found. remedy: the command or setting that would change it, if any.

    margin_ratio: how near it came, where a latency objective was in the way. usd_per_hour: of one
    machine, where it has such a price.
    """

    option: Option
    reason: RejectReason
    detail: str
    remedy: str | None = None
    margin_ratio: float | None = None
    usd_per_hour: str | None = None


class MeasurementSummary(_Frozen):
    """latency_p95_s: due to done, with its 95 % interval; None in a closed loop.

    service_mean_s: sent to done. requests: sent.
    """

    key: str
    target: str
    vcpus: float | None
    limits: str | None
    load: str
    throughput_rps: float
    latency_p95_s: float | None
    latency_p95_low_s: float | None = None
    latency_p95_high_s: float | None = None
    service_mean_s: float | None = None
    cpu_s_per_request: float | None
    requests: int
    validity: str
    faults: tuple[str, ...] = ()


class SizeFacts(_Frozen):
    """What the search at one size came to."""

    vcpus: float
    capacity_rps: float
    capacity_low_rps: float
    capacity_high_rps: float
    basis: str
    saturation_rps: float
    servers: int
    service_mean_s: float
    cpu_s_per_request: float | None
    memory_peak_bytes: int | None
    setup_s: float | None


class PriceBookFacts(_Frozen):
    name: str
    published_on: str
    age_days: int


class ModelFacts(_Frozen):
    """How figures were carried to other machines.

    holdout_error: median relative error of throughput on machines and workloads that the speed
    prior had not seen; holdout_coverage: share of them inside its 80 % interval.
    """

    name: str
    source_silicon: str | None
    holdout_error: float | None
    holdout_coverage: float | None
    draws: int


class Evidence(_Frozen):
    measurements: tuple[MeasurementSummary, ...]
    sizes: tuple[SizeFacts, ...]
    price_book: PriceBookFacts
    model: ModelFacts
    environment: Environment


class CostOfMeasuring(_Frozen):
    seconds: float
    requests: int
    usd: str


class Recommendation(_Frozen):
    format: Literal[1] = 1
    run: str | None = None
    created_at: str
    demand: Demand
    ranked: tuple[Candidate, ...]
    rejected: tuple[Rejected, ...]
    evidence: Evidence
    assumptions: tuple[str, ...]
    cost_of_measuring: CostOfMeasuring

    @property
    def best(self) -> Candidate | None:
        return self.ranked[0] if self.ranked else None
