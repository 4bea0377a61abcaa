"""Cheapest first; how probable it is that each is the best; which ones nothing dominates."""

from __future__ import annotations

import re
from math import inf
from typing import TYPE_CHECKING

import numpy as np

from recommender.cost import per_million, to_billionths
from recommender.recommendation import Candidate, Cost, CostItem, RejectReason

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from decimal import Decimal

    from numpy.typing import NDArray

    from recommender.demand import TrafficFacts
    from recommender.evaluation import Evaluated
    from recommender.recommendation import Option, Rejected

__all__ = ["frontier", "nearest_first", "probabilities_best", "rank"]

# What a little more measuring, or a little less asking, would change comes first.
REASON_ORDER = (
    RejectReason.INCONCLUSIVE,
    RejectReason.UNCERTAIN,
    RejectReason.MISSES_SLO,
    RejectReason.MEMORY,
    RejectReason.LIMIT,
    RejectReason.NEEDS_MEASUREMENT,
    RejectReason.ARCHITECTURE,
    RejectReason.NO_PRICE,
    RejectReason.RETIRED,
)


def rank(evaluated: Iterable[Evaluated], traffic: TrafficFacts) -> tuple[Candidate, ...]:
    """By cost, then latency, then name. Every one given meets the SLO."""
    ordered = sorted(
        evaluated,
        key=lambda each: (
            each.bill.usd_per_month,
            each.performance.interval.median,
            _by_name(each.option),
        ),
    )
    best = probabilities_best([each.cost_draws for each in ordered])
    undominated = frontier(
        [(float(each.bill.usd_per_month), each.performance.interval.median) for each in ordered]
    )
    return tuple(
        Candidate(
            rank=position,
            option=each.option,
            cost=_cost(each, traffic),
            performance=each.performance,
            verdicts=each.verdicts,
            probability_best=probability,
            frontier=position - 1 in undominated,
            notes=each.notes,
        )
        for position, (each, probability) in enumerate(zip(ordered, best, strict=True), start=1)
    )


def nearest_first(rejected: Iterable[Rejected]) -> tuple[Rejected, ...]:
    """By reason, how near to the objective, price and name: the same in every run."""
    return tuple(
        sorted(
            rejected,
            key=lambda each: (
                REASON_ORDER.index(each.reason),
                inf if each.margin_ratio is None else -each.margin_ratio,
                inf if each.usd_per_hour is None else float(each.usd_per_hour),
                _by_name(each.option),
                each.detail,
            ),
        )
    )


def probabilities_best(cost_draws: Sequence[NDArray[np.float64]]) -> tuple[float, ...]:
    """Share of draws in which each costs least.

    A tie is shared evenly, and a draw in which none meets the SLO counts for none. Each of shape
    (draws,), infinite where the SLO is missed.
    """
    if not cost_draws:
        return ()
    costs = np.stack(cost_draws)
    least = costs.min(axis=0)
    wins = (costs <= least * (1 + 1e-12)) & np.isfinite(least)
    shared = wins / np.maximum(wins.sum(axis=0), 1)
    return tuple(float(share) for share in shared.mean(axis=1))


def frontier(points: Sequence[tuple[float, float]]) -> frozenset[int]:
    """Indices of (cost, latency) pairs that no other pair matches or beats in both.

    The first of equal pairs stands for all.
    """
    kept: set[int] = set()
    lowest = np.inf
    for index in sorted(range(len(points)), key=lambda each: (*points[each], each)):
        if points[index][1] < lowest:
            kept.add(index)
            lowest = points[index][1]
    return frozenset(kept)


def _cost(each: Evaluated, traffic: TrafficFacts) -> Cost:
    bill = each.bill
    return Cost(
        usd_per_hour=_text(bill.usd_per_hour),
        usd_per_month=_text(bill.usd_per_month),
        usd_per_million=_text(per_million(bill, traffic)),
        items=tuple(
            CostItem(
                name=item.name,
                quantity=_text(item.quantity),
                unit=item.unit,
                usd_per_unit=_text(item.usd_per_unit),
                usd=_text(item.usd),
            )
            for item in bill.items
        ),
        price=each.price,
    )


def _text(value: Decimal) -> str:
    """Plain digits, never an exponent; to the billionth."""
    return format(to_billionths(value).normalize(), "f")


def _by_name(option: Option) -> tuple[str, tuple[tuple[int, str], ...], str]:
    """Numbers inside a name count as numbers: m5.2xlarge before m5.12xlarge."""
    memory = "" if option.serverless is None else str(option.serverless.memory_mib)
    name = f"{option.instance_type or ''} {option.accelerator or ''} {memory}"
    parts = tuple(
        (int(part), "") if part.isdigit() else (-1, part) for part in re.split(r"(\d+)", name)
    )
    return option.platform, parts, option.purchase
