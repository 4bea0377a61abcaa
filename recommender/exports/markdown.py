"""The answer as Markdown, for a pull request or a wiki."""

from __future__ import annotations

from typing import TYPE_CHECKING

from recommender.explain import (
    REASONS,
    age_text,
    group_of,
    interval_ms,
    regret_text,
    rejected_by_reason,
    select,
    usd,
    verdict,
)

if TYPE_CHECKING:
    from recommender.explain import Selection
    from recommender.recommendation import Recommendation

__all__ = ["escaped", "to_markdown"]


def to_markdown(recommendation: Recommendation, selection: Selection) -> str:
    first, *more = verdict(recommendation)
    lines = ["# Recommendation", "", f"**{escaped(first)}**", "", *map(escaped, more), ""]
    if recommendation.ranked:
        lines += _ranked(recommendation, selection)
    worth = recommendation.value_of_measuring
    if worth is not None and worth.best is not None:
        lines += ["", "## Measure next", "", f"`{worth.best.command}`"]
    lines += ["", "## Not ranked", ""]
    for reason, found in rejected_by_reason(recommendation).items():
        example = found[0]
        name = example.option.instance_type or example.option.accelerator or example.option.text
        lines.append(f"- {len(found)} {REASONS[reason]}, e.g. {name}: {escaped(example.detail)}")
    lines += ["", "## Assumed", ""]
    lines += [f"- {escaped(each)}" for each in recommendation.assumptions]
    evidence, cost = recommendation.evidence, recommendation.cost_of_measuring
    lines += ["", "## Evidence", ""]
    lines += [
        f"- {each.key}: {each.load}, {each.requests} requests, "
        f"{each.throughput_rps:.4g} req/s, {each.validity}"
        for each in evidence.measurements
    ]
    lines += [
        f"- price book {evidence.price_book.name}, {age_text(evidence.price_book)}",
        f"- measured in {cost.seconds:.0f} s with {cost.requests:,} requests, for ${cost.usd}",
    ]
    return "\n".join(lines) + "\n"


def _ranked(recommendation: Recommendation, selection: Selection) -> list[str]:
    quantile = recommendation.ranked[0].performance.interval_quantile
    lines = [
        (
            f"| # | option | bought as | $/month | $/million | p{quantile * 100:g} ms (80 %) "
            "| best | regret | known by |"
        ),
        "|--:|---|---|--:|--:|--:|--:|--:|---|",
    ]
    lines += [
        f"| {each.rank} | {each.option.text}{' ★' if each.frontier else ''} "
        f"| {group_of(each.option)} "
        f"| {usd(each.cost.usd_per_month)} | {usd(each.cost.usd_per_million)} "
        f"| {interval_ms(each.performance)} | {each.probability_best:.0%} | {regret_text(each)} "
        f"| {each.performance.basis.value} |"
        for each in select(recommendation.ranked, selection)
    ]
    return lines


def escaped(text: str) -> str:
    """Data must not become markup."""
    for character in "\\`*_|<>":
        text = text.replace(character, f"\\{character}")
    return text
