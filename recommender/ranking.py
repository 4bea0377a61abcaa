"""Cheapest first; how probable it is that each is the best, and what choosing it may cost.

Arrays from end to end: an option is a column of numbers, and becomes an object when it is read.

Symbols
  q  quantity that a fleet needs in a draw (instance-hours, seconds); infinite where it misses
  p  price of the unit, f  the rest of the bill
  l  the least cost of any option in the draw

cost = q p + f. regret = cost - l where the fleet meets the SLO; where it does not, what the fleet
costs where it does: that was paid for nothing, and the best is paid besides (as in
`planner.value`). Draws in which nothing meets the SLO blame no option.
Among the offers of one fleet the lowest price costs least in every draw, so wins are found among
fleets, and the mean regret is linear in p: the work for one more offer does not grow with draws.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property
from math import inf
from typing import TYPE_CHECKING

import numpy as np

from pricing import Offer, Purchase
from recommender.cost import amount_text, per_million
from recommender.fleets import usd_per_unit
from recommender.recommendation import Candidate, Cost, RejectReason

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

    from recommender.demand import TrafficFacts
    from recommender.fleets import Evaluated, Fleet, Options
    from recommender.recommendation import Option, Rejected

    Floats = NDArray[np.float64]
    Places = NDArray[np.intp]

__all__ = ["Ranking", "candidates", "frontier", "nearest_first", "rank"]

# What a little more measuring, or a little less asking, would change comes first.
REASON_ORDER = (
    RejectReason.INCONCLUSIVE,
    RejectReason.UNCERTAIN,
    RejectReason.MISSES_SLO,
    RejectReason.MEMORY,
    RejectReason.LIMIT,
    RejectReason.NEEDS_MEASUREMENT,
    RejectReason.OUT_OF_RANGE,
    RejectReason.ARCHITECTURE,
    RejectReason.NO_PRICE,
    RejectReason.RETIRED,
)
BILLIONTHS = 1e9
A_TIE = 1 + 1e-12


@dataclass(frozen=True, eq=False)
class Ranking:
    """Options that meet the SLO, as they were given. Everything by option has their order."""

    options: Options

    @cached_property
    def order(self) -> Places:
        """Indices by cost (to the billionth of a dollar), then latency, then name."""
        return np.lexsort((self._regions, self._names, self.latency_s, self.usd_per_month))

    @cached_property
    def fleets(self) -> tuple[Fleet, ...]:
        return tuple({id(fleet): fleet for fleet in self.options.fleets}.values())

    @cached_property
    def fleet(self) -> Places:
        """Of each option, the place of its fleet."""
        place = {id(fleet): n for n, fleet in enumerate(self.fleets)}
        return np.array([place[id(fleet)] for fleet in self.options.fleets], dtype=np.intp)

    @cached_property
    def usd_per_unit(self) -> Floats:
        return np.array([float(usd_per_unit(offer)) for offer in self.options.offers])

    @cached_property
    def usd_per_month(self) -> Floats:
        """What is bought, as its bill totals; the bill itself is made in Decimal."""
        quantity = np.array([float(fleet.quantity) for fleet in self.fleets])
        main = np.rint(quantity[self.fleet] * self.usd_per_unit * BILLIONTHS)
        return (main + np.rint(self._extra_usd * BILLIONTHS)[self.fleet]) / BILLIONTHS

    @cached_property
    def latency_s(self) -> Floats:
        medians = np.array([fleet.performance.interval.median for fleet in self.fleets])
        return medians[self.fleet]

    @cached_property
    def probability_best(self) -> Floats:
        """Share of draws in which each costs least.

        A tie is shared evenly, and a draw in which none meets the SLO counts for none.
        """
        costs, least = self._lowest_cost_draws, self._least
        wins = (costs <= least * A_TIE) & np.isfinite(least)
        is_lowest = self.usd_per_unit == self._lowest_usd[self.fleet]
        alike = np.bincount(self.fleet[is_lowest], minlength=len(self.fleets))
        tied = np.maximum(alike @ wins, 1)
        return np.where(is_lowest, (wins / tied).mean(axis=1)[self.fleet], 0.0)

    @cached_property
    def expected_regret_usd(self) -> Floats:
        """USD a month; over the draws counted it adds up to E[cost | met] - E[l where met]."""
        counted = np.isfinite(self._least)
        meets = np.isfinite(self._quantity_draws) & counted
        usual = np.where(meets, self._quantity_draws, 0.0).sum(axis=1) / meets.sum(axis=1)
        least = np.where(meets, self._least, 0.0).sum(axis=1) / counted.sum()
        rest = self._extra_usd - least
        return np.asarray(usual[self.fleet] * self.usd_per_unit + rest[self.fleet])

    @cached_property
    def cheapest_offers(self) -> Places:
        """One option of each fleet: no other of the same fleet ever costs less."""
        by_price = np.lexsort((self._names, self._regions, self.usd_per_unit))
        _, first = np.unique(self.fleet[by_price], return_index=True)
        return by_price[first]

    def cost_draws(self, chosen: Places) -> Floats:
        """USD a month in each draw, infinite where the SLO is missed; shape (draws, chosen)."""
        fleet = self.fleet[chosen]
        return self._quantity_draws[fleet].T * self.usd_per_unit[chosen] + self._extra_usd[fleet]

    @cached_property
    def _quantity_draws(self) -> Floats:
        return np.stack([fleet.quantity_draws for fleet in self.fleets])

    @cached_property
    def _extra_usd(self) -> Floats:
        return np.array([float(sum(i.usd for i in fleet.items)) for fleet in self.fleets])

    @cached_property
    def _lowest_usd(self) -> Floats:
        lowest = np.full(len(self.fleets), np.inf)
        np.minimum.at(lowest, self.fleet, self.usd_per_unit)
        return lowest

    @cached_property
    def _lowest_cost_draws(self) -> Floats:
        """Of each fleet at its lowest price, shape (fleets, draws)."""
        return self._quantity_draws * self._lowest_usd[:, None] + self._extra_usd[:, None]

    @cached_property
    def _least(self) -> Floats:
        return np.asarray(self._lowest_cost_draws.min(axis=0))

    @cached_property
    def _names(self) -> Places:
        """Places by name: numbers inside a name count as numbers. Regions share a name."""
        terms = {purchase: n for n, purchase in enumerate(Purchase)}
        bought = [
            terms[offer.purchase] if isinstance(offer, Offer) else 0
            for offer in self.options.offers
        ]
        alike = len(terms) * self.fleet + bought
        _, first, name = np.unique(alike, return_index=True, return_inverse=True)
        keys = [_by_name(self.options[place].option) for place in first.tolist()]
        return _places(keys)[name]

    @cached_property
    def _regions(self) -> Places:
        return _places([offer.region for offer in self.options.offers])


def rank(options: Options, traffic: TrafficFacts) -> tuple[Candidate, ...]:
    """Every one given meets the SLO."""
    return candidates(Ranking(options), traffic) if options else ()


def candidates(
    ranking: Ranking, traffic: TrafficFacts, most: int | None = None
) -> tuple[Candidate, ...]:
    """The first `most`, or all."""
    order = ranking.order
    undominated = frontier(ranking.usd_per_month[order], ranking.latency_s[order])
    return tuple(
        Candidate(
            rank=position,
            option=each.option,
            cost=_cost(each, traffic),
            performance=each.performance,
            verdicts=each.fleet.verdicts,
            probability_best=float(ranking.probability_best[place]),
            expected_regret_usd_per_month=amount_text(ranking.expected_regret_usd[place]),
            frontier=position - 1 in undominated,
            notes=each.notes,
            carried=each.carried,
        )
        for position, place in enumerate(order[:most].tolist(), start=1)
        for each in (ranking.options[place],)
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


def frontier(usd: Floats, latency_s: Floats) -> frozenset[int]:
    """Indices of options that no other matches or beats in both.

    The first of equal ones stands for all.
    """
    order = np.lexsort((latency_s, usd))
    lowest = np.minimum.accumulate(latency_s[order])
    is_lower = np.ones(len(order), dtype=np.bool_)
    is_lower[1:] = lowest[1:] < lowest[:-1]
    return frozenset(order[is_lower].tolist())


def _places(keys: Sequence[object]) -> Places:
    """Of each key among the sorted ones."""
    place = {key: n for n, key in enumerate(sorted(set(keys)))}  # type: ignore[type-var]
    return np.array([place[key] for key in keys], dtype=np.intp)


def _cost(each: Evaluated, traffic: TrafficFacts) -> Cost:
    bill = each.bill
    return Cost(
        usd_per_hour=amount_text(bill.usd_per_hour),
        usd_per_month=amount_text(bill.usd_per_month),
        usd_per_million=amount_text(per_million(bill, traffic)),
        items=tuple(item.told for item in bill.items),
        price=each.price,
    )


def _by_name(option: Option) -> tuple[str, tuple[tuple[int, str], ...], str]:
    """Numbers inside a name count as numbers: m5.2xlarge before m5.12xlarge."""
    memory = "" if option.serverless is None else str(option.serverless.memory_mib)
    name = f"{option.instance_type or ''} {option.accelerator or ''} {memory}"
    parts = tuple(
        (int(part), "") if part.isdigit() else (-1, part) for part in re.split(r"(\d+)", name)
    )
    return option.platform, parts, option.purchase
