"""What is predicted of a server from one vCPU alone: cases, and how predictions turn out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from loadtests import sample_container
from loadtests.workload import Payload, Workload
from recommender.request import Source

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["CASES", "Agreement", "Case", "Scene", "agreement", "sample_scene"]

TOLERANCE = 0.10
ROWS = (1, 128, 512)


@dataclass(frozen=True, slots=True)
class Case:
    """What is predicted from one vCPU. mix: payload number to weight; None: as the reference."""

    name: str
    vcpus: float = 1.0
    replicas: int = 1
    mix: Mapping[int, float] | None = None


CASES = (
    Case("2 vCPUs", vcpus=2.0),
    Case("2 replicas", replicas=2),
    Case("half a vCPU", vcpus=0.5),
    Case("another mix", mix={0: 0.4, 2: 0.6}),
    Case("a size never sent", mix={1: 1.0}),
)


@dataclass(frozen=True)
class Scene:
    """What is served, and with what the reference is asked. rows: records in each payload."""

    source: Source
    payloads: tuple[bytes, ...]
    rows: tuple[int, ...]
    mix: Mapping[int, float]
    content_type: str

    def workload(self, mix: Mapping[int, float]) -> Workload:
        sent = (
            Payload(f"{self.rows[each]} rows", self.payloads[each], mix[each])
            for each in sorted(mix)
        )
        return Workload(tuple(sent), self.content_type)


def sample_scene() -> Scene:
    """Served by gunicorn's sync worker: one queue for all, and any free worker takes the next.

    Its threaded worker takes connections as they come, busy or not, and keeps them. Two workers
    then have a queue each, loaded far from evenly, which nothing at one vCPU could foretell: at
    60 % of the throughput p95 was three times as long.
    """
    digits = [body[len(b'{"instances":[') : -2] for body in sample_container.payloads()]
    payloads = tuple(
        b'{"instances":[' + b",".join(digits[n % len(digits)] for n in range(rows)) + b"]}"
        for rows in ROWS
    )
    mix = {0: 0.8, 2: 0.2}
    source = Source(kind="sample", environment={"GUNICORN_CMD_ARGS": "--worker-class sync"})
    return Scene(source, payloads, ROWS, mix, sample_container.CONTENT_TYPE)


@dataclass(frozen=True, slots=True)
class Agreement:
    """One figure of one case. ratio: predicted over measured, the median of the rounds.

    low, high: the rounds' extremes. None, with faults, where no round was VALID.
    """

    case: str
    figure: str
    predicted: float | None
    measured: float | None
    ratio: float | None
    low: float | None
    high: float | None
    faults: tuple[str, ...] = ()

    @property
    def is_right(self) -> bool:
        return self.ratio is not None and abs(self.ratio - 1) <= TOLERANCE


def agreement(
    case: str, figure: str, pairs: list[tuple[float, float]], faults: list[str]
) -> Agreement:
    if not pairs:
        return Agreement(case, figure, None, None, None, None, None, tuple(faults))
    predicted, measured = np.array(pairs).T
    ratios = predicted / measured
    middles = [float(np.median(each)) for each in (predicted, measured, ratios)]
    return Agreement(
        case=case,
        figure=figure,
        predicted=middles[0],
        measured=middles[1],
        ratio=middles[2],
        low=float(ratios.min()),
        high=float(ratios.max()),
        faults=tuple(faults),
    )
