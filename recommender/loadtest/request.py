"""A plan as it is stored with its run, so that the run can go on after a crash."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Self

from pydantic import BaseModel, ConfigDict

from loadtests import sample_container
from loadtests.payloads import read_workload
from loadtests.workload import Payload, Workload
from recommender.errors import BadRequest
from recommender.loadtest.plan import Plan
from recommender.loadtest.scenario import records_of

__all__ = ["LoadTestRequest"]


class LoadTestRequest(BaseModel):
    """folder: where the plan's payload files are. workload_digest: names what they held."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    plan: Plan
    folder: Path
    workload_digest: str

    @classmethod
    def of(cls, plan: Plan, folder: Path) -> Self:
        return cls(plan=plan, folder=folder, workload_digest=_workload(plan, folder).digest)

    def workload(self) -> Workload:
        """Reads the payloads. Raises UsageError, and BadRequest when they have changed since."""
        found = _workload(self.plan, self.folder)
        if found.digest != self.workload_digest:
            raise BadRequest(
                "the payload files are not those the run began with",
                hint="put them back, or start a new run",
            )
        return found


def _workload(plan: Plan, folder: Path) -> Workload:
    return replace(_payloads(plan, folder), answers=plan.answers)


def _payloads(plan: Plan, folder: Path) -> Workload:
    if plan.payloads:
        return read_workload(
            plan.payloads,
            content_type=plan.content_type,
            path=plan.path,
            seed=plan.seed,
            folder=folder,
        )
    records = next(filter(None, map(records_of, plan.scenarios)), None)
    if records is not None:  # what is tried, and what warms up
        return records.batched(1, plan.path)
    if plan.model.kind != "sample":
        raise BadRequest(
            "the plan has no payload to send",
            hint="name a file that holds one request body: `payloads: sample.json`",
        )
    bodies = sample_container.payloads()
    named = tuple(Payload(f"digit {n}", body) for n, body in enumerate(bodies))
    return Workload(named, sample_container.CONTENT_TYPE)
