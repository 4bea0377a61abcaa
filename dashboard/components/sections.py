"""Blocks that the pages are built from."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

import dash_mantine_components as dmc
from dash import dcc, html

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import plotly.graph_objects as go
    from dash.development.base_component import Component

    from dashboard.views import Card

Cell: TypeAlias = "Component | str | Sequence[Component | str]"

__all__ = [
    "Cell",
    "aria",
    "cards",
    "chart",
    "chip",
    "command",
    "facts",
    "notice",
    "section",
    "table",
]

GOOD = {"finished", "valid", "met", "pass", "steady", "better"}
BAD = {"failed", "invalid", "missed", "fail", "drifting", "worse"}
UNSURE = {
    *("interrupted", "inconclusive", "unknown", "stopped", "partial", "not run"),
    "cannot be told",
}


def aria(**names: str) -> dict[str, Any]:
    """What a screen reader is told. Dash takes these by names that are no Python names."""
    return {f"aria-{name}": value for name, value in names.items()}


def section(
    title: Cell, *children: Component | str, note: str | None = None, anchor: str | None = None
) -> html.Section:
    """anchor: what a link on the same page leads to."""
    about = [] if note is None else [html.P(note, className="note")]
    content = [html.H2(title), *about, *children]
    if anchor is None:
        return html.Section(content, className="section")
    return html.Section(content, className="section", id=anchor)


def chart(figure: go.Figure, kind: str, name: str | None = None) -> dcc.Graph:
    """kind: its class in the style sheet. As high as the figure says, where it says so.

    name: the id of one that answers.
    """
    height = figure.layout.height
    named: dict[str, Any] = {} if name is None else {"id": name}
    return dcc.Graph(
        **named,
        figure=figure,
        className=f"chart {kind}",
        style={} if height is None else {"height": f"{height}px"},
        responsive=True,
        config={
            "displaylogo": False,
            # Named one by one: among the others is one that sends the figures elsewhere.
            "modeBarButtons": [["zoom2d", "pan2d", "resetScale2d", "toImage"]],
        },
    )


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
    stacked: Sequence[int] = (),
    label: str,
    kind: str = "",
) -> html.Div:
    """Scrolls sideways on its own where it is too wide.

    numeric: columns set flush right. stacked: those of them with an interval on a second line.
    kind: its class in the style sheet.
    """
    shown = [list(row) for row in rows]
    classes = [
        "number stacked" if column in stacked else "number" if column in numeric else ""
        for column in range(len(headings))
    ]
    is_plain = all(isinstance(cell, str) for row in shown for cell in row)
    drawn = _plain_table if is_plain else _table_of_parts
    return html.Div(
        drawn(headings, shown, classes, kind),
        className="scroll",
        tabIndex="0",
        role="region",
        **aria(label=label),
    )


def _plain_table(
    headings: Sequence[str], rows: Sequence[Sequence[Cell]], classes: Sequence[str], kind: str
) -> Component:
    """As one part: a browser takes as long over each cell that is one as over a heading."""
    placed = [
        f"{each}-{column}" for column, name in enumerate(classes, 1) for each in name.split()
    ]
    drawn: Component = dmc.Table(
        data={"head": list(headings), "body": rows}, className=" ".join([kind, *placed]).strip(),
        unstyled=True,
    )  # fmt: skip
    return drawn


def _table_of_parts(
    headings: Sequence[str], rows: Sequence[Sequence[Cell]], classes: Sequence[str], kind: str
) -> Component:
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
    return html.Table([html.Thead(head), html.Tbody(body)], className=kind)
