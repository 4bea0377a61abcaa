"""The runs as a list of jobs. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pydantic import ValidationError

from dashboard import format as fmt
from dashboard.views import KINDS
from recommender.loadtest.request import LoadTestRequest
from recommender.loadtest.session import KIND as LOADTEST
from recommender.request import KIND as QUICK
from recommender.request import QuickRequest

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime

    from recommender.store import Run

__all__ = ["JobLine", "chosen", "is_anything_at_work", "job_line"]

ALL = "all"


@dataclass(frozen=True, slots=True)
class JobLine:
    """verdict: of a run that has ended, where it was kept."""

    id: str
    measured: str
    status: str
    facts: tuple[str, ...]
    verdict: str | None
    error: str | None


def job_line(run: Run, now: datetime, verdict: str | None = None) -> JobLine:
    return JobLine(
        id=run.id,
        measured=run.label or "not named",
        status=run.status.lower(),
        facts=(
            KINDS.get(run.kind, run.kind),
            *_asked(run),
            fmt.stamp(run.created_at),
            _took(run, now),
        ),
        verdict=verdict,
        error=run.error,
    )


def chosen(runs: Iterable[Run], kind: str, status: str) -> tuple[Run, ...]:
    return tuple(
        run for run in runs if kind in (ALL, run.kind) and status in (ALL, run.status.lower())
    )


def is_anything_at_work(runs: Sequence[Run]) -> bool:
    return any(run.status.is_under_way for run in runs)


def _asked(run: Run) -> tuple[str, ...]:
    """Nothing of one that another version asked."""
    try:
        if run.kind == QUICK:
            quick = QuickRequest.model_validate(run.request)
            return (f"{quick.traffic.text} at {quick.slo}",)
        if run.kind == LOADTEST:
            plan = LoadTestRequest.model_validate(run.request).plan
            scenarios = ", ".join(each.name for each in plan.scenarios)
            return (f"{scenarios} at {'; '.join(plan.slo.values())}",)
    except ValidationError:
        return ()
    return ()


def _took(run: Run, now: datetime) -> str:
    if run.finished_at is not None:
        return f"took {fmt.took((run.finished_at - run.created_at).total_seconds())}"
    if run.status.is_under_way:
        return f"for {fmt.took((now - run.created_at).total_seconds())}"
    return "its end is not known"
