"""From runs to figures: pure, and the same whoever took them."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from loadtests.generator_bench import goals
from loadtests.generator_bench.evidence import growth_bytes, ks_distance
from loadtests.generator_bench.goals import Figure
from loadtests.generator_bench.trials import ENDPOINT_S

if TYPE_CHECKING:
    from collections.abc import Sequence

    from loadtests.generator_bench.evidence import Run
    from loadtests.generator_bench.goals import Goal
    from loadtests.generator_bench.rig import Flood, Loss

__all__ = [
    "TAIL",
    "added",
    "after_a_loss",
    "gaps",
    "late",
    "memory",
    "on_the_ladder",
    "queued",
    "stalled",
    "sustained",
]

TAIL = (0.95, 0.99)


def added(run: Run) -> tuple[Figure, ...]:
    return tuple(
        _figure(goals.added_latency(run.rate_rps, each), run.added_s(each, ENDPOINT_S), run)
        for each in goals.ADDED_S
    )


def late(run: Run) -> tuple[Figure, ...]:
    return (_figure(goals.lateness(run.rate_rps), run.lateness_s(0.99), run),)


def on_the_ladder(run: Run) -> tuple[Figure, ...]:
    return (*late(run), *added(run)) if run.rate_rps in goals.GAPS_AT_RPS else late(run)


def queued(run: Run) -> tuple[Figure, ...]:
    return tuple(
        _figure(goals.quantile_error(run.rate_rps, each), abs(run.error_ratio(each)), run)
        for each in TAIL
    )


def stalled(run: Run) -> tuple[Figure, ...]:
    return tuple(
        _figure(goals.stall_error(each), abs(run.error_ratio(each)), run) for each in TAIL
    )


def sustained(ladder: Sequence[Run]) -> tuple[Figure, ...]:
    """The last rate of the ladder, from the lowest on, before one at which a check failed."""
    rate_rps, note = 0, None
    for run in ladder:
        if not run.is_valid:
            note = f"at {run.rate_rps}/s: {run.faults}"
            break
        rate_rps = run.rate_rps
    return tuple(
        Figure(each, rate_rps, note) for each in (goals.sustained_rate(), goals.stretch_rate())
    )


def gaps(runs: Sequence[Run]) -> tuple[Figure, ...]:
    """Of all that was sent at a rate, whatever it was sent to."""
    return tuple(
        _of_gaps(rate_rps, [run for run in runs if run.rate_rps == rate_rps])
        for rate_rps in goals.GAPS_AT_RPS
    )


def _of_gaps(rate_rps: int, runs: Sequence[Run]) -> Figure:
    goal = goals.gaps(rate_rps)
    valid = [run for run in runs if not run.is_invalid]
    if not valid:
        return Figure(goal, None, "no run at this rate was valid", is_disturbed=bool(runs))
    reached = ks_distance(np.concatenate([run.gaps_s() for run in valid]), rate_rps)
    return _judged(goal, reached, max(valid, key=lambda run: run.neighbour_share))


def memory(flood: Flood) -> tuple[Figure, ...]:
    growth = growth_bytes(flood.requests, flood.held_bytes)
    note = "the run was too short to tell" if growth is None else None
    return (Figure(goals.memory_growth(), growth, note),)


def after_a_loss(loss: Loss) -> tuple[Figure, ...]:
    unnoticed = "the loss was not noticed" if loss.noticed_s is None else None
    return (
        Figure(goals.worker_noticed(), loss.noticed_s, unnoticed),
        Figure(goals.step_after_a_loss(), float(loss.is_invalid)),
        Figure(goals.samples_lost(), loss.lost_s),
    )


def _figure(goal: Goal, reached: float, run: Run) -> Figure:
    """An INVALID run reaches nothing."""
    if run.is_invalid:
        return Figure(goal, None, f"INVALID: {run.faults}", is_disturbed=True)
    if not math.isfinite(reached):
        return Figure(goal, None, f"{run.samples.failed} requests failed")
    return _judged(goal, reached, run)


def _judged(goal: Goal, reached: float, run: Run) -> Figure:
    """With what disturbed the run, where the goal was missed."""
    note = None if goal.is_reached_by(reached) else run.disturbance
    return Figure(goal, reached, note, is_disturbed=note is not None)
