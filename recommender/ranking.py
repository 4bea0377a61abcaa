"""Cheapest first, with how probable it is that each is the best, and which ones nothing dominates."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from recommender.recommendation import Candidate, Cost, CostItem

if TYPE_CHECKING:
    from collections.abc import Sequence
    from decimal import Decimal

    from numpy.typing import NDArray

    from recommender.cost import Bill
    from recommender.demand import TrafficFacts
    from recommender.evaluation import Evaluated

from recommender.cost import per_million

__all__ = ["frontier", "probabilities_best", "rank"]


def rank(evaluated: Sequence[Evaluated], traffic: TrafficFacts) -> tuple[Candidate, ...]:
    """By cost, then latency, then name. Every one given meets the SLO."""
    ordered = sorted(
        evaluated,
        key=lambda each: (
            each.bill.usd_per_month,
            each.performance.latency_s.p95,
            each.option.instance_type or "",
            each.option.purchase,
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
            cost=_cost(each.bill, traffic),
            performance=each.performance,
            verdicts=each.verdicts,
            probability_best=probability,
            frontier=position - 1 in undominated,
            notes=each.notes,
        )
        for position, (each, probability) in enumerate(zip(ordered, best, strict=True), start=1)
    )


def probabilities_best(cost_draws: Sequence[NDArray[np.float64]]) -> tuple[float, ...]:
    """Share of draws in which each costs least; a tie is shared evenly, and a draw in which none
    meets the SLO counts for none. Each of shape (draws,), infinite where the SLO is missed.
    """
    if not cost_draws:
        return ()
    costs = np.stack(cost_draws)
    least = costs.min(axis=0)
    wins = (costs <= least * (1 + 1e-12)) & np.isfinite(least)
    shared = wins / np.maximum(wins.sum(axis=0), 1)
    return tuple(float(share) for share in shared.mean(axis=1))


def frontier(points: Sequence[tuple[float, float]]) -> frozenset[int]:
    """Indices of (cost, latency) pairs that no other pair matches or beats in both; the first of
    equal pairs stands for all.
    """
    kept: set[int] = set()
    lowest = np.inf
    for index in sorted(range(len(points)), key=lambda each: (*points[each], each)):
        if points[index][1] < lowest:
            kept.add(index)
            lowest = points[index][1]
    return frozenset(kept)


def _cost(bill: Bill, traffic: TrafficFacts) -> Cost:
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
    )


def _text(value: Decimal) -> str:
    """Plain digits, never an exponent; rounded to a billionth."""
    return format(round(value, 9).normalize(), "f")
