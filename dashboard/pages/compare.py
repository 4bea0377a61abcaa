"""Two runs, or two variants of one, beside each other."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from functools import partial
from typing import TYPE_CHECKING, Any

import dash_mantine_components as dmc
from dash import ClientsideFunction, Input, Output, State, ctx, dcc, html, no_update

from dashboard.comparison import THRESHOLDS, AskedPair, comparison_view, money_view, run_options
from dashboard.components import compared as blocks
from dashboard.components.controls import copy_button, refusal
from dashboard.components.sections import aria, command, notice
from dashboard.figures.comparison import forest
from loadtests.errors import UsageError
from pricing import PricingError
from recommender.comparison import compare_runs, configuration_names, in_money
from recommender.errors import RecommenderError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dash import Dash
    from dash.development.base_component import Component

    from dashboard.data import Repository
    from pricing import PriceBook
    from recommender.comparison import RunComparison
    from recommender.demand import Demand
    from recommender.recommendation import Recommendation
    from recommender.store import Run

__all__ = ["TITLE", "layout", "register"]

TITLE = "Compare"
PREFIX = "compare-"


class Id(StrEnum):
    """A, B: the runs before and after; X, Y: their configurations."""

    A = "compare-a"
    B = "compare-b"
    X = "compare-x"
    Y = "compare-y"
    PERCENT = "compare-percent"
    SWAP = "compare-swap"
    ASKED = "compare-asked"
    BODY = "compare-body"
    MONEY = "compare-money"
    LINK = "compare-link"


PICKED = (Id.A, Id.B, Id.X, Id.Y, Id.PERCENT)


@dataclass(frozen=True)
class _Market:
    """The repository's runs at the prices of its newest book."""

    repository: Repository
    book: PriceBook

    @classmethod
    def of(cls, repository: Repository) -> _Market:
        return cls(repository, repository.library().book(repository.books()[-1]))

    def demand(self, run: Run) -> Demand:
        return self.repository.demand(run)

    def rank(self, run: Run, demand: Demand) -> Recommendation:
        return self.repository.what_if(run, demand, self.book.name)


def layout(repository: Repository, search: str) -> Component:
    """Raises BadRequest for an address that cannot be read."""
    runs = repository.runs()
    told = AskedPair.told_by(search, runs)
    if told is None:
        return _too_few(len(runs))
    asked = replace(told, a=_in_full(repository, told.a), b=_in_full(repository, told.b))
    shown_while: Any = {Id.BODY.value: "children"}
    return html.Article(
        [
            dcc.Store(id=Id.ASKED, data=asked.query),
            html.Div(_pickers(repository, runs, asked), className="section"),
            dcc.Loading(
                html.Div(_body(repository, asked), id=Id.BODY, **aria(live="polite")),
                type="dot",
                delay_show=300,
                target_components=shown_while,
                overlay_style={"visibility": "visible", "opacity": 0.5},
            ),
        ],
        className="compared",
    )


def register(app: Dash, repository: Repository) -> None:
    app.callback(
        output={
            "asked": Output(Id.ASKED, "data"),
            "body": Output(Id.BODY, "children"),
            "values": [Output(each, "value") for each in (Id.A, Id.B, Id.X, Id.Y)],
            "names": [Output(each, "data") for each in (Id.X, Id.Y)],
            "shown": [Output(each, "style") for each in (Id.X, Id.Y)],
        },
        inputs={
            "given": {each.value: Input(each, "value") for each in PICKED},
            "_swapped": Input(Id.SWAP, "n_clicks"),
        },
        state={"query": State(Id.ASKED, "data")},
        prevent_initial_call=True,
    )(partial(_turn, repository))
    app.callback(Output(Id.MONEY, "children"), Input(Id.ASKED, "data"))(
        partial(_in_money, repository)
    )
    app.clientside_callback(  # type: ignore[no-untyped-call]
        ClientsideFunction("comparing", "follow"),
        Output(Id.LINK, "value"),
        Input(Id.ASKED, "data"),
    )


def _too_few(count: int) -> Component:
    said = "There is no run yet" if count == 0 else "There is one run so far"
    return notice(
        "Two runs are needed to compare",
        html.P(f"{said}. Measure what you have, change one thing, and measure it again:"),
        command("recommender quick --image mine:before --payload one.json\n"
                "recommender quick --image mine:after --payload one.json"),
        html.P([dcc.Link("Start a run from here", href="/new"), ", or look at ",
                dcc.Link("the demonstration", href="/runs/demo"), "."]),
        html.P("To tell small differences apart, test both side by side: a load test in mode "
               "compare sends them the same interleaved traffic."),
    )  # fmt: skip


def _pickers(repository: Repository, runs: Sequence[Run], asked: AskedPair) -> list[Component]:
    options = run_options(runs)
    known = {each["value"] for each in options}
    options += [{"value": each, "label": each}
                for each in dict.fromkeys((asked.a, asked.b)) if each not in known]  # fmt: skip
    sides = (
        ("Before", Id.A, asked.a, Id.X, asked.x),
        ("After", Id.B, asked.b, Id.Y, asked.y),
    )
    one, other = (
        html.Div(
            [
                dmc.Select(id=name, label=label, value=run, data=options, searchable=True,
                           allowDeselect=False, nothingFoundMessage="no such run"),
                dmc.Select(id=of, label=f"Configuration {label.lower()}", value=chosen,
                           data=_names(repository, run), clearable=True,
                           placeholder="all, by their names",
                           style=_style(_names(repository, run))),
            ],
            className="one",
        )
        for label, name, run, of, chosen in sides
    )  # fmt: skip
    swap = html.Button(
        "⇄", id=Id.SWAP, className="button swap", title="swap", **aria(label="swap the two runs")
    )
    percents = sorted({*THRESHOLDS, asked.percent})
    matters = dmc.Select(
        id=Id.PERCENT, label="A difference matters from", value=f"{asked.percent:g}", w=190,
        data=[{"value": f"{each:g}", "label": f"{each:g}%"} for each in percents],
        allowDeselect=False,
    )  # fmt: skip
    return [
        html.Div([one, swap, other], className="comparing"),
        html.Div([matters, copy_button(Id.LINK)], className="actions"),
    ]


def _in_full(repository: Repository, reference: str) -> str:
    """As the pickers name runs; what names none is said below them."""
    try:
        run = repository.run(reference)
    except RecommenderError:
        return reference
    return reference if repository.demonstrates(run.id) is not None else run.id


def _names(repository: Repository, reference: str) -> list[str]:
    try:
        return list(configuration_names(repository.run(reference)))
    except RecommenderError:
        return []


def _style(names: Sequence[str]) -> dict[str, str]:
    return {} if names else {"display": "none"}


def _body(repository: Repository, asked: AskedPair) -> list[Component]:
    """Money comes after the rest: ranking takes longer."""
    try:
        found = _compared(repository, asked)
    except (RecommenderError, PricingError, UsageError) as error:
        return [html.H1("These cannot be compared"), *refusal(error)]
    return [
        *blocks.verdict(comparison_view(found)),
        *blocks.differences(comparison_view(found), forest(found)),
        blocks.money_place(Id.MONEY),
        *blocks.beside(comparison_view(found)),
    ]


def _compared(repository: Repository, asked: AskedPair) -> RunComparison:
    before, after = (repository.side(each) for each in asked.references)
    return compare_runs(before, after, asked.percent / 100)


def _in_money(repository: Repository, query: str) -> list[Component]:
    asked = AskedPair.told_by(query, repository.runs())
    if asked is None:
        return []
    try:
        before, after = (repository.side(each) for each in asked.references)
        compared = compare_runs(before, after, asked.percent / 100)
        found = in_money(compared, before, after, _Market.of(repository))
    except (RecommenderError, PricingError, UsageError) as error:
        return refusal(error)
    unpriced = found.not_compared[len(compared.not_compared) :]
    return blocks.money(
        tuple(map(money_view, found.money)), found.price_book, [each.why for each in unpriced]
    )


def _turn(
    repository: Repository, given: dict[str, Any], _swapped: int | None, query: str
) -> dict[str, Any]:
    before = AskedPair.told_by(query, repository.runs())
    if before is None:
        return dict.fromkeys(("asked", "body", "values", "names", "shown"), no_update)
    asked = _turned(before, str(ctx.triggered_id), given)
    names = [_names(repository, each) for each in (asked.a, asked.b)]
    return {
        "asked": asked.query,
        "body": no_update if asked == before else _body(repository, asked),
        "values": [asked.a, asked.b, asked.x, asked.y],
        "names": names,
        "shown": [_style(each) for each in names],
    }


def _turned(asked: AskedPair, turned: str, given: dict[str, Any]) -> AskedPair:
    """Another run has configurations of its own; one may be left open, a run not."""
    value = given.get(turned) or None
    if turned == Id.SWAP:
        return asked.swapped
    if turned == Id.X:
        return replace(asked, x=value)
    if turned == Id.Y:
        return replace(asked, y=value)
    if value is None or value == getattr(asked, turned.removeprefix(PREFIX)):
        return asked
    run = {"a": value, "x": None} if turned == Id.A else {"b": value, "y": None}
    return replace(asked, **({"percent": float(value)} if turned == Id.PERCENT else run))
