from decimal import Decimal

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recommender.errors import BadRequest
from recommender.simulation.layers import LayerTerms, best_layers
from recommender.simulation.traffic import TrafficTrace

HOURS = 730


def terms(capacity_rps=10.0, reserved="0.06", on_demand="0.1", serverless="8.0", **more):
    prices = [
        None if each is None else Decimal(each) for each in (reserved, on_demand, serverless)
    ]
    return LayerTerms(np.full(3, capacity_rps), *prices, **more)


def usd(layers, chosen):
    return float(layers.outcome.usd_per_month(chosen.prices)[0])


rates = st.lists(st.just(0.0) | st.floats(0.001, 60), min_size=2, max_size=20).filter(any)


@settings(max_examples=40)
@given(rates, st.sampled_from(["2.0", "4.0", "8.0", "40.0"]))
def test_layers_never_cost_more_than_any_of_them_alone(rps, per_million):
    trace = TrafficTrace(600.0, np.array(rps))
    chosen = terms(serverless=per_million)
    found = usd(best_layers(trace, chosen, 0.8), chosen)
    base_alone = np.ceil(trace.peak_rps / 10) * 0.06 * HOURS
    on_demand_alone = np.ceil(trace.rate_rps / 10).mean() * 0.1 * HOURS
    serverless_alone = trace.mean_rps * HOURS * 3600 * float(per_million) / 1e6
    slack = 1 + 1e-9
    assert found <= min(base_alone, on_demand_alone, serverless_alone) * slack


@settings(max_examples=40)
@given(rates, st.integers(0, 600))
def test_the_bill_is_hours_times_price_and_every_request_is_served(rps, start_up_s):
    trace = TrafficTrace(600.0, np.array(rps))
    chosen = terms(start_up_s=float(start_up_s))
    found = best_layers(trace, chosen, 0.8)
    by_hand = sum(
        float(found.outcome.per_month(each)[0]) * float(chosen.prices[each.name])
        for each in found.outcome.usage
    )
    assert usd(found, chosen) == pytest.approx(by_hand)
    assert usd(found, chosen) == pytest.approx(found.usd_per_month_by_reserved.min())
    requests = found.outcome.requests
    assert requests.good == pytest.approx(requests.arrivals)


@settings(max_examples=40)
@given(rates)
def test_a_reserved_machine_has_to_earn_its_month(rps):
    """Dear as on demand, and paid all the time: none is reserved but where all are used."""
    trace = TrafficTrace(600.0, np.array(rps))
    chosen = terms(reserved="0.1001", serverless=None)
    assert best_layers(trace, chosen, 0.8).reserved == 0


def test_a_steady_base_is_reserved_and_a_rare_peak_is_not():
    rate = np.full(1000, 95.0)
    rate[500] = 195.0
    found = best_layers(TrafficTrace(60.0, rate), terms(), 0.8)
    assert found.reserved == 10
    assert len(found.usd_per_month_by_reserved) == 21


def test_without_another_layer_the_base_carries_the_peak():
    found = best_layers(
        TrafficTrace(60.0, np.array([1.0, 33.0])), terms(on_demand=None, serverless=None), 0.8
    )
    assert found.reserved == 4
    assert np.isinf(found.usd_per_month_by_reserved[:4]).all()


def test_what_the_concurrency_limit_lets_through_is_all_that_serverless_gets():
    trace = TrafficTrace(3600.0, np.array([25.0]))
    chosen = terms(reserved="9", serverless="0.01", serverless_most_rps=7.0)
    found = best_layers(trace, chosen, 0.8).outcome
    amounts = {each.name: float(each.amount[0]) for each in found.usage}
    assert amounts["on-demand"] == pytest.approx(2.0)
    assert amounts["serverless"] == pytest.approx(5 * 3600 / 1e6)


def test_a_start_is_paid_before_it_serves():
    trace = TrafficTrace(3600.0, np.array([0.0, 5.0, 5.0, 0.0]))
    found = best_layers(trace, terms(reserved="9", serverless=None, start_up_s=360.0), 0.8)
    (hours,) = (each.amount[0] for each in found.outcome.usage if each.name == "on-demand")
    assert hours == pytest.approx(2.1)


def test_a_machine_that_serves_nothing_is_no_base():
    with pytest.raises(BadRequest, match="serves nothing"):
        best_layers(TrafficTrace(60.0, np.ones(3)), terms(capacity_rps=0.0), 0.8)
