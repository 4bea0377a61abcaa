"""The ranked options: sorted by a click on a heading, narrowed to some ways to buy."""

from __future__ import annotations

from enum import StrEnum
from operator import attrgetter
from typing import TYPE_CHECKING, Any, NamedTuple

from dash import html

from dashboard.components.sections import aria
from dashboard.figures.palette import GROUP_COLOR

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

    from dash.development.base_component import Component

    from dashboard.views import RankedRow

__all__ = [
    "COLUMNS",
    "HEADING",
    "SORT",
    "Order",
    "Turn",
    "arrange",
    "directions",
    "next_order",
    "page_text",
    "ranked_rows",
    "ranked_table",
    "turned",
]

# Dash 4.4 takes a time in the browser that grows with the square of the components drawn anew.
SHOWN = 20
HEADING, SORT = "ranked-heading", "ranked-sort"  # types of ids; `by` is a column's key


class Order(NamedTuple):
    """by: a column's key. first: how many rows come before the ones shown."""

    by: str = "rank"
    is_descending: bool = False
    first: int = 0


class Turn(StrEnum):
    """Buttons that leaf through the rows."""

    BACK = "ranked-back"
    ON = "ranked-on"


class Column(NamedTuple):
    """key: of the figure that it is sorted by. is_descending: on the first click."""

    key: str
    title: str
    is_descending: bool = False
    is_number: bool = True


COLUMNS = (
    Column("rank", "#"),
    Column("option", "Option", is_number=False),
    Column("group", "Bought as", is_number=False),
    Column("month_usd", "$ / month"),
    Column("latency_s", "latency"),
    Column("best_ratio", "Cheapest", is_descending=True),
    Column("million_usd", "$ / million"),
    Column("capacity_rps", "Capacity", is_descending=True),
    Column("utilization_ratio", "Busy"),
    Column("basis", "Known by", is_number=False),
)


def next_order(order: Order, clicked: str) -> Order:
    """The same heading again turns the order round."""
    if clicked == order.by:
        return Order(clicked, not order.is_descending)
    is_descending = next(each.is_descending for each in COLUMNS if each.key == clicked)
    return Order(clicked, is_descending)


def turned(order: Order, turn: Turn, count: int) -> Order:
    """Stays within `count` rows."""
    step = SHOWN if turn is Turn.ON else -SHOWN
    last = (count - 1) // SHOWN * SHOWN if count else 0
    return order._replace(first=min(max(order.first + step, 0), last))


def page_text(order: Order, count: int) -> str:
    if not count:
        return "none"
    return f"{order.first + 1} to {min(order.first + SHOWN, count)} of {count}"


def arrange(
    rows: Sequence[RankedRow], groups: Collection[str], order: Order
) -> tuple[RankedRow, ...]:
    """Equal ones stay cheapest first."""
    kept = [row for row in rows if row.group in groups]
    key: Callable[[RankedRow], Any] = attrgetter(order.by)
    return tuple(sorted(kept, key=key, reverse=order.is_descending))


def ranked_table(
    rows: Sequence[RankedRow], order: Order, quantile: str, body_id: str
) -> html.Table:
    """The headings stay when the rows are drawn anew: new ones would count as clicked."""
    return html.Table(
        [
            html.Thead(
                html.Tr(
                    [
                        _heading(each, direction, quantile)
                        for each, direction in zip(COLUMNS, directions(order), strict=True)
                    ]
                )
            ),
            html.Tbody(ranked_rows(rows, order), id=body_id),
        ],
        className="ranked",
    )


def ranked_rows(rows: Sequence[RankedRow], order: Order) -> list[Component]:
    """Of all rows in their order those that the page shows."""
    shown = rows[order.first : order.first + SHOWN]
    return [_row(row) for row in shown] or [_none()]


def directions(order: Order) -> list[str]:
    """Of each column, as `aria-sort` has it; the style sheet draws its arrow from that."""
    direction = "descending" if order.is_descending else "ascending"
    return [direction if each.key == order.by else "none" for each in COLUMNS]


def _heading(column: Column, direction: str, quantile: str) -> html.Th:
    title = f"{quantile} latency" if column.key == "latency_s" else column.title
    return html.Th(
        html.Button(title, id={"type": SORT, "by": column.key}, className="sort"),
        id={"type": HEADING, "by": column.key},
        scope="col",
        className="number" if column.is_number else "",
        **aria(sort=direction),
    )


def _row(row: RankedRow) -> html.Tr:
    mark = [html.Span("★", title="on the frontier: nothing is both cheaper and faster")]
    cells: tuple[tuple[Any, ...], ...] = (
        (str(row.rank),),
        (row.option, " ", *(mark if row.is_on_frontier else ())),
        (_swatch(row.group), row.group),
        (row.usd_per_month,),
        (row.latency, _small(row.latency_interval)),
        (row.probability_best,),
        (row.usd_per_million,),
        (row.capacity, _small(row.capacity_interval)),
        (row.utilization,),
        (row.basis,),
    )
    return html.Tr(
        [
            html.Td(list(cell), className="number" if column.is_number else "")
            for cell, column in zip(cells, COLUMNS, strict=True)
        ],
        title="; ".join(row.notes) or None,
    )


def _small(text: str) -> Component:
    return html.Span(text, className="interval")


def _swatch(group: str) -> Component:
    return html.Span(className="swatch", style={"backgroundColor": GROUP_COLOR[group]})


def _none() -> html.Tr:
    return html.Tr(
        html.Td("No way to buy is chosen above.", colSpan=len(COLUMNS), className="empty")
    )
