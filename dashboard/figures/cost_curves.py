"""Cost against requests a month: the cheapest option of each way to buy, and where they cross."""

from __future__ import annotations

import itertools
from html import escape
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import plotly.graph_objects as go

from dashboard import format as fmt
from dashboard.figures.axes import log_axis, paper, titled
from dashboard.figures.palette import GROUP_COLOR, GROUP_DASH, INK, LIMIT, MUTED, PAPER, faint
from recommender.cost import requests_per_month
from recommender.cost_curves import cheapest_of_each_way, cost_curves
from recommender.explain import group_of

if TYPE_CHECKING:
    from recommender.recommendation import Recommendation
    from recommender.simulation.break_even import CostCurve

__all__ = ["CAPTION", "CostLine", "Costs", "Turn", "costs", "costs_figure"]

CAPTION = (
    "The cheapest option of each way to buy at this traffic, its fleet grown and shrunk with the "
    "requests while their pattern stays the same. A circle marks where another way becomes the "
    "cheapest."
)
SEEN = 1e-3  # of the most requests, the least shown
POINTS = 240
MOST_STEPS = 400  # of a line; beyond that a step is thinner than a pixel
ROOM = 1.4
APART = 1.8  # times as many requests: room for a label


class CostLine(NamedTuple):
    name: str
    option: str
    requests: tuple[float, ...]
    usd: tuple[float, ...]


class Turn(NamedTuple):
    """Where another way to buy becomes the cheapest."""

    requests: float
    usd: float
    below: str
    above: str


class Costs(NamedTuple):
    """Exactly what is drawn."""

    lines: tuple[CostLine, ...]
    turns: tuple[Turn, ...]
    asked_requests: float
    most_requests: float


def costs(recommendation: Recommendation) -> Costs:
    found = cost_curves(recommendation)
    options = {
        group_of(each.option): each.option.instance_type or each.option.text
        for each in cheapest_of_each_way(recommendation)
    }
    most = max((curve.until for curve in found.curves), default=1.0)
    lines = tuple(_line(curve, options[curve.name], most * SEEN) for curve in found.curves)
    served = [each for each in found.stretches if each.cheapest is not None]
    at = {curve.name: curve for curve in found.curves}
    turns = tuple(
        Turn(
            before.to_requests,
            float(at[str(before.cheapest)].usd(np.array(before.to_requests))),
            str(before.cheapest),
            str(after.cheapest),
        )
        for before, after in itertools.pairwise(served)
        if before.to_requests >= most * SEEN
    )
    return Costs(lines, turns, float(requests_per_month(recommendation.demand.traffic)), most)


def costs_figure(drawn: Costs) -> go.Figure:
    """Made at once: part by part takes several times as long."""
    turns = [_drawn_turns(drawn.turns)] if drawn.turns else []
    return go.Figure(data=[*map(_drawn_line, drawn.lines), *turns], layout=_layout(drawn))


def _line(curve: CostCurve, option: str, least: float) -> CostLine:
    """Every step of the curve, and points between them: on such axes a slope is not straight."""
    starts = curve.starts[(curve.starts > least) & (curve.starts < curve.until)]
    steps = starts if len(starts) <= MOST_STEPS else starts[:0]
    grid = np.union1d(np.geomspace(least, curve.until, POINTS), steps)
    requests = np.concatenate([grid, steps])
    usd = np.concatenate([curve.usd(grid), curve.usd_just_above(steps)])
    order = np.argsort(requests, kind="stable")
    return CostLine(
        curve.name, option, tuple(requests[order].tolist()), tuple(usd[order].tolist())
    )


def _drawn_line(line: CostLine) -> go.Scatter:
    name = f"{line.name}: {line.option}"
    return go.Scatter(
        name=escape(name),
        x=line.requests,
        y=line.usd,
        mode="lines",
        line={"color": GROUP_COLOR[line.name], "width": 2.2, "dash": GROUP_DASH[line.name]},
        hovertemplate=escape(name) + "<br>%{x:,.3s} requests, $%{y:,.2f} a month<extra></extra>",
    )


def _drawn_turns(turns: tuple[Turn, ...]) -> go.Scatter:
    texts = [
        f"{fmt.requests(each.requests)} requests a month:<br>below it {escape(each.below)}, "
        f"above it {escape(each.above)}"
        for each in turns
    ]
    return go.Scatter(
        name="another becomes the cheapest",
        x=[each.requests for each in turns],
        y=[each.usd for each in turns],
        mode="markers+text",
        text=_apart([each.requests for each in turns]),
        textposition="bottom left",
        textfont={"size": 12, "color": INK},
        marker={"size": 11, "color": PAPER, "line": {"width": 2.2, "color": INK}},
        hovertext=texts,
        hovertemplate="%{hovertext}<extra></extra>",
    )


def _apart(requests: list[float]) -> list[str]:
    """The first of several that are close to each other speaks for them."""
    texts, last = [], 0.0
    for each in requests:
        is_apart = each > last * APART
        texts.append(fmt.requests(each) if is_apart else "")
        last = each if is_apart else last
    return texts


def _layout(drawn: Costs) -> dict[str, object]:
    usd = [each for line in drawn.lines for each in line.usd if 0 < each < np.inf] or [1.0, 100.0]
    least = drawn.most_requests * SEEN
    return {
        **paper(),
        "xaxis": log_axis(least, drawn.most_requests, fmt.requests) | titled("requests per month"),
        "yaxis": log_axis(min(usd) / ROOM, max(usd) * ROOM, fmt.usd_tick)
        | titled("cost per month"),
        "margin": {"l": 68, "r": 16, "t": 24, "b": 40},
        "shapes": [
            {
                "type": "line", "x0": drawn.asked_requests, "x1": drawn.asked_requests,
                "yref": "paper", "y0": 0, "y1": 1,
                "line": {"color": LIMIT, "width": 1.5, "dash": "dash"},
            }
        ],
        "annotations": [
            {
                "x": np.log10(drawn.asked_requests), "y": 1, "yref": "paper", "text": "asked",
                "showarrow": False, "xanchor": "right", "yanchor": "top", "xshift": -4,
                "font": {"size": 12, "color": MUTED}, "bgcolor": faint(PAPER, 0.8),
            }
        ],
    }  # fmt: skip
