import json

import pytest

from dashboard.figures.course import caption, course, course_figure
from dashboard.figures.intervals import capacities, effects, intervals_figure
from dashboard.figures.load_curve import curves, load_curve_figure
from loadtests.measurement import Interval
from loadtests.validity import Status


@pytest.fixture
def report(tested):
    return tested.report


def answer_of(report, mode):
    return next(each.answer for each in report.tests if each.mode == mode)


def test_every_quantile_of_every_run_of_a_profile_is_drawn(report):
    curve = answer_of(report, "profile").curve
    figure = load_curve_figure(curves(curve, report.plan.tiers))
    assert [each.name for each in figure.data] == ["p50", "p95", "p99"]
    for trace, quantile in zip(figure.data, (0.5, 0.95, 0.99), strict=True):
        seconds = [
            one.seconds.value
            for point in curve.points
            for one in point.latency
            if one.quantile == quantile
        ]
        assert list(trace.y) == seconds
        assert list(trace.x) == [point.rate_rps for point in curve.points]


def test_a_run_that_is_in_doubt_has_a_hollow_mark(report):
    curve = answer_of(report, "profile").curve
    first, *others = curve.points
    sound = [each.model_copy(update={"validity": Status.VALID}) for each in others]
    doubtful = first.model_copy(update={"over_saturated": True})
    drawn = curves(curve.model_copy(update={"points": (doubtful, *sound)}), report.plan.tiers)
    symbols = load_curve_figure(drawn).data[1].marker.symbol
    assert list(symbols) == ["circle-open", *["circle"] * len(sound)]


def test_a_bar_without_an_upper_end_reaches_the_frame(report):
    drawn = curves(answer_of(report, "profile").curve, report.plan.tiers)
    point = drawn.points[0]._replace(high_s=None)
    figure = load_curve_figure(drawn._replace(points=(point, *drawn.points[1:])))
    trace = next(each for each in figure.data if each.name == f"p{point.quantile * 100:g}")
    frame_s = 10 ** figure.layout.yaxis.range[1]
    assert trace.y[0] + trace.error_y.array[0] == pytest.approx(frame_s)


def test_the_knee_and_the_saturation_are_marked_where_they_are(report):
    curve = answer_of(report, "profile").curve
    figure = load_curve_figure(curves(curve, report.plan.tiers))
    upright = [each.x0 for each in figure.layout.shapes if each.x0 == each.x1]
    assert upright == [curve.knee.rate_rps.value, curve.saturation.measured_rps]
    knee = curve.knee.model_copy(update={"rate_rps": Interval(value=None), "reason": "none"})
    unseen = curves(curve.model_copy(update={"knee": knee}), report.plan.tiers)
    upright = [each.x0 for each in load_curve_figure(unseen).layout.shapes if each.x0 == each.x1]
    assert upright == [curve.saturation.measured_rps]


def test_objectives_within_the_frame_are_lines(report):
    drawn = curves(answer_of(report, "profile").curve, report.plan.tiers)
    assert [each.text for each in drawn.limits] == ["gold: p95 < 30 ms", "silver: p95 < 200 ms"]
    figure = load_curve_figure(drawn)
    top_s = 10 ** figure.layout.yaxis.range[1]
    level = [each.y0 for each in figure.layout.shapes if each.y0 == each.y1]
    assert level == [each.seconds for each in drawn.limits if each.seconds <= top_s]


def test_capacities_stand_by_configuration_and_tier_with_their_intervals(report):
    drawn = capacities(report.tests)
    tiers = [
        (test.configurations[0], tier)
        for test in report.tests
        if test.mode == "capacity"
        for tier in test.answer.tiers
    ]
    assert [row.label for row in drawn.rows] == [f"{name}, {tier.tier}" for name, tier in tiers]
    assert [(row.value, row.low, row.high, row.mark) for row in drawn.rows] == [
        (
            tier.capacity_rps.value,
            tier.capacity_rps.low,
            tier.capacity_rps.high,
            tier.saturation_rps,
        )
        for _, tier in tiers
    ]
    gold, silver, saturated = intervals_figure(drawn).data
    assert (gold.name, silver.name, saturated.name) == ("gold", "silver", "saturated")
    assert gold.marker.symbol != silver.marker.symbol
    assert gold.x[0] + gold.error_x.array[0] == pytest.approx(drawn.rows[0].high)


def test_a_comparison_is_drawn_in_percent_with_what_still_passes(report):
    answer = answer_of(report, "compare")
    latency, errors = effects(answer).rows
    ratio = answer.comparisons[0].differences[0].difference
    assert latency.value == pytest.approx(100 * (ratio.value - 1))
    assert (latency.low, latency.high) == pytest.approx(
        (100 * (ratio.low - 1), 100 * (ratio.high - 1))
    )
    assert (latency.kind, latency.mark) == ("fail", pytest.approx(5))
    assert (errors.kind, errors.mark) == ("pass", pytest.approx(1))
    share = answer.comparisons[0].differences[1].difference
    assert errors.high == pytest.approx(100 * share.high)


def test_what_is_not_known_of_an_effect_is_not_drawn(report):
    answer = answer_of(report, "tune")
    known = effects(answer).rows
    assert [row.kind for row in known] == ["baseline", "against the baseline"] * 2
    first, second, *rest = answer.tuning.effects
    lost = second.model_copy(update={"percent": None, "low": None, "high": None})
    tuning = answer.tuning.model_copy(update={"effects": (first, lost, *rest)})
    left = effects(answer.model_copy(update={"tuning": tuning})).rows
    assert left == (known[0], *known[2:])


def test_an_end_that_is_open_reaches_the_frame(report):
    drawn = capacities(report.tests)
    row = drawn.rows[0]._replace(high=None)
    figure = intervals_figure(drawn._replace(rows=(row,)))
    trace = figure.data[0]
    assert trace.x[0] + trace.error_x.array[0] == pytest.approx(figure.layout.xaxis.range[1])


def test_names_from_a_plan_cannot_become_markup(report):
    drawn = capacities(report.tests)
    row = drawn.rows[0]._replace(label="<img src=x>", kind="<b>", hover="<script>")
    text = json.dumps(intervals_figure(drawn._replace(rows=(row,))).to_dict(), default=str)
    for tag in ("<img", "<b>", "<script"):
        assert tag not in text


def seen(tested, scenario):
    """A run of it, and its outline."""
    run = next(each for each in tested.report.tests if each.scenario == scenario).runs[0]
    return run.measurement, tested.courses[run.configuration, scenario, run.key]


def test_a_run_is_drawn_as_it_went(tested):
    run, outline = seen(tested, "fixed burst")
    windows = outline.windows
    figure = course_figure(course(outline, run, tested.report.plan.tiers))
    traces = {each.name: each for each in figure.data}
    assert set(traces) == {
        "answered well", "sent", "offered", "p50", "p95", "p99", "p95 of service",
    }  # fmt: skip
    width_s = windows[0].end_s - windows[0].start_s
    assert sum(traces["offered"].y[:-1]) * width_s == pytest.approx(run.due)
    assert list(traces["p95"].y[:-1]) == [each.p95_s for each in windows]
    assert list(traces["p95 of service"].y[:-1]) == [each.service_p95_s for each in windows]


def test_to_users_who_wait_nothing_is_offered(tested):
    run, outline = seen(tested, "fixed STAIRS")
    drawn = course(outline, run, tested.report.plan.tiers)
    assert "offered" not in drawn.rates_rps
    assert drawn.service_s == ()
    assert "closed loop" in caption(drawn)


def test_windows_in_which_failures_reach_into_a_quantile_are_left_out(tested):
    run, outline = seen(tested, "fixed burst")
    first, *others = outline.windows
    windows = (first.model_copy(update={"p99_s": None}), *others)
    broken = outline.model_copy(update={"windows": windows})
    figure = course_figure(course(broken, run, tested.report.plan.tiers))
    p99 = next(each for each in figure.data if each.name == "p99")
    assert p99.y[0] is None
    assert p99.y[1] == windows[1].p99_s


def test_a_tier_that_even_one_request_at_a_time_misses_has_no_capacity_to_draw(report):
    test = report.tests[0]
    none, found = test.answer.tiers
    tiers = (none.model_copy(update={"basis": "none"}), found)
    answer = test.answer.model_copy(update={"tiers": tiers})
    (row,) = capacities([test.model_copy(update={"answer": answer})]).rows
    assert (row.label, row.kind, row.value) == ("1 vCPU", "capacity", found.capacity_rps.value)
