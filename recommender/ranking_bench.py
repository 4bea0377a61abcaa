"""How long it takes to predict and rank so many options, on one core.

Options are the offers of every region of the price book, and more of them at other prices: as many
ways to buy the same machines. What is timed is what `recommend` does once a run is read and its
queue is simulated, which depends on the run alone and is timed apart.
"""

from __future__ import annotations

import gc
import time
from dataclasses import dataclass, replace
from decimal import Decimal
from functools import partial
from itertools import chain, count, islice
from typing import TYPE_CHECKING, TypeVar

from recommender.candidates import Candidates, find_candidates
from recommender.evaluation import Question
from recommender.measured import errors_in
from recommender.ranking import Ranking, candidates
from recommender.recommend import fit, judge

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from pricing import Offer, PriceBook
    from recommender.demand import Demand
    from recommender.measured import MeasuredRun
    from recommender.performance.speed_prior import SpeedPrior

__all__ = ["RankingBench", "Timed", "bench_ranking"]

Result = TypeVar("Result")

OPTIONS = (6_000, 12_000, 25_000, 50_000)
GOAL_S, GOAL_OPTIONS = 0.3, 50_000
REPEATS = 5
SHOWN = 20
PRICE_STEP = Decimal("0.01")


@dataclass(frozen=True, slots=True)
class Timed:
    """The fastest of several repeats. ranked: options that meet the SLO."""

    options: int
    machines: int
    ranked: int
    judging_s: float
    ranking_s: float

    @property
    def total_s(self) -> float:
        return self.judging_s + self.ranking_s

    @property
    def s_per_thousand(self) -> float:
        return self.total_s / self.options * 1e3


@dataclass(frozen=True, slots=True)
class RankingBench:
    """fitting_s: of the run, once: its scaling curve and the simulation of its queue."""

    fitting_s: float
    rows: tuple[Timed, ...]

    @property
    def s_per_further_thousand(self) -> float:
        """Between the smallest and the largest: what does not grow with the options cancels."""
        first, last = self.rows[0], self.rows[-1]
        return (last.total_s - first.total_s) / (last.options - first.options) * 1e3

    @property
    def is_good(self) -> bool:
        return all(row.total_s < GOAL_S for row in self.rows if row.options <= GOAL_OPTIONS)


def bench_ranking(
    run: MeasuredRun,
    demand: Demand,
    book: PriceBook,
    prior: SpeedPrior,
    options: Sequence[int] = OPTIONS,
    repeats: int = REPEATS,
) -> RankingBench:
    """Raises NothingMeasured when no size has a measurement fit to be evidence."""
    model = fit(run, demand, prior)
    question = Question(demand, book, errors_in(run.measurements), run.size_known)
    offers = list(islice(_offers(book, demand), max(options)))

    def judged(asked: list[Offer]) -> Ranking:
        found = Candidates(tuple(asked), (), ())
        return Ranking(judge(found, model, question, None).evaluated)

    def row(asked: list[Offer]) -> Timed:
        judging_s, ranking_s = [], []
        ranking = judged(asked)
        for _ in range(repeats):
            ranking, took_s = _timed(partial(judged, asked))
            judging_s.append(took_s)
            _, took_s = _timed(partial(candidates, ranking, demand.traffic, SHOWN))
            ranking_s.append(took_s)
        machines = len({offer.instance.name for offer in asked})
        ranked = len(ranking.options)
        return Timed(len(asked), machines, ranked, min(judging_s), min(ranking_s))

    _, fitting_s = _timed(partial(judged, offers[: min(options)]))
    return RankingBench(fitting_s, tuple(row(offers[:number]) for number in sorted(options)))


def _offers(book: PriceBook, demand: Demand) -> Iterator[Offer]:
    """Of every region, as often as wanted, each time a little dearer."""
    regions = [
        demand.constraints.model_copy(update={"region": region, "instance_types": ()})
        for region in book.regions
    ]
    known = list(
        chain.from_iterable(find_candidates(book, each, None).machines for each in regions)
    )
    for dearer in count():
        factor = 1 + dearer * PRICE_STEP
        for offer in known:
            yield replace(offer, usd_per_hour=offer.usd_per_hour * factor) if dearer else offer


def _timed(work: Callable[[], Result]) -> tuple[Result, float]:
    """Garbage of what ran before is not counted."""
    gc.collect()
    began_s = time.perf_counter()
    result = work()
    return result, time.perf_counter() - began_s
