"""What every test of a run shares: who sends, where it is kept, and until when."""

from __future__ import annotations

import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from typing import TYPE_CHECKING

from loadtests.environment import utc_now
from loadtests.errors import OutOfTime
from loadtests.modes.tiers import objectives_of
from loadtests.probe import Hooks, Probe, describe_target
from loadtests.runner import Destination
from loadtests.slo import request_limits
from loadtests.targets.protocol import running
from recommender.aggregates import keep_outline
from recommender.loadtest.course import tiers_of
from recommender.loadtest.kept import Kept, Note, note_key, step_key
from recommender.loadtest.scenario import records_of
from recommender.starting import Site, deployed, generator_cores, try_payloads

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from loadtests.probe import Measured
    from loadtests.runner import Engine
    from loadtests.steps import Step
    from loadtests.targets.protocol import Setup, Target, Waiting
    from loadtests.workload import Workload
    from recommender.loadtest.agenda import Test
    from recommender.loadtest.plan import Plan
    from recommender.loadtest.scenario import Scenario
    from recommender.loadtest.subject import Configuration
    from recommender.quick import Workplace

__all__ = ["Clock", "Rig", "Started"]


@dataclass
class Clock:
    """Until when, and how long it is thought to take. paid_until_s: on perf_counter, as all."""

    expected_s: float
    limit_s: float | None
    began_s: float = field(default_factory=time.perf_counter)
    paid_until_s: float | None = None

    @property
    def ends_s(self) -> float | None:
        limits = [self.paid_until_s]
        if self.limit_s is not None:
            limits.append(self.began_s + self.limit_s)
        return min((each for each in limits if each is not None), default=None)

    @property
    def left_s(self) -> float:
        return max(self.expected_s - (time.perf_counter() - self.began_s), 0.0)

    def check(self) -> None:
        """Raises OutOfTime before anything is started that could not be measured."""
        if self.ends_s is not None and time.perf_counter() >= self.ends_s:
            is_money = self.ends_s == self.paid_until_s
            raise OutOfTime(f"the plan's limit on {'money' if is_money else 'time'} was reached")


@dataclass(frozen=True)
class Started:
    """A configuration that serves."""

    configuration: Configuration
    target: Target
    setup: Setup


@dataclass(frozen=True)
class Rig:
    """kept: what the store held when this process began, and what it measured since."""

    run_id: str
    plan: Plan
    workload: Workload
    workplace: Workplace
    engine: Engine
    folder: Path
    clock: Clock
    kept: dict[tuple[str, str], Kept]
    _numbers: Iterator[int] = field(default_factory=count)

    @contextmanager
    def serving(
        self, configuration: Configuration, environment: Mapping[str, str] | None = None
    ) -> Iterator[Started]:
        """Started, its payloads tried, and stopped whatever happens."""
        model = configuration.model or self.plan.model
        source = model.source(
            configuration.memory_gib, configuration.environment | dict(environment or {})
        )

        def told(doing: str) -> None:
            self.say(f"{configuration.name}: {doing}")

        site = Site(
            self.folder / f"target-{next(self._numbers)}",
            self.workplace.cache_folder,
            self.workplace.journal,
            told,
        )

        def waiting(state: Waiting) -> None:
            told(f"starting ({state.waited_s:.0f} s, {state.last})")

        told("starting")
        with (
            deployed(source, configuration.deployment(self._good_within_s), site) as target,
            running(target, waiting) as setup,
        ):
            try_payloads(target, self.workload)
            yield Started(configuration, target, setup)

    @property
    def _good_within_s(self) -> float | None:
        """What the first tier asks of every request."""
        limits = request_limits(tiers_of(self.plan)[0].slo.objectives)
        return next((each.limit_s for each in limits if each.figure == "latency"), None)

    def probe(
        self, started: Started, scenario: Scenario, beside: tuple[Target, ...] = ()
    ) -> Probe:
        """beside: other targets of the same test, whose cores the generator leaves as well."""
        configuration, described = started.configuration, started.target.describe()
        return Probe(
            engine=self.engine,
            target=started.target,
            record=describe_target(
                started.target,
                started.setup,
                configuration.vcpus,
                configuration.instance_type,
            ),
            destination=Destination(
                (described.base_url,),
                self.workload,
                generator_cores(started.target, *beside),
                described.timeouts.answer_s,
            ),
            objectives=objectives_of(tiers_of(self.plan)),
            seed=self.plan.seed,
            rules=scenario.stop,
            rows=records_of(scenario),
            ends_s=self.clock.ends_s,
        )

    def hooks(self, configuration: str, scenario: str, within: str = "") -> Hooks:
        """within: begins the keys of a search inside a search."""
        stored = self.kept_of(configuration, scenario).within(within)
        label = f"{configuration}: {scenario}"

        def finished(key: str, measured: Measured) -> None:
            self.keep(configuration, scenario, f"{within}{key}", measured)

        def starting(step: Step) -> None:
            self.say(f"{label}: {within}{step.text}")

        return Hooks(stored, finished, starting)

    def keep(self, configuration: str, scenario: str, step: str, measured: Measured) -> None:
        store = self.workplace.store
        stored = store.add_measurement(
            self.run_id,
            step_key(configuration, scenario, step),
            measured.measurement.model_dump(mode="json"),
            measured.samples.encode(),
            None if measured.resources is None else measured.resources.encode(),
        )
        keep_outline(store, stored, measured)
        if measured.measurement.is_evidence:
            self.kept_of(configuration, scenario).steps[step] = measured

    def note(self, configuration: str, scenario: str, note: Note, within: str = "") -> None:
        key = note_key(configuration, scenario, within, utc_now().isoformat())
        self.workplace.store.add_measurement(self.run_id, key, note.model_dump(mode="json"))
        self.kept_of(configuration, scenario).notes[within] = note

    def note_all(self, test: Test, note: Note) -> None:
        for each in test.configurations:
            self.note(each.name, test.scenario.name, note)

    def kept_of(self, configuration: str, scenario: str) -> Kept:
        return self.kept.setdefault((configuration, scenario), Kept())

    def say(self, doing: str) -> None:
        self.workplace.progress(doing, self.clock.left_s)
