import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recommender.demand import Constraints
from recommender.simulation.overload import Overload
from recommender.simulation.traffic import TrafficTrace
from recommender.simulation.zones import zone_plans

CONSTRAINTS = Constraints(headroom_ratio=0.0)
DAY = TrafficTrace(3600.0, 50 * (1 + 0.8 * np.sin(np.arange(24) / 24 * 2 * np.pi)))


@settings(max_examples=40)
@given(st.floats(1, 120), st.floats(0, 0.3), st.floats(0, 0.5))
def test_losing_a_zone_loses_nothing_unless_it_is_the_only_one(capacity, spread, headroom):
    draws = capacity * np.random.default_rng(1).lognormal(0, spread, 50)
    constraints = Constraints(headroom_ratio=headroom)
    single, *others = zone_plans(DAY, draws, 0.2, constraints)
    assert (single.left, single.lost_ratio, single.extra_usd_per_month) == (0, 1.0, 0.0)
    for each in others:
        assert each.lost_ratio == 0
        assert each.left >= single.replicas
        assert each.extra_usd_per_month > 0
        assert each.usd_per_month == pytest.approx(each.replicas * 0.2 * 730)
        fewer = each.replicas - 1
        assert fewer - -(-fewer // each.zones) < single.replicas


def test_three_zones_cost_half_as_much_again_and_two_twice():
    plans = {each.zones: each for each in zone_plans(DAY, np.full(5, 15.0), 1.0, CONSTRAINTS)}
    assert (plans[1].replicas, plans[2].replicas, plans[3].replicas) == (6, 12, 9)
    assert plans[3].left == 6


def test_a_machine_that_serves_nothing_has_no_plan():
    assert zone_plans(DAY, np.zeros(5), 1.0, CONSTRAINTS) == ()


@given(st.floats(0, 100), st.floats(0, 86_000), st.floats(0, 400))
def test_requests_over_a_threshold_are_counted_to_the_second(threshold, from_s, length_s):
    """Against a sum over instants."""
    overload = Overload(DAY)
    instants = from_s + (np.arange(400) + 0.5) / 400 * length_s
    rates = DAY.rate_rps[np.minimum((instants // 3600).astype(int), 23)]
    ends = np.array([from_s]), np.array([from_s + length_s])
    slack = 100 * length_s / 400 * 1.1 + 1e-6  # an instant on the wrong side of an hour
    during = rates[rates > threshold].sum() * length_s / 400
    assert overload.during(threshold, *ends)[0] == pytest.approx(during, abs=slack)
    beyond = np.maximum(rates - threshold, 0).sum() * length_s / 400
    assert overload.beyond(threshold, *ends)[0] == pytest.approx(beyond, abs=slack)
