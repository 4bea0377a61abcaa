"""Figures with their intervals below one another: capacities, and effects."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, NamedTuple

import plotly.graph_objects as go

from dashboard import format as fmt
from dashboard.figures.axes import linear_axis, paper, titled
from dashboard.figures.interval_marks import IntervalMark, interval_marks
from dashboard.figures.palette import INK, MARK, PAPER, TIER_MARKS, VERDICT_COLOR, faint
from recommender.loadtest.report import CapacityAnswer, ComparisonAnswer, TuningAnswer
from recommender.loadtest.words import between

if TYPE_CHECKING:
    from collections.abc import Iterable

    from loadtests.modes.compare import Difference
    from loadtests.tuning import Effect
    from recommender.loadtest.report import Answer, TestReport, TierAnswer

__all__ = [
    "CAPACITIES",
    "COMPARED",
    "TUNED",
    "IntervalRow",
    "Intervals",
    "capacities",
    "effects",
    "intervals_figure",
]

CAPACITIES = (
    "The largest load that meets each SLO, with its interval: between a run that met it and one "
    "that missed, or 80% by the model; the upright line is where the server is saturated."
)
COMPARED = (
    "Candidate against baseline with 95% intervals, for errors in percentage points; the upright "
    "line is how much worse still passes."
)
TUNED = "What each value changes in the score against the baseline's, with 95% intervals."
ROW_PX, AXIS_PX = 52, 100
ROOM = 0.06  # of the width, beyond the outermost figure


class IntervalRow(NamedTuple):
    """low, high: None where there is no such end; drawn to the frame. mark: a limit of this row.

    kind: what the legend calls it, with its colour and symbol.
    """

    label: str
    value: float
    low: float | None
    high: float | None
    mark: float | None
    kind: str
    color: str
    symbol: str
    hover: str


class Intervals(NamedTuple):
    """Exactly what is drawn. mark: what the marks are. is_change: from 0, both ways."""

    title: str
    mark: str
    rows: tuple[IntervalRow, ...]
    is_change: bool


def capacities(tests: Iterable[TestReport]) -> Intervals:
    """Of the tests that found one; tiers apart by colour and shape."""
    found = [
        (test, tier)
        for test in tests
        if isinstance(test.answer, CapacityAnswer)
        for tier in test.answer.tiers
        if tier.basis != "none"
    ]
    tiers = list(dict.fromkeys(tier.tier for _, tier in found))
    several = len({test.scenario for test, _ in found}) > 1
    rows: list[IntervalRow] = []
    for test, tier in found:
        names = [test.configurations[0]]
        names += [test.scenario] if several else []
        names += [tier.tier] if len(tiers) > 1 else []
        look = TIER_MARKS[tiers.index(tier.tier) % len(TIER_MARKS)]
        kind = tier.tier if len(tiers) > 1 else "capacity"
        rows += _capacity(", ".join(names), kind, tier, look)
    return Intervals("requests per second", "saturated", tuple(rows), is_change=False)


def effects(answer: Answer) -> Intervals:
    """Nothing is drawn of what is not known; the findings say why."""
    match answer:
        case ComparisonAnswer(comparisons=comparisons):
            rows = tuple(
                row
                for each in comparisons
                for difference in each.differences
                for row in _compared(f"{each.candidate} against {each.baseline}", difference)
            )
            title = "change in %, for errors in percentage points"
            return Intervals(title, "how much worse passes", rows, is_change=True)
        case TuningAnswer(tuning=tuning):
            rows = tuple(row for each in tuning.effects for row in _tuned(each))
            return Intervals("change of the score in %", "", rows, is_change=True)
        case _:
            raise TypeError(answer.mode)


def intervals_figure(drawn: Intervals) -> go.Figure:
    figure = go.Figure()
    low, high = _frame(drawn)
    places = {number: -number for number in range(len(drawn.rows))}
    for kind in dict.fromkeys(row.kind for row in drawn.rows):
        rows = [(places[n], row) for n, row in enumerate(drawn.rows) if row.kind == kind]
        figure.add_trace(_markers(kind, rows, (low, high)))
    marked = [(places[n], row.mark) for n, row in enumerate(drawn.rows) if row.mark is not None]
    if marked:
        figure.add_trace(_marks(drawn.mark, marked))
    for number, row in enumerate(drawn.rows):
        figure.add_annotation(
            x=0, xref="paper", xanchor="left", y=places[number], yshift=17,
            text=escape(row.label), showarrow=False, font={"size": 12.5, "color": INK},
            bgcolor=faint(PAPER, 0.8),
        )  # fmt: skip
    if drawn.is_change:
        figure.add_vline(x=0, line={"color": MARK, "width": 1, "dash": "dot"})
    figure.update_layout(
        paper(),
        xaxis=linear_axis(low, high) | titled(drawn.title),
        yaxis=linear_axis(0.4 - len(drawn.rows), 0.7)
        | {"tickvals": list(places.values()), "showticklabels": False, "fixedrange": True},
        margin={"l": 12, "r": 16, "t": 16, "b": 76},
        height=AXIS_PX + ROW_PX * len(drawn.rows),
    )
    return figure


def _capacity(
    label: str, kind: str, tier: TierAnswer, look: tuple[str, str]
) -> tuple[IntervalRow, ...]:
    found, (color, symbol) = tier.capacity_rps, look
    if found.value is None:
        return ()
    return (
        IntervalRow(
            label=label,
            value=found.value,
            low=found.low,
            high=found.high,
            mark=tier.saturation_rps,
            kind=kind,
            color=color,
            symbol=symbol,
            hover=f"{label}: {between(found)} req/s meet {tier.slo}",
        ),
    )


def _compared(whose: str, found: Difference) -> tuple[IntervalRow, ...]:
    value = _changed(found, found.difference.value)
    if value is None:
        return ()
    verdict = found.verdict.value
    return (
        IntervalRow(
            label=f"{whose}: {found.of}",
            value=value,
            low=_changed(found, found.difference.low),
            high=_changed(found, found.difference.high),
            mark=(-100 if found.of == "throughput" else 100) * found.margin,
            kind=verdict,
            color=VERDICT_COLOR[verdict],
            symbol="square" if verdict == "pass" else "x" if verdict == "fail" else "circle-open",
            hover=f"{whose}: {found.reason}",
        ),
    )


def _changed(found: Difference, ratio: float | None) -> float | None:
    """In %: of the baseline's figure, or of all requests."""
    if ratio is None:
        return None
    return 100 * ratio if found.of == "errors" else 100 * (ratio - 1)


def _tuned(found: Effect) -> tuple[IntervalRow, ...]:
    if found.percent is None:
        return ()
    is_baseline = found.percent == found.low == found.high == 0
    said = "baseline" if is_baseline else f"{found.percent:+.3g} %"
    interval = "" if is_baseline else f" ({found.low:+.3g}{fmt.TO}{found.high:+.3g})"
    color, symbol = (MARK, "line-ns-open") if is_baseline else TIER_MARKS[0]
    return (
        IntervalRow(
            label=f"{found.variable}={found.value}: {said}{interval}",
            value=found.percent,
            low=found.low,
            high=found.high,
            mark=None,
            kind="baseline" if is_baseline else "against the baseline",
            color=color,
            symbol=symbol,
            hover=f"{found.variable}={found.value}: {said}{interval}, {found.trials} trials",
        ),
    )


def _frame(drawn: Intervals) -> tuple[float, float]:
    ends = [
        end
        for row in drawn.rows
        for end in (row.value, row.low, row.high, row.mark)
        if end is not None
    ]
    low, high = min([0.0, *ends]), max([0.0, *ends])
    room = ROOM * (high - low or 1.0)
    return (low - room if drawn.is_change else 0.0), high + room


def _markers(
    kind: str, rows: list[tuple[int, IntervalRow]], frame: tuple[float, float]
) -> go.Scatter:
    first, (lowest, highest) = rows[0][1], frame
    marks = [
        IntervalMark(
            place,
            row.value,
            lowest if row.low is None else row.low,
            highest if row.high is None else row.high,
            row.hover,
        )
        for place, row in rows
    ]
    return interval_marks(kind, (first.color, first.symbol), marks)


def _marks(name: str, marked: list[tuple[int, float]]) -> go.Scatter:
    return go.Scatter(
        name=name,
        x=[at for _, at in marked],
        y=[place for place, _ in marked],
        mode="markers",
        marker={"symbol": "line-ns-open", "size": 14, "color": MARK, "line": {"width": 2}},
        hovertemplate=f"{name}: %{{x:.3g}}<extra></extra>",
    )
