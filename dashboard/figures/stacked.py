"""Several rows over one axis of time, one hover text for all of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import plotly.graph_objects as go

from dashboard.figures.axes import linear_axis, paper, titled
from dashboard.figures.palette import MUTED

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["Row", "stacked"]

GAP_PX, TOP_PX, BELOW_PX = 26, 22, 84
LEGEND_PX = 98  # of an entry, so that several stand beside one another on a narrow screen


class Row(NamedTuple):
    """traces: as Plotly takes them; its objects would be checked one by one, which takes long."""

    height_px: int
    traces: Sequence[dict[str, Any]]
    axis: dict[str, object]


def stacked(
    rows: Sequence[Row], span_s: tuple[float, float], title: str, look: dict[str, Any]
) -> go.Figure:
    """look: what else there is to the layout."""
    whole_px = sum(row.height_px for row in rows) + GAP_PX * (len(rows) - 1)
    top_px, traces, axes = whole_px, [], {}
    for number, row in enumerate(rows, start=1):
        name = "" if number == 1 else str(number)
        domain = [(top_px - row.height_px) / whole_px, top_px / whole_px]
        axes[f"yaxis{name}"] = {**row.axis, "domain": [max(domain[0], 0.0), domain[1]]}
        traces += [each | {"xaxis": "x", "yaxis": f"y{name}"} for each in row.traces]
        top_px -= row.height_px + GAP_PX
    last = "y" if len(rows) == 1 else f"y{len(rows)}"
    base = paper()
    legend: dict[str, Any] = {"traceorder": "normal", "entrywidth": LEGEND_PX}
    layout = {
        **base,
        **axes,
        **look,
        "legend": {**dict(base["legend"]), **legend},  # type: ignore[call-overload]
        "xaxis": linear_axis(*span_s) | titled(title) | {"anchor": last},
        "height": whole_px + TOP_PX + BELOW_PX,
        "margin": {"l": 68, "r": 16, "t": TOP_PX, "b": BELOW_PX},
        "hovermode": "x unified",
        "hoverlabel": {**dict(base["hoverlabel"]), "bordercolor": MUTED},  # type: ignore[call-overload]
    }
    return go.Figure(data=traces, layout=layout, _validate=False)
