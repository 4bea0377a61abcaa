"""A stored run asked again and again, without measuring anything.

What depends on the run alone (reading its samples, fitting them, simulating the queues) and what
no traffic changes (what each machine can do) is kept between questions, and so are the last
answers; the rest is what `recommend` does.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from recommender.last_few import LastFew
from recommender.offered import offered
from recommender.recommend import answer, fit, placed_in
from recommender.rerank import Changes, asked_anew
from recommender.stored_run import read_run

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from pricing import PriceBook
    from recommender.demand import Demand
    from recommender.last_few import Key
    from recommender.measured import MeasuredRun
    from recommender.performance.model import PerformanceModel
    from recommender.performance.speed_prior import SpeedPrior
    from recommender.recommend import Foreseen
    from recommender.recommendation import Recommendation
    from recommender.store import Run, Store

__all__ = ["Fitted", "WhatIf"]

MOST_KEPT = 8


class Fitted(NamedTuple):
    """A run placed in a price book, and the model fitted to it."""

    run: MeasuredRun
    model: PerformanceModel


class WhatIf:
    """Of one store. Several threads may ask at once."""

    def __init__(self, store: Store, prior: SpeedPrior) -> None:
        self._store, self._prior = store, prior
        self._fitted: LastFew[Fitted] = LastFew(MOST_KEPT)
        self._foreseen: LastFew[Foreseen] = LastFew(MOST_KEPT)
        self._answers: LastFew[Recommendation] = LastFew(MOST_KEPT)
        self._demands: LastFew[Demand] = LastFew(MOST_KEPT)

    def demand(self, run: Run) -> Demand:
        """As the run was asked. Raises NothingMeasured, and BadRequest for one of another kind."""
        key = *self.evidence(run), self._store.newest_recommendation(run.id)
        return self._demands.get(key, lambda: asked_anew(self._store, run, Changes()))

    def answer(self, run: Run, demand: Demand, book: PriceBook, now: datetime) -> Recommendation:
        """Of the same day when it was asked before. Raises what `rerank` does."""

        def make() -> Recommendation:
            fitted, terms = self.fitted(run, demand, book), offered(book, demand.constraints)
            return answer(fitted.run, fitted.model, demand, terms, now, kept)

        def kept(machines: frozenset[str], foresee: Callable[[], Foreseen]) -> Foreseen:
            own = demand.constraints.own_machines
            return self._foreseen.get((*self._key(run, demand, book), own, machines), foresee)

        key = *self.evidence(run), book.name, now.date(), demand.model_dump_json()
        return self._answers.get(key, make)

    def evidence(self, run: Run) -> tuple[str, int]:
        """The same while the run has nothing new."""
        return run.id, self._store.count_measurements(run.id)

    def fitted(self, run: Run, demand: Demand, book: PriceBook) -> Fitted:
        """Raises NothingMeasured when no size has a measurement fit to be evidence."""

        def make() -> Fitted:
            terms = offered(book, demand.constraints)
            placed = placed_in(terms, read_run(self._store, run, demand.slo))
            return Fitted(placed, fit(placed, demand, self._prior))

        return self._fitted.get(self._key(run, demand, book), make)

    def _key(self, run: Run, demand: Demand, book: PriceBook) -> Key:
        """Of the traffic its burstiness alone is in it."""
        return *self.evidence(run), book.name, demand.slo, demand.traffic.arrivals_cv
