"""Laws of what is made from simulated queues: curves, warm-up cuts, effective sample sizes."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtests.intervals import BATCHES
from loadtests.queueing import (
    LatencyCurve,
    Queue,
    latency_curve,
    mmc_sojourn_quantile,
    sojourns,
    tail_inflation,
    warmup_length,
)
from loadtests.samples import quantile_bound

QUANTILES = (0.5, 0.95, 0.99)


def queue(utilization, count, seed, *, servers=1):
    """Sojourns, in mean service times, of an M/M/c queue that starts empty."""
    rng = np.random.default_rng(seed)
    gaps = rng.exponential(1 / (utilization * servers), (count, 1))
    return sojourns(gaps, rng.exponential(size=(count, 1)), servers)[:, 0]


@pytest.fixture(scope="module")
def curve():
    service_s = np.random.default_rng(1).lognormal(-4, 0.5, 500)
    return latency_curve(service_s, Queue(3), QUANTILES, seed=2, customers=1500)


def test_latency_never_falls_as_load_rises(curve):
    assert np.all(np.diff(curve.sojourns, axis=2) >= 0)


def test_a_higher_quantile_is_never_faster(curve):
    assert np.all(np.diff(curve.sojourns, axis=1) >= 0)


def test_an_idle_server_takes_its_service_time(curve):
    """To 10 %: three servers at 5 % load hardly ever make anyone wait."""
    service_s = np.random.default_rng(1).lognormal(-4, 0.5, 500)
    unit = service_s / service_s.mean()
    for quantile in QUANTILES:
        idle = float(curve.at(np.array(0.05), quantile))
        assert idle == pytest.approx(np.quantile(unit, quantile), rel=0.1)


def test_at_saturation_latency_has_no_bound(curve):
    assert np.all(np.isinf(curve.at(np.array([1.0, 1.5]), 0.95)))
    assert np.all(np.isfinite(curve.at(np.array([0.0, 0.5, 0.999]), 0.95)))


def test_the_same_seed_gives_the_same_curve():
    service_s = np.random.default_rng(1).exponential(0.01, 100)
    one, other, another = (
        latency_curve(service_s, Queue(2), (0.9,), seed=seed, customers=300) for seed in (3, 3, 4)
    )
    assert np.array_equal(one.sojourns, other.sojourns)
    assert not np.array_equal(one.sojourns, another.sojourns)


def test_a_curve_has_no_unit():
    """Twice the service times, the same curve in mean service times."""
    service_s = np.random.default_rng(1).exponential(0.01, 100)
    slow, fast = (
        latency_curve(service_s * scale, Queue(2), (0.9,), seed=3, customers=300)
        for scale in (2, 1)
    )
    assert slow.sojourns == pytest.approx(fast.sojourns)


def test_fewer_measured_times_leave_more_open():
    """The spread between replications holds what the bootstrap of the measured times says."""
    rng = np.random.default_rng(5)

    def spread(count):
        drawn = latency_curve(
            rng.exponential(size=count), Queue(1), (0.95,), seed=1, replications=24
        )
        found = drawn.largest_utilization(0.95, 6.0) / drawn.mean_factors
        return found.std() / found.mean()

    assert spread(30) > 2 * spread(3000)


rising = st.lists(st.floats(0.01, 5), min_size=2, max_size=30).map(np.cumsum)


@given(rising, st.floats(0, 1))
def test_the_largest_utilization_is_the_inverse_of_the_curve(values, where):
    grid = np.linspace(0.05, 0.95, len(values))
    planted = LatencyCurve(Queue(), (0.9,), grid, values[None, None, :], np.ones(1))
    limit = values[0] + where * (values[-1] - values[0])
    found = planted.largest_utilization(0.9, limit)
    assert found.shape == (1,)
    assert float(planted.at(found, 0.9)[0]) == pytest.approx(limit, rel=1e-6)


@given(rising, st.floats(0, 200), st.floats(0, 200))
def test_a_looser_limit_allows_no_lower_load(values, one, other):
    grid = np.linspace(0.05, 0.95, len(values))
    planted = LatencyCurve(Queue(), (0.9,), grid, values[None, None, :], np.ones(1))
    strict, loose = sorted((one, other))
    allowed = [float(planted.largest_utilization(0.9, limit)[0]) for limit in (strict, loose)]
    assert 0 <= allowed[0] <= allowed[1] <= 0.95
    assert (allowed[0] == 0) == (strict < values[0])


def test_independent_requests_are_worth_their_number():
    rng = np.random.default_rng(7)
    found = [tail_inflation(rng.random(4000) < 0.05) for _ in range(100)]
    assert min(found) >= 1
    assert np.median(found) < 1.3
    assert np.quantile(found, 0.95) < 2


def test_requests_of_a_busy_queue_are_worth_far_fewer():
    inflations = {}
    for utilization in (0.3, 0.6, 0.9):
        found = []
        for seed in range(10):
            taken = queue(utilization, 10_000, seed)[2000:]
            found.append(tail_inflation(taken > np.quantile(taken, 0.95)))
        inflations[utilization] = np.median(found)
    assert 1.5 < inflations[0.6] < inflations[0.9]
    assert inflations[0.3] < inflations[0.6]
    assert inflations[0.9] > 20


@pytest.mark.parametrize(("utilization", "quantile"), [(0.5, 0.5), (0.5, 0.95), (0.8, 0.95)])
def test_an_interval_so_widened_holds_the_truth_about_as_often_as_it_says(utilization, quantile):
    runs, count = 100, int(240 / (1 - utilization) ** 2)
    rng = np.random.default_rng(11)
    gaps = rng.exponential(1 / utilization, (count, runs))
    taken = sojourns(gaps, rng.exponential(size=(count, runs)), 1)
    truth = mmc_sojourn_quantile(quantile, utilization, 1.0, 1)
    held = 0
    for run in taken.T:
        inflation = tail_inflation(run > np.quantile(run, quantile), batches=BATCHES)
        bound = quantile_bound(run, quantile, inflation=inflation)
        held += bound.low <= truth and (bound.high is None or truth <= bound.high)
    assert 0.84 * runs <= held


@pytest.mark.parametrize("exceeds", [np.zeros(500, bool), np.ones(500, bool), np.ones(0, bool)])
def test_where_all_are_alike_no_correlation_shows(exceeds):
    assert tail_inflation(exceeds) == 1


@given(st.lists(st.booleans(), max_size=500))
def test_a_request_is_never_worth_more_than_one(exceeds):
    assert tail_inflation(np.array(exceeds, bool)) >= 1


@pytest.mark.parametrize("length", [100, 300, 600])
def test_a_planted_transient_is_cut_and_little_else(length):
    """Latency starts five standard deviations high and settles evenly over `length` requests."""
    settling = np.clip(1 - np.arange(3000) / length, 0, None)
    for seed in range(20):
        values = np.random.default_rng(seed).normal(10, 1, 3000) + 5 * settling
        assert 0.6 * length <= warmup_length(values) <= length + 600


def test_a_slow_start_from_empty_is_cut():
    """Latency that starts low counts as a transient as well."""
    values = np.random.default_rng(3).normal(10, 1, 2000)
    values[:200] = 3
    assert 200 <= warmup_length(values) <= 500


def test_nothing_is_cut_from_what_never_changes():
    for value in (0.0, 0.0123, 7.7):
        assert warmup_length(np.full(997, value)) == 0


def test_independent_values_lose_little():
    rng = np.random.default_rng(11)
    cuts = [warmup_length(rng.exponential(size=2000)) for _ in range(60)]
    assert np.median(cuts) < 200


@given(st.lists(st.floats(0, 1e3), max_size=400))
def test_a_cut_leaves_at_least_half(values):
    cut = warmup_length(np.array(values))
    assert 0 <= cut <= len(values) / 2
    assert cut % 5 == 0


def test_a_handful_of_values_is_left_alone():
    assert warmup_length(np.array([100.0] * 10 + [1.0] * 25)) == 0
