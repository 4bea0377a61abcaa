"""A run as it went: rates above, latencies below."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import plotly.graph_objects as go
from plotly.subplots import make_subplots

from dashboard import format as fmt
from dashboard.figures.axes import linear_axis, log_axis, paper, titled
from dashboard.figures.load_curve import Limit, add_limits, limits_of
from dashboard.figures.palette import MUTED, QUANTILE_COLOR, RATE_COLOR, faint

if TYPE_CHECKING:
    from loadtests.slo import Slo
    from loadtests.timeline import Window

__all__ = ["Course", "caption", "course", "course_figure"]

HEIGHT_PX = 460
ROOM = 1.2  # times the outermost figure
FILLED = "answered well"  # the others lie close to it and stay to be seen
DASHES = {"answered well": "solid", "sent": "solid", "offered": "dot"}


class Course(NamedTuple):
    """Exactly what is drawn; each column has a figure for each window, None where not known."""

    starts_s: tuple[float, ...]
    end_s: float
    rates_rps: dict[str, tuple[float, ...]]
    latencies_s: dict[float, tuple[float | None, ...]]
    limits: tuple[Limit, ...]


def course(windows: tuple[Window, ...], tiers: dict[str, Slo], *, is_open: bool) -> Course:
    """In a closed loop nothing is offered: users ask when they were answered."""
    rates = {
        "answered well": tuple(each.throughput_rps for each in windows),
        "sent": tuple(each.achieved_rps for each in windows),
        "offered": tuple(each.offered_rps for each in windows),
    }
    if not is_open:
        del rates["offered"]
    return Course(
        starts_s=tuple(each.start_s for each in windows),
        end_s=windows[-1].end_s,
        rates_rps=rates,
        latencies_s={
            0.5: tuple(each.p50_s for each in windows),
            0.95: tuple(each.p95_s for each in windows),
            0.99: tuple(each.p99_s for each in windows),
        },
        limits=limits_of(tiers),
    )


def caption(windows: tuple[Window, ...]) -> str:
    """Of a run that has windows."""
    width_s = windows[0].end_s - windows[0].start_s
    return f"In windows of {fmt.duration(width_s)}: rates above, latencies below."


def course_figure(drawn: Course) -> go.Figure:
    figure = make_subplots(rows=2, cols=1, shared_xaxes=True, vertical_spacing=0.08)
    for name, rates in drawn.rates_rps.items():
        line = {"color": RATE_COLOR[name], "width": 2, "dash": DASHES[name]}
        trace = _steps(drawn, name, rates, line, "%{y:.3g} req/s")
        if name == FILLED:
            trace.update(fill="tozeroy", fillcolor=faint(RATE_COLOR[name], 0.25))
        figure.add_trace(trace, row=1, col=1)
    for quantile, values in drawn.latencies_s.items():
        name = f"p{quantile * 100:g}"
        line = {"color": QUANTILE_COLOR[quantile], "width": 2}
        shown = "%{customdata}"
        figure.add_trace(_steps(drawn, name, values, line, shown), row=2, col=1)
    frame_s = _frame_s(drawn)
    add_limits(figure, drawn.limits, within_s=frame_s, row=2)
    top_rps = max((max(each) for each in drawn.rates_rps.values()), default=1.0) or 1.0
    figure.update_layout(paper(), height=HEIGHT_PX, margin={"l": 68, "r": 16, "t": 12, "b": 76})
    figure.update_layout(
        xaxis=linear_axis(0, drawn.end_s),
        xaxis2=linear_axis(0, drawn.end_s) | titled("seconds from the start"),
        yaxis=linear_axis(0, top_rps * ROOM) | titled("req/s"),
        yaxis2=log_axis(*frame_s, fmt.duration) | titled("latency"),
        hovermode="x unified",
        hoverlabel={"bordercolor": MUTED},
    )
    return figure


def _steps(
    drawn: Course,
    name: str,
    values: tuple[float | None, ...],
    line: dict[str, object],
    shown: str,
) -> go.Scatter:
    """Each window's figure from its start to its end."""
    return go.Scatter(
        name=name,
        x=(*drawn.starts_s, drawn.end_s),
        y=(*values, values[-1]),
        customdata=["" if each is None else fmt.duration(each) for each in (*values, values[-1])],
        mode="lines",
        line=line | {"shape": "hv"},
        hovertemplate=shown,
    )


def _frame_s(drawn: Course) -> tuple[float, float]:
    known = [each for column in drawn.latencies_s.values() for each in column if each]
    if not known:
        return 0.001, 1.0
    return min(known) / ROOM, max(known) * ROOM
