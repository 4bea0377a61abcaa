"""What an interruption costs, where that is planted: lost requests, a slow while, a way back."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from simulated_fleet import BEGAN_S, queued, seen, spread

from loadtests.fleets.interruptions import Interruption, Interruptions
from loadtests.fleets.recovery import Recovery
from loadtests.fleets.spot import Drilled, spot_report

RATE_RPS, RUN_S, TOOK_S = 100.0, 40.0, 0.02


def drilled_run(at_s=(15.0,), *, disturbed_s=3.0, slow_factor=5.0, failed=0, seed=1):
    """At each instant: so many requests fail, and for so long all are slower by that factor."""
    rng = np.random.default_rng(seed)
    due_s = np.sort(rng.uniform(0, RUN_S, int(RATE_RPS * RUN_S)))
    took_s = TOOK_S * rng.lognormal(0, 0.2, len(due_s))
    members, bad = np.arange(len(due_s)) % 3, np.zeros(len(due_s), bool)
    for number, each_s in enumerate(at_s):
        took_s[(due_s >= each_s) & (due_s < each_s + disturbed_s)] *= slow_factor
        its = np.flatnonzero((due_s >= each_s) & (members == number % 3))
        bad[its[:failed]] = True
    found = spread(due_s, took_s, members, bad)
    done = tuple(
        Interruption(
            member=number % 3,
            noticed_s=BEGAN_S + each_s,
            drained_s=BEGAN_S + each_s,
            killed_s=BEGAN_S + each_s + 0.5,
            replacement=3 + number,
            replaced_s=BEGAN_S + each_s + 2,
            start_s=0.5,
        )
        for number, each_s in enumerate(at_s)
    )
    asked = Interruptions(at_s=at_s, notice_s=30, start_up_delay_s=90, time_scale=1 / 60)
    return seen(found), Drilled(asked, done, found)


@given(st.floats(0.5, 8), st.integers(0, 1000))
@settings(max_examples=12)
def test_the_way_back_is_as_long_as_the_disturbance(disturbed_s, seed):
    (cost,) = spot_report(*drilled_run(disturbed_s=disturbed_s, seed=seed)).interruptions
    back = cost.recovered_s
    resolution_s = back.high - back.low
    assert back.value == pytest.approx(disturbed_s, abs=0.2 + resolution_s)
    assert back.low <= back.value <= back.high
    assert back.high - back.low < 0.5


@given(st.integers(0, 10_000))
@settings(max_examples=30)
def test_what_is_not_disturbed_is_not_called_so(seed):
    (cost,) = spot_report(*drilled_run(disturbed_s=0.0, seed=seed)).interruptions
    assert cost.recovered_s.value == 0


@given(st.integers(0, 40))
@settings(max_examples=15)
def test_every_request_it_broke_is_counted_and_no_other(failed):
    report = spot_report(*drilled_run(failed=failed, disturbed_s=0))
    (cost,) = report.interruptions
    assert cost.broken == failed
    # The loss is looked for until all is as before, which so few failures in so many may escape.
    assert cost.lost == failed
    assert cost.goodput_lost.low <= failed <= cost.goodput_lost.high


def test_before_during_and_after_are_told_apart():
    (cost,) = spot_report(*drilled_run()).interruptions
    usual_s = cost.before.latency.value
    assert cost.during.latency.value == pytest.approx(5 * usual_s, rel=0.1)
    assert cost.after.latency.value == pytest.approx(usual_s, rel=0.1)
    assert cost.before.goodput_rps.value == pytest.approx(RATE_RPS, rel=0.1)
    assert cost.before.to_s == cost.noticed_s == cost.during.from_s == pytest.approx(15, abs=0.01)
    assert cost.during.to_s == pytest.approx(17, abs=0.01)  # replaced
    assert cost.after.from_s == pytest.approx(18, abs=0.1)  # not disturbed any more


def test_what_is_slower_than_the_limit_is_no_goodput():
    samples, drilled = drilled_run()
    (cost,) = spot_report(samples, drilled, Recovery(limit_s=0.06)).interruptions
    assert cost.lost == 0
    assert cost.goodput_lost.value == pytest.approx(3 * RATE_RPS, rel=0.15)
    assert cost.during.goodput_rps.value < 0.2 * RATE_RPS


def test_each_interruption_of_several_is_charged_with_its_own():
    samples, drilled = drilled_run((10, 20, 30), failed=4, disturbed_s=1)
    report = spot_report(samples, drilled)
    assert [each.broken for each in report.interruptions] == [4, 4, 4]
    assert [each.lost for each in report.interruptions] == [4, 4, 4]
    assert report.lost_each.value == 4
    assert report.lost_each.low < 4 < report.lost_each.high
    assert report.recovered_each_s.value == pytest.approx(1, abs=0.2)
    assert report.lost_per_hour(0.5).value == 2


@given(st.lists(st.floats(3, 35), min_size=1, max_size=6, unique=True), st.integers(0, 9))
@settings(max_examples=25)
def test_however_they_overlap_no_request_is_lost_twice(at_s, failed):
    samples, drilled = drilled_run(tuple(sorted(at_s)), failed=failed, disturbed_s=2)
    report = spot_report(samples, drilled)
    assert sum(each.lost for each in report.interruptions) <= samples.failed
    if len(at_s) == 1:
        assert report.interruptions[0].lost == samples.failed


def test_none_lost_thrice_is_not_never():
    """Garwood's bound for no event in three trials: -ln(0.025) / 3."""
    report = spot_report(*drilled_run((10, 20, 30), disturbed_s=0))
    assert report.lost_each.value == 0
    assert report.lost_each.high == pytest.approx(-np.log(0.025) / 3)


def test_missing_capacity_is_told_for_the_drill_and_at_full_length():
    report = spot_report(*drilled_run())
    (cost,) = report.interruptions
    assert cost.missing_s == pytest.approx(2)
    assert cost.missing_full_s == pytest.approx(90 + 0.5)
    assert report.missing_ratio(10).value == pytest.approx(10 * 90.5 / 3600)


def test_a_replacement_that_comes_after_the_load_did_not_come():
    samples, drilled = drilled_run((39.0,), disturbed_s=0)
    (cost,) = spot_report(samples, drilled).interruptions
    assert cost.replaced_s is None
    assert cost.missing_s == pytest.approx(1, abs=0.05)
    assert cost.during.to_s == pytest.approx(40, abs=0.05)


def test_the_load_may_end_before_all_is_well():
    samples, drilled = drilled_run((35.0,), disturbed_s=10)
    (cost,) = spot_report(samples, drilled).interruptions
    assert cost.recovered_s.value is None
    assert "before the load" in cost.reason


def test_with_nothing_before_it_nothing_is_compared():
    (cost,) = spot_report(*drilled_run((0.1,))).interruptions
    assert cost.recovered_s.value is None
    assert "too few" in cost.reason


def test_one_that_met_nobody_is_told_and_not_averaged():
    samples, drilled = drilled_run(failed=6)
    nobody = Interruption(member=None, noticed_s=BEGAN_S + 20, trouble="no replica was left")
    report = spot_report(
        samples, Drilled(drilled.asked, (*drilled.done, nobody), drilled.passages)
    )
    assert [each.member for each in report.interruptions] == [0, None]
    assert report.interruptions[1].reason == "no replica was left"
    assert report.lost_each.value == 6


def test_it_is_the_same_after_a_round_trip():
    report = spot_report(*drilled_run((10, 20), failed=3))
    assert type(report).model_validate_json(report.model_dump_json(by_alias=True)) == report
    assert type(report).model_validate_json(report.model_dump_json()) == report


def queued_run(seed, *, missing_s, rate_rps=120.0, service_s=0.0105):
    """Two that serve one at a time in turn; one is gone from 15 s on for so long."""
    rng = np.random.default_rng(seed)
    due_s = np.sort(rng.uniform(0, RUN_S, rng.poisson(rate_rps * RUN_S)))
    is_missing = (due_s >= 15) & (due_s < 15 + missing_s)
    members = np.where(is_missing, 1, np.arange(len(due_s)) % 2)
    took_s = np.empty(len(due_s))
    for member in (0, 1):
        its = members == member
        took_s[its] = queued(due_s[its], np.full(its.sum(), service_s))
    found = spread(due_s, took_s, members)
    done = Interruption(
        member=0, noticed_s=BEGAN_S + 15, drained_s=BEGAN_S + 15, killed_s=BEGAN_S + 15.5,
        replacement=2, replaced_s=BEGAN_S + 15 + max(missing_s, 0.6), start_s=0.5,
    )  # fmt: skip
    (cost,) = spot_report(
        seen(found), Drilled(Interruptions(at_s=(15,)), (done,), found)
    ).interruptions
    return cost.recovered_s


def test_a_busy_stretch_of_the_queue_is_not_taken_for_the_interruption():
    found = [queued_run(seed, missing_s=0).value for seed in range(30)]
    assert np.mean(np.array(found) == 0) > 0.9


def test_a_backlog_is_gone_when_theory_says():
    """120 a second less the 95 that one serves pile up; twice 95 less 120 take them away."""
    served_rps = 1 / 0.0105
    theory_s = 3 * (1 + (120 - served_rps) / (served_rps - 60))
    found = [queued_run(seed, missing_s=3) for seed in range(30)]
    assert np.median([each.value for each in found]) == pytest.approx(theory_s, rel=0.15)
