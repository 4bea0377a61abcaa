"""What a configuration is asked in a test, and what is sought: one class for each mode."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Discriminator, Field, Tag, model_validator

from loadtests.arrivals import Arrivals
from loadtests.errors import UsageError
from loadtests.quantities import Rps, Seconds
from loadtests.stopping import StopRules
from loadtests.traffic import HourlyFile, ReplayFile, Traffic, TrafficSpec, read_traffic
from loadtests.tuning import TuningSpec
from loadtests.users import AnyUsers, Constant, Phases, Stairs
from recommender.loadtest.part import NAME, Part, keys_of
from recommender.loadtest.rows import RowsGiven, RowsRead
from recommender.loadtest.subject import Configuration, ModelGiven

if TYPE_CHECKING:
    from pathlib import Path

    from loadtests.payloads import Rows

__all__ = [
    "MODES",
    "CapacityScenario",
    "CompareScenario",
    "FixedScenario",
    "OfflineScenario",
    "ProfileScenario",
    "Scenario",
    "SoakScenario",
    "TuneScenario",
    "load_of",
    "records_of",
    "scenario_keys",
    "scenario_name",
    "traffic_of",
    "with_files_read",
]

CLOSED = ("constant", "phases", "stairs")
MODEL = "model"  # the variable of a search that stands for builds of the model


def _loop(given: object) -> str:
    if isinstance(given, dict):
        return "closed" if given.get("kind") in CLOSED or "TrafficType" in given else "open"
    return "closed" if getattr(given, "kind", None) in CLOSED else "open"


def _arrivals(given: object) -> object:
    """`arrivals: poisson`, or `arrivals: {gamma: 2.5}` with the CV of the gaps."""
    if isinstance(given, str):
        return {"process": given}
    if isinstance(given, dict) and set(given) == {"gamma"}:
        return {"process": "gamma", "cv": given["gamma"]}
    return given


AnyLoad = Annotated[
    Annotated[TrafficSpec, Tag("open")] | Annotated[AnyUsers, Tag("closed")], Discriminator(_loop)
]
ArrivalsGiven = Annotated[Arrivals, BeforeValidator(_arrivals)]


class _Scenario(Part):
    """configurations: by name; all of them when left out."""

    name: Annotated[str, Field(pattern=NAME)]
    configurations: tuple[str, ...] | None = None
    stop: StopRules = StopRules()


class CapacityScenario(_Scenario):
    """The largest load under each SLO. duration: of an open-loop run; rung: of a closed one."""

    mode: Literal["capacity"]
    duration_s: Seconds = Field(default=20.0, alias="duration", gt=0)
    rung_s: Seconds = Field(default=3.0, alias="rung", gt=0)
    most_open: int = Field(default=4, ge=1, le=50)


class ProfileScenario(_Scenario):
    """Latency against load. rates: in place of `points` shares of the saturated throughput."""

    mode: Literal["profile"]
    points: int = Field(default=8, ge=2, le=50)
    rates_rps: tuple[Rps, ...] | None = Field(default=None, alias="rates", min_length=1)
    duration_s: Seconds = Field(default=15.0, alias="duration", gt=0)
    rung_s: Seconds = Field(default=3.0, alias="rung", gt=0)


class FixedScenario(_Scenario):
    """This traffic, or these users: did it meet the SLO? duration: else the traffic's own."""

    mode: Literal["fixed"]
    traffic: AnyLoad
    arrivals: ArrivalsGiven = Arrivals()
    duration_s: Seconds | None = Field(default=None, alias="duration", gt=0)
    repeats: int = Field(default=1, ge=1, le=100)


class OfflineScenario(_Scenario):
    """Batch transform: the highest throughput.

    rows_per_request: records in each payload, as given. rows: a file of records in place of
    payloads, batch_size of them to a request ("auto": the best is sought) within max_payload_mb
    (10^6 bytes). max_concurrent: requests at a time.
    """

    mode: Literal["offline"]
    duration_s: Seconds = Field(default=30.0, alias="duration", gt=0)
    rung_s: Seconds = Field(default=3.0, alias="rung", gt=0)
    rows_per_request: int = Field(default=1, ge=1)
    rows: RowsGiven | None = None
    batch_size: Literal["auto"] | Annotated[int, Field(ge=1)] = "auto"
    max_payload_mb: float = Field(default=6.0, gt=0, le=100)
    max_concurrent: int = Field(default=64, ge=1, le=256)

    @model_validator(mode="after")
    def _is_of_one_kind(self) -> Self:
        if self.rows is None and self.batch_size != "auto":
            raise ValueError("`batch_size` goes with `rows`, a file of records")
        if self.rows is not None and self.rows_per_request > 1:
            raise ValueError(
                "`rows_per_request` is of payloads; how many `rows` go into a request is "
                "`batch_size`"
            )
        return self

    @property
    def records(self) -> RowsRead | None:
        if self.rows is None or isinstance(self.rows, RowsRead):
            return self.rows
        raise TypeError(f"{self.rows.file} was not read")


class SoakScenario(_Scenario):
    """The same traffic for long: does latency drift, does memory grow?"""

    mode: Literal["soak"]
    traffic: TrafficSpec
    arrivals: ArrivalsGiven = Arrivals()
    duration_s: Seconds = Field(default=600.0, alias="duration", gt=0)


class CompareScenario(_Scenario):
    """Configurations side by side on the same traffic, interleaved.

    variants: share of the traffic by configuration, the first of them the baseline; even shares
    when left out. shadow: the configuration that gets copies, with the share of requests copied;
    its answers do not count. margin: how much worse, as a ratio, still passes.
    """

    mode: Literal["compare"]
    traffic: TrafficSpec
    arrivals: ArrivalsGiven = Arrivals()
    duration_s: Seconds = Field(default=60.0, alias="duration", gt=0)
    variants: dict[str, Annotated[float, Field(gt=0)]] | None = None
    shadow: dict[str, Annotated[float, Field(gt=0, le=1)]] = Field(default_factory=dict)
    quantile: float = Field(default=0.95, gt=0, lt=1)
    margin_ratio: float = Field(default=0.05, alias="margin", gt=0)


class TuneScenario(_Scenario):
    """Which environment serves best: ranges of values, searched within a budget.

    models: builds of the model by name, such as a quantised one, tried like the values of a
    variable.
    """

    mode: Literal["tune"]
    models: dict[str, ModelGiven] = Field(default_factory=dict)
    tuning: TuningSpec

    @model_validator(mode="before")
    @classmethod
    def _flat(cls, given: object) -> object:
        """The search's own keys may stand beside the scenario's."""
        if not isinstance(given, dict) or "tuning" in given:
            return given
        own = set(keys_of(cls))
        search = {name: value for name, value in given.items() if name not in own}
        if given.get("models"):
            ranges = search.get("environment") or {}
            search["environment"] = {MODEL: list(given["models"]), **ranges}
        return {name: value for name, value in given.items() if name in own} | {"tuning": search}

    def tried(
        self, configuration: Configuration, setting: dict[str, str]
    ) -> tuple[Configuration, dict[str, str]]:
        """The configuration with the build of this setting, and its environment."""
        environment = {name: value for name, value in setting.items() if name != MODEL}
        if MODEL not in setting or not self.models:
            return configuration, setting
        build = self.models[setting[MODEL]]
        return configuration.model_copy(update={"model": build}), environment


BY_MODE: dict[str, type[_Scenario]] = {
    "capacity": CapacityScenario,
    "profile": ProfileScenario,
    "fixed": FixedScenario,
    "offline": OfflineScenario,
    "soak": SoakScenario,
    "compare": CompareScenario,
    "tune": TuneScenario,
}
MODES = tuple(BY_MODE)
Scenario = Annotated[
    CapacityScenario
    | ProfileScenario
    | FixedScenario
    | OfflineScenario
    | SoakScenario
    | CompareScenario
    | TuneScenario,
    Field(discriminator="mode"),
]


def scenario_keys(mode: str) -> tuple[str, ...]:
    """What a scenario of this mode may say."""
    own = keys_of(BY_MODE[mode])
    return own + keys_of(TuningSpec) if mode == "tune" else own


def scenario_name(given: dict[str, Any]) -> str:
    """Its mode, and the kind of its traffic."""
    traffic = given.get("traffic")
    if isinstance(traffic, dict):
        traffic = traffic.get("kind") or traffic.get("TrafficType")
    parts = [str(given.get("mode")), "" if traffic is None else str(traffic)]
    return " ".join(part for part in parts if part).replace("/", " per ")[:80]


def with_files_read(scenario: Scenario, folder: Path) -> Scenario:
    """What a file holds becomes a value, so that the plan stands by itself.

    Raises UsageError that names the line of a traffic file.
    """
    if isinstance(scenario, OfflineScenario):
        return _with_rows_read(scenario, folder)
    traffic = getattr(scenario, "traffic", None)
    if isinstance(traffic, HourlyFile | ReplayFile):
        return scenario.model_copy(update={"traffic": read_traffic(traffic, folder)})
    return scenario


def _with_rows_read(scenario: OfflineScenario, folder: Path) -> OfflineScenario:
    """Raises UsageError where a request cannot hold as many as are asked for."""
    if scenario.rows is None or isinstance(scenario.rows, RowsRead):
        return scenario
    read = scenario.rows.read(folder)
    most, asked = read.most_rows(scenario.max_payload_mb), scenario.batch_size
    if asked != "auto" and asked > most:
        raise UsageError(
            f"{asked} records of up to {read.longest_bytes:,} bytes do not fit into "
            f"{scenario.max_payload_mb:g} MB",
            hint=f"{most} always fit; or allow more with max_payload_mb",
        )
    return scenario.model_copy(update={"rows": read})


def records_of(scenario: Scenario) -> Rows | None:
    """Those that a scenario sends in place of payloads. Raises BadRequest if they have changed."""
    read = scenario.records if isinstance(scenario, OfflineScenario) else None
    return None if read is None else read.rows()


def load_of(scenario: FixedScenario) -> Traffic | Constant | Phases | Stairs:
    """Open-loop traffic, or closed-loop users."""
    load = scenario.traffic
    if isinstance(load, HourlyFile | ReplayFile):
        raise TypeError(f"{load.file} was not read")
    return load


def traffic_of(scenario: SoakScenario | CompareScenario) -> Traffic:
    traffic = scenario.traffic
    if isinstance(traffic, HourlyFile | ReplayFile):
        raise TypeError(f"{traffic.file} was not read")
    return traffic
