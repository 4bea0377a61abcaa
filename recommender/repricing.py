"""Which stored recommendations other prices would change."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pydantic import ValidationError

from pricing import PricingError
from recommender.errors import RecommenderError
from recommender.explain import group_of, usd
from recommender.request import KIND
from recommender.rerank import Changes, rerank

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from datetime import datetime

    from pricing import PriceBook
    from recommender.performance.speed_prior import SpeedPrior
    from recommender.recommendation import Candidate
    from recommender.store import Run, Store

__all__ = ["Repriced", "deployed_text", "repriced"]


@dataclass(frozen=True, slots=True)
class Repriced:
    """One run under both books. before, after: None where nothing meets the SLO.

    obstacle: why it cannot be ranked under one of them; None where it can.
    """

    run: str
    label: str
    before: Candidate | None = None
    after: Candidate | None = None
    obstacle: str | None = None

    @property
    def changes(self) -> bool:
        """Would something else be deployed?"""
        return _deployed(self.before) != _deployed(self.after)


def repriced(
    store: Store,
    runs: Iterable[Run],
    books: tuple[PriceBook, PriceBook],
    prior: SpeedPrior,
    now: datetime,
) -> Iterator[Repriced]:
    """Every run that recommends something, ranked under the first book and under the second.

    Under both, and not as it was stored: so it is prices alone that differ.
    """
    for run in runs:
        if run.kind != KIND or store.recommendation(run.id) is None:
            continue
        label = run.label or ""
        try:
            before, after = (
                rerank(store, run, Changes(), (book, prior), now).best for book in books
            )
        except ValidationError:
            yield Repriced(run.id, label, obstacle="another version of this program stored it")
        except (RecommenderError, PricingError) as error:
            yield Repriced(run.id, label, obstacle=str(error))
        else:
            yield Repriced(run.id, label, before, after)


def deployed_text(best: Candidate | None) -> str:
    """What would be deployed, and what it costs."""
    if best is None:
        return "nothing that meets the SLO"
    option = best.option
    return (
        f"{option.text} ({group_of(option)}, {option.region}) at "
        f"{usd(best.cost.usd_per_month)} a month"
    )


def _deployed(candidate: Candidate | None) -> tuple[object, ...] | None:
    if candidate is None:
        return None
    option = candidate.option
    return option.text, option.platform, option.purchase, option.region
