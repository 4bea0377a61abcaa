"""What a measurement is worth, before it is made."""

from decimal import Decimal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy.special import ndtr

from recommender.planner.value import MeasuringCost, expected_regret, next_measurement

DRAWS = 4000
COSTS = hnp.arrays(
    np.float64,
    st.tuples(st.integers(1, 30), st.integers(1, 6)),
    elements=st.one_of(st.floats(0.01, 1e6), st.just(np.inf)),
)


def measuring(machines, usd="0.10", minutes=15.0):
    return [
        MeasuringCost(f"m{n}", minutes, Decimal(usd), f"measure m{n}") for n in range(machines)
    ]


def value(costs, signals, usd="0.10", **given):
    machines = signals.shape[1]
    return next_measurement(costs, signals, np.arange(machines), measuring(machines, usd), **given)


@pytest.fixture
def signals():
    """Log throughputs of six machines of like speed, partly shared."""
    rng = np.random.default_rng(2)
    return 0.2 * rng.standard_normal((DRAWS, 1)) + 0.3 * rng.standard_normal((DRAWS, 6))


@pytest.fixture
def costs(signals):
    return 1000 * np.exp(-signals) * np.linspace(1, 1.5, 6)


@given(COSTS, st.integers(0, 5))
def test_no_choice_has_a_regret_below_zero(costs, choice):
    assert expected_regret(costs, choice % costs.shape[1]) >= 0


@given(COSTS)
def test_a_choice_that_is_cheapest_in_every_draw_has_no_regret(costs):
    dominant = np.minimum(costs.min(axis=1, keepdims=True), 1e6) * 0.9
    assert expected_regret(np.hstack([costs, dominant]), costs.shape[1]) == 0


def test_regret_is_the_mean_of_what_the_choice_costs_more():
    costs = np.array([[3.0, 2.0], [1.0, 4.0]])
    assert expected_regret(costs, 0) == pytest.approx(0.5)
    assert expected_regret(costs, 1) == pytest.approx(1.5)


def test_where_the_choice_misses_the_slo_its_usual_cost_is_lost():
    costs = np.array([[3.0, 7.0], [np.inf, 7.0], [5.0, 7.0]])
    assert expected_regret(costs, 0) == pytest.approx(4.0 / 3)


def test_draws_in_which_nothing_meets_the_slo_tell_nothing():
    costs = np.array([[3.0, 2.0], [np.inf, np.inf]])
    assert expected_regret(costs, 0) == pytest.approx(1.0)
    assert expected_regret(np.full((5, 2), np.inf), 1) == 0
    assert value(np.full((5, 2), np.inf), np.zeros((5, 2))) is None


def test_against_a_known_rival_a_measurement_is_worth_what_theory_says():
    """E[(known - cost)⁺] for a log-normal cost: the option of Black and Scholes, less the premium.

    Here the uncertain one is dearer in expectation, so all of it is won by measuring.
    """
    sd, known, median = 0.3, 1000.0, 1050.0
    signal = np.random.default_rng(3).normal(0, sd, (20000, 1))
    costs = np.column_stack([np.full(len(signal), known), median * np.exp(-signal[:, 0])])
    found = next_measurement(costs, signal, np.array([-1, 0]), measuring(1))
    reach = np.log(known / median) / sd
    worth = known * ndtr(reach) - median * np.exp(sd**2 / 2) * ndtr(reach - sd)
    assert found.best.expected_saving_usd_per_month == pytest.approx(worth, rel=0.05)
    assert found.best.probability_changes_answer == pytest.approx(ndtr(reach), abs=0.06)
    assert found.expected_regret_usd_per_month == pytest.approx(worth, rel=0.05)


def test_nothing_saves_more_than_knowing_all(costs, signals):
    found = value(costs, signals)
    assert found.ranked
    for each in found.ranked:
        assert 0 < each.expected_saving_usd_per_month < found.expected_regret_usd_per_month
        assert 0 < each.probability_changes_answer < 1


def test_a_machine_whose_outcome_is_certain_has_no_value_to_measure(costs, signals):
    signals[:, 0], costs[:, 0] = 0.0, 1000.0
    assert "m0" not in {each.instance_type for each in value(costs, signals).ranked}


def test_a_measurement_that_tells_nothing_of_any_cost_is_worth_next_to_nothing(costs):
    blind = np.random.default_rng(4).standard_normal((DRAWS, 6))
    found = value(costs, blind)
    saved = [each.expected_saving_usd_per_month for each in found.ranked]
    assert max(saved, default=0) < 0.02 * found.expected_regret_usd_per_month


def test_where_one_option_is_always_cheapest_nothing_need_be_measured(costs, signals):
    costs[:, 0] = costs.min(axis=1) / 2
    found = value(costs, signals)
    assert found.best is None
    assert found.ranked == ()
    assert found.expected_regret_usd_per_month == 0


def test_what_costs_more_than_it_saves_is_not_advised(costs, signals):
    saved = value(costs, signals).best.expected_saving_usd_per_month
    assert value(costs, signals, usd=f"{saved:.0f}").best is None
    assert value(costs, signals, usd_per_minute=saved).best is None


def test_options_of_one_machine_and_options_of_none_share_the_signals(costs, signals):
    """The same machine under two prices, one on no machine, and one that never meets the SLO."""
    others = np.column_stack([np.full(DRAWS, 5000.0), np.full(DRAWS, np.inf)])
    machine = np.array([*range(6), *range(6), -1, 5])
    every = np.hstack([costs, 1.1 * costs, others])
    found = next_measurement(every, signals, machine, measuring(6))
    alone = value(costs, signals)
    assert [each.instance_type for each in found.ranked] == [
        each.instance_type for each in alone.ranked
    ]
    assert found.best.expected_saving_usd_per_month == pytest.approx(
        alone.best.expected_saving_usd_per_month
    )


def test_the_answer_is_the_same_every_time(costs, signals):
    assert value(costs, signals) == value(costs, signals)
