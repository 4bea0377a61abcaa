"""What a run recommends: the verdict, then everything it rests on."""

from __future__ import annotations

from enum import StrEnum
from functools import partial
from typing import TYPE_CHECKING, Any

from dash import ClientsideFunction, Input, Output, State, dcc, html
from dash.exceptions import PreventUpdate

from dashboard.bill import bill_view
from dashboard.components import blocks
from dashboard.components.job_buttons import job_buttons
from dashboard.components.ranked_grid import GridId, ranked_grid
from dashboard.components.run_head import demo_banner, path_to
from dashboard.components.sections import cards, chart, chip, command, facts, section
from dashboard.evidence import measurement_line
from dashboard.figures.frontier import CAPTION, frontier, frontier_figure
from dashboard.pages.live import Live, live_page
from dashboard.questions import answer_to
from dashboard.shell import RunPlace
from dashboard.views import (
    RecommendationView,
    UnfinishedView,
    recommendation_view,
    unfinished_view,
)
from recommender.evidence import summary_of

if TYPE_CHECKING:
    from dash import Dash
    from dash.development.base_component import Component

    from dashboard.data import Repository
    from recommender.recommendation import Recommendation
    from recommender.store import Run

__all__ = ["PAGE", "Id", "layout", "live", "register"]

PAGE = "recommendation"


# Rows, as the table tells them when one is clicked; or their ids, as they were set.
Selected = list[dict[str, Any]] | dict[str, list[str]]


class Id(StrEnum):
    """QUESTION: the run as the address names it, and what was asked otherwise."""

    QUESTION = "question"
    BILL = "bill"
    FRONTIER = "frontier"


def layout(repository: Repository, run: Run, place: RunPlace, *, jobs_allowed: bool) -> Component:
    """Of a run without a recommendation, what there is so far; it turns into one by itself."""
    found = repository.recommendation(run.id)
    if found is None:
        shown = _so_far(repository, run, jobs_allowed=jobs_allowed)
        return live_page(PAGE, run, repository.finished_measurements(run.id), shown)
    return html.Article([*demo_banner(repository, run), *_page(place, found)])


def live(repository: Repository, run: Run, *, jobs_allowed: bool) -> Live:
    found = repository.recommendation(run.id)
    if found is None:
        return _so_far(repository, run, jobs_allowed=jobs_allowed)
    page = _page(RunPlace(run.id, run.id, run.kind), found)
    return Live(parts={"head": page, "buttons": [], "measured": []})


def register(app: Dash, repository: Repository) -> None:
    app.callback(
        Output(Id.BILL, "children"),
        Input(GridId.GRID, "selectedRows"),
        State(Id.QUESTION, "data"),
        prevent_initial_call=True,
    )(partial(_bill_of_selected, repository))
    app.clientside_callback(  # type: ignore[no-untyped-call]
        ClientsideFunction("recommender", "pick"),
        Output(GridId.GRID, "selectedRows"),
        Output(GridId.GRID, "scrollTo"),
        Input(Id.FRONTIER, "clickData"),
        prevent_initial_call=True,
    )


def _bill_of_selected(
    repository: Repository, selected: Selected | None, question: tuple[str, str]
) -> list[Component]:
    rank = _rank_of(selected)
    found = None if rank is None else answer_to(repository, *question)
    chosen = [] if found is None else [each for each in found.ranked if each.rank == rank]
    if not chosen:
        raise PreventUpdate
    return blocks.bill(bill_view(chosen[0]))


def _rank_of(selected: Selected | None) -> int | None:
    match selected:
        case [{"rank": int(rank)}, *_]:
            return rank
        case {"ids": [str(rank), *_]}:
            return int(rank)
        case _:
            return None


def _page(place: RunPlace, found: Recommendation) -> list[Component]:
    view = recommendation_view(found)
    first, *more = view.verdict
    return [
        path_to(place),
        html.H1(first, className="verdict"),
        *[html.P(each, className="also") for each in more],
        facts(view.asked),
        _actions(place),
        cards(view.cards),
        *_ranked(place, found, view),
        html.Div(_columns(view), className="columns"),
        section(f"Not ranked: {view.rejected_count}", *map(blocks.rejected, view.rejected)),
        section("Evidence", *blocks.evidence(view.evidence), html.P(view.measuring)),
    ]


def _actions(place: RunPlace) -> Component:
    at = f"/runs/{place.reference}"
    return html.Div(
        [
            dcc.Link("What if …", href=f"{at}/what-if", className="button button-main"),
            dcc.Link("Export", href=f"{at}/export", className="button"),
        ],
        className="actions",
    )


def _ranked(place: RunPlace, found: Recommendation, view: RecommendationView) -> list[Component]:
    if not view.rows:
        return []
    return [
        section(
            "Cost against latency",
            chart(frontier_figure(frontier(found)), "frontier", Id.FRONTIER),
            note=f"{CAPTION} A click on one selects it in the table below.",
        ),
        section(
            f"Ranked: {len(view.rows):,}",
            dcc.Store(id=Id.QUESTION, data=(place.reference, "")),
            ranked_grid(view.rows, [name for name, _ in view.groups], view.quantile),
            note="Cheapest first. ★ nothing is both cheaper and faster. ~ price derived by rule. "
            "The bill below is of the row selected.",
        ),
    ]


def _columns(view: RecommendationView) -> list[Component]:
    bill = (
        []
        if view.bill is None
        else [section("Bill, a month", html.Div(blocks.bill(view.bill), id=Id.BILL))]
    )
    objectives = (
        [section("Objectives of the cheapest", blocks.objectives(view.objectives))]
        if view.objectives
        else []
    )
    surer = section("What would make it surer", *blocks.surer(view.surer))
    assumed = section("Assumed", html.Ul([html.Li(each) for each in view.assumptions]))
    return [html.Div([*bill, *objectives, surer]), assumed]


def _so_far(repository: Repository, run: Run, *, jobs_allowed: bool) -> Live:
    measured = repository.measured(run)
    lines = [measurement_line(summary_of(each)) for each in measured]
    table = [section(f"Measured so far: {len(lines)}", *blocks.measurements(lines))]
    return Live(
        parts={
            "head": _unfinished(unfinished_view(run, len(lines))),
            "buttons": job_buttons(run, jobs_allowed=jobs_allowed),
            "measured": [*table, _look_into(run)] if lines else [],
        }
    )


def _look_into(run: Run) -> Component:
    return html.P(dcc.Link("Look into each of them", href=f"/runs/{run.id}/measurements"))


def _unfinished(view: UnfinishedView) -> list[Component]:
    run = view.run
    error = [] if run.error is None else [html.Pre(run.error, className="fault")]
    go_on = [] if view.command is None else [html.P("Go on with it:"), command(view.command)]
    return [
        html.Nav([dcc.Link("Runs", href="/runs"), " / ", html.Span(run.id, className="mono")]),
        html.H1("No recommendation yet", className="verdict"),
        html.P([chip(run.status), " ", view.said, " ", view.kept]),
        *error,
        facts((("measured", run.measured), ("created", run.created), ("took", run.took))),
        *go_on,
    ]
