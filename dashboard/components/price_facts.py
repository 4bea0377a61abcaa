"""The facts of one price, and what is said of a book."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dash import html

from dashboard.address import as_query
from dashboard.components.sections import chart, chip, command, facts, table
from dashboard.figures.price_history import CAPTION, price_course, price_figure

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dash.development.base_component import Component

    from dashboard.prices import Beside, Known, PriceFacts, Without
    from pricing import Quarantined

__all__ = ["believed_not", "facts_of", "without_price"]

REFRESH = "recommender prices refresh"


def facts_of(shown: PriceFacts, book: str) -> list[Component]:
    """book: as an address names it; empty is the newest."""
    return [
        html.Div(
            [html.Span(shown.usd, className="card-value"), html.Span(f" {shown.unit}")],
            className="price-head",
        ),
        html.Ul(
            [html.Li([html.B(figure), f" {of}"]) for figure, of in shown.figures],
            className="price-figures",
        ),
        *_known(shown.known),
        html.H3("What it cost, book by book"),
        *_history(shown),
        *_beside("Bought otherwise, in this region", shown.otherwise, book),
        *_beside("In other regions", shown.elsewhere, book),
        *_machine(shown),
    ]


def without_price(shown: Sequence[Without], *, is_open: bool) -> list[Component]:
    """is_open: where it is the whole answer."""
    if not shown:
        return []
    reasons = {each.reason for each in shown}
    said = f": {shown[0].reason}" if len(reasons) == 1 else ""
    count = f"{len(shown):,} machine{'' if len(shown) == 1 else 's'}"
    return [
        html.Details(
            [
                html.Summary(f"No price: {count} on SageMaker{said}"),
                table(("Machine", "Where", "Why there is no price"), shown, label="no price"),
            ],
            open=is_open,
        )
    ]


def believed_not(shown: Sequence[Quarantined]) -> list[Component]:
    if not shown:
        return []
    rows = [
        (each.what, each.region, each.usd, each.usd_in_force or "none", each.reason, each.source)
        for each in shown
    ]
    return [
        html.Details(
            [
                html.Summary(f"In quarantine, fetched and not believed: {len(shown):,}"),
                html.P("The price that stood before is the one in the table.", className="note"),
                table(
                    ("What", "Region", "USD fetched", "USD in force", "Why not", "Source"),
                    rows,
                    numeric=(2, 3),
                    label="prices in quarantine",
                ),
            ]
        )
    ]


def _known(known: Known) -> list[Component]:
    note = [("note", known.note)] if known.note else []
    return [
        html.H3(["How it is known ", chip(known.basis), " ", chip(known.trust)]),
        html.Ul([html.Li(each) for each in known.doubts], className="price-doubts"),
        html.Div(
            facts(
                [
                    ("observed on", f"{known.observed_on}, {known.age}"),
                    ("source", known.source),
                    *note,
                ]
            ),
            className="listing",
        ),
    ]


def _history(shown: PriceFacts) -> list[Component]:
    faults = [html.P(f"Passed over: {each}", className="note") for each in shown.faults]
    if len(shown.history) > 1:
        figure = price_figure(price_course(shown.history))
        return [chart(figure, "price-history"), html.P(CAPTION, className="note"), *faults]
    return [
        html.P(
            f"Only book {shown.history[0].book} has it, so there is no history yet. "
            "This makes a newer one:",
            className="note",
        ),
        command(REFRESH),
        *faults,
    ]


def _beside(title: str, shown: Sequence[Beside], book: str) -> list[Component]:
    if not shown:
        return []
    rows = [
        (html.A(each.where, href=_address(each.key, book)), each.usd, each.than, each.known)
        for each in shown
    ]
    return [
        html.Details(
            [
                html.Summary(f"{title}: {len(shown)}"),
                table(
                    ("", "USD", "Against this", "Known by"), rows, numeric=(1, 2), label=title,
                    kind="beside",
                ),
            ],
            open=True,
        )
    ]  # fmt: skip


def _address(key: str, book: str) -> str:
    asked = {"book": book} if book else {}
    return "/prices?" + as_query({**asked, "region": key.partition("|")[0], "row": key})


def _machine(shown: PriceFacts) -> list[Component]:
    if not shown.machine:
        return []
    return [
        html.Details(
            [
                html.Summary("What the machine is"),
                table(
                    ("Fact", "Value", "Source"), shown.machine, label="the machine", kind="beside"
                ),
            ]
        )
    ]
