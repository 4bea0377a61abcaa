"""What moved between two books, and which stored recommendations that would change."""

from __future__ import annotations

from enum import StrEnum
from functools import partial
from typing import TYPE_CHECKING, Any

import dash_mantine_components as dmc
from dash import ClientsideFunction, Input, Output, State, dcc, html, no_update

from dashboard.components.controls import refusal
from dashboard.components.price_controls import books_of
from dashboard.components.price_grid import MOVES_GRID, moves_grid
from dashboard.components.sections import chip, command, notice, section, table
from dashboard.price_moves import choices, moves_columns, moves_verdict
from dashboard.prices import packed
from dashboard.prices_asked import MOVED, PricesAsked
from pricing import PricingError, compare_books

if TYPE_CHECKING:
    from dash import Dash
    from dash.development.base_component import Component

    from dashboard.data import Repository
    from pricing import Library

__all__ = ["Id", "panel", "register"]

TAB = "prices-tab"


class Id(StrEnum):
    """ASKED: what the address says of it. ROWS: the table's, as they came."""

    ASKED = "moves-asked"
    BEFORE = "moves-before"
    AFTER = "moves-after"
    VERDICT = "moves-verdict"
    ROWS = "moves-rows"
    MOVES = "moves"
    RANK = "moves-rank"
    CHOICES = "moves-choices"


def panel(library: Library, asked: PricesAsked) -> list[Component]:
    """What moved is found when the tab is looked at."""
    names = library.names()
    before, after = asked.before or names[-2:][0], asked.after or names[-1]
    return [
        dcc.Store(id=Id.ASKED, data=_query(asked.before, asked.after)),
        dcc.Store(id=Id.ROWS, data={}),
        *([_only(names[0])] if len(names) == 1 else []),
        html.Div(
            [
                dcc.Loading(
                    html.Div(html.H1("What moved"), id=Id.VERDICT, role="status"),
                    custom_spinner=dmc.Skeleton(h=34, w="80%"),
                    delay_show=150,
                ),
                _moved(books_of(library), before, after),
                _would_change(),
            ],
            hidden=len(names) == 1,  # and there all the same: callbacks name its parts
        ),
    ]


def register(app: Dash, repository: Repository) -> None:
    app.callback(
        Output(Id.VERDICT, "children"),
        Output(Id.ROWS, "data"),
        Output(Id.MOVES, "hidden"),
        Output(Id.ASKED, "data"),
        Output(Id.CHOICES, "children", allow_duplicate=True),
        Input(TAB, "value"),
        Input(Id.BEFORE, "value"),
        Input(Id.AFTER, "value"),
        prevent_initial_call="initial_duplicate",
    )(partial(_compare, repository))
    app.clientside_callback(  # type: ignore[no-untyped-call]
        ClientsideFunction("prices", "show"), Output(MOVES_GRID, "rowData"), Input(Id.ROWS, "data")
    )
    app.callback(
        Output(Id.CHOICES, "children"),
        Input(Id.RANK, "n_clicks"),
        State(Id.BEFORE, "value"),
        State(Id.AFTER, "value"),
        running=[(Output(Id.RANK, "disabled"), True, False)],
        prevent_initial_call=True,
    )(partial(_rank, repository))


def _moved(known: list[dict[str, Any]], before: str, after: str) -> Component:
    return html.Section(
        [
            html.H2("Prices that moved", className="unseen"),
            html.Div(
                [_book(Id.BEFORE, "From", known, before), _book(Id.AFTER, "To", known, after)],
                className="price-filters of-moves",
            ),
            html.Div(moves_grid(), id=Id.MOVES, hidden=True),
        ],
        className="section",
    )


def _would_change() -> Component:
    return section(
        "What that would change",
        html.Div(
            html.Button(
                "Rank stored runs under both books", id=Id.RANK, className="button button-main"
            ),
            className="actions",
        ),
        dcc.Loading(
            html.Div(id=Id.CHOICES, role="status", className="choices"),
            custom_spinner=html.Div(
                ["Ranking each run under both books", dmc.Skeleton(h=90, mt="sm")],
                className="choices note",
            ),
        ),
        note="The newest twenty runs with a recommendation are ranked under both books. "
        "Nothing is measured; it takes about a second a run.",
    )


def _compare(repository: Repository, tab: str, before: str, after: str) -> tuple[Any, ...]:
    if tab != MOVED:
        return (no_update,) * 5
    library = repository.library()
    try:
        found = compare_books(library.book(before), library.book(after))
    except PricingError as error:
        return refusal(error), {}, True, _query(before, after), []
    said = html.H1(moves_verdict(found, before, after), className="verdict")
    rows = packed(moves_columns(found))
    is_same = not (found.moved or found.added or found.removed)
    return said, rows, is_same, _query(before, after), []


def _rank(repository: Repository, _clicks: int | None, before: str, after: str) -> list[Component]:
    try:
        shown = choices(repository.repriced(before, after))
    except PricingError as error:
        return refusal(error)
    rows = [
        (
            html.A(each.label or each.run, href=f"/runs/{each.run}"),
            chip(each.state),
            each.before,
            each.after,
        )
        for each in shown.lines
    ]
    under = [table(("Run", "", f"Under {before}", f"Under {after}"), rows, label="stored runs")]
    return [html.P(html.B(shown.verdict)), *(under if rows else [])]


def _only(name: str) -> Component:
    return notice(
        "There is nothing to compare yet",
        html.P(f"{name} is the only price book. This reads today's prices into a new one:"),
        command("recommender prices refresh"),
    )


def _book(control: Id, label: str, known: list[dict[str, Any]], value: str) -> Component:
    choice: Component = dmc.Select(
        id=control, label=label, data=known, value=value, allowDeselect=False, size="sm"
    )
    return choice


def _query(before: str, after: str) -> str:
    return PricesAsked(before=before or "", after=after or "").query
