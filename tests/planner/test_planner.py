"""What is measured next, and when no more is."""

import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import ndtr

sys.path.insert(0, str(Path(__file__).parent))

from planted import joint

from recommender.performance.joint import LogNormalJoint
from recommender.planner.planner import (
    Limits,
    Measurable,
    Proposal,
    Question,
    Rule,
    Stop,
    StopReason,
    expected_regret_ratio,
    gains,
    next_step,
    order_of_measuring,
)
from recommender.planner.serving import ServingCost

NO_RULE = Rule(regret_ratio=-1.0, least_gain_ratio=0.0)


def everything(count, usd=1.0, minutes=15.0):
    return Measurable(np.arange(count), np.full(count, minutes), np.full(count, usd))


def question(count, prices=None, demand=None):
    prices = np.ones(count) if prices is None else np.asarray(prices, dtype=float)
    return Question(np.arange(count), ServingCost(prices, demand))


def independent(sds, means=None):
    sds = np.asarray(sds, dtype=float)
    return LogNormalJoint(np.zeros(len(sds)) if means is None else means, np.diag(sds**2))


def beliefs():
    """Any covariance of five machines: of a matrix of rank up to five."""

    def built(numbers):
        root = np.array(numbers[:25]).reshape(5, 5)
        return LogNormalJoint(np.array(numbers[25:]), root @ root.T)

    return st.lists(st.floats(-1, 1), min_size=30, max_size=30).map(built)


@given(beliefs(), st.sampled_from([None, 0.5, 3.0]))
def test_the_value_of_a_measurement_is_never_negative(belief, demand):
    assert (gains(belief, question(5, demand=demand), everything(5)) >= 0).all()


@given(beliefs())
def test_regret_is_never_below_what_one_measurement_would_save(belief):
    asked = question(5)
    saved = gains(belief, asked, everything(5)).max()
    # Regret is an average over draws, the gain over fixed outcomes.
    assert saved <= expected_regret_ratio(belief, asked) * 1.25 + 0.02


def test_a_machine_whose_outcome_is_certain_has_no_value_to_measure():
    found = gains(independent([0.0, 0.3]), question(2), everything(2))
    assert found[0] == 0
    assert found[1] > 0.05


def test_a_machine_that_is_no_option_has_value_as_far_as_it_tells_of_one():
    sd = 0.3
    for alike in (0.0, 0.5, 1.0):
        covariance = np.diag([1e-12, sd**2, sd**2])
        covariance[1, 2] = covariance[2, 1] = alike * sd**2
        belief = LogNormalJoint(np.zeros(3), covariance)
        asked = Question(np.array([0, 1]), ServingCost(np.ones(2)))
        own, other = gains(belief, asked, Measurable(np.array([1, 2]), *np.ones((2, 2))))
        if alike == 0:
            assert other == 0
        elif alike == 1:
            assert other == pytest.approx(own)
        else:
            assert 0 < other < own


def test_the_gain_against_a_known_rival_is_what_theory_says():
    """E[(known - c)⁺], c log-normal: the choice without measuring is the known one."""
    sd, median = 0.3, 1.05
    belief = independent([1e-9, sd], np.array([0.0, -np.log(median)]))
    measurable = Measurable(np.array([1]), np.ones(1), np.ones(1), error_sd=0.0)
    reach = np.log(1 / median) / sd
    worth = ndtr(reach) - median * np.exp(sd**2 / 2) * ndtr(reach - sd)
    found = gains(belief, question(2), measurable)[0]
    assert found == pytest.approx(worth / (1 - worth), rel=0.03)


def test_a_fleet_is_paid_for_in_whole_machines():
    cost = ServingCost(np.array([2.0]), demand=10.0)
    assert cost.of(np.log([4.0])) == pytest.approx([6.0])
    assert cost.of(np.log([100.0])) == pytest.approx([2.0])
    assert cost.expected(np.log([4.0]), np.zeros(1)) == pytest.approx([6.0])
    draws = np.log(4.0) + 0.3 * np.random.default_rng(1).standard_normal((40000, 1))
    expected = cost.expected(np.log([4.0]), np.array([0.3]))
    assert expected == pytest.approx(cost.of(draws).mean(axis=0), rel=0.02)


def test_what_one_machine_of_serves_needs_no_measurement():
    """Any of them is enough alone, so throughput decides nothing."""
    belief = independent([0.3, 0.3], np.log([100.0, 100.0]))
    step = next_step(belief, question(2, [1, 2], demand=5.0), everything(2), Limits(), Rule())
    assert step == Stop(StopReason.SURE_ENOUGH, 0.0, 0)


def test_it_stops_when_the_best_is_certain():
    belief = independent([0.0, 0.0, 0.0], np.array([0.0, 1.0, 0.5]))
    step = next_step(belief, question(3), everything(3), Limits(), Rule())
    assert step == Stop(StopReason.SURE_ENOUGH, 0.0, 1)


def test_it_goes_on_while_regret_is_above_the_share():
    belief, asked = independent([0.3, 0.3]), question(2)
    regret = expected_regret_ratio(belief, asked)
    below, above = Rule(regret_ratio=regret * 0.99), Rule(regret_ratio=regret * 1.01)
    assert isinstance(next_step(belief, asked, everything(2), Limits(), below), Proposal)
    assert isinstance(next_step(belief, asked, everything(2), Limits(), above), Stop)


@pytest.mark.parametrize("left", [Limits(usd=0.5), Limits(minutes=14.0)])
def test_it_stops_when_nothing_that_would_tell_is_affordable(left):
    step = next_step(independent([0.3, 0.3]), question(2), everything(2), left, Rule())
    assert isinstance(step, Stop)
    assert step.reason is StopReason.NOTHING_AFFORDABLE


def test_it_stops_when_what_is_left_to_measure_tells_nothing():
    belief = independent([0.3, 0.3, 0.3])
    measurable = Measurable(np.array([2]), np.ones(1), np.ones(1))
    asked = Question(np.array([0, 1]), ServingCost(np.ones(2)))
    step = next_step(belief, asked, measurable, Limits(), Rule())
    assert isinstance(step, Stop)
    assert step.reason is StopReason.NOTHING_TELLS


def test_of_two_alike_the_one_that_costs_less_to_measure_is_measured():
    belief = independent([0.3, 0.3, 1e-9])
    for dear in (0, 1):
        usd = np.array([1.0, 1.0, 1.0])
        usd[dear] = 5.0
        measurable = Measurable(np.arange(3), np.full(3, 15.0), usd)
        step = next_step(belief, question(3), measurable, Limits(), Rule())
        assert step.machine == 1 - dear


def test_what_costs_nothing_is_measured_before_what_does():
    belief = independent([0.2, 0.4])
    measurable = Measurable(np.arange(2), np.zeros(2), np.array([0.0, 0.01]))
    assert next_step(belief, question(2), measurable, Limits(), Rule()).machine == 0


@given(st.floats(0, 40), st.floats(0, 300), st.integers(0, 99))
def test_the_budget_is_never_exceeded(usd, minutes, seed):
    rng = np.random.default_rng(seed)
    belief, count = joint(), len(joint().mean)
    measurable = Measurable(np.arange(count), rng.uniform(1, 60, count), rng.uniform(0, 9, count))
    limits = Limits(usd=usd, minutes=minutes)
    order = order_of_measuring(belief, question(count), measurable, limits, Rule())
    assert len(set(order)) == len(order)
    assert measurable.usd[list(order)].sum() <= usd + 1e-9
    assert measurable.minutes[list(order)].sum() <= minutes + 1e-9


def test_an_order_covers_all_when_nothing_stops_it():
    belief = joint()
    count = len(belief.mean)
    order = order_of_measuring(belief, question(count), everything(count), Limits(), NO_RULE)
    assert sorted(order) == list(range(count))


def test_an_order_takes_one_of_each_kind_before_a_second_of_any():
    """Pairs of twins: the second of a pair says nothing that the first did not."""
    twins = np.kron(np.eye(3), np.full((2, 2), 0.3**2)) + 1e-8 * np.eye(6)
    order = order_of_measuring(
        LogNormalJoint(np.zeros(6), twins), question(6), everything(6), Limits(), NO_RULE
    )
    assert {machine // 2 for machine in order[:3]} == {0, 1, 2}
