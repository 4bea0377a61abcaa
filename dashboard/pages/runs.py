"""The runs kept, newest first."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dash import dcc, html

from dashboard.components.sections import Cell, chip, command, notice, table
from dashboard.views import RunRow, run_row

if TYPE_CHECKING:
    from dash.development.base_component import Component

    from dashboard.data import Repository

__all__ = ["TITLE", "layout"]

TITLE = "Runs"


def layout(repository: Repository) -> Component:
    rows = tuple(map(run_row, repository.runs()))
    if not rows:
        return notice(
            "No runs yet",
            html.P("This measures the bundled sample container and ranks what would serve it:"),
            command("recommender quick"),
            html.P("Your own model container is measured with:"),
            command('recommender quick --command "gunicorn -b 127.0.0.1:{port} wsgi:app" '
                    "--payload samples/*.json"),
            html.P("Configurations of your own are tested under your traffic with:"),
            command("recommender loadtest plan.yaml"),
        )  # fmt: skip
    return html.Div(
        [
            html.H1("Runs"),
            html.P("Newest first. Open one to see what it recommends or found.", className="note"),
            table(
                ("Run", "Kind", "Status", "Created", "Took", "Measured"),
                [_cells(row) for row in rows],
                label="runs",
            ),
        ]
    )


def _cells(row: RunRow) -> tuple[Cell, ...]:
    error = [] if row.error is None else [html.Div(row.error, className="fault")]
    return (
        dcc.Link(row.id, href=f"/runs/{row.id}", className="mono"),
        row.kind,
        chip(row.status),
        row.created,
        row.took,
        [row.measured, *error],
    )
