"""What stands around every page: its head, the way to the other pages, light or dark."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import dash_mantine_components as dmc
from dash import dcc, html

from dashboard.components.sections import aria
from dashboard.figures.palette import FONT
from recommender.loadtest.session import KIND as LOADTEST

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dash.development.base_component import Component

__all__ = ["INDEX", "NAME", "Page", "Place", "RunPlace", "frame", "navigation"]

NAME = "Inference recommender"
NARROW = "sm"  # below it the way to the other pages is behind a button
INDEX = """<!doctype html>
<html lang="en">
<head>
{%metas%}
<title>{%title%}</title>
<link rel="icon" type="image/svg+xml" href="/assets/icon.svg">
<script src="/assets/scheme.js"></script>
<link rel="preload" as="fetch" href="/_dash-layout" crossorigin="anonymous">
<link rel="preload" as="fetch" href="/_dash-dependencies" crossorigin="anonymous">
{%css%}
</head>
<body>
{%app_entry%}
<noscript>This page needs JavaScript; `recommender show` does not.</noscript>
<footer>{%config%}{%scripts%}{%renderer%}</footer>
</body>
</html>
"""
THEME: dict[str, Any] = {
    "fontFamily": FONT,
    "primaryColor": "blue",
    "primaryShade": {"light": 8, "dark": 8},
    "defaultRadius": "md",
    "respectReducedMotion": True,
}


class RunPlace(NamedTuple):
    """reference: as addresses name the run. kind: "quick" or "loadtest"."""

    reference: str
    label: str
    kind: str


class Way(NamedTuple):
    """icon: its name in the style sheet of icons."""

    label: str
    href: str
    icon: str


class Place(NamedTuple):
    """What a browser shows, as it names it: search with its question mark, or empty."""

    pathname: str
    search: str


class Page(NamedTuple):
    """run: the one that it is of, whose other pages are then named beside it."""

    content: Component
    title: str
    run: RunPlace | None = None


WORK = (
    Way("Runs", "/runs", "runs"),
    Way("New run", "/new", "new"),
    Way("Compare", "/compare", "compare"),
)
REFERENCE = (Way("Prices", "/prices", "prices"), Way("How right it is", "/model", "model"))


def frame(place: Place | None = None, page: Page | None = None) -> Component:
    """Around a page and at its address; without one the browser asks for what it shows."""
    at = {} if place is None else place._asdict()
    path = "/" if place is None else place.pathname
    content, title, run = (loading(), None, None) if page is None else page
    framed: Component = dmc.MantineProvider(
        [
            dcc.Location(id="address", refresh="callback-nav", **at),
            dcc.Store(id="page-title", data=title),
            html.A("Skip to the page", href="#page", className="skip"),
            html.Span(id="page-announced", className="unseen", role="status"),
            dmc.AppShell(
                [
                    dmc.AppShellHeader(_head(), className="top"),
                    dmc.AppShellNavbar(
                        html.Div(navigation(path, run), id="navigation"),
                        p="sm",
                        className="side",
                        **aria(label="pages"),
                    ),
                    dmc.AppShellMain(html.Div(content, id="page", tabIndex="-1")),
                ],
                id="shell",
                header={"height": 56},
                navbar={"width": 216, "breakpoint": NARROW, "collapsed": {"mobile": True}},
                padding={"base": "sm", "sm": "lg"},
            ),
        ],
        defaultColorScheme="auto",
        theme=THEME,
    )
    return framed


def _head() -> Component:
    return html.Div(
        [
            dmc.Burger(
                id="burger", hiddenFrom=NARROW, size="sm", opened=False, **aria(label="pages")
            ),
            dcc.Link(
                [html.Img(src="/assets/icon.svg", alt="", className="mark"), NAME],
                href="/",
                className="brand",
            ),
            dmc.ColorSchemeToggle(
                lightIcon=_drawn("sun"),
                darkIcon=_drawn("moon"),
                variant="default",
                size="lg",
                className="scheme",
                **aria(label="light or dark"),
            ),
        ],
        className="head",
    )


def _drawn(name: str) -> Component:
    return html.Span(className=f"drawn drawn-{name}")


def loading() -> Component:
    """In the place of a page's content until it comes."""
    return html.Div(
        [
            html.Span("Loading", className="unseen"),
            dmc.Skeleton(h=30, w="70%", mb="sm"),
            dmc.Skeleton(h=16, w="45%", mb="lg"),
            html.Div([dmc.Skeleton(h=104) for _ in range(4)], className="cards"),
            dmc.Skeleton(h=420),
        ],
        className="loading",
        **aria(busy="true"),
    )


def navigation(path: str, run: RunPlace | None) -> list[Component]:
    """What can be done, what there is of the run that is looked at, and what it all rests on."""
    at = path.rstrip("/") or "/runs"
    of_run = [] if run is None else _group(run.label, _of_run(run), at, "mono")
    return [*_group(None, WORK, at), *of_run, *_group("Reference", REFERENCE, at)]


def _of_run(run: RunPlace) -> tuple[Way, ...]:
    first = f"/runs/{run.reference}"
    if run.kind == LOADTEST:
        return (Way("Load test", first, "load"),)
    return (
        Way("Recommendation", first, "best"),
        Way("What if", f"{first}/what-if", "ask"),
        Way("Traffic and scaling", f"{first}/scaling", "scale"),
        Way("Measurements", f"{first}/measurements", "load"),
        Way("Export", f"{first}/export", "export"),
    )


def _group(title: str | None, ways: Sequence[Way], at: str, kind: str = "") -> list[Component]:
    about = [] if title is None else [html.Div(title, className=f"side-run {kind}", title=title)]
    return [*about, *(_link(way, is_here=way.href == at) for way in ways)]


def _link(way: Way, *, is_here: bool) -> Component:
    here = aria(current="page") if is_here else {}
    return dcc.Link(
        [
            html.Span(className=f"drawn side-icon icon-{way.icon}"),
            html.Span(way.label, **here),
        ],
        href=way.href,
        className="side-link side-here" if is_here else "side-link",
    )
