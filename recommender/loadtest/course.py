"""What each mode measures next, until nothing more is needed: a function of what was measured."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

from loadtests.modes import offline, profile, tiers
from loadtests.modes.batching import BatchSettings
from loadtests.modes.capacity import SearchSettings
from loadtests.modes.ladder import Evidence, LadderSettings
from loadtests.modes.offline import OfflineSettings
from loadtests.modes.profile import ProfileSettings
from loadtests.modes.tiers import Tier
from loadtests.steps import Step, TrafficStep, UsersStep
from loadtests.traffic import Traffic
from recommender.loadtest.agenda import duration_s
from recommender.loadtest.scenario import (
    CapacityScenario,
    FixedScenario,
    OfflineScenario,
    ProfileScenario,
    SoakScenario,
    load_of,
    traffic_of,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from recommender.loadtest.agenda import Test
    from recommender.loadtest.plan import Plan

__all__ = [
    "Course",
    "Done",
    "course_of",
    "offline_settings",
    "profile_settings",
    "search_settings",
    "tiers_of",
]

MANY_REQUESTS = 10**7  # a rung ends by its time alone, so that a plan takes what it said


class Done:
    """Every run is made."""


Course: TypeAlias = "Callable[[tuple[Evidence, ...]], Step | Done]"


def course_of(test: Test, plan: Plan) -> Course:
    """Of a scenario that measures one configuration, started once."""
    match test.scenario:
        case CapacityScenario() as scenario:
            settings, sought = search_settings(scenario, plan), tiers_of(plan)
            return lambda history: _step(tiers.next_step(history, sought, settings))
        case ProfileScenario() as scenario:
            asked = profile_settings(scenario, plan)
            return lambda history: _step(profile.next_step(history, asked))
        case OfflineScenario() as scenario:
            sustained = offline_settings(scenario)
            return lambda history: _step(offline.next_step(history, sustained))
        case FixedScenario() | SoakScenario() as scenario:
            return _runs(scenario)
        case scenario:
            raise TypeError(f"a {scenario.mode} starts its servers itself")


def tiers_of(plan: Plan) -> tuple[Tier, ...]:
    return tuple(Tier(name, slo) for name, slo in plan.tiers.items())


def search_settings(scenario: CapacityScenario, plan: Plan) -> SearchSettings:
    return SearchSettings(
        closed_requests=MANY_REQUESTS,
        closed_s=scenario.rung_s,
        confirm_s=scenario.duration_s,
        most_open=scenario.most_open,
        climbs=True,
        seed=plan.seed,
    )


def offline_settings(scenario: OfflineScenario) -> OfflineSettings:
    return OfflineSettings(
        ladder=LadderSettings(MANY_REQUESTS, scenario.rung_s, scenario.max_concurrent),
        sustained_s=scenario.duration_s,
        rows_per_request=scenario.rows_per_request,
        rules=scenario.stop,
        batches=_batches(scenario),
    )


def _batches(scenario: OfflineScenario) -> BatchSettings | None:
    records, size = scenario.records, scenario.batch_size
    if records is None:
        return None
    if size != "auto":
        return BatchSettings(first_rows=size, most_rows=size, rung_s=scenario.rung_s)
    most = records.most_rows(scenario.max_payload_mb)
    return BatchSettings(most_rows=most, rung_s=scenario.rung_s)


def profile_settings(scenario: ProfileScenario, plan: Plan) -> ProfileSettings:
    """Every run as long as the plan says, so that it takes what it said."""
    return ProfileSettings(
        ladder=_ladder(scenario.rung_s),
        points=scenario.points,
        rates_rps=scenario.rates_rps,
        step_s=scenario.duration_s,
        most_step_s=scenario.duration_s,
        seed=plan.seed,
    )


def _ladder(rung_s: float) -> LadderSettings:
    return LadderSettings(requests=MANY_REQUESTS, rung_s=rung_s)


def _step(asked: object) -> Step | Done:
    return asked if isinstance(asked, Step) else Done()


def _runs(scenario: FixedScenario | SoakScenario) -> Course:
    repeats = scenario.repeats if isinstance(scenario, FixedScenario) else 1

    def course(history: tuple[Evidence, ...]) -> Step | Done:
        repeat = len(history) + 1
        if repeat > repeats:
            return Done()
        if isinstance(scenario, SoakScenario):
            traffic, length_s = traffic_of(scenario), scenario.duration_s
            return TrafficStep(traffic, scenario.arrivals, length_s, scenario.stop)
        load = load_of(scenario)
        if isinstance(load, Traffic):
            length_s = duration_s(scenario)
            return TrafficStep(load, scenario.arrivals, length_s, scenario.stop, repeat)
        return UsersStep(load, scenario.stop, repeat)

    return course
