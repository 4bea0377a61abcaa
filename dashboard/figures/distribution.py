"""Latencies on an axis of percentiles, where each nine of the tail has as much room.

The axis is the one HdrHistogram plots: 1 / (1 - q), logarithmic.
"""

from __future__ import annotations

from math import log10
from typing import TYPE_CHECKING, NamedTuple

import plotly.graph_objects as go

from dashboard import format as fmt
from dashboard.figures.axes import linear_axis, log_axis, paper, titled
from dashboard.figures.load_curve import Limit, add_limits, limits_of
from dashboard.figures.palette import DISTRIBUTION_COLOR

if TYPE_CHECKING:
    from loadtests.outline import Distribution, Outline
    from loadtests.slo import Slo

__all__ = ["Drawn", "Spread", "caption", "distribution", "distribution_figure"]

ROOM = 1.15
LOWEST_LEFT_OUT = 1  # the quickest answer of all would take half of the height
HEIGHT_PX = 400
NINES = (0.5, 0.9, 0.99, 0.999, 0.9999, 0.99999, 0.999999, 0.9999999)
DASHES = {"latency": "solid", "service": "dot"}
QUANTILES_OF = {
    "latency": "from the time it was due",
    "service": "from the time it was sent",
}


class Spread(NamedTuple):
    """quantiles: below 1, rising."""

    name: str
    quantiles: tuple[float, ...]
    seconds: tuple[float, ...]


class Drawn(NamedTuple):
    """Exactly what is drawn. failed_ratio: of the requests, beyond every point of the latency."""

    spreads: tuple[Spread, ...]
    limits: tuple[Limit, ...]
    requests: int
    failed_ratio: float


def distribution(outline: Outline, tiers: dict[str, Slo]) -> Drawn:
    found = {"latency": outline.latency, "service": outline.service}
    whole = outline.latency or outline.service
    return Drawn(
        spreads=tuple(
            Spread(name, each.quantiles, each.seconds)
            for name, each in found.items()
            if each is not None and each.seconds
        ),
        limits=limits_of(tiers),
        requests=0 if whole is None else whole.count,
        failed_ratio=0.0 if outline.latency is None else _failed_ratio(outline.latency),
    )


def _failed_ratio(found: Distribution) -> float:
    return found.failed / found.count


def caption(drawn: Drawn) -> str:
    said = f"How long {fmt.count(drawn.requests)} requests took, after the warm-up"
    names = [each.name for each in drawn.spreads]
    if names == ["service"]:
        said += ": from sent to answered"
    elif "latency" in names:
        said += ": solid from when each was due, dotted from when it was sent"
    said += "."
    if drawn.failed_ratio > 0:
        said += (
            f" {fmt.percent(drawn.failed_ratio)} got no good answer: they count as infinitely "
            "late, and the solid line ends before them."
        )
    return said


def distribution_figure(drawn: Drawn) -> go.Figure:
    figure = go.Figure()
    for spread in drawn.spreads:
        figure.add_trace(_line(spread))
    seconds = [
        each for spread in drawn.spreads for each in spread.seconds[LOWEST_LEFT_OUT:] if each > 0
    ]
    frame_s = (min(seconds) / ROOM, max(seconds) * ROOM) if seconds else (0.001, 1.0)
    add_limits(figure, drawn.limits, within_s=frame_s)
    furthest = max((_place(spread.quantiles[-1]) for spread in drawn.spreads), default=10.0)
    nines = [each for each in NINES if _place(each) <= furthest]
    axis = linear_axis(0, 1) | {
        "type": "log",
        "range": [0, _decades(furthest)],
        "tickvals": [_place(each) for each in nines],
        "ticktext": [f"{each * 100:.7g}%" for each in nines],
        "tickangle": 0,
    }
    figure.update_layout(
        paper(),
        xaxis=axis | titled("share of the requests that took at most so long"),
        yaxis=log_axis(*frame_s, fmt.duration) | titled("time taken"),
        margin={"l": 68, "r": 16, "t": 12, "b": 76},
        height=HEIGHT_PX,
    )
    return figure


def _line(spread: Spread) -> go.Scatter:
    return go.Scatter(
        name=f"{spread.name}, {QUANTILES_OF[spread.name]}",
        x=[_place(each) for each in spread.quantiles],
        y=spread.seconds,
        customdata=[
            (f"{quantile * 100:.6g}", fmt.duration(seconds))
            for quantile, seconds in zip(spread.quantiles, spread.seconds, strict=True)
        ],
        mode="lines",
        line={
            "color": DISTRIBUTION_COLOR[spread.name],
            "width": 2.5,
            "dash": DASHES[spread.name],
            "shape": "hv",
        },
        hovertemplate=f"{spread.name} p%{{customdata[0]}}: %{{customdata[1]}}<extra></extra>",
    )


def _place(quantile: float) -> float:
    return 1 / (1 - quantile)


def _decades(place: float) -> float:
    return log10(place) * 1.02
