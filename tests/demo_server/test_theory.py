"""What a demo server should carry, against what its own queue does."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtests.demo_server import DemoServer
from loadtests.demo_server.theory import capacity_rps, md1_sojourn_tail
from loadtests.demo_server.virtual_queue import VirtualQueue
from loadtests.errors import UsageError


def quantile_s(server, rate_rps, quantile, count=200_000):
    """As the virtual queue has it, its first twentieth left out."""
    generator = np.random.default_rng(31)
    arrivals_s = np.cumsum(generator.exponential(1 / rate_rps, count)).tolist()
    services_s = server.service_time.draws_s(generator, count).tolist()
    queue = VirtualQueue(server.servers, cliff=server.cliff_edge, stall=server.stalls)
    taken = [queue.admit(a, s).latency_s for a, s in zip(arrivals_s, services_s, strict=True)]
    return float(np.quantile(taken[count // 20 :], quantile))


@given(st.floats(0.5, 0.99), st.floats(1.1, 30))
def test_one_exponential_server_carries_what_mm1_says(quantile, limit):
    """P(W > t) = exp(-(μ - λ)t), so λ = μ - ln(1/(1 - q))/t."""
    expected = 1 - math.log(1 / (1 - quantile)) / limit
    found = capacity_rps(DemoServer(service="exp:1"), quantile, limit)
    assert found == pytest.approx(max(expected, 0.0), abs=1e-5)


@pytest.mark.parametrize(
    ("servers", "service", "limit_s"),
    [(1, "det:0.01", 0.03), (4, "exp:0.01", 0.04), (2, "lognormal:0.01:0.5", 0.03)],
)
def test_at_its_capacity_a_server_just_keeps_the_limit(servers, service, limit_s):
    server = DemoServer(servers=servers, service=service)
    rate_rps = capacity_rps(server, 0.95, limit_s)
    assert 0 < rate_rps < server.stable_rps
    assert quantile_s(server, rate_rps, 0.95) == pytest.approx(limit_s, rel=0.06)


def test_equal_services_wait_as_md1_says():
    server = DemoServer(service="det:0.01")
    for load_ratio, quantile in ((0.5, 0.9), (0.8, 0.95)):
        seen_s = quantile_s(server, load_ratio / 0.01, quantile)
        tail = md1_sojourn_tail(seen_s, load_ratio / 0.01, 0.01)
        assert tail == pytest.approx(1 - quantile, rel=0.12)


def test_no_rate_keeps_a_limit_below_the_service_time():
    assert capacity_rps(DemoServer(service="det:0.01"), 0.5, 0.009) == 0
    assert capacity_rps(DemoServer(servers=4, service="lognormal:0.01:0.1"), 0.5, 0.001) == 0


def test_failures_are_asked_of_the_others():
    """One in fifty fails: a p95 of all is a p96.9 of the good ones, and a p99 cannot be met."""
    server = DemoServer(servers=4, service="exp:0.01", error_rate=0.02)
    good = DemoServer(servers=4, service="exp:0.01")
    assert capacity_rps(server, 0.95, 0.06) == capacity_rps(good, 0.95 / 0.98, 0.06)
    assert capacity_rps(server, 0.99, 0.06) == 0


@pytest.mark.parametrize(
    "settings",
    [{"stall": "10:1"}, {"cliff": "8:2"}, {"drift_per_hour": 1.0}, {"error_burst": "10:1"},
     {"queue_limit": 4}],
)  # fmt: skip
def test_a_server_that_changes_has_no_one_capacity(settings):
    with pytest.raises(UsageError):
        capacity_rps(DemoServer(**settings), 0.95, 0.1)


def test_the_time_of_stalls_is_lost():
    assert DemoServer(servers=2, service="exp:0.01", stall="10:1").stable_rps == pytest.approx(180)


def test_what_went_over_the_cliff_stays_below_until_few_enough_arrive():
    """Between the two rates the state depends on the past; below the lower one it recovers."""
    server = DemoServer(servers=2, service="det:0.01", cliff="6:3")
    assert (server.stable_rps, server.collapsed_rps) == (200, pytest.approx(200 / 3))

    def last_latency_s(rate_rps, crowd):
        queue = VirtualQueue(server.servers, cliff=server.cliff_edge)
        arrivals_s = [0.0] * crowd + (np.arange(1, 3000) / rate_rps).tolist()
        return [queue.admit(at_s, 0.01).latency_s for at_s in arrivals_s][-1]

    assert last_latency_s(120, crowd=0) == pytest.approx(0.01)
    assert last_latency_s(120, crowd=50) > 1
    assert last_latency_s(60, crowd=50) == pytest.approx(0.01)
