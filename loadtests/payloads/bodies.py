"""Request bodies drawn at random, before the first request."""

from __future__ import annotations

import importlib
import json
import sys
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self, TypeAlias

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, model_validator

from loadtests.errors import UsageError
from loadtests.payloads.json_template import check_range, check_size, fill, uniform

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    Draw: TypeAlias = Callable[[np.random.Generator], tuple[bytes, str | None]]

__all__ = [
    "Body",
    "CsvShape",
    "SizeRange",
    "csv_body",
    "distinct_bodies",
    "json_body",
    "python_function",
    "random_body",
]

MOST_BYTES = 2**30  # of all bodies
PATIENCE = 20  # draws in vain, for each body found: so long a run by chance is e^-20 likely


@dataclass(frozen=True, slots=True)
class Body:
    """content_type: as far as it follows from where the body comes from."""

    name: str
    body: bytes
    content_type: str | None


class _Shape(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class CsvShape(_Shape):
    """Numbers from low to high, all as likely; so many rows in each request."""

    columns: int = Field(ge=1)
    rows: int = Field(default=1, ge=1)
    low: float = 0.0
    high: float = 1.0

    @model_validator(mode="after")
    def _is_sound(self) -> Self:
        check_range(self.low, self.high)
        check_size((self.rows, self.columns))
        return self


class SizeRange(_Shape):
    """Of a request: `bytes`, or any from `min` to `max`, all as likely."""

    bytes: int | None = Field(default=None, ge=1, le=MOST_BYTES)
    min: int | None = Field(default=None, ge=1, le=MOST_BYTES)
    max: int | None = Field(default=None, ge=1, le=MOST_BYTES)

    @model_validator(mode="after")
    def _is_a_size(self) -> Self:
        named = tuple(name for name in ("bytes", "min", "max") if getattr(self, name) is not None)
        if named not in {("bytes",), ("min", "max")}:
            raise ValueError("name either bytes, or min and max")
        check_range(*self.limits)
        return self

    @property
    def limits(self) -> tuple[int, int]:
        return (self.bytes or self.min or 0, self.bytes or self.max or 0)


def distinct_bodies(name: str, draw: Draw, count: int, rng: np.random.Generator) -> list[Body]:
    """Raises UsageError when there are not so many, or when they take too much memory."""
    found: dict[bytes, str | None] = {}
    in_vain = in_all = 0
    while len(found) < count:
        body, content_type = draw(rng)
        in_vain += 1
        if body not in found:
            found[body], in_vain, in_all = content_type, 0, in_all + len(body)
        if in_vain > PATIENCE * len(found):
            raise UsageError(
                f"the payloads of {name} have only {len(found)} different bodies, not {count}",
                hint=f"ask for count: {len(found)}",
            )
        if in_all > MOST_BYTES:
            raise UsageError(
                f"{count} payloads of {name} take more than {MOST_BYTES / 2**20:g} MiB",
                hint="ask for a lower count or smaller bodies",
            )
    return [Body(f"{name} {n}", body, kind) for n, (body, kind) in enumerate(found.items())]


def csv_body(shape: CsvShape, rng: np.random.Generator) -> tuple[bytes, str]:
    rows = uniform(shape.low, shape.high, (shape.rows, shape.columns), rng).tolist()
    return "\n".join(",".join(map(repr, row)) for row in rows).encode(), "text/csv"


def random_body(sizes: SizeRange, rng: np.random.Generator) -> tuple[bytes, str]:
    size = int(rng.integers(*sizes.limits, endpoint=True))
    return rng.bytes(size), "application/octet-stream"


def json_body(template: object, rng: np.random.Generator) -> tuple[bytes, str]:
    return _json(fill(template, rng)), "application/json"


@contextmanager
def python_function(name: str, folder: Path) -> Iterator[Draw]:
    """The user's module:function, its module looked for in the folder first.

    Raises UsageError when it is not there, fails, or gives what is no body.
    """
    module_name, function_name = name.split(":")
    place = str(folder.resolve())
    sys.path.insert(0, place)
    try:
        function = _imported(module_name, function_name)
        yield lambda rng: _python_body(name, function, rng)
    finally:
        sys.path.remove(place)


def _imported(module_name: str, function_name: str) -> Callable[[np.random.Generator], object]:
    try:
        module = importlib.import_module(module_name)
    except Exception as error:  # importing runs whatever the user wrote
        raise UsageError(
            f"the payload module {module_name} cannot be imported: {error!r}",
            hint="it is looked for beside the plan, then where Python looks",
        ) from error
    function: Callable[[np.random.Generator], object] | None = getattr(module, function_name, None)
    if not callable(function):
        raise UsageError(
            f"the payload module {module_name} has no function {function_name}",
            hint=f"define {function_name}(rng), which takes a numpy Generator and gives one body",
        )
    return function


def _python_body(
    name: str, function: Callable[[np.random.Generator], object], rng: np.random.Generator
) -> tuple[bytes, str | None]:
    try:
        value = function(rng)
        match value:
            case bytes():
                return value, None
            case str():
                return value.encode(), None
            case _:
                return _json(value), "application/json"
    except Exception as error:  # it runs whatever the user wrote
        raise UsageError(
            f"the payload function {name} failed: {error!r}",
            hint="it takes a numpy Generator and gives bytes, text or a value for JSON",
        ) from error


def _json(value: object) -> bytes:
    return json.dumps(value, separators=(",", ":"), allow_nan=False, default=_plain).encode()


def _plain(value: object) -> object:
    if isinstance(value, np.ndarray | np.generic):
        return value.tolist()
    raise TypeError(f"{type(value).__name__} is no value of JSON")
