"""Marks below one another, each with a bar from one end of its interval to the other."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, NamedTuple

import plotly.graph_objects as go

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["IntervalMark", "interval_marks"]


class IntervalMark(NamedTuple):
    """place: on the upright axis. low, high: where the bar ends; at the value, where it has none.

    hover: plain text.
    """

    place: int
    value: float
    low: float
    high: float
    hover: str


def interval_marks(name: str, look: tuple[str, str], marks: Sequence[IntervalMark]) -> go.Scatter:
    """name: what the legend calls them, plain text. look: their colour and symbol."""
    color, symbol = look
    return go.Scatter(
        name=escape(name),
        x=[each.value for each in marks],
        y=[each.place for each in marks],
        hovertext=[escape(each.hover) for each in marks],
        hovertemplate="%{hovertext}<extra></extra>",
        mode="markers",
        marker={
            "color": color,
            "symbol": symbol,
            "size": 12,
            "line": {"width": 2, "color": color},
        },
        error_x={
            "type": "data",
            "symmetric": False,
            "array": [each.high - each.value for each in marks],
            "arrayminus": [each.value - each.low for each in marks],
            "color": color,
            "thickness": 2.5,
            "width": 0,
        },
    )
