"""What one thing cost, book by book."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, NamedTuple

import plotly.graph_objects as go

from dashboard import format as fmt
from dashboard.figures.axes import linear_axis, paper, titled
from dashboard.figures.palette import MARK, PAPER

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pricing import PriceEntry

__all__ = ["CAPTION", "PriceCourse", "price_course", "price_figure"]

CAPTION = "Filled: reported. Hollow: derived by rule. The axis does not begin at zero."
HEIGHT_PX = 230
LINE = "#0072b2"
ROOM = 0.15  # of the span of the prices; of the price where it never moved


class PriceCourse(NamedTuple):
    """Exactly what is drawn: a point a book, the oldest first."""

    books: tuple[str, ...]
    usd: tuple[float, ...]
    is_derived: tuple[bool, ...]
    texts: tuple[str, ...]
    unit: str


def price_course(entries: Sequence[PriceEntry]) -> PriceCourse:
    """Of one thing; at least one entry."""
    return PriceCourse(
        books=tuple(each.book for each in entries),
        usd=tuple(float(each.line.usd) for each in entries),
        is_derived=tuple(each.line.row.basis == "derived" for each in entries),
        texts=tuple(map(_said, entries)),
        unit=entries[-1].line.unit,
    )


def price_figure(drawn: PriceCourse) -> go.Figure:
    figure = go.Figure(
        go.Scatter(
            x=drawn.books,
            y=drawn.usd,
            mode="lines+markers",
            line={"color": LINE, "width": 2, "shape": "hv"},
            marker={
                "size": 10,
                "color": [PAPER if each else LINE for each in drawn.is_derived],
                "symbol": ["diamond" if each else "circle" for each in drawn.is_derived],
                "line": {"width": 2, "color": LINE},
            },
            hovertext=[escape(each) for each in drawn.texts],
            hovertemplate="%{hovertext}<extra></extra>",
        )
    )
    low, high = min(drawn.usd), max(drawn.usd)
    room = ROOM * ((high - low) or high)
    figure.update_layout(
        paper(),
        showlegend=False,
        height=HEIGHT_PX,
        xaxis={"type": "category", "linecolor": MARK, "showgrid": False},
        yaxis=linear_axis(max(low - room, 0), high + room)
        | {"tickprefix": "$"}
        | titled(f"USD per {drawn.unit}"),
        margin={"l": 68, "r": 16, "t": 12, "b": 28},
    )
    return figure


def _said(entry: PriceEntry) -> str:
    ratio = entry.change_ratio
    moved = "" if ratio is None else f", {fmt.change(float(ratio))}" if ratio else ", the same"
    return f"{entry.book}: ${entry.line.usd:f}{moved}"
