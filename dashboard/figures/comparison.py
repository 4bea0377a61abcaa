"""Differences of two runs below one another: ratios with their intervals, and what matters."""

from __future__ import annotations

import math
from html import escape
from typing import TYPE_CHECKING, NamedTuple

import plotly.graph_objects as go

from dashboard.figures.axes import linear_axis, paper, titled
from dashboard.figures.interval_marks import IntervalMark, interval_marks
from dashboard.figures.palette import GRID, INK, MARK, MUTED, PAPER, faint
from recommender.comparison import Verdict
from recommender.comparison.words import change_text, interval_text

if TYPE_CHECKING:
    from recommender.comparison import Difference, RunComparison

__all__ = ["CAPTION", "Forest", "ForestRow", "forest", "forest_figure"]

CAPTION = (
    "After over before, with 95% intervals. Within the shaded band a difference would not matter. "
    "An arrow ends an interval that goes on beyond the picture."
)
LOOKS = {
    Verdict.BETTER: ("#009e73", "triangle-up"),
    Verdict.WORSE: ("#d55e00", "x"),
    Verdict.SAME: ("#0072b2", "square"),
    Verdict.UNKNOWN: (MARK, "circle-open"),
}
ROW_PX, AXIS_PX = 46, 110
WIDEST = 4.0  # times as much, drawn to
TICKS = (0.25, 0.33, 0.5, 0.67, 0.8, 0.9, 1.0, 1.1, 1.25, 1.5, 2.0, 3.0, 4.0)
FEWEST_PX = 0.05  # of an axis, between two ticks
ROOM = 1.04


class ForestRow(NamedTuple):
    """low, high: of a ratio, None where open."""

    label: str
    value: float
    low: float | None
    high: float | None
    verdict: Verdict
    hover: str


class Forest(NamedTuple):
    """Exactly what is drawn. margin_ratio: how much more matters."""

    rows: tuple[ForestRow, ...]
    margin_ratio: float


def forest(found: RunComparison) -> Forest:
    """Ratios alone: shares of errors differ by points, and are in the table."""
    rows = tuple(row for each in found.differences if each.is_ratio for row in _rows(each))
    return Forest(rows, found.threshold_ratio)


def forest_figure(drawn: Forest) -> go.Figure:
    figure = go.Figure()
    low, high = _frame(drawn)
    for verdict in Verdict:
        rows = [(-n, row) for n, row in enumerate(drawn.rows) if row.verdict is verdict]
        if rows:
            _draw(figure, verdict, rows, (low, high))
    for number, row in enumerate(drawn.rows):
        figure.add_annotation(
            x=0, xref="paper", xanchor="left", y=-number, yshift=15,
            text=escape(row.label), showarrow=False, font={"size": 12.5, "color": INK},
            bgcolor=faint(PAPER, 0.8),
        )  # fmt: skip
    margin = 1 + drawn.margin_ratio
    figure.add_vrect(
        x0=1 / margin, x1=margin, fillcolor=faint(MARK, 0.16), line_width=0, layer="below"
    )
    figure.add_vline(x=1, line={"color": MUTED, "width": 1.5})
    figure.update_layout(
        paper(),
        xaxis=_ratio_axis(low, high),
        yaxis=linear_axis(0.5 - len(drawn.rows), 0.8)
        | {"showticklabels": False, "showgrid": False, "fixedrange": True},
        margin={"l": 14, "r": 14, "t": 10, "b": 84},
        height=AXIS_PX + ROW_PX * len(drawn.rows),
    )
    return figure


def _ratio_axis(low: float, high: float) -> dict[str, object]:
    ticks = _ticks(low, high)
    return titled("times as much after as before") | {
        "type": "log",
        "range": [math.log10(low), math.log10(high)],
        "tickvals": ticks,
        "ticktext": [f"{each:g}" for each in ticks],
        "gridcolor": GRID,
        "tickfont": {"color": MUTED},
        "zeroline": False,
        "fixedrange": True,
    }


def _rows(found: Difference) -> tuple[ForestRow, ...]:
    value = found.change.value
    if value is None:
        return ()
    sense = "more is better" if found.higher_is_better else "less is better"
    interval = interval_text(found.change, is_ratio=True)
    return (
        ForestRow(
            label=f"{found.name}, {found.where}",
            value=value,
            low=found.change.low,
            high=found.change.high,
            verdict=found.verdict,
            hover=f"{found.name}, {found.where} ({sense}): {change_text(found)} ({interval}), "
            f"{found.verdict.value}",
        ),
    )


def _frame(drawn: Forest) -> tuple[float, float]:
    """1 in the middle, so that twice and half lie equally far."""
    margin = 1 + drawn.margin_ratio
    ends = [
        abs(math.log(end))
        for row in drawn.rows
        for end in (row.value, row.low, row.high)
        if end is not None and end > 0
    ]
    furthest = min(max([*ends, 2 * math.log(margin)]), math.log(WIDEST))
    furthest = max([furthest, *(abs(math.log(row.value)) for row in drawn.rows)])
    return math.exp(-furthest) / ROOM, math.exp(furthest) * ROOM


def _ticks(low: float, high: float) -> list[float]:
    """From 1 outwards, as many as do not touch."""
    span = math.log(high / low)
    kept: list[float] = []
    for tick in sorted(TICKS, key=lambda each: abs(math.log(each))):
        is_apart = all(abs(math.log(tick / other)) > 2 * FEWEST_PX * span for other in kept)
        if low <= tick <= high and is_apart:
            kept.append(tick)
    return sorted(kept)


def _draw(
    figure: go.Figure,
    verdict: Verdict,
    rows: list[tuple[int, ForestRow]],
    frame: tuple[float, float],
) -> None:
    marks = [_mark(place, row, frame) for place, row in rows]
    figure.add_trace(interval_marks(verdict.value, LOOKS[verdict], marks))
    color, _ = LOOKS[verdict]
    _arrows(figure, color, [each for each in rows if not _is_bare(each[1])], frame)


def _mark(place: int, row: ForestRow, frame: tuple[float, float]) -> IntervalMark:
    """To the frame where an end is open; no bar where both are."""
    if _is_bare(row):
        return IntervalMark(place, row.value, row.value, row.value, row.hover)
    low, high = max(row.low or frame[0], frame[0]), min(row.high or frame[1], frame[1])
    return IntervalMark(place, row.value, low, high, row.hover)


def _is_bare(row: ForestRow) -> bool:
    return row.low is None and row.high is None


def _arrows(
    figure: go.Figure,
    color: str,
    rows: list[tuple[int, ForestRow]],
    frame: tuple[float, float],
) -> None:
    low, high = frame
    for at, symbol, places in (
        (low, "triangle-left", [p for p, row in rows if row.low is None or row.low < low]),
        (high, "triangle-right", [p for p, row in rows if row.high is None or row.high > high]),
    ):
        if places:
            figure.add_trace(
                go.Scatter(
                    x=[at] * len(places),
                    y=places,
                    mode="markers",
                    marker={"symbol": symbol, "size": 11, "color": color},
                    showlegend=False,
                    hoverinfo="skip",
                    cliponaxis=False,
                )
            )
