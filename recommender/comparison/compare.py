"""The use case: two sides make a comparison. Nothing is measured, and nothing is kept."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from recommender.comparison.conditions import conditions_of, host_spread
from recommender.comparison.document import NotCompared, RunComparison, SideFacts, Verdict
from recommender.comparison.figures import figures_of, shared_figures
from recommender.comparison.judging import judged, overall
from recommender.comparison.money import deployments, unit_costs
from recommender.comparison.pairing import pair_groups
from recommender.comparison.words import notes, said
from recommender.errors import BadRequest
from recommender.loadtest.agenda import configurations_of
from recommender.loadtest.prices import hourly_prices
from recommender.loadtest.request import LoadTestRequest
from recommender.loadtest.session import KIND as LOADTEST

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime
    from decimal import Decimal

    from pricing import PriceBook
    from recommender.comparison.money import Market
    from recommender.comparison.sides import Side
    from recommender.demand import Demand
    from recommender.recommendation import Recommendation
    from recommender.store import Run
    from recommender.what_if import WhatIf

__all__ = ["DEFAULT_THRESHOLD", "StoreMarket", "compare_runs", "in_money"]

DEFAULT_THRESHOLD = 0.05


@dataclass(frozen=True)
class StoreMarket:
    """Runs of one store at the prices of one book."""

    what_if: WhatIf
    book: PriceBook
    now: datetime

    def demand(self, run: Run) -> Demand:
        return self.what_if.demand(run)

    def rank(self, run: Run, demand: Demand) -> Recommendation:
        return self.what_if.answer(run, demand, self.book, self.now)


def compare_runs(
    before: Side, after: Side, threshold_ratio: float = DEFAULT_THRESHOLD
) -> RunComparison:
    """But for what it means in money. threshold_ratio: how much more or less matters.

    Both are judged by the SLO of the newer run. Raises BadRequest for a threshold that is none.
    """
    if not 0 < threshold_ratio <= 1:
        raise BadRequest(
            f"a difference that matters is above 0 and at most 100 %, not {threshold_ratio:.3%}",
            hint="for example 5%",
        )
    pairs, alone = pair_groups(before, after)
    slos = max(before, after, key=lambda side: side.age).slos
    found = [
        *(each for pair in pairs for each in figures_of(pair, slos)),
        *shared_figures(pairs),
    ]
    spread = host_spread(before, after)
    figures = [each for each in found if not isinstance(each, NotCompared)]
    differences = judged(figures, threshold_ratio, spread or 0.0)
    conditions = conditions_of(before, after, pairs)
    is_sound = all(each.weight != "unsound" for each in conditions)
    verdict = overall(differences) if is_sound else Verdict.UNKNOWN
    sides = _facts(before), _facts(after)
    missing = (each for each in found if isinstance(each, NotCompared))
    return RunComparison(
        before=sides[0],
        after=sides[1],
        threshold_ratio=threshold_ratio,
        verdict=verdict,
        said=said(verdict, differences, conditions, sides),
        conditions=conditions,
        differences=differences,
        money=(),
        price_book=None,
        not_compared=(*alone, *missing, *_invalid(before, "first"), *_invalid(after, "second")),
        notes=notes(spread, differences, slos.values()),
    )


def in_money(
    comparison: RunComparison, before: Side, after: Side, market: Market
) -> RunComparison:
    """With what the difference comes to in dollars: of a deployment, or at capacity."""
    threshold, differences = comparison.threshold_ratio, comparison.differences
    if before.run.kind == after.run.kind == LOADTEST:
        pairs, _ = pair_groups(before, after)
        names = {
            pair.label: (pair.before.configuration, pair.after.configuration) for pair in pairs
        }
        prices = _prices(before, market.book), _prices(after, market.book)
        lines = tuple(unit_costs(prices, names, differences, threshold))
        unpriced: tuple[NotCompared, ...] = ()
    else:
        found = deployments((before, after), differences, threshold, market)
        lines = () if isinstance(found, NotCompared) else (found,)
        unpriced = (found,) if isinstance(found, NotCompared) else ()
    return comparison.model_copy(
        update={
            "money": lines,
            "price_book": market.book.name if lines else None,
            "not_compared": (*comparison.not_compared, *unpriced),
        }
    )


def _facts(side: Side) -> SideFacts:
    return SideFacts(
        run=side.run.id,
        kind=side.run.kind,
        label=side.run.label or side.subject,
        created_at=side.run.created_at.isoformat(timespec="seconds"),
        configuration=side.configuration,
    )


def _invalid(side: Side, which: str) -> Iterator[NotCompared]:
    """Of each test or step once, with all that was found."""
    found: dict[str, list[str]] = {}
    for where, why in side.left_out:
        found.setdefault(where, []).append(why)
    for where, reasons in found.items():
        why = "INVALID: " + "; ".join(dict.fromkeys(reasons))
        yield NotCompared(what=f"{where}, in the {which} run", why=why)


def _prices(side: Side, book: PriceBook) -> dict[str, Decimal]:
    plan = LoadTestRequest.model_validate(side.run.request).plan
    configurations = configurations_of(plan, side.environment.cores)
    found = hourly_prices(configurations, plan.region, book)
    return {name: price.usd_per_hour for name, price in found.items()}
