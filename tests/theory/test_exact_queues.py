"""Closed forms against tables, against each other, and against the integrals that define them."""

import math
from fractions import Fraction
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.integrate import quad

from loadtests.queueing import erlang_c, mmc_sojourn_quantile, mmc_sojourn_tail

servers = st.integers(1, 60)
utilizations = st.floats(0.01, 0.99)
means_s = st.floats(1e-4, 10)


@pytest.mark.parametrize(
    ("count", "offered", "waiting"),
    [
        (1, 0.7, 0.7),
        (2, 1.0, 1 / 3),
        (3, 2.0, 4 / 9),
        (5, 4.0, 0.5541),
        (10, 8.0, 0.4092),
        (2, 1.8, 0.8526),
        (4, 2.0, 0.1739),
    ],
)
def test_erlangs_c_is_that_of_the_tables(count, offered, waiting):
    assert erlang_c(count, offered) == pytest.approx(waiting, abs=5e-5)


@given(st.integers(1, 30), st.fractions(Fraction(1, 50), Fraction(49, 50), max_denominator=50))
def test_erlangs_c_is_the_ratio_of_sums_that_defines_it(count, utilization):
    """C = A / (sum of a^k/k! below c + A), A = a^c/c! / (1 - u), in exact arithmetic."""
    offered = utilization * count
    last = offered**count / math.factorial(count) / (1 - utilization)
    others = sum(offered**busy / math.factorial(busy) for busy in range(count))
    assert erlang_c(count, float(offered)) == pytest.approx(
        float(last / (last + others)), rel=1e-9
    )


@given(servers, utilizations, utilizations)
def test_a_busier_queue_makes_more_customers_wait(count, one, other):
    calm, busy = sorted((one, other))
    slack = 1e-12
    assert erlang_c(count, calm * count) <= erlang_c(count, busy * count) + slack


@given(utilizations, means_s, st.floats(0, 20))
def test_one_server_has_an_exponential_sojourn(utilization, mean_s, multiple):
    """P(W > t) = exp(-(μ - λ) t) in M/M/1."""
    spare = (1 - utilization) / mean_s
    t_s = multiple / spare
    tail = mmc_sojourn_tail(t_s, utilization / mean_s, mean_s, 1)
    assert tail == pytest.approx(math.exp(-multiple), rel=1e-6, abs=1e-12)


@pytest.mark.parametrize(
    ("count", "utilization"), [(1, 0.5), (2, 0.5), (2, 0.9), (4, 0.75), (8, 0.3), (8, 0.95)]
)
def test_the_mean_sojourn_is_erlangs(count, utilization):
    """The integral of P(W > t) is C / (cμ - λ) + 1/μ."""
    mean_s, rate_rps = 0.02, utilization * count / 0.02
    longest_s = mmc_sojourn_quantile(1 - 1e-10, rate_rps, mean_s, count)
    integral_s, _ = quad(
        mmc_sojourn_tail, 0, longest_s, args=(rate_rps, mean_s, count), limit=500, epsrel=1e-9
    )
    waiting_s = erlang_c(count, rate_rps * mean_s) / (count / mean_s - rate_rps)
    assert integral_s == pytest.approx(waiting_s + mean_s, rel=1e-6)


@given(servers, utilizations, means_s, st.floats(0.01, 0.999))
def test_a_quantile_is_where_the_tail_says(count, utilization, mean_s, quantile):
    rate_rps = utilization * count / mean_s
    t_s = mmc_sojourn_quantile(quantile, rate_rps, mean_s, count)
    assert mmc_sojourn_tail(t_s, rate_rps, mean_s, count) == pytest.approx(1 - quantile, rel=1e-6)


@given(servers, utilizations, means_s)
def test_a_tail_starts_at_one_and_falls(count, utilization, mean_s):
    rate_rps = utilization * count / mean_s
    tails = [mmc_sojourn_tail(mean_s * step, rate_rps, mean_s, count) for step in range(20)]
    assert tails[0] == pytest.approx(1)
    assert all(0 <= later <= earlier + 1e-12 for earlier, later in pairwise(tails))


def test_the_two_rates_of_the_tail_may_meet():
    """At λ = (c-1)μ the formula divides zero by zero; its limit stands in."""
    count, mean_s = 4, 0.02
    critical_rps = (count - 1) / mean_s
    at = mmc_sojourn_tail(0.05, critical_rps, mean_s, count)
    for beside in (1 - 1e-6, 1 + 1e-6):
        near = mmc_sojourn_tail(0.05, critical_rps * beside, mean_s, count)
        assert at == pytest.approx(near, rel=1e-4)


@given(servers, st.floats(1, 10))
def test_a_queue_without_a_steady_state_has_no_quantile(count, overload):
    with pytest.raises(ValueError, match="no steady state"):
        mmc_sojourn_quantile(0.5, overload * count * (1 + 1e-9), 1.0, count)
