"""What is tuned, one trial of it, and what the trial gave."""

from __future__ import annotations

import difflib
import itertools
import math
from typing import Annotated, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

__all__ = ["Objective", "Setting", "Trial", "TrialResult", "TuningSpec"]

MOST_SETTINGS = 4096  # every one is looked at before each proposal

Setting = tuple[str, ...]  # one value for each variable, in the order of the spec
Objective = Literal["capacity", "throughput", "latency"]


def _as_text(value: object) -> object:
    if isinstance(value, bool):
        raise ValueError(f"write {str(value).lower()!r} in quotes, as the program expects it")  # noqa: TRY004 - pydantic reports ValueError
    return str(value) if isinstance(value, int | float) else value


Value = Annotated[str, BeforeValidator(_as_text, json_schema_input_type=str | int | float)]


class TuningSpec(BaseModel):
    """Categorical ranges and what their search may cost.

    environment: the values each variable may take. baseline: the setting in use today; a variable
    it leaves out has its first value. budget_s: seconds of load in all; trials: their number.
    Without either the search covers the whole grid at its shortest trial. eta: of how many
    settings one goes on to a trial eta times as long. trial_s, shortest_s: the longest and the
    shortest trial. objective: what the score is; of a latency less is better.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    environment: dict[str, tuple[Value, ...]]
    baseline: dict[str, Value] = Field(default_factory=dict)
    budget_s: float | None = Field(default=None, gt=0)
    trials: int | None = Field(default=None, ge=2)
    eta: int = Field(default=3, ge=2, le=10)
    trial_s: float = Field(default=27.0, gt=0)
    shortest_s: float = Field(default=3.0, gt=0)
    objective: Objective = "capacity"

    @model_validator(mode="after")
    def _check(self) -> Self:
        for variable, values in self.environment.items():
            if not values:
                raise ValueError(f"{variable} has no values")
            if len(set(values)) < len(values):
                raise ValueError(f"{variable} names a value twice: {', '.join(values)}")
        count = self.settings_count
        if count < 2:  # noqa: PLR2004 - one setting leaves nothing to choose
            raise ValueError("there is one setting only: give a variable two values or more")
        if count > MOST_SETTINGS:
            raise ValueError(
                f"the ranges make {count} settings, more than {MOST_SETTINGS}: narrow them"
            )
        for variable, value in self.baseline.items():
            _check_known("variable", variable, self.environment)
            _check_known(f"value of {variable}", value, self.environment[variable])
        if self.shortest_s > self.trial_s:
            raise ValueError(
                f"the shortest trial, {self.shortest_s:g} s, is longer than the longest, "
                f"{self.trial_s:g} s"
            )
        return self

    @property
    def variables(self) -> tuple[str, ...]:
        return tuple(self.environment)

    @property
    def settings_count(self) -> int:
        return math.prod(len(values) for values in self.environment.values())

    @property
    def grid(self) -> tuple[Setting, ...]:
        return tuple(itertools.product(*self.environment.values()))

    @property
    def baseline_setting(self) -> Setting:
        return tuple(
            self.baseline.get(variable, values[0]) for variable, values in self.environment.items()
        )

    def named(self, setting: Setting) -> dict[str, str]:
        return dict(zip(self.environment, setting, strict=True))

    def unnamed(self, values: dict[str, str]) -> Setting:
        return tuple(values[variable] for variable in self.environment)


def _check_known(
    what: str, name: str, known: dict[str, tuple[str, ...]] | tuple[str, ...]
) -> None:
    if name in known:
        return
    close = difflib.get_close_matches(name, list(known), n=1)
    meant = f"; did you mean {close[0]!r}?" if close else f"; there are {', '.join(known)}"
    raise ValueError(f"the baseline's {what} {name!r} is not in the ranges{meant}")


class Trial(BaseModel):
    """One setting under load for fidelity_s seconds. key: names it within its search."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    setting: dict[str, str]
    fidelity_s: float
    rung: int
    repeat: int = 1

    @property
    def key(self) -> str:
        values = " ".join(f"{variable}={value}" for variable, value in self.setting.items())
        return f"trial-{self.rung}-{self.repeat} {values}"


class TrialResult(BaseModel):
    """score: in the objective's own unit (requests per second, or seconds for a latency).

    low, high: its 95 % interval; 0 and None where that end is not known. failed_reason: why there
    is no score, such as a server that did not start. spent_s: seconds of load it really took; the
    trial's own where not told.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    trial: Trial
    score: float | None = Field(default=None, gt=0)
    low: float = Field(default=0.0, ge=0)
    high: float | None = None
    failed_reason: str | None = None
    spent_s: float | None = Field(default=None, ge=0)

    @model_validator(mode="after")
    def _check(self) -> Self:
        if (self.score is None) == (self.failed_reason is None):
            raise ValueError("a trial has a score, or else the reason why it failed")
        if self.score is not None and not self.low <= self.score <= (self.high or math.inf):
            raise ValueError(
                f"the score {self.score:g} lies outside of its interval, "
                f"{self.low:g} to {self.high:g}"
            )
        return self

    @property
    def load_s(self) -> float:
        return self.trial.fidelity_s if self.spent_s is None else self.spent_s
