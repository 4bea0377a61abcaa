"""The sizes that stored runs have measured, one curve for each workload."""

from __future__ import annotations

from typing import TYPE_CHECKING

from recommender.performance.own_curves import MeasuredCurve
from recommender.request import KIND, QuickRequest
from recommender.store import RunStatus
from recommender.stored_run import read_run

if TYPE_CHECKING:
    from recommender.measured import MeasuredRun
    from recommender.store import Store

__all__ = ["stored_curves"]

_NEWEST = 1000


def stored_curves(store: Store) -> tuple[MeasuredCurve, ...]:
    """Of the newest finished run of each workload: the same one again is no new workload."""
    found: dict[tuple[str, str | None], MeasuredCurve] = {}
    for run in store.runs(limit=_NEWEST, kind=KIND, status=RunStatus.FINISHED):
        request = QuickRequest.model_validate(run.request)
        name = request.source.text
        key = (name, request.workload_digest)
        if key not in found:
            found[key] = _curve_of(name, read_run(store, run, request.slo))
    return tuple(found.values())


def _curve_of(name: str, run: MeasuredRun) -> MeasuredCurve:
    sizes = sorted(run.sizes, key=lambda size: size.vcpus)
    return MeasuredCurve(
        workload=name,
        vcpus=tuple(size.vcpus for size in sizes),
        throughput_rps=tuple(size.saturation_rps for size in sizes),
        error=tuple(size.capacity.model.saturation_error for size in sizes),
    )
