"""Choosing a measurement and looking into it: what the pages of both kinds of run have."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dash import ALL, ClientsideFunction, Dash, Input, Output, State, html
from dash.exceptions import PreventUpdate

from dashboard.address import given_in
from dashboard.components.looked_into import CHOICE, CONTENT, SECTION, choosing, looked
from dashboard.components.sections import section
from dashboard.looked_into import Choice, choices_of, choices_of_quick, looked_into
from dashboard.pages.live import LIVE
from loadtests.slo import Slo, parse_slo
from recommender.errors import RecommenderError
from recommender.loadtest.request import LoadTestRequest
from recommender.loadtest.session import KIND as LOADTEST

if TYPE_CHECKING:
    from dash.development.base_component import Component

    from dashboard.data import Repository
    from recommender.store import Run

__all__ = ["choices", "look_section", "register"]

ASKED = "run"  # what an address calls the measurement
NOTE = "How it went over time, how long requests took, what was used, and what failed."


def choices(repository: Repository, run: Run) -> tuple[Choice, ...]:
    if run.kind == LOADTEST:
        return choices_of(repository.loadtest(run).report)
    return choices_of_quick(repository.measured(run))


def look_section(
    repository: Repository, run: Run, found: tuple[Choice, ...], search: str
) -> Component:
    """Into the measurement that an address names, else the last one."""
    asked = given_in(search).get(ASKED) or None
    chosen = next((each for each in found if each.key == asked), found[-1] if found else None)
    lost = []
    if asked is not None and (chosen is None or chosen.key != asked):
        lost.append(html.P(f"The run has no measurement {asked}.", className="fault"))
    return section(
        "Look into a run",
        *lost,
        choosing(found, None if chosen is None else chosen.key),
        html.Div(
            [html.P("Nothing has been measured yet.", className="empty")]
            if chosen is None
            else _content(repository, run, chosen),
            id=CONTENT,
            className="looked",
        ),
        note=NOTE,
        anchor=SECTION,
    )


def register(app: Dash, repository: Repository) -> None:
    def look(keys: list[str | None], held: dict[str, Any]) -> list[Any]:
        if not keys or keys[0] is None:
            raise PreventUpdate
        try:
            return [_looked_at(repository, held["run"], keys[0])]
        except RecommenderError as error:
            return [[html.P(str(error), className="fault")]]

    app.callback(
        Output({**CONTENT, "part": ALL}, "children"),
        Input({**CHOICE, "part": ALL}, "value"),
        State(LIVE, "data"),
        prevent_initial_call=True,
    )(look)
    app.clientside_callback(  # type: ignore[no-untyped-call]
        ClientsideFunction("live", "look_at"),
        Output({**CHOICE, "part": ALL}, "value"),
        Input({"type": "look-at", "key": ALL}, "n_clicks"),
        Input({**CHOICE, "part": ALL}, "data"),
        State({**CHOICE, "part": ALL}, "value"),
        prevent_initial_call=True,
    )
    app.clientside_callback(  # type: ignore[no-untyped-call]
        ClientsideFunction("live", "follow"),
        Output({**CHOICE, "part": ALL}, "className"),
        Input({**CHOICE, "part": ALL}, "value"),
        State({**CHOICE, "part": ALL}, "className"),
        prevent_initial_call=True,
    )


def _looked_at(repository: Repository, reference: str, key: str) -> list[Component]:
    run = repository.run(reference)
    chosen = next((each for each in choices(repository, run) if each.key == key), None)
    return [] if chosen is None else _content(repository, run, chosen)


def _content(repository: Repository, run: Run, chosen: Choice) -> list[Component]:
    outline = repository.outline(run.id, chosen.key)
    view = looked_into(chosen.measurement, outline)
    return looked(view, chosen.measurement, outline, _tiers(run))


def _tiers(run: Run) -> dict[str, Slo]:
    if run.kind == LOADTEST:
        return LoadTestRequest.model_validate(run.request).plan.tiers
    slo = run.request.get("slo")
    return {"objective": parse_slo(slo)} if isinstance(slo, str) else {}
