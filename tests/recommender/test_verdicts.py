import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtests.slo import ErrorRateObjective, Verdict, parse_slo
from recommender.recommendation import RejectReason
from recommender.verdicts import (
    Errors,
    Judge,
    judge_errors,
    judge_latency,
    latency_of,
    median_of,
    range_of,
    requests_to_settle,
    verdict_at,
)

SLO = parse_slo("p50<20ms, p95<100ms, error_rate<1%")
CLEAN = Errors(0, 10_000)
FAST, SLOW = np.full(10, 0.01), np.full(10, 0.5)


@given(st.floats(0, 1), st.floats(0.51, 0.99))
def test_a_verdict_is_met_only_at_the_confidence_asked_for(probability, confidence):
    assert (verdict_at(probability, confidence) is Verdict.MET) == (probability >= confidence)


def test_between_met_and_missed_lies_unknown():
    assert verdict_at(0.5, 0.8) is Verdict.UNKNOWN
    assert verdict_at(0.1, 0.8) is Verdict.MISSED


def test_each_latency_objective_has_its_own_probability():
    mixed = np.array([0.01] * 5 + [0.2] * 5)
    verdicts, _ = Judge(SLO, CLEAN, 0.8).judge({0.5: FAST, 0.95: mixed})
    assert [each.probability for each in verdicts] == [1.0, 0.5, None]


def test_all_met_is_no_rejection():
    verdicts, rejection = Judge(SLO, CLEAN, 0.8).judge({0.5: FAST, 0.95: FAST})
    assert rejection is None
    assert {each.verdict for each in verdicts} == {Verdict.MET}


def test_what_nothing_measured_tells_is_rejected_and_never_met():
    verdicts, rejection = Judge(SLO, CLEAN, 0.8).judge({0.5: FAST, 0.95: None})
    assert verdicts[1].verdict is Verdict.UNKNOWN
    assert rejection.reason is RejectReason.NEEDS_MEASUREMENT


def test_a_miss_weighs_more_than_a_doubt():
    _, rejection = Judge(SLO, Errors(0, 10), 0.8).judge({0.5: FAST, 0.95: SLOW})
    assert rejection.reason is RejectReason.MISSES_SLO
    assert rejection.margin_ratio == pytest.approx(-4)


def test_probably_is_not_surely():
    mixed = np.array([0.01] * 6 + [0.2] * 4)
    _, rejection = Judge(SLO, CLEAN, 0.8).judge({0.5: FAST, 0.95: mixed})
    assert rejection.reason is RejectReason.UNCERTAIN
    assert "60%" in rejection.detail
    assert "80%" in rejection.detail


def test_a_queue_without_steady_state_leaves_no_margin_to_tell():
    found = judge_latency(SLO.latency[0], np.full(10, np.inf), 0.8)
    assert found.verdict is Verdict.MISSED
    assert found.margin_ratio is None


def test_no_request_at_all_establishes_no_error_rate():
    found = judge_errors(ErrorRateObjective(0.01), Errors(0, 0), 0.8)
    assert found.verdict is Verdict.UNKNOWN


def test_too_few_requests_say_how_many_more_would_do():
    _, rejection = Judge(SLO, Errors(0, 20), 0.8).judge({0.5: FAST, 0.95: FAST})
    assert rejection.reason is RejectReason.INCONCLUSIVE
    assert "0 of 20 requests failed; about 51 more" in rejection.detail
    assert "--measure-s" in rejection.remedy


@given(
    st.integers(0, 50),
    st.integers(1, 2000),
    st.sampled_from([0.001, 0.01, 0.05]),
    st.floats(0.55, 0.95),
)
def test_as_many_requests_as_are_said_to_be_enough_are(bad, requests, limit, confidence):
    errors = Errors(min(bad, requests), requests)
    objective = ErrorRateObjective(limit)
    enough = requests_to_settle(errors, limit, confidence)
    if (
        enough is None
        or judge_errors(objective, errors, confidence).verdict is not Verdict.UNKNOWN
    ):
        return
    times = -(-enough // requests)
    assert enough > requests
    more = Errors(errors.bad * times, requests * times)
    assert judge_errors(objective, more, confidence).verdict is not Verdict.UNKNOWN


def test_errors_exactly_at_the_limit_are_never_settled():
    _, rejection = Judge(SLO, Errors(10, 1000), 0.8).judge({0.5: FAST, 0.95: FAST})
    assert rejection.reason is RejectReason.INCONCLUSIVE
    assert "no number" in rejection.detail


def test_errors_above_the_limit_are_a_miss():
    _, rejection = Judge(SLO, Errors(500, 10_000), 0.8).judge({0.5: FAST, 0.95: FAST})
    assert rejection.reason is RejectReason.MISSES_SLO
    assert "500 of 10000" in rejection.detail


@given(st.lists(st.floats(0, 100) | st.just(np.inf), min_size=1, max_size=50).map(np.array))
def test_a_range_is_ordered_and_its_ends_are_draws(draws):
    if not np.isfinite(median_of(draws)):
        return
    found = range_of(draws)
    assert found.low <= found.median <= (np.inf if found.high is None else found.high)
    assert {found.low, found.median} <= set(draws)


def test_an_infinite_latency_is_written_as_none():
    found = latency_of({0.5: FAST, 0.9: FAST, 0.95: None, 0.99: np.full(3, np.inf)})
    assert (found.p50, found.p90, found.p95, found.p99) == (0.01, 0.01, None, None)
