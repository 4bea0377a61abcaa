"""A recommendation in words: the verdict, which rows to show, and what stood in the way."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from recommender.recommendation import RejectReason

if TYPE_CHECKING:
    from recommender.recommendation import Candidate, Option, Recommendation, Rejected

__all__ = [
    "REASONS",
    "Selection",
    "group_of",
    "rejected_by_reason",
    "select",
    "usd",
    "verdict",
]

PER_GROUP = 3

REASONS = {
    RejectReason.MISSES_SLO: "miss the SLO",
    RejectReason.NEEDS_MEASUREMENT: "need a measurement",
    RejectReason.NO_PRICE: "have no price",
    RejectReason.RETIRED: "are retired",
    RejectReason.ARCHITECTURE: "are of another architecture",
    RejectReason.MEMORY: "have too little memory",
    RejectReason.LIMIT: "exceed a limit of the service",
    RejectReason.INCONCLUSIVE: "cannot be judged by so few requests",
}


@dataclass(frozen=True, slots=True)
class Selection:
    """The cheapest `top`, and of each way to buy the cheapest three; or all of them."""

    top: int = 5
    show_all: bool = False


def group_of(option: Option) -> str:
    match option.platform:
        case "sagemaker":
            return "SageMaker real-time"
        case "serverless":
            return "SageMaker serverless"
        case "ec2":
            return "EC2 spot" if option.purchase == "spot" else "EC2 on-demand"


def select(ranked: tuple[Candidate, ...], selection: Selection) -> tuple[Candidate, ...]:
    if selection.show_all:
        return ranked
    seen: Counter[str] = Counter()
    kept = []
    for each in ranked:
        group = group_of(each.option)
        if each.rank <= selection.top or seen[group] < PER_GROUP:
            kept.append(each)
            seen[group] += 1
    return tuple(kept)


def verdict(recommendation: Recommendation) -> tuple[str, ...]:
    """The answer in a sentence or three."""
    best = recommendation.best
    if best is None:
        return _no_answer(recommendation)
    demand = recommendation.demand
    sentences = [
        f"{_named(best.option)} serves {demand.traffic.text} at {demand.slo} for "
        f"{usd(best.cost.usd_per_month)} a month ({usd(best.cost.usd_per_million)} a million "
        f"requests); {best.probability_best:.0%} sure it is the cheapest."
    ]
    managed = next((each for each in recommendation.ranked if each.option.platform != "ec2"), None)
    if managed is not None and managed is not best:
        sentences.append(
            f"Cheapest on SageMaker: {_named(managed.option)}, {usd(managed.cost.usd_per_month)} a month."
        )
    steady = next(
        (each for each in recommendation.ranked if each.option.purchase == "on-demand"), None
    )
    if steady is not None and steady is not best and steady is not managed:
        sentences.append(
            f"Cheapest that is never reclaimed: {_named(steady.option)}, "
            f"{usd(steady.cost.usd_per_month)} a month."
        )
    return tuple(sentences)


def rejected_by_reason(recommendation: Recommendation) -> dict[RejectReason, tuple[Rejected, ...]]:
    """Most frequent first."""
    counts = Counter(each.reason for each in recommendation.rejected)
    return {
        reason: tuple(each for each in recommendation.rejected if each.reason is reason)
        for reason, _ in counts.most_common()
    }


def usd(text: str) -> str:
    """Dollars to three significant digits or to the cent, whichever says more."""
    value = float(text)
    if value >= 100:  # noqa: PLR2004 - cents say nothing any more
        return f"${value:,.0f}"
    return f"${value:.2f}" if value >= 1 else f"${value:.3g}"


def _named(option: Option) -> str:
    return f"{option.text} ({group_of(option)}, {option.region})"


def _no_answer(recommendation: Recommendation) -> tuple[str, ...]:
    """What came nearest, so that the next question can be a better one."""
    demand = recommendation.demand
    said = [f"Nothing serves {demand.traffic.text} at {demand.slo}."]
    missed = [
        each
        for each in recommendation.rejected
        if each.reason in (RejectReason.MISSES_SLO, RejectReason.INCONCLUSIVE)
    ]
    if missed:
        nearest = missed[0]
        said.append(f"For example {nearest.option.text}: {nearest.detail}.")
    sizes = recommendation.evidence.sizes
    if sizes:
        fastest = min(sizes, key=lambda size: size.service_mean_s)
        said.append(
            f"On this machine, at {fastest.vcpus:g} vCPU, one request alone takes "
            f"{fastest.service_mean_s * 1e3:.3g} ms on average."
        )
    if any(each.reason is RejectReason.INCONCLUSIVE for each in missed):
        said.append("Measure for longer: --measure-s 60.")
    return tuple(said)
