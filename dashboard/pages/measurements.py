"""The measurements of a quick run, one by one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dash import html

from dashboard.components.blocks import measurements
from dashboard.components.looked_into import options
from dashboard.components.run_head import demo_banner, path_to
from dashboard.components.sections import section
from dashboard.evidence import measurement_line
from dashboard.looked_into import choices_of_quick
from dashboard.pages.live import Live, live_page
from dashboard.pages.looking import look_section
from recommender.evidence import summary_of

if TYPE_CHECKING:
    from dash.development.base_component import Component

    from dashboard.data import Repository
    from dashboard.shell import RunPlace
    from recommender.store import Run

__all__ = ["PAGE", "TITLE", "layout", "live"]

PAGE, TITLE = "measurements", "Measurements"


def layout(repository: Repository, run: Run, place: RunPlace, search: str) -> Component:
    found = choices_of_quick(repository.measured(run))
    return html.Div(
        [
            *demo_banner(repository, run),
            path_to(place, TITLE),
            live_page(
                PAGE,
                run,
                repository.finished_measurements(run.id),
                live(repository, run),
                look_section(repository, run, found, search),
            ),
        ]
    )


def live(repository: Repository, run: Run) -> Live:
    found = repository.measured(run)
    lines = [measurement_line(summary_of(each)) for each in found]
    return Live(
        parts={
            "head": [html.H1(TITLE)],
            "measured": [section(f"Measured: {len(lines)}", *measurements(lines))],
        },
        options=tuple(options(choices_of_quick(found))),
    )
