"""The parts of the page that holds two runs against each other."""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING

from dash import dcc, html

from dashboard.components.sections import Cell, aria, cards, chart, chip, section, table
from dashboard.figures.comparison import CAPTION, forest_figure

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dash.development.base_component import Component

    from dashboard.comparison import ComparisonView, DifferenceLine, MoneyView
    from dashboard.figures.comparison import Forest

__all__ = ["beside", "differences", "money", "money_place", "verdict"]

HEADINGS = ("Figure", "Before", "After", "Change (95% interval)", "Verdict")
NUMERIC = range(1, 4)


def verdict(view: ComparisonView) -> list[Component]:
    first, *more = view.said
    unsound = [html.Div([html.P(each) for each in view.unsound], className="unsound", role="note")]
    return [
        html.Div(
            [html.H1(first, className="verdict"), chip(view.verdict)], className="compared-verdict"
        ),
        *(unsound if view.unsound else []),
        *[html.P(each, className="also") for each in more],
        cards(view.cards),
    ]


def differences(view: ComparisonView, drawn: Forest) -> list[Component]:
    if not view.differences:
        return []
    picture = [chart(forest_figure(drawn), "forest")] if drawn.rows else []
    return [
        section("Differences", *picture, note=CAPTION),
        section("Figure by figure", _table(view.differences)),
    ]


def money_place(name: str) -> Component:
    """Filled once the runs are ranked."""
    waiting = html.P("Ranking both runs at today's prices…", className="note waiting")
    return section(
        "In money",
        dcc.Loading(
            html.Div(id=name, className="money-place", **aria(live="polite")),
            custom_spinner=waiting,
        ),
    )


def money(
    shown: Sequence[MoneyView], book: str | None, unpriced: Sequence[str]
) -> list[Component]:
    if not shown:
        why = "; ".join(unpriced) or "no configuration compared has a capacity and a price"
        return [html.P(f"Not ranked: {why}.", className="note")]
    about = f"Both under the same question, at the prices of book {book}."
    return [
        html.P(about, className="note"),
        html.Div([line for each in shown for line in _money_line(each)], className="money-lines"),
    ]


def beside(view: ComparisonView) -> list[Component]:
    """What was not the same, what stands alone, and how it was found."""
    return [
        section("The two runs", *_runs(view), *_conditions(view)),
        *_alone(view),
        section("How to read it", *[html.P(each, className="note") for each in view.notes]),
    ]


def _table(shown: Sequence[DifferenceLine]) -> Component:
    """A heading for each size or test, and its figures below it."""
    head = html.Tr(
        [
            html.Th(text, scope="col", className="number" if n in NUMERIC else "")
            for n, text in enumerate(HEADINGS)
        ]
    )
    bodies = [
        html.Tbody(
            [
                html.Tr(
                    html.Th(where, scope="rowgroup", colSpan=len(HEADINGS), className="group")
                ),
                *map(_row, rows),
            ]
        )
        for where, rows in groupby(shown, key=lambda each: each.where)
    ]
    return html.Div(
        html.Table([html.Thead(head), *bodies]),
        className="scroll",
        tabIndex="0",
        role="region",
        **aria(label="figure by figure"),
    )


def _row(line: DifferenceLine) -> html.Tr:
    more = [html.Div(line.open, className="reason")] if line.open else []
    return html.Tr(
        [
            html.Td([line.name, html.Span(line.better, className="interval")]),
            html.Td(line.before, className="number"),
            html.Td(line.after, className="number"),
            html.Td(
                [line.change, html.Span(line.interval, className="interval")], className="number"
            ),
            html.Td([html.Span(chip(line.verdict), title=line.reason), *more]),
        ]
    )


def _money_line(line: MoneyView) -> list[Component]:
    return [
        html.Div(
            [
                _amount("Before", line.before_usd, line.before),
                html.Span("→", className="arrow", **aria(hidden="true")),
                _amount("After", line.after_usd, line.after),
                chip(line.verdict),
            ],
            className="money-line",
        ),
        html.P(f"{line.question}: {line.change}", className="note"),
    ]


def _amount(when: str, amount: str, what: str) -> Component:
    return html.Div(
        [
            html.Div(when, className="card-title"),
            html.Div(amount, className="amount"),
            html.Div(what, className="what"),
        ]
    )


def _runs(view: ComparisonView) -> list[Component]:
    pairs = (("before", view.before), ("after", view.after))
    return [
        html.Dl(
            [html.Div([html.Dt(name), html.Dd(said)]) for name, said in pairs], className="facts"
        )
    ]


def _conditions(view: ComparisonView) -> list[Component]:
    if not view.conditions:
        return [html.P("Measured alike: machine, payloads, objective and settings are the same.",
                       className="note")]  # fmt: skip
    rows: list[tuple[Cell, ...]] = [
        (each.what, each.before, each.after,
         html.Span(each.weight, className="chip chip-bad") if each.is_unsound else each.weight)
        for each in view.conditions
    ]  # fmt: skip
    headings = ("Not the same", "Before", "After", "Which means")
    return [table(headings, rows, label="what was not the same")]


def _alone(view: ComparisonView) -> list[Component]:
    if not view.not_compared:
        return []
    lines = [html.Li([html.B(what), f": {why}"]) for what, why in view.not_compared]
    return [section(f"Not compared: {len(lines)}", html.Ul(lines, className="alone"))]
