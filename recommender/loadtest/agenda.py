"""Which tests a plan comes to, in order, and what each will take: before anything runs."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING

from loadtests.probe import WARM_UP_S
from loadtests.traffic import Traffic
from loadtests.tuning import planned_seconds, planned_trials
from recommender.loadtest.scenario import (
    CapacityScenario,
    CompareScenario,
    FixedScenario,
    OfflineScenario,
    ProfileScenario,
    SoakScenario,
    TuneScenario,
    load_of,
    traffic_of,
)
from recommender.loadtest.subject import Configuration
from recommender.quick import default_sizes

if TYPE_CHECKING:
    from recommender.loadtest.plan import Plan
    from recommender.loadtest.scenario import Scenario

__all__ = [
    "Estimate",
    "Test",
    "agenda",
    "configurations_of",
    "duration_s",
    "estimate_of",
    "served_together",
    "starting_s",
]

START_S = 2.0  # until /ping answers and the payloads are tried
STEP_S = 0.3  # between one run and the next
RUNGS = 3  # 1, 2 and 4 at a time: the usual height of the ladder on one or two vCPUs
OPEN_RUNS = 2.5  # one confirms, or about four place the boundary, as often the one as the other
RUNS_A_TIER = 1.0  # more, since what is run for one is evidence for all
SIZES = 7.0  # of a batch: 64 and twice 64 are flat where a request costs what ten records do
BISECTIONS = 4.0
ENDLESS_S = 60.0  # of traffic that has no length of its own


@dataclass(frozen=True, slots=True)
class Test:
    """One scenario of one configuration; a comparison has several."""

    configurations: tuple[Configuration, ...]
    scenario: Scenario

    @property
    def name(self) -> str:
        """Of what is tested; in the keys of its measurements where that is one configuration."""
        return ", ".join(each.name for each in self.configurations)

    @property
    def label(self) -> str:
        return f"{self.name}: {self.scenario.name}"


@dataclass(frozen=True, slots=True)
class Estimate:
    """seconds with a range where a search decides; requests None where only the server knows."""

    seconds: float
    low_s: float
    high_s: float
    requests: float | None

    def __add__(self, other: Estimate) -> Estimate:
        known = self.requests is not None and other.requests is not None
        return Estimate(
            self.seconds + other.seconds,
            self.low_s + other.low_s,
            self.high_s + other.high_s,
            (self.requests or 0) + (other.requests or 0) if known else None,
        )


def configurations_of(plan: Plan, cores: int) -> tuple[Configuration, ...]:
    """The plan's; without any, the sizes this machine can give, or the URL as it is."""
    if plan.configurations:
        return plan.configurations
    if plan.model.kind == "url":
        return (Configuration(name="as it is"),)
    return tuple(Configuration(vcpus=size) for size in default_sizes(cores))


def agenda(plan: Plan, cores: int) -> tuple[Test, ...]:
    """Configuration by configuration, so that each starts once; then what starts several."""
    configurations = configurations_of(plan, cores)
    single = [
        Test((each,), scenario)
        for each in configurations
        for scenario in plan.scenarios
        if not isinstance(scenario, CompareScenario) and _asks(scenario, each)
    ]
    several = [
        Test(_compared(scenario, configurations), scenario)
        for scenario in plan.scenarios
        if isinstance(scenario, CompareScenario)
    ]
    return (*single, *several)


def _asks(scenario: Scenario, configuration: Configuration) -> bool:
    return scenario.configurations is None or configuration.name in scenario.configurations


def served_together(tests: tuple[Test, ...]) -> tuple[tuple[Test, ...], ...]:
    """Neighbours that one start serves; a search for settings starts each of its own."""
    groups = groupby(tests, key=lambda test: (test.configurations, _starts_its_own(test)))
    return tuple(tuple(group) for _, group in groups)


def starting_s(tests: tuple[Test, ...]) -> float:
    """Of all the servers that these tests start, but those within a search for settings."""
    return START_S * sum(
        len(group[0].configurations)
        for group in served_together(tests)
        if not _starts_its_own(group[0])
    )


def _starts_its_own(test: Test) -> bool:
    return isinstance(test.scenario, TuneScenario)


def _compared(
    scenario: CompareScenario, configurations: tuple[Configuration, ...]
) -> tuple[Configuration, ...]:
    """The baseline first, the shadows last."""
    named = {each.name: each for each in configurations}
    shown = tuple(scenario.variants or scenario.configurations or named)
    counted = tuple(name for name in shown if name not in scenario.shadow)
    return tuple(named[name] for name in (*counted, *scenario.shadow))


def duration_s(scenario: FixedScenario) -> float:
    """Asked for, or the traffic's own."""
    if scenario.duration_s is not None:
        return scenario.duration_s
    return load_of(scenario).duration_s or ENDLESS_S


def estimate_of(test: Test, tiers: int = 1) -> Estimate:
    """tiers: how many SLOs a search for capacity places."""
    match test.scenario:
        case FixedScenario() as scenario:
            load, length_s = load_of(scenario), duration_s(scenario)
            return _of_load(test, load, length_s, scenario.repeats)
        case SoakScenario() | CompareScenario() as scenario:
            return _of_load(test, traffic_of(scenario), scenario.duration_s, 1)
        case TuneScenario(tuning=tuning):
            load_s, trials = planned_seconds(tuning), planned_trials(tuning)
            longest_s = load_s + trials * (START_S + WARM_UP_S + RUNGS * STEP_S)
            return Estimate(longest_s, 0.5 * longest_s, longest_s, None)
        case CapacityScenario() | ProfileScenario() | OfflineScenario():
            return _of_search(test.scenario, tiers)


def _of_load(test: Test, load: object, length_s: float, repeats: int) -> Estimate:
    """How much users ask who wait for their answers, only the server knows."""
    scenario = test.scenario
    length_s = _stopped_at(scenario, length_s)
    requests = None
    if isinstance(load, Traffic):
        requests = load.requests_by(length_s)
        if isinstance(scenario, CompareScenario):
            requests *= 1 + sum(scenario.shadow.values())
        if scenario.stop.max_requests is not None:
            requests = min(requests, scenario.stop.max_requests)
        requests *= repeats
    seconds = WARM_UP_S * len(test.configurations) + repeats * (length_s + STEP_S)
    return Estimate(seconds, seconds, seconds, requests)


def _stopped_at(scenario: Scenario, length_s: float) -> float:
    limit_s = scenario.stop.max_duration_s
    return length_s if limit_s is None else min(length_s, limit_s)


def _of_search(
    scenario: CapacityScenario | ProfileScenario | OfflineScenario, tiers: int
) -> Estimate:
    rung_s = scenario.rung_s + STEP_S
    run_s = scenario.duration_s + STEP_S
    low, usual, high = _runs(scenario, tiers)
    sizes = _sizes(scenario)
    return Estimate(
        seconds=WARM_UP_S + (RUNGS + sizes[1]) * rung_s + usual * run_s,
        low_s=WARM_UP_S + (2 + sizes[0]) * rung_s + low * run_s,
        high_s=WARM_UP_S + (5 + sizes[2]) * rung_s + high * run_s,
        requests=None,
    )


def _sizes(
    scenario: CapacityScenario | ProfileScenario | OfflineScenario,
) -> tuple[float, float, float]:
    """Rungs of the search for a batch size: the fewest, the usual and the most."""
    if not isinstance(scenario, OfflineScenario) or scenario.batch_size != "auto":
        return 0.0, 0.0, 0.0
    records = scenario.records
    if records is None:
        return 0.0, 0.0, 0.0
    doublings = math.log2(records.most_rows(scenario.max_payload_mb))
    return min(2.0, doublings), min(SIZES, doublings), math.ceil(doublings) + BISECTIONS


def _runs(
    scenario: CapacityScenario | ProfileScenario | OfflineScenario, tiers: int
) -> tuple[float, float, float]:
    """Beyond the ladder: the fewest, the usual and the most."""
    match scenario:
        case CapacityScenario(most_open=most):
            all_runs = float(most * tiers)
            return 1.0, min(OPEN_RUNS + RUNS_A_TIER * (tiers - 1), all_runs), all_runs
        case ProfileScenario(rates_rps=rates, points=points):
            count = float(points if rates is None else len(rates))
            return count, count, count
        case OfflineScenario():
            return 1.0, 1.0, 1.0
