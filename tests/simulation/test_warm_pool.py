import math

import numpy as np
import pytest
from discrete_pool import Pool, simulated
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.linalg import expm
from scipy.special import gammaincc

from recommender.simulation.pool_course import PoolTerms, pool_course
from recommender.simulation.warm_pool import (
    busy_shares,
    erlang_b,
    largest_rate_rps,
    survival,
)


def course(pool, rates_rps, step_s=60.0, *, retries=0):
    rates = np.asarray(rates_rps, dtype=float)
    kept = np.full(len(rates), pool.provisioned)
    terms = PoolTerms(pool.most, kept, pool.idle_s, retries)
    return pool_course(rates, step_s, pool.mean_s, pool.setup_s, terms)


def share(rates_rps, of_each):
    rates = np.asarray(rates_rps, dtype=float)
    return float((rates * of_each).sum() / rates.sum())


@given(st.integers(1, 200), st.floats(0.01, 400))
def test_erlang_b_is_the_last_share_of_a_cut_off_poisson(most, offered):
    exact = math.exp(most * math.log(offered) - offered - math.lgamma(most + 1))
    below = float(gammaincc(most + 1, offered))
    if below > 1e-200:
        assert erlang_b(most, np.array([offered]))[0] == pytest.approx(exact / below, rel=1e-9)


@settings(max_examples=25)
@given(st.integers(1, 200), st.floats(0.01, 10), st.floats(0.001, 0.5))
def test_the_largest_rate_is_refused_as_often_as_allowed(most, mean_s, refused_ratio):
    offered = mean_s * largest_rate_rps(most, mean_s, refused_ratio)
    assert erlang_b(most, np.array([offered]))[0] == pytest.approx(refused_ratio, rel=1e-5)


@given(st.integers(1, 100), st.floats(0.1, 300))
def test_time_is_shared_out_among_all_numbers_busy(most, offered):
    shares = busy_shares(np.array([offered]), most, most)
    assert shares.sum() == pytest.approx(1)
    carried = (np.arange(most + 1) * shares[:, 0]).sum()
    refused = erlang_b(most, np.array([offered]))[0]
    assert carried == pytest.approx(offered * (1 - refused), rel=1e-9)
    assert shares[-1, 0] == pytest.approx(refused, rel=1e-9)


@pytest.mark.parametrize(("rate_rps", "mean_s", "time_s"), [(2.0, 1.0, 5.0), (0.3, 2.0, 40.0)])
def test_that_a_level_is_kept_to_is_what_the_matrix_exponential_says(rate_rps, mean_s, time_s):
    offered, upto = np.array([rate_rps * mean_s]), 6
    found = survival(np.array([rate_rps]), offered, 50, upto, time_s)
    shares = busy_shares(offered, 50, upto)[:, 0]
    for n in range(upto + 1):
        moves = np.diag(np.full(n, rate_rps), 1) + np.diag(np.arange(1, n + 1) / mean_s, -1)
        moves -= np.diag(rate_rps + np.arange(n + 1) / mean_s)
        stays = expm(moves * time_s).sum(axis=1)
        below = shares[: n + 1] / shares[: n + 1].sum()
        assert found.from_n[n, 0] == pytest.approx(stays[n], rel=1e-4, abs=1e-6)
        assert found.from_below[n, 0] == pytest.approx(below @ stays, rel=1e-4, abs=1e-6)


@settings(max_examples=20)
@given(st.floats(0.01, 2.5), st.sampled_from([20.0, 60.0, 300.0, 900.0]))
def test_requests_that_never_meet_are_cold_as_often_as_a_gap_is_longer(requests, idle_s):
    found = course(Pool(mean_s=1e-6, idle_s=idle_s), np.full(40, requests / idle_s))
    assert found.cold == pytest.approx(np.full(40, math.exp(-requests)), rel=0.02)


@pytest.mark.parametrize(
    ("pool", "rate_rps"),
    [
        (Pool(0.5), 0.01),
        (Pool(2.0, idle_s=30), 1.0),
        (Pool(2.0, idle_s=60), 5.0),
        (Pool(1.0, idle_s=20, most=6), 4.0),
        (Pool(1.0, idle_s=20, provisioned=3), 4.0),
    ],
)
def test_cold_starts_at_an_even_rate_are_those_of_a_discrete_simulation(pool, rate_rps):
    hours = 30_000 / rate_rps / 3600
    rates = np.full(math.ceil(hours * 60), rate_rps)
    told = simulated(pool, rates, 60.0, seed=3)
    found = course(pool, rates[:30])
    noise = 4 * math.sqrt(max(told.cold, 1e-5) / told.requests)
    assert share(rates[:30], found.cold) == pytest.approx(told.cold, rel=0.05, abs=noise)
    assert share(rates[:30], found.throttled) == pytest.approx(told.throttled, rel=0.05, abs=2e-3)


DAY = 3 * (1 + 0.9 * np.sin(2 * np.pi * np.arange(1440) / 1440))
BURSTS = np.where(np.arange(1440) % 240 >= 230, 20.0, 0.7)


@pytest.mark.parametrize("rates", [DAY, BURSTS], ids=["a day", "bursts"])
@pytest.mark.parametrize("setup_s", [0.0, 5.0])
def test_cold_starts_of_traffic_that_changes_are_those_of_a_discrete_simulation(rates, setup_s):
    """Within 15 %: that an instance which starts takes no other request is counted roughly."""
    pool = Pool(0.5, setup_s=setup_s)
    told = [simulated(pool, rates, 60.0, seed=seed).cold for seed in range(2)]
    noise = np.std(told) / math.sqrt(len(told))
    found = share(rates, course(pool, rates).cold)
    assert found == pytest.approx(np.mean(told), rel=0.15, abs=2 * noise)


@pytest.mark.parametrize(("setup_s", "most"), [(20.0, 60), (90.0, 200), (150.0, 400)])
def test_a_burst_that_starts_slow_instances_is_throttled_before_they_are_there(setup_s, most):
    """The starts themselves take up the limit. Within 15 %."""
    pool = Pool(0.5, setup_s=setup_s, most=most)
    told = [simulated(pool, BURSTS, 60.0, seed=seed) for seed in range(2)]
    found = course(pool, BURSTS)
    throttled = np.mean([each.throttled for each in told])
    assert share(BURSTS, found.throttled) == pytest.approx(throttled, rel=0.15)
    assert share(BURSTS, erlang_b(most, BURSTS * 0.5)) < 0.001 * throttled
    cold = np.mean([each.cold for each in told])
    assert share(BURSTS, found.cold) == pytest.approx(cold, rel=0.15)


def test_provisioned_concurrency_ends_cold_starts_up_to_its_number():
    plain, kept = (course(Pool(0.5, provisioned=n), DAY) for n in (0, 14))
    assert share(DAY, kept.cold) < 0.01 * share(DAY, plain.cold)


@settings(max_examples=25)
@given(
    st.lists(st.just(0.0) | st.floats(0.001, 60), min_size=2, max_size=12).filter(any),
    st.integers(1, 40),
    st.integers(1, 40),
    st.integers(0, 3),
    st.sampled_from([0.0, 2.0, 50.0, 200.0]),
)
def test_more_concurrency_never_throttles_more(rates, most, more, retries, setup_s):
    few, many = (
        course(Pool(0.7, setup_s=setup_s, most=n), rates, retries=retries)
        for n in (most, most + more)
    )
    assert (many.throttled <= few.throttled + 1e-9).all()


@settings(max_examples=15)
@given(
    st.lists(st.just(0.0) | st.floats(0.001, 60), min_size=2, max_size=12).filter(any),
    st.integers(1, 40),
    st.integers(0, 3),
)
def test_shares_are_shares(rates, most, retries):
    found = course(Pool(0.7, setup_s=2.0, most=most), rates, retries=retries)
    for each in (found.cold, found.refused, found.throttled, found.cold_of_served):
        assert ((each >= 0) & (each <= 1)).all()
    assert (found.cold + found.throttled <= 1 + 1e-9).all()
    assert (found.busy <= most).all()
    assert (found.warm >= 0).all()


@settings(max_examples=15)
@given(st.integers(1, 30), st.floats(0.5, 60), st.integers(1, 4))
def test_a_retry_is_load_too(most, rate_rps, retries):
    rates = np.full(3, rate_rps)
    once, again = (course(Pool(0.7, most=most), rates, retries=n) for n in (0, retries))
    assert (again.refused >= once.refused - 1e-12).all()
    assert (again.throttled <= once.throttled + 1e-9).all()
