"""Fleets whose simulation is checked against what they do, and how that turns out."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from loadtests.demo_server import DemoServer
from recommender.prediction_cases import Scene, sample_scene
from recommender.request import Source
from recommender.verdicts import range_of

if TYPE_CHECKING:
    from recommender.recommendation import Range
    from recommender.simulation.outcome import Outcome

__all__ = ["Course", "Figure", "Stage", "figures", "stages"]

COST, ATTAINMENT, SERVED, FAILED = (
    "replica-seconds",
    "in time, %",
    "requests served",
    "requests failed",
)
JUDGED = (COST, ATTAINMENT)


@dataclass(frozen=True)
class Stage:
    """What is served, each replica of so many vCPUs; None: as much as it takes."""

    name: str
    scene: Scene
    vcpus: float | None = None


def stages() -> tuple[Stage, ...]:
    """The built-in server, which waits rather than computes, and the sample container."""
    server = DemoServer(service="lognormal:0.1:0.5", servers=2)
    source = Source(kind="command", where=" ".join(server.command("{port}")))
    waiting = Scene(source, (b"[1]",), (1,), {0: 1.0}, "application/json")
    sample = replace(sample_scene(), mix={1: 0.5, 2: 0.5})
    return (
        Stage("built-in server", waiting),
        Stage("sample container", sample, 0.2),
    )


@dataclass(frozen=True, slots=True)
class Course:
    """What a real fleet did. started: replicas, in all."""

    came: int
    served: int
    good: int
    replica_s: float
    started: int


@dataclass(frozen=True, slots=True)
class Figure:
    """One figure of one stage.

    simulated: with its 80 % interval; None, with faults, where nothing could be measured.
    is_judged: the others are told for their own sake.
    """

    stage: str
    name: str
    simulated: Range | None
    measured: float | None
    is_judged: bool
    faults: tuple[str, ...] = ()

    def as_json(self) -> dict[str, object]:
        simulated = None if self.simulated is None else self.simulated.model_dump()
        return {
            "fleet": self.stage,
            "figure": self.name,
            "simulated": simulated,
            "measured": self.measured,
            "is_judged": self.is_judged,
            "faults": list(self.faults),
        }

    @property
    def is_inside(self) -> bool:
        simulated, measured = self.simulated, self.measured
        if simulated is None or measured is None:
            return False
        return simulated.low <= measured and (simulated.high is None or measured <= simulated.high)

    @property
    def is_right(self) -> bool:
        return not self.is_judged or (self.is_inside and not self.faults)


def figures(
    stage: str, outcome: Outcome | None, course: Course | None, faults: tuple[str, ...]
) -> list[Figure]:
    simulated = {} if outcome is None else _simulated(outcome)
    measured = {} if course is None else _measured(course)
    return [
        Figure(stage, name, simulated.get(name), measured.get(name), name in JUDGED, faults)
        for name in (COST, ATTAINMENT, SERVED, FAILED)
    ]


def _simulated(outcome: Outcome) -> dict[str, Range]:
    requests = outcome.requests
    return {
        COST: range_of(3600 * outcome.usage[0].amount),
        ATTAINMENT: range_of(100 * requests.attainment),
        SERVED: range_of(requests.served),
        FAILED: range_of(requests.failed),
    }


def _measured(course: Course) -> dict[str, float]:
    return {
        COST: course.replica_s,
        ATTAINMENT: 100 * course.good / max(course.came, 1),
        SERVED: float(course.served),
        FAILED: float(course.came - course.served),
    }
