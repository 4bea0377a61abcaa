"""Paper, and axes with round figures on them."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from dashboard.figures.palette import FONT, GRID, INK, MUTED, PAPER

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["linear_axis", "log_axis", "paper", "round_ticks", "titled"]

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
        **_look(),
        "minor": {"dtick": "D1", "gridcolor": GRID, "griddash": "dot"},
    }


def linear_axis(low: float, high: float) -> dict[str, object]:
    return {
        "range": [low, high],
        **_look(),
    }


def _look() -> dict[str, object]:
    return {
        "automargin": True,
        "gridcolor": GRID,
        "linecolor": GRID,
        "tickfont": {"color": MUTED},
        "zeroline": False,
    }


def titled(text: str) -> dict[str, object]:
    return {"title": {"text": text, "font": {"size": 13, "color": INK}, "standoff": 15}}


def paper() -> dict[str, object]:
    """What every chart has: no colour of its own, and its legend below.

    All of it: without a template a chart is drawn as told, and is a fifth of the bytes.
    """
    return {
        "template": "none",
        "font": {"family": FONT, "size": 13, "color": INK},
        "paper_bgcolor": "rgba(0,0,0,0)",
        "plot_bgcolor": "rgba(0,0,0,0)",
        "hovermode": "closest",
        "hoverlabel": {"align": "left", "bgcolor": PAPER, "font": {"color": INK}},
        "legend": {
            "orientation": "h",
            "yref": "container",
            "y": 0,
            "yanchor": "bottom",
            "x": 0,
        },
        "modebar": {"bgcolor": "rgba(0,0,0,0)", "color": MUTED, "activecolor": INK},
    }
