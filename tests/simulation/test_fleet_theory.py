import numpy as np
import pytest
from simulated_fleets import replica, scenario

from loadtests.queueing import erlang_c, mmc_sojourn_tail
from recommender.simulation.fleet import simulate_fleet
from recommender.simulation.scaling_policy import FixedSize, Policy, ScheduledBounds


def alone(of, replicas=1):
    return simulate_fleet(of, [Policy(replicas, replicas, FixedSize())])[0]


@pytest.mark.parametrize("servers", [1, 2, 4])
@pytest.mark.parametrize("load", [0.3, 0.6, 0.8])
@pytest.mark.parametrize("limit", [1.5, 4.0, 8.0])
def test_a_steady_fleet_is_as_often_in_time_as_m_m_c(servers, load, limit):
    """Poisson arrivals, exponential service times of 0.1 s."""
    rate_rps = load * servers / 0.1
    of = scenario(np.full(600, 3 * rate_rps), replica(servers, draws=4), limit_s=limit * 0.1)
    good = alone(of, 3).requests.attainment.mean()
    exact = 1 - mmc_sojourn_tail(limit * 0.1, rate_rps, 0.1, servers)
    assert good == pytest.approx(exact, rel=0.02)


@pytest.mark.parametrize("servers", [1, 4])
@pytest.mark.parametrize("load", [0.2, 0.5, 0.8, 0.95])
def test_requests_in_flight_are_those_of_m_m_c(servers, load):
    """Little's law on the exact mean wait: C/(1 - ρ) of them wait."""  # noqa: RUF002 - its symbol
    exact = servers * load + erlang_c(servers, servers * load) * load / (1 - load)
    found = replica(servers).in_flight(np.array([load]))[0]
    assert found == pytest.approx(exact, rel=0.02)


@pytest.mark.parametrize("mean_s", [0.1, 2.0])
def test_a_queue_that_forgets_slowly_is_still_m_m_1_in_the_long_run(mean_s):
    """At 85 % load with 2 s of service it forgets in 3 min, three of its steps."""
    load, limit_s = 0.85, 6 * mean_s
    rates = np.full(20_000, load / mean_s)
    good = alone(scenario(rates, replica(1, mean_s, draws=4), limit_s=limit_s)).requests
    exact = 1 - mmc_sojourn_tail(limit_s, load / mean_s, mean_s, 1)
    assert good.attainment.mean() == pytest.approx(exact, rel=0.02)


def test_overload_is_a_fluid():
    """Ten minutes of twice what it takes: the wait grows and falls in straight lines."""
    rates = [5.0] * 10 + [20.0] * 10 + [5.0] * 40
    outcome = alone(scenario(rates, replica(1, 0.1), limit_s=30.0))
    waits_s = outcome.timeline.latency_s
    assert waits_s[19] == pytest.approx(540, rel=0.05)
    assert waits_s[29] == pytest.approx(600 - 270, rel=0.1)
    good = outcome.timeline.good_ratio
    assert good[:10].min() > 0.99
    # It meets 30 s for the first 30 s of the overload, and again when 30 s are left.
    assert good[10] == pytest.approx(0.5, abs=0.1)
    assert good[11:38].max() < 0.01
    assert good[42:].min() > 0.9
    assert outcome.requests.queued[0] < 10


def test_what_would_wait_too_long_is_refused_and_counted():
    rates = [20.0] * 60
    outcome = alone(scenario(rates, replica(1, 0.1), limit_s=1.0, timeout_s=60.0))
    requests = outcome.requests
    # Ten a second are served and ten refused, after the first minute in which the queue fills.
    assert requests.failed[0] == pytest.approx(59 * 600, rel=0.03)
    assert requests.queued[0] == pytest.approx(600, rel=0.05)
    assert requests.served[0] == pytest.approx(60 * 600, rel=0.03)


def test_replicas_that_come_have_no_work_left_over_from_before():
    """Two drown, eight more come: of the requests four fifths find an idle replica at once."""
    rates = [40.0] * 60
    schedule = (ScheduledBounds(0, 2, 2), ScheduledBounds(600, 10, 10))
    policy = Policy(2, 2, FixedSize(), schedule)
    of = scenario(rates, replica(1, 0.1, start_s=60.0), limit_s=2.0)
    good = simulate_fleet(of, [policy])[0].timeline.good_ratio
    assert good[5:11].max() < 0.01
    assert good[12] == pytest.approx(0.8, abs=0.02)
    assert good[-1] > 0.99
