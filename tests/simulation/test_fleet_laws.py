from decimal import Decimal

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from simulated_fleets import replica, scenario

from recommender.simulation.fleet import INSTANCES, simulate_fleet
from recommender.simulation.outcome import Outcome, Requests, Usage
from recommender.simulation.scaling_policy import FixedSize, Policy, StepScaling, TargetTracking

RATES = st.lists(st.floats(0, 60), min_size=20, max_size=80).filter(lambda all_: sum(all_) > 1)
POLICIES = st.one_of(
    st.builds(
        lambda least, more, target, out_s, in_s: Policy(
            least, least + more, TargetTracking("invocations", target, out_s, in_s)
        ),
        st.integers(1, 4), st.integers(0, 20), st.floats(60, 900),
        st.sampled_from([0.0, 60.0, 300.0]), st.sampled_from([60.0, 300.0]),
    ),
    st.builds(
        lambda metric, target: Policy(1, 12, TargetTracking(metric, target)),
        st.sampled_from(["cpu", "concurrency"]), st.floats(0.2, 0.9),
    ),
    st.builds(
        lambda high: Policy(
            1, 12, StepScaling("invocations", high, high / 2, ((0.0, 1), (100.0, 3)))
        ),
        st.floats(100, 600),
    ),
    st.builds(lambda size: Policy(size, size, FixedSize()), st.integers(1, 9)),
)  # fmt: skip


@given(RATES, POLICIES, st.sampled_from([5.0, 60.0, 1e9]))
def test_every_request_is_accounted_for_and_every_instance_second_paid(rates, policy, timeout_s):
    of = scenario(rates, replica(1, 0.1, draws=3), timeout_s=timeout_s)
    outcome = simulate_fleet(of, [policy])[0]
    got = outcome.requests
    accounted = got.served + got.failed + got.throttled + got.queued
    assert accounted == pytest.approx(got.arrivals)
    assert (got.good <= got.served + 1e-6).all()
    capacity = outcome.most_replicas * 10 * len(rates) * 60
    by_chance = 4 * np.sqrt(capacity)  # a server may be given short requests
    assert (got.served <= capacity + by_chance).all()
    timeline = outcome.timeline
    served_h = timeline.replicas.sum() / 60
    assert outcome.usage[0].amount.max() >= served_h - 1e-9
    low, high = policy.min_replicas, policy.max_replicas
    assert low <= timeline.replicas.min()
    assert timeline.replicas.max() <= high


@given(RATES, POLICIES, st.decimals("0.01", "50", places=4))
def test_the_bill_is_the_instance_hours_times_the_price(rates, policy, price):
    outcome = simulate_fleet(scenario(rates), [policy])[0]
    bill = outcome.bill({INSTANCES: price})
    hours = float(outcome.usage[0].amount[0]) * 730 * 3600 / outcome.duration_s
    assert bill.usd_per_month == sum(item.usd for item in bill.items)
    assert float(bill.usd_per_month) == pytest.approx(hours * float(price), rel=1e-6)
    assert outcome.usd_per_month({INSTANCES: price})[0] == pytest.approx(
        float(bill.usd_per_month), rel=1e-6
    )


@settings(max_examples=50)
@given(RATES, st.integers(1, 8), st.integers(1, 8))
def test_more_capacity_never_costs_attainment(rates, few, more):
    sizes = [Policy(n, n, FixedSize()) for n in (few, few + more)]
    smaller, larger = simulate_fleet(scenario(rates, replica(2, 0.3, draws=3)), sizes)
    assert (larger.requests.attainment >= smaller.requests.attainment - 1e-3).all()
    assert (larger.usage[0].amount > smaller.usage[0].amount).all()


@given(RATES, st.floats(0.5, 0.95))
def test_more_traffic_never_finds_shorter_queues(rates, share):
    few = scenario(np.array(rates) * share, replica(1, 0.1, draws=3))
    size = [Policy(3, 3, FixedSize())]
    less, all_ = (
        simulate_fleet(few, size)[0],
        simulate_fleet(scenario(rates, few.replica), size)[0],
    )
    assert (all_.requests.attainment <= less.requests.attainment + 2e-2).all()


def test_policies_side_by_side_are_the_same_as_alone():
    of = scenario(20 + 15 * np.sin(np.arange(300) / 30), replica(1, 0.1, draws=3))
    policies = [
        Policy(1, 20, TargetTracking("invocations", 300.0)),
        Policy(4, 4, FixedSize()),
        Policy(2, 30, TargetTracking("invocations", 400.0, 60.0, 600.0)),
        Policy(1, 20, TargetTracking("cpu", 0.6)),
    ]
    for together, policy in zip(simulate_fleet(of, policies), policies, strict=True):
        alone = simulate_fleet(of, [policy])[0]
        assert together.usage[0].amount.tolist() == alone.usage[0].amount.tolist()
        assert together.requests.good == pytest.approx(alone.requests.good)


def test_the_worst_hour_is_found():
    rates = np.full(240, 5.0)
    rates[100:120] = 40.0
    outcome = simulate_fleet(scenario(rates), [Policy(1, 1, FixedSize())])[0]
    at_s, good = outcome.timeline.worst_hour()
    assert 40 <= at_s / 60 <= 130
    assert good < outcome.requests.attainment[0]


def counts(*numbers):
    return Requests(*(np.array([float(number)]) for number in numbers))


@pytest.mark.parametrize(
    "numbers", [(10, 5, 5, 1, 1, 1), (10, 10, 11, 0, 0, 0), (10, 11, 5, -1, 0, 0)]
)
def test_requests_that_do_not_add_up_are_refused(numbers):
    with pytest.raises(ValueError, match="requests"):
        counts(*numbers)


def test_costs_are_of_all_requests_or_of_the_good_ones():
    outcome = Outcome(
        duration_s=73 * 3600.0,
        requests=counts(1e5, 1e5, 5e4, 0, 0, 0),
        usage=(Usage(INSTANCES, "instance-hour", np.array([73.0])),),
    )
    prices = {INSTANCES: Decimal(2)}
    assert outcome.bill(prices).usd_per_month == 1460
    assert outcome.usd_per_million(prices, only_good=False)[0] == pytest.approx(1460)
    assert outcome.usd_per_million(prices, only_good=True)[0] == pytest.approx(2920)
    assert outcome.attainment.median == 0.5
