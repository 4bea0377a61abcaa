"""An explanation, as it is written to JSON: what is said, and what every figure rests on.

Format history
1 (0.2.0): first.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, field_validator

__all__ = ["Explanation", "Figures", "Kind", "Section", "Source", "Statement"]


Figures: TypeAlias = dict[str, float | str]


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Kind(StrEnum):
    """What a figure rests on.

    measurement: made in the run. fact: read from the price book, the machine or the fitted model.
    assumption: held to be so, and checked by nobody. asked: said by the user.
    """

    MEASUREMENT = "measurement"
    FACT = "fact"
    ASSUMPTION = "assumption"
    ASKED = "asked"


class Source(_Frozen):
    """tag: as statements name it: M1, F2, A3 or Q1, by its kind."""

    tag: str
    kind: Kind
    text: str


class Statement(_Frozen):
    """figures: the numbers in it, unrounded, by name; decimals as text. sources: their tags."""

    text: str
    sources: tuple[str, ...]
    figures: Figures = Field(default_factory=dict)

    @field_validator("sources")
    @classmethod
    def _each_once(cls, tags: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(dict.fromkeys(tags))


class Section(_Frozen):
    title: str
    statements: tuple[Statement, ...]


class Explanation(_Frozen):
    format: Literal[1] = 1
    run: str | None
    subject: str
    sections: tuple[Section, ...]
    sources: tuple[Source, ...]
