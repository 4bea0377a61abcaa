"""A price book: every price with its age, source and basis; and what changed between two."""

from __future__ import annotations

from dataclasses import replace
from enum import StrEnum
from functools import partial
from typing import TYPE_CHECKING, Any

import dash_mantine_components as dmc
from dash import ClientsideFunction, Input, Output, State, ctx, dcc, html, no_update
from flask import Response, request

from dashboard.components import price_moves as moves
from dashboard.components.controls import copy_button, refusal
from dashboard.components.price_controls import FILTERS, Control, controls, regions_of, turned
from dashboard.components.price_facts import believed_not, facts_of, without_price
from dashboard.components.price_grid import PRICES_GRID, prices_grid
from dashboard.components.sections import aria, cards, facts, section
from dashboard.prices import (
    asked_book,
    asked_prices,
    key_in,
    overview,
    packed,
    price_columns,
    price_facts,
)
from dashboard.prices_asked import EXPLORE, MOVED, PricesAsked
from loadtests.environment import utc_now
from pricing import LINE_COLUMNS, PricingError, csv_text, line_row
from recommender.errors import RecommenderError

if TYPE_CHECKING:
    from dash import Dash
    from dash.development.base_component import Component

    from dashboard.data import Repository
    from dashboard.prices import Found, Overview, PriceFacts
    from pricing import Library, PriceBook

__all__ = ["TITLE", "layout", "register"]

TITLE = "Prices"
CSV = "/prices/prices.csv"
Refused = RecommenderError | PricingError


class Id(StrEnum):
    """ASKED, ROW: what the address says of them. ROWS: the table's, as they came."""

    TABS = "prices-tab"
    ASKED = "prices-asked"
    ROW = "prices-row"
    ROWS = "prices-rows"
    OVERVIEW = "prices-overview"
    TABLE = "prices-table"
    WITHOUT = "prices-without"
    BOOK = "prices-of-book"
    SAID = "prices-said"
    FACTS = "prices-facts"
    LINK = "prices-link"
    CSV = "prices-csv"


def layout(repository: Repository, search: str) -> Component:
    """Raises BadRequest for an address that asks for what there is not, and PricingError."""
    library, asked = repository.library(), PricesAsked.told_by(search)
    found = asked_prices(library, asked)
    today = utc_now().date()
    shown = price_facts(library, found.book, asked.row, today) if asked.row else None
    return html.Article(
        [
            dcc.Store(id=Id.ASKED, data=_filters(asked).query),
            dcc.Store(id=Id.ROW, data=_row_query(asked.row)),
            dcc.Store(id=Id.ROWS, data=_rows(found)),
            dmc.Tabs(
                [
                    dmc.TabsList(
                        [
                            dmc.TabsTab("Explore", value=EXPLORE),
                            dmc.TabsTab("What moved between two books", value=MOVED),
                        ]
                    ),
                    dmc.TabsPanel(_explore(library, asked, found), value=EXPLORE, pt="md"),
                    dmc.TabsPanel(moves.panel(library, asked), value=MOVED, pt="md"),
                ],
                id=Id.TABS,
                value=asked.tab,
                keepMounted=True,
            ),
            _drawer(shown, asked.book),
        ],
        className="prices",
    )


def register(app: Dash, repository: Repository) -> None:
    app.callback(
        output={
            "asked": Output(Id.ASKED, "data"),
            "rows": Output(Id.ROWS, "data"),
            "overview": Output(Id.OVERVIEW, "children"),
            "is_empty": Output(Id.TABLE, "hidden"),
            "without": Output(Id.WITHOUT, "children"),
            "book": Output(Id.BOOK, "children"),
            "regions": Output(Control.REGION, "data"),
            "said": Output(Id.SAID, "children"),
        },
        inputs={"given": {each.value: Input(each, "value") for each in FILTERS}},
        state={"query": State(Id.ASKED, "data")},
        prevent_initial_call=True,
    )(partial(_ask, repository))
    app.callback(
        Output(Id.FACTS, "opened"),
        Output(Id.FACTS, "title"),
        Output(Id.FACTS, "children"),
        Output(Id.ROW, "data"),
        Input(PRICES_GRID, "selectedRows"),
        State(Id.ASKED, "data"),
        prevent_initial_call=True,
    )(partial(_open, repository))
    _register_in_browser(app)
    moves.register(app, repository)
    app.server.add_url_rule(CSV, "prices_csv", partial(_csv, repository))


def _register_in_browser(app: Dash) -> None:
    for name, outputs, inputs in (
        ("show", [Output(PRICES_GRID, "rowData")], [Input(Id.ROWS, "data")]),
        ("deselect", [], [Input(Id.FACTS, "opened")]),
        (
            "follow",
            [Output(Id.LINK, "value"), Output(Id.CSV, "href")],
            [
                Input(Id.ASKED, "data"),
                Input(Id.ROW, "data"),
                Input(Id.TABS, "value"),
                Input(moves.Id.ASKED, "data"),
            ],
        ),
    ):
        app.clientside_callback(  # type: ignore[no-untyped-call]
            ClientsideFunction("prices", name),
            *outputs,
            *inputs,
            prevent_initial_call=not outputs,  # the table is not there yet
        )


def _ask(repository: Repository, given: dict[str, Any], query: str) -> dict[str, Any]:
    """What cannot be asked is said, and leaves the last answer standing."""
    library = repository.library()
    try:
        asked = turned(PricesAsked.told_by(query), str(ctx.triggered_id), given)
        found = asked_prices(library, asked)
    except (RecommenderError, PricingError) as error:
        refused: dict[str, Any] = dict.fromkeys(OUTPUTS, no_update)
        return refused | {"said": refusal(error)}
    shown = overview(found, asked, utc_now().date())
    return {
        "asked": asked.query,
        "rows": _rows(found),
        "overview": _overview(shown),
        "is_empty": not found.lines,
        "without": without_price(shown.without, is_open=not found.lines),
        "book": _of_book(library, found.book),
        "regions": regions_of(found.book),
        "said": [],
    }


OUTPUTS = ("asked", "rows", "overview", "is_empty", "without", "book", "regions", "said")


def _open(
    repository: Repository, selected: list[dict[str, Any]] | dict[str, Any] | None, query: str
) -> tuple[Any, ...]:
    """The selection is told by ids where the address made it, and by rows where a person did."""
    if not selected:
        return False, no_update, no_update, ""
    key = selected["ids"][0] if isinstance(selected, dict) else key_in(selected[0])
    asked = PricesAsked.told_by(query)
    library = repository.library()
    shown = price_facts(library, asked_book(library, asked), key, utc_now().date())
    if shown is None:
        return False, no_update, no_update, ""
    return True, shown.title, facts_of(shown, asked.book), _row_query(key)


def _csv(repository: Repository) -> Response:
    """Every column of the prices asked for, as `recommender prices list --csv` writes them."""
    try:
        asked = PricesAsked.told_by(request.query_string.decode("utf-8", "replace"))
        found = asked_prices(repository.library(), asked)
    except (RecommenderError, PricingError) as error:
        return Response(f"{error}\n", 400, content_type="text/plain; charset=utf-8")
    text = csv_text(LINE_COLUMNS, map(line_row, found.lines))
    answer = Response(text, content_type="text/csv; charset=utf-8")
    name = f"prices-{found.book.name}-{asked.region}.csv"
    answer.headers["Content-Disposition"] = f'attachment; filename="{name}"'
    return answer


def _explore(library: Library, asked: PricesAsked, found: Found) -> list[Component]:
    shown = overview(found, asked, utc_now().date())
    return [
        html.Div(_overview(shown), id=Id.OVERVIEW, **aria(live="polite")),
        html.Section(
            [
                html.H2("Prices", className="unseen"),
                html.Div(id=Id.SAID, role="alert"),
                *controls(library, asked, found.book),
                html.Div(prices_grid(asked.row), id=Id.TABLE, hidden=not found.lines),
                html.Div(
                    [
                        html.Span(
                            "~ and a dotted line: derived by a rule, which its source names. "
                            "Select a row for its facts.",
                            className="note",
                        ),
                        html.Div(
                            [
                                copy_button(Id.LINK),
                                html.A(
                                    "CSV", id=Id.CSV, href=CSV, download="", className="button",
                                    title="every column of these prices",
                                ),
                            ],
                            className="toolbar-end",
                        ),
                    ],
                    className="toolbar under-grid",
                ),
                html.Div(
                    without_price(shown.without, is_open=not found.lines), id=Id.WITHOUT
                ),
            ],
            className="section",
        ),
        html.Div(_of_book(library, found.book), id=Id.BOOK),
    ]  # fmt: skip


def _drawer(shown: PriceFacts | None, book: str) -> Component:
    drawer: Component = dmc.Drawer(
        [] if shown is None else facts_of(shown, book),
        id=Id.FACTS,
        title="" if shown is None else shown.title,
        opened=shown is not None,
        position="right",
        size=560,
        withOverlay=False,
        lockScroll=False,
        trapFocus=False,
        closeOnClickOutside=False,
        transitionProps={"duration": 120},
        closeButtonProps=aria(label="close the facts"),
        className="price-facts",
    )
    return drawer


def _overview(shown: Overview) -> list[Component]:
    return [
        html.H1(shown.verdict, className="verdict"),
        facts(shown.facts),
        *([cards(shown.cards)] if shown.cards else []),
    ]


def _of_book(library: Library, book: PriceBook) -> list[Component]:
    faults = [each for each in library.shelved() if each.fault is not None]
    return [
        section(
            f"About book {book.name}",
            *[
                html.P([html.B(f"{each.name} is newer and not trusted: "), each.fault],
                       className="fault")
                for each in faults
            ],
            html.Ul([html.Li(each) for each in book.notes], className="findings"),
            *believed_not(library.quarantined(book.name)),
            html.Details(
                [
                    html.Summary("Sources"),
                    html.Ul([html.Li(each) for each in book.sources], className="findings"),
                ]
            ),
        )
    ]  # fmt: skip


def _rows(found: Found) -> dict[str, Any]:
    return packed(price_columns(found.lines, utc_now().date()))


def _filters(asked: PricesAsked) -> PricesAsked:
    """Of the table alone: what else an address says is kept beside it."""
    return replace(asked, tab=EXPLORE, row="", before="", after="")


def _row_query(row: str) -> str:
    return PricesAsked(row=row).query
