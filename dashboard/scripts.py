"""What a browser has to load and start before it shows anything: as little as these pages need."""

from __future__ import annotations

import re
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from flask import send_from_directory

if TYPE_CHECKING:
    from dash import Dash

__all__ = ["PLOTLY_JS", "needed", "serve_vendored"]

VENDORED = Path(__file__).parent / "vendored"
# The `basic` bundle that plotly.js itself makes: lines, marks and bars. It is a quarter of the
# whole, to fetch and to start.
PLOTLY_JS = VENDORED / "plotly-basic.min.js"
PLOTLY_ADDRESS = "/_dash-component-suites/plotly/package_data/plotly.min.js"  # where Dash looks
RUNTIME = '<script src="/vendored/regenerator-runtime.js"></script>'
POLYFILL = re.compile(r'<script src="[^"]*/deps/polyfill@[^"]*"></script>')
TABLE = re.compile(r'<script src="[^"]*/dash_table/bundle\.[^"]*"></script>')


def needed(scripts: str) -> str:
    """Of the tags that Dash writes.

    Neither its own table, of which there is none here, nor all that makes a browser of before 2017
    do, which puts slow ways in place of a newer one's own. Of that, Dash itself uses the runtime
    of generators.
    """
    return POLYFILL.sub(RUNTIME, TABLE.sub("", scripts))


def serve_vendored(app: Dash) -> None:
    """Dash has addresses for all of plotly.js by pattern: one in full goes first."""
    app.server.add_url_rule(
        PLOTLY_ADDRESS, "plotly-js", partial(send_from_directory, VENDORED, PLOTLY_JS.name)
    )
    app.server.add_url_rule(
        "/vendored/<path:path>", "vendored", partial(send_from_directory, VENDORED)
    )
