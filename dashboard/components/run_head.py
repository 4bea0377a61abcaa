"""What stands above every page of a run."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dash import dcc, html

from dashboard.components.sections import aria

if TYPE_CHECKING:
    from dash.development.base_component import Component

    from dashboard.data import Repository
    from dashboard.shell import RunPlace
    from recommender.store import Run

__all__ = ["demo_banner", "path_to"]


def path_to(place: RunPlace, page: str | None = None) -> Component:
    run = html.Span(place.label, className="mono")
    steps: list[Component | str] = [dcc.Link("Runs", href="/runs"), " / "]
    if page is None:
        steps.append(run)
    else:
        steps += [dcc.Link(run, href=f"/runs/{place.reference}"), " / ", page]
    return html.Nav(steps, **aria(label="where this page is"))


def demo_banner(repository: Repository, run: Run) -> list[Component]:
    recorded_at = repository.demonstrates(run.id)
    if recorded_at is None:
        return []
    return [
        html.Div(
            [
                html.B("A demonstration."),
                html.Span(
                    "The bundled sample container, as it was measured on another machine on "
                    f"{recorded_at:%Y-%m-%d}, ranked today. Measure your own:"
                ),
                html.Code("recommender quick"),
            ],
            className="banner",
            role="note",
        )
    ]
