import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recommender.errors import OutOfRange
from recommender.performance.service_demand import (
    ServiceDemand,
    ServiceMix,
    fit_work,
    memory_traffic,
)

speeds = st.floats(0.2, 5.0)
shares = st.floats(0.05, 1.0)


def demand(cpu_s, service_s=0.01, servers=1, vcpus=1.0):
    return ServiceDemand.of(
        vcpus=vcpus,
        saturation_rps=min(servers / service_s, vcpus / cpu_s),
        service_mean_s=service_s,
        cpu_s=cpu_s,
    )


def test_work_that_only_computes_is_as_much_faster_as_the_machine():
    found = demand(cpu_s=0.0099)
    assert found.bound_by == "CPU"
    assert found.time_ratio(2.0) == pytest.approx(0.5)
    assert found.throughput_ratio(2.0) == pytest.approx(2.0)


def test_work_that_only_waits_is_no_faster_anywhere():
    found = demand(cpu_s=1e-5)
    assert found.bound_by == "waiting"
    assert found.time_ratio(2.0) == pytest.approx(1, rel=0.01)
    assert found.throughput_ratio(2.0) == pytest.approx(1, rel=0.01)


def test_many_waiting_requests_side_by_side_that_use_up_the_cpu_go_by_its_speed():
    """Each waits nine tenths of its time; ten of them fill a CPU."""
    found = demand(cpu_s=0.001, servers=10)
    assert found.bound_by == "CPU"
    assert found.throughput_ratio(2.0) == pytest.approx(2.0)
    assert found.time_ratio(2.0) > 0.9


def test_a_server_of_one_process_on_two_cpus_is_still_bound_by_its_cpu():
    found = demand(cpu_s=0.0099, vcpus=2.0)
    assert found.bound_by == "CPU"
    assert found.throughput_ratio(2.0) == pytest.approx(2.0)


def test_where_cpu_use_could_not_be_seen_all_of_it_is_taken_for_computing():
    unseen = ServiceDemand.of(vcpus=1, saturation_rps=100, service_mean_s=0.01, cpu_s=None)
    assert unseen == ServiceDemand()
    assert unseen.throughput_ratio(3.0) == pytest.approx(3.0)


def test_a_quota_takes_nothing_from_a_server_that_mostly_waits():
    assert demand(cpu_s=0.001).quota_ratio(0.5) == 1.0
    assert demand(cpu_s=0.0099).quota_ratio(0.5) == pytest.approx(0.5)


@given(shares, shares, speeds, speeds)
def test_a_faster_machine_is_never_slower_and_never_gains_more_than_its_speed(
    computing, busy, one, other
):
    found = ServiceDemand(computing, busy)
    slow, fast = sorted((one, other))
    assert found.time_ratio(fast) <= found.time_ratio(slow) * (1 + 1e-12)
    assert found.throughput_ratio(fast) >= found.throughput_ratio(slow) * (1 - 1e-12)
    gained = float(found.throughput_ratio(fast) / found.throughput_ratio(slow))
    assert gained <= fast / slow * (1 + 1e-9)


@given(shares, shares)
def test_a_machine_as_fast_as_the_source_is_the_source(computing, busy):
    found = ServiceDemand(computing, busy)
    assert found.time_ratio(1.0) == pytest.approx(1)
    assert found.throughput_ratio(1.0) == pytest.approx(1)
    assert found.quota_ratio(1.0) == 1


@given(st.floats(1e-4, 1), st.floats(1e-5, 0.1), st.sets(st.integers(1, 500), min_size=2))
def test_overhead_and_work_of_an_item_are_told_apart(fixed_s, per_item_s, sizes):
    items = sorted(sizes)
    found = fit_work(items, [fixed_s + per_item_s * n for n in items])
    assert found.fixed_s == pytest.approx(fixed_s, rel=1e-6, abs=1e-9)
    assert found.per_item_s == pytest.approx(per_item_s, rel=1e-6, abs=1e-9)
    assert max(abs(each) for each in found.errors) < 1e-6


def test_neither_overhead_nor_work_is_ever_negative():
    found = fit_work([1, 10], [0.01, 0.005])
    assert found.fixed_s >= 0
    assert found.per_item_s == 0


def test_one_size_tells_nothing_of_another():
    with pytest.raises(OutOfRange, match="one size"):
        fit_work([4, 4], [0.01, 0.011])


def test_a_line_is_not_drawn_far_beyond_what_was_measured():
    found = fit_work([1, 10], [0.01, 0.02])
    assert found.seconds(20) == pytest.approx(0.01 + 19 / 900, rel=0.01)
    with pytest.raises(OutOfRange, match="most measured is 10"):
        found.seconds(21)


@given(st.floats(0.01, 0.99))
def test_another_mix_has_the_mean_of_its_parts(share):
    rng = np.random.default_rng(1)
    payloads = rng.integers(0, 2, 4000).astype(np.uint16)
    times_s = np.where(payloads == 0, 0.002, 0.02) * rng.lognormal(0, 0.1, 4000)
    mix = ServiceMix.of(payloads, times_s)
    weights = {0: share, 1: 1 - share}
    small, large = (times_s[payloads == each].mean() for each in (0, 1))
    expected = share * small + (1 - share) * large
    assert mix.mean_s(weights) == pytest.approx(expected)
    assert mix.under(weights).mean() == pytest.approx(expected, rel=0.01)


def test_a_payload_never_measured_is_not_mixed_in():
    mix = ServiceMix({0: np.array([0.01])})
    with pytest.raises(OutOfRange, match=r"\[3\]"):
        mix.under({0: 1.0, 3: 1.0})


def test_traffic_to_memory_shows_in_cpu_seconds_that_grow_with_the_workers():
    assert memory_traffic([1, 2, 4], [0.01, 0.0101, 0.0102]) == "light"
    assert memory_traffic([1, 2, 4], [0.01, 0.011, 0.0121]) == "shared"
    assert memory_traffic([1, 2, 4], [0.01, 0.013, 0.017]) == "heavy"
    assert memory_traffic([0.5, 1], [0.01, 0.01]) == "unknown"
