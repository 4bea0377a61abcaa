"""A fleet as traffic comes and goes: row upon row over one axis of time."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, NamedTuple

import plotly.graph_objects as go

from dashboard import format as fmt
from dashboard.figures.axes import linear_axis, log_axis, paper
from dashboard.figures.palette import GRID, INK, LIMIT, MARK, MUTED, QUANTILE_COLOR, faint
from loadtests.quantities import seconds_text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from recommender.simulation.fleet_day import FleetDay
    from recommender.simulation.report import Course, FleetCourse

__all__ = ["CAPTION", "DrawnDay", "Line", "Row", "fleet_day_figure", "fleet_rows"]

CAPTION = (
    "The draw in the middle, by cost. Dashed: the fixed fleet for the peak, the objective's "
    "limit, and the share of requests that may be late."
)
SOME_MONDAY = datetime(2024, 1, 1)  # noqa: DTZ001 - a clock on the wall
DAY_S = 86400.0
ROOM = 1.15
ROW_PX, GAP_PX, TOP_PX, BOTTOM_PX = 96, 34, 30, 64
LEAST_LATE = 0.02  # of the requests, at the top of their axis
PER_CENT = 100.0
TRAFFIC, SERVING, WANTED, BUSY, LATE = "#56b4e9", "#0072b2", "#e69f00", "#009e73", "#d55e00"


class Line(NamedTuple):
    """values: one for each point of time. shown: their text where a mouse rests."""

    name: str
    color: str
    values: tuple[float, ...]
    unit: str
    is_filled: bool = False


class Row(NamedTuple):
    """level: of a dashed line, with its name. top: least end of the axis. is_log: from low on."""

    title: str
    lines: tuple[Line, ...]
    level: tuple[float, str] | None = None
    top: float = 0.0
    is_log: bool = False


class DrawnDay(NamedTuple):
    """Exactly what is drawn. times: when each point begins, on the traffic's own clock."""

    times: tuple[datetime, ...]
    is_dated: bool
    duration_s: float
    rows: tuple[Row, ...]


def fleet_rows(day: FleetDay) -> DrawnDay:
    """Raises ValueError for a way that has no course."""
    course = day.chosen.course
    if course is None or course.fleet is None:
        raise ValueError(f"{day.chosen.name}: no course of a fleet")
    start = SOME_MONDAY if day.start is None else day.start.replace(tzinfo=None)
    points = len(course.rate_rps)
    return DrawnDay(
        times=tuple(start + timedelta(seconds=n * course.step_s) for n in range(points)),
        is_dated=day.start is not None,
        duration_s=day.duration_s,
        rows=(*_load(day, course, course.fleet), *_kept(day, course, course.fleet)),
    )


def _load(day: FleetDay, course: Course, fleet: FleetCourse) -> tuple[Row, ...]:
    """What comes, and what is there for it."""
    busy = tuple(each * PER_CENT for each in course.utilization_ratio)
    return (
        Row(
            "Traffic, requests a second",
            (Line("traffic", TRAFFIC, course.rate_rps, " req/s", is_filled=True),),
        ),
        Row(
            "Replicas",
            (
                Line("wanted: asked for and paid", WANTED, fleet.paid, ""),
                Line("in service", SERVING, course.replicas, "", is_filled=True),
            ),
            _fixed_size(day),
        ),
        Row(
            "Utilisation of those in service, %",
            (Line("utilisation", BUSY, busy, "%"),),
            top=PER_CENT,
        ),
    )


def _kept(day: FleetDay, course: Course, fleet: FleetCourse) -> tuple[Row, ...]:
    """How the objective is kept, and at what cost."""
    late = tuple((1 - each) * PER_CENT for each in course.good_ratio)
    quantile = f"p{day.quantile * 100:g}"
    latencies = {"p50": fleet.p50_s, "p99": fleet.p99_s, quantile: course.latency_s}
    colors = {f"p{at * 100:g}": color for at, color in QUANTILE_COLOR.items()}
    in_order = sorted(latencies.items(), key=lambda each: each[1][0])
    return (
        Row(
            f"Latency, the highest within {seconds_text(course.step_s)}",
            tuple(Line(name, colors.get(name, INK), each, " s") for name, each in in_order),
            (day.limit_s, f"limit: {fmt.duration(day.limit_s)}"),
            is_log=True,
        ),
        Row(
            "Requests out of time, %",
            (Line("out of time", LATE, late, "%", is_filled=True),),
            ((1 - day.quantile) * PER_CENT, f"allowed: {fmt.percent(1 - day.quantile)}"),
            top=LEAST_LATE * PER_CENT,
        ),
        Row(
            "Instances, $ an hour",
            (Line("cost", SERVING, day.usd_per_hour_course, " $/h"),),
            (day.fixed_usd_per_hour, f"fixed: {fmt.usd(f'{day.fixed_usd_per_hour:.6g}')}"),
        ),
    )


def _fixed_size(day: FleetDay) -> tuple[float, str] | None:
    """Of the fixed fleet, where it is of the same machines."""
    policy = day.fixed.policy
    if policy is None or day.fixed.option != day.chosen.option:
        return None
    return float(policy.min_replicas), f"fixed: {policy.min_replicas}"


def fleet_day_figure(drawn: DrawnDay) -> go.Figure:
    """Made at once: part by part takes several times as long."""
    count = len(drawn.rows)
    height_px = TOP_PX + count * ROW_PX + (count - 1) * GAP_PX + BOTTOM_PX
    plot_px = height_px - TOP_PX - BOTTOM_PX
    tops = [1 - place * (ROW_PX + GAP_PX) / plot_px for place in range(count)]
    axes = ["y", *(f"y{place + 1}" for place in range(1, count))]
    placed = list(zip(drawn.rows, axes, tops, strict=True))
    layout = {
        **paper(),
        "height": height_px,
        "margin": {"l": 62, "r": 14, "t": TOP_PX, "b": BOTTOM_PX},
        "hovermode": "x unified",
        "hoversubplots": "axis",
        "xaxis": _time_axis(drawn, axes[-1]),
        "shapes": [_level(row.level[0], axis) for row, axis, _ in placed if row.level],
        "annotations": [note for row, _, top in placed for note in _titles(row, top)],
        **{
            f"yaxis{axis[1:]}": _value_axis(row)
            | {"domain": (max(top - ROW_PX / plot_px, 0.0), top)}
            for row, axis, top in placed
        },
    }
    traces = [
        _trace(drawn.times, line, axis, row) for row, axis, _ in placed for line in row.lines
    ]
    return go.Figure(data=traces, layout=layout)


def _level(value: float, axis: str) -> dict[str, Any]:
    return {
        "type": "line", "xref": "paper", "x0": 0, "x1": 1, "yref": axis, "y0": value, "y1": value,
        "line": {"color": LIMIT, "width": 1.3, "dash": "dash"},
    }  # fmt: skip


def _titles(row: Row, top: float) -> list[dict[str, Any]]:
    """Of the row, and of its level at the other end."""
    over = {"xref": "paper", "yref": "paper", "y": top, "yanchor": "bottom", "showarrow": False}
    named = over | {
        "text": f"<b>{row.title}</b>", "x": 0, "xanchor": "left",
        "font": {"size": 12.5, "color": INK},
    }  # fmt: skip
    if row.level is None:
        return [named]
    return [
        named,
        over
        | {
            "text": row.level[1], "x": 1, "xanchor": "right",
            "font": {"size": 12, "color": MUTED},
        },
    ]  # fmt: skip


def _trace(times: Sequence[datetime], line: Line, axis: str, row: Row) -> dict[str, Any]:
    shown = [
        fmt.duration(each) if row.is_log else f"{each:.4g}{line.unit}" for each in line.values
    ]
    filled = {"fill": "tozeroy", "fillcolor": faint(line.color, 0.22)} if line.is_filled else {}
    return {
        "type": "scatter",
        "name": line.name,
        "x": [each.isoformat() for each in times],
        "y": line.values,
        "yaxis": axis,
        "customdata": shown,
        "mode": "lines",
        "line": {"color": line.color, "width": 1.2 if row.is_log else 1.8, "shape": "hv"},
        "showlegend": len(row.lines) > 1,
        "hovertemplate": f"{line.name}: %{{customdata}}<extra></extra>",
        **filled,
    }


def _value_axis(row: Row) -> dict[str, Any]:
    values = [each for line in row.lines for each in line.values]
    level = [] if row.level is None else [row.level[0]]
    if row.is_log:
        return log_axis(min(values) / ROOM, max([*values, *level]) * ROOM, fmt.duration)
    top = max([*values, *level, row.top]) * ROOM
    return linear_axis(0, top or 1.0) | {"nticks": 4, "rangemode": "tozero"}


def _time_axis(drawn: DrawnDay, anchor: str) -> dict[str, Any]:
    """The hour; of several days the day too, and the date where it is known."""
    is_long = drawn.duration_s > 1.5 * DAY_S
    day = "%a %d %b" if drawn.is_dated else "%a"
    end = drawn.times[0] + timedelta(seconds=drawn.duration_s)
    return {
        "type": "date",
        "anchor": anchor,
        "range": (drawn.times[0].isoformat(), end.isoformat()),
        "tickformat": f"{day}<br>%H:%M" if is_long or drawn.is_dated else "%H:%M",
        "hoverformat": f"{day} %H:%M" if is_long or drawn.is_dated else "%H:%M",
        "gridcolor": GRID,
        "linecolor": GRID,
        "tickfont": {"color": MUTED},
        "zeroline": False,
        "showspikes": True,
        "spikemode": "across",
        "spikethickness": 1,
        "spikedash": "solid",
        "spikecolor": MARK,
    }
