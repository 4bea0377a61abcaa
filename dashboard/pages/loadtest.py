"""What a load test found: all tests at a glance, then each of them, then any run by itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dash import html

from dashboard.components import loadtest as blocks
from dashboard.components.job_buttons import job_buttons
from dashboard.components.looked_into import options
from dashboard.components.run_head import path_to
from dashboard.components.sections import chart, chip, command, facts, section
from dashboard.figures import course, intervals, kept_up
from dashboard.figures import load_curve as curve
from dashboard.loadtest import LoadTestView, TestView, loadtest_view
from dashboard.looked_into import choices_of
from dashboard.pages.live import Content, Live, live_page
from dashboard.pages.looking import look_section
from dashboard.shell import RunPlace
from recommender.loadtest.report import ComparisonAnswer, ProfileAnswer, TuningAnswer
from recommender.loadtest.session import KIND

if TYPE_CHECKING:
    from dash.development.base_component import Component

    from dashboard.data import LoadTest, Repository
    from loadtests.slo import Slo
    from recommender.loadtest.report import TestReport
    from recommender.store import Run

__all__ = ["PAGE", "layout", "live"]

PAGE = "loadtest"
FEWEST_POINTS = 2  # one alone is in the table
SEARCHES = ("capacity", "profile")  # modes that ask one load after another


def layout(repository: Repository, run: Run, search: str, *, jobs_allowed: bool) -> Component:
    found = repository.loadtest(run)
    choices = choices_of(found.report)
    view = loadtest_view(run, found.report)
    return live_page(
        PAGE,
        run,
        repository.finished_measurements(run.id),
        _live(run, found, view, jobs_allowed=jobs_allowed),
        look_section(repository, run, choices, search),
        section("Measured on", html.Div(facts(view.machine), className="listing")),
    )


def live(repository: Repository, run: Run, *, jobs_allowed: bool) -> Live:
    found = repository.loadtest(run)
    return _live(run, found, loadtest_view(run, found.report), jobs_allowed=jobs_allowed)


def _live(run: Run, found: LoadTest, view: LoadTestView, *, jobs_allowed: bool) -> Live:
    tiers = found.report.plan.tiers
    shown = {each.number: each for each in view.tests}
    tests: dict[str, Content] = {
        f"test {number}": [_test(shown[number], _pictures(test, found, tiers))]
        if number in shown
        else []
        for number, test in enumerate(found.report.tests)
    }
    return Live(
        parts={
            "head": _head(view),
            "buttons": job_buttons(run, jobs_allowed=jobs_allowed),
            "glance": [section("At a glance", blocks.summary(view.summary))],
            "limits": [*_capacities(found), *_kept_up(found)],
            **tests,
        },
        options=tuple(options(choices_of(found.report))),
    )


def _head(view: LoadTestView) -> Content:
    return [
        path_to(RunPlace(view.run.id, view.run.id, KIND)),
        html.H1(view.verdict, className="verdict"),
        html.P(view.headline, className="also"),
        *_standing(view),
        *blocks.findings(view.findings),
        facts(view.facts),
    ]


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


def _kept_up(found: LoadTest) -> list[Component]:
    points = kept_up.kept_up(found.report.tests)
    if len(points) < FEWEST_POINTS:
        return []
    figure = chart(kept_up.kept_up_figure(points), "kept-up")
    return [section("Offered against achieved", figure, note=kept_up.CAPTION)]


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
            return _curve(curve.curves(test.answer.curve, tiers))
        case ComparisonAnswer() | TuningAnswer():
            return _effects(test.answer)
        case _ if test.mode in SEARCHES:
            return _curve(curve.curves_so_far(test.runs, tiers))
        case _:
            return _courses(test, found, tiers)


def _curve(drawn: curve.Curves) -> list[Component]:
    if len({each.rate_rps for each in drawn.points}) < FEWEST_POINTS:
        return []
    return _picture(chart(curve.load_curve_figure(drawn), "curve"), curve.CAPTION)


def _effects(answer: ComparisonAnswer | TuningAnswer) -> list[Component]:
    drawn = intervals.effects(answer)
    if not drawn.rows:
        return []
    said = intervals.COMPARED if isinstance(answer, ComparisonAnswer) else intervals.TUNED
    return _picture(chart(intervals.intervals_figure(drawn), "intervals"), said)


def _courses(test: TestReport, found: LoadTest, tiers: dict[str, Slo]) -> list[Component]:
    pictures: list[Component] = []
    if len(choices_of(found.report)) == 1:  # that one is looked into below
        return pictures
    for run in test.runs:
        outline = found.courses.get((run.configuration, test.scenario, run.key))
        if outline is not None and outline.windows:
            drawn = course.course(outline, run.measurement, tiers)
            pictures += _picture(
                chart(course.course_figure(drawn), "course"), course.caption(drawn)
            )
    return pictures


def _picture(figure: Component, caption: str) -> list[Component]:
    return [html.P(caption, className="note caption"), figure]
