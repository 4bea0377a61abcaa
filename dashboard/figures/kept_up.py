"""What was offered against what came of it, run by run: where a server stops keeping up."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, NamedTuple

import plotly.graph_objects as go

from dashboard.figures.axes import linear_axis, paper, titled
from dashboard.figures.palette import MARK, TIER_MARKS
from loadtests.validity import Status

if TYPE_CHECKING:
    from collections.abc import Iterable

    from recommender.loadtest.report import KeptRun, TestReport

__all__ = ["CAPTION", "OfferedPoint", "kept_up", "kept_up_figure"]

CAPTION = (
    "Every open-loop run: good answers against what was offered. On the dashed line a server "
    "keeps up; below it, it does not. A hollow mark is of a run that is not valid."
)
ROOM = 1.08
HEIGHT_PX = 400


class OfferedPoint(NamedTuple):
    """Exactly what is drawn of one run."""

    configuration: str
    offered_rps: float
    good_rps: float
    is_doubtful: bool
    hover: str


def kept_up(tests: Iterable[TestReport]) -> tuple[OfferedPoint, ...]:
    """Of all their open-loop runs. Traffic that changes is drawn at its mean."""
    return tuple(
        point
        for test in tests
        for run in (*test.runs, *test.invalid)
        for point in _point(run, test.scenario)
    )


def _point(run: KeptRun, scenario: str) -> tuple[OfferedPoint, ...]:
    found = run.measurement
    if found.load.loop != "open" or found.offered_rps is None:
        return ()
    status = found.validity.status
    return (
        OfferedPoint(
            configuration=run.configuration,
            offered_rps=found.offered_rps,
            good_rps=found.throughput_rps,
            is_doubtful=status is not Status.VALID,
            hover=f"{run.configuration}, {scenario}: offered {found.offered_rps:.4g}, sent "
            f"{found.achieved_rps:.4g}, answered well {found.throughput_rps:.4g} req/s, "
            f"{status.value}",
        ),
    )


def kept_up_figure(points: tuple[OfferedPoint, ...]) -> go.Figure:
    top_rps = max((max(each.offered_rps, each.good_rps) for each in points), default=1.0) * ROOM
    figure = go.Figure(
        go.Scatter(
            name="all of it", x=[0, top_rps], y=[0, top_rps], mode="lines", hoverinfo="skip",
            line={"color": MARK, "width": 1.5, "dash": "dash"},
        )
    )  # fmt: skip
    for number, name in enumerate(dict.fromkeys(each.configuration for each in points)):
        own = sorted(each for each in points if each.configuration == name)
        color, symbol = TIER_MARKS[number % len(TIER_MARKS)]
        figure.add_trace(
            go.Scatter(
                name=escape(name),
                x=[each.offered_rps for each in own],
                y=[each.good_rps for each in own],
                hovertext=[escape(each.hover) for each in own],
                hovertemplate="%{hovertext}<extra></extra>",
                mode="markers",
                marker={
                    "color": color,
                    "size": 10,
                    "symbol": [f"{symbol}-open" if e.is_doubtful else symbol for e in own],
                    "line": {"width": 2, "color": color},
                },
            )
        )
    figure.update_layout(
        paper(),
        xaxis=linear_axis(0, top_rps) | titled("offered, requests per second"),
        yaxis=linear_axis(0, top_rps) | titled("answered well, req/s"),
        margin={"l": 68, "r": 16, "t": 12, "b": 76},
        height=HEIGHT_PX,
    )
    return figure
