"""What the page of the model draws is what was scored."""

import datetime as dt

import pytest

from dashboard.figures.scorecard import (
    calibration_figure,
    comparable,
    errors_figure,
    kind_named,
    looks,
    replay_figure,
)
from dashboard.pages import model
from recommender.performance.scorecard import (
    CalibrationCurve,
    MethodScore,
    ReplayCurve,
    ReplayPoint,
    Scorecard,
    Validation,
)


def score(kind="web", method="ours", error=0.2, **changes):
    usual = {
        "left_out": "workload", "p90_error": 0.5, "spearman": 0.95, "regret": 0.1,
        "coverage_80": 0.8, "width_80": 2.0, "tasks": 3, "predictions": 900,
    }  # fmt: skip
    return MethodScore(kind=kind, method=method, error=error, **(usual | changes))


SCORES = (
    score(),
    score(method="vCPU ratio", error=0.7, coverage_80=None, width_80=None),
    score(kind="decode", error=0.3),
)
CURVES = (
    CalibrationCurve(
        kind="web", left_out="family", nominal=(0.5, 0.8), observed=(0.4, 0.85), predictions=10
    ),
)
REPLAYS = (
    ReplayCurve(
        policy="planner",
        points=(
            ReplayPoint(measurements=1, regret=0.2, low=0.0, high=0.5),
            ReplayPoint(measurements=2, regret=0.0, low=0.0, high=0.1),
        ),
        replays=40,
    ),
)
HOW = Validation(made_on=dt.date(2026, 11, 21), command="recommender model validate --data DIR")


def test_each_method_has_a_mark_in_the_row_of_each_kind_it_was_scored_on():
    figure = errors_figure(SCORES)
    rows = figure.layout.yaxis
    kind_at = dict(zip(rows.tickvals, rows.ticktext, strict=True))
    drawn = {
        (kind_at[y], trace.name, x)
        for trace in figure.data
        for x, y in zip(trace.x, trace.y, strict=True)
    }
    assert drawn == {(kind_named(each.kind), each.method, each.error) for each in SCORES}


def test_methods_are_compared_where_all_of_them_were_scored():
    alone = score(left_out="silicon", error=0.9)
    assert comparable([*SCORES, alone]) == list(SCORES)


def test_an_interval_that_holds_what_it_says_lies_on_the_diagonal():
    diagonal, curve = calibration_figure(CURVES).data
    assert tuple(diagonal.x) == tuple(diagonal.y)
    assert dict(zip(curve.x, curve.y, strict=True)) == {0: 0, 0.5: 0.4, 0.8: 0.85, 1: 1}


def test_a_regret_of_nothing_is_still_drawn_on_a_logarithmic_axis():
    *_, line = replay_figure(REPLAYS).data
    assert line.y[0] == 0.2
    assert 0 < line.y[1] < 0.01


def test_no_two_of_many_curves_look_alike():
    names = [f"curve {n}" for n in range(12)]
    assert len(set(looks(names).values())) == 12


def test_the_page_says_how_to_make_the_scores_again():
    page = model.layout(Scorecard(validated=HOW, scores=SCORES, calibration=CURVES))
    assert HOW.command in str(page)
    assert "2026-11-21" in str(page)


@pytest.mark.parametrize("figure", ["replay", "calibration", "scores"])
def test_what_was_not_scored_is_not_drawn(figure):
    assert f"chart {figure}" not in str(model.layout(Scorecard()))


def test_the_scores_that_are_shipped_are_shown():
    card = Scorecard.bundled()
    page = str(model.layout(card))
    assert card.validated.command in page
    assert card.replayed.command in page
    assert {each.method for each in card.scores} > {"ours"}
