"""Which environment serves best: a budgeted search over categorical settings."""

from __future__ import annotations

from loadtests.tuning.ladder import Ladder, Rung, plan_ladder, planned_seconds, planned_trials
from loadtests.tuning.outcome import (
    Dropped,
    Effect,
    Gain,
    Interaction,
    Standing,
    TuningResult,
)
from loadtests.tuning.planner import conclude, next_trial
from loadtests.tuning.spec import Trial, TrialResult, TuningSpec

__all__ = [
    "Dropped",
    "Effect",
    "Gain",
    "Interaction",
    "Ladder",
    "Rung",
    "Standing",
    "Trial",
    "TrialResult",
    "TuningResult",
    "TuningSpec",
    "conclude",
    "next_trial",
    "plan_ladder",
    "planned_seconds",
    "planned_trials",
]
