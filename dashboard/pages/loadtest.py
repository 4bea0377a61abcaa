"""What a load test found: all tests at a glance, then each of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dash import dcc, html

from dashboard.components import loadtest as blocks
from dashboard.components.sections import chart, chip, command, facts, section
from dashboard.figures import course, intervals
from dashboard.figures import load_curve as curve
from dashboard.loadtest import LoadTestView, TestView, loadtest_view
from recommender.loadtest.report import ComparisonAnswer, ProfileAnswer, TuningAnswer

if TYPE_CHECKING:
    from dash.development.base_component import Component

    from dashboard.data import LoadTest, Repository
    from loadtests.slo import Slo
    from recommender.loadtest.report import TestReport
    from recommender.store import Run

__all__ = ["layout"]


def layout(repository: Repository, run: Run) -> Component:
    found = repository.loadtest(run)
    view = loadtest_view(run, found.report)
    tiers = found.report.plan.tiers
    return html.Article(
        [
            html.Nav([dcc.Link("Runs", href="/"), " / ", html.Span(run.id, className="mono")]),
            html.H1(view.headline, className="verdict"),
            *_standing(view),
            facts(view.facts),
            section("At a glance", blocks.summary(view.summary)),
            *_capacities(found),
            *(
                _test(each, _pictures(found.report.tests[each.number], found, tiers))
                for each in view.tests
            ),
            section("Measured on", html.Div(facts(view.machine), className="listing")),
        ]
    )


def _standing(view: LoadTestView) -> list[Component]:
    """Of a run that has not ended well."""
    if view.said is None:
        return []
    error = [] if view.run.error is None else [html.Pre(view.run.error, className="fault")]
    go_on = [] if view.command is None else [html.P("Go on with it:"), command(view.command)]
    return [html.P([chip(view.run.status), " ", view.said]), *error, *go_on]


def _capacities(found: LoadTest) -> list[Component]:
    drawn = intervals.capacities(found.report.tests)
    if not drawn.rows:
        return []
    figure = chart(intervals.intervals_figure(drawn), "intervals")
    return [section("Capacity", figure, note=intervals.CAPACITIES)]


def _test(shown: TestView, pictures: list[Component]) -> Component:
    tone = "note" if shown.state in ("partial", "not run") else "fault"
    reason = [] if shown.reason is None else [html.P(shown.reason, className=tone)]
    return section(
        [shown.title, " ", chip(shown.state)],
        *reason,
        *blocks.findings(shown.findings),
        *pictures,
        *blocks.settings(shown.settings, shown.score),
        *blocks.runs(shown.runs, shown.title),
        *blocks.faults(shown.faults),
        anchor=shown.anchor,
    )


def _pictures(test: TestReport, found: LoadTest, tiers: dict[str, Slo]) -> list[Component]:
    match test.answer:
        case ProfileAnswer():
            drawn = curve.curves(test.answer.curve, tiers)
            return _picture(chart(curve.load_curve_figure(drawn), "curve"), curve.CAPTION)
        case ComparisonAnswer() | TuningAnswer():
            return _effects(test.answer)
        case _:
            return _courses(test, found, tiers)


def _effects(answer: ComparisonAnswer | TuningAnswer) -> list[Component]:
    drawn = intervals.effects(answer)
    if not drawn.rows:
        return []
    said = intervals.COMPARED if isinstance(answer, ComparisonAnswer) else intervals.TUNED
    return _picture(chart(intervals.intervals_figure(drawn), "intervals"), said)


def _courses(test: TestReport, found: LoadTest, tiers: dict[str, Slo]) -> list[Component]:
    pictures: list[Component] = []
    for run in test.runs:
        windows = found.courses.get((run.configuration, test.scenario, run.key))
        if windows:
            is_open = run.measurement.load.loop == "open"
            drawn = course.course(windows, tiers, is_open=is_open)
            figure = chart(course.course_figure(drawn), "course")
            pictures += _picture(figure, course.caption(windows))
    return pictures


def _picture(figure: Component, caption: str) -> list[Component]:
    return [html.P(caption, className="note caption"), figure]
