"""Other traffic, another objective, other prices: the answer at once, from what was measured."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from math import log10
from typing import TYPE_CHECKING, Any

from dash import ClientsideFunction, Input, Output, State, ctx, dcc, html, no_update

from dashboard.components import blocks, controls
from dashboard.components.controls import Control
from dashboard.components.kind_cards import kind_cards
from dashboard.components.ranked_grid import GridId, ranked_grid, row_data
from dashboard.components.run_head import demo_banner, path_to
from dashboard.components.sections import aria, cards, chart, facts, section
from dashboard.figures.cost_curves import CAPTION, costs, costs_figure
from dashboard.pages.recommendation import Id
from dashboard.questions import Questioned
from dashboard.scaling import mix_known, simulate_at
from dashboard.uploads import hours_of
from dashboard.views import recommendation_view
from loadtests.errors import UsageError
from pricing import PricingError
from recommender.errors import RecommenderError
from recommender.kinds import cheapest_of_each_kind

if TYPE_CHECKING:
    from dash import Dash
    from dash.development.base_component import Component

    from dashboard.asked import Asked
    from dashboard.data import Repository
    from dashboard.shell import RunPlace
    from dashboard.views import RecommendationView
    from recommender.recommendation import Recommendation
    from recommender.store import Run

__all__ = ["layout", "register"]

TITLE = "What if"
VERDICT, FACTS, CARDS = "what-if-verdict", "what-if-facts", "what-if-cards"
KINDS = "what-if-kinds"
COSTS, SAID, SHAPE = "what-if-costs", "what-if-said", "what-if-shape"
LINK, EXPORT, FLEET = "what-if-link", "what-if-export", "what-if-fleet"


def layout(repository: Repository, run: Run, place: RunPlace, search: str) -> Component:
    """search: what an address asks otherwise. Raises what `what_if` raises."""
    before = Questioned.of(repository, run.id)
    asked = before.asked.changed_by(search)
    found = before.answer(repository, asked)
    view = recommendation_view(found)
    query = asked.query(before.asked)
    return html.Article(
        [
            *demo_banner(repository, run),
            path_to(place, TITLE),
            dcc.Store(id=Id.QUESTION, data=(place.reference, query)),
            html.Div(
                [
                    html.Aside(_controls(repository, place, asked, query), className="asking"),
                    html.Div(
                        _answer(
                            found, view, _kinds(repository, before, asked, found, place.reference)
                        ),
                        className="answer",
                    ),
                ],
                className="what-if",
            ),
            section(
                "Ranked",
                ranked_grid(view.rows, [name for name, _ in view.groups], view.quantile),
                note="Cheapest first. ★ nothing is both cheaper and faster. ~ price derived by "
                "rule. The bill below is of the row selected.",
            ),
            section(
                "Bill, a month",
                html.Div([] if view.bill is None else blocks.bill(view.bill), id=Id.BILL),
            ),
        ]
    )


def _answer(found: Recommendation, view: RecommendationView, kinds: Component) -> list[Component]:
    return [
        html.Div(_verdict(view), id=VERDICT, **aria(live="polite")),
        html.Div(facts(view.asked), id=FACTS),
        html.Div(cards(view.cards), id=CARDS),
        html.H2("Side by side: the cheapest of each kind, a month", className="side-by-side"),
        html.Div(kinds, id=KINDS),
        section(
            "Cost against requests",
            chart(costs_figure(costs(found)), "costs", COSTS),
            note=CAPTION,
        ),
    ]


def register(app: Dash, repository: Repository) -> None:
    app.callback(
        output={
            "question": Output(Id.QUESTION, "data"),
            "verdict": Output(VERDICT, "children"),
            "facts": Output(FACTS, "children"),
            "cards": Output(CARDS, "children"),
            "kinds": Output(KINDS, "children"),
            "platforms": Output(Control.PLATFORMS, "value"),
            "purchases": Output(Control.PURCHASES, "value"),
            "chosen": Output(Control.KINDS, "value"),
            "figure": Output(COSTS, "figure"),
            "rows": Output(GridId.GRID, "rowData"),
            "decades": Output(Control.DECADES, "value"),
            "rate": Output(Control.RATE, "value"),
            "shape": Output(SHAPE, "children"),
            "said": Output(SAID, "children"),
        },
        inputs={
            "given": {each.value: Input(each, "value") for each in controls.VALUED},
            "dropped": Input(Control.HOURS, "contents"),
            "_steady": Input(Control.STEADY, "n_clicks"),
        },
        state={"question": State(Id.QUESTION, "data")},
        prevent_initial_call=True,
    )(partial(_ask, repository))
    app.clientside_callback(  # type: ignore[no-untyped-call]
        ClientsideFunction("recommender", "follow"),
        Output(LINK, "value"),
        Output(EXPORT, "href"),
        Output(FLEET, "href"),
        Input(Id.QUESTION, "data"),
    )


def _ask(
    repository: Repository,
    given: dict[str, Any],
    dropped: str | None,
    _steady: int | None,
    question: tuple[str, str],
) -> dict[str, Any]:
    """What cannot be asked is said, and leaves the last answer standing."""
    reference, query = question
    before = Questioned.of(repository, reference)
    try:
        asked = _turned(before.asked.changed_by(query), str(ctx.triggered_id), given, dropped)
        found = before.answer(repository, asked)
    except (RecommenderError, PricingError, UsageError) as error:
        refused: dict[str, Any] = dict.fromkeys(OUTPUTS, no_update)
        return refused | {"said": controls.refusal(error)}
    view = recommendation_view(found)
    return {
        "question": (reference, asked.query(before.asked)),
        "verdict": _verdict(view),
        "facts": facts(view.asked),
        "cards": cards(view.cards),
        "kinds": _kinds(repository, before, asked, found, reference),
        "platforms": list(asked.platforms),
        "purchases": list(asked.purchases),
        "chosen": controls.kinds_in(asked) or None,
        "figure": costs_figure(costs(found)),
        "rows": row_data(view.rows),
        "decades": log10(asked.rate_rps),
        "rate": float(f"{asked.rate_rps:.4g}"),
        "shape": controls.shape_of(asked),
        "said": [],
    }


OUTPUTS = (
    "question", "verdict", "facts", "cards", "kinds", "platforms", "purchases", "chosen",
    "figure", "rows", "decades", "rate", "shape", "said",
)  # fmt: skip


def _turned(asked: Asked, turned: str, given: dict[str, Any], dropped: str | None) -> Asked:
    """The question, where one control was turned."""
    match turned:
        case Control.HOURS if dropped:
            hours = hours_of(dropped)
            return replace(asked, hours=hours, rate_rps=sum(hours) / len(hours) / 3600)
        case Control.STEADY:
            return replace(asked, hours=None)
        case _:
            return controls.turned(asked, turned, given)


def _kinds(
    repository: Repository,
    before: Questioned,
    asked: Asked,
    found: Recommendation,
    reference: str,
) -> Component:
    at = simulate_at(reference, asked.query(before.asked))
    return kind_cards(cheapest_of_each_kind(found), mix_known(repository, before, asked), at)


def _verdict(view: RecommendationView) -> list[Component]:
    first, *more = view.verdict
    return [
        html.H1(first, className="verdict"),
        *[html.P(each, className="also") for each in more[:1]],
    ]


def _controls(
    repository: Repository, place: RunPlace, asked: Asked, query: str
) -> list[Component]:
    at = f"/runs/{place.reference}"
    return [
        html.H2("What if"),
        html.Div(id=SAID, role="alert"),
        *controls.traffic(asked, SHAPE),
        *controls.others(asked, repository.books(), repository.regions(asked.book)),
        html.Div(
            [
                controls.copy_button(LINK),
                dcc.Link(
                    "Export",
                    id=EXPORT,
                    href=f"{at}/export" + (f"?{query}" if query else ""),
                    className="button",
                ),
                dcc.Link(
                    "Simulate it",
                    id=FLEET,
                    href=f"{at}/scaling" + (f"?{query}" if query else ""),
                    className="button",
                ),
                html.A("As the run was asked", href=f"{at}/what-if", className="button"),
            ],
            className="actions",
        ),
    ]
