"""What a real fleet is told by its policy, and what comes of it, without any fleet."""

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from simulated_fleets import replica, scenario

from loadtests.fleets.lives import Life, paid_s
from recommender.recommendation import Range
from recommender.simulation.fleet import simulate_fleet
from recommender.simulation.outcome import Outcome, Requests, Usage
from recommender.simulation.scaling_policy import Policy, TargetTracking
from recommender.simulation_cases import Course, Figure, figures
from recommender.simulation_check import Decider

POLICY = Policy(1, 20, TargetTracking("invocations", 300.0))


@settings(max_examples=25)
@given(st.lists(st.floats(0.5, 60), min_size=10, max_size=60))
def test_told_the_same_requests_it_decides_what_the_simulation_decides(rates):
    of = scenario(rates, replica(1, 0.1))
    simulated = simulate_fleet(of, [POLICY])[0]
    came = simulated.timeline.arrivals
    decider = Decider(of, POLICY)
    wanted = [decider.first, *(decider(n, int(came[n - 1])) for n in range(1, len(rates)))]
    needed = np.ceil(came[0] / 300.0)
    assume(decider.first == max(needed, 1))  # by the minute's mean, in the simulation its count
    assert sum(wanted) / 60 == pytest.approx(simulated.usage[0].amount[0])


def test_after_the_last_minute_all_stays_as_it_is():
    decider = Decider(scenario([30.0] * 5, replica(1, 0.1)), POLICY)
    asked = [decider(minute, 1800) for minute in range(1, 9)]
    assert asked[3:] == [asked[3]] * 5


def test_a_replica_is_paid_for_from_being_asked_for_until_it_is_given_back():
    lives = [Life(-5.0, -5.0), Life(10.0, 14.0, 40.0), Life(50.0, None, None), Life(90.0)]
    assert paid_s(lives, 0.0, 60.0) == 60 + 30 + 10


@given(st.floats(-50, 150), st.floats(0, 100))
def test_what_is_paid_within_a_time_is_no_longer_than_it(asked_s, lasts_s):
    life = Life(asked_s, None, asked_s + lasts_s)
    both = life.paid_s(0.0, 40.0) + life.paid_s(40.0, 100.0)
    assert both == pytest.approx(life.paid_s(0.0, 100.0))
    assert 0 <= both <= min(lasts_s, 100.0) + 1e-9


def outcome():
    hundred = np.full(5, 100.0)
    requests = Requests(
        hundred, hundred, np.array([80.0, 90.0, 90.0, 95.0, 99.0]), *(np.zeros(5),) * 3
    )
    hours = np.array([1.0, 2.0, 3.0, 4.0, 5.0]) / 3600
    return Outcome(60.0, requests, (Usage("instances", "instance-hour", hours),))


def test_figures_are_judged_by_the_interval_that_was_stated():
    found = figures("one", outcome(), Course(100, 98, 96, 2.5, 3), ())
    by_name = {each.name: each for each in found}
    assert by_name["replica-seconds"].is_inside
    assert by_name["in time, %"].measured == 96.0
    assert not by_name["in time, %"].is_right
    assert not by_name["requests failed"].is_inside
    assert by_name["requests failed"].is_right  # told, not judged
    assert by_name["requests failed"].measured == 2


def test_nothing_measured_is_not_right_and_says_why():
    found = figures("one", None, None, ("no quota here",))
    assert [each.is_right for each in found] == [False, False, True, True]
    assert found[0].as_json()["faults"] == ["no quota here"]


def test_an_interval_without_an_end_has_everything_above_its_low():
    simulated = Range(median=2.0, low=1.0, high=None)
    assert Figure("one", "cost", simulated, 1e9, is_judged=True).is_inside
    assert not Figure("one", "cost", simulated, 0.5, is_judged=True).is_inside


def test_an_invalid_run_proves_nothing():
    simulated = Range(median=2.0, low=1.0, high=3.0)
    found = Figure("one", "cost", simulated, 2.0, is_judged=True, faults=("late",))
    assert found.is_inside
    assert not found.is_right
