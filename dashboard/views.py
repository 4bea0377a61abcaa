"""What each page shows, in words and figures ready to be read. Pure; decides nothing.

Anything that is not known is said so with its reason, where the figure would have stood.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from dashboard import format as fmt
from dashboard.bill import Bill, bill_view
from dashboard.evidence import EvidenceView, evidence_view
from recommender.explain import REASONS, group_of, rejected_by_reason, verdict
from recommender.store import RunStatus

if TYPE_CHECKING:
    from recommender.recommendation import (
        Candidate,
        ObjectiveVerdict,
        Recommendation,
        Rejected,
        RejectReason,
        ValueOfMeasuring,
    )
    from recommender.store import Run

__all__ = [
    "FEW_REMEDIES",
    "RESUMABLE",
    "Card",
    "NextStep",
    "ObjectiveLine",
    "RankedRow",
    "RecommendationView",
    "RejectedGroup",
    "RejectedLine",
    "RunRow",
    "UnfinishedView",
    "objective_judged",
    "recommendation_view",
    "run_row",
    "unfinished_view",
]

GO_ON = {
    RunStatus.CREATED: "It waits for a process to take it on.",
    RunStatus.RUNNING: "It is being measured now; the recommendation appears here by itself.",
    RunStatus.FINISHED: "It ended without one.",
    RunStatus.FAILED: "It failed before there was enough to rank.",
    RunStatus.STOPPED: "It was stopped before there was enough to rank.",
    RunStatus.INTERRUPTED: "Its process is gone; what it had finished measuring is kept.",
}
RESUMABLE = (RunStatus.FAILED, RunStatus.STOPPED, RunStatus.INTERRUPTED, RunStatus.CREATED)

FEW_REMEDIES = 2
KINDS = {"quick": "recommendation", "loadtest": "load test"}


class RunRow(NamedTuple):
    id: str
    kind: str
    status: str
    created: str
    took: str
    measured: str
    error: str | None


class Card(NamedTuple):
    """interval: where the figure may lie, in words; note: what it is of."""

    title: str
    value: str
    interval: str
    note: str


@dataclass(frozen=True, slots=True)
class RankedRow:
    """A candidate in text, and the figures that its columns are sorted by."""

    rank: int
    option: str
    group: str
    basis: str
    is_on_frontier: bool
    usd_per_month: str
    usd_per_million: str
    latency: str
    latency_interval: str
    capacity: str
    capacity_interval: str
    utilization: str
    probability_best: str
    notes: tuple[str, ...]
    month_usd: float
    million_usd: float
    latency_ms: float
    capacity_rps: float
    busy_percent: float
    best_percent: float


class NextStep(NamedTuple):
    """A measurement that would make the answer surer."""

    said: str
    command: str


class ObjectiveLine(NamedTuple):
    objective: str
    verdict: str
    probability: str
    margin: str


class RejectedLine(NamedTuple):
    """options: all those of which the same was found, bought the same way."""

    detail: str
    group: str
    options: str


class RejectedGroup(NamedTuple):
    """remedies: the commonest first, FEW_REMEDIES of which are shown at once."""

    title: str
    lines: tuple[RejectedLine, ...]
    remedies: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class RecommendationView:
    """bill is None when nothing could be ranked."""

    run: str
    asked: tuple[tuple[str, str], ...]
    verdict: tuple[str, ...]
    cards: tuple[Card, ...]
    quantile: str
    rows: tuple[RankedRow, ...]
    groups: tuple[tuple[str, int], ...]
    bill: Bill | None
    surer: tuple[NextStep, ...]
    objectives: tuple[ObjectiveLine, ...]
    rejected: tuple[RejectedGroup, ...]
    rejected_count: int
    evidence: EvidenceView
    assumptions: tuple[str, ...]
    measuring: str


@dataclass(frozen=True, slots=True)
class UnfinishedView:
    """A run without a recommendation. command: what goes on with it, if anything does."""

    run: RunRow
    said: str
    kept: str
    command: str | None


def run_row(run: Run) -> RunRow:
    finished = run.finished_at
    took = (
        fmt.not_measured("it has not ended")
        if finished is None
        else fmt.took((finished - run.created_at).total_seconds())
    )
    return RunRow(
        id=run.id,
        kind=KINDS.get(run.kind, run.kind),
        status=run.status.lower(),
        created=fmt.stamp(run.created_at),
        took=took,
        measured=run.label or "not named",
        error=run.error,
    )


def unfinished_view(run: Run, kept: int) -> UnfinishedView:
    resumable = run.status in RESUMABLE
    return UnfinishedView(
        run=run_row(run),
        said=GO_ON[run.status],
        kept=f"{fmt.count(kept)} finished measurements are kept.",
        command=f"recommender quick --resume {run.id}" if resumable else None,
    )


def recommendation_view(recommendation: Recommendation) -> RecommendationView:
    rows = tuple(_row(each) for each in recommendation.ranked)
    best = recommendation.best
    quantile, _ = objective_judged(recommendation)
    cost = recommendation.cost_of_measuring
    return RecommendationView(
        run=recommendation.run or "not stored",
        asked=_asked(recommendation),
        verdict=_verdict(recommendation),
        cards=() if best is None else _cards(best, recommendation, quantile),
        quantile=quantile,
        rows=rows,
        groups=_groups(rows),
        bill=None if best is None else bill_view(best),
        surer=_surer(recommendation.value_of_measuring),
        objectives=() if best is None else tuple(map(_objective, best.verdicts)),
        rejected=_rejected(recommendation),
        rejected_count=len(recommendation.rejected),
        evidence=evidence_view(recommendation.evidence),
        assumptions=recommendation.assumptions,
        measuring=(
            f"Measuring took {fmt.took(cost.seconds)} and {fmt.count(cost.requests)} requests, "
            f"and cost {fmt.usd(cost.usd)}."
        ),
    )


def objective_judged(recommendation: Recommendation) -> tuple[str, float]:
    """The quantile that `Performance.interval` is of, as people write it, and its limit in s."""
    objectives = recommendation.demand.objectives.latency
    highest = max(objectives, key=lambda each: (each.quantile, -each.limit_s))
    return f"p{highest.quantile * 100:.6g}", highest.limit_s


def _verdict(recommendation: Recommendation) -> tuple[str, ...]:
    first, *more = verdict(recommendation)
    return (first, *_runner_up(recommendation.ranked), *more)


def _runner_up(ranked: tuple[Candidate, ...]) -> tuple[str, ...]:
    """By how much the second best costs more."""
    if len(ranked) < 2:  # noqa: PLR2004 - there is no second
        return ()
    best, second = ranked[:2]
    more = float(second.cost.usd_per_month) / float(best.cost.usd_per_month) - 1
    costs = "the same" if more == 0 else f"{fmt.percent(more)} more"
    return (f"Second best costs {costs}: {second.option.text} ({group_of(second.option)}).",)


def _asked(recommendation: Recommendation) -> tuple[tuple[str, str], ...]:
    demand = recommendation.demand
    constraints = demand.constraints
    return (
        ("traffic", demand.traffic.text),
        ("objective", demand.slo),
        ("region", constraints.region),
        ("headroom", fmt.percent(constraints.headroom_ratio)),
        ("zones", str(constraints.zones)),
        ("confidence", fmt.percent(constraints.confidence)),
    )


def _cards(best: Candidate, recommendation: Recommendation, quantile: str) -> tuple[Card, ...]:
    performance, traffic = best.performance, recommendation.demand.traffic
    interval, capacity = performance.interval, performance.capacity_rps
    estimate = "estimated price" if performance.price_basis == "derived" else "reported price"
    return (
        Card(
            "Cost per month",
            fmt.usd(best.cost.usd_per_month),
            f"{fmt.usd(best.cost.usd_per_hour)} an hour",
            f"{fmt.usd(best.cost.usd_per_million)} a million requests, {estimate}",
        ),
        Card(
            f"{quantile} latency at peak",
            fmt.duration(interval.median),
            fmt.duration_range(interval.low, interval.high),
            f"{fmt.INTERVAL}, {performance.basis.value}",
        ),
        Card(
            "Capacity of the fleet",
            fmt.rate(capacity.median),
            fmt.rate_range(capacity.low, capacity.high),
            f"{fmt.INTERVAL}; peak traffic is {fmt.rate(traffic.peak_rps)}",
        ),
        Card(
            "Sure it is the cheapest",
            fmt.probability(best.probability_best),
            f"in {fmt.count(recommendation.evidence.model.draws)} draws",
            "share in which it costs least and meets the SLO",
        ),
    )


def _row(each: Candidate) -> RankedRow:
    performance, cost = each.performance, each.cost
    capacity = performance.capacity_rps
    mark = "~" if performance.price_basis == "derived" else ""
    return RankedRow(
        rank=each.rank,
        option=each.option.text,
        group=group_of(each.option),
        basis=performance.basis.value,
        is_on_frontier=each.frontier,
        usd_per_month=mark + fmt.usd(cost.usd_per_month),
        usd_per_million=mark + fmt.usd(cost.usd_per_million),
        latency=fmt.duration(performance.interval.median),
        latency_interval=fmt.duration_range(performance.interval.low, performance.interval.high),
        capacity=fmt.rate(capacity.median),
        capacity_interval=fmt.rate_range(capacity.low, capacity.high),
        utilization=fmt.percent(performance.utilization_ratio),
        probability_best=fmt.probability(each.probability_best),
        notes=each.notes,
        month_usd=float(cost.usd_per_month),
        million_usd=float(cost.usd_per_million),
        latency_ms=round(performance.interval.median * 1e3, 3),
        capacity_rps=round(capacity.median, 3),
        busy_percent=round(performance.utilization_ratio * 100, 2),
        best_percent=round(each.probability_best * 100, 2),
    )


def _groups(rows: tuple[RankedRow, ...]) -> tuple[tuple[str, int], ...]:
    """Ways to buy, each with its number of rows, in the order they first appear."""
    counts: dict[str, int] = {}
    for row in rows:
        counts[row.group] = counts.get(row.group, 0) + 1
    return tuple(counts.items())


def _surer(worth: ValueOfMeasuring | None) -> tuple[NextStep, ...]:
    """Nothing where no measurement is worth its cost."""
    if worth is None or worth.best is None:
        return ()
    return tuple(
        NextStep(
            f"{each.instance_type}: about {each.minutes:.0f} minutes, {fmt.usd(each.usd)}; "
            f"{fmt.probability(each.probability_changes_answer)} likely to change the answer",
            each.command,
        )
        for each in (worth.best, *worth.others)
    )


def _objective(found: ObjectiveVerdict) -> ObjectiveLine:
    return ObjectiveLine(
        objective=found.objective,
        verdict=found.verdict.value,
        probability="not estimated"
        if found.probability is None
        else fmt.probability(found.probability),
        margin="not known" if found.margin_ratio is None else fmt.percent(found.margin_ratio),
    )


def _rejected(recommendation: Recommendation) -> tuple[RejectedGroup, ...]:
    return tuple(
        _rejected_group(reason, found)
        for reason, found in rejected_by_reason(recommendation).items()
    )


def _rejected_group(reason: RejectReason, found: tuple[Rejected, ...]) -> RejectedGroup:
    alike: dict[tuple[str, str], list[str]] = {}
    for each in found:
        name = each.option.instance_type or each.option.accelerator or each.option.text
        alike.setdefault((each.detail, group_of(each.option)), []).append(name)
    lines = tuple(
        RejectedLine(detail, group, ", ".join(dict.fromkeys(names)))
        for (detail, group), names in alike.items()
    )
    remedies = Counter(each.remedy for each in found if each.remedy)
    common = tuple(remedy for remedy, _ in remedies.most_common())
    return RejectedGroup(f"{fmt.count(len(found))} {REASONS[reason]}", lines, common)
