"""What a run recommends: the verdict, then everything it rests on."""

from __future__ import annotations

from enum import StrEnum
from functools import partial
from typing import TYPE_CHECKING

from dash import ALL, Input, Output, State, ctx, dcc, html
from dash.exceptions import PreventUpdate

from dashboard.components import blocks
from dashboard.components.ranked_table import (
    HEADING,
    SORT,
    Order,
    Turn,
    arrange,
    directions,
    next_order,
    page_text,
    ranked_rows,
    ranked_table,
    turned,
)
from dashboard.components.sections import aria, cards, chart, chip, command, facts, section
from dashboard.figures.frontier import CAPTION, frontier, frontier_figure
from dashboard.views import (
    RecommendationView,
    UnfinishedView,
    recommendation_view,
    unfinished_view,
)

if TYPE_CHECKING:
    from dash import Dash
    from dash.development.base_component import Component

    from dashboard.data import Repository
    from recommender.recommendation import Recommendation
    from recommender.store import Run

__all__ = ["layout", "register"]


class Id(StrEnum):
    RUN = "ranked-run"
    ORDER = "ranked-order"
    GROUPS = "ranked-groups"
    ROWS = "ranked-rows"
    WHICH = "ranked-which"


def layout(repository: Repository, run: Run) -> Component:
    found = repository.recommendation(run.id)
    if found is None:
        return _unfinished(unfinished_view(run, repository.finished_measurements(run.id)))
    return _page(run.id, found)


def register(app: Dash, repository: Repository) -> None:
    app.callback(
        Output(Id.ROWS, "children"),
        Output({"type": HEADING, "by": ALL}, "aria-sort"),
        Output(Id.WHICH, "children"),
        Output(Id.ORDER, "data"),
        inputs={
            "_clicks": (
                Input({"type": SORT, "by": ALL}, "n_clicks"),
                Input(Turn.BACK, "n_clicks"),
                Input(Turn.ON, "n_clicks"),
            ),
            "groups": Input(Id.GROUPS, "value"),
        },
        state={"order": State(Id.ORDER, "data"), "run_id": State(Id.RUN, "data")},
        prevent_initial_call=True,
    )(partial(_rearrange, repository))


def _rearrange(
    repository: Repository,
    _clicks: tuple[object, ...],
    groups: list[str],
    order: tuple[str, bool, int],
    run_id: str,
) -> tuple[list[Component], list[str], str, Order]:
    found = repository.recommendation(run_id)
    if found is None:
        raise PreventUpdate
    rows = recommendation_view(found).rows
    after = _after(ctx.triggered_id, Order(*order), sum(row.group in groups for row in rows))
    arranged = arrange(rows, groups, after)
    return (
        ranked_rows(arranged, after),
        directions(after),
        page_text(after, len(arranged)),
        after,
    )


def _after(clicked: object, order: Order, count: int) -> Order:
    match clicked:
        case {"by": str(key)}:
            return next_order(order, key)
        case Turn.BACK:
            return turned(order, Turn.BACK, count)
        case Turn.ON:
            return turned(order, Turn.ON, count)
        case _:
            return order._replace(first=0)


def _page(run_id: str, found: Recommendation) -> Component:
    view = recommendation_view(found)
    first, *more = view.verdict
    return html.Article(
        [
            html.Nav([dcc.Link("Runs", href="/"), " / ", html.Span(view.run, className="mono")]),
            html.H1(first, className="verdict"),
            *[html.P(each, className="also") for each in more],
            facts(view.asked),
            cards(view.cards),
            *_ranked(run_id, found, view),
            html.Div(_columns(view), className="columns"),
            section(f"Not ranked: {view.rejected_count}", *map(blocks.rejected, view.rejected)),
            section("Evidence", *blocks.evidence(view.evidence), html.P(view.measuring)),
        ]
    )


def _ranked(run_id: str, found: Recommendation, view: RecommendationView) -> list[Component]:
    if not view.rows:
        return []
    order = Order()
    return [
        section(
            "Cost against latency",
            chart(frontier_figure(frontier(found)), "frontier"),
            note=f"{CAPTION} Hover for the figures.",
        ),
        section(
            "Ranked",
            dcc.Store(id=Id.RUN, data=run_id),
            dcc.Store(id=Id.ORDER, data=order),
            _choices(view),
            html.Div(
                ranked_table(view.rows, order, view.quantile, Id.ROWS),
                className="scroll",
                tabIndex="0",
                role="region",
                **aria(label="ranked options"),
            ),
            note="Cheapest first; a heading sorts. ★ nothing is both cheaper and faster. "
            "~ price derived by rule.",
        ),
    ]


def _choices(view: RecommendationView) -> Component:
    return html.Div(
        [
            dcc.Checklist(
                id=Id.GROUPS,
                options=[
                    {"label": f"{name} ({count})", "value": name} for name, count in view.groups
                ],
                value=[name for name, _ in view.groups],
                inline=True,
                className="choices",
            ),
            html.Div(
                [
                    html.Button("←", id=Turn.BACK, className="turn", **aria(label="rows before")),
                    html.Span(page_text(Order(), len(view.rows)), id=Id.WHICH),
                    html.Button("→", id=Turn.ON, className="turn", **aria(label="rows after")),
                ],
                className="turning",
            ),
        ],
        className="toolbar",
    )


def _columns(view: RecommendationView) -> list[Component]:
    bill = (
        []
        if view.bill is None
        else [section("Bill of the cheapest, a month", *blocks.bill(view.bill))]
    )
    objectives = (
        [section("Objectives", blocks.objectives(view.objectives))] if view.objectives else []
    )
    assumed = section("Assumed", html.Ul([html.Li(each) for each in view.assumptions]))
    return [html.Div([*bill, *objectives]), assumed]


def _unfinished(view: UnfinishedView) -> Component:
    run = view.run
    error = [] if run.error is None else [html.Pre(run.error, className="fault")]
    go_on = [] if view.command is None else [html.P("Go on with it:"), command(view.command)]
    return html.Article(
        [
            html.Nav([dcc.Link("Runs", href="/"), " / ", html.Span(run.id, className="mono")]),
            html.H1("No recommendation yet", className="verdict"),
            html.P([chip(run.status), " ", view.said, " ", view.kept]),
            *error,
            facts((("measured", run.measured), ("created", run.created), ("took", run.took))),
            *go_on,
        ]
    )
