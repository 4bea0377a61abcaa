"""A JSON value with draws in it: {"$uniform": [0, 1], "shape": [1, 64]} stands for 64 numbers.

$uniform takes the lowest and the highest number, $integer the same in whole numbers, $choice a
list. A shape nests the draws in lists, as numpy's; without one there is a single value.
"""

from __future__ import annotations

import difflib
import math
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["check_range", "check_size", "check_template", "fill", "uniform"]

DIGITS = 6  # of a random number: more only make the body longer
MOST_NUMBERS = 10_000_000  # in one body: far above what an endpoint takes

DRAWS = ("$uniform", "$integer", "$choice")


def fill(template: object, rng: np.random.Generator) -> object:
    """The template, checked before, with its draws made."""
    if isinstance(template, list):
        return [fill(value, rng) for value in template]
    if not isinstance(template, dict):
        return template
    name = next((name for name in DRAWS if name in template), None)
    if name is None:
        return {key: fill(value, rng) for key, value in template.items()}
    return _drawn(name, template[name], tuple(template.get("shape", ())), rng)


def check_template(template: object) -> None:
    """Raises ValueError for a draw that is not one."""
    if isinstance(template, list):
        for value in template:
            check_template(value)
    elif isinstance(template, dict):
        names = [key for key in template if str(key).startswith("$")]
        if names:
            _check_draw(names[0], template)
        else:
            check_template(list(template.values()))


def uniform(
    low: float, high: float, shape: tuple[int, ...], rng: np.random.Generator
) -> NDArray[np.float64]:
    decimals = max(0, DIGITS - math.ceil(math.log10(high - low))) if high > low else DIGITS
    return np.clip(np.round(rng.uniform(low, high, shape), decimals), low, high)


def check_range(low: float, high: float) -> None:
    if not (low <= high and math.isfinite(high - low)):
        raise ValueError(f"from {low} to {high} is no range")


def check_size(shape: tuple[int, ...]) -> None:
    if math.prod(shape) > MOST_NUMBERS:
        raise ValueError(f"{math.prod(shape)} numbers in one body; it can have {MOST_NUMBERS}")


def _drawn(
    name: str, given: list[Any], shape: tuple[int, ...], rng: np.random.Generator
) -> object:
    match name:
        case "$uniform":
            low, high = given
            return uniform(low, high, shape, rng).tolist()
        case "$integer":
            low, high = given
            return rng.integers(low, high, shape, endpoint=True).tolist()
        case _:
            return _picked(given, rng.integers(len(given), size=shape).tolist())


def _picked(choices: list[Any], places: Any) -> object:  # noqa: ANN401 - a number, or lists of them
    if isinstance(places, list):
        return [_picked(choices, each) for each in places]
    return choices[places]


def _check_draw(name: str, draw: dict[str, Any]) -> None:
    if name not in DRAWS:
        near = difflib.get_close_matches(name, DRAWS, 1)
        advice = f"did you mean {near[0]}?" if near else f"there are {', '.join(DRAWS)}"
        raise ValueError(f"there is no {name}; {advice}")
    odd = sorted(set(draw) - {name, "shape"})
    if odd:
        raise ValueError(f"{name} goes with shape only, not with {', '.join(odd)}")
    if name == "$choice":
        if not (isinstance(draw[name], list) and draw[name]):
            raise ValueError("$choice takes a list of what to choose from")
    else:
        _check_limits(name, draw[name])
    shape = draw.get("shape", [])
    if not (isinstance(shape, list) and all(_is_whole(each) and each > 0 for each in shape)):
        raise ValueError(f"shape is a list of whole numbers above 0, not {shape!r}")
    check_size(tuple(shape))


def _check_limits(name: str, limits: Any) -> None:  # noqa: ANN401 - whatever a YAML file holds
    is_kind = _is_whole if name == "$integer" else _is_number
    match limits:
        case [low, high] if is_kind(low) and is_kind(high):
            check_range(low, high)
        case _:
            raise ValueError(f"{name} takes [lowest, highest], not {limits!r}")


def _is_whole(each: object) -> bool:
    return isinstance(each, int) and not isinstance(each, bool) and abs(each) < 2**63


def _is_number(each: object) -> bool:
    return isinstance(each, float) or _is_whole(each)
