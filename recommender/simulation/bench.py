"""How long simulating takes, on one core, and how that grows with the time simulated."""

from __future__ import annotations

import gc
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from loadtests.queueing import Queue
from recommender.simulation.fleet import FleetScenario, simulate_fleet
from recommender.simulation.replica import LatencyLimit, Replica, long_curve
from recommender.simulation.scaling_policy import Policy, TargetTracking
from recommender.simulation.traffic import DAY_S, WEEK_S, preset

if TYPE_CHECKING:
    from collections.abc import Sequence

    from loadtests.queueing import LatencyCurve

__all__ = ["CASES", "BenchCase", "BenchTimed", "bench_simulation"]

MEAN_RPS, SERVICE_MEAN_S, SERVERS = 1000.0, 0.05, 2
FEW_DRAWS = 3
"""As in the first look of the policy search."""


@dataclass(frozen=True, slots=True)
class BenchCase:
    """goal_s: None where there is none."""

    name: str
    duration_s: float
    policies: int
    draws: int
    goal_s: float | None = None


@dataclass(frozen=True, slots=True)
class BenchTimed:
    """seconds: of one core, the fastest of the repeats."""

    case: BenchCase
    seconds: float

    @property
    def s_per_day(self) -> float:
        return self.seconds / (self.case.duration_s / DAY_S)


CASES = (
    BenchCase("1 policy, a day", DAY_S, 1, 1),
    BenchCase("1 policy, a week", WEEK_S, 1, 1),
    BenchCase("1 policy, 30 days", 30 * DAY_S, 1, 1, goal_s=1.0),
    BenchCase("1 policy, 60 days", 60 * DAY_S, 1, 1),
    BenchCase("200 policies, a day", DAY_S, 200, FEW_DRAWS),
    BenchCase("200 policies, a week", WEEK_S, 200, FEW_DRAWS, goal_s=5.0),
    BenchCase("200 policies, two weeks", 2 * WEEK_S, 200, FEW_DRAWS),
)


def bench_simulation(cases: Sequence[BenchCase] = CASES, repeats: int = 2) -> list[BenchTimed]:
    """Of an M/M/2 replica under a week's waves, 1,000 requests a second in the mean."""
    service = np.random.default_rng(1).exponential(size=4000)
    curve = long_curve(service / service.mean(), Queue(SERVERS))
    return [
        BenchTimed(case, _fastest(case, _replica(curve, case.draws), repeats)) for case in cases
    ]


def _replica(curve: LatencyCurve, draws: int) -> Replica:
    return Replica(
        saturation_rps=np.full(draws, SERVERS / SERVICE_MEAN_S),
        service_mean_s=np.full(draws, SERVICE_MEAN_S),
        service_cv=1.0,
        delay_s=0.0,
        curve=curve,
        start_s=240.0,
    )


def _fastest(case: BenchCase, replica: Replica, repeats: int) -> float:
    scenario = FleetScenario(
        trace=preset("weekly", MEAN_RPS, peak_ratio=1.8).repeated(case.duration_s),
        replica=replica,
        limit=LatencyLimit(0.95, 6 * SERVICE_MEAN_S),
        levels=np.ones(case.draws),
    )
    full_rpm = 60 * SERVERS / SERVICE_MEAN_S
    policies = [
        Policy(1, 500, TargetTracking("invocations", float(full_rpm * share)))
        for share in np.linspace(0.7, 0.4, case.policies)
    ]
    taken_s = []
    for _ in range(repeats):
        gc.collect()
        began_s = time.process_time()
        simulate_fleet(scenario, policies, with_timeline=case.policies == 1)
        taken_s.append(time.process_time() - began_s)
    return min(taken_s)
