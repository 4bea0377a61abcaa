import numpy as np
import pytest
from simulated_fleets import replica, scenario

from recommender.simulation.fleet import simulate_fleet
from recommender.simulation.policy_search import (
    formula_policy,
    recommend_policy,
    slo_load_rps,
    try_policies,
)
from recommender.simulation.replica import LatencyLimit
from recommender.simulation.scaling_policy import FixedSize, Policy, TargetTracking

DAY = 40 * (1 + 0.8 * np.sin(2 * np.pi * (np.arange(1440) - 480) / 1440))


def wave(draws):
    return scenario(DAY, replica(1, 0.1, draws=draws), limit_s=0.6)


@pytest.fixture(scope="module")
def advice():
    return recommend_policy(wave(8), confidence=0.8)


def test_the_recommended_policy_meets_the_objective_for_the_least_of_those_tried(advice):
    of = wave(8)
    assert advice.meets
    assert advice.tried > 100
    again = try_policies(of, [advice.best.policy])[0]
    assert again.probability >= 0.8
    assert again.hours == advice.best.hours
    assert advice.best.hours <= advice.fixed.hours
    if advice.formula.probability >= 0.8:
        assert advice.best.hours <= advice.formula.hours * 1.01


def test_a_day_that_breathes_is_served_with_fewer_hours_than_a_fixed_fleet(advice):
    assert not advice.best.is_fixed
    assert advice.best.hours < 0.8 * advice.fixed.hours


def test_one_size_less_of_the_fixed_fleet_would_not_do(advice):
    size = advice.fixed.policy.min_replicas
    less = try_policies(wave(8), [Policy(size - 1, size - 1, FixedSize())])[0]
    assert less.probability < 0.8


def test_the_largest_size_leaves_room_and_no_more(advice):
    used = advice.best.outcome.most_replicas.max()
    assert used <= advice.best.policy.max_replicas <= np.ceil(1.25 * used)


def test_steady_traffic_needs_no_scaling():
    found = recommend_policy(
        scenario(np.full(600, 20.0), replica(1, 0.1, draws=3), limit_s=0.6), 0.8
    )
    least = found.best.outcome.timeline.replicas
    assert found.best.hours == pytest.approx(found.fixed.hours, rel=0.01)
    assert least.min() == least.max()


def test_an_objective_that_no_fleet_meets_is_said_to_be_missed():
    """0.1 s of service with a limit of 0.05 s."""
    found = recommend_policy(scenario(DAY[:300], replica(1, 0.1, draws=3), limit_s=0.05), 0.8)
    assert not found.meets
    assert found.fixed is None
    assert found.slo_rpm == 0


def test_the_load_at_the_objective_is_where_the_tail_reaches_it():
    of = scenario(DAY, replica(1, 0.1, draws=2), limit_s=0.6)
    load = slo_load_rps(of)[0]
    # M/M/1: P(W > t) = e^-(μ-λ)t, so 5 % at t = 0.6 s is λ = μ - ln 20 / 0.6.
    assert load == pytest.approx(10 - np.log(20) / 0.6, rel=0.03)


def test_the_formula_takes_half_of_the_cpu():
    """GetScalingConfigurationRecommendation with its default of 50 %."""
    of = scenario([5.0, 52.0, 30.0], replica(1, 0.1))
    policy = formula_policy(of)
    assert policy == Policy(1, 11, TargetTracking("invocations", 300.0, 300.0, 300.0))
    # Where CPUs are but half used at saturation all of it is taken.
    idle = scenario([5.0, 52.0, 30.0], replica(1, 0.1, busy_ratio=0.5))
    assert formula_policy(idle).scaling.target == 600.0
    assert formula_policy(of, target_cpu=0.7).scaling.target == 420.0


def test_unsure_traffic_costs_a_larger_fleet():
    sure = wave(8)
    levels = np.geomspace(0.7, 1.4, 8)
    unsure = type(sure)(sure.trace, sure.replica, LatencyLimit(0.95, 0.6), levels)
    sizes = [recommend_policy(of, 0.8).fixed.policy.min_replicas for of in (sure, unsure)]
    assert sizes[1] > sizes[0]


def test_nothing_is_kept_that_was_not_asked_for():
    of = scenario(DAY[:100], replica(1, 0.1, draws=2))
    outcome = simulate_fleet(of, [Policy(5, 5, FixedSize())], with_timeline=False)[0]
    assert outcome.timeline is None
