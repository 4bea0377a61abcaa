"""The verdict of a run, kept beside it in one sentence, so that a list of runs opens none."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict

from recommender.aggregates import keep
from recommender.explain import verdict

if TYPE_CHECKING:
    from collections.abc import Iterable

    from recommender.recommendation import Recommendation
    from recommender.store import Run, Store

__all__ = ["keep_recommendation", "keep_verdict", "kept_verdicts"]

NAME, MADE_FROM = "verdict", "the run as it ended, format 1"


class Said(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    text: str


def keep_recommendation(store: Store, run_id: str, recommendation: Recommendation) -> None:
    """As the run's newest, and its verdict in place of the former one's."""
    store.add_recommendation(run_id, recommendation.model_dump(mode="json"))
    first, *_ = verdict(recommendation)
    keep_verdict(store, run_id, first)


def keep_verdict(store: Store, run_id: str, text: str) -> None:
    keep(store, run_id, NAME, MADE_FROM, Said(text=text))


def kept_verdicts(store: Store, runs: Iterable[Run]) -> dict[str, str]:
    """By id. None of a run that is under way, nor of one whose verdict nobody kept."""
    ended = [run.id for run in runs if not run.status.is_under_way]
    found = store.aggregates(ended, NAME, MADE_FROM)
    return {run_id: Said.model_validate(document).text for run_id, document in found.items()}
