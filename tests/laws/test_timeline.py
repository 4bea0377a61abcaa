"""A run cut into windows: nothing is lost, and each figure is what a slow count gives."""

import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtests.errors import UsageError
from loadtests.samples import RECORD, Outcome, Samples
from loadtests.timeline import round_window_s, timeline, window_quantiles


def samples(due_s, taken_s, outcome=Outcome.SUCCEEDED):
    records = np.zeros(len(due_s), RECORD)
    records["due_us"] = records["sent_us"] = np.round(np.array(due_s, float) * 1e6)
    records["done_us"] = records["due_us"] + np.round(np.array(taken_s, float) * 1e6).astype(int)
    records["outcome"] = outcome
    return Samples(np.sort(records, order="due_us"))


@st.composite
def runs(draw):
    rows = draw(
        st.lists(
            st.tuples(st.floats(0, 20), st.floats(0.001, 5), st.sampled_from(list(Outcome))),
            min_size=1,
            max_size=60,
        )
    )
    due_s, taken_s, outcomes = zip(*rows, strict=True)
    return samples(due_s, taken_s, np.array(outcomes, np.uint16))


@given(runs())
def test_every_request_is_in_one_window(run):
    windows = timeline(run, window_s=1.0, duration_s=21.0)
    assert len(windows) == 21
    assert sum(each.offered_rps for each in windows) == pytest.approx(len(run))
    assert sum(each.dropped for each in windows) == run.dropped
    assert sum(each.failed for each in windows) == run.failed + run.unfinished


@given(runs())
def test_time_in_flight_adds_up_to_that_of_the_requests(run):
    windows = timeline(run, window_s=0.5, duration_s=30.0)
    records = run.records[run.is_sent]
    waited_s = float(np.sum(records["done_us"] - records["sent_us"])) / 1e6
    assert sum(each.in_flight * 0.5 for each in windows) == pytest.approx(waited_s, abs=1e-3)


@given(runs(), st.sampled_from([0.5, 0.95, 0.99]))
def test_a_windows_quantile_is_one_of_its_latencies(run, quantile):
    windows = timeline(run, window_s=5.0, duration_s=21.0)
    for each in windows:
        inside = run.latency_s[(run.due_s >= each.start_s) & (run.due_s < each.end_s)]
        found = {0.5: each.p50_s, 0.95: each.p95_s, 0.99: each.p99_s}[quantile]
        if len(inside) == 0:
            assert found is None
            continue
        least = next(v for v in np.sort(inside) if np.mean(inside <= v) >= quantile - 1e-9)
        assert found == (pytest.approx(least) if np.isfinite(least) else None)


def test_a_steady_run_is_the_same_in_every_window():
    run = samples(np.arange(0, 10, 0.01), np.full(1000, 0.1))
    windows = timeline(run, window_s=1.0, duration_s=10.0)
    assert [each.offered_rps for each in windows] == pytest.approx([100] * 10)
    assert [each.in_flight for each in windows[1:]] == pytest.approx([10] * 9)
    assert windows[0].in_flight == pytest.approx(9.5, abs=0.1)  # it begins with nothing in flight
    assert [each.p99_s for each in windows] == pytest.approx([0.1] * 10)
    assert windows[0].throughput_rps == pytest.approx(90, abs=1)


def test_dropped_requests_were_offered_and_not_achieved():
    outcome = np.where(np.arange(100) % 2, Outcome.DROPPED, Outcome.SUCCEEDED)
    windows = timeline(samples(np.arange(0, 10, 0.1), np.zeros(100), outcome), window_s=5.0)
    assert [each.offered_rps for each in windows] == pytest.approx([10, 10])
    assert [each.achieved_rps for each in windows] == pytest.approx([5, 5])
    assert windows[0].p95_s is None


def test_nothing_measured_has_no_windows():
    assert timeline(Samples(np.zeros(0, RECORD))) == ()


def test_one_request_has_one_window():
    assert len(timeline(samples([0.0], [0.1]))) == 1


@given(st.floats(0.01, 1e6))
def test_windows_are_round_and_few(span_s):
    width_s = round_window_s(span_s)
    assert span_s / width_s <= 120 * (1 + 1e-6)
    assert f"{width_s:.0e}"[0] in "125"
    assert width_s == pytest.approx(float(f"{width_s:.0e}"))


@pytest.mark.parametrize("window_s", [0.0, -1.0, float("nan"), float("inf")])
def test_a_window_is_a_length_of_time(window_s):
    with pytest.raises(UsageError):
        timeline(samples([0.0], [0.1]), window_s=window_s)


def test_quantiles_of_windows_take_no_value_from_a_neighbour():
    found = window_quantiles(np.array([1.0, 9, 2, 3, 4]), np.array([0, 2, 2, 5]), (0.5, 1.0))
    assert found.tolist() == [[1, np.inf, 3], [9, np.inf, 4]]


def test_a_million_requests_take_a_moment():
    rng = np.random.default_rng(1)
    run = samples(np.sort(rng.uniform(0, 600, 1_000_000)), rng.exponential(0.02, 1_000_000))
    began_s = time.perf_counter()
    assert len(timeline(run)) == 120
    assert time.perf_counter() - began_s < 5  # 0.3 s on a quiet core
