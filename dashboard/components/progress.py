"""How far a run is, as its process last told."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from dash import html

from dashboard.components.sections import aria
from loadtests.environment import utc_now
from recommender.progress import last_told, left_text
from recommender.store import RunStatus

if TYPE_CHECKING:
    from datetime import datetime

    from dash.development.base_component import Component

    from recommender.store import Run

__all__ = ["ProgressView", "progress_block", "progress_view"]


class ProgressView(NamedTuple):
    """left: in words. done_ratio: of the time it is thought to take; None where not known.

    stale: since when nothing was told, in words; None where that is not long.
    """

    doing: str
    left: str
    done_ratio: float | None
    stale: str | None


def progress_view(run: Run, now: datetime) -> ProgressView | None:
    """None of a run that has ended."""
    if not run.status.is_under_way:
        return None
    told = last_told(run, now)
    if told is None:
        waits = "waiting for its process to begin"
        begins = "its process has begun, and has told nothing yet"
        return ProgressView(waits if run.status is RunStatus.CREATED else begins, "", None, None)
    stale = None if told.stale is None else f"{told.stale.capitalize()}."
    if told.left_s is None:
        return ProgressView(told.doing, "how long it will take is not known", None, stale)
    went_s = max((now - run.created_at).total_seconds(), 0.0)
    taken_s = went_s + told.left_s
    done_ratio = went_s / taken_s if taken_s else None
    return ProgressView(told.doing, left_text(told.left_s), done_ratio, stale)


def progress_block(run: Run) -> Component:
    """Empty of a run that has ended."""
    view = progress_view(run, utc_now())
    if view is None:
        return html.Div(className="progress-none")
    stale = [] if view.stale is None else [html.Div(view.stale, className="progress-stale")]
    return html.Div(
        [
            html.Div(
                [
                    html.Span(view.doing, className="progress-doing"),
                    html.Span(view.left, className="progress-left"),
                ],
                className="progress-said",
            ),
            _bar(view),
            *stale,
        ],
        className="progress",
    )


def _bar(view: ProgressView) -> Component:
    if view.done_ratio is None:
        told = aria(label="progress", valuetext=view.left or view.doing)
        return html.Div(
            html.Div(className="progress-done progress-unknown"),
            className="progress-bar",
            role="progressbar",
            **told,
        )
    percent = min(round(view.done_ratio * 100), 99)
    told = aria(label="progress", valuetext=view.left, valuenow=str(percent), valuemin="0")
    return html.Div(
        html.Div(className="progress-done", style={"width": f"{percent}%"}),
        className="progress-bar",
        role="progressbar",
        **told,
        **aria(valuemax="100"),
    )
