"""A recommendation in words: the verdict, which rows to show, and what stood in the way."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from decimal import Decimal
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
    RejectReason.UNCERTAIN: "may meet the SLO, not surely enough",
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
    best, demand = recommendation.best, recommendation.demand
    if best is None:
        return _no_answer(recommendation)
    answer = (
        f"{_named(best.option)} serves {demand.traffic.text} at {demand.slo} for "
        f"{usd(best.cost.usd_per_month)} a month ({usd(best.cost.usd_per_million)} a million "
        f"requests); {best.probability_best:.0%} sure it is the cheapest."
    )
    ranked = recommendation.ranked
    managed = next((each for each in ranked if each.option.platform != "ec2"), None)
    steady = next((each for each in ranked if each.option.purchase == "on-demand"), None)
    also = {best.rank}
    sentences = [answer]
    for what, each in (("on SageMaker", managed), ("that is never reclaimed", steady)):
        if each is None or each.rank in also:
            continue
        also.add(each.rank)
        price = usd(each.cost.usd_per_month)
        sentences.append(f"Cheapest {what}: {_named(each.option)}, {price} a month.")
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
    if value >= 1:
        return f"${value:.2f}"
    return f"${Decimal(f'{value:.3g}'):f}"


def _named(option: Option) -> str:
    return f"{option.text} ({group_of(option)}, {option.region})"


def _no_answer(recommendation: Recommendation) -> tuple[str, ...]:
    """How near the best came, so that the next question can be a better one."""
    demand = recommendation.demand
    said = [f"Nothing serves {demand.traffic.text} at {demand.slo}."]
    if not recommendation.rejected:
        said.append(f"The price book has no offer in {demand.constraints.region} as asked for.")
        return tuple(said)
    unproven = next(
        (each for each in recommendation.rejected if each.reason is RejectReason.INCONCLUSIVE),
        None,
    )
    nearest = _nearest_miss(recommendation)
    if unproven is not None:
        said.append(f"{_sentence(unproven.detail)} {_sentence(unproven.remedy or '')}".strip())
    elif nearest is not None:
        said.append(f"Nearest: {_named(nearest.option)}, where {nearest.detail}.")
    sizes = recommendation.evidence.sizes
    if sizes and nearest is not None:
        fastest = min(sizes, key=lambda size: size.service_mean_s)
        said.append(
            f"Where it was measured, at {fastest.vcpus:g} vCPU, one request alone takes "
            f"{fastest.service_mean_s * 1e3:.3g} ms on average."
        )
    return tuple(said)


def _nearest_miss(recommendation: Recommendation) -> Rejected | None:
    """The one that would need the least more; of a latency nobody knows, none."""
    missed = [
        each
        for each in recommendation.rejected
        if each.reason in (RejectReason.MISSES_SLO, RejectReason.UNCERTAIN)
    ]
    return max(
        missed,
        key=lambda each: float("-inf") if each.margin_ratio is None else each.margin_ratio,
        default=None,
    )


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}." if text else ""
