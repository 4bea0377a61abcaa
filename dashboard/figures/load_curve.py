"""Latency against load, with the knee and the saturation."""

from __future__ import annotations

import math
from html import escape
from typing import TYPE_CHECKING, NamedTuple

import plotly.graph_objects as go

from dashboard import format as fmt
from dashboard.figures.axes import linear_axis, log_axis, paper, titled
from dashboard.figures.palette import INK, LIMIT, MUTED, PAPER, QUANTILE_COLOR, faint
from loadtests.validity import Status
from recommender.loadtest.words import between, milliseconds

if TYPE_CHECKING:
    from collections.abc import Iterable

    from loadtests.intervals import Quantile
    from loadtests.measurement import Measurement
    from loadtests.modes.profile import LoadCurve, LoadPoint
    from loadtests.slo import Slo
    from recommender.loadtest.report import KeptRun

__all__ = [
    "CAPTION",
    "CurvePoint",
    "Curves",
    "Limit",
    "add_limits",
    "curves",
    "curves_so_far",
    "limits_of",
    "load_curve_figure",
]

CAPTION = (
    "Latency under open-loop load, with 95% intervals. A hollow mark is of a run that is "
    "inconclusive, or that the server did not keep up with."
)
ROOM = 1.15  # times the outermost figure
KNEE_OPACITY = 0.1
MIDDLE = 0.4  # of the width: beyond it a name ends at its rate, before it begins there


class CurvePoint(NamedTuple):
    """high_s: None where the interval is open; drawn up to the frame."""

    quantile: float
    rate_rps: float
    seconds: float
    low_s: float | None
    high_s: float | None
    is_doubtful: bool
    hover: str


class Limit(NamedTuple):
    text: str
    seconds: float


class Curves(NamedTuple):
    """Exactly what is drawn. knee_rps: value, low and high; None each where not known.

    saturation_rps: None where it is not known either.
    """

    points: tuple[CurvePoint, ...]
    knee_rps: tuple[float | None, float | None, float | None]
    knee_text: str
    saturation_rps: float | None
    limits: tuple[Limit, ...]


def curves(curve: LoadCurve, tiers: dict[str, Slo]) -> Curves:
    knee = curve.knee.rate_rps
    return Curves(
        points=tuple(
            point
            for quantile in QUANTILE_COLOR
            for each in curve.points
            for point in _point(each, quantile)
        ),
        knee_rps=(knee.value, knee.low, knee.high),
        knee_text=f"knee {between(knee)} req/s",
        saturation_rps=curve.saturation.measured_rps,
        limits=limits_of(tiers),
    )


def curves_so_far(runs: Iterable[KeptRun], tiers: dict[str, Slo]) -> Curves:
    """Of the open-loop runs of one configuration, where no curve was concluded from them (yet)."""
    points = [
        point
        for quantile in QUANTILE_COLOR
        for rate_rps, run in sorted(_rates(runs), key=lambda each: each[0])
        for point in _run_point(rate_rps, run.measurement, quantile)
    ]
    return Curves(tuple(points), (None, None, None), "", None, limits_of(tiers))


def _rates(runs: Iterable[KeptRun]) -> list[tuple[float, KeptRun]]:
    return [
        (run.measurement.offered_rps, run)
        for run in runs
        if run.measurement.load.loop == "open" and run.measurement.offered_rps is not None
    ]


def limits_of(tiers: dict[str, Slo]) -> tuple[Limit, ...]:
    """Of each tier's latency objectives."""
    return tuple(
        Limit(
            f"{name}: p{each.quantile * 100:g} < {milliseconds(each.limit_s)}",
            each.limit_s,
        )
        for name, slo in tiers.items()
        for each in slo.latency
    )


def load_curve_figure(drawn: Curves) -> go.Figure:
    figure = go.Figure()
    low_s, top_s = _frame_s(drawn)
    for quantile, color in QUANTILE_COLOR.items():
        points = [each for each in drawn.points if each.quantile == quantile]
        if points:
            figure.add_trace(_line(quantile, color, points, (low_s, top_s)))
    add_limits(figure, drawn.limits, within_s=(low_s, top_s))
    rates = [each.rate_rps for each in drawn.points]
    if drawn.saturation_rps is not None:
        rates.append(drawn.saturation_rps)
    figure.update_layout(
        paper(),
        uirevision="kept",  # a point more leaves the frame as its reader set it
        xaxis=linear_axis(0, max(rates, default=1.0) * ROOM) | titled("load, requests per second"),
        yaxis=log_axis(low_s, top_s, fmt.duration) | titled("latency"),
        margin={"l": 68, "r": 16, "t": 64, "b": 40},
    )
    _add_rates(figure, drawn)
    return figure


def add_limits(
    figure: go.Figure, limits: Iterable[Limit], *, within_s: tuple[float, float], row: int = 1
) -> None:
    """Those that lie within a logarithmic axis of seconds."""
    axis = "y" if row == 1 else f"y{row}"
    for limit in limits:
        if not within_s[0] <= limit.seconds <= within_s[1]:
            continue
        figure.add_shape(
            type="line", xref="paper", x0=0, x1=1, yref=axis, y0=limit.seconds, y1=limit.seconds,
            line={"color": LIMIT, "width": 1.5, "dash": "dash"},
        )  # fmt: skip
        figure.add_annotation(
            x=0, xref="paper", xanchor="left", yref=axis, y=math.log10(limit.seconds),
            yanchor="bottom", text=escape(limit.text), showarrow=False,
            font={"size": 12, "color": MUTED}, bgcolor=faint(PAPER, 0.8),
        )  # fmt: skip


def _point(found: LoadPoint, quantile: float) -> tuple[CurvePoint, ...]:
    doubt = "over-saturated" if found.over_saturated else found.validity.value
    is_doubtful = found.over_saturated or found.validity is not Status.VALID
    said = f"({found.utilization_ratio:.0%} of saturation), {doubt}"
    return _placed(quantile, found.rate_rps, found.latency, said, is_doubtful=is_doubtful)


def _run_point(rate_rps: float, found: Measurement, quantile: float) -> tuple[CurvePoint, ...]:
    status = found.validity.status
    doubt = "over-saturated" if found.over_saturated else status.value
    is_doubtful = found.over_saturated or status is not Status.VALID
    return _placed(quantile, rate_rps, found.latency, doubt, is_doubtful=is_doubtful)


def _placed(
    quantile: float,
    rate_rps: float,
    latency: Iterable[Quantile],
    said: str,
    *,
    is_doubtful: bool,
) -> tuple[CurvePoint, ...]:
    """None where failures reach into the quantile: it is infinite."""
    interval = next((each.seconds for each in latency if each.quantile == quantile), None)
    if interval is None or interval.value is None:
        return ()
    return (
        CurvePoint(
            quantile=quantile,
            rate_rps=rate_rps,
            seconds=interval.value,
            low_s=interval.low,
            high_s=interval.high,
            is_doubtful=is_doubtful,
            hover=f"p{quantile * 100:g} {between(interval, 1e3)} ms at {rate_rps:.3g} req/s "
            f"{said}",
        ),
    )


def _frame_s(drawn: Curves) -> tuple[float, float]:
    values = [each.seconds for each in drawn.points]
    ends = [end for each in drawn.points for end in (each.low_s, each.high_s) if end]
    known = [*values, *ends] or [each.seconds for each in drawn.limits] or [0.001, 1.0]
    return min(known) / ROOM, max(known) * ROOM


def _line(
    quantile: float, color: str, points: list[CurvePoint], frame_s: tuple[float, float]
) -> go.Scatter:
    low_s, top_s = frame_s
    return go.Scatter(
        name=f"p{quantile * 100:g}",
        x=[each.rate_rps for each in points],
        y=[each.seconds for each in points],
        hovertext=[escape(each.hover) for each in points],
        hovertemplate="%{hovertext}<extra></extra>",
        mode="lines+markers",
        line={"color": color, "width": 2},
        marker={
            "color": color,
            "size": 9,
            "symbol": ["circle-open" if each.is_doubtful else "circle" for each in points],
            "line": {"width": 2, "color": color},
        },
        error_y={
            "type": "data",
            "symmetric": False,
            "array": [
                (top_s if each.high_s is None else each.high_s) - each.seconds for each in points
            ],
            "arrayminus": [
                each.seconds - (low_s if each.low_s is None else each.low_s) for each in points
            ],
            "color": faint(color, 0.5),
            "thickness": 1.5,
            "width": 4,
        },
    )


def _add_rates(figure: go.Figure, drawn: Curves) -> None:
    value, low, high = drawn.knee_rps
    if value is not None:
        figure.add_vline(x=value, line={"color": INK, "width": 1.5})
        if low is not None and high is not None:
            figure.add_vrect(
                x0=low, x1=high, fillcolor=faint(MUTED, KNEE_OPACITY), line_width=0, layer="below"
            )
        _name(figure, value, drawn.knee_text, line=1)
    if drawn.saturation_rps is None:
        return
    figure.add_vline(x=drawn.saturation_rps, line={"color": INK, "width": 1.5, "dash": "dot"})
    _name(figure, drawn.saturation_rps, f"saturated {drawn.saturation_rps:.3g} req/s", line=0)


def _name(figure: go.Figure, rate_rps: float, text: str, *, line: int) -> None:
    """Above the frame, each on a line of its own, since the two may be close."""
    is_far = rate_rps > MIDDLE * figure.layout.xaxis.range[1]
    figure.add_annotation(
        x=rate_rps, xanchor="right" if is_far else "left", y=1, yref="paper", yanchor="bottom",
        yshift=18 * line, text=escape(text), showarrow=False, font={"size": 12, "color": INK},
    )  # fmt: skip
