"""What ways to serve cost at more and at fewer requests, and where one overtakes another."""

from __future__ import annotations

import math
from html import escape
from typing import TYPE_CHECKING, NamedTuple

import plotly.graph_objects as go

from dashboard import format as fmt
from dashboard.figures.axes import log_axis, paper, titled
from dashboard.figures.palette import INK, MUTED, PAPER, WAY_COLOR

if TYPE_CHECKING:
    from recommender.simulation.report import SimulationReport
    from recommender.simulation.ways.curves import BreakEvenFacts, CurveFacts, StretchFacts

__all__ = [
    "CAPTION",
    "Line",
    "Overtaking",
    "Overtakings",
    "break_even_figure",
    "overtakings",
    "verdict",
]

CAPTION = (
    "The traffic's shape is the same all along, and so are the machines; each step is one more. "
    "Large circles: the cheapest changes, as the strip tells; small ones: one overtakes another."
)
DOWN = 300.0  # times fewer requests than this traffic, and
LEAST_DOWN = 3.0  # times fewer than at the lowest change
ROOM = 1.4
STRIP = 0.022  # of the height
NEAR_DECADES = 0.25  # names that are closer would lie on one another


class Line(NamedTuple):
    """Joined by straight lines. label: with what it costs at this traffic, if it can serve it.

    meets_from: below it the objective is missed. ends: before the frame does, at a limit.
    """

    name: str
    label: str
    requests: tuple[float, ...]
    usd: tuple[float, ...]
    meets_from: float
    ends: bool


class Overtaking(NamedTuple):
    """Where one becomes cheaper than another; is_cheapest: than all others."""

    requests: float
    usd: float
    text: str
    is_cheapest: bool


class Overtakings(NamedTuple):
    """Exactly what is drawn. cheapest: name and where it begins and ends, in requests a month."""

    lines: tuple[Line, ...]
    turns: tuple[Overtaking, ...]
    cheapest: tuple[tuple[str, float, float], ...]
    now_requests: float
    now_text: str
    from_requests: float
    to_requests: float


def overtakings(report: SimulationReport) -> Overtakings:
    """Of a report that has break-even points."""
    found = _of(report)
    low, high = _frame(found)
    changes = {(each.from_requests, each.cheapest) for each in found.stretches}
    turns = [
        Overtaking(
            each.requests_per_month,
            each.usd_per_month,
            f"{each.cheaper_above} overtakes {each.cheaper_below} at "
            f"{_count(each.requests_per_month)}",
            (each.requests_per_month, each.cheaper_above) in changes,
        )
        for each in found.crossings
        if low <= each.requests_per_month <= high
    ]
    return Overtakings(
        lines=tuple(_line(each, (low, high), found.requests_per_month) for each in found.curves),
        turns=tuple(turns),
        cheapest=tuple(
            (each.cheapest, max(each.from_requests, low), min(each.to_requests, high))
            for each in found.stretches
            if each.cheapest is not None and each.to_requests > low and each.from_requests < high
        ),
        now_requests=found.requests_per_month,
        now_text=f"this traffic: {_count(found.requests_per_month)}",
        from_requests=low,
        to_requests=high,
    )


def verdict(report: SimulationReport) -> tuple[str, ...]:
    """A heading, and what it is about."""
    found = _of(report)
    now = found.requests_per_month
    return (
        f"At {_count(now)} requests a month {_cheapest_at(found.stretches, now)}",
        (
            f"{report.traffic.text}, {report.objective} with {report.confidence:.0%} confidence, "
            f"{report.region}. Ways that meet it, at list prices."
        ),
    )


def break_even_figure(drawn: Overtakings) -> go.Figure:
    figure = go.Figure()
    for line in drawn.lines:
        _add_line(figure, line)
    for is_cheapest in (False, True):
        turns = [each for each in drawn.turns if each.is_cheapest is is_cheapest]
        if turns:
            figure.add_trace(_marks(turns, is_cheapest=is_cheapest))
    _lay_out(figure, drawn)
    _add_strip(figure, drawn)
    _add_now(figure, drawn)
    _name_changes(figure, drawn)
    return figure


def _of(report: SimulationReport) -> BreakEvenFacts:
    if report.break_even is None:
        raise ValueError(f"{report.run}: no ways with curves to compare")
    return report.break_even


def _cheapest_at(stretches: tuple[StretchFacts, ...], requests: float) -> str:
    for each in stretches:
        if each.from_requests < requests <= each.to_requests and each.cheapest is not None:
            said = f"{each.cheapest} is the cheapest"
            if each.from_requests == 0:
                return f"{said}, up to {_count(each.to_requests)}"
            return f"{said}, from {_count(each.from_requests)} on"
    return "none of them can serve"


def _frame(found: BreakEvenFacts) -> tuple[float, float]:
    """From below the lowest change, if it is not too far, to as far as the curves go."""
    now = found.requests_per_month
    changes = [each.from_requests for each in found.stretches if each.from_requests > now / DOWN]
    low = min([now, *changes]) / LEAST_DOWN
    return low, max(each.until for each in found.curves)


def _line(curve: CurveFacts, frame: tuple[float, float], now: float) -> Line:
    """Cut at the frame."""
    low, high = frame
    points = list(zip(curve.requests_per_month, curve.usd_per_month, strict=True))
    inside = [(low, _at(points, low)), *(each for each in points if low < each[0] <= high)]
    label = (
        curve.option if curve.option.startswith(curve.name) else f"{curve.name}: {curve.option}"
    )
    if now < curve.until:
        label += f", {fmt.usd(f'{_at(points, now):.6g}')}"
    return Line(
        name=curve.name,
        label=label,
        requests=tuple(each[0] for each in inside),
        usd=tuple(each[1] for each in inside),
        meets_from=curve.meets_from,
        ends=curve.until < high,
    )


def _at(points: list[tuple[float, float]], requests: float) -> float:
    after = next(n for n, point in enumerate(points) if point[0] >= requests and n > 0)
    (start, low_usd), (end, high_usd) = points[after - 1 : after + 1]
    share = (requests - start) / (end - start) if end > start else 0.0
    return low_usd + share * (high_usd - low_usd)


def _count(requests: float) -> str:
    for size, unit in ((1e9, "billion"), (1e6, "million"), (1e3, "thousand")):
        if requests >= size:
            return f"{requests / size:.3g} {unit}"
    return f"{requests:.3g}"


def _tick(requests: float) -> str:
    for size, unit in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if requests >= size:
            return f"{requests / size:g}{unit}"
    return f"{requests:g}"


def _add_line(figure: go.Figure, line: Line) -> None:
    """Two traces where part of it misses the objective."""
    points = list(zip(line.requests, line.usd, strict=True))
    cold = [point for point in points if point[0] <= line.meets_from]
    warm = [point for point in points if point[0] > line.meets_from]
    for part, dash in ((cold + warm[:1] if cold else [], "dot"), (warm, "solid")):
        if not part:
            continue
        figure.add_trace(
            go.Scatter(
                name=line.label,
                showlegend=dash == "solid" or not warm,
                x=[point[0] for point in part],
                y=[point[1] for point in part],
                mode="lines",
                line={"color": WAY_COLOR[line.name], "width": 2.5, "dash": dash},
                hovertemplate=f"{escape(line.label)}<br>%{{x:.3s}} requests, $%{{y:,.0f}} a month"
                "<extra></extra>",
            )
        )


def _marks(turns: list[Overtaking], *, is_cheapest: bool) -> go.Scatter:
    return go.Scatter(
        showlegend=False,
        x=[each.requests for each in turns],
        y=[each.usd for each in turns],
        hovertext=[escape(each.text) for each in turns],
        hovertemplate="%{hovertext}<extra></extra>",
        mode="markers",
        marker={
            "color": PAPER,
            "size": 10 if is_cheapest else 6,
            "line": {"width": 2 if is_cheapest else 1, "color": INK},
        },
    )


def _add_strip(figure: go.Figure, drawn: Overtakings) -> None:
    for name, start, end in drawn.cheapest:
        figure.add_shape(
            type="rect", xref="x", x0=start, x1=end, yref="paper", y0=0, y1=STRIP,
            fillcolor=WAY_COLOR[name], line_width=0, layer="above",
        )  # fmt: skip


def _add_now(figure: go.Figure, drawn: Overtakings) -> None:
    """And where a limit ends a line before the frame does."""
    now = math.log10(drawn.now_requests)
    figure.add_vline(x=drawn.now_requests, line={"color": INK, "width": 1.5, "dash": "dash"})
    figure.add_annotation(
        x=now, y=1, yref="paper", yanchor="bottom",
        text=escape(drawn.now_text), showarrow=False, font={"size": 12, "color": INK},
    )  # fmt: skip
    for line in drawn.lines:
        if line.ends:
            figure.add_annotation(
                x=math.log10(line.requests[-1]), y=math.log10(line.usd[-1]), text="limit",
                xanchor="right", yanchor="top", yshift=-6, xshift=6, showarrow=False,
                font={"size": 12, "color": MUTED},
            )  # fmt: skip


def _name_changes(figure: go.Figure, drawn: Overtakings) -> None:
    """Those with room for a name; of neighbours the last."""
    named: list[float] = []
    for each in sorted(drawn.turns, key=lambda turn: (not turn.is_cheapest, -turn.requests)):
        place = math.log10(each.requests)
        if any(abs(place - other) < NEAR_DECADES for other in named):
            continue
        named.append(place)
        figure.add_annotation(
            x=place, y=math.log10(each.usd), text=escape(each.text), showarrow=False,
            xanchor="left" if each.is_cheapest else "right", xshift=6 if each.is_cheapest else -6,
            yanchor="top" if each.is_cheapest else "bottom", yshift=-6 if each.is_cheapest else 4,
            font={"size": 12, "color": INK if each.is_cheapest else MUTED},
        )  # fmt: skip


def _lay_out(figure: go.Figure, drawn: Overtakings) -> None:
    usd = [value for line in drawn.lines for value in line.usd]
    figure.update_layout(
        paper(),
        xaxis=log_axis(drawn.from_requests, drawn.to_requests, _tick)
        | titled("requests per month"),
        yaxis=log_axis(min(usd) / ROOM, max(usd) * ROOM, fmt.usd_tick) | titled("cost per month"),
        margin={"l": 68, "r": 16, "t": 32, "b": 40},
    )
