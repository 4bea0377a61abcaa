"""A recommendation in words: the verdict, which rows to show, and what stood in the way."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING

from pricing import STALE_DAYS
from recommender.recommendation import RejectReason

if TYPE_CHECKING:
    from recommender.recommendation import (
        Candidate,
        Option,
        Performance,
        PriceBookFacts,
        Recommendation,
        Rejected,
    )

__all__ = [
    "REASONS",
    "Selection",
    "age_text",
    "group_of",
    "interval_ms",
    "probability_text",
    "regret_text",
    "rejected_by_reason",
    "select",
    "two_digits",
    "usd",
    "verdict",
    "what_to_measure",
]

PER_GROUP = 3
LEAST_SHARE = 0.01

REASONS = {
    RejectReason.MISSES_SLO: "miss the SLO",
    RejectReason.UNCERTAIN: "may meet the SLO, not surely enough",
    RejectReason.NEEDS_MEASUREMENT: "need a measurement",
    RejectReason.NO_PRICE: "have no price",
    RejectReason.RETIRED: "are retired",
    RejectReason.ARCHITECTURE: "are of another architecture",
    RejectReason.MEMORY: "have too little memory",
    RejectReason.LIMIT: "exceed a limit",
    RejectReason.INCONCLUSIVE: "cannot be judged by so few requests",
    RejectReason.OUT_OF_RANGE: "are too far from what was measured",
}

MANAGED = ("sagemaker", "serverless")


@dataclass(frozen=True, slots=True)
class Selection:
    """The cheapest `top`, and of each way to buy the cheapest three; or all of them."""

    top: int = 5
    show_all: bool = False


def group_of(option: Option) -> str:
    match option.platform:
        case "sagemaker" if option.purchase == "savings-plan":
            return "SageMaker savings plan"
        case "sagemaker":
            return "SageMaker real-time"
        case "serverless":
            return "SageMaker serverless"
        case "ec2":
            return f"EC2 {option.purchase.replace('-plan', ' plan')}"
        case "own":
            return "your own"


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
        f"requests); {probability_text(best.probability_best)} sure it is the cheapest"
        f"{_regret(best)}."
    )
    ranked = recommendation.ranked
    managed = next((each for each in ranked if each.option.platform in MANAGED), None)
    steady = next((each for each in ranked if each.option.purchase != "spot"), None)
    also = {best.rank}
    sentences = [answer]
    for what, each in (("on SageMaker", managed), ("that is never reclaimed", steady)):
        if each is None or each.rank in also:
            continue
        also.add(each.rank)
        price = usd(each.cost.usd_per_month)
        sentences.append(f"Cheapest {what}: {_named(each.option)}, {price} a month.")
    return (*sentences, *what_to_measure(recommendation))


def what_to_measure(recommendation: Recommendation) -> tuple[str, ...]:
    """One sentence; none where no measurement could find anything, or none was looked for."""
    worth = recommendation.value_of_measuring
    if worth is None:
        return ()
    if worth.best is None:
        return ("No further measurement is worth its cost: the answer would hardly change.",)
    found = worth.best
    saving = found.expected_saving_usd_per_month
    saves = "" if saving is None else f", and saves {usd(saving)} a month on average"
    sentence = (
        f"Measure {found.instance_type} next (about {found.minutes:.0f} minutes, "
        f"{usd(found.usd)}): it could change the answer with probability "
        f"{found.probability_changes_answer:.0%}{saves}."
    )
    return (sentence,)


def _regret(best: Candidate) -> str:
    regret = best.expected_regret_usd_per_month
    return "" if regret is None else f"; expected regret {usd(regret)} a month"


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


def interval_ms(performance: Performance) -> str:
    """Of its latency quantile: the median, and between which it lies with 80 %."""
    found = performance.interval
    high = "∞" if found.high is None else two_digits(found.high * 1e3)
    return f"{two_digits(found.median * 1e3)} ({two_digits(found.low * 1e3)} to {high})"


def regret_text(each: Candidate) -> str:
    regret = each.expected_regret_usd_per_month
    return "?" if regret is None else usd(regret)


def two_digits(value: float) -> str:
    """Two significant digits: more are not known."""
    rounded = float(f"{value:.2g}")
    return f"{rounded:,.0f}" if rounded >= 10 else f"{rounded:g}"  # noqa: PLR2004


def probability_text(share: float) -> str:
    """Never a certainty: the share is of finitely many draws."""
    if share < LEAST_SHARE:
        return "<1%"
    return ">99%" if share > 1 - LEAST_SHARE else f"{share:.0%}"


def age_text(book: PriceBookFacts) -> str:
    moved = ", prices may have moved since" if book.age_days > STALE_DAYS else ""
    return f"{book.age_days} days old{moved}"


def _named(option: Option) -> str:
    where = "" if option.platform == "own" else f", {option.region}"
    return f"{option.text} ({group_of(option)}{where})"


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
    return (*said, *what_to_measure(recommendation))


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
