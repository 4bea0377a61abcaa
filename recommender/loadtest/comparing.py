"""Configurations side by side: all of them serve while one traffic is split between them."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING

from loadtests.errors import InvalidMeasurement
from loadtests.modes.side_by_side import Split, take_side_by_side
from loadtests.steps import TrafficStep
from loadtests.validity import Status
from recommender.loadtest.scenario import CompareScenario, traffic_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from loadtests.probe import Measured
    from recommender.loadtest.agenda import Test
    from recommender.loadtest.kept import Kept
    from recommender.loadtest.rig import Rig

__all__ = ["compare", "split_of", "taken_side_by_side"]

TRIES = 3


def compare(rig: Rig, test: Test) -> None:
    """Raises InvalidMeasurement when three tries stay INVALID."""
    scenario = _scenario(test)
    step = _step(scenario)
    with ExitStack() as stack:
        started = [stack.enter_context(rig.serving(each)) for each in test.configurations]
        targets = tuple(each.target for each in started)
        probes = tuple(rig.probe(each, scenario, targets) for each in started)
        for probe in probes:
            probe.warm_up()
        faults: list[str] = []
        for _ in range(TRIES):
            rig.say(f"{test.label}: side by side")
            taken = take_side_by_side(probes, step, split_of(scenario, test))
            faults = _faults(taken)
            suffix = f"-invalid-{taken[0].measurement.started_at}" if faults else ""
            for configuration, measured in zip(test.configurations, taken, strict=True):
                rig.keep(configuration.name, scenario.name, step.key + suffix, measured)
            if not faults:
                return
    raise InvalidMeasurement(
        f"the measurement is INVALID, {TRIES} times: {'; '.join(dict.fromkeys(faults))}"
    )


def taken_side_by_side(
    test: Test, kept: Mapping[tuple[str, str], Kept]
) -> tuple[Measured, ...] | None:
    """In the order of the test's configurations; None when one is missing."""
    key = _step(_scenario(test)).key
    found = [
        kept[name, test.scenario.name].steps.get(key)
        for name in (each.name for each in test.configurations)
        if (name, test.scenario.name) in kept
    ]
    whole = tuple(each for each in found if each is not None)
    return whole if len(whole) == len(test.configurations) else None


def split_of(scenario: CompareScenario, test: Test) -> Split:
    """Even between those that are not shadows, unless the plan says otherwise."""
    names = [each.name for each in test.configurations if each.name not in scenario.shadow]
    shares = scenario.variants or {}
    return Split(tuple(shares.get(name, 1.0) for name in names), tuple(scenario.shadow.values()))


def _scenario(test: Test) -> CompareScenario:
    if not isinstance(test.scenario, CompareScenario):
        raise TypeError(test.scenario.mode)
    return test.scenario


def _step(scenario: CompareScenario) -> TrafficStep:
    return TrafficStep(traffic_of(scenario), scenario.arrivals, scenario.duration_s, scenario.stop)


def _faults(taken: tuple[Measured, ...]) -> list[str]:
    return [
        fault.found
        for each in taken
        for fault in each.measurement.validity.faults
        if fault.status is Status.INVALID
    ]
