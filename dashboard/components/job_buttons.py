"""What can be done about a run: stop it, go on with it, ask it again, delete it."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from dash import ALL, MATCH, ClientsideFunction, Input, Output, ctx, dcc, html, no_update

from dashboard.components.sections import aria
from recommender.errors import RecommenderError
from recommender.store import RunStatus

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from dash import Dash
    from dash.development.base_component import Component

    from recommender.jobs import Jobs
    from recommender.store import Run

__all__ = ["done_id", "job_buttons", "register"]

STOP, GO_ON, DELETE = "stop", "go-on", "delete"
DONE = {
    STOP: "Asked to stop: it tidies up, and keeps what it measured.",
    GO_ON: "It goes on.",
    DELETE: "Deleted.",
}
ENDED_EARLY = (RunStatus.FAILED, RunStatus.STOPPED, RunStatus.INTERRUPTED)


def job_buttons(run: Run, *, jobs_allowed: bool) -> list[Component]:
    """None where the dashboard only reads."""
    if not jobs_allowed:
        return []
    is_left = run.status is RunStatus.CREATED and run.owner is None
    return [
        html.Div(
            [
                *([_button(run, STOP, "Stop")] if run.status.is_under_way else []),
                *([_button(run, GO_ON, "Go on")] if is_left or run.status in ENDED_EARLY else []),
                dcc.Link(
                    "Again …",
                    href=f"/new?from={run.id}",
                    className="button",
                    title="ask the same with changes",
                ),
                *([] if run.status.is_under_way and not is_left else [_delete(run)]),
                dcc.Store(id=done_id(run.id)),
            ],
            className="job-actions",
        ),
        html.Div(id=_said_id(run.id), role="status"),
    ]


def done_id(run: object) -> dict[str, Any]:
    """Of a store that is told what was done about the run: `stop`, `go-on` or `delete`."""
    return {"type": "job-done", "run": run}


def register(app: Dash, jobs: Jobs | None) -> None:
    if jobs is None:
        return
    app.callback(
        Output(done_id(MATCH), "data"),
        Output(_said_id(MATCH), "children"),
        Input(_job_id(MATCH, ALL), "n_clicks"),
        prevent_initial_call=True,
    )(partial(_act, jobs))
    app.clientside_callback(  # type: ignore[no-untyped-call]
        ClientsideFunction("new_run", "leave"),
        Output(_said_id(MATCH), "title"),
        Input(done_id(MATCH), "data"),
        prevent_initial_call=True,
    )


def _act(jobs: Jobs, clicks: Sequence[int | None]) -> tuple[Any, Any]:
    asked = ctx.triggered_id
    if not any(clicks) or asked is None:
        return no_update, no_update
    run, does = asked["run"], asked["does"]
    acts: dict[str, Callable[[str], object]] = {
        STOP: jobs.stop,
        GO_ON: jobs.resume,
        DELETE: jobs.delete,
    }
    try:
        acts[does](run)
    except RecommenderError as error:
        hint = [] if error.hint is None else [html.Div(error.hint, className="note")]
        return no_update, html.Div([html.Div(str(error)), *hint], className="refusal")
    return does, html.P(DONE[does], className="note")


def _button(run: Run, does: str, label: str) -> Component:
    return html.Button(
        label, id=_job_id(run.id, does), className="button", **aria(label=f"{label} {run.id}")
    )


def _delete(run: Run) -> Component:
    """Opened by the browser, so that it stays open while the page around it is told anew."""
    sure = html.Button(
        "Delete for good", id=_job_id(run.id, DELETE), className="button button-bad"
    )
    return html.Details(
        [
            html.Summary("Delete", className="button", **aria(label=f"Delete {run.id}")),
            html.Div([html.P("The run and all it measured will be gone."), sure]),
        ],
        className="confirm",
    )


def _job_id(run: object, does: object) -> dict[str, Any]:
    return {"type": "job", "run": run, "does": does}


def _said_id(run: object) -> dict[str, Any]:
    return {"type": "job-said", "run": run}
