"""What a load generator is to reach, figure by figure, and whether it did. Nothing here runs.

The goals are for one core of about 3 GHz, with the server on another.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

__all__ = [
    "GAPS_AT_RPS",
    "LADDER_RPS",
    "Figure",
    "Goal",
    "Unit",
    "added_latency",
    "all_reached",
    "gaps",
    "lateness",
    "memory_growth",
    "quantile_error",
    "samples_lost",
    "stall_error",
    "step_after_a_loss",
    "stretch_rate",
    "sustained_rate",
    "worker_noticed",
]

LADDER_RPS = (1000, 2000, 3000, 4000, 5000)
ASKED_RPS = 3000  # per generator core; beyond it is a stretch
GAPS_AT_RPS = {200: 0.02, 1000: 0.04}
QUANTILE_ERRORS = {200: 0.01, 1000: 0.04}
ADDED_S = {0.5: 0.00035, 0.99: 0.0006}


class Unit(StrEnum):
    RPS = "req/s"
    SECONDS = "s"
    MILLISECONDS = "ms"
    RATIO = "ratio"
    DISTANCE = "distance"
    BYTES = "bytes"
    STATUS = "status"


@dataclass(frozen=True, slots=True)
class Goal:
    """limit: in the unit (MILLISECONDS is how seconds are shown); reached at it or on its side.

    is_stretch: hoped for, not asked.
    """

    name: str
    limit: float
    unit: Unit
    at_least: bool = False
    is_stretch: bool = False

    def is_reached_by(self, value: float) -> bool:
        return value >= self.limit if self.at_least else value <= self.limit


@dataclass(frozen=True, slots=True)
class Figure:
    """reached: None where it could not be measured, and `note` says why.

    note: of a figure that was missed, why it may have been. is_disturbed: other programs may have
    cost it, so that it says nothing against the generator.
    """

    goal: Goal
    reached: float | None
    note: str | None = None
    is_disturbed: bool = False

    @property
    def is_reached(self) -> bool:
        return self.reached is not None and self.goal.is_reached_by(self.reached)


def all_reached(figures: tuple[Figure, ...]) -> bool:
    """Stretches apart. One that could not be measured was not reached."""
    return all(figure.is_reached for figure in figures if not figure.goal.is_stretch)


def sustained_rate() -> Goal:
    return Goal("open-loop rate, every check passing", ASKED_RPS, Unit.RPS, at_least=True)


def stretch_rate() -> Goal:
    name = "open-loop rate, the stretch"
    return Goal(name, LADDER_RPS[-1], Unit.RPS, at_least=True, is_stretch=True)


def lateness(rate_rps: int) -> Goal:
    return Goal(
        f"send lateness p99 at {rate_rps}/s",
        0.0003,
        Unit.MILLISECONDS,
        is_stretch=rate_rps > ASKED_RPS,
    )


def gaps(rate_rps: int) -> Goal:
    """Kolmogorov-Smirnov distance of the gaps between sends from an exponential's."""
    name = f"KS distance of gaps sent at {rate_rps}/s"
    return Goal(name, GAPS_AT_RPS[rate_rps], Unit.DISTANCE)


def added_latency(rate_rps: int, quantile: float) -> Goal:
    name = f"p{quantile * 100:g} added to 1 ms at {rate_rps}/s"
    return Goal(name, ADDED_S[quantile], Unit.MILLISECONDS)


def quantile_error(rate_rps: int, quantile: float) -> Goal:
    name = f"p{quantile * 100:g} error, M/M/4 at 70 %, {rate_rps}/s"
    return Goal(name, QUANTILE_ERRORS[rate_rps], Unit.RATIO)


def stall_error(quantile: float) -> Goal:
    name = f"p{quantile * 100:g} error, stalled 1 s in 10, 200/s"
    return Goal(name, 0.02, Unit.RATIO)


def worker_noticed() -> Goal:
    return Goal("a killed worker is noticed after", 3.0, Unit.SECONDS)


def step_after_a_loss() -> Goal:
    """reached: 1 where the step was judged INVALID, 0 where not."""
    return Goal("its step is then", 1, Unit.STATUS, at_least=True)


def samples_lost() -> Goal:
    return Goal("lost of its samples", 1.0, Unit.SECONDS)


def memory_growth() -> Goal:
    return Goal("memory growth per 100,000 requests", 512 * 1024, Unit.BYTES)
