"""Why an option is not ranked, and what would change that."""

from __future__ import annotations

from typing import TYPE_CHECKING

from recommender.explain import REASONS, group_of, usd
from recommender.explanation.document import Section, Statement
from recommender.explanation.ranked import named
from recommender.recommendation import RejectReason

if TYPE_CHECKING:
    from collections.abc import Iterator

    from recommender.explanation.document import Figures
    from recommender.explanation.grounds import Grounds
    from recommender.recommendation import Rejected

__all__ = ["name_of", "nothing_serves", "refused_sections"]

PREDICTED = (
    RejectReason.MISSES_SLO,
    RejectReason.UNCERTAIN,
    RejectReason.MEMORY,
    RejectReason.OUT_OF_RANGE,
)


def name_of(rejected: Rejected) -> str:
    option = rejected.option
    what = option.instance_type or option.accelerator or option.text
    return f"{what} ({group_of(option)})"


def refused_sections(grounds: Grounds, rejected: Rejected) -> tuple[Section, ...]:
    told = (
        ("Why it is not ranked", _why(grounds, rejected)),
        ("What would change it", _remedy(grounds, rejected)),
    )
    sections = (Section(title=title, statements=tuple(said)) for title, said in told)
    return tuple(each for each in sections if each.statements)


def nothing_serves(grounds: Grounds) -> Section:
    """The first of each reason; they are kept nearest first."""
    seen: dict[RejectReason, list[Rejected]] = {}
    for each in grounds.recommendation.rejected:
        seen.setdefault(each.reason, []).append(each)
    return Section(
        title="Why nothing is ranked",
        statements=tuple(
            Statement(
                text=f"{len(found)} {REASONS[reason]}, first {name_of(found[0])}: "
                f"{found[0].detail}.",
                sources=_sources(grounds, found[0]),
                figures={"options": float(len(found))},
            )
            for reason, found in seen.items()
        ),
    )


def _why(grounds: Grounds, rejected: Rejected) -> Iterator[Statement]:
    figures: Figures = {}
    margin = ""
    if rejected.margin_ratio is not None:
        figures["margin_ratio"] = rejected.margin_ratio
        more = "over the limit" if rejected.margin_ratio < 0 else "of the limit left"
        margin = f" ({abs(rejected.margin_ratio):.0%} {more})"
    yield Statement(
        text=f"{rejected.reason.value}: {rejected.detail}{margin}.",
        sources=_sources(grounds, rejected),
        figures=figures,
    )


def _remedy(grounds: Grounds, rejected: Rejected) -> Iterator[Statement]:
    recommendation, margin = grounds.recommendation, rejected.margin_ratio
    if margin is not None and margin < 0:
        yield Statement(
            text=f"A limit about {1 - margin:.3g} times as high would be met.",
            sources=_sources(grounds, rejected),
            figures={"margin_ratio": margin},
        )
    if rejected.remedy is not None:
        yield Statement(text=f"How: {rejected.remedy}", sources=_sources(grounds, rejected))
    worth = recommendation.value_of_measuring
    known = () if worth is None else tuple(filter(None, (worth.best, *worth.others)))
    bare = (rejected.option.instance_type or "").removeprefix("ml.")
    for each in known:
        if each.instance_type == bare:
            yield Statement(
                text=f"Measuring it ({usd(each.usd)}) changes the answer with a probability of "
                f"{each.probability_changes_answer:.0%}: {each.command}",
                sources=(*grounds.measurements(), grounds.model(), grounds.rent(bare)),
                figures={
                    "usd": each.usd,
                    "probability_changes_answer": each.probability_changes_answer,
                },
            )
    best = recommendation.best
    if best is not None:
        yield Statement(
            text=f"What is ranked first instead: {named(best)}, "
            f"{usd(best.cost.usd_per_month)} a month.",
            sources=(grounds.price(best), grounds.traffic()),
            figures={"usd_per_month": best.cost.usd_per_month},
        )


def _sources(grounds: Grounds, rejected: Rejected) -> tuple[str, ...]:
    """Every reason has its own kind of ground."""
    reason = rejected.reason
    if reason in PREDICTED:
        shown = (*grounds.measurements(), grounds.model(), grounds.catalogue())
        is_memory = reason is RejectReason.MEMORY
        return shown if is_memory else (*shown, grounds.slo(), grounds.traffic())
    match reason:
        case RejectReason.INCONCLUSIVE:
            return (*grounds.measurements(), grounds.slo())
        case RejectReason.LIMIT:
            return (*grounds.measurements(), grounds.workload(), grounds.limits())
        case RejectReason.NO_PRICE | RejectReason.RETIRED:
            return (grounds.prices(),)
        case _:
            return (grounds.catalogue(), grounds.constraints())
