"""Closed-loop users: each waits for its answer before it asks again, so load follows the server.

They exist for SageMaker's PHASES and STAIRS, whose own names are accepted too; SpawnRate is in new
users a minute, and the duration of Stairs is that of all steps, as the API of SageMaker has them.
A measurement under them says how the server answers so many users, not how it meets a traffic.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from itertools import pairwise
from typing import Annotated, Any, Literal, Self

import numpy as np
from numpy.typing import NDArray  # noqa: TC002 - pydantic reads the annotations
from pydantic import (
    AliasChoices,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    model_validator,
)
from typing_extensions import override

from loadtests.quantities import Seconds, seconds_text

__all__ = ["AnyUsers", "Constant", "Phase", "Phases", "Stairs", "users_from_sagemaker"]

MOST_USERS = 10_000  # greenlets and connections of one generator
MOST_SAID = 4  # phases named in a text

PositiveSeconds = Annotated[Seconds, Field(gt=0)]


def _also(name: str, sagemaker_name: str) -> AliasChoices:
    return AliasChoices(name, sagemaker_name)


class _Pattern(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    @abstractmethod
    def spans_s(self) -> NDArray[np.float64]:
        """Start and end of each user, shape (n, 2), in the order they start."""

    @abstractmethod
    def at(self, t_s: float) -> int:
        """Users at a time: 0 from duration_s on."""


class Constant(_Pattern):
    kind: Literal["constant"] = "constant"
    users: int = Field(ge=1, le=MOST_USERS)
    duration_s: PositiveSeconds

    @property
    def most(self) -> int:
        return self.users

    @property
    def text(self) -> str:
        return f"closed loop, {_users(self.users)} for {seconds_text(self.duration_s)}"

    @override
    def spans_s(self) -> NDArray[np.float64]:
        return np.tile([0.0, self.duration_s], (self.users, 1))

    @override
    def at(self, t_s: float) -> int:
        return self.users if 0 <= t_s < self.duration_s else 0


class Phase(BaseModel):
    """spawn_rate: new users a minute, the first one such gap after the phase began."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    initial_number_of_users: int = Field(
        ge=0,
        le=MOST_USERS,
        validation_alias=_also("initial_number_of_users", "InitialNumberOfUsers"),
    )
    spawn_rate: float = Field(default=0.0, ge=0, validation_alias=_also("spawn_rate", "SpawnRate"))
    duration_s: PositiveSeconds = Field(validation_alias=_also("duration_s", "DurationInSeconds"))

    @model_validator(mode="after")
    def _is_not_too_many(self) -> Self:
        spawned = math.ceil(self.spawn_rate * self.duration_s / 60)
        _check_most(self.initial_number_of_users + spawned)
        return self

    @property
    def spawns_s(self) -> NDArray[np.float64]:
        """When a user is added, from the start of the phase."""
        most = math.ceil(self.spawn_rate * self.duration_s / 60)
        spawns_s = np.arange(1, most + 1) * 60 / self.spawn_rate if most else np.empty(0)
        return np.asarray(spawns_s[spawns_s < self.duration_s])

    @property
    def last_users(self) -> int:
        return self.initial_number_of_users + len(self.spawns_s)

    @property
    def text(self) -> str:
        users = _users(self.initial_number_of_users)
        more = f" and {self.spawn_rate:g} more a minute" if self.spawn_rate else ""
        return f"{users}{more} for {seconds_text(self.duration_s)}"


class Phases(_Pattern):
    """Where a phase begins with fewer users than the one before ended with, the youngest end."""

    kind: Literal["phases"] = "phases"
    phases: tuple[Phase, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _has_users(self) -> Self:
        if self.most == 0:
            raise ValueError("no phase has a user")
        return self

    @property
    def duration_s(self) -> float:
        return float(self._starts_s[-1])

    @property
    def most(self) -> int:
        return max(phase.last_users for phase in self.phases)

    @property
    def text(self) -> str:
        said = ", ".join(phase.text for phase in self.phases[:MOST_SAID])
        more = len(self.phases) - MOST_SAID
        return f"closed loop, phases of {said}" + (f" and {more} more" if more > 0 else "")

    @override
    def spans_s(self) -> NDArray[np.float64]:
        here: list[float] = []  # when each present user started, the oldest first
        ended: list[tuple[float, float]] = []
        for phase, (start_s, end_s) in zip(self.phases, pairwise(self._starts_s), strict=True):
            wanted = phase.initial_number_of_users
            ended += [(user_s, start_s) for user_s in here[wanted:]]
            here = here[:wanted] + [start_s] * (wanted - len(here))
            spawns_s = (start_s + phase.spawns_s).tolist()
            here += [spawn_s for spawn_s in spawns_s if spawn_s < end_s]
        ended += [(user_s, self.duration_s) for user_s in here]
        return np.array(sorted(ended), dtype=np.float64)

    @override
    def at(self, t_s: float) -> int:
        if not 0 <= t_s < self.duration_s:
            return 0
        starts_s = self._starts_s
        number = int(np.searchsorted(starts_s, t_s, side="right")) - 1
        phase, into_s = self.phases[number], t_s - float(starts_s[number])
        spawned = int(np.searchsorted(phase.spawns_s, into_s, side="right"))
        return phase.initial_number_of_users + spawned

    @property
    def _starts_s(self) -> NDArray[np.float64]:
        """When each phase begins, and the end of the last."""
        return np.concatenate(([0.0], np.cumsum([phase.duration_s for phase in self.phases])))


class Stairs(_Pattern):
    """So many users more at each step; duration_s is that of all steps together."""

    kind: Literal["stairs"] = "stairs"
    users_per_step: int = Field(
        ge=1, le=MOST_USERS, validation_alias=_also("users_per_step", "UsersPerStep")
    )
    number_of_steps: int = Field(
        ge=1, le=MOST_USERS, validation_alias=_also("number_of_steps", "NumberOfSteps")
    )
    duration_s: PositiveSeconds = Field(validation_alias=_also("duration_s", "DurationInSeconds"))

    @model_validator(mode="after")
    def _is_not_too_many(self) -> Self:
        _check_most(self.most)
        return self

    @property
    def most(self) -> int:
        return self.users_per_step * self.number_of_steps

    @property
    def step_s(self) -> float:
        return self.duration_s / self.number_of_steps

    @property
    def text(self) -> str:
        step = f"{self.users_per_step} more every {seconds_text(self.step_s)}"
        return f"closed loop, stairs of {step} up to {_users(self.most)}"

    @override
    def spans_s(self) -> NDArray[np.float64]:
        starts_s = np.repeat(np.arange(self.number_of_steps) * self.step_s, self.users_per_step)
        return np.column_stack((starts_s, np.full(len(starts_s), self.duration_s)))

    @override
    def at(self, t_s: float) -> int:
        if not 0 <= t_s < self.duration_s:
            return 0
        steps = min(math.floor(t_s / self.step_s) + 1, self.number_of_steps)
        return steps * self.users_per_step


def users_from_sagemaker(document: dict[str, Any]) -> dict[str, Any]:
    """The pattern in a TrafficPattern of CreateInferenceRecommendationsJob, for validation.

    Raises ValueError for what is not one.
    """
    kinds = {"PHASES": "Phases", "STAIRS": "Stairs"}
    asked = document.get("TrafficType")
    part = kinds.get(asked) if isinstance(asked, str) else None
    if part is None:
        raise ValueError(f"TrafficType is PHASES or STAIRS, not {asked!r}")
    odd = sorted(set(document) - {"TrafficType", part})
    if odd or part not in document:
        found = ", ".join(odd) or "nothing"
        raise ValueError(f"TrafficType {asked} goes with {part}; found {found}")
    if part == "Phases":
        return {"kind": "phases", "phases": document[part]}
    if not isinstance(document[part], dict):
        raise ValueError(f"Stairs is not {document[part]!r}; it has UsersPerStep and others")  # noqa: TRY004 - pydantic's
    return {"kind": "stairs", **document[part]}


def _named_here(given: object) -> object:
    if isinstance(given, dict) and "TrafficType" in given:
        return users_from_sagemaker(given)
    return given


AnyUsers = Annotated[
    Annotated[Constant | Phases | Stairs, Field(discriminator="kind")],
    BeforeValidator(_named_here),
]


def _users(count: int) -> str:
    return f"{count} user{'' if count == 1 else 's'}"


def _check_most(users: int) -> None:
    if users > MOST_USERS:
        raise ValueError(f"{users} users at once; a generator runs up to {MOST_USERS}")
