"""An answer, to be taken along."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dash import html

from dashboard.components.run_head import demo_banner, path_to
from dashboard.components.sections import section
from dashboard.exports import FORMATS
from dashboard.questions import answer_to
from dashboard.views import recommendation_view

if TYPE_CHECKING:
    from dash.development.base_component import Component

    from dashboard.data import Repository
    from dashboard.shell import RunPlace
    from recommender.store import Run

__all__ = ["layout"]

TITLE = "Export"


def layout(repository: Repository, run: Run, place: RunPlace, search: str) -> Component:
    """search: what an address asks otherwise than the run did."""
    query = search.removeprefix("?")
    found = answer_to(repository, run.id, query)
    head = [*demo_banner(repository, run), path_to(place, TITLE), html.H1("Take it along")]
    if found is None:
        return html.Article([*head, html.P("This run has no recommendation yet.")])
    at = f"/runs/{place.reference}/export/"
    return html.Article(
        [
            *head,
            html.P(recommendation_view(found).verdict[0], className="also"),
            section(
                "The recommendation",
                html.Ul(
                    [
                        html.Li(
                            [
                                html.A(
                                    each.title,
                                    href=f"{at}{name}" + (f"?{query}" if query else ""),
                                    download=each.file_name(run.id),
                                    className="button",
                                ),
                                html.Span(each.about),
                            ]
                        )
                        for name, each in FORMATS.items()
                    ],
                    className="formats",
                ),
                note="As it was asked on the page before." if query else None,
            ),
            section(
                "Deployment files",
                html.P("This version writes none yet. The JSON above holds all they need."),
            ),
        ]
    )
