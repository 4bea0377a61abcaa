"""Has a running load said enough? Tried on simulated ones."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtests.queueing import sojourns
from loadtests.runner import Progress
from loadtests.samples import RECORD, Outcome
from loadtests.slo import LatencyObjective
from loadtests.watch import (
    DECIDED,
    OVER_SATURATED,
    floor_requests,
    is_over_saturated,
    open_watch,
)

TICK_S = 0.25
OBJECTIVE = LatencyObjective(0.95, 0.1)


def backlog_of(utilization, *, servers, mean_s, cv, seed, duration_s=10):
    """Requests in a simulated queue that starts empty, four times a second."""
    rng = np.random.default_rng(seed)
    rate_rps = utilization * servers / mean_s
    count = int(rate_rps * duration_s * 1.2) + 50
    due_s = np.cumsum(rng.exponential(1 / rate_rps, count))
    variance = np.log1p(cv**2)
    service_s = rng.lognormal(np.log(mean_s) - variance / 2, np.sqrt(variance), count)
    gaps_s = np.diff(due_s, prepend=0)[:, None]
    done_s = np.sort(due_s + sojourns(gaps_s, service_s[:, None], servers)[:, 0])
    ticks_s = np.arange(TICK_S, duration_s, TICK_S)
    return np.searchsorted(due_s, ticks_s) - np.searchsorted(done_s, ticks_s).astype(float)


def ever_over_saturated(backlog):
    """As the watch asks it: anew at each reading."""
    return any(is_over_saturated(backlog[:read]) for read in range(1, len(backlog) + 1))


QUEUES = [
    {"servers": 1, "mean_s": 0.01, "cv": 1.0},
    {"servers": 1, "mean_s": 0.005, "cv": 1.0},
    {"servers": 4, "mean_s": 0.02, "cv": 0.25},
]


@pytest.mark.parametrize("queue", QUEUES)
def test_a_stable_queue_is_not_over_saturated_however_busy(queue):
    """At 90 % load, after the start from empty, in at least 36 of 40 runs, watched all along."""
    fired = sum(ever_over_saturated(backlog_of(0.9, **queue, seed=seed)) for seed in range(40))
    assert fired <= 4


@pytest.mark.parametrize("queue", QUEUES)
def test_a_queue_offered_more_than_it_can_serve_is_found_over_saturated(queue):
    fired = sum(ever_over_saturated(backlog_of(1.3, **queue, seed=seed)) for seed in range(20))
    assert fired >= 18


@given(st.floats(5, 500), st.integers(10, 40))
def test_a_backlog_that_grows_evenly_is_over_saturated(growth, readings):
    assert is_over_saturated(growth * np.arange(1, readings + 1))


@given(st.lists(st.integers(0, 11), max_size=60))
def test_a_handful_in_flight_is_no_backlog(backlog):
    assert not is_over_saturated(np.array(backlog, float))


@given(st.floats(0, 1000), st.integers(1, 60))
def test_a_backlog_that_stands_is_not_over_saturated(level, readings):
    assert not is_over_saturated(np.full(readings, level))


def test_one_burst_of_waiting_is_not_over_saturation():
    """A stall fills the queue at once; it is the growth that counts, again and again."""
    backlog = np.array([3.0] * 12 + [200.0] * 8 + [20.0] * 4 + [3.0] * 8)
    assert not ever_over_saturated(backlog)


def test_too_few_readings_say_nothing():
    assert not is_over_saturated(np.arange(7) * 1000.0)
    assert is_over_saturated(np.arange(8) * 1000.0)


@given(st.floats(0, 1), st.floats(0, 1))
def test_a_busier_queue_needs_no_fewer_requests(one, other):
    idle, busy = sorted((one, other))
    assert 200 <= floor_requests(idle) <= floor_requests(busy)


def test_the_floor_grows_as_the_inverse_square_of_what_is_idle():
    assert floor_requests(0.5) == 400
    assert floor_requests(0.8) == pytest.approx(2500, abs=1)
    assert floor_requests(0.9) == pytest.approx(10_000, abs=1)


def progress(latencies_s, *, in_flight=0, dropped=0, elapsed_s=1.0):
    """A run whose finished requests took these; infinite for one that failed."""
    latencies_s = np.array(latencies_s, float)
    records = np.zeros(len(latencies_s), RECORD)
    records["due_us"] = 1000 * np.arange(len(records))
    good = np.isfinite(latencies_s)
    records["done_us"] = records["due_us"] + np.where(good, latencies_s, 0) * 1e6
    records["outcome"] = np.where(good, Outcome.SUCCEEDED, Outcome.REFUSED)
    shuffled = np.random.default_rng(0).permutation(records)
    return Progress(elapsed_s, len(records), in_flight, dropped, lambda: shuffled)


def latencies(share_above, count=1000):
    rng = np.random.default_rng(3)
    return np.where(rng.random(count) < share_above, 0.2, 0.05)


@pytest.mark.parametrize("share_above", [0.0, 0.01, 0.15, 0.5, 1.0])
def test_a_clear_verdict_ends_the_run(share_above):
    assert open_watch((OBJECTIVE,), floor=200)(progress(latencies(share_above))) == DECIDED


@pytest.mark.parametrize("share_above", [0.045, 0.055])
def test_a_close_verdict_needs_more_requests(share_above):
    assert open_watch((OBJECTIVE,), floor=200)(progress(latencies(share_above))) is None


@pytest.mark.parametrize("share_above", [0.0, 0.5])
def test_nothing_is_decided_before_the_floor(share_above):
    watch = open_watch((OBJECTIVE,), floor=400)
    assert watch(progress(latencies(share_above, 399))) is None
    assert watch(progress(latencies(share_above, 400))) == DECIDED


def test_failures_count_as_latencies_above_the_limit():
    mixed = np.where(np.random.default_rng(5).random(1000) < 0.5, np.inf, 0.001)
    assert open_watch((OBJECTIVE,), floor=200)(progress(mixed)) == DECIDED
    rare = np.where(np.random.default_rng(5).random(1000) < 0.05, np.inf, 0.001)
    assert open_watch((OBJECTIVE,), floor=200)(progress(rare)) is None


def test_correlated_latencies_decide_later_than_independent_ones():
    """2 % are above the limit either way: scattered, or in one burst that may come again."""
    scattered = np.full(1000, 0.05)
    scattered[500::50] = 0.2
    scattered[505::50] = 0.2
    burst = np.full(1000, 0.05)
    burst[700:720] = 0.2
    assert open_watch((OBJECTIVE,), floor=200)(progress(scattered)) == DECIDED
    assert open_watch((OBJECTIVE,), floor=200)(progress(burst)) is None


def test_a_growing_backlog_stops_the_run_and_is_told():
    watch = open_watch((OBJECTIVE,), floor=10**9)
    said = [watch(progress([], in_flight=20 * tick)) for tick in range(1, 20)]
    assert OVER_SATURATED in said
    assert watch.over_saturated


def test_a_backlog_hidden_by_full_connections_is_seen_among_the_dropped():
    """Every connection is taken within a second; from then on requests are dropped, not queued."""
    watch = open_watch((OBJECTIVE,), floor=10**9)
    said = [
        watch(progress([], in_flight=min(150 * tick, 256), dropped=max(150 * tick - 256, 0)))
        for tick in range(1, 20)
    ]
    assert OVER_SATURATED in said


def test_a_stable_run_goes_on_to_its_end():
    watch = open_watch((OBJECTIVE,), floor=10**9)
    said = [watch(progress([], in_flight=15 + tick % 3)) for tick in range(40)]
    assert set(said) == {None}
    assert not watch.over_saturated


def test_with_nothing_to_decide_a_run_is_watched_for_its_backlog_alone():
    watch = open_watch((), floor=10)
    assert watch(progress(latencies(0.5))) is None


def test_several_objectives_are_all_decided_before_a_run_ends():
    loose = LatencyObjective(0.5, 0.1)
    clear, close = latencies(0.0), latencies(0.045)
    assert open_watch((OBJECTIVE, loose), floor=200)(progress(clear)) == DECIDED
    assert open_watch((loose,), floor=200)(progress(close)) == DECIDED
    assert open_watch((OBJECTIVE, loose), floor=200)(progress(close)) is None


def test_a_long_run_keeps_few_readings_and_still_sees_a_backlog_grow():
    """Two hours of calm, and then a queue that grows by 30 each second."""
    watch, calm = open_watch((), floor=10), 2 * 3600 * 4
    said = [watch(progress([], in_flight=15 + tick % 3)) for tick in range(calm)]
    assert set(said) == {None}
    assert len(watch.parts[0].readings) <= 512
    grown = (watch(progress([], in_flight=15 + 7 * tick)) for tick in range(4 * 600))
    assert OVER_SATURATED in grown
