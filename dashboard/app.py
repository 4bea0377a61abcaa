"""The dashboard as a Dash application over a repository.

Addresses are matched here rather than with `dash.register_page`: its registry is one dictionary
for the whole process, so that a second application would take over the pages of the first.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote

from dash import Dash, Input, Output, dcc, html

from dashboard.components.sections import aria, notice
from dashboard.pages import loadtest, recommendation, runs
from pricing import PricingError
from recommender.errors import RecommenderError
from recommender.loadtest.session import KIND as LOADTEST

if TYPE_CHECKING:
    from dash.development.base_component import Component
    from flask import Response

    from dashboard.data import Repository

__all__ = ["LOOPBACK", "create_app", "page_at"]

NAME = "Inference recommender"
LOOPBACK = ("127.0.0.1", "localhost")
ASSETS = Path(__file__).with_name("assets")
INDEX = """<!doctype html>
<html lang="en">
<head>
{%metas%}
<title>{%title%}</title>
<link rel="icon" type="image/svg+xml" href="/assets/icon.svg">
{%css%}
</head>
<body>
{%app_entry%}
<noscript>This page needs JavaScript; `recommender show` does not.</noscript>
<footer>{%config%}{%scripts%}{%renderer%}</footer>
</body>
</html>
"""


def create_app(repository: Repository, hosts: tuple[str, ...] = LOOPBACK) -> Dash:
    """hosts: names it may be asked for by; any other is a page elsewhere that means to read it."""
    app = Dash(
        "dashboard",
        title=NAME,
        update_title="",
        assets_folder=str(ASSETS),
        assets_ignore=r".*\.png",
        use_pages=False,
        include_pages_meta=False,
        index_string=INDEX,
        suppress_callback_exceptions=True,  # parts of a page are there only while it is shown
        meta_tags=[{"name": "viewport", "content": "width=device-width, initial-scale=1"}],
    )
    app.layout = _frame()
    _register_pages(app, repository)
    app.server.config["TRUSTED_HOSTS"] = list(hosts)
    _guard(app)
    return app


def page_at(repository: Repository, path: str) -> tuple[Component, str]:
    """The page at an address, and its title."""
    try:
        match [unquote(part) for part in path.strip("/").split("/")]:
            case [""] | ["runs"]:
                return runs.layout(repository), f"{runs.TITLE} · {NAME}"
            case ["runs", reference]:
                return _of_run(repository, reference), f"{reference} · {NAME}"
            case _:
                return _nowhere(path), f"Not found · {NAME}"
    except (RecommenderError, PricingError) as error:
        return _failed(error), f"Not found · {NAME}"


def _of_run(repository: Repository, reference: str) -> Component:
    run = repository.run(reference)
    layout = loadtest.layout if run.kind == LOADTEST else recommendation.layout
    return layout(repository, run)


def _register_pages(app: Dash, repository: Repository) -> None:
    def turn(path: str) -> tuple[Component, str]:
        return page_at(repository, path)

    app.callback(
        Output("page", "children"), Output("page-title", "data"), Input("address", "pathname")
    )(turn)
    app.clientside_callback(  # type: ignore[no-untyped-call]
        "function(title) { if (title) { document.title = title; } return ''; }",
        Output("page-announced", "children"),
        Input("page-title", "data"),
    )
    recommendation.register(app, repository)


def _frame() -> Component:
    return html.Div(
        [
            dcc.Location(id="address"),
            dcc.Store(id="page-title"),
            html.Span(id="page-announced", hidden=True),
            html.Header(
                [
                    dcc.Link(
                        [html.Img(src="/assets/icon.svg", alt="", className="mark"), NAME],
                        href="/",
                        className="brand",
                    ),
                    html.Nav([dcc.Link("Runs", href="/")], **aria(label="pages")),
                ],
                className="top",
            ),
            html.Main(html.P("Loading…", className="loading"), id="page"),
        ]
    )


def _nowhere(path: str) -> Component:
    return notice(
        "There is no such page",
        html.P([html.Code(path), " leads nowhere."]),
        html.P(dcc.Link("See all runs", href="/")),
    )


def _failed(error: RecommenderError | PricingError) -> Component:
    hint = [] if error.hint is None else [html.P(error.hint)]
    return notice(
        "This cannot be shown",
        html.P(str(error)),
        *hint,
        html.P(dcc.Link("See all runs", href="/")),
    )


def _guard(app: Dash) -> None:
    """Nothing from elsewhere is loaded, and no page elsewhere may frame this one."""

    def guard(response: Response) -> Response:
        # Read at each answer: Dash adds its inline scripts when the first page is drawn.
        scripts = " ".join(["'self'", *(f"'{each}'" for each in _unquoted(app))])
        response.headers["Content-Security-Policy"] = (
            f"default-src 'self'; script-src {scripts}; style-src 'self' 'unsafe-inline'; "
            "img-src 'self' data: blob:; object-src 'none'; base-uri 'self'; "
            "frame-ancestors 'none'"
        )
        response.headers["X-Content-Type-Options"] = "nosniff"
        response.headers["Referrer-Policy"] = "no-referrer"
        return response

    app.server.after_request(guard)


def _unquoted(app: Dash) -> list[str]:
    return [each.strip("'") for each in app.csp_hashes()]
