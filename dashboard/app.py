"""The dashboard as a Dash application over a repository.

Addresses are matched here rather than with `dash.register_page`: its registry is one dictionary
for the whole process, so that a second application would take over the pages of the first.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from dash import ClientsideFunction, Dash, Input, Output, State, dcc, html
from flask import request
from typing_extensions import override

from dashboard import access, exports
from dashboard.access import LOOPBACK
from dashboard.components import job_buttons, ranked_grid
from dashboard.components.sections import notice
from dashboard.data import DEMO_RUN
from dashboard.fetching import fetched_ahead, keep_assets
from dashboard.pages import (
    compare,
    export,
    live,
    loadtest,
    looking,
    measurements,
    model,
    new_run,
    prices,
    recommendation,
    runs,
    scaling,
    what_if,
)
from dashboard.scripts import needed, serve_vendored
from dashboard.shell import INDEX, NAME, Page, Place, RunPlace, frame, navigation
from loadtests.errors import UsageError
from pricing import PricingError
from recommender.errors import RecommenderError
from recommender.loadtest.session import KIND as LOADTEST
from recommender.performance.scorecard import Scorecard

if TYPE_CHECKING:
    from dash.development.base_component import Component

    from dashboard.data import Repository
    from recommender.jobs import Jobs
    from recommender.store import Run

__all__ = ["create_app", "page_at"]

ASSETS = Path(__file__).with_name("assets")
Refused = RecommenderError | PricingError | UsageError


class _Pages(Dash):
    @override
    def interpolate_index(self, **parts: str) -> str:  # type: ignore[override]
        scripts = needed(parts.pop("scripts")) + fetched_ahead(request.path)
        drawn: str = super().interpolate_index(**parts, scripts=scripts)  # type: ignore[no-untyped-call]
        return drawn


def create_app(
    repository: Repository,
    hosts: tuple[str, ...] | None = LOOPBACK,
    token: str | None = None,
    jobs: Jobs | None = None,
) -> Dash:
    """hosts: names it may be asked for by; any other is a page elsewhere that means to read it.

    None where only who has the token may read: then any name will do. jobs: None where the pages
    only read.
    """
    app = _Pages(
        "dashboard",
        title=NAME,
        update_title="",
        assets_folder=str(ASSETS),
        assets_ignore=r".*\.(png|svg)|scheme\.js",
        use_pages=False,
        include_pages_meta=False,
        index_string=INDEX,
        suppress_callback_exceptions=True,  # parts of a page are there only while it is shown
        meta_tags=[{"name": "viewport", "content": "width=device-width, initial-scale=1"}],
    )
    app.layout = partial(_first, repository, jobs)
    serve_vendored(app)
    keep_assets(app)
    _register_pages(app, repository, jobs)
    app.server.config["TRUSTED_HOSTS"] = None if hosts is None else list(hosts)
    if token is not None:
        access.require(app, token)
    access.guard(app)
    return app


def page_at(repository: Repository, path: str, search: str = "", jobs: Jobs | None = None) -> Page:
    """search: what an address says behind its path."""
    try:
        parts = [unquote(part) for part in path.strip("/").split("/")]
        return _page(repository, jobs, parts, search)
    except (RecommenderError, PricingError, UsageError) as error:
        return Page(_failed(error), f"Not found · {NAME}")


def _first(repository: Repository, jobs: Jobs | None) -> Component:
    """The frame with its page in it, which saves a browser the asking for it.

    Which page a browser shows is in its referrer; where it keeps that to itself, it asks.
    """
    shown = urlsplit(request.referrer or "")
    if shown.netloc != request.host:
        return frame()
    search = f"?{shown.query}" if shown.query else ""
    return frame(Place(shown.path, search), page_at(repository, shown.path, search, jobs))


def _page(repository: Repository, jobs: Jobs | None, parts: list[str], search: str) -> Page:
    match parts:
        case [""]:
            return _home(repository, jobs)
        case ["runs", reference, *below]:
            return _of_run(repository, jobs, [reference, *below], search)
        case _:
            return _of_all(repository, jobs, "/".join(parts), search)


def _of_all(repository: Repository, jobs: Jobs | None, path: str, search: str) -> Page:
    """A page of no run in particular."""
    match path:
        case "runs":
            shown, title = runs.layout(repository, jobs_allowed=jobs is not None), runs.TITLE
        case "model":
            shown, title = model.layout(Scorecard.bundled()), model.TITLE
        case "new":
            shown, title = new_run.layout(repository, jobs, search), new_run.TITLE
        case "compare":
            shown, title = compare.layout(repository, search), compare.TITLE
        case "prices":
            shown, title = prices.layout(repository, search), prices.TITLE
        case _:
            return _nowhere(path)
    return Page(shown, f"{title} · {NAME}")


def _home(repository: Repository, jobs: Jobs | None) -> Page:
    """The runs; where there are none yet, the one that shows what a run comes to."""
    if repository.runs():
        return _page(repository, jobs, ["runs"], "")
    return _of_run(repository, jobs, [DEMO_RUN], "")


def _of_run(repository: Repository, jobs: Jobs | None, parts: list[str], search: str) -> Page:
    """parts: of the address behind /runs."""
    reference, *below = parts
    run, jobs_allowed = repository.run(reference), jobs is not None
    place = _place(repository, run)
    title = f"{place.label} · {NAME}"
    match below, run.kind:
        case [], kind if kind == LOADTEST:
            shown = loadtest.layout(repository, run, search, jobs_allowed=jobs_allowed)
        case [], _:
            shown = recommendation.layout(repository, run, place, jobs_allowed=jobs_allowed)
        case ["measurements"], kind if kind != LOADTEST:
            shown = measurements.layout(repository, run, place, search)
            title = f"{measurements.TITLE} · {title}"
        case ["what-if"], _:
            shown = what_if.layout(repository, run, place, search)
            title = f"What if · {title}"
        case ["scaling"], _:
            shown = scaling.layout(repository, run, place, search)
            title = f"{scaling.TITLE} · {title}"
        case ["export"], _:
            shown = export.layout(repository, run, place, search)
            title = f"Export · {title}"
        case _:
            return _nowhere("/".join(["runs", reference, *below]))
    return Page(shown, title, place)


def _place(repository: Repository, run: Run) -> RunPlace:
    if repository.demonstrates(run.id) is not None:
        return RunPlace(DEMO_RUN, "Demonstration", run.kind)
    return RunPlace(run.id, run.id, run.kind)


def _register_pages(app: Dash, repository: Repository, jobs: Jobs | None) -> None:
    def turn(path: str, search: str) -> tuple[Component, str, list[Component]]:
        page = page_at(repository, path, search or "", jobs)
        return page.content, page.title, navigation(path, page.run)

    app.callback(
        Output("page", "children"),
        Output("page-title", "data"),
        Output("navigation", "children"),
        Input("address", "pathname"),
        State("address", "search"),
        prevent_initial_call=True,
    )(turn)
    app.clientside_callback(  # type: ignore[no-untyped-call]
        ClientsideFunction("recommender", "announce"),
        Output("page-announced", "children"),
        Input("page-title", "data"),
    )
    app.clientside_callback(  # type: ignore[no-untyped-call]
        ClientsideFunction("recommender", "open_side"),
        Output("shell", "navbar"),
        Output("burger", "opened"),
        Input("burger", "opened"),
        Input("address", "pathname"),
        State("shell", "navbar"),
        prevent_initial_call=True,
    )
    ranked_grid.register(app)
    recommendation.register(app, repository)
    live.register(app, repository, _live_pages(repository, jobs_allowed=jobs is not None))
    looking.register(app, repository)
    what_if.register(app, repository)
    scaling.register(app, repository)
    compare.register(app, repository)
    prices.register(app, repository)
    new_run.register(app, repository, jobs)
    runs.register(app, repository, jobs_allowed=jobs is not None)
    job_buttons.register(app, jobs)
    exports.register(app, repository)


def _live_pages(repository: Repository, *, jobs_allowed: bool) -> dict[str, live.Made]:
    return {
        loadtest.PAGE: partial(loadtest.live, repository, jobs_allowed=jobs_allowed),
        recommendation.PAGE: partial(recommendation.live, repository, jobs_allowed=jobs_allowed),
        measurements.PAGE: partial(measurements.live, repository),
    }


def _nowhere(path: str) -> Page:
    shown = notice(
        "There is no such page",
        html.P([html.Code(f"/{path}"), " leads nowhere."]),
        html.P(dcc.Link("See all runs", href="/runs")),
    )
    return Page(shown, f"Not found · {NAME}")


def _failed(error: Refused) -> Component:
    hint = [] if error.hint is None else [html.P(error.hint)]
    return notice(
        "This cannot be shown",
        html.P(str(error)),
        *hint,
        html.P(dcc.Link("See all runs", href="/runs")),
    )
