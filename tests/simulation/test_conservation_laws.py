"""Of every way to serve: requests add up, bills too, and more capacity never hurts."""

from dataclasses import replace
from decimal import Decimal

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from simulated_fleets import replica, scenario

from recommender.simulation.fleet import simulate_fleet
from recommender.simulation.replica import LatencyLimit
from recommender.simulation.scale_to_zero import ScaleToZero, simulate_scale_to_zero
from recommender.simulation.scaling_policy import Policy, TargetTracking
from recommender.simulation.serverless import (
    ServerlessScenario,
    ServerlessTerms,
    ServerlessWork,
    simulate_serverless,
)
from recommender.simulation.spot import SpotScenario, simulate_spot_fleet
from recommender.simulation.spot_history import SpotFleet, SpotMarket
from recommender.simulation.traffic import TrafficTrace

RATES = st.lists(st.just(0.0) | st.floats(0.001, 40), min_size=15, max_size=40).filter(any)
TRACKING = Policy(1, 6, TargetTracking("invocations", 300.0))
DRAWS, STEP_S, MONTH_S = 2, 60.0, 730 * 3600.0


def fleet(rates, capacity=1.0):
    of = replica(1, 0.1 / capacity, draws=DRAWS)
    return simulate_fleet(scenario(rates, of, timeout_s=60.0), [TRACKING])[0]


def serverless(rates, capacity=1.0):
    work = ServerlessWork(np.full(DRAWS, 0.2), np.full(DRAWS, 3.0), np.array([0.7, 1.0, 1.3]))
    asked = ServerlessScenario(traffic(rates), work, LatencyLimit(0.95, 1.0), np.ones(DRAWS))
    return simulate_serverless(asked, ServerlessTerms(6, provisioned=round(capacity) - 1))


def spot(rates, capacity=1.0):
    rps = np.full(DRAWS, 10.0)
    asked = SpotScenario(traffic(rates), capacity * rps, 1.25 * capacity * rps, np.ones(DRAWS), 1)
    return simulate_spot_fleet(asked, SpotFleet(2, start_s=600), SpotMarket(2.0)).outcome


def scale_to_zero(rates, capacity=1.0):
    ones = np.ones(DRAWS)
    terms = ScaleToZero(
        capacity_rps=10 * capacity * ones,
        mean_s=0.1 * ones,
        setup_s=90 * ones,
        levels=ones,
        idle_s=600.0,
        limit_s=1.0,
    )
    return simulate_scale_to_zero(traffic(rates), replace(terms, waits=len(rates) % 2 == 0))


def traffic(rates):
    return TrafficTrace(STEP_S, np.asarray(rates, dtype=float))


WAYS = pytest.mark.parametrize("way", [fleet, serverless, spot, scale_to_zero])


@WAYS
@settings(max_examples=15)
@given(rates=RATES)
def test_arrivals_are_served_failed_throttled_or_queued(way, rates):
    got = way(rates).requests
    accounted = got.served + got.failed + got.throttled + got.queued
    assert accounted == pytest.approx(got.arrivals)
    assert (np.stack([got.served, got.failed, got.throttled, got.queued]) >= -1e-9).all()
    assert (got.good <= got.served + 1e-6).all()


@WAYS
@settings(max_examples=15)
@given(rates=RATES, price=st.decimals("0.001", "9", places=3))
def test_the_bill_is_what_was_used_times_its_price(way, rates, price):
    told = way(rates)
    prices = {each.name: price for each in told.usage}
    used = sum(each.amount for each in told.usage) * MONTH_S / told.duration_s
    assert told.usd_per_month(prices) == pytest.approx(used * float(price))
    bill = told.bill(prices)
    assert bill.usd_per_month == sum((item.usd for item in bill.items), Decimal(0))
    middle = sum(each.amount.min() for each in told.usage) * MONTH_S / told.duration_s  # of two
    assert float(bill.usd_per_month) == pytest.approx(middle * float(price), abs=1e-6)


@WAYS
@settings(max_examples=15)
@given(rates=RATES)
def test_more_capacity_never_costs_attainment(way, rates):
    less, more = (way(rates, capacity).requests.attainment for capacity in (1.0, 2.0))
    assert (more >= less - 1e-3).all()
