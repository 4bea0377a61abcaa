"""What a browser fetches before a page's parts ask for it, and what it need not fetch again."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from flask import request

from dashboard.scripts import PLOTLY_ADDRESS

if TYPE_CHECKING:
    from dash import Dash
    from flask import Response

__all__ = ["fetched_ahead", "keep_assets"]

SUITES = "/_dash-component-suites"
CHART = (f"{SUITES}/dash/dcc/async-graph.js", PLOTLY_ADDRESS)
TABLE = (f"{SUITES}/dash_ag_grid/async-community.js",)
# Of the pages that nearly always have one: what is not used was fetched for nothing.
NEEDED = (
    (re.compile(r"/runs/[^/]+(/what-if)?/?"), (*TABLE, *CHART)),
    (re.compile(r"/runs/[^/]+/(scaling|measurements)/?|/model/?"), CHART),
    (re.compile(r"/prices/?"), TABLE),
)
A_YEAR_S = 365 * 24 * 3600


def fetched_ahead(path: str) -> str:
    """Tags for the end of a page. Its scripts ask for these only once they have drawn its frame.

    Of low priority: what draws the frame comes first.
    """
    found = next((needed for pages, needed in NEEDED if pages.fullmatch(path)), ())
    return "".join(
        f'<link rel="preload" as="script" fetchpriority="low" href="{each}">' for each in found
    )


def keep_assets(app: Dash) -> None:
    """Dash puts the time of its last change into an asset's address: one that changes has another.

    Without this a browser asks for each of them at each visit whether it is still the same.
    """

    def keep(response: Response) -> Response:
        is_named_by_time = request.path.startswith("/assets/") and "m" in request.args
        if is_named_by_time and response.status_code in {200, 304}:
            response.headers["Cache-Control"] = f"private, max-age={A_YEAR_S}, immutable"
        return response

    app.server.after_request(keep)
