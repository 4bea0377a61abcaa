"""Cost against latency: every ranked candidate, and the ones that nothing beats in both."""

from __future__ import annotations

import math
from html import escape
from typing import TYPE_CHECKING, Any, NamedTuple

import plotly.graph_objects as go

from dashboard import format as fmt
from dashboard.figures.axes import log_axis, paper, titled
from dashboard.figures.palette import (
    BASIS_SYMBOL,
    GROUP_COLOR,
    INK,
    LIMIT,
    MUTED,
    PAPER,
    faint,
)
from dashboard.views import objective_judged
from recommender.explain import group_of

if TYPE_CHECKING:
    from recommender.recommendation import Basis, Candidate, Recommendation

    Part = dict[str, Any]

__all__ = ["CAPTION", "Frontier", "FrontierPoint", "frontier", "frontier_figure"]

CAPTION = (
    "Each mark is an option that meets the objective; bars are 80% intervals. The shape tells how "
    "the latency is known: ■ measured, ● transferred, ◆ predicted, ✚ prior."
)
BAR_OPACITY = 0.16
NAME_SHARE = 0.12  # of the width of the chart that the name of an option takes
ROOM = 1.25  # times the outermost figure, so that nothing touches the frame


class FrontierPoint(NamedTuple):
    """high_s: None where the queue may have no steady state; drawn up to the frame."""

    rank: int
    option: str
    group: str
    basis: Basis
    usd_per_month: float
    latency_s: float
    low_s: float
    high_s: float | None
    is_on_frontier: bool
    hover: tuple[str, ...]


class Frontier(NamedTuple):
    """Exactly what is drawn. Points come cheapest first."""

    quantile: str
    limit_s: float
    limit_text: str
    points: tuple[FrontierPoint, ...]


def frontier(recommendation: Recommendation) -> Frontier:
    quantile, limit_s = objective_judged(recommendation)
    return Frontier(
        quantile=quantile,
        limit_s=limit_s,
        limit_text=f"objective: {quantile} < {fmt.duration(limit_s)}",
        points=tuple(_point(each, quantile) for each in recommendation.ranked),
    )


def frontier_figure(drawn: Frontier) -> go.Figure:
    """An empty figure, axes and limit only, when nothing was ranked."""
    top_s = _top_s(drawn)
    by_group = [
        trace
        for group, points in _by_group(drawn.points).items()
        for trace in (_bars(group, points, top_s), _markers(group, points))
    ]
    on_it = [each for each in drawn.points if each.is_on_frontier]
    line = _line(on_it, top_s) if on_it else []
    # Made at once, of plain parts: one by one takes several times as long.
    return go.Figure(data=[*by_group, *line], layout=_layout(drawn, top_s))


def _point(each: Candidate, quantile: str) -> FrontierPoint:
    interval = each.performance.interval
    return FrontierPoint(
        rank=each.rank,
        option=each.option.text,
        group=group_of(each.option),
        basis=each.performance.basis,
        usd_per_month=float(each.cost.usd_per_month),
        latency_s=interval.median,
        low_s=interval.low,
        high_s=interval.high,
        is_on_frontier=each.frontier,
        hover=_hover(each, quantile),
    )


def _hover(each: Candidate, quantile: str) -> tuple[str, ...]:
    performance, cost = each.performance, each.cost
    interval, capacity = performance.interval, performance.capacity_rps
    estimate = " (estimated price)" if performance.price_basis == "derived" else ""
    bought = (
        f"{fmt.usd(cost.usd_per_month)} a month{estimate}, "
        f"{fmt.usd(cost.usd_per_million)} a million requests"
    )
    latency = (
        f"{quantile} {fmt.duration(interval.median)} "
        f"({fmt.INTERVAL} {fmt.duration_range(interval.low, interval.high)}), "
        f"{performance.basis.value}"
    )
    fleet = (
        f"capacity {fmt.rate(capacity.median)} ({fmt.rate_range(capacity.low, capacity.high)}), "
        f"{fmt.percent(performance.utilization_ratio)} busy at peak"
    )
    return (
        f"#{each.rank} {each.option.text}",
        f"{group_of(each.option)}, {each.option.region}",
        bought,
        latency,
        fleet,
        f"{fmt.probability(each.probability_best)} sure it is the cheapest",
        *each.notes,
    )


def _top_s(drawn: Frontier) -> float:
    return ROOM * max([drawn.limit_s, *(each.high_s or each.latency_s for each in drawn.points)])


def _by_group(points: tuple[FrontierPoint, ...]) -> dict[str, list[FrontierPoint]]:
    groups = {name: [each for each in points if each.group == name] for name in GROUP_COLOR}
    return {name: members for name, members in groups.items() if members}


def _markers(group: str, points: list[FrontierPoint]) -> Part:
    return _scatter(
        name=group,
        legendgroup=group,
        x=[each.usd_per_month for each in points],
        y=[each.latency_s for each in points],
        customdata=[each.rank for each in points],
        hovertext=["<br>".join(map(escape, each.hover)) for each in points],
        hovertemplate="%{hovertext}<extra></extra>",
        mode="markers",
        marker={
            "color": GROUP_COLOR[group],
            "symbol": [BASIS_SYMBOL[each.basis] for each in points],
            "size": [11 if each.is_on_frontier else 7 for each in points],
            "opacity": [1.0 if each.is_on_frontier else 0.7 for each in points],
            "line": {"width": 1, "color": PAPER},
        },
    )


def _bars(group: str, points: list[FrontierPoint], top_s: float) -> Part:
    """One line with gaps: a browser draws it many times faster than as many error bars."""
    return _scatter(
        legendgroup=group,
        showlegend=False,
        **_upright(points, top_s),
        line={"color": faint(GROUP_COLOR[group], BAR_OPACITY), "width": 1},
    )


def _upright(points: list[FrontierPoint], top_s: float) -> dict[str, Any]:
    return {
        "x": [x for each in points for x in (each.usd_per_month, each.usd_per_month, None)],
        "y": [
            y
            for each in points
            for y in (each.low_s, top_s if each.high_s is None else each.high_s, None)
        ],
        "mode": "lines",
        "connectgaps": False,
        "hoverinfo": "skip",
    }


def _scatter(**parts: Any) -> Part:  # noqa: ANN401 - as plotly has them
    return {"type": "scatter", **parts}


def _line(points: list[FrontierPoint], top_s: float) -> list[Part]:
    """Steps: between two of its points the frontier offers no more than the cheaper one."""
    name = "frontier: nothing is both cheaper and faster"
    return [
        _scatter(
            legendgroup=name,
            showlegend=False,
            **_upright(points, top_s),
            line={"color": faint(INK, 0.7), "width": 1.5},
        ),
        _scatter(
            name=name,
            legendgroup=name,
            x=[each.usd_per_month for each in points],
            y=[each.latency_s for each in points],
            mode="lines",
            line={"shape": "hv", "color": INK, "width": 1.5},
            hoverinfo="skip",
        ),
    ]


def _name_of(point: FrontierPoint) -> Part:
    return {
        "x": math.log10(point.usd_per_month),
        "y": math.log10(point.latency_s),
        "text": escape(point.option),
        "showarrow": False,
        "xanchor": "left",
        "yanchor": "top",
        "xshift": 5,
        "yshift": -5,
        "font": {"size": 12, "color": INK},
        "bgcolor": faint(PAPER, 0.8),
    }


def _named(points: list[FrontierPoint], costs: list[float]) -> list[FrontierPoint]:
    """Those with room for a name; the cheapest always has it. costs: of all that is drawn."""
    span_decades = math.log10(max(costs) / min(costs))
    named: list[FrontierPoint] = []
    for each in points:
        apart = math.log10(each.usd_per_month / named[-1].usd_per_month) if named else math.inf
        if apart >= NAME_SHARE * span_decades:
            named.append(each)
    return named


def _name_of_limit(drawn: Frontier) -> Part:
    return {
        "x": 1,
        "xref": "paper",
        "y": math.log10(drawn.limit_s),
        "text": escape(drawn.limit_text),
        "showarrow": False,
        "xanchor": "right",
        "yanchor": "bottom",
        "font": {"size": 12, "color": MUTED},
        "bgcolor": faint(PAPER, 0.8),
    }


def _layout(drawn: Frontier, top_s: float) -> Part:
    costs = [each.usd_per_month for each in drawn.points] or [10.0, 1000.0]
    lows = [each.low_s for each in drawn.points] or [drawn.limit_s / 10]
    on_it = [each for each in drawn.points if each.is_on_frontier]
    return {
        **paper(),
        "xaxis": log_axis(min(costs) / ROOM, max(costs) * ROOM, fmt.usd_tick)
        | titled("cost per month"),
        "yaxis": log_axis(min(lows) / ROOM, top_s, fmt.duration)
        | titled(f"{drawn.quantile} latency at peak"),
        "margin": {"l": 82, "r": 16, "t": 24, "b": 88},
        "shapes": [
            {
                "type": "line", "xref": "x domain", "yref": "y", "x0": 0, "x1": 1,
                "y0": drawn.limit_s, "y1": drawn.limit_s,
                "line": {"color": LIMIT, "width": 1.5, "dash": "dash"},
            }
        ],
        "annotations": [_name_of_limit(drawn), *map(_name_of, _named(on_it, costs))],
    }  # fmt: skip
