"""Logarithmic axes with round figures on them."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from dashboard.figures.palette import GRID, MUTED

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["log_axis", "round_ticks"]

FEW_DECADES, SOME_DECADES = 2.2, 3.5


def round_ticks(low: float, high: float) -> tuple[float, ...]:
    """Within [low, high]: 1, 2 and 5 in each decade, and fewer the more decades there are."""
    span = math.log10(high / low)
    steps = (1, 2, 5) if span <= FEW_DECADES else (1, 3) if span <= SOME_DECADES else (1,)
    decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    found = [float(f"{step}e{decade}") for decade in decades for step in steps]
    return tuple(each for each in found if low <= each <= high)


def log_axis(low: float, high: float, text: Callable[[float], str]) -> dict[str, object]:
    ticks = round_ticks(low, high)
    return {
        "type": "log",
        "range": [math.log10(low), math.log10(high)],
        "tickvals": ticks,
        "ticktext": [text(each) for each in ticks],
        "gridcolor": GRID,
        "linecolor": GRID,
        "tickfont": {"color": MUTED},
        "zeroline": False,
        "minor": {"dtick": "D1", "gridcolor": GRID, "griddash": "dot"},
    }
