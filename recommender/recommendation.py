"""The answer, as it is written to JSON: ranked options, rejected ones, evidence and assumptions.

Format history
1 (0.1.0): first.
2 (0.2.0): what choosing each candidate may cost, and what measuring next is worth. A document of
format 1 says neither: None.
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
    "Carried",
    "Cost",
    "CostItem",
    "CostOfMeasuring",
    "Evidence",
    "LatencySeconds",
    "MeasurementSummary",
    "ModelFacts",
    "NextMeasurement",
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
    "ValueOfMeasuring",
]

FORMAT = 2


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
    OUT_OF_RANGE = "out-of-range"
    """Too far from what was measured for the model to say anything."""


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

    platform: Literal["sagemaker", "serverless", "ec2", "own"]
    instance_type: str | None = None
    purchase: Literal["on-demand", "spot", "savings-plan"]
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


class Carried(_Frozen):
    """How one replica's throughput was carried over from what was measured.

    speed_ratio: of one vCPU there over one here. at_source_rps: at saturation, by as many vCPUs of
    the machine measured on. Both None where the machine itself was measured. saturation_rps: of
    the machine; capacity_rps: within the SLO, for ever. sized_by_rps: the capacity that it has
    with the confidence asked for: replicas are counted by it.
    """

    vcpus: float
    silicon: str | None
    speed_ratio: Range | None
    at_source_rps: Range | None
    saturation_rps: Range
    capacity_rps: Range
    sized_by_rps: float


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
    """probability_best: share of draws in which it is the cheapest that meets the SLO.

    carried: None for serverless, and in documents of format 1.

    expected_regret_usd_per_month: how much more than the best of each draw it costs on average; in
    a draw in which it misses the SLO, what it costs in others counts as lost.
    """

    rank: int
    option: Option
    cost: Cost
    performance: Performance
    verdicts: tuple[ObjectiveVerdict, ...]
    probability_best: float
    expected_regret_usd_per_month: str | None = None
    frontier: bool
    notes: tuple[str, ...] = ()
    carried: Carried | None = None


class NextMeasurement(_Frozen):
    """A measurement on one machine. command: what makes it.

    probability_changes_answer: that another option is then chosen. expected_saving_usd_per_month:
    by which it lowers what the chosen option is expected to cost; None while nothing is chosen.
    """

    instance_type: str
    minutes: float
    usd: str
    probability_changes_answer: float
    expected_saving_usd_per_month: str | None
    command: str


class ValueOfMeasuring(_Frozen):
    """best: None where no measurement is worth what it costs. others: what comes after it."""

    best: NextMeasurement | None
    others: tuple[NextMeasurement, ...] = ()


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
    """What the search at one size came to.

    bound_by: what a faster machine would have to shorten; None where its CPU use was not seen.
    """

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
    bound_by: Literal["CPU", "waiting"] | None = None


class PriceBookFacts(_Frozen):
    name: str
    published_on: str
    age_days: int


class ModelFacts(_Frozen):
    """How figures were carried to other machines.

    holdout_error: median relative error of throughput on machines and workloads that the speed
    prior had not seen; holdout_coverage: share of them inside its 80 % interval. source_likely:
    silicons that the machine measured on may be of, by what its own benchmarks are like, with
    probabilities; empty where nobody looked. memory_traffic: how much workers side by side slow
    each other down.
    """

    name: str
    source_silicon: str | None
    source_likely: dict[str, float] = Field(default_factory=dict)
    holdout_error: float | None
    holdout_coverage: float | None
    memory_traffic: Literal["light", "shared", "heavy", "unknown"] = "unknown"
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
    format: Literal[1, 2] = 2
    run: str | None = None
    created_at: str
    demand: Demand
    ranked: tuple[Candidate, ...]
    rejected: tuple[Rejected, ...]
    evidence: Evidence
    assumptions: tuple[str, ...]
    cost_of_measuring: CostOfMeasuring
    value_of_measuring: ValueOfMeasuring | None = None

    @property
    def best(self) -> Candidate | None:
        return self.ranked[0] if self.ranked else None
