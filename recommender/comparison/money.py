"""What the difference between two runs comes to in dollars, under the same question."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Protocol

from loadtests.measurement import Interval
from pricing import PricingError
from recommender.comparison.document import MoneyLine, NotCompared, Verdict
from recommender.comparison.estimates import Estimate
from recommender.comparison.judging import verdict_of
from recommender.errors import RecommenderError
from recommender.explain import group_of, usd
from recommender.request import KIND as QUICK

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from decimal import Decimal

    from pricing import PriceBook
    from recommender.comparison.document import Difference
    from recommender.comparison.sides import Side
    from recommender.demand import Demand, TrafficFacts
    from recommender.recommendation import Candidate, Recommendation
    from recommender.store import Run

__all__ = ["Market", "deployments", "unit_costs"]

HOUR_S = 3600.0
MILLION = 1e6


class Market(Protocol):
    """What ranks stored runs at the prices of its book; raises what `rerank` raises."""

    @property
    def book(self) -> PriceBook: ...

    def demand(self, run: Run) -> Demand: ...

    def rank(self, run: Run, demand: Demand) -> Recommendation: ...


def deployments(
    sides: tuple[Side, Side],
    differences: Sequence[Difference],
    threshold: float,
    market: Market,
) -> MoneyLine | NotCompared:
    """The cheapest that serves, of both, asked as the newer run was.

    What the measured difference leaves open is put on the second run: it is ranked once more
    with so much more and so much less traffic as its capacity may be smaller or larger.
    """
    if any(side.run.kind != QUICK for side in sides):
        return NotCompared(what="cost of a deployment", why="only quick runs are ranked")
    try:
        question = market.demand(max(sides, key=lambda side: side.age).run)
        asked = [_asked_of(side, question, market) for side in sides]
        best = [market.rank(side.run, each).best for side, each in zip(sides, asked, strict=True)]
        ends = _ends(sides[1], asked[1], _speed(differences), market)
    except (RecommenderError, PricingError) as error:
        return NotCompared(what="cost of a deployment", why=str(error))
    return _line(question, best, ends, threshold)


def unit_costs(
    prices: tuple[Mapping[str, Decimal], Mapping[str, Decimal]],
    names: Mapping[str, tuple[str, str]],
    differences: Sequence[Difference],
    threshold: float,
) -> Iterator[MoneyLine]:
    """At capacity, by the hourly price of each configuration. names: of both, by where."""
    for each in differences:
        pair = names.get(each.where)
        if each.of != "capacity" or pair is None or not each.before or not each.after:
            continue
        known = prices[0].get(pair[0]), prices[1].get(pair[1])
        if known[0] is None or known[1] is None:
            continue
        dearer = float(known[1] / known[0])
        yield _judged(
            MoneyLine(
                per="million requests",
                question=f"{each.where}, {each.name}",
                before=pair[0],
                after=pair[1],
                before_usd=float(known[0]) / (each.before * HOUR_S) * MILLION,
                after_usd=float(known[1]) / (each.after * HOUR_S) * MILLION,
                change=Interval(
                    value=_over(dearer, each.change.value),
                    low=_over(dearer, each.change.high),
                    high=_over(dearer, each.change.low),
                ),
                verdict=Verdict.UNKNOWN,
                said="",
            ),
            threshold,
        )


def _asked_of(side: Side, question: Demand, market: Market) -> Demand:
    """The same traffic, objective and constraints; the payloads are the run's own."""
    return question.model_copy(update={"workload": market.demand(side.run).workload})


def _speed(differences: Sequence[Difference]) -> Interval | None:
    """What the second serves over what the first does: the widest of the sizes."""
    for of in ("capacity", "saturation"):
        found = [each.change for each in differences if each.of == of]
        lows = [each.low for each in found]
        highs = [each.high for each in found]
        values = [each.value for each in found if each.value]
        if not values:
            continue
        middle = math.exp(sum(map(math.log, values)) / len(values))
        return Interval(
            value=middle,
            low=None if None in lows else min(each for each in lows if each is not None),
            high=None if None in highs else max(each for each in highs if each is not None),
        )
    return None


def _ends(
    side: Side, demand: Demand, speed: Interval | None, market: Market
) -> tuple[Candidate | None, Candidate | None]:
    """The cheapest if it is as fast as it may be, and as slow; None where that is open."""
    if speed is None or speed.value is None:
        return None, None
    found: list[Candidate | None] = []
    for end in (speed.high, speed.low):
        if end is None:
            found.append(None)
            continue
        scaled = _times(demand.traffic, speed.value / end)
        found.append(market.rank(side.run, demand.model_copy(update={"traffic": scaled})).best)
    return found[0], found[1]


def _times(traffic: TrafficFacts, factor: float) -> TrafficFacts:
    hourly = None if traffic.hourly is None else tuple(each * factor for each in traffic.hourly)
    return traffic.model_copy(
        update={
            "peak_rps": traffic.peak_rps * factor,
            "mean_rps": traffic.mean_rps * factor,
            "hourly": hourly,
        }
    )


def _line(
    question: Demand,
    best: Sequence[Candidate | None],
    ends: tuple[Candidate | None, Candidate | None],
    threshold: float,
) -> MoneyLine:
    before, after = best
    first, second = _month_usd(before), _month_usd(after)
    low, high = map(_month_usd, ends)
    ratio = _ratio(second, first)
    lows, highs = _ratio(low, first), _ratio(high, first)
    change = Interval(
        value=ratio,
        low=None if ratio is None or lows is None else min(lows, ratio),
        high=None if ratio is None or highs is None else max(highs, ratio),
    )
    line = MoneyLine(
        per="month",
        question=f"{question.traffic.text} at {question.slo}",
        before=_named(before),
        after=_named(after),
        before_usd=first,
        after_usd=second,
        change=change,
        verdict=Verdict.UNKNOWN,
        said="",
    )
    return _judged(line, threshold)


def _judged(line: MoneyLine, threshold: float) -> MoneyLine:
    change, limit = line.change, math.log1p(threshold)
    if change.value is None:
        return line.model_copy(update={"verdict": _without_price(line), "said": _said(line)})
    found = Estimate(
        math.log(change.value),
        -math.inf if not change.low else math.log(change.low),
        math.inf if change.high is None else math.log(change.high),
    )
    is_shown = found.low > 0 or found.high < 0
    verdict = verdict_of(found, limit, higher_is_better=False, is_shown=is_shown)
    return line.model_copy(update={"verdict": verdict, "said": _said(line)})


def _without_price(line: MoneyLine) -> Verdict:
    if line.before_usd is None and line.after_usd is None:
        return Verdict.UNKNOWN
    return Verdict.BETTER if line.before_usd is None else Verdict.WORSE


def _said(line: MoneyLine) -> str:
    after = _priced(line.after, line.after_usd, line.per)
    before = _priced(line.before, line.before_usd, line.per)
    change = line.change
    if change.value is None:
        return f"{line.question}: {after} instead of {before}."
    low, high = _percent(change.low), _percent(change.high)
    return (
        f"{line.question}: {after} instead of {before} ({_percent(change.value)}, "
        f"interval {low} to {high})."
    )


def _priced(name: str, dollars: float | None, per: str) -> str:
    return name if dollars is None else f"{name} for {usd(str(dollars))} a {per}"


def _percent(ratio: float | None) -> str:
    if ratio is None:
        return "not known"
    changed = round((ratio - 1) * 100, 1)
    return "0 %" if changed == 0 else f"{changed:+.3g} %"


def _named(best: Candidate | None) -> str:
    if best is None:
        return "nothing that meets the SLO"
    return f"{best.option.text} ({group_of(best.option)}, {best.option.region})"


def _month_usd(best: Candidate | None) -> float | None:
    return None if best is None else float(best.cost.usd_per_month)


def _ratio(after: float | None, before: float | None) -> float | None:
    return None if not after or not before else after / before


def _over(dearer: float, faster: float | None) -> float | None:
    return dearer / faster if faster else None
