"""What every part of a plan is: frozen, and strict about its keys."""

from __future__ import annotations

import difflib
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict, model_validator
from pydantic_core import PydanticCustomError

if TYPE_CHECKING:
    from pydantic import ValidationInfo

__all__ = [
    "FOLDER",
    "NAME",
    "UNKNOWN_KEY",
    "Part",
    "beside_plan",
    "environment_text",
    "keys_of",
    "nearest",
    "refused_key",
    "unknown_key",
]

FOLDER = "folder"  # of the validation context: where the plan's relative paths begin
UNKNOWN_KEY = "unknown_key"
NAME = r"^[^/]{1,80}$"  # a slash separates names in the keys of measurements


class Part(BaseModel):
    """A key nobody reads is a mistake somebody made, so it is an error that names its nearest."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", allow_inf_nan=False, populate_by_name=True
    )

    @model_validator(mode="before")
    @classmethod
    def _knows_every_key(cls, given: object) -> object:
        if isinstance(given, dict):
            known = keys_of(cls)
            for key in given:
                if key not in known:
                    raise refused_key(key, known)
        return given


def keys_of(part: type[BaseModel]) -> tuple[str, ...]:
    """As a user may write them: the aliases, and the names where there is none; then the rest."""
    fields = part.model_fields.items()
    first = [field.alias or name for name, field in fields]
    return (*first, *(name for name, field in fields if field.alias))


def unknown_key(key: object, known: tuple[str, ...]) -> str:
    return f"`{key}` is not a key here; {nearest(str(key), known)}"


def nearest(name: str, known: tuple[str, ...]) -> str:
    """Advice to one who named what is not among the known."""
    close = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    return f"did you mean `{close[0]}`?" if close else f"known are {', '.join(known) or 'none'}"


def refused_key(key: object, known: tuple[str, ...]) -> PydanticCustomError:
    return PydanticCustomError(
        UNKNOWN_KEY, "{text}", {"text": unknown_key(key, known), "key": str(key)}
    )


def environment_text(given: object) -> object:
    """YAML reads numbers and truth values; an environment holds text."""
    if not isinstance(given, dict):
        return given
    return {str(name): _text(value) for name, value in given.items()}


def beside_plan(path: str, info: ValidationInfo) -> Path:
    """A relative path begins where the plan lies."""
    folder = (info.context or {}).get(FOLDER, Path())
    return Path(folder / path)


def _text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
