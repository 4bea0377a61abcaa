"""What the ways to serve have in common, on a run that was measured by simulation."""

import sys
from decimal import Decimal
from pathlib import Path

import numpy as np
import pytest

from pricing import load_book
from recommender.cost import LineItem
from recommender.performance.speed_prior import SpeedPrior
from recommender.simulation.market import market_of
from recommender.simulation.outcome import MONTH_S, Outcome, Requests, Usage
from recommender.simulation.scaling_policy import AlarmTiming
from recommender.simulation.served import Terms, with_items
from recommender.simulation.traffic import TrafficTrace
from recommender.simulation.ways.compare import compare
from recommender.simulation.ways.curves import break_even_of
from recommender.simulation.ways.shortlist import shortlist

sys.path.insert(0, str(Path(__file__).parents[1] / "recommender"))

from measured_runs import Server, demand, measure

HOURS_RPS = np.array([2.0, 60.0, 30.0, 120.0, 60.0, 2.0])
MACHINES = ("ml.c7i.large", "ml.c8g.medium", "c8g.medium", "c7i.large")


@pytest.fixture(scope="module")
def market():
    """Of a server that answers in 8 ms: market(growth, setup_s=…, zones=…)."""
    known = load_book("2026-11-21"), SpeedPrior.bundled()
    runs = {setup_s: measure(Server(setup_s=setup_s)).run for setup_s in (1.5, None)}

    def make(growth=1.0, *, setup_s=1.5, **constraints):
        asked = demand("1rps", **{"instance_types": MACHINES} | constraints)
        trace = TrafficTrace(3600.0, HOURS_RPS * growth)
        terms = Terms(trace, "hours", AlarmTiming(), draws=8)
        return market_of(runs[setup_s], asked, terms, known)

    return make


def usd(found):
    return float(found.outcome.bill(found.prices).usd_per_month)


def machines_usd(found):
    items = found.outcome.bill(found.prices).items
    return float(sum(item.usd for item in items if item.unit == "instance-hour"))


def test_a_start_nobody_timed_leaves_serverless_without_ground(market):
    found = compare(market(setup_s=None), ("serverless", "layers", "scale-to-zero"))
    assert {each.name for each in found.missing} == {"serverless", "scale-to-zero"}
    assert all("start" in each.reason for each in found.missing if each.name == "serverless")
    (layers,) = found.found
    assert any("no serverless for bursts" in note for note in layers.notes)


def test_a_savings_plan_makes_the_base_of_layers_cheaper_and_larger(market):
    (plain,) = compare(market(), ("layers",)).found
    (saved,) = compare(market(savings_plans={"sagemaker": Decimal("0.6")}), ("layers",)).found
    assert usd(saved) < usd(plain)
    assert float(saved.prices["reserved"]) == pytest.approx(0.4 * float(plain.prices["reserved"]))


def test_more_traffic_never_costs_less(market):
    ways = ("fixed", "two-types", "spot", "layers", "serverless")
    less, more = (compare(market(growth), ways).found for growth in (1.0, 3.0))
    for one, other in zip(less, more, strict=True):
        assert usd(one) < usd(other), one.name


def test_two_types_never_cost_more_than_the_best_alone(market):
    """Of instances; what is paid for data is of the requests that came."""
    fixed, mixed = compare(market(), ("fixed", "two-types")).found
    assert machines_usd(mixed) <= machines_usd(fixed) * (1 + 1e-9)


def test_what_cannot_bear_the_loss_of_a_zone_is_only_a_bound(market):
    found = compare(market(zones=2), ("fixed", "formula", "spot", "two-types")).found
    assert {each.name: each.at_best for each in found} == {
        "fixed": False, "formula": True, "spot": False, "two-types": True
    }  # fmt: skip


def test_a_shortlist_is_of_different_machines_that_come_closest(market):
    here = market()
    found = shortlist(here, 2)
    assert len({each.option for each in found}) == 2
    assert {each.option.split()[0] for each in found} == {"ml.c7i.large", "ml.c8g.medium"}
    assert all(each.probability(here.quantile) >= here.confidence for each in found)


def test_below_a_number_of_requests_too_many_start_cold(market):
    """There, as many as the objective leaves: a twentieth, of gaps longer than five minutes."""
    here = market()
    found = compare(here, ("fixed", "serverless")).found
    curves = break_even_of(here, found).curves
    meets_from = next(each.meets_from for each in curves if each.name == "serverless")
    rates = HOURS_RPS / HOURS_RPS.mean() * meets_from / MONTH_S
    cold = (rates * np.exp(-rates * 300)).sum() / rates.sum()
    assert cold == pytest.approx(0.05, rel=1e-6)
    assert {each.name: each.meets_from for each in curves}["fixed"] == 0


def test_what_is_paid_by_the_hour_does_not_grow_with_the_requests():
    asked = demand("100rps")
    arrivals = np.array([1.0, 3.0]) * 100 * 3600
    zero = np.zeros(2)
    requests = Requests(arrivals, arrivals, arrivals, zero, zero, zero)
    outcome = Outcome(3600.0, requests, (Usage("instances", "instance-hour", np.ones(2)),))
    items = (
        LineItem("load balancer", Decimal(730), "hour", Decimal("0.02")),
        LineItem("data in", Decimal(73), "GB", Decimal("0.016")),
    )
    _, balancer, data = with_items(outcome, items, asked).usage
    assert balancer.amount.tolist() == pytest.approx([1.0, 1.0])
    assert data.amount.tolist() == pytest.approx([0.1, 0.3])
