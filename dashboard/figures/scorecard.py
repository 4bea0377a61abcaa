"""How right predictions were: errors beside those of plainer methods, calibration, and replays."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import plotly.graph_objects as go

from dashboard.figures.axes import linear_axis, log_axis, paper, titled
from dashboard.figures.palette import MARK, TIER_MARKS, faint

if TYPE_CHECKING:
    from collections.abc import Sequence

    from recommender.performance.scorecard import CalibrationCurve, MethodScore, ReplayCurve

__all__ = [
    "CALIBRATION",
    "ERRORS",
    "REPLAY",
    "Look",
    "calibration_figure",
    "comparable",
    "errors_figure",
    "kind_named",
    "looks",
    "replay_figure",
]

ERRORS = (
    "Median error of what was predicted, by kind of workload, where the workload (of GPUs: the "
    "GPU) was left out of the fit. The table holds our own figures, more left out as well."
)
CALIBRATION = (
    "Of the truth, the share inside intervals of each level. On the diagonal the intervals are as "
    "sure as they say; above it they are too wide, below too narrow."
)
REPLAY = (
    "How much more the machine chosen costs than the best one, after so many measurements; the "
    "mean over replays, and from the first to the ninth decile for the first in the legend."
)
KINDS = {
    "llm_pp": "LLM, prompt",
    "llm_tg": "LLM, generation",
    "web": "web server",
    "vllm_sat": "vLLM, saturated",
    "vllm_sync": "vLLM, one user",
    "vllm_ttft": "vLLM, first token",
}
FILLS = ("", "-open", "-open-dot")
DASHES = ("solid", "dash", "dot", "dashdot", "longdash")
ROW_PX, AXIS_PX, HEIGHT_PX = 44, 150, 420
ROOM = 1.25
LEAST_REGRET = 0.001


def kind_named(kind: str) -> str:
    return KINDS.get(kind, kind)


def comparable(scores: Sequence[MethodScore]) -> list[MethodScore]:
    """Of each kind, those of what was left out first: there the plainer methods stand beside."""
    first = {each.kind: each.left_out for each in reversed(scores)}
    return [each for each in scores if each.left_out == first[each.kind]]


class Look(NamedTuple):
    color: str
    symbol: str
    dash: str


def looks(names: Sequence[str]) -> dict[str, Look]:
    """Told apart by colour, and by shape or dashes once the colours are used up."""
    count = len(TIER_MARKS)
    found = {}
    for n, name in enumerate(dict.fromkeys(names)):
        color, symbol = TIER_MARKS[n % count]
        round_ = n // count
        found[name] = Look(
            color, symbol + FILLS[round_ % len(FILLS)], DASHES[round_ % len(DASHES)]
        )
    return found


def errors_figure(scores: Sequence[MethodScore]) -> go.Figure:
    """One row for each kind, one mark for each method."""
    figure = go.Figure()
    kinds = list(dict.fromkeys(each.kind for each in scores))
    for method, look in looks([each.method for each in scores]).items():
        own = [each for each in scores if each.method == method]
        figure.add_trace(
            go.Scatter(
                name=method,
                x=[each.error for each in own],
                y=[-kinds.index(each.kind) for each in own],
                customdata=[each.predictions for each in own],
                mode="markers",
                marker={
                    "color": look.color,
                    "symbol": look.symbol,
                    "size": 12,
                    "line": {"width": 2, "color": look.color},
                },
                hovertemplate=f"{method}: %{{x:.0%}} of %{{customdata}} predictions"
                "<extra></extra>",
            )
        )
    errors = [each.error for each in scores]
    figure.update_layout(
        paper(),
        xaxis=log_axis(min(errors) / ROOM, max(errors) * ROOM, lambda value: f"{value:.0%}")
        | titled("median error"),
        yaxis=linear_axis(0.6 - len(kinds), 0.6)
        | {
            "tickvals": [-n for n in range(len(kinds))],
            "ticktext": [kind_named(kind) for kind in kinds],
            "fixedrange": True,
        },
        margin={"l": 190, "r": 16, "t": 12, "b": 90},
        height=AXIS_PX + ROW_PX * len(kinds),
    )
    return figure


def calibration_figure(curves: Sequence[CalibrationCurve]) -> go.Figure:
    figure = go.Figure()
    figure.add_trace(
        go.Scatter(
            name="as sure as it says", x=[0, 1], y=[0, 1], mode="lines", hoverinfo="skip",
            line={"color": MARK, "width": 1.5, "dash": "dot"},
        )
    )  # fmt: skip
    names = [f"{kind_named(each.kind)}; {each.left_out} left out" for each in curves]
    for (name, look), curve in zip(looks(names).items(), curves, strict=True):
        figure.add_trace(
            go.Scatter(
                name=name,
                x=(0, *curve.nominal, 1),
                y=(0, *curve.observed, 1),
                mode="lines",
                line={"color": look.color, "width": 2, "dash": look.dash},
                hovertemplate=f"{name}: %{{y:.0%}} inside the %{{x:.0%}} interval<extra></extra>",
            )
        )
    percent = {"tickformat": ".0%"}
    figure.update_layout(
        paper(),
        xaxis=linear_axis(0, 1) | titled("interval") | percent,
        yaxis=linear_axis(0, 1) | titled("truth inside") | percent,
        margin={"l": 68, "r": 16, "t": 12, "b": 110},
        height=HEIGHT_PX + 20 * len(curves) // 3,
    )
    return figure


def replay_figure(curves: Sequence[ReplayCurve]) -> go.Figure:
    figure = go.Figure()
    policies = looks([each.policy for each in curves])
    for n, curve in enumerate(curves):
        look = policies[curve.policy]
        counts = [each.measurements for each in curve.points]
        if n == 0:
            _band(figure, curve, look.color)
        figure.add_trace(
            go.Scatter(
                name=curve.policy,
                x=counts,
                y=[max(each.regret, LEAST_REGRET) for each in curve.points],
                mode="lines+markers",
                line={"color": look.color, "width": 2, "dash": look.dash},
                marker={"symbol": look.symbol, "size": 8},
                hovertemplate=f"{curve.policy}: %{{y:.1%}} after %{{x}}<extra></extra>",
            )
        )
    means = [max(each.regret, LEAST_REGRET) for curve in curves for each in curve.points]
    counted = [each.measurements for curve in curves for each in curve.points]
    figure.update_layout(
        paper(),
        xaxis=linear_axis(min(counted) - 0.2, max(counted) + 0.2)
        | titled("measurements")
        | {"dtick": 1},
        yaxis=log_axis(min(means) / ROOM, max(means) * ROOM, lambda value: f"{value:.1%}")
        | titled("regret"),
        margin={"l": 68, "r": 16, "t": 12, "b": 90},
        height=HEIGHT_PX,
    )
    return figure


def _band(figure: go.Figure, curve: ReplayCurve, color: str) -> None:
    there = [each.measurements for each in curve.points]
    above = [max(each.high, LEAST_REGRET) for each in curve.points]
    below = [max(each.low, LEAST_REGRET) for each in curve.points]
    figure.add_trace(
        go.Scatter(
            x=[*there, *reversed(there)], y=[*above, *reversed(below)],
            fill="toself", fillcolor=faint(color, 0.12), line={"width": 0},
            hoverinfo="skip", showlegend=False,
        )
    )  # fmt: skip
