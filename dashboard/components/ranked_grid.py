"""The ranked options: sorted, filtered and searched in the browser, however many there are."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Any, NamedTuple

import dash_ag_grid as dag
import dash_mantine_components as dmc
from dash import ClientsideFunction, Input, html

from dashboard.components.sections import aria
from dashboard.figures.palette import GROUP_COLOR

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dash import Dash
    from dash.development.base_component import Component

    from dashboard.views import RankedRow

__all__ = ["COLUMNS", "GridId", "ranked_grid", "register", "row_data"]

HEIGHT_PX = 540
ROW_PX, HEAD_PX = 46, 40
ROWS_BESIDE = 4  # drawn above and below those in sight
# Inks by name, so that the table follows light and dark with the page around it.
THEME = {
    "function": "themeQuartz.withParams({"
    "backgroundColor: 'var(--sheet)', foregroundColor: 'var(--ink)', borderColor: 'var(--line)', "
    "headerBackgroundColor: 'var(--paper)', headerTextColor: 'var(--ink)', "
    "accentColor: 'var(--link)', rowHoverColor: 'var(--paper)', "
    "selectedRowBackgroundColor: 'var(--busy-paper)', textColor: 'var(--ink)', "
    "subtleTextColor: 'var(--muted)', inputBorder: '1px solid var(--edge)', "
    "menuBackgroundColor: 'var(--sheet)', fontFamily: 'inherit', fontSize: 14, "
    "browserColorScheme: 'inherit', wrapperBorderRadius: 8, "
    "oddRowBackgroundColor: 'var(--sheet)'})"
}


class GridId(StrEnum):
    GRID = "ranked"
    SEARCH = "ranked-search"
    WAYS = "ranked-ways"
    COLUMNS = "ranked-columns"
    CSV = "ranked-csv"


class Column(NamedTuple):
    """key: of the figure that it is sorted by. text, under: what is read in its place.

    unit: of the figure, for a file that holds it bare.
    """

    key: str
    title: str
    width: int
    text: str | None = None
    under: str | None = None
    unit: str | None = None


COLUMNS = (
    Column("rank", "#", 62),
    Column("option", "Option", 178),
    Column("month_usd", "$ / month", 116, "usd_per_month"),
    Column("latency_ms", "latency", 148, "latency", "latency_interval", unit="ms"),
    Column("group", "Bought as", 186),
    Column("best_percent", "Cheapest", 110, "probability_best", unit="%"),
    Column("million_usd", "$ / million", 118, "usd_per_million"),
    Column("capacity_rps", "Capacity", 156, "capacity", "capacity_interval", unit="req/s"),
    Column("busy_percent", "Busy", 88, "utilization", unit="%"),
    Column("basis", "Known by", 124),
)
ROW = (
    "is_on_frontier",
    *(name for each in COLUMNS for name in (each.key, each.text, each.under) if name is not None),
)
WORDS = ("option", "group", "basis")


def ranked_grid(rows: Sequence[RankedRow], groups: Sequence[str], quantile: str) -> Component:
    return html.Div(
        [
            _toolbar(groups, quantile),
            dag.AgGrid(
                id=GridId.GRID,
                rowData=row_data(rows),
                columnDefs=[_column(each, quantile) for each in COLUMNS],
                defaultColDef={"sortable": True, "resizable": True, "filter": True},
                getRowId="params.data.id",
                selectedRows={"ids": ["1"]},
                eventListeners={"gridReady": ["narrow(params)"]},
                csvExportParams={
                    "fileName": "ranked-options.csv",
                    "processHeaderCallback": {"function": "csvHeading(params)"},
                },
                dashGridOptions={
                    "theme": THEME,
                    "rowHeight": ROW_PX,
                    "headerHeight": HEAD_PX,
                    "rowSelection": {
                        "mode": "singleRow",
                        "checkboxes": False,
                        "enableClickSelection": True,
                    },
                    "animateRows": False,
                    "rowBuffer": ROWS_BESIDE,
                    "enableCellTextSelection": True,
                    "tooltipShowDelay": 300,
                },
                style={"height": f"{_height_px(len(rows))}px"},
            ),
        ],
        className="ranked",
    )


def register(app: Dash) -> None:
    for name, source in (
        ("search", Input(GridId.SEARCH, "value")),
        ("ways", Input(GridId.WAYS, "value")),
        ("columns", Input(GridId.COLUMNS, "value")),
        ("as_csv", Input(GridId.CSV, "n_clicks")),
    ):
        app.clientside_callback(  # type: ignore[no-untyped-call]
            ClientsideFunction("recommender", name), source, prevent_initial_call=True
        )


def row_data(rows: Sequence[RankedRow]) -> list[dict[str, Any]]:
    return [
        {
            "id": str(row.rank),
            "color": GROUP_COLOR[row.group],
            "notes": "; ".join(row.notes),
            **{name: getattr(row, name) for name in ROW},
        }
        for row in rows
    ]


def _height_px(rows: int) -> int:
    return min(HEIGHT_PX, HEAD_PX + max(rows, 1) * ROW_PX + 4)


def _column(column: Column, quantile: str) -> dict[str, Any]:
    is_number = column.key not in WORDS
    return {
        "field": column.key,
        "headerName": _title(column, quantile),
        "width": column.width,
        "context": {"unit": column.unit},
        "filter": "agNumberColumnFilter" if is_number else "agTextColumnFilter",
        **({"type": "rightAligned"} if is_number else {"filterParams": {"maxNumConditions": 8}}),
        **({"pinned": "left", "lockPinned": True} if column.key == "option" else {}),
        **_drawn(column),
    }


def _drawn(column: Column) -> dict[str, Any]:
    match column:
        case Column(key="option"):
            return {"cellRenderer": "Option"}
        case Column(key="group"):
            return {"cellRenderer": "Group"}
        case Column(text=None):
            return {}
        case Column(under=None):
            return {"valueFormatter": {"function": f"params.data.{column.text}"}}
        case _:
            params = {"text": column.text, "under": column.under}
            return {"cellRenderer": "Interval", "cellRendererParams": params}


def _toolbar(groups: Sequence[str], quantile: str) -> Component:
    return html.Div(
        [
            dmc.TextInput(
                id=GridId.SEARCH,
                placeholder="Search options",
                debounce=150,
                size="sm",
                className="search",
                **aria(label="search the ranked options"),
            ),
            dmc.ChipGroup(
                [
                    dmc.Chip(each, value=each, size="sm", variant="outline", className="way")
                    for each in groups
                ],
                id=GridId.WAYS,
                multiple=True,
                value=list(groups),
            ),
            html.Div(
                [
                    _column_choice(quantile),
                    html.Button("CSV", id=GridId.CSV, className="button", title="as a CSV file"),
                ],
                className="toolbar-end",
            ),
        ],
        className="toolbar",
    )


def _column_choice(quantile: str) -> Component:
    return html.Details(
        [
            html.Summary("Columns", className="button"),
            dmc.CheckboxGroup(
                dmc.Stack(
                    [
                        dmc.Checkbox(label=_title(each, quantile), value=each.key, size="sm")
                        for each in COLUMNS
                    ],
                    gap=8,
                ),
                id=GridId.COLUMNS,
                value=[each.key for each in COLUMNS],
                className="column-choice",
                **aria(label="columns shown"),
            ),
        ],
        className="column-menu",
    )


def _title(column: Column, quantile: str) -> str:
    return f"{quantile} {column.title}" if column.key == "latency_ms" else column.title
