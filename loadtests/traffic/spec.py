"""Traffic as a plan names it: a value, the file that holds it, or a text such as 50rps."""

from __future__ import annotations

import difflib
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Discriminator, Field, Tag

from loadtests.quantities import RATE_GRAMMAR, Seconds, parse_rate_rps
from loadtests.traffic.files import TimeUnit, read_hourly, read_replay
from loadtests.traffic.kinds import Burst, Diurnal, Hourly, Ramp, Steady, Steps
from loadtests.traffic.replay import Replay

__all__ = ["AnyTraffic", "HourlyFile", "ReplayFile", "TrafficSpec", "read_traffic"]

KINDS = ("steady", "hourly", "ramp", "steps", "burst", "diurnal", "replay")


class _File(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    file: str = Field(min_length=1)


class HourlyFile(_File):
    """A CSV with the requests of each hour. hour_s: how long each lasts in the replay."""

    kind: Literal["hourly"] = "hourly"
    hour_s: Annotated[Seconds, Field(gt=0)] = 3600.0


class ReplayFile(_File):
    """One time a line, or in a column. unit: of times that are numbers."""

    kind: Literal["replay"] = "replay"
    column: str | None = None
    unit: TimeUnit = "s"
    speed: Annotated[float, Field(gt=0)] = 1.0


AnyTraffic = Annotated[
    Steady | Hourly | Ramp | Steps | Burst | Diurnal | Replay, Field(discriminator="kind")
]


def _kind(given: object) -> object:
    return given.get("kind") if isinstance(given, dict) else getattr(given, "kind", None)


def _tag(given: object) -> str:
    names_file = "file" in given if isinstance(given, dict) else isinstance(given, _File)
    return f"{_kind(given)}{' file' if names_file else ''}"


_Spec = Annotated[
    Annotated[Steady, Tag("steady")]
    | Annotated[Hourly, Tag("hourly")]
    | Annotated[HourlyFile, Tag("hourly file")]
    | Annotated[Ramp, Tag("ramp")]
    | Annotated[Steps, Tag("steps")]
    | Annotated[Burst, Tag("burst")]
    | Annotated[Diurnal, Tag("diurnal")]
    | Annotated[Replay, Tag("replay")]
    | Annotated[ReplayFile, Tag("replay file")],
    Discriminator(_tag),
]


def _spelled_out(given: object) -> object:
    if isinstance(given, str):
        if parse_rate_rps(given) is not None:
            return {"kind": "steady", "rps": given}
        if given.lower().endswith(".csv"):
            return {"kind": "hourly", "file": given}
        raise ValueError(
            f"traffic {given!r} is not understood; it is {RATE_GRAMMAR}, an hourly CSV file, "
            f"or a kind ({', '.join(KINDS)}) with its settings"
        )
    kind = _kind(given)
    if kind not in KINDS:
        near = difflib.get_close_matches(str(kind), KINDS, 1)
        asked = f"{given!r} does not name a kind" if kind is None else f"has no kind {kind!r}"
        advice = f"did you mean {near[0]}?" if near else f"kinds are {', '.join(KINDS)}"
        raise ValueError(f"traffic {asked}; {advice}")
    return given


TrafficSpec = Annotated[_Spec, BeforeValidator(_spelled_out, json_schema_input_type=_Spec | str)]


def read_traffic(
    spec: TrafficSpec, folder: Path = Path()
) -> Steady | Hourly | Ramp | Steps | Burst | Diurnal | Replay:
    """Reads the file it names, relative to the folder. Raises UsageError naming the line."""
    match spec:
        case HourlyFile():
            return read_hourly(folder / spec.file, hour_s=spec.hour_s)
        case ReplayFile():
            return read_replay(
                folder / spec.file, column=spec.column, unit=spec.unit, speed=spec.speed
            )
        case _:
            return spec
