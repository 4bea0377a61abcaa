from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recommender.errors import OutOfRange
from recommender.performance.scaling import (
    GROUP_REACH_RATIO,
    UslDraws,
    UslPrior,
    fit_usl,
    relative_efficiency,
)

PRIOR = UslPrior(
    log_sigma_mean=np.log(0.01),
    log_sigma_sd=1.5,
    log_kappa_mean=np.log(2e-5),
    log_kappa_sd=1.5,
    correlation=0.0,
    misfit_sd=0.01,
    drift_sd=0.05,
)


def usl(v, gamma, sigma, kappa):
    v = np.asarray(v, dtype=float)
    return gamma * v / (1 + sigma * (v - 1) + kappa * v * (v - 1))


def posterior(sizes, rates, error=0.02, *, draws=2000, seed=1) -> UslDraws:
    rng = np.random.default_rng(seed)
    return PRIOR.posterior_draws(sizes, rates, [error] * len(sizes), draws, rng)


def interval(draws, share=0.8):
    return np.quantile(draws, ((1 - share) / 2, (1 + share) / 2), axis=0)


@given(
    sigma=st.floats(0.001, 0.3),
    kappa=st.floats(1e-6, 1e-3),
    gamma=st.floats(0.1, 1e5),
)
def test_a_curve_without_noise_is_found_again(sigma, kappa, gamma):
    sizes = [1.0, 2.0, 4.0, 8.0, 16.0, 32.0]
    found = fit_usl(sizes, usl(sizes, gamma, sigma, kappa).tolist())
    assert found == pytest.approx((gamma, sigma, kappa), rel=1e-3, abs=1e-9)


def test_two_sizes_are_too_few_to_fit_a_curve_to():
    with pytest.raises(OutOfRange, match="three unknowns"):
        fit_usl([1, 2], [10, 19])


@given(sigma=st.floats(0, 0.9), kappa=st.floats(0, 0.05), vcpus=st.floats(0.1, 400))
def test_more_vcpus_never_lower_throughput_because_the_peak_is_held(sigma, kappa, vcpus):
    less, more = np.array([vcpus, vcpus * 1.3]) * relative_efficiency(
        [vcpus, vcpus * 1.3], sigma, kappa
    )
    assert more >= less * (1 - 1e-9)


def test_below_one_vcpu_throughput_is_in_proportion():
    draws = posterior([0.5, 1], [50, 100])
    rate = draws.throughput([0.25, 0.5, 1.0])
    assert rate[:, 1] == pytest.approx(2 * rate[:, 0])
    assert rate[:, 2] == pytest.approx(4 * rate[:, 0])


@pytest.mark.parametrize("error", [0.01, 0.05])
def test_one_measured_size_is_reproduced_within_its_error(error):
    rate = posterior([1], [100], error, draws=20_000).throughput(1)
    assert np.median(rate) == pytest.approx(100, rel=error / 5)
    assert np.std(np.log(rate)) == pytest.approx(error, rel=0.1)


def test_several_measured_sizes_are_each_reproduced_within_their_error():
    sizes = [0.5, 1, 2]
    rates = [50, 100, 190]
    found = np.median(posterior(sizes, rates).throughput(sizes), axis=0)
    assert found == pytest.approx(rates, rel=0.03)


@pytest.mark.parametrize("sigma", [0.002, 0.03, 0.2])
def test_the_contention_that_made_the_measurements_lies_in_its_interval(sigma):
    sizes = [1, 2, 4, 8]
    draws = posterior(sizes, usl(sizes, 100, sigma, 2e-5), 0.01)
    low, high = interval(draws.sigma, 0.95)
    assert low <= sigma <= high


def test_a_server_unlike_any_in_the_prior_is_still_found():
    sizes = [1, 2, 4]
    draws = posterior(sizes, usl(sizes, 100, 0.6, 1e-6), 0.01)
    assert np.median(draws.sigma) == pytest.approx(0.6, rel=0.15)
    assert np.median(draws.throughput(4)) == pytest.approx(usl(4, 100, 0.6, 1e-6), rel=0.05)


def test_a_second_size_narrows_what_is_said_of_larger_ones():
    one = posterior([1], [100])
    two = posterior([1, 4], [100, usl(4, 100, 0.05, 1e-5)])
    width_one = np.ptp(interval(np.log(one.throughput(4))))
    width_two = np.ptp(interval(np.log(two.throughput(4))))
    assert width_two < width_one


def test_past_four_times_the_measured_size_one_group_is_refused():
    draws = posterior([1, 2], [100, 195])
    assert draws.group_reach_vcpus == GROUP_REACH_RATIO * 2
    assert draws.throughput(8).shape == (2000, 1)
    with pytest.raises(OutOfRange, match=r"8\.5 vCPUs.*largest measured size is 2"):
        draws.throughput(8.5)


def test_replicas_continue_where_the_group_ends_and_widen_with_distance():
    draws = posterior([1, 2], [100, 195])
    rate = draws.throughput([8, 8.001, 16, 32, 64], beyond="replicas")
    assert np.median(rate[:, 1]) == pytest.approx(np.median(rate[:, 0]), rel=1e-3)
    widths = np.ptp(interval(np.log(rate)), axis=0)
    assert (np.diff(widths[[0, 2, 3, 4]]) > 0).all()


def test_a_serial_server_scales_again_by_replicas():
    draws = posterior([1, 2, 4], usl([1, 2, 4], 100, 0.9, 1e-6), 0.01)
    at_reach, doubled = np.median(draws.throughput([16, 32], beyond="replicas"), axis=0)
    assert doubled > 1.5 * at_reach


def test_equal_seeds_give_equal_curves():
    first, second = (posterior([1, 2], [100, 190], seed=7) for _ in range(2))
    assert np.array_equal(first.throughput(4), second.throughput(4))
    assert not np.array_equal(first.gamma, posterior([1, 2], [100, 190], seed=8).gamma)


@settings(deadline=None, max_examples=20)
@given(st.sampled_from([0.0, -1.0, float("nan"), float("inf")]))
def test_what_is_not_a_positive_number_is_refused(bad):
    with pytest.raises(OutOfRange, match="more than zero"):
        posterior([1, bad], [100, 190])
    with pytest.raises(OutOfRange, match="more than zero"):
        posterior([1, 2], [100, bad])
    with pytest.raises(OutOfRange, match="more than zero"):
        posterior([1], [100]).throughput(bad)


def test_each_size_needs_a_throughput_and_an_error():
    with pytest.raises(OutOfRange, match="2 sizes, 1 throughputs"):
        PRIOR.posterior_draws([1, 2], [100], [0.1, 0.1], 10, np.random.default_rng(1))


def test_the_prior_learns_the_spread_of_the_curves_it_is_given():
    curves = np.array([(0.01, 1e-5, 0.02), (0.02, 1e-4, 0.01), (0.04, 1e-3, 0.03)])
    learnt = UslPrior.of_curves(curves)
    assert np.exp(learnt.log_sigma_mean) == pytest.approx(0.02)
    assert np.exp(learnt.log_kappa_mean) == pytest.approx(1e-4)
    assert learnt.misfit_sd == 0.02
    sigma, kappa = learnt.draw(20_000, np.random.default_rng(1))
    assert np.std(np.log(sigma)) == pytest.approx(np.log(2), rel=0.05)
    assert np.corrcoef(np.log(sigma), np.log(kappa))[0, 1] == pytest.approx(0.9, abs=0.02)
