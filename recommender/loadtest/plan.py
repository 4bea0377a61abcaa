"""What `recommender loadtest` is asked: one small document.

A plan tests each configuration (what serves) in each scenario (what it is asked, and what is
sought). Everything it leaves out has a default; `recommender schema plan` prints its JSON Schema.
"""

from __future__ import annotations

from collections import Counter
from decimal import Decimal
from itertools import chain, count
from typing import TYPE_CHECKING, Annotated, Self

from pydantic import BeforeValidator, Field, model_validator

from loadtests.errors import UsageError
from loadtests.generator.workers import Workers
from loadtests.payloads import PayloadSource
from loadtests.quantities import Seconds
from loadtests.slo import parse_slo
from loadtests.streaming.delivery import Delivery
from recommender.loadtest.part import Part, keys_of, nearest, refused_key
from recommender.loadtest.scenario import (
    MODES,
    CompareScenario,
    Scenario,
    scenario_keys,
    scenario_name,
    with_files_read,
)
from recommender.loadtest.subject import Configuration, ModelGiven

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from loadtests.slo import Slo

__all__ = ["DEFAULT_SLO", "Limits", "Plan"]

DEFAULT_SLO = "p95<100ms, error_rate<1%"
ONLY_TIER = "slo"
Tiers = dict[str, str]
SCENARIO_KEYS = tuple(dict.fromkeys(key for mode in MODES for key in scenario_keys(mode)))


def _payloads(given: object) -> object:
    """One in place of a list."""
    return given if isinstance(given, list | tuple) else [given]


def _tiers(given: object) -> object:
    return {ONLY_TIER: given} if isinstance(given, str) else given


class Limits(Part):
    """Of the whole plan. What is running when one is reached is ended, what comes after is left.

    usd: what may be spent on configurations that have a price and run elsewhere (a url).
    """

    time_s: Seconds | None = Field(default=None, alias="time", gt=0)
    usd: Decimal | None = Field(default=None, gt=0)


class Generator(Part):
    """Of the load. workers: processes here; expected: those started elsewhere to join them."""

    workers: int = Field(default=1, ge=0)
    expected: int = Field(default=0, ge=0)
    host: str = "127.0.0.1"
    port: int = Field(default=0, ge=0, le=65535)

    @model_validator(mode="after")
    def _sends(self) -> Self:
        try:
            _ = self.crew
        except UsageError as error:
            raise ValueError(f"{error}; {error.hint}") from error
        return self

    @property
    def crew(self) -> Workers:
        return Workers(self.workers, self.expected, self.host, self.port)


class Plan(Part):
    """Scenarios may be left out: then the keys of one stand at the top level.

    slo: one SLO, or several tiers by name. payloads: with their weights; the sample's own when
    left out. answers: whole, as server-sent events or in chunks; by the payloads ("stream": true)
    when left out.
    """

    name: str = "load test"
    model: ModelGiven
    payloads: Annotated[tuple[PayloadSource, ...], BeforeValidator(_payloads)] = ()
    content_type: str | None = None
    path: str = "/invocations"
    answers: Delivery | None = None
    configurations: tuple[Configuration, ...] = ()
    scenarios: tuple[Scenario, ...]
    slo: Annotated[Tiers, BeforeValidator(_tiers)] = Field(default={ONLY_TIER: DEFAULT_SLO})
    region: str = "us-east-1"
    seed: int = 1
    limits: Limits = Limits()
    generator: Generator = Generator()

    @model_validator(mode="before")
    @classmethod
    def _spelled_out(cls, given: object) -> object:
        return _with_scenarios(given) if isinstance(given, dict) else given

    @model_validator(mode="after")
    def _is_consistent(self) -> Self:
        for what, given in (("scenario", self.scenarios), ("SLO", self.slo)):
            if not given:
                raise ValueError(f"the plan has no {what}")
        for tier in self.slo.values():
            _slo(tier)
        _are_distinct("configuration", (each.name for each in self.configurations))
        _are_distinct("scenario", (each.name for each in self.scenarios))
        for scenario in self.scenarios:
            for name in _named_by(scenario):
                self._knows(name, scenario.name)
        return self

    def _knows(self, name: str, scenario: str) -> None:
        known = tuple(each.name for each in self.configurations)
        if name not in known:
            advice = nearest(name, known)
            raise ValueError(f"scenario {scenario}: there is no configuration `{name}`; {advice}")

    def with_files_read(self, folder: Path) -> Self:
        """Raises UsageError that names the line of a traffic file."""
        read = tuple(with_files_read(each, folder) for each in self.scenarios)
        return self.model_copy(update={"scenarios": read})

    @property
    def tiers(self) -> dict[str, Slo]:
        return {name: parse_slo(text) for name, text in self.slo.items()}


def _slo(text: str) -> None:
    try:
        parse_slo(text)
    except UsageError as error:
        raise ValueError(f"{error}; {error.hint}") from error


def _named_by(scenario: Scenario) -> tuple[str, ...]:
    named = scenario.configurations or ()
    if isinstance(scenario, CompareScenario):
        return (*named, *(scenario.variants or ()), *scenario.shadow)
    return named


def _are_distinct(what: str, names: Iterable[str]) -> None:
    twice = [name for name, count in Counter(names).items() if count > 1]
    if twice:
        raise ValueError(f"two {what}s are named {twice[0]!r}; give each a name of its own")


def _with_scenarios(given: dict[str, object]) -> dict[str, object]:
    """Keys of a scenario at the top level are those of the only one, or the default of each."""
    plan_keys = keys_of(Plan)
    shared = {key: value for key, value in given.items() if key not in plan_keys}
    for key in shared:
        if key not in SCENARIO_KEYS:
            raise refused_key(key, plan_keys + SCENARIO_KEYS)
    rest = {key: value for key, value in given.items() if key in plan_keys}
    listed = rest.get("scenarios")
    if listed is None:
        mode = shared.get("mode", "fixed" if "traffic" in shared else "capacity")
        rest["scenarios"] = [_complete({"mode": mode}, shared, alone=True)]
    elif isinstance(listed, list):
        whole = [
            _complete(each, shared, alone=False) if isinstance(each, dict) else each
            for each in listed
        ]
        rest["scenarios"] = whole
        for key in shared:
            if not _is_read(key, whole):
                raise ValueError(f"no scenario of the plan reads `{key}`")
    rest["scenarios"] = _numbered(rest["scenarios"])
    return rest


def _complete(
    scenario: dict[str, object], shared: dict[str, object], *, alone: bool
) -> dict[str, object]:
    mode = str(scenario.get("mode", "fixed" if "traffic" in scenario | shared else "capacity"))
    known = scenario_keys(mode) if mode in MODES else ()
    inherited = shared if alone else {key: shared[key] for key in shared if key in known}
    return {"mode": mode} | inherited | scenario


def _is_read(key: str, scenarios: list[object]) -> bool:
    modes = {str(each["mode"]) for each in scenarios if isinstance(each, dict)}
    return any(key in scenario_keys(mode) for mode in modes & set(MODES) or MODES)


def _numbered(scenarios: object) -> object:
    """Those without a name get one; where it is taken, with the first number that is free."""
    if not isinstance(scenarios, list):
        return scenarios
    taken = {str(each.get("name")) for each in scenarios if isinstance(each, dict)}
    named = []
    for each in scenarios:
        if isinstance(each, dict) and not each.get("name"):
            name = _free(scenario_name(each), taken)
            taken.add(name)
            named.append(each | {"name": name})
        else:
            named.append(each)
    return named


def _free(name: str, taken: set[str]) -> str:
    numbered = (f"{name} {number}" for number in count(2))
    return next(each for each in chain((name,), numbered) if each not in taken)
