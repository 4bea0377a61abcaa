"""The simulation against closed forms, and against a slower one written differently."""

import heapq

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtests.queueing import Queue, latency_curve, mmc_sojourn_quantile, sojourns

DISCARDED = 2000  # the start from empty
CUSTOMERS, REPLICATIONS = 8000, 40


def one_by_one(gaps_s, service_s, servers):
    """A heap of the instants at which servers fall free, in absolute time."""
    free_s, now_s, taken_s = [0.0] * servers, 0.0, []
    for gap_s, work_s in zip(gaps_s, service_s, strict=True):
        now_s += gap_s
        done_s = max(now_s, free_s[0]) + work_s
        heapq.heapreplace(free_s, done_s)
        taken_s.append(done_s - now_s)
    return taken_s


times_s = st.floats(0, 10)


@given(st.lists(st.tuples(times_s, times_s), min_size=1, max_size=40), st.integers(1, 5))
def test_the_recursion_is_the_queue_it_stands_for(customers, servers):
    gaps_s, service_s = (np.array(column) for column in zip(*customers, strict=True))
    found = sojourns(gaps_s[:, None], service_s[:, None], servers)[:, 0]
    assert found == pytest.approx(one_by_one(gaps_s, service_s, servers), abs=1e-9)


@given(st.lists(st.tuples(times_s, times_s, times_s), min_size=1, max_size=30), st.integers(1, 4))
def test_more_work_never_makes_anyone_faster_and_more_servers_never_slower(customers, servers):
    gaps_s, service_s, more_s = (
        np.array(column)[:, None] for column in zip(*customers, strict=True)
    )
    plain = sojourns(gaps_s, service_s, servers)
    slack = 1e-9
    assert np.all(sojourns(gaps_s, service_s + more_s, servers) >= plain - slack)
    assert np.all(sojourns(gaps_s, service_s, servers + 1) <= plain + slack)
    assert np.all(plain >= service_s - slack)


def test_replications_do_not_touch_each_other():
    rng = np.random.default_rng(2)
    gaps_s, service_s = rng.exponential(size=(200, 3)), rng.exponential(size=(200, 3))
    together = sojourns(gaps_s, service_s, 2)
    for column in range(3):
        alone = sojourns(gaps_s[:, [column]], service_s[:, [column]], 2)
        assert together[:, [column]] == pytest.approx(alone, abs=1e-9)


def simulated(utilization, servers, service, seed):
    """Sojourns in mean service times, without the start; shape (customers, replications)."""
    rng = np.random.default_rng(seed)
    gaps = rng.exponential(1 / (utilization * servers), (CUSTOMERS, REPLICATIONS))
    return sojourns(gaps, service(rng, gaps.shape), servers)[DISCARDED:]


def assert_within_four_errors(estimates, truth):
    error = estimates.std(ddof=1) / np.sqrt(len(estimates))
    assert estimates.mean() == pytest.approx(truth, abs=4 * error)
    assert error < 0.05 * truth, "the simulation says too little for the comparison to mean much"


@pytest.mark.parametrize(
    ("servers", "utilization"), [(1, 0.5), (1, 0.8), (2, 0.7), (4, 0.8), (8, 0.6)]
)
@pytest.mark.parametrize("quantile", [0.5, 0.95, 0.99])
def test_exponential_services_give_the_quantiles_of_theory(servers, utilization, quantile):
    taken = simulated(utilization, servers, lambda rng, shape: rng.exponential(size=shape), seed=4)
    truth = mmc_sojourn_quantile(quantile, utilization * servers, 1.0, servers)
    assert_within_four_errors(np.quantile(taken, quantile, axis=0), truth)


@pytest.mark.parametrize("utilization", [0.3, 0.6, 0.8])
def test_constant_services_wait_half_as_long_as_exponential_ones(utilization):
    """Pollaczek-Khinchine, M/D/1: the mean wait is u / (2 (1 - u)) service times."""
    taken = simulated(utilization, 1, lambda _, shape: np.ones(shape), seed=6)
    assert_within_four_errors(taken.mean(axis=0) - 1, utilization / (2 * (1 - utilization)))


@pytest.mark.parametrize("cv", [0.25, 2.0])
def test_the_mean_wait_of_one_server_grows_with_the_variation_of_its_services(cv):
    """Pollaczek-Khinchine, M/G/1: u (1 + cv²) / (2 (1 - u)) service times."""
    utilization, variance = 0.6, np.log1p(cv**2)
    taken = simulated(
        utilization,
        1,
        lambda rng, shape: rng.lognormal(-variance / 2, np.sqrt(variance), shape),
        seed=8,
    )
    waits = (taken - 1).mean(axis=0)
    assert_within_four_errors(waits, utilization * (1 + cv**2) / (2 * (1 - utilization)))


def test_requests_in_the_system_are_rate_times_sojourn():
    """Little: the time integral of the number present is the sum of the sojourns."""
    rng = np.random.default_rng(9)
    gaps_s, service_s = rng.exponential(0.6, 5000), rng.exponential(size=5000)
    arrived_s = np.cumsum(gaps_s)
    taken_s = sojourns(gaps_s[:, None], service_s[:, None], 2)[:, 0]
    changes_s = np.concatenate([arrived_s, arrived_s + taken_s])
    steps = np.repeat([1, -1], 5000)[np.argsort(changes_s)]
    present = np.cumsum(steps)[:-1]
    assert np.sum(present * np.diff(np.sort(changes_s))) == pytest.approx(taken_s.sum())


@pytest.mark.parametrize("servers", [1, 4])
def test_the_curve_of_many_exponential_services_is_that_of_theory(servers):
    """To 10 % up to 80 % load: what 4000 customers in 12 replications can tell."""
    service_s = np.random.default_rng(12).exponential(0.02, 5000)
    curve = latency_curve(service_s, Queue(servers), (0.5, 0.95), seed=1)
    for utilization in (0.3, 0.5, 0.65, 0.8):
        for quantile in (0.5, 0.95):
            truth = mmc_sojourn_quantile(quantile, utilization * servers, 1.0, servers)
            found = float(curve.at(np.array(utilization), quantile))
            assert found == pytest.approx(truth, rel=0.1), f"p{quantile * 100:g} at {utilization}"
