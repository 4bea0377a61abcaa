"""Arrivals in bursts, and servers that a quota holds: against closed forms and slower twins."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import brentq

from loadtests.queueing import Queue, Quota, latency_curve, throttled_sojourns

CUSTOMERS, REPLICATIONS, DISCARDED = 10_000, 60, 2000


def sigma_root(utilization, cv):
    """sigma = A*(1 - sigma), G/M/1 with services of mean 1 (Kleinrock 1975, Queueing Systems)."""
    shape = 1 / cv**2
    transform = lambda s: (1 + s / (shape * utilization)) ** -shape  # noqa: E731
    return brentq(lambda sigma: transform(1 - sigma) - sigma, 1e-12, 1 - 1e-9)


def simulated(queue, utilization, service, seed=3):
    rng = np.random.default_rng(seed)
    shape = (CUSTOMERS, REPLICATIONS)
    gaps = queue.gaps(rng, shape) / (utilization * queue.capacity)
    return queue.sojourns(gaps, service(rng, shape))[DISCARDED:]


def exponential(rng, shape):
    return rng.exponential(size=shape)


@pytest.mark.parametrize("cv", [0.5, 2.0, 3.0])
@pytest.mark.parametrize("utilization", [0.3, 0.6])
def test_sojourns_of_g_m_1_are_exponential_with_the_sigma_root(cv, utilization):
    taken = simulated(Queue(1, cv), utilization, exponential)
    rate = 1 - sigma_root(utilization, cv)
    for quantile in (0.5, 0.95):
        truth = -np.log(1 - quantile) / rate
        found = np.quantile(taken, quantile, axis=0)
        error = found.std(ddof=1) / np.sqrt(REPLICATIONS)
        assert found.mean() == pytest.approx(truth, abs=4 * error + 0.005 * truth)
        assert error < 0.06 * truth


@pytest.mark.parametrize(("cv", "slack"), [(0.5, 0.06), (2.0, 0.08), (3.0, 0.1)])
def test_the_curve_of_bursty_arrivals_is_that_of_theory(cv, slack):
    service_s = np.random.default_rng(12).exponential(0.02, 5000)
    queue = Queue(1, cv)
    curve = latency_curve(service_s, queue, (0.5, 0.95), seed=1, customers=12_000)
    for utilization in (0.3, 0.6):
        for quantile in (0.5, 0.95):
            truth = -np.log(1 - quantile) / (1 - sigma_root(utilization, cv))
            assert float(curve.at(np.array(utilization), quantile)) == pytest.approx(
                truth, rel=slack
            )


@pytest.mark.parametrize("cv", [0.3, 1.0, 3.0])
def test_gaps_have_the_mean_and_the_variation_asked_for(cv):
    gaps = Queue(1, cv).gaps(np.random.default_rng(1), (400_000, 1))
    assert gaps.mean() == pytest.approx(1, rel=0.02)
    assert gaps.std() / gaps.mean() == pytest.approx(cv, rel=0.03)


@pytest.mark.parametrize("servers", [1, 2, 4])
def test_burstier_arrivals_wait_longer_at_the_same_rate(servers):
    service_s = np.random.default_rng(2).lognormal(-4, 0.5, 400)
    curves = [
        latency_curve(service_s, Queue(servers, cv), (0.5, 0.95), seed=1, customers=2000)
        for cv in (0.5, 1.0, 3.0)
    ]
    at = [float(curve.at(np.array(0.6), 0.95)) for curve in curves]
    assert at[0] < at[1] < 0.8 * at[2]


def test_little_s_law_holds_for_bursts():
    """The time integral of the number present is the sum of the sojourns."""
    queue, rng = Queue(3, 2.5), np.random.default_rng(9)
    gaps, service = queue.gaps(rng, (4000, 1)) / 2, rng.exponential(size=(4000, 1))
    taken = queue.sojourns(gaps, service)[:, 0]
    arrived = np.cumsum(gaps)
    changes = np.concatenate([arrived, arrived + taken])
    present = np.cumsum(np.repeat([1, -1], 4000)[np.argsort(changes)])[:-1]
    assert np.sum(present * np.diff(np.sort(changes))) == pytest.approx(taken.sum())


def tick_by_tick(gaps, service, granted, period):
    """The same server, in whole ticks: works while it has quota in this period."""
    arrived, left, done, now, quota, current = np.cumsum(gaps), list(service), [], 0, 0, 0
    while current < len(left):
        if now % period == 0:
            quota = granted
        if arrived[current] <= now and quota > 0:
            left[current] -= 1
            quota -= 1
            if left[current] == 0:
                done.append(now + 1 - arrived[current])
                current += 1
        now += 1
    return done


@settings(max_examples=50)
@given(
    st.lists(st.tuples(st.integers(0, 40), st.integers(1, 30)), min_size=1, max_size=12),
    st.sampled_from([2, 5, 8]),
)
def test_a_held_server_is_one_that_works_only_while_it_has_quota(customers, granted):
    gaps, service = (np.array(column) for column in zip(*customers, strict=True))
    quota = Quota(granted / 10, 10.0)
    found = throttled_sojourns(gaps[:, None] * 1.0, service[:, None] * 1.0, quota)[:, 0]
    assert found == pytest.approx(tick_by_tick(gaps, service, granted, 10), abs=1e-6)


def test_a_whole_quota_holds_nobody():
    rng = np.random.default_rng(5)
    gaps, service = rng.exponential(2, (500, 4)), rng.exponential(size=(500, 4))
    held = throttled_sojourns(gaps, service, Quota(1.0, 7.0))
    assert held == pytest.approx(Queue(1).sojourns(gaps, service), abs=1e-9)


def test_a_request_that_fits_the_quota_is_not_stretched():
    """Half a CPU, periods of 100 services, long gaps: nine in ten run at full speed."""
    queue = Queue(1, 1.0, Quota(0.5, 100.0))
    taken = simulated(queue, 0.02, lambda _, shape: np.ones(shape))
    assert np.quantile(taken, 0.9) == pytest.approx(1, rel=0.02)


def test_requests_longer_than_the_period_take_as_much_longer_as_the_quota_is_small():
    queue = Queue(1, 1.0, Quota(0.25, 0.05))
    taken = simulated(queue, 0.01, lambda _, shape: np.ones(shape))
    assert np.median(taken) == pytest.approx(4, rel=0.05)


def test_a_held_server_saturates_at_its_quota():
    rng = np.random.default_rng(6)
    service = rng.exponential(size=(20_000, 1))
    taken = throttled_sojourns(np.full_like(service, 0.01), service, Quota(0.5, 10.0))
    took = taken[-1, 0] + 0.01 * len(service)
    assert len(service) / took == pytest.approx(0.5, rel=0.03)


def test_several_servers_have_no_quota_of_one():
    with pytest.raises(ValueError, match="shared"):
        Queue(2, 1.0, Quota(0.5, 1.0))
