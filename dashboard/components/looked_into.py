"""A run looked into: which one, and its pictures."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import dash_mantine_components as dmc
from dash import html

from dashboard.components.sections import aria, chart, chip, facts, table
from dashboard.figures import course, distribution, resources

if TYPE_CHECKING:
    from dash.development.base_component import Component

    from dashboard.looked_into import Choice, ColdStartView, InterruptionLine, LookedInto
    from loadtests.measurement import Measurement
    from loadtests.outline import Outline
    from loadtests.slo import Slo

__all__ = ["CHOICE", "CONTENT", "SECTION", "choosing", "look_link", "looked", "options"]

NO_SAMPLES = "Its samples were not kept: there is nothing to draw."


SECTION = "look"
CHOICE = {"type": "look-choice", "part": "0"}  # what it names is looked into, by its key
CONTENT = {"type": "look-content", "part": "0"}


def options(choices: tuple[Choice, ...]) -> list[dict[str, Any]]:
    """Test by test, as the list shows them."""
    groups: dict[str, list[dict[str, str]]] = {}
    for each in choices:
        groups.setdefault(each.group, []).append({"value": each.key, "label": each.label})
    return [{"group": name, "items": items} for name, items in groups.items()]


def choosing(choices: tuple[Choice, ...], key: str | None) -> Component:
    chosen: Component = dmc.Select(
        id=CHOICE,
        label="Which run",
        data=options(choices),
        value=key,
        searchable=True,
        allowDeselect=False,
        nothingFoundMessage="No run is called that",
        placeholder="none has been measured yet",
        maxDropdownHeight=360,
        className="look-choice",
    )
    return chosen


def look_link(text: str, key: str) -> Component:
    """From a table of runs to the one that it is of."""
    return html.Button(
        text,
        id={"type": "look-at", "key": key},
        className="plain",
        title="look into this run",
    )


def looked(
    view: LookedInto, found: Measurement, outline: Outline | None, tiers: dict[str, Slo]
) -> list[Component]:
    return [
        html.P([chip(view.validity), " ", view.said]),
        *_faults(view),
        facts(view.facts),
        *_pictures(found, outline, tiers),
        html.Div(
            [
                html.Div(_quantiles(view)),
                html.Div(_errors(view)),
            ],
            className="columns",
        ),
        *_interruptions(view.interruptions),
        *_cold(view.cold),
    ]


def _faults(view: LookedInto) -> list[Component]:
    if not view.faults:
        return []
    return [
        html.Ul(
            [
                html.Li(
                    [
                        chip(status),
                        html.Span(f" {found}."),
                        html.Div(f"What to do: {advice}.", className="advice"),
                    ]
                )
                for status, found, advice in view.faults
            ],
            className="doubts",
        )
    ]


def _pictures(
    found: Measurement, outline: Outline | None, tiers: dict[str, Slo]
) -> list[Component]:
    if outline is None:
        return [html.P(NO_SAMPLES, className="note")]
    shown: list[Component] = []
    if outline.windows:
        drawn = course.course(outline, found, tiers)
        figure = chart(course.course_figure(drawn), "course")
        shown += _picture("Over time", course.caption(drawn), figure)
    spread = distribution.distribution(outline, tiers)
    if spread.spreads:
        figure = chart(distribution.distribution_figure(spread), "distribution")
        shown += _picture("Distribution", distribution.caption(spread), figure)
    return shown + _resources(outline)


def _resources(outline: Outline) -> list[Component]:
    heading = html.H3("What it used")
    if outline.tracks is None:
        unwatched = "Not measured: nobody watched what the machine used during this run."
        return [heading, html.P(unwatched, className="note")]
    drawn = resources.panels(outline.tracks)
    gaps = [html.P(each, className="note") for each in resources.missing(outline.tracks)]
    if not drawn:
        return [heading, *gaps]
    figure = resources.resources_figure(outline.tracks.ends_s, drawn)
    return [*_picture("What it used", resources.CAPTION, chart(figure, "resources")), *gaps]


def _picture(title: str, caption: str, figure: Component) -> list[Component]:
    return [html.H3(title), html.P(caption, className="note"), figure]


def _quantiles(view: LookedInto) -> list[Component]:
    if not view.quantiles:
        return [html.H3("Quantiles"), html.P("Nothing was answered.", className="note")]
    return [
        html.H3("Quantiles, with 95% intervals"),
        table(
            ("", "Latency, ms", "Service, ms"),
            view.quantiles,
            numeric=(1, 2),
            label="quantiles of the run",
        ),
    ]


def _errors(view: LookedInto) -> list[Component]:
    heading = html.H3("Errors by kind")
    if not view.errors:
        return [heading, html.P(view.no_errors, className="note")]
    return [
        heading,
        table(
            ("What happened", "Requests", "Of all due", "Due"),
            view.errors,
            numeric=(1, 2, 3),
            label="errors by kind",
        ),
    ]


def _interruptions(shown: tuple[InterruptionLine, ...] | None) -> list[Component]:
    if shown is None:
        return []
    heading = html.H3("Interruptions")
    if not shown:
        return [heading, html.P("None fell into the run.", className="note")]
    return [
        heading,
        table(
            ("Notice at", "Requests lost", "A replica missing", "As before after", "Not known"),
            shown,
            numeric=(0, 1, 2, 3),
            label="interruptions",
        ),
    ]


def _cold(shown: ColdStartView | None) -> list[Component]:
    if shown is None:
        return []
    notes = [html.P(each, className="note") for each in shown.notes]
    listed = html.Div(facts(shown.facts), className="listing", **aria(label="cold starts"))
    return [html.H3("Cold starts"), listed, *notes]
