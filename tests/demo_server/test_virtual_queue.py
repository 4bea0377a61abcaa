from __future__ import annotations

from itertools import pairwise
from math import factorial

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from loadtests.demo_server.service_times import ServiceTime
from loadtests.demo_server.virtual_queue import Cliff, VirtualQueue, Windows
from loadtests.errors import UsageError

gaps_s = st.floats(0, 3)
services_s = st.floats(0.001, 5)
jobs = st.lists(st.tuples(gaps_s, services_s), min_size=1, max_size=60)
server_counts = st.integers(1, 5)


def passages(jobs, servers, stall=None):
    queue = VirtualQueue(servers, stall=stall)
    now_s, result = 0.0, []
    for gap_s, service_s in jobs:
        now_s += gap_s
        result.append(queue.admit(now_s, service_s))
    return result


def poisson_waits_s(servers, load_ratio, service, seed, count=300_000):
    service_time = ServiceTime.parse(service)
    generator = np.random.default_rng(seed)
    rate_rps = load_ratio * servers / service_time.mean_s
    arrivals_s = np.cumsum(generator.exponential(1 / rate_rps, count)).tolist()
    draws_s = service_time.draws_s(generator, count).tolist()
    queue = VirtualQueue(servers)
    served = [queue.admit(a, s) for a, s in zip(arrivals_s, draws_s, strict=True)]
    warm = served[count // 20 :]
    return np.array([p.start_s - p.arrival_s for p in warm])


def erlang_c(servers, load_ratio):
    """The probability of waiting in M/M/c."""
    offered = servers * load_ratio
    last = offered**servers / factorial(servers) / (1 - load_ratio)
    return last / (sum(offered**k / factorial(k) for k in range(servers)) + last)


@given(jobs, server_counts)
def test_a_request_takes_exactly_its_service_time_once_started(jobs, servers):
    for (_, service_s), passage in zip(jobs, passages(jobs, servers), strict=True):
        assert passage.start_s >= passage.arrival_s
        assert passage.finish_s == passage.start_s + service_s


@given(jobs, server_counts)
def test_requests_start_in_the_order_they_came(jobs, servers):
    starts_s = [passage.start_s for passage in passages(jobs, servers)]
    assert starts_s == sorted(starts_s)


@given(jobs, server_counts)
def test_never_more_requests_in_service_than_servers(jobs, servers):
    served = passages(jobs, servers)
    for passage in served:
        in_service = sum(p.start_s <= passage.start_s < p.finish_s for p in served)
        assert in_service <= servers


@given(jobs, server_counts)
def test_no_request_waits_while_a_server_is_idle(jobs, servers):
    served = passages(jobs, servers)
    for number, passage in enumerate(served):
        if passage.start_s > passage.arrival_s:
            busy_before = sum(p.finish_s >= passage.start_s for p in served[:number])
            assert busy_before >= servers


@given(jobs, server_counts)
def test_more_servers_never_make_anyone_wait_longer(jobs, servers):
    for fewer, more in zip(passages(jobs, servers), passages(jobs, servers + 1), strict=True):
        assert more.start_s <= fewer.start_s + 1e-9


@given(jobs, server_counts)
def test_the_area_under_the_number_present_is_the_sum_of_latencies(jobs, servers):
    """Little's law over a span that begins and ends empty: N-bar T = sum of latencies."""
    served = passages(jobs, servers)
    events = sorted([(p.arrival_s, 1) for p in served] + [(p.finish_s, -1) for p in served])
    area_s, present = 0.0, 0
    for (at_s, change), (next_s, _) in pairwise([*events, (events[-1][0], 0)]):
        present += change
        area_s += present * (next_s - at_s)
    assert area_s == pytest.approx(sum(p.latency_s for p in served))


@pytest.mark.parametrize("load_ratio", [0.5, 0.8])
def test_one_exponential_server_waits_as_mm1_says(load_ratio):
    waits_s = poisson_waits_s(1, load_ratio, "exp:0.01", seed=11)
    assert waits_s.mean() == pytest.approx(0.01 * load_ratio / (1 - load_ratio), rel=0.06)
    assert np.mean(waits_s > 0) == pytest.approx(load_ratio, rel=0.02)


@pytest.mark.parametrize(("servers", "load_ratio"), [(2, 0.5), (2, 0.8), (4, 0.8)])
def test_several_exponential_servers_wait_as_mmc_says(servers, load_ratio):
    waits_s = poisson_waits_s(servers, load_ratio, "exp:0.01", seed=12)
    waiting = erlang_c(servers, load_ratio)
    assert np.mean(waits_s > 0) == pytest.approx(waiting, rel=0.04)
    assert waits_s.mean() == pytest.approx(waiting * 0.01 / servers / (1 - load_ratio), rel=0.07)


@pytest.mark.parametrize("service", ["det:0.01", "lognormal:0.01:0.5", "hyper:0.01:2"])
def test_one_general_server_waits_as_pollaczek_and_khinchine_say(service):
    waits_s = poisson_waits_s(1, 0.7, service, seed=13)
    cv = ServiceTime.parse(service).cv
    expected_s = 0.01 * 0.7 / 0.3 * (1 + cv**2) / 2
    assert waits_s.mean() == pytest.approx(expected_s, rel=0.08)


stalls = st.tuples(st.floats(0.5, 20), st.floats(0.05, 0.95)).map(
    lambda pair: Windows(pair[0], pair[0] * pair[1])
)


@given(stalls, st.floats(0, 1e4))
def test_worked_time_and_instants_are_each_others_inverse_outside_stalls(stall, worked_s):
    assert stall.worked_s(stall.instant_s(worked_s)) == pytest.approx(worked_s, abs=1e-6)


@given(stalls, st.floats(0, 1e3), st.floats(0, 1e3))
def test_worked_time_never_runs_faster_than_the_clock(stall, first_s, second_s):
    earlier, later = sorted((first_s, second_s))
    worked = stall.worked_s(later) - stall.worked_s(earlier)
    assert -1e-9 <= worked <= later - earlier + 1e-9


@given(jobs, server_counts, stalls)
def test_no_reply_leaves_during_a_stall(jobs, servers, stall):
    working_s = stall.every_s - stall.for_s
    for passage in passages(jobs, servers, stall):
        into_s = passage.finish_s % stall.every_s
        assert into_s <= working_s + 1e-6 or into_s >= stall.every_s - 1e-6


@given(jobs, server_counts, stalls)
def test_a_stall_never_helps_anyone(jobs, servers, stall):
    free = passages(jobs, servers)
    stalled = passages(jobs, servers, stall)
    for without, with_stall in zip(free, stalled, strict=True):
        assert with_stall.finish_s >= without.finish_s - 1e-9


def test_a_request_caught_in_a_stall_ends_that_much_later():
    stall = Windows(every_s=10, for_s=1)
    queue = VirtualQueue(1, stall=stall)
    assert queue.admit(8.5, 1.0).finish_s == pytest.approx(10.5)  # 0.5 s worked, 1 s frozen
    assert queue.admit(19.5, 0.25).finish_s == pytest.approx(20.25)  # came while frozen


@given(jobs, server_counts, st.integers(0, 4))
def test_a_bounded_queue_never_holds_more_than_its_limit(jobs, servers, limit):
    queue = VirtualQueue(servers, waiting_limit=limit)
    now_s, admitted = 0.0, []
    for gap_s, service_s in jobs:
        now_s += gap_s
        waiting = sum(passage.start_s > now_s for passage in admitted)
        busy = sum(passage.start_s <= now_s < passage.finish_s for passage in admitted)
        assert queue.is_full(now_s) == (busy == servers and waiting >= limit)
        if not queue.is_full(now_s):
            admitted.append(queue.admit(now_s, service_s))
    assume(admitted)
    for passage in admitted:
        waiting = sum(p.arrival_s <= passage.arrival_s < p.start_s for p in admitted)
        assert waiting <= limit


cliffs = st.tuples(st.integers(0, 6), st.floats(0.5, 8)).map(lambda pair: Cliff(*pair))


@given(jobs, server_counts, cliffs)
def test_beyond_the_cliff_and_only_there_services_take_longer(jobs, servers, cliff):
    queue = VirtualQueue(servers, cliff=cliff)
    now_s, admitted = 0.0, []
    for gap_s, service_s in jobs:
        now_s += gap_s
        present = 1 + sum(passage.finish_s > now_s for passage in admitted)
        admitted.append(queue.admit(now_s, service_s))
        factor = cliff.factor if present > cliff.above else 1.0
        taken_s = admitted[-1].finish_s - admitted[-1].start_s
        assert taken_s == pytest.approx(service_s * factor)


@given(stalls, st.floats(0, 1e3))
def test_work_stands_still_inside_the_windows_and_only_there(stall, instant_s):
    assume(min(instant_s % stall.every_s, stall.every_s - instant_s % stall.every_s) > 1e-3)
    working_s = stall.every_s - stall.for_s
    assume(abs(instant_s % stall.every_s - working_s) > 1e-3)
    worked_s = stall.worked_s(instant_s + 1e-4) - stall.worked_s(instant_s)
    assert worked_s == pytest.approx(0.0 if stall.holds(instant_s) else 1e-4, abs=1e-9)


@pytest.mark.parametrize("servers", [0, -1])
def test_a_queue_without_servers_is_refused(servers):
    with pytest.raises(UsageError, match="at least one"):
        VirtualQueue(servers)


@pytest.mark.parametrize(
    "spec", ["1", "1:1", "1:2", "0:0", "x:1", "1:0", "inf:1", "1:-1", "1:2:3"]
)
def test_an_impossible_stall_is_refused(spec):
    with pytest.raises(UsageError):
        Windows.parse(spec)
