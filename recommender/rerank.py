"""A stored run under another demand: a pure function of what is stored."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from recommender.demand import Demand, slo_to_rank_by
from recommender.errors import BadRequest, NothingMeasured
from recommender.measured import response_bytes_mean
from recommender.recommend import recommend
from recommender.request import KIND, QuickRequest, traffic_facts
from recommender.stored_run import kept_measurements, read_run

if TYPE_CHECKING:
    from datetime import datetime

    from pricing import PriceBook
    from recommender.performance.speed_prior import SpeedPrior
    from recommender.recommendation import Recommendation
    from recommender.store import Run, Store

__all__ = ["Changes", "asked_anew", "rerank"]


@dataclass(frozen=True)
class Changes:
    """None and absent: as the run was asked."""

    slo: str | None = None
    traffic: str | None = None
    constraints: dict[str, Any] = field(default_factory=dict)


def rerank(
    store: Store,
    run: Run,
    changes: Changes,
    known: tuple[PriceBook, SpeedPrior],
    now: datetime,
) -> Recommendation:
    """known: the prices and the speeds to rank by.

    Raises UsageError for an SLO or a traffic, UnknownRegion and UnknownInstanceType for what the
    book does not have, NothingMeasured for a run without evidence,
    BadRequest for a run of another kind.
    """
    book, prior = known
    demand = asked_anew(store, run, changes)
    return recommend(read_run(store, run, demand.slo), demand, book, prior, now)


def asked_anew(store: Store, run: Run, changes: Changes) -> Demand:
    """Raises what `rerank` does, but for what only the book can tell."""
    if run.kind != KIND:
        raise BadRequest(
            f"{run.id} is a {run.kind} run: there is no recommendation to make anew",
            hint=f"recommender show {run.id}",
        )
    before = _demand(store, run)
    constraints = before.constraints.model_validate(
        before.constraints.model_dump() | changes.constraints
    )
    return before.model_copy(
        update={
            "slo": before.slo if changes.slo is None else slo_to_rank_by(changes.slo).text,
            "traffic": before.traffic
            if changes.traffic is None
            else traffic_facts(changes.traffic),
            "constraints": constraints,
        }
    )


def _demand(store: Store, run: Run) -> Demand:
    """As the run's own recommendation had it; an unfinished run has none yet, only its request."""
    stored = store.recommendation(run.id)
    if stored is not None:
        return Demand.model_validate(stored.document["demand"])
    kept = kept_measurements(store, run)
    if not kept:
        raise NothingMeasured(
            f"run {run.id} holds no finished measurement",
            hint=f"go on with it: recommender quick --resume {run.id}",
        )
    request = QuickRequest.model_validate(run.request)
    return request.demand(request.workload(), response_bytes_mean(kept))
