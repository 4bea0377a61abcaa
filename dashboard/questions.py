"""An address's question, and the answer to it."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Self

from dashboard.asked import Asked

if TYPE_CHECKING:
    from dashboard.data import Repository
    from recommender.demand import Demand
    from recommender.recommendation import Recommendation
    from recommender.store import Run

__all__ = ["Questioned", "answer_to"]


class Questioned(NamedTuple):
    """A run that may be asked otherwise. asked: as it was asked itself, at today's prices."""

    run: Run
    demand: Demand
    asked: Asked

    @classmethod
    def of(cls, repository: Repository, reference: str) -> Self:
        run = repository.run(reference)
        demand = repository.demand(run)
        return cls(run, demand, Asked.of(demand, repository.books()[-1]))

    def answer(self, repository: Repository, asked: Asked) -> Recommendation:
        """Raises BadRequest, UsageError and PricingError for what cannot be asked."""
        return repository.what_if(self.run, asked.demand(self.demand), asked.book)


def answer_to(repository: Repository, reference: str, query: str) -> Recommendation | None:
    """The run's own recommendation when nothing is asked otherwise; None when it has none yet.

    Raises what `Questioned.answer` does.
    """
    if not query:
        return repository.recommendation(repository.run(reference).id)
    before = Questioned.of(repository, reference)
    return before.answer(repository, before.asked.changed_by(query))
