"""How many settings are tried for how long: successive halving (Jamieson & Talwalkar 2016).

Many settings get a short trial, the better of them a longer one, and so on to a few at full
length.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from loadtests.errors import UsageError

if TYPE_CHECKING:
    from loadtests.tuning.spec import TuningSpec

__all__ = ["Ladder", "Rung", "plan_ladder", "planned_seconds", "planned_trials"]

AT_TOP = 2  # one alone is better than nothing
SLACK = 1e-9


@dataclass(frozen=True, slots=True)
class Rung:
    """settings: at most so many are tried here, for fidelity_s each."""

    fidelity_s: float
    settings: int


@dataclass(frozen=True, slots=True)
class Ladder:
    rungs: tuple[Rung, ...]

    @property
    def load_s(self) -> float:
        return math.fsum(rung.settings * rung.fidelity_s for rung in self.rungs)

    @property
    def trials(self) -> int:
        return sum(rung.settings for rung in self.rungs)


def plan_ladder(spec: TuningSpec) -> Ladder:
    """The most settings that the budget carries to the top; the fewest rungs among equals.

    Never a blind grid: eta settings or more start below the top, where that is long enough.
    Raises UsageError when the budget is too small to compare two settings.
    """
    deepest = int(math.log(spec.trial_s / spec.shortest_s, spec.eta) + SLACK)
    for count in range(spec.settings_count, AT_TOP - 1, -1):
        halvings = 0 if count == AT_TOP else int(math.log(count, spec.eta) + SLACK)
        fewest = min(deepest, halvings)
        for below in range(fewest, deepest + 1):
            if _is_affordable(_ladder(spec, count, below, 0), spec):
                return _widened(spec, count, below)
    raise UsageError(
        f"the tuning budget of {spec.budget_s:g} s is too small: to compare two settings takes "
        f"{AT_TOP * spec.trial_s:g} s",
        hint="raise budget_s, or lower trial_s",
    )


def _widened(spec: TuningSpec, count: int, below: int) -> Ladder:
    """With as many more places above the first rung as a budget that was named carries."""
    ladder = _ladder(spec, count, below, 0)
    if spec.budget_s is None and spec.trials is None:
        return ladder
    for extra in range(1, count):
        wider = _ladder(spec, count, below, extra)
        if not _is_affordable(wider, spec) or wider.load_s >= spec.settings_count * spec.trial_s:
            break
        ladder = wider
    return ladder


def _ladder(spec: TuningSpec, count: int, below: int, extra: int) -> Ladder:
    rungs = []
    for left in range(below, -1, -1):
        rungs.append(Rung(spec.trial_s / spec.eta**left, count))
        count = min(max(AT_TOP, math.ceil(count / spec.eta)) + extra, count)
    return Ladder(tuple(rungs))


def _is_affordable(ladder: Ladder, spec: TuningSpec) -> bool:
    in_time = spec.budget_s is None or ladder.load_s <= spec.budget_s + SLACK
    return in_time and (spec.trials is None or ladder.trials <= spec.trials)


def planned_seconds(spec: TuningSpec) -> float:
    """Seconds of load: an upper bound, reached unless the answer is sure before."""
    return plan_ladder(spec).load_s


def planned_trials(spec: TuningSpec) -> int:
    """Upper bound of the number of trials, the first ones the shortest."""
    return plan_ladder(spec).trials
