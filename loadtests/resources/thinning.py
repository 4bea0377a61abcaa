"""Readings of any length in bounded memory: full, every two become one."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    Reading = float | tuple[float, ...]

__all__ = ["Column", "halved", "largest", "last", "mean"]


def last(pair: list[Reading]) -> Reading:
    """Of a counter or a clock: nothing is lost but the point in between."""
    return pair[-1]


def largest(pair: list[Reading]) -> Reading:
    return _each(np.max, pair)


def mean(pair: list[Reading]) -> Reading:
    return _each(np.mean, pair)


def _each(merge: Callable[..., NDArray[np.float64]], pair: list[Reading]) -> Reading:
    merged = merge(np.array(pair, float), axis=0)
    return tuple(merged.tolist()) if merged.ndim else float(merged)


def halved(readings: list[Reading], merge: Callable[[list[Reading]], Reading]) -> list[Reading]:
    """The first stays, it is what the others are counted from."""
    rest = readings[1:]
    return readings[:1] + [merge(rest[n : n + 2]) for n in range(0, len(rest), 2)]


@dataclass(slots=True)
class Column:
    """ended: why no more readings are added."""

    merge: Callable[[list[Reading]], Reading]
    readings: list[Reading] = field(default_factory=list)
    ended: str | None = None

    def add(self, reading: Reading | None, why_none: str) -> None:
        if self.ended is not None:
            return
        if reading is None:
            self.ended = why_none
        else:
            self.readings.append(reading)

    def halve(self) -> None:
        self.readings = halved(self.readings, self.merge)

    def merge_tail(self, length: int) -> None:
        """The last two of a column of that length; one that ended before is left as it is."""
        if self.ended is None and len(self.readings) == length:
            self.readings[-2:] = [self.merge(self.readings[-2:])]

    def values(self) -> NDArray[np.float64] | None:
        return np.array(self.readings, float) if self.readings else None
