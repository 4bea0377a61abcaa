"""What each replica did, and what N of them are worth."""

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from simulated_fleet import spread

from loadtests.errors import UsageError
from loadtests.fleets.replicas import replicas_report
from loadtests.fleets.scaling import CapacityOf, scaling_efficiency
from loadtests.gateway.passages import NO_MEMBER


@given(st.lists(st.tuples(st.sampled_from([0, 1, 2, NO_MEMBER]), st.booleans()), max_size=60))
def test_every_request_is_counted_once(given_):
    members = [member for member, _ in given_]
    failed = [is_bad for _, is_bad in given_]
    report = replicas_report(
        spread(np.arange(len(members)) / 10, np.full(len(members), 0.01), members, failed)
    )
    assert report.requests == len(members)
    assert sum(each.requests for each in report.members) + report.turned_away == len(members)
    assert report.turned_away == members.count(NO_MEMBER)
    bad = sum(each.failed for each in report.members)
    assert report.failed == bad + report.turned_away


def test_an_even_spread_has_no_imbalance_and_a_lopsided_one_says_how_much():
    due_s = np.arange(90) / 10
    even = replicas_report(spread(due_s, np.full(90, 0.01), np.arange(90) % 3))
    assert even.imbalance_ratio == 1
    assert [each.share.value for each in even.members] == pytest.approx([1 / 3] * 3)
    lopsided = replicas_report(spread(due_s, np.full(90, 0.01), [0] * 60 + [1] * 15 + [2] * 15))
    assert lopsided.imbalance_ratio == pytest.approx(2)


def test_a_slow_replica_shows_beside_the_others():
    took_s = np.where(np.arange(90) % 3 == 2, 0.03, 0.01)
    report = replicas_report(spread(np.arange(90) / 10, took_s, np.arange(90) % 3))
    assert report.slowest_ratio == pytest.approx(3)
    assert report.members[2].median_s == pytest.approx(0.03)


def test_requests_in_flight_obey_littles_law():
    rate_rps, took_s = 50.0, 0.04
    due_s = np.arange(0, 20, 1 / rate_rps)
    report = replicas_report(spread(due_s, np.full(len(due_s), took_s), np.zeros(len(due_s))))
    assert report.members[0].in_flight == pytest.approx(rate_rps * took_s, rel=0.01)


def test_nothing_that_passed_is_no_share_of_anything():
    report = replicas_report(spread([], [], []))
    assert report.requests == 0
    assert report.members == ()
    assert report.imbalance_ratio is None


def capacity(rate_rps, width=0.1, **more):
    return CapacityOf(rate_rps, rate_rps * (1 - width), rate_rps * (1 + width), **more)


@given(st.floats(1, 1e4), st.integers(2, 8), st.floats(0.1, 1))
def test_efficiency_is_capacity_over_as_many_times_one(one_rps, replicas, efficiency):
    found = scaling_efficiency(
        {1: capacity(one_rps), replicas: capacity(replicas * efficiency * one_rps)}
    )[-1]
    assert found.efficiency.value == pytest.approx(efficiency)
    assert found.efficiency.low < efficiency < found.efficiency.high


@given(st.floats(0.01, 0.5), st.floats(0.01, 0.5))
def test_its_interval_is_wider_than_either_capacitys_and_narrower_than_both_together(
    first, second
):
    assume(abs(first - second) > 1e-3)
    found = scaling_efficiency({1: capacity(100, first), 2: capacity(200, second)})[1].efficiency
    reach = found.high / found.value
    alone = [(1 + second), 1 / (1 - first)]
    assert max(alone) < reach < alone[0] * alone[1]


def test_its_interval_holds_the_truth_as_often_as_the_capacities_do():
    """Two independent log-normal estimates with 95 % intervals: so has their ratio."""
    rng = np.random.default_rng(7)
    spread_, held, runs = 0.1, 0, 4000
    for _ in range(runs):
        one, three = np.exp(rng.normal(0, spread_, 2)) * (100, 270)
        reach = np.exp(1.96 * spread_)
        found = scaling_efficiency(
            {
                1: CapacityOf(one, one / reach, one * reach),
                3: CapacityOf(three, three / reach, three * reach),
            }
        )[1].efficiency
        held += found.low <= 0.9 <= found.high
    assert held / runs == pytest.approx(0.95, abs=0.015)


def test_replicas_that_shared_cores_say_nothing_of_a_fleet():
    found = scaling_efficiency({1: capacity(100), 3: capacity(150, cores_shared=True)})[1]
    assert found.efficiency.value is None
    assert "cores" in found.reason


def test_without_the_capacity_of_one_there_is_no_efficiency():
    with pytest.raises(UsageError, match="capacity of one"):
        scaling_efficiency({2: capacity(200)})


def test_a_capacity_that_may_be_nothing_bounds_the_efficiency_on_one_side_only():
    found = scaling_efficiency({1: capacity(100), 2: CapacityOf(150, 0.0, 180)})[1].efficiency
    assert found.low is None
    assert found.high is not None
