"""What became of each instance, and of the first request it was given."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from loadtests.gateway.passages import NO_MEMBER

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

__all__ = ["REFUSALS", "ColdStart", "Instance", "cold_starts", "first_passages"]

REFUSALS = 400  # and above


@dataclass(frozen=True, slots=True)
class Instance:
    """All instants on the clock of perf_counter, which the gateway's passages share.

    started_s: when its start was ordered; ready_s: first /ping answered with 200; None where it
    never was. ended_s: stopped; None while it lives. memory_peak_bytes, cpu_s: None is not
    knowable. failure: why it did not start.
    """

    number: int
    started_s: float
    ready_s: float | None = None
    ended_s: float | None = None
    memory_peak_bytes: int | None = None
    cpu_s: float | None = None
    failure: str | None = None


@dataclass(frozen=True, slots=True)
class ColdStart:
    """One start, decomposed as SageMaker's ModelSetupTime and what follows it.

    setup_s: start to /ping 200. first_service_s: what the first request took once it was sent to
    the instance; None where there was none, or it was refused. waited_s: how long that request
    had waited; None where the instance was ready before it came (provisioned, or a trial start).
    """

    member: int
    started_s: float
    setup_s: float
    first_service_s: float | None
    waited_s: float | None

    @property
    def first_answer_s(self) -> float | None:
        """Start to first answer, less the time the instance stood idle in between."""
        return None if self.first_service_s is None else self.setup_s + self.first_service_s


def cold_starts(
    passages: NDArray[np.void], instances: Iterable[Instance]
) -> tuple[ColdStart, ...]:
    """Of the instances that became ready, in the order of their start."""
    good = first_passages(passages) & (passages["status"] < REFUSALS)
    first = {int(row["member"]): row for row in passages[good]}
    found = []
    for each in sorted(instances, key=lambda instance: instance.started_s):
        if each.ready_s is None:
            continue
        row = first.get(each.number)
        found.append(
            ColdStart(
                member=each.number,
                started_s=each.started_s,
                setup_s=each.ready_s - each.started_s,
                first_service_s=None if row is None else float(row["answered_s"] - row["sent_s"]),
                waited_s=(
                    None
                    if row is None or not row["waited"]
                    else float(row["sent_s"] - row["arrived_s"])
                ),
            )
        )
    return tuple(found)


def first_passages(passages: NDArray[np.void]) -> NDArray[np.bool_]:
    """Is it the first that its member was sent?"""
    is_first = np.zeros(len(passages), bool)
    order = np.argsort(passages["sent_s"], kind="stable")
    members = passages["member"][order]
    _, places = np.unique(members, return_index=True)
    is_first[order[places]] = True
    return np.asarray(is_first & (passages["member"] != NO_MEMBER))
