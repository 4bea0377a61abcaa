"""What the dashboard may ask for. It reads runs; it never measures, ranks or writes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from pydantic import ValidationError

from recommender.errors import StoreUnreadable
from recommender.recommendation import Recommendation

if TYPE_CHECKING:
    from recommender.store import Run, Store

__all__ = ["Repository", "StoreRepository"]

NEWEST = 100


class Repository(Protocol):
    """Used by several threads at once. Every call may raise RecommenderError."""

    def runs(self) -> tuple[Run, ...]:
        """The newest runs first, at most a hundred of them."""
        ...

    def run(self, reference: str) -> Run:
        """By id, by the start of one, or `latest`. Raises UnknownRun or AmbiguousRun."""
        ...

    def recommendation(self, run_id: str) -> Recommendation | None:
        """The newest of the run, or None when it has none yet. Takes the full id."""
        ...

    def finished_measurements(self, run_id: str) -> int: ...


class StoreRepository:
    def __init__(self, store: Store) -> None:
        self._store = store

    def runs(self) -> tuple[Run, ...]:
        return self._store.runs(limit=NEWEST)

    def run(self, reference: str) -> Run:
        return self._store.run(reference)

    def recommendation(self, run_id: str) -> Recommendation | None:
        stored = self._store.recommendation(run_id)
        if stored is None:
            return None
        try:
            return Recommendation.model_validate(stored.document)
        except ValidationError as error:
            raise StoreUnreadable(
                f"the recommendation of run {run_id} was written by another version of this "
                f"program: {len(error.errors())} of its fields are not as this one knows them",
                hint=f"rank the run again with this version: recommender rank {run_id}",
            ) from error

    def finished_measurements(self, run_id: str) -> int:
        return len(self._store.measurements(run_id))
