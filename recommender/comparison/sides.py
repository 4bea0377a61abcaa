"""A run, or a configuration of a load test, read from the store for a comparison."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple, Self

from pydantic import ValidationError

from loadtests.environment import Environment
from loadtests.modes.capacity import SearchSettings
from loadtests.validity import Status
from recommender.errors import BadRequest, NothingMeasured, StoreUnreadable
from recommender.loadtest.agenda import agenda, configurations_of
from recommender.loadtest.course import search_settings
from recommender.loadtest.kept import kept_of
from recommender.loadtest.request import LoadTestRequest
from recommender.loadtest.scenario import CapacityScenario
from recommender.loadtest.session import KIND as LOADTEST
from recommender.request import KIND as QUICK
from recommender.request import QuickRequest
from recommender.stored_run import kept_measurements, stored_steps

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from loadtests.measurement import Interval, Measurement
    from loadtests.probe import Measured
    from recommender.loadtest.agenda import Test
    from recommender.loadtest.kept import Kept
    from recommender.loadtest.plan import Plan
    from recommender.loadtest.subject import Configuration
    from recommender.request import Source
    from recommender.store import Run, Store

__all__ = ["Group", "LeftOut", "Reference", "Side", "configuration_names", "read_side"]

SEARCHES = ("quick", "capacity", "profile")
COLON = ":"


class Reference(NamedTuple):
    """How a user names a side: RUN, or RUN:CONFIGURATION of a load test."""

    run: str
    configuration: str | None = None

    @classmethod
    def parse(cls, text: str) -> Self:
        run, _, configuration = text.partition(COLON)
        return cls(run, configuration or None)


@dataclass(frozen=True)
class Group:
    """What was measured of one server at one size, in one test.

    mode: of the test, "quick" of a quick run. steps: fit to be evidence, by key. capacities: by
    SLO, those that were asked for so far.
    """

    configuration: str
    scenario: str | None
    mode: str
    vcpus: float | None
    steps: Mapping[str, Measured]
    settings: SearchSettings = field(default_factory=SearchSettings)
    capacities: dict[str, Interval | None] = field(default_factory=dict, compare=False)

    @property
    def label(self) -> str:
        if self.scenario is None:
            return self.configuration
        return f"{self.configuration}: {self.scenario}"

    @property
    def is_search(self) -> bool:
        return self.mode in SEARCHES


class LeftOut(NamedTuple):
    where: str
    why: str


@dataclass(frozen=True)
class Side:
    """slos: by their names; of a quick run one. subject: what serves, in words.

    asked: settings that a comparison tells when they differ.
    """

    run: Run
    configuration: str | None
    environment: Environment
    groups: tuple[Group, ...]
    left_out: tuple[LeftOut, ...]
    subject: str
    slos: Mapping[str, str]
    asked: Mapping[str, str]

    @property
    def name(self) -> str:
        if self.configuration is None:
            return self.run.id
        return f"{self.run.id}{COLON}{self.configuration}"

    @property
    def measurements(self) -> tuple[Measurement, ...]:
        return tuple(each.measurement for group in self.groups for each in group.steps.values())

    @property
    def age(self) -> tuple[object, ...]:
        """Sorts the older first."""
        return self.run.created_at, self.run.id, self.configuration or ""


def read_side(store: Store, reference: Reference) -> Side:
    """Raises UnknownRun or AmbiguousRun, BadRequest for a configuration that is not there.

    NothingMeasured for a run without a measurement that is fit to be evidence, StoreUnreadable for
    one of another version.
    """
    run = store.run(reference.run)
    try:
        side = _loadtest(store, run, reference) if run.kind == LOADTEST else _quick(store, run)
    except ValidationError as error:
        raise StoreUnreadable(
            f"run {run.id} was written by another version of this program: "
            f"{len(error.errors())} of its fields are not as this one knows them",
            hint="measure it again with this version",
        ) from error
    if run.kind == QUICK and reference.configuration is not None:
        raise BadRequest(
            f"{run.id} is a quick run: it has no configuration {reference.configuration!r}",
            hint="name the run alone",
        )
    if not any(group.steps for group in side.groups):
        raise NothingMeasured(
            f"run {side.name} ({run.status.lower()}) holds no measurement fit to be evidence",
            hint=f"look at why: recommender show {run.id}",
        )
    return side


def configuration_names(run: Run) -> tuple[str, ...]:
    """Of a load test; none of a quick run, and of a run of another version."""
    if run.kind != LOADTEST:
        return ()
    try:
        plan = LoadTestRequest.model_validate(run.request).plan
        cores = Environment.model_validate(run.environment).cores
    except ValidationError:
        return ()
    return tuple(each.name for each in configurations_of(plan, cores))


def _quick(store: Store, run: Run) -> Side:
    request = QuickRequest.model_validate(run.request)
    kept = kept_measurements(store, run)
    groups = []
    for label, steps in stored_steps(store, run.id).items():
        fit = {key: each for key, each in steps.items() if each.measurement.is_evidence}
        vcpus = next((each.measurement.target.vcpus for each in steps.values()), None)
        groups.append(Group(label, None, "quick", vcpus, fit, request.settings))
    doubted = tuple(
        LeftOut(each.key.partition("-invalid-")[0], _faults(each.measurement))
        for each in kept
        if not each.measurement.is_evidence
    )
    return Side(
        run=run,
        configuration=None,
        environment=Environment.model_validate(run.environment),
        groups=tuple(groups),
        left_out=doubted,
        subject=request.source.text,
        slos={"slo": request.slo},
        asked={
            "traffic": request.traffic.text,
            "environment of the server": _spelled(request.source.environment),
            "memory limit": _gib(request.source.memory_gib),
            "longest open-loop run": f"{request.measure_s:g} s",
            "said to be measured on": request.measured_on or "not said",
            "seed": str(request.seed),
        },
    )


def _loadtest(store: Store, run: Run, reference: Reference) -> Side:
    plan = LoadTestRequest.model_validate(run.request).plan
    environment = Environment.model_validate(run.environment)
    configurations = configurations_of(plan, environment.cores)
    names = tuple(each.name for each in configurations)
    chosen = reference.configuration
    if chosen is not None and chosen not in names:
        raise BadRequest(
            f"load test {run.id} has no configuration {chosen!r}",
            hint=f"it has: {', '.join(names)}",
        )
    kept = kept_of(store, run)
    sizes = {each.name: each.vcpus for each in configurations}
    found = [
        (_group(test, name, plan, kept, sizes[name]), kept.get((name, test.scenario.name)))
        for test in agenda(plan, environment.cores)
        for name in (each.name for each in test.configurations)
        if chosen in (None, name)
    ]
    only = next((each for each in configurations if each.name == chosen), None)
    source = _source(plan, only)
    return Side(
        run=run,
        configuration=chosen,
        environment=environment,
        groups=tuple(group for group, _ in found),
        left_out=tuple(_invalid(found)),
        subject=source.text,
        slos=plan.slo,
        asked={
            "plan": plan.name,
            "environment of the server": _spelled(source.environment),
            "memory limit": _gib(source.memory_gib),
            "seed": str(plan.seed),
        },
    )


def _source(plan: Plan, only: Configuration | None) -> Source:
    if only is None:
        return plan.model.source(None, {})
    return (only.model or plan.model).source(only.memory_gib, only.environment)


def _group(
    test: Test,
    name: str,
    plan: Plan,
    kept: Mapping[tuple[str, str], Kept],
    vcpus: float | None,
) -> Group:
    scenario = test.scenario
    own = kept.get((name, scenario.name))
    steps = {} if own is None else own.steps
    fit = {key: each for key, each in steps.items() if each.measurement.is_evidence}
    settings = (
        search_settings(scenario, plan)
        if isinstance(scenario, CapacityScenario)
        else SearchSettings(seed=plan.seed)
    )
    return Group(name, scenario.name, scenario.mode, vcpus, fit, settings)


def _invalid(found: Iterable[tuple[Group, Kept | None]]) -> Iterable[LeftOut]:
    for group, own in found:
        if own is None:
            continue
        yield from (LeftOut(group.label, _faults(each)) for each in own.invalid.values())
        yield from (
            LeftOut(group.label, _faults(each.measurement))
            for each in own.steps.values()
            if not each.measurement.is_evidence
        )


def _faults(measured: Measurement) -> str:
    faults = [each.found for each in measured.validity.faults if each.status is Status.INVALID]
    return "; ".join(dict.fromkeys(faults)) or "no reason is kept"


def _spelled(environment: Mapping[str, str]) -> str:
    said = ", ".join(f"{name}={value}" for name, value in sorted(environment.items()))
    return said or "as it is"


def _gib(memory_gib: float | None) -> str:
    return "none" if memory_gib is None else f"{memory_gib:g} GiB"
