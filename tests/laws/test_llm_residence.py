"""Residence of a batching server: its ends, Little's law, and queues whose answer is known."""

from __future__ import annotations

import heapq

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recommender.errors import NotMeasured, OutOfRange
from recommender.performance.llm_serving import Residence, ServingPoint, fit_residence

alone_s = st.floats(1e-3, 1e3)
slope_ratios = st.floats(0.0, 1.0)
largest = st.floats(2.0, 500.0)
shares = st.floats(0.01, 0.9)


@given(alone_s, st.floats(1.0, 100.0), largest)
def test_one_user_and_the_saturated_run_are_met(alone, grown, most):
    law = Residence.through(alone, most, alone * grown)
    assert law.latency(1.0).median == pytest.approx(alone)
    assert law.latency(most).median == pytest.approx(alone * grown)


@given(alone_s, slope_ratios, largest, st.floats(0.0, 1.0), st.floats(0.0, 1.0))
def test_more_in_flight_is_never_faster_and_never_serves_less(alone, ratio, most, a, b):
    law = Residence(alone, alone * ratio, most)
    fewer, more = sorted((1 + a * (most - 1), 1 + b * (most - 1)))
    assert law.latency(fewer).median <= law.latency(more).median
    assert law.throughput_rps(fewer) <= law.throughput_rps(more) * (1 + 1e-9)
    assert law.throughput_rps(more) <= law.limit_rps * (1 + 1e-9)


@given(alone_s, slope_ratios, largest, shares, st.sampled_from(["even", "poisson"]))
def test_littles_law_holds_at_the_rates_answer(alone, ratio, most, share, arrivals):
    law = Residence(alone, alone * ratio, most)
    rate = 0.7 * share * law.largest_rps
    in_flight = law.in_flight_at(rate, arrivals)
    assert in_flight == pytest.approx(rate * law.latency_at(rate, arrivals).median)
    if arrivals == "even" and in_flight >= 1:
        assert law.latency(in_flight).median == pytest.approx(in_flight / rate)


@given(alone_s, largest, shares)
def test_a_server_that_does_not_batch_is_processor_sharing(alone, most, share):
    law = Residence(alone, alone, most)
    rate = share * law.largest_rps * 0.5
    assert law.latency_at(rate).median == pytest.approx(alone / (1 - rate * alone))


def birth_and_death(law, rate, most=4000):
    """Stationary shares of a queue that n leave at n / R(n)."""
    n = np.arange(1, most)
    residence = law.alone_s + law.per_request_s * (n - 1)
    weight = np.concatenate([[0.0], np.cumsum(np.log(rate * residence / n))])
    share = np.exp(weight - weight.max())
    return share / share.sum()


@pytest.mark.parametrize("share", [0.2, 0.6, 0.85])
def test_poisson_arrivals_see_the_birth_and_death_process(share):
    law = Residence(2.0, 0.05, 60.0)
    rate = share * law.largest_rps
    shares_of_n = birth_and_death(law, rate)
    expected = shares_of_n @ np.arange(len(shares_of_n))
    assert law.in_flight_at(rate) == pytest.approx(expected, rel=1e-6)
    assert law.chance_of_more_than(20.0, rate) == pytest.approx(shares_of_n[21:].sum(), rel=1e-5)


def simulated_mean_s(law, rate, work, rng):
    """Requests share a server whose speed depends on how many they are.

    All progress alike, so the one with the least work left, in arrival order of that clock,
    leaves first.
    """
    due = np.cumsum(rng.exponential(1 / rate, len(work)))
    clock, now, left, total = 0.0, 0.0, [], 0.0
    for at, need in [*zip(due, work, strict=True), (np.inf, 0.0)]:
        while left:
            residence = law.alone_s + law.per_request_s * (len(left) - 1)
            done = now + (left[0][0] - clock) * residence
            if done > at:
                clock += (at - now) / residence
                break
            now, clock = done, left[0][0]
            total += now - heapq.heappop(left)[1]
        now = at
        heapq.heappush(left, (clock + need, at))
    return total / len(work)


@pytest.mark.parametrize("kind", ["constant", "spread"])
def test_only_the_mean_of_the_work_matters(kind):
    rng = np.random.default_rng(5)
    law = Residence(1.0, 0.1, 40.0)
    rate = 0.7 * law.largest_rps
    requests = 30_000
    work = np.ones(requests) if kind == "constant" else rng.gamma(0.5, 2.0, requests)
    found = simulated_mean_s(law, rate, work, rng)
    assert found == pytest.approx(law.latency_at(rate).median, rel=0.05)


def test_the_interval_opens_towards_saturation():
    law = Residence(1.0, 0.05, 50.0)
    widths = []
    for share in (0.2, 0.5, 0.8):
        found = law.latency_at(share * law.largest_rps)
        widths.append(found.high / found.low)
    assert widths == sorted(widths)
    assert widths[-1] > 1.3 * widths[0]


@pytest.mark.parametrize("ask", ["concurrency", "rate"])
def test_past_what_was_measured_it_refuses_and_says_what_it_saw(ask):
    law = Residence(1.0, 0.05, 50.0)
    with pytest.raises(OutOfRange, match="50"):
        law.latency(80.0) if ask == "concurrency" else law.latency_at(0.97 * law.largest_rps)


def run(concurrency, latency_s):
    return ServingPoint(concurrency, concurrency / latency_s, latency_s)


@given(alone_s, st.floats(0.01, 1.0), st.lists(st.floats(1.5, 60.0), max_size=5))
def test_a_line_is_recovered_from_its_own_points(alone, ratio, loads):
    slope = alone * ratio
    points = [run(n, alone + slope * (n - 1)) for n in (1.0, *loads, 64.0)]
    law = fit_residence(points)
    assert law.alone_s == pytest.approx(alone, rel=1e-6)
    assert law.per_request_s == pytest.approx(slope, rel=1e-6)
    assert law.largest_concurrency == pytest.approx(64.0)


def test_a_server_that_bends_is_trusted_less():
    straight = fit_residence([run(1, 1.0), run(16, 2.5), run(32, 4.1)])
    bent = fit_residence([run(1, 1.0), run(16, 1.2), run(32, 4.1)])
    assert bent.log_error_sd > 2 * straight.log_error_sd


def test_latency_that_falls_with_load_counts_as_flat():
    law = fit_residence([run(1, 1.1), run(8, 1.0)])
    assert law.per_request_s == 0.0
    assert law.limit_rps == float("inf")


@pytest.mark.parametrize("points", [[], [run(1, 1.0)], [run(20, 3.0), run(40, 5.0)]])
def test_runs_that_do_not_show_growth_are_refused(points):
    with pytest.raises(NotMeasured):
        fit_residence(points)


def test_figures_of_different_runs_are_refused():
    with pytest.raises(OutOfRange, match="in flight"):
        ServingPoint(concurrency=40.0, throughput_rps=2.0, latency_mean_s=5.0)


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: Residence(0.0, 0.1, 10.0),
        lambda: Residence(1.0, -0.1, 10.0),
        lambda: Residence(1.0, 0.1, float("nan")),
        lambda: Residence.through(1.0, 1.0, 2.0),
        lambda: Residence(1.0, 0.1, 10.0).latency_at(-1.0),
        lambda: Residence(1.0, 0.0, 10.0).chance_of_more_than(5.0, 1.0),
    ],
)
def test_impossible_figures_are_refused(wrong):
    with pytest.raises(OutOfRange):
        wrong()
