from dataclasses import replace
from decimal import Decimal

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binom

from pricing import INTERRUPTION_BANDS
from recommender.simulation.outcome import Outcome
from recommender.simulation.spot import (
    SpotScenario,
    best_spot_split,
    simulate_spot_fleet,
    splits,
)
from recommender.simulation.spot_history import (
    SpotFleet,
    SpotMarket,
    interruption_rates,
    interruptions_per_hour,
    spot_history,
)
from recommender.simulation.traffic import TrafficTrace

HOUR_S = 3600.0
PRICES = {"spot": Decimal("0.04"), "on-demand": Decimal("0.1")}
ALONE = SpotMarket(1.0, shared_ratio=0, notice_s=0, unavailable_ratio=0)
TOGETHER = replace(ALONE, shared_ratio=1.0)


def scenario(rate_rps, draws=200, capacity_rps=10.0, hours=100, seed=1):
    trace = TrafficTrace(HOUR_S, np.full(hours, float(rate_rps)))
    capacity = np.full(draws, capacity_rps)
    return SpotScenario(trace, capacity, 1.25 * capacity, np.ones(draws), seed)


def history(fleet, market, hours=4000, draws=2, seed=1):
    return spot_history(fleet, market, hours * HOUR_S, draws, np.random.default_rng(seed))


def missing_ratio(found, machines, hours=4000, draws=2):
    return float((found.to_s - found.from_s).sum()) / (machines * draws * hours * HOUR_S)


@pytest.mark.parametrize("start_s", [360.0, 1800.0])
def test_a_machine_is_missing_as_the_renewal_theorem_says(start_s):
    """Time to fail 1 h on average, then start_s without: start / (hour + start)."""
    found = history(SpotFleet(10, start_s=start_s, drain_s=0), ALONE)
    exact = start_s / (HOUR_S + start_s)
    assert missing_ratio(found, 10) == pytest.approx(exact, rel=0.02)


def test_machines_missing_at_once_are_those_of_the_birth_death_chain():
    """Machine repair with a crew for each: binomial, as each place is a chain of two states."""
    fleet = SpotFleet(6, start_s=0, drain_s=0, falls_back=False)
    market = replace(ALONE, unavailable_ratio=1, drought_s=900)
    found = history(fleet, market, hours=20_000, draws=1)
    probes_s = np.random.default_rng(2).random(200_000) * 20_000 * HOUR_S
    gone = np.searchsorted(np.sort(found.from_s), probes_s)
    back = np.searchsorted(np.sort(found.to_s), probes_s)
    shares = np.bincount(gone - back, minlength=7) / len(probes_s)
    exact = binom.pmf(np.arange(7), 6, 0.2)
    assert shares[:4] == pytest.approx(exact[:4], rel=0.02)


def test_shocks_move_the_tail_and_not_the_mean():
    fleet = SpotFleet(10, pools=2, start_s=600, drain_s=0, falls_back=False)
    market = replace(ALONE, per_hour=0.05)
    apart = simulate_spot_fleet(scenario(70), fleet, market)
    shared = replace(market, shared_ratio=1.0, together_ratio=0.8, drought_s=0)
    together = simulate_spot_fleet(scenario(70), fleet, shared)
    assert together.interruptions.mean() == pytest.approx(apart.interruptions.mean(), rel=0.1)
    assert together.interruptions.std() > 1.5 * apart.interruptions.std()
    assert together.tail(0.05) > 3 * apart.tail(0.05)


def test_notice_is_time_to_replace_a_machine_before_it_goes():
    slow = SpotFleet(10, start_s=300, drain_s=0)
    quick = replace(slow, start_s=100)
    market = replace(ALONE, notice_s=120)
    assert missing_ratio(history(quick, market), 10) == 0
    gap_s = missing_ratio(history(slow, market), 10) * (HOUR_S + 300)
    assert gap_s == pytest.approx(180, rel=0.02)


def test_on_demand_stands_in_and_is_paid_for_until_spot_is_back():
    market = replace(ALONE, unavailable_ratio=1, drought_s=900)
    fleet = SpotFleet(10, start_s=0, drain_s=0)
    found = history(fleet, market)
    total_s = 2 * 10 * 4000 * HOUR_S
    assert missing_ratio(found, 10) == 0
    assert found.on_demand_s.sum() / total_s == pytest.approx(0.2, rel=0.02)
    assert found.spot_s.sum() / total_s == pytest.approx(0.8, rel=0.02)
    short = replace(market, on_demand_short_ratio=1)
    assert missing_ratio(history(fleet, short), 10) == pytest.approx(0.2, rel=0.02)


def test_a_share_taken_in_a_month_comes_back_from_its_rate():
    """So many of a thousand machines that are watched for 730 hours."""
    market = replace(ALONE, per_hour=interruptions_per_hour(0.15))
    found = history(SpotFleet(1, start_s=0), market, hours=730, draws=20_000)
    assert len(np.unique(found.draw)) / 20_000 == pytest.approx(0.15, rel=0.05)
    assert interruptions_per_hour(0.0) == 0
    with pytest.raises(ValueError, match="share"):
        interruptions_per_hour(1.0)


@pytest.mark.parametrize("band", INTERRUPTION_BANDS)
def test_rates_fill_their_band(band):
    low, high = INTERRUPTION_BANDS[band]
    rates = interruption_rates((low, high), 50, seed=1)
    taken = 1 - np.exp(-730 * rates)
    assert ((taken > low) & (taken < min(high, 0.4))).all()
    assert np.ptp(taken) == pytest.approx(0.98 * (min(high, 0.4) - low))


def test_each_draw_may_have_its_own_rate():
    rates = np.r_[np.zeros(50), np.full(50, 0.5)]
    market = replace(ALONE, per_hour=rates, shared_ratio=0.5, drought_s=0)
    found = simulate_spot_fleet(scenario(10, draws=100), SpotFleet(4, start_s=0), market)
    assert found.interruptions[:50].sum() == 0
    assert found.interruptions[50:].mean() == pytest.approx(200, rel=0.05)


fleets = st.builds(
    SpotFleet,
    spot=st.integers(0, 6),
    on_demand=st.integers(1, 3),
    pools=st.integers(1, 3),
    start_s=st.floats(0, 4000),
    drain_s=st.floats(0, 200),
    falls_back=st.booleans(),
    broken_each=st.floats(0, 1000),
)
markets = st.builds(
    SpotMarket,
    per_hour=st.floats(0, 2),
    shared_ratio=st.floats(0, 1),
    together_ratio=st.floats(0.05, 1),
    notice_s=st.floats(0, 300),
    unavailable_ratio=st.floats(0, 1),
    drought_s=st.floats(0, 20_000),
    on_demand_short_ratio=st.floats(0, 1),
)


@settings(max_examples=40)
@given(fleets, markets, st.floats(1, 150))
def test_requests_are_conserved_and_hours_are_paid(fleet, market, rate_rps):
    """`Requests` refuses what does not add up."""
    found = simulate_spot_fleet(scenario(rate_rps, draws=5, hours=20), fleet, market)
    hours = {each.name: each.amount for each in found.outcome.usage}
    assert (hours["spot"] >= -1e-9).all()
    assert (hours["on-demand"] >= fleet.on_demand * 20 - 1e-9).all()
    assert (found.lost >= 0).all()
    assert (found.lost <= found.outcome.requests.arrivals).all()
    usd = found.outcome.usd_per_month(PRICES)
    assert usd == pytest.approx(730 / 20 * (hours["spot"] * 0.04 + hours["on-demand"] * 0.1))
    assert found.tail(0.2) >= found.tail(1.0) - 1e-12


@settings(max_examples=25)
@given(fleets, markets, st.floats(1, 100))
def test_one_more_machine_on_demand_never_costs_attainment(fleet, market, rate_rps):
    """Nothing happens to it, and all else happens as before."""
    asked = scenario(rate_rps, draws=5, hours=20)
    few, more = (
        simulate_spot_fleet(asked, replace(fleet, on_demand=fleet.on_demand + n), market)
        for n in (0, 1)
    )
    slack = 1e-9
    assert (attained(more.outcome) >= attained(few.outcome) - slack).all()


def attained(outcome: Outcome):
    return outcome.requests.attainment


def test_lost_requests_are_those_that_come_while_too_few_machines_are_there():
    """Three machines of 10 rps and 25 rps asked: every second without one is late."""
    fleet = SpotFleet(3, start_s=900, drain_s=0)
    found = simulate_spot_fleet(scenario(25, draws=300), fleet, replace(ALONE, per_hour=0.1))
    missing = 900 / (10 * HOUR_S + 900)
    all_there = (1 - missing) ** 3
    assert found.lost_ratio().mean() == pytest.approx(1 - all_there, rel=0.05)
    failed = found.outcome.requests.failed.mean() / found.outcome.requests.arrivals.mean()
    one_left = 3 * missing**2 * (1 - missing)  # that saturates at 12.5 of the 25 rps
    assert failed == pytest.approx(0.5 * one_left, rel=0.3)


def test_the_cheapest_split_is_the_one_with_most_on_spot_that_attains_enough():
    asked = scenario(75, draws=60)
    market = replace(TOGETHER, per_hour=0.05, notice_s=120, together_ratio=0.3)
    fleet = SpotFleet(0, on_demand=10, pools=2, start_s=600)
    terms = {"attainment": 0.999, "confidence": 0.8}
    best, tried = best_spot_split(asked, splits(fleet), market, PRICES, **terms)
    assert [each.fleet.spot + each.fleet.on_demand for each in tried] == [10] * len(tried)
    assert tried[0].attainment == 1
    enough = [each for each in tried if each.attainment >= 0.999]
    assert best.usd_per_month == min(each.usd_per_month for each in enough)
    assert 0 < best.fleet.spot < 10
    hopeless, _ = best_spot_split(
        scenario(500, draws=5), splits(fleet, most=2), market, PRICES, **terms
    )
    assert hopeless is None


@pytest.mark.parametrize(
    "wrong", [{"shared_ratio": 1.5}, {"together_ratio": 0.0}, {"drought_s": -1.0}]
)
def test_a_market_that_cannot_be_is_refused(wrong):
    with pytest.raises(ValueError, match="SpotMarket"):
        replace(ALONE, **wrong)


def test_a_fleet_that_cannot_be_is_refused():
    with pytest.raises(ValueError, match="no such fleet"):
        SpotFleet(-1)
