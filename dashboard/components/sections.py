"""Blocks that the pages are built from."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

from dash import html

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from dash.development.base_component import Component

    from dashboard.views import Card

Cell: TypeAlias = "Component | str | Sequence[Component | str]"

__all__ = ["Cell", "aria", "cards", "chip", "command", "facts", "notice", "section", "table"]

GOOD = {"finished", "valid", "met"}
BAD = {"failed", "invalid", "missed"}
UNSURE = {"interrupted", "inconclusive", "unknown", "stopped"}


def aria(**names: str) -> dict[str, Any]:
    """What a screen reader is told. Dash takes these by names that are no Python names."""
    return {f"aria-{name}": value for name, value in names.items()}


def section(title: str, *children: Component | str, note: str | None = None) -> html.Section:
    about = [] if note is None else [html.P(note, className="note")]
    return html.Section([html.H2(title), *about, *children], className="section")


def cards(shown: Iterable[Card]) -> html.Div:
    return html.Div(
        [
            html.Div(
                [
                    html.Div(each.title, className="card-title"),
                    html.Div(each.value, className="card-value"),
                    html.Div(each.interval, className="card-interval"),
                    html.Div(each.note, className="card-note"),
                ],
                className="card",
            )
            for each in shown
        ],
        className="cards",
    )


def chip(word: str) -> html.Span:
    """A state in a word; its colour only repeats what the word says."""
    tone = (
        "good"
        if word in GOOD
        else "bad"
        if word in BAD
        else "unsure"
        if word in UNSURE
        else "busy"
    )
    return html.Span(word, className=f"chip chip-{tone}")


def facts(pairs: Iterable[tuple[str, str]]) -> html.Dl:
    return html.Dl(
        [html.Div([html.Dt(name), html.Dd(value)]) for name, value in pairs], className="facts"
    )


def command(text: str) -> html.Pre:
    return html.Pre(html.Code(text), className="command")


def notice(title: str, *children: Component | str) -> html.Div:
    """In place of a page's content, when there is none to show."""
    return html.Div([html.H1(title), *children], className="notice", role="status")


def table(
    headings: Sequence[str],
    rows: Iterable[Sequence[Cell]],
    *,
    numeric: Sequence[int] = (),
    label: str,
) -> html.Div:
    """numeric: columns set flush right. Scrolls sideways on its own where it is too wide."""
    classes = ["number" if column in numeric else "" for column in range(len(headings))]
    head = html.Tr(
        [
            html.Th(text, scope="col", className=each)
            for text, each in zip(headings, classes, strict=True)
        ]
    )
    body = [
        html.Tr([html.Td(cell, className=each) for cell, each in zip(row, classes, strict=True)])
        for row in rows
    ]
    return html.Div(
        html.Table([html.Thead(head), html.Tbody(body)]),
        className="scroll",
        tabIndex="0",
        role="region",
        **aria(label=label),
    )
