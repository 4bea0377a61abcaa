"""Thousands of prices: sorted, filtered and drawn in the browser, a screenful at a time."""

from __future__ import annotations

from typing import Any, NamedTuple

import dash_ag_grid as dag

from dashboard.components.ranked_grid import HEAD_PX, ROW_PX, THEME
from dashboard.prices import KEY

__all__ = ["MOVES_GRID", "PRICES_GRID", "moves_grid", "prices_grid"]

PRICES_GRID, MOVES_GRID = "prices-grid", "moves-grid"
HEIGHT_PX = 560
CLOSE = {"function": f"{THEME['function']}.withParams({{cellHorizontalPadding: 12}})"}


class Column(NamedTuple):
    """drawn: its cell's component. spelled: the function that makes text of its figure."""

    key: str
    title: str
    width: int
    is_number: bool = False
    drawn: str | None = None
    spelled: str | None = None
    parameters: dict[str, str] | None = None


# The first seven are as wide together as the table is in a window of 1280 pixels.
PRICES = (
    Column("what", "What", 160),
    Column("usd", "Price", 130, is_number=True, drawn="PriceUsd"),
    Column("bought", "Bought as", 106, drawn="PriceBought"),
    Column("month_usd", "$ / month", 116, is_number=True, spelled="perMonth"),
    Column("seen", "Observed", 184, drawn="PriceSeen"),
    Column("basis", "Known by", 112, drawn="PriceBasis"),
    Column("vcpu_usd", "$ / vCPU-hour", 148, is_number=True, spelled="perUnit"),
    Column("gib_usd", "$ / GiB-hour", 144, is_number=True, spelled="perUnit"),
    Column("vcpus", "vCPU", 98, is_number=True, spelled="known"),
    Column("memory_gib", "Memory, GiB", 142, is_number=True, spelled="known"),
    Column("accelerator", "Accelerator", 172, spelled="known"),
    Column("saves", "Spot saves", 130, is_number=True, spelled="share"),
    Column("reclaimed", "Reclaimed", 112, spelled="known"),
    Column("architecture", "Architecture", 120, spelled="known"),
    Column("region", "Region", 134),
    Column("source", "Source", 420),
)
MOVES = (
    Column("what", "What", 166),
    Column("change_percent", "Change", 138, is_number=True, spelled="change"),
    Column("bought", "Bought as", 132, drawn="PriceBought"),
    Column("before_usd", "Before", 142, is_number=True, drawn="PriceUsd",
           parameters={"basis": "before_basis"}),
    Column("after_usd", "After", 142, is_number=True, drawn="PriceUsd"),
    Column("before_seen", "Observed before", 150, spelled="known"),
    Column("after_seen", "Observed after", 150, spelled="known"),
    Column("state", "State", 96),
    Column("region", "Region", 134),
)  # fmt: skip


def prices_grid(row: str) -> dag.AgGrid:
    """row: that is selected."""
    grid = _grid(PRICES_GRID, PRICES)
    grid.selectedRows = {"ids": [row]} if row else []
    grid.dashGridOptions["rowSelection"] = {
        "mode": "singleRow",
        "checkboxes": False,
        "enableClickSelection": True,
    }
    return grid


def moves_grid() -> dag.AgGrid:
    return _grid(MOVES_GRID, MOVES)


def _grid(name: str, columns: tuple[Column, ...]) -> dag.AgGrid:
    return dag.AgGrid(
        id=name,
        rowData=[],
        columnDefs=[_column(each) for each in columns],
        defaultColDef={"sortable": True, "resizable": True},
        getRowId=" + '|' + ".join(f"params.data.{name}" for name in KEY),
        dashGridOptions={
            "theme": CLOSE,
            "rowHeight": ROW_PX,
            "headerHeight": HEAD_PX,
            "animateRows": False,
            "enableCellTextSelection": True,
        },
        style={"height": f"{HEIGHT_PX}px"},
    )


def _column(column: Column) -> dict[str, Any]:
    drawn: dict[str, Any] = {}
    if column.drawn is not None:
        drawn = {"cellRenderer": column.drawn, "cellRendererParams": column.parameters or {}}
    elif column.spelled is not None:
        drawn = {"valueFormatter": {"function": f"{column.spelled}(params)"}}
    return {
        "field": column.key,
        "headerName": column.title,
        "width": column.width,
        "filter": "agNumberColumnFilter" if column.is_number else False,
        **({"type": "rightAligned"} if column.is_number else {}),
        **({"pinned": "left", "lockPinned": True} if column.key == "what" else {}),
        **drawn,
    }
