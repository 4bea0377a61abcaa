"""A quick run or a load test asked for from a form."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

import dash_mantine_components as dmc
from dash import ClientsideFunction, Input, Output, State, ctx, dcc, html, no_update
from dash.exceptions import PreventUpdate

from dashboard.address import given_in
from dashboard.asked_again import asked_again
from dashboard.asked_plan import EXAMPLE, asked_plan, folder_of, plan_text
from dashboard.asked_run import (
    REFUSED,
    Fault,
    QuickForm,
    checked,
    guest_faults,
    is_asked,
    told,
    typed_faults,
)
from dashboard.components.controls import copy_button
from dashboard.components.file_box import unpacked
from dashboard.components.plan_form import (
    FOLDER,
    PLAN,
    PLAN_FILE,
    PLAN_FILES,
    explained,
    plan_form,
)
from dashboard.components.run_form import (
    FIELDS,
    HOURS,
    PAYLOADS,
    field_id,
    quick_form,
    where_shown,
    wrapper_id,
)
from dashboard.components.sections import aria, command, notice
from recommender.errors import BadRequest
from recommender.loadtest.explanation import explain_here
from recommender.loadtest.request import LoadTestRequest
from recommender.loadtest.session import KIND as LOADTEST
from recommender.request import KIND as QUICK
from recommender.request import QuickRequest

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from dash import Dash
    from dash.development.base_component import Component

    from dashboard.components.file_box import Taken
    from dashboard.data import Repository
    from recommender.jobs import Jobs
    from recommender.loadtest.plan import Plan

__all__ = ["TITLE", "layout", "register"]

TITLE = "New run"
START, SAID, COMMAND, COPY = "new-start", "new-said", "new-command", "new-copy"
QUERY, LINK, TABS = "new-query", "new-link", "new-tabs"
EXPLAIN, TEST, PLAN_SAID, EXPLAINED = "plan-explain", "plan-start", "plan-said", "plan-explained"
SHOWN_BY_KIND = ("model", "environment", "sizes", "vcpus", "memory_gib", "startup_timeout_s")


class Begun(NamedTuple):
    """What the forms are filled in with. about: what is to be said of it."""

    kind: str
    form: QuickForm
    plan: str
    folder: str
    about: str | None = None


def layout(repository: Repository, jobs: Jobs | None, search: str) -> Component:
    """search: a form filled in, or the run to ask again. Raises for what is neither."""
    if jobs is None:
        return notice(
            "This dashboard only reads",
            html.P("Runs are started in a terminal:"),
            command("recommender quick"),
            command("recommender loadtest plan.yaml"),
        )
    begun = _begun(repository, jobs, search)
    is_guest = not jobs.runs_programs
    about = [] if begun.about is None else [html.P(begun.about, className="also")]
    return html.Article(
        [
            html.H1(TITLE),
            *about,
            dmc.Tabs(
                [
                    dmc.TabsList(
                        [
                            dmc.TabsTab("Quick recommendation", value=QUICK),
                            dmc.TabsTab("Load test", value=LOADTEST),
                        ],
                        **aria(label="what to run"),
                    ),
                    dmc.TabsPanel(_quick(begun.form, is_guest=is_guest), value=QUICK, pt="md"),
                    dmc.TabsPanel(
                        _loadtest(begun.plan, begun.folder, is_guest=is_guest),
                        value=LOADTEST,
                        pt="md",
                    ),
                ],
                id=TABS,
                value=begun.kind,
                keepMounted=True,
            ),
        ]
    )


def _begun(repository: Repository, jobs: Jobs, search: str) -> Begun:
    given = given_in(search)
    if again := given.pop("from", ""):
        return _again(repository, jobs, again)
    kind = given.pop("tab", QUICK)
    return Begun(kind if kind == LOADTEST else QUICK, QuickForm.addressed(given), EXAMPLE, "")


def _again(repository: Repository, jobs: Jobs, reference: str) -> Begun:
    run = repository.run(reference)
    about = f"As {run.id} was asked; change what you like."
    if run.kind == LOADTEST:
        asked = LoadTestRequest.model_validate(run.request)
        folder = str(asked.folder) if jobs.runs_programs else ""
        return Begun(LOADTEST, QuickForm(), plan_text(asked.plan, asked.folder), folder, about)
    again = asked_again(QuickRequest.model_validate(run.request))
    if again.left_out:
        about += f" Not taken over: {', '.join(again.left_out)}."
    return Begun(QUICK, again.form, EXAMPLE, "", about)


def _quick(form: QuickForm, *, is_guest: bool) -> Component:
    return html.Div(
        [
            html.Div(quick_form(form, is_guest=is_guest), className="answer"),
            html.Aside(
                [
                    html.H2("The same in a terminal"),
                    html.Pre(html.Code(form.command, id=COMMAND), className="command"),
                    html.Div(id=SAID, role="alert"),
                    html.Div(
                        [
                            html.Button("Start the run", id=START, className="button button-main"),
                            copy_button(COPY, "Copy command", form.command),
                            copy_button(LINK),
                        ],
                        className="actions",
                    ),
                    html.P(
                        "It measures on this machine, for a minute or two at each size. A link "
                        "brings neither the command nor environment variables nor uploads.",
                        className="note",
                    ),
                    dcc.Store(id=QUERY, data=form.query),
                ],
                className="asking",
                **aria(label="start it"),
            ),
        ],
        className="what-if new-run",
    )


def _loadtest(plan: str, folder: str, *, is_guest: bool) -> Component:
    return html.Div(
        [
            html.Div(plan_form(plan, folder, is_guest=is_guest), className="answer"),
            html.Aside(
                [
                    html.H2("What it comes to"),
                    html.Div(id=PLAN_SAID, role="alert"),
                    html.Div(
                        [
                            html.Button("Explain", id=EXPLAIN, className="button"),
                            html.Button(
                                "Start the load test", id=TEST, className="button button-main"
                            ),
                        ],
                        className="actions",
                    ),
                    html.Div(
                        html.P(
                            "Explain tells what would be run, for how long, with how many "
                            "requests and at what cost; nothing is started.",
                            className="note",
                        ),
                        id=EXPLAINED,
                        **aria(live="polite"),
                    ),
                    html.P(["The same in a terminal, with the plan saved as plan.yaml:"],
                           className="note"),
                    command("recommender loadtest plan.yaml"),
                ],
                className="asking",
                **aria(label="start it"),
            ),
        ],
        className="what-if new-run plan",
    )  # fmt: skip


def register(app: Dash, repository: Repository, jobs: Jobs | None) -> None:
    for box in (PAYLOADS, PLAN_FILES):
        box.register(app, jobs)
    app.clientside_callback(  # type: ignore[no-untyped-call]
        ClientsideFunction("new_run", "follow"),
        Output(LINK, "value"),
        Input(QUERY, "data"),
        Input(TABS, "value"),
    )
    if jobs is not None:
        _register_quick(app, jobs)
        _register_loadtest(app, repository, jobs)


def _register_quick(app: Dash, jobs: Jobs) -> None:
    app.callback(
        output={
            "errors": {name: Output(field_id(name), "error") for name in FIELDS},
            "hidden": {name: Output(wrapper_id(name), "hidden") for name in SHOWN_BY_KIND},
            "where": {
                name: Output(field_id("where"), name)
                for name in ("label", "description", "placeholder", "style")
            },
            "said": Output(SAID, "children"),
            "command": Output(COMMAND, "children"),
            "copied": Output(COPY, "value"),
            "query": Output(QUERY, "data"),
            "address": Output("address", "href", allow_duplicate=True),
        },
        inputs={
            "given": {name: Input(field_id(name), "value") for name in FIELDS},
            "taken": Input(PAYLOADS.taken, "data"),
            "_start": Input(START, "n_clicks"),
        },
        running=[(Output(START, "disabled"), True, False)],
        prevent_initial_call=True,
    )(partial(_turned, jobs))
    app.callback(
        Output(field_id("traffic"), "value"),
        Output(SAID, "children", allow_duplicate=True),
        Input(HOURS, "contents"),
        State(HOURS, "filename"),
        prevent_initial_call=True,
    )(partial(_hours, jobs))


def _turned(
    jobs: Jobs, given: dict[str, Any], taken: list[Taken], _start: int | None
) -> dict[str, Any]:
    """The form as it was changed; begun, where it is to be and nothing is wrong with it."""
    try:
        form = QuickForm.given(given | {"uploads": [each["path"] for each in taken or ()]})
    except BadRequest as error:  # of no form of ours
        raise PreventUpdate from error
    is_start = ctx.triggered_id == START
    faults: Iterable[Fault] = ()
    href: Any = no_update
    if not jobs.runs_programs:
        faults = guest_faults(form, jobs.holds)
    if not faults and is_start:
        href, faults = _started(jobs, form)
    elif not faults:
        faults = typed_faults(form)
    at_field = {each.field: each.said for each in faults if each.field is not None}
    elsewhere = [each.said for each in faults if each.field is None]
    return {
        "errors": {name: at_field.get(name) for name in FIELDS},
        "hidden": {name: not is_asked(name, form.kind) for name in SHOWN_BY_KIND},
        "where": where_shown(form.kind),
        "said": _refusals(elsewhere, is_start=is_start, others=len(at_field)),
        "command": form.command,
        "copied": form.command,
        "query": form.query,
        "address": href,
    }


def _started(jobs: Jobs, form: QuickForm) -> tuple[Any, tuple[Fault, ...]]:
    """Where the run is, or what is wrong."""
    found = checked(form, jobs.check_quick)
    if found.request is None:
        return no_update, found.faults
    try:
        return f"/runs/{jobs.start_quick(found.request).id}", ()
    except REFUSED as error:
        return no_update, (Fault(None, told(error)),)


def _hours(jobs: Jobs, contents: str, name: str) -> tuple[Any, Any]:
    try:
        return str(jobs.keep_upload(name, unpacked(contents))), []
    except BadRequest as error:
        return no_update, _refusals([told(error)], is_start=True)


def _register_loadtest(app: Dash, repository: Repository, jobs: Jobs) -> None:
    app.callback(
        output={
            "said": Output(PLAN_SAID, "children"),
            "explained": Output(EXPLAINED, "children"),
            "address": Output("address", "href", allow_duplicate=True),
        },
        inputs={"_explain": Input(EXPLAIN, "n_clicks"), "_start": Input(TEST, "n_clicks")},
        state={
            "text": State(PLAN, "value"),
            "folder": State(FOLDER, "value"),
            "taken": State(PLAN_FILES.taken, "data"),
        },
        running=[
            (Output(EXPLAIN, "disabled"), True, False),
            (Output(TEST, "disabled"), True, False),
        ],
        prevent_initial_call=True,
    )(partial(_tested, repository, jobs))
    app.callback(
        Output(PLAN, "value"),
        Output(PLAN_SAID, "children", allow_duplicate=True),
        Input(PLAN_FILE, "contents"),
        prevent_initial_call=True,
    )(_plan_read)


def _tested(
    repository: Repository,
    jobs: Jobs,
    text: str | None,
    folder: str | None,
    taken: list[Taken],
    **_clicks: int | None,
) -> dict[str, Any]:
    answer: dict[str, Any] = {"said": [], "explained": no_update, "address": no_update}
    try:
        plan, place = _plan(jobs, text or "", folder or "", taken or [])
        if ctx.triggered_id == TEST:
            run = jobs.start_loadtest(plan, place)
            return answer | {"address": f"/runs/{run.id}"}
        library = repository.library()
        book = library.book(library.names()[-1])
        return answer | {"explained": explained(explain_here(plan, place, book))}
    except REFUSED as error:
        return answer | {"said": _refusals([told(error)], is_start=True)}


def _plan(jobs: Jobs, text: str, folder: str, taken: list[Taken]) -> tuple[Plan, Path]:
    """A folder of this machine is looked into only for who may have it read."""
    place = folder_of(folder if jobs.runs_programs else "")
    return asked_plan(text, place, taken, lambda plan: jobs.check_files(plan, place)), place


def _plan_read(contents: str) -> tuple[Any, Any]:
    try:
        return unpacked(contents).decode(), []
    except (BadRequest, UnicodeDecodeError) as error:
        return no_update, _refusals([f"the plan file is no text: {error}"], is_start=True)


def _refusals(said: list[str], *, is_start: bool, others: int = 0) -> list[Component]:
    shown: list[Component] = [html.Div(each, className="refusal") for each in said]
    if others and is_start:
        fields = "field" if others == 1 else "fields"
        shown.append(
            html.Div(f"Nothing was started: see {others} {fields} marked.", className="refusal")
        )
    return shown
