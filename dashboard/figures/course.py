"""A run as it went, above one another on one axis of time."""

from __future__ import annotations

from html import escape
from itertools import pairwise
from typing import TYPE_CHECKING, Any, NamedTuple

from dashboard import format as fmt
from dashboard.figures.axes import linear_axis, log_axis, titled
from dashboard.figures.load_curve import Limit, add_limits, limits_of
from dashboard.figures.palette import (
    FAILURE_COLOR,
    INK,
    MARK,
    MUTED,
    QUANTILE_COLOR,
    RATE_COLOR,
    faint,
)
from dashboard.figures.stacked import Row, stacked
from loadtests.fleets.spot import SpotReport
from loadtests.serverless.report import ServerlessMeasured

if TYPE_CHECKING:
    import plotly.graph_objects as go

    from loadtests.measurement import Measurement
    from loadtests.outline import Outline
    from loadtests.slo import Slo
    from loadtests.timeline import Window

__all__ = ["Course", "Event", "caption", "course", "course_figure"]

ROW_PX, FURTHER_ROW_PX = 180, 84
ROOM = 1.2  # times the outermost figure
FILLED = "answered well"  # the others lie close to it and stay to be seen
DASHES = {"answered well": "solid", "sent": "solid", "offered": "dot"}
SERVICE = 0.95  # of service, the one quantile drawn beside the latencies


class Event(NamedTuple):
    """What happened to the server from one time to another: an interruption, the warm-up."""

    name: str
    from_s: float
    to_s: float
    hover: str


class Course(NamedTuple):
    """Exactly what is drawn; each column has a figure for each window, None where not known.

    service_s: its 0.95 quantile; empty of a closed loop, whose latencies are service times.
    failures_rps: by kind; empty where nothing failed. instances: (from when, how many were in
    service), empty where they were not counted.
    """

    starts_s: tuple[float, ...]
    end_s: float
    rates_rps: dict[str, tuple[float, ...]]
    latencies_s: dict[float, tuple[float | None, ...]]
    service_s: tuple[float | None, ...]
    failures_rps: dict[str, tuple[float, ...]]
    instances: tuple[tuple[float, int], ...]
    events: tuple[Event, ...]
    limits: tuple[Limit, ...]


def course(outline: Outline, run: Measurement, tiers: dict[str, Slo]) -> Course:
    """In a closed loop nothing is offered: users ask when they were answered."""
    windows, is_open = outline.windows, run.load.loop == "open"
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
        service_s=tuple(each.service_p95_s for each in windows) if is_open else (),
        failures_rps=_failures(windows),
        instances=_instances(run),
        events=_events(run, windows[-1].end_s),
        limits=limits_of(tiers),
    )


def caption(drawn: Course) -> str:
    """Of a run that has windows."""
    width_s = (drawn.starts_s[1] if len(drawn.starts_s) > 1 else drawn.end_s) - drawn.starts_s[0]
    said = f"In windows of {fmt.duration(width_s)}: rates above, "
    if not drawn.service_s:
        return said + "service times below; a closed loop keeps nobody waiting to be sent."
    return (
        said + "latencies below, from the time each request was due; the dotted line is the p95 "
        "of service, from the time it was sent."
    )


def _failures(windows: tuple[Window, ...]) -> dict[str, tuple[float, ...]]:
    failed = tuple(each.failed / (each.end_s - each.start_s) for each in windows)
    dropped = tuple(each.dropped / (each.end_s - each.start_s) for each in windows)
    kinds = {"failed": failed, "never sent": dropped}
    return {name: rates for name, rates in kinds.items() if any(rates)}


def _instances(run: Measurement) -> tuple[tuple[float, int], ...]:
    return run.inside.instances.ready if isinstance(run.inside, ServerlessMeasured) else ()


def _events(run: Measurement, end_s: float) -> tuple[Event, ...]:
    found = []
    if run.warmup_s > 0:
        told = f"warm-up: the first {fmt.duration(run.warmup_s)} count for nothing but failures"
        found.append(Event("warm-up", 0.0, run.warmup_s, told))
    if isinstance(run.inside, SpotReport):
        for each in run.inside.interruptions:
            back_s = each.replaced_s
            told = f"interrupted at {each.noticed_s:.1f} s, {each.lost} requests lost; " + (
                "nothing came in its place" if back_s is None else f"replaced at {back_s:.1f} s"
            )
            to_s = end_s if back_s is None else back_s
            found.append(Event("interruption", each.noticed_s, to_s, told))
    return tuple(found)


def course_figure(drawn: Course) -> go.Figure:
    frame_s = _frame_s(drawn)
    top_rps = max((max(each) for each in drawn.rates_rps.values()), default=1.0) or 1.0
    latency = titled("latency" if drawn.service_s else "service")
    rows = [
        Row(ROW_PX, _rates(drawn), linear_axis(0, top_rps * ROOM) | titled("req/s")),
        Row(ROW_PX, _latencies(drawn), log_axis(*frame_s, fmt.duration) | latency),
    ]
    if drawn.failures_rps:
        rows.append(Row(FURTHER_ROW_PX, _failing(drawn), _from_zero("lost/s")))
    if drawn.instances:
        most = max(count for _, count in drawn.instances) + 1
        axis = linear_axis(0, most) | {"tickformat": "d", "nticks": 4} | titled("servers")
        rows.append(Row(FURTHER_ROW_PX, [_serving(drawn)], axis))
    look = {
        "barmode": "stack",
        "shapes": [shape for event in drawn.events for shape in _shapes(event)],
        "annotations": [_named(event) for event in drawn.events],
    }
    figure = stacked(rows, (0.0, drawn.end_s), "seconds from the start", look)
    add_limits(figure, drawn.limits, within_s=frame_s, row=2)
    return figure


def _rates(drawn: Course) -> list[dict[str, Any]]:
    traces = []
    for name, rates in drawn.rates_rps.items():
        line = {"color": RATE_COLOR[name], "width": 2, "dash": DASHES[name]}
        trace = _steps(drawn, name, rates, line, "%{y:.3g} req/s")
        if name == FILLED:
            trace |= {"fill": "tozeroy", "fillcolor": faint(RATE_COLOR[name], 0.25)}
        traces.append(trace)
    return traces


def _latencies(drawn: Course) -> list[dict[str, Any]]:
    traces = [
        _steps(
            drawn,
            f"p{quantile * 100:g}",
            values,
            {"color": QUANTILE_COLOR[quantile], "width": 2},
            "%{customdata}",
        )
        for quantile, values in drawn.latencies_s.items()
    ]
    if drawn.service_s:
        line = {"color": QUANTILE_COLOR[SERVICE], "width": 2, "dash": "dot"}
        traces.append(_steps(drawn, "p95 of service", drawn.service_s, line, "%{customdata}"))
    return traces


def _failing(drawn: Course) -> list[dict[str, Any]]:
    """Of the requests due in each window."""
    edges_s = (*drawn.starts_s, drawn.end_s)
    return [
        {
            "type": "bar",
            "name": name,
            "x": [(low + high) / 2 for low, high in pairwise(edges_s)],
            "y": rates,
            "width": [high - low for low, high in pairwise(edges_s)],
            "marker": {"color": FAILURE_COLOR[name], "line": {"width": 0}},
            "hovertemplate": "%{y:.3g} req/s",
        }
        for name, rates in drawn.failures_rps.items()
    ]


def _serving(drawn: Course) -> dict[str, Any]:
    times_s, counts = zip(*drawn.instances, strict=True)
    return {
        "type": "scatter",
        "name": "instances",
        "x": (*times_s, drawn.end_s),
        "y": (*counts, counts[-1]),
        "mode": "lines",
        "line": {"color": INK, "width": 2, "shape": "hv"},
        "hovertemplate": "%{y}",
    }


def _from_zero(title: str) -> dict[str, Any]:
    axis = linear_axis(0, 1) | {"rangemode": "tozero"} | titled(title)
    del axis["range"]
    return axis


def _shapes(event: Event) -> list[dict[str, Any]]:
    """Through all rows."""
    is_interruption = event.name == "interruption"
    color = FAILURE_COLOR["failed"] if is_interruption else MARK
    span = {"xref": "x", "yref": "paper", "y0": 0, "y1": 1, "layer": "below"}
    band = span | {
        "type": "rect",
        "x0": event.from_s,
        "x1": event.to_s,
        "fillcolor": color,
        "opacity": 0.14,
        "line": {"width": 0},
    }
    if not is_interruption:
        return [band]
    edge = {"color": color, "width": 1.5, "dash": "dash"}
    return [band, span | {"type": "line", "x0": event.from_s, "x1": event.from_s, "line": edge}]


def _named(event: Event) -> dict[str, Any]:
    """Above the first row."""
    return {
        "x": event.from_s,
        "xref": "x",
        "xanchor": "left",
        "y": 1,
        "yref": "paper",
        "yanchor": "bottom",
        "text": escape(event.name),
        "hovertext": escape(event.hover),
        "showarrow": False,
        "font": {"size": 12, "color": MUTED},
    }


def _steps(
    drawn: Course,
    name: str,
    values: tuple[float | None, ...],
    line: dict[str, object],
    shown: str,
) -> dict[str, Any]:
    """Each window's figure from its start to its end."""
    ends = (*values, values[-1])
    return {
        "type": "scatter",
        "name": name,
        "x": (*drawn.starts_s, drawn.end_s),
        "y": ends,
        "customdata": ["" if each is None else fmt.duration(each) for each in ends],
        "mode": "lines",
        "line": line | {"shape": "hv"},
        "hovertemplate": shown,
    }


def _frame_s(drawn: Course) -> tuple[float, float]:
    columns = (*drawn.latencies_s.values(), drawn.service_s)
    known = [each for column in columns for each in column if each]
    if not known:
        return 0.001, 1.0
    return min(known) / ROOM, max(known) * ROOM
