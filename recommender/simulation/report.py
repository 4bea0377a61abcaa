"""What a simulation found, as it is written to JSON."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict

from loadtests.serverless.spec import IDLE_RECLAIM_S, MIB_PER_VCPU
from loadtests.slo import tightest
from recommender.cost import amount_text
from recommender.limits import ANSWER_LIMIT_S
from recommender.recommendation import CostItem, Range
from recommender.simulation.policy_facts import PolicyFacts, facts_of
from recommender.simulation.ways.curves import BreakEvenFacts
from recommender.verdicts import median_of, range_of

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from numpy.typing import NDArray

    from recommender.simulation.market import Market
    from recommender.simulation.outcome import Outcome, Timeline
    from recommender.simulation.ways.found import Found

    Floats = NDArray[np.float64]

__all__ = [
    "Course",
    "Deployable",
    "FleetCourse",
    "MissingWay",
    "SimulationReport",
    "TrafficTraceFacts",
    "Way",
    "WorstHour",
    "ZonePlanFacts",
    "in_order",
    "report",
    "way_of",
]

HOUR_S = 3600.0
MOST_POINTS = 672  # a week in quarters of an hour


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class WorstHour(_Frozen):
    """Of the draw in the middle. at_s: since the trace began."""

    at_s: float
    good_ratio: float

    @classmethod
    def of(cls, timeline: Timeline) -> WorstHour:
        at_s, good_ratio = timeline.worst_hour()
        return cls(at_s=at_s, good_ratio=good_ratio)


class FleetCourse(_Frozen):
    """What a fleet of machines has besides. paid: replicas, those still starting among them."""

    paid: tuple[float, ...]
    p50_s: tuple[float, ...]
    p99_s: tuple[float, ...]


class Course(_Frozen):
    """Of the draw in the middle, in points of step_s seconds: means, and the highest latency.

    latency_s: at the objective's quantile. good_ratio: of the point's requests. fleet: None where
    no machines serve.
    """

    step_s: float
    rate_rps: tuple[float, ...]
    replicas: tuple[float, ...]
    utilization_ratio: tuple[float, ...]
    latency_s: tuple[float, ...]
    good_ratio: tuple[float, ...]
    fleet: FleetCourse | None = None

    @classmethod
    def of(cls, timeline: Timeline) -> Course:
        """The last point may be shorter than the others."""
        together = math.ceil(len(timeline.arrivals) / MOST_POINTS)
        starts = np.arange(0, len(timeline.arrivals), together)
        lengths = np.diff(np.append(starts, len(timeline.arrivals)))

        def means(values: Floats) -> tuple[float, ...]:
            return tuple((np.add.reduceat(values, starts) / lengths).tolist())

        def highest(values: Floats) -> tuple[float, ...]:
            return tuple(np.maximum.reduceat(values, starts).tolist())

        fleet = timeline.fleet
        came = np.add.reduceat(timeline.arrivals, starts)
        good = np.add.reduceat(timeline.arrivals * timeline.good_ratio, starts)
        shares = np.divide(good, came, out=np.ones_like(good), where=came > 0)
        return cls(
            step_s=together * timeline.step_s,
            rate_rps=means(timeline.arrivals / timeline.step_s),
            replicas=means(timeline.replicas),
            utilization_ratio=means(timeline.utilization_ratio),
            latency_s=highest(timeline.latency_s),
            good_ratio=tuple(shares.tolist()),
            fleet=None
            if fleet is None
            else FleetCourse(
                paid=means(fleet.paid), p50_s=highest(fleet.p50_s), p99_s=highest(fleet.p99_s)
            ),
        )


class Way(_Frozen):
    """One way to serve, simulated. Ranges: a median with an 80 % interval, over draws.

    name: of the ways compared, or what the command calls it. option: what is bought. text: how
    much of it, and when. policy: None where nothing scales instances. good_ratio: of all requests,
    within the objective's limit. probability: that this share reaches the objective's quantile;
    meets: as surely as was asked for. at_best: part of it is idealised, so that it may cost more.
    items: of the bill in the middle; usd_per_month is their sum. usd_per_million_good: None where
    nothing was good. worst_hour, replicas_mean, replicas_most: None where nobody looked.
    """

    name: str
    option: str
    text: str
    policy: PolicyFacts | None
    usd_per_month: str
    usd_per_month_range: Range
    usd_per_million: float
    usd_per_million_good: float | None
    good_ratio: Range
    probability: float
    meets: bool
    at_best: bool
    failed_ratio: float
    throttled_ratio: float
    worst_hour: WorstHour | None
    replicas_mean: float | None
    replicas_most: int | None
    items: tuple[CostItem, ...]
    notes: tuple[str, ...] = ()
    course: Course | None = None


class MissingWay(_Frozen):
    """A way that was not simulated, and why."""

    name: str
    reason: str
    hint: str | None = None


class ZonePlanFacts(_Frozen):
    """A fixed fleet spread over so many zones: losing one keeps the SLO from two on.

    lost_ratio: of the requests that come while the fullest zone is gone.
    """

    zones: int
    replicas: int
    usd_per_month: float
    extra_usd_per_month: float
    lost_ratio: float


class Deployable(_Frozen):
    """Bodies for Application Auto Scaling, with the names of endpoint and variant to fill in."""

    register_scalable_target: dict[str, str | int]
    put_scaling_policy: dict[str, object]


class TrafficTraceFacts(_Frozen):
    text: str
    duration_s: float
    step_s: float
    start: str | None
    mean_rps: float
    peak_rps: float
    spread_ratio: float


class SimulationReport(_Frozen):
    """ways: those that surely meet the objective first, each kind by what it costs.

    missing: ways that had no ground. meets: whether the first of the ways reaches the objective
    with the confidence asked for; explanation: why it was chosen. deploy: the policy of the first
    that meets it and scales. break_even: None where fewer than two ways meet the objective.
    """

    format: Literal[1] = 1
    run: str
    created_at: str
    region: str
    objective: str
    confidence: float
    traffic: TrafficTraceFacts
    ways: tuple[Way, ...]
    missing: tuple[MissingWay, ...] = ()
    zones: tuple[ZonePlanFacts, ...] = ()
    break_even: BreakEvenFacts | None = None
    meets: bool
    explanation: tuple[str, ...] = ()
    deploy: Deployable | None = None
    assumptions: tuple[str, ...] = ()


def way_of(found: Found, market: Market) -> Way:
    outcome, prices = found.outcome, found.prices
    bill, requests = outcome.bill(prices), outcome.requests
    good = median_of(outcome.usd_per_million(prices, only_good=True))
    arrivals = float(requests.arrivals.sum())
    timeline, most = outcome.timeline, outcome.most_replicas
    probability = found.probability(market.quantile)
    return Way(
        name=found.name,
        option=found.option,
        text=found.text,
        policy=None if found.policy is None else facts_of(found.policy),
        usd_per_month=amount_text(bill.usd_per_month),
        usd_per_month_range=range_of(outcome.usd_per_month(prices)),
        usd_per_million=median_of(outcome.usd_per_million(prices, only_good=False)),
        usd_per_million_good=good if math.isfinite(good) else None,
        good_ratio=range_of(requests.attainment),
        probability=probability,
        meets=probability >= market.confidence,
        at_best=found.at_best,
        failed_ratio=float(requests.failed.sum()) / arrivals,
        throttled_ratio=float(requests.throttled.sum()) / arrivals,
        worst_hour=None if timeline is None else WorstHour.of(timeline),
        replicas_mean=_mean_replicas(outcome) if most is not None else None,
        replicas_most=None if most is None else int(most.max()),
        items=tuple(item.told for item in bill.items),
        notes=found.notes,
        course=None if timeline is None else Course.of(timeline),
    )


def _mean_replicas(outcome: Outcome) -> float:
    return median_of(outcome.usage[0].amount) / (outcome.duration_s / HOUR_S)


def report(market: Market, ways: tuple[Way, ...], now: datetime) -> SimulationReport:
    """ways: in the order in which they are to be shown, one at least."""
    terms, trace = market.terms, market.terms.trace
    return SimulationReport(
        run=market.run.id or "",
        created_at=now.isoformat(timespec="seconds"),
        region=market.demand.constraints.region,
        objective=tightest(market.demand.objectives).text,
        confidence=market.confidence,
        traffic=TrafficTraceFacts(
            text=terms.traffic_text,
            duration_s=trace.duration_s,
            step_s=trace.step_s,
            start=None if trace.start is None else trace.start.isoformat(),
            mean_rps=trace.mean_rps,
            peak_rps=trace.peak_rps,
            spread_ratio=terms.spread_ratio,
        ),
        ways=ways,
        meets=ways[0].meets,
        assumptions=_assumptions(market),
    )


def in_order(ways: Iterable[Way]) -> tuple[Way, ...]:
    """Those that surely meet the objective, then those that do at best, then the others."""

    def place(way: Way) -> tuple[bool, bool, float]:
        return not way.meets, way.at_best, float(way.usd_per_month)

    return tuple(sorted(ways, key=place))


def _assumptions(market: Market) -> tuple[str, ...]:
    terms, timing = market.terms, market.terms.timing
    return (
        (
            f"An instance serves {terms.instance_start_s:.0f} s, and the container's own start, "
            "after it is asked for, and is paid for from then on."
        ),
        (
            f"A metric is known {timing.metric_delay_s:.0f} s late; {timing.datapoints_out} "
            f"datapoints above the target scale out, {timing.datapoints_in} below "
            f"{timing.scale_in_ratio:.0%} of it scale in."
        ),
        (
            "Requests go to instances at random; one that would wait longer than "
            f"{ANSWER_LIMIT_S:.0f} s fails."
        ),
        "A month is like the time simulated, over and over.",
        "Burstable machines are taken at what they sustain: credits are not simulated.",
        (
            f"Serverless: an idle instance goes after {IDLE_RECLAIM_S / 60:.0f} min, and "
            f"{MIB_PER_VCPU} MiB come with a vCPU: AWS states neither."
        ),
    )
