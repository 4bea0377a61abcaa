"""The runs kept, newest first, and what can be done about them."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import dash_mantine_components as dmc
from dash import ALL, Input, Output, State, dcc, html, no_update

from dashboard.components.job_buttons import done_id, job_buttons
from dashboard.components.progress import progress_block
from dashboard.components.sections import aria, chip, command, notice
from dashboard.run_list import chosen, is_anything_at_work, job_line
from loadtests.environment import utc_now
from recommender.loadtest.session import KIND as LOADTEST
from recommender.request import KIND as QUICK
from recommender.store import RunStatus

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dash import Dash
    from dash.development.base_component import Component

    from dashboard.data import Repository
    from dashboard.run_list import JobLine
    from recommender.store import Run

__all__ = ["TITLE", "layout", "register"]

TITLE = "Runs"
LIST, TICK, COMPARE, STANDING = "runs-list", "runs-tick", "runs-compare", "runs-standing"
KIND, STATUS = "runs-kind", "runs-status"
EVERY_MS = 2000
EVERYTHING = "all"
COMPARED = 2
KINDS = {EVERYTHING: "All", QUICK: "Recommendations", LOADTEST: "Load tests"}


def layout(repository: Repository, *, jobs_allowed: bool) -> Component:
    runs = repository.runs()
    if not runs:
        return _none_yet(jobs_allowed=jobs_allowed)
    rows = _rows(_lines(repository, runs), (), jobs_allowed=jobs_allowed)
    return html.Div(
        [
            html.H1("Runs"),
            html.P(_about(jobs_allowed=jobs_allowed), className="note"),
            _head(jobs_allowed=jobs_allowed),
            html.Div(rows, id=LIST, className="jobs-list jobs"),
            dcc.Store(id=STANDING, data=_standing(runs)),
            dcc.Interval(id=TICK, interval=EVERY_MS, disabled=not is_anything_at_work(runs)),
        ]
    )


def register(app: Dash, repository: Repository, *, jobs_allowed: bool) -> None:
    app.callback(
        output={
            "rows": Output(LIST, "children"),
            "live": Output(_live_id(ALL), "children"),
            "standing": Output(STANDING, "data"),
            "is_quiet": Output(TICK, "disabled"),
        },
        inputs={
            "_ticks": Input(TICK, "n_intervals"),
            "kind": Input(KIND, "value"),
            "status": Input(STATUS, "value"),
            "done": Input(done_id(ALL), "data"),
        },
        state={
            "standing": State(STANDING, "data"),
            "checked": State(_picked_id(ALL), "checked"),
            "ids": State(_picked_id(ALL), "id"),
        },
        prevent_initial_call=True,
    )(partial(_told_anew, repository, jobs_allowed))
    app.callback(
        Output(COMPARE, "children"),
        Input(_picked_id(ALL), "checked"),
        State(_picked_id(ALL), "id"),
        prevent_initial_call=True,
    )(_compare)


def _told_anew(  # noqa: PLR0913 - what a callback is given
    repository: Repository,
    jobs_allowed: bool,  # noqa: FBT001 - bound when registered
    *,
    kind: str,
    status: str | None,
    standing: list[list[str]],
    checked: list[bool | None],
    ids: list[dict[str, str]],
    **_triggers: object,
) -> dict[str, Any]:
    """Whole rows only where runs came, went or changed state: what has the focus keeps it."""
    runs = chosen(repository.runs(), kind, status or EVERYTHING)
    answer: dict[str, Any] = {
        "rows": no_update,
        "live": [no_update] * len(ids),
        "standing": _standing(runs),
        "is_quiet": not is_anything_at_work(runs),
    }
    if answer["standing"] != standing:
        lines = _lines(repository, runs)
        rows = _rows(lines, _picked(checked, ids), jobs_allowed=jobs_allowed)
        return answer | {"rows": rows}
    now, at_work = utc_now(), {run.id: run for run in runs if run.status.is_under_way}
    live = [
        _live(at_work[at["run"]], job_line(at_work[at["run"]], now))
        if at["run"] in at_work
        else no_update
        for at in ids
    ]
    return answer | {"live": live}


def _lines(repository: Repository, runs: Sequence[Run]) -> list[tuple[Run, JobLine]]:
    now, verdicts = utc_now(), repository.verdicts(runs)
    return [(run, job_line(run, now, verdicts.get(run.id))) for run in runs]


def _standing(runs: Sequence[Run]) -> list[list[str]]:
    return [[run.id, run.status.value] for run in runs]


def _compare(checked: list[bool | None], ids: list[dict[str, str]]) -> list[Component]:
    return [_compare_link(_picked(checked, ids))]


def _picked(checked: list[bool | None], ids: list[dict[str, str]]) -> tuple[str, ...]:
    return tuple(at["run"] for at, is_on in zip(ids, checked, strict=True) if is_on)


def _compare_link(picked: Sequence[str]) -> Component:
    if len(picked) == COMPARED:
        before, after = reversed(picked)  # the older first
        return dcc.Link("Compare", href=f"/compare?a={before}&b={after}", className="button")
    return html.Span("Compare", className="button", title="tick two runs", **aria(disabled="true"))


def _about(*, jobs_allowed: bool) -> str:
    only = "" if jobs_allowed else " This dashboard only reads: runs are started in a terminal."
    return f"Newest first. Open one to see what it recommends or found.{only}"


def _head(*, jobs_allowed: bool) -> Component:
    new = (
        [dcc.Link("New run", href="/new", className="button button-main")] if jobs_allowed else []
    )
    return html.Div(
        [
            dmc.SegmentedControl(
                id=KIND, value=EVERYTHING, size="sm",
                data=[{"value": key, "label": name} for key, name in KINDS.items()],
                **aria(label="kind"),
            ),
            dmc.Select(
                id=STATUS, value=None, placeholder="any status", clearable=True, size="sm", w=150,
                data=[each.lower() for each in RunStatus], **aria(label="status"),
            ),
            html.Div([html.Span(_compare_link(()), id=COMPARE), *new], className="actions"),
        ],
        className="jobs-head",
    )  # fmt: skip


def _rows(
    lines: Sequence[tuple[Run, JobLine]], picked: Sequence[str], *, jobs_allowed: bool
) -> list[Component]:
    if not lines:
        return [html.P("No run is like that.", className="empty")]
    return [
        _row(run, line, is_picked=run.id in picked, jobs_allowed=jobs_allowed)
        for run, line in lines
    ]


def _row(run: Run, line: JobLine, *, is_picked: bool, jobs_allowed: bool) -> Component:
    return html.Div(
        [
            dmc.Checkbox(
                id=_picked_id(line.id), checked=is_picked, size="xs", radius="xs", mt=3,
                **aria(label=f"compare {line.id}"),
            ),
            html.Div(
                [
                    html.Div(
                        [
                            dcc.Link(line.measured, href=f"/runs/{line.id}"),
                            chip(line.status),
                        ],
                        className="job-name",
                    ),
                    html.Div(_live(run, line), id=_live_id(line.id)),
                    *_verdict(line),
                    *_error(line),
                ]
            ),
            html.Div(job_buttons(run, jobs_allowed=jobs_allowed)),
        ],
        id=f"run-{line.id}",
        className="job",
    )  # fmt: skip


def _live(run: Run, line: JobLine) -> list[Component]:
    """What changes while it runs."""
    facts = [html.Span(line.id, className="mono"), *map(html.Span, line.facts)]
    return [html.Div(facts, className="job-about"), progress_block(run)]


def _verdict(line: JobLine) -> list[Component]:
    return [] if line.verdict is None else [html.P(line.verdict, className="job-verdict")]


def _error(line: JobLine) -> list[Component]:
    if line.error is None:
        return []
    was_asked = line.status == RunStatus.STOPPED.lower()
    return [html.Div(line.error, className="job-about" if was_asked else "fault")]


def _none_yet(*, jobs_allowed: bool) -> Component:
    new = (
        [html.P(dcc.Link("New run", href="/new", className="button button-main"))]
        if jobs_allowed
        else []
    )
    return notice(
        "No runs yet",
        html.P(
            [
                dcc.Link("Look at a demonstration", href="/runs/demo"),
                ": a run of the sample container, recorded on another machine.",
            ]
        ),
        *new,
        html.P("In a terminal, this measures the bundled sample container and ranks what would "
               "serve it:"),
        command("recommender quick"),
        html.P("Your own model container is measured with:"),
        command('recommender quick --command "gunicorn -b 127.0.0.1:{port} wsgi:app" '
                "--payload samples/*.json"),
        html.P("Configurations of your own are tested under your traffic with:"),
        command("recommender loadtest plan.yaml"),
    )  # fmt: skip


def _live_id(run: object) -> dict[str, Any]:
    return {"type": "run-live", "run": run}


def _picked_id(run: object) -> dict[str, Any]:
    return {"type": "run-picked", "run": run}
