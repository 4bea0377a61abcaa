from dataclasses import replace

import numpy as np
import pytest
from discrete_pool import arrivals_s
from hypothesis import given, settings
from hypothesis import strategies as st

from recommender.simulation.scale_to_zero import ScaleToZero, simulate_scale_to_zero
from recommender.simulation.traffic import TrafficTrace

ONE = np.ones(1)
TERMS = ScaleToZero(
    capacity_rps=10 * ONE,
    mean_s=0.1 * ONE,
    setup_s=120 * ONE,
    levels=ONE,
    idle_s=600.0,
    limit_s=1.0,
)


def one_by_one(at_s, terms, ends_s):
    """Seconds paid, and requests that wait, told machine start by machine start."""
    paid_s, waited, until_s, ready_s = 0.0, 0, -np.inf, -np.inf
    for now_s in at_s:
        if now_s > until_s:
            ready_s = now_s + terms.setup_s[0]
            paid_s += terms.setup_s[0] + terms.idle_s
            until_s = ready_s + terms.idle_s
            waited += 1
        elif now_s < ready_s:
            waited += 1
        else:
            paid_s += now_s + terms.idle_s - until_s
            until_s = now_s + terms.idle_s
    return paid_s - max(until_s - ends_s, 0.0), waited


NIGHTS = np.where(np.arange(144) % 144 < 48, 0.0005, 0.004)


@pytest.mark.parametrize("rates", [np.full(144, 0.001), NIGHTS], ids=["even", "days and nights"])
def test_hours_and_waits_are_those_of_a_discrete_simulation(rates):
    days = np.tile(rates, 300)
    at_s = arrivals_s(days, 600.0, np.random.default_rng(5))
    paid_s, waited = one_by_one(at_s.tolist(), TERMS, len(days) * 600.0)
    strict = replace(TERMS, waits=False)
    found = simulate_scale_to_zero(TrafficTrace(600.0, rates), strict)
    hours = float(found.usage[0].amount[0])
    assert hours == pytest.approx(paid_s / 300 / 3600, rel=0.03)
    failed = float(found.requests.failed[0] / found.requests.arrivals[0])
    assert failed == pytest.approx(waited / len(at_s), rel=0.05)


@given(st.floats(0.1, 5), st.floats(60, 3600))
def test_without_a_start_it_runs_when_something_came_lately(requests, idle_s):
    terms = replace(TERMS, setup_s=0 * ONE, idle_s=idle_s)
    trace = TrafficTrace(60.0, np.full(200, requests / idle_s))
    hours = simulate_scale_to_zero(trace, terms).usage[0].amount[0]
    assert hours * 3600 / 12_000 == pytest.approx(1 - np.exp(-requests), rel=0.02)


@settings(max_examples=40)
@given(
    st.lists(st.just(0.0) | st.floats(0.001, 12), min_size=2, max_size=10).filter(any),
    st.floats(0, 2000),
    st.floats(60, 7200),
    st.booleans(),
)
def test_requests_are_conserved_and_no_hour_is_paid_twice(rps, setup_s, idle_s, waits):
    terms = replace(TERMS, setup_s=setup_s * ONE, idle_s=idle_s, waits=waits)
    found = simulate_scale_to_zero(TrafficTrace(600.0, np.array(rps)), terms)
    assert 0 <= found.usage[0].amount[0] <= found.duration_s / 3600 * (1 + 1e-9)
    patient = simulate_scale_to_zero(
        TrafficTrace(600.0, np.array(rps)), replace(terms, limit_s=1e9)
    )
    assert patient.requests.good[0] >= found.requests.good[0] - 1e-9


def test_those_who_come_late_in_a_start_may_still_be_served_in_time():
    """Λ = 0.6, and 0.12 come during a start: of these, 29.9 s of 120 are near enough its end."""
    trace = TrafficTrace(60.0, np.full(100, 0.001))
    strict = simulate_scale_to_zero(trace, replace(TERMS, waits=False)).requests
    found = simulate_scale_to_zero(trace, replace(TERMS, limit_s=30.0)).requests
    cold = 1 / (0.12 + np.exp(0.6))
    gained = (found.good - strict.good) / found.arrivals
    assert gained[0] == pytest.approx(cold * 0.12 * 29.9 / 120, rel=1e-6)
    assert found.failed[0] == 0


def test_more_than_one_machine_serves_is_never_in_time():
    trace = TrafficTrace(60.0, np.r_[np.full(50, 1.0), np.full(50, 11.0)])
    found = simulate_scale_to_zero(trace, TERMS).requests
    assert found.attainment[0] == pytest.approx(1 / 12, rel=1e-3)
