from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from measured_runs import Server, measure

from loadtests.modes.capacity import Capacity, ServiceModel
from loadtests.queueing import mmc_sojourn_quantile
from loadtests.slo import parse_slo
from recommender.machines import machine_of
from recommender.performance.measured_size import MeasuredSize
from recommender.performance.model import DRAWS, Host, PerformanceModel

SLO = parse_slo("p95<100ms")


def size(vcpus, rate_rps=100.0, servers=None, cpu_s=0.01, **changes):
    """Exponential service times, `servers` of them side by side."""
    servers = servers or max(round(vcpus), 1)
    quantiles = (np.arange(2000) + 0.5) / 2000
    unit = -np.log1p(-quantiles)
    service_s = unit / unit.mean() * servers / rate_rps
    model = ServiceModel(servers, service_s, rate_rps, 0.01)
    known = {"rate_rps": 80.0, "low_rps": 75.0, "high_rps": 85.0, "basis": "confirmed"} | changes
    capacity = Capacity(model=model, best_s=float(service_s.mean()), **known)
    return MeasuredSize(vcpus, capacity, cpu_s, round(100e6 * max(vcpus, 1)), 1.0)


@pytest.fixture(scope="module")
def model_of(prior, book):
    source = machine_of(book.instance("m5.large"))

    def build(*sizes):
        return PerformanceModel(sizes, source, prior)

    return build


@pytest.fixture(scope="module")
def predicted(book):
    def predict(model, name, slo=SLO, **host):
        host = Host(machine_of(book.instance(name)), **host)
        return model.predict([host], model.speed_ratios([host.machine]), slo)[0]

    return predict


def test_nothing_measured_makes_no_model(model_of):
    with pytest.raises(ValueError, match="at least one"):
        model_of()


def test_the_source_itself_is_predicted_as_measured(model_of, predicted):
    found = predicted(model_of(size(1.0, 100.0), size(2.0, 200.0)), "m5.large")
    assert np.median(found.saturation_rps) == pytest.approx(200, rel=0.05)
    assert np.median(found.service_mean_s) == pytest.approx(0.01, rel=0.05)


@pytest.mark.parametrize("utilization", [0.3, 0.6, 0.8])
def test_latency_on_the_source_is_that_of_an_m_m_c_queue(model_of, predicted, utilization):
    found = predicted(model_of(size(1.0, 100.0), size(2.0, 200.0)), "m5.large")
    saturation = float(np.median(found.saturation_rps))
    taken = found.latency_s(utilization * saturation)
    for quantile in (0.5, 0.95):
        theory = mmc_sojourn_quantile(quantile, utilization * 200, 0.01, 2)
        assert np.median(taken[quantile]) == pytest.approx(theory, rel=0.12)


def test_a_large_machine_is_not_faster_for_one_request_for_having_more_vcpus(model_of, predicted):
    """Service time is a matter of one core, however many stand beside it."""
    model = model_of(size(1.0, 100.0), size(2.0, 200.0))
    small, large = predicted(model, "m5.large"), predicted(model, "m5.24xlarge")
    ratio = np.median(large.service_mean_s) / np.median(small.service_mean_s)
    assert ratio == pytest.approx(1, rel=0.1)
    assert np.median(large.saturation_rps) > 10 * np.median(small.saturation_rps)


def test_a_server_that_never_uses_a_second_core_has_one_everywhere(model_of, predicted):
    single = model_of(size(1.0, 100.0, servers=1), size(2.0, 100.0, servers=1))
    assert predicted(single, "m5.2xlarge").curve.queue.servers == 1


def test_a_request_takes_at_least_its_cpu_seconds_over_the_vcpus(model_of):
    """Measured on four vCPUs at once: on one it cannot be as fast."""
    spread = model_of(size(4.0, 100.0, servers=1, cpu_s=0.04))
    assert spread.service_mean_s(4.0) == pytest.approx(0.01)
    assert spread.service_mean_s(1.0) == pytest.approx(0.04)


def test_half_a_vcpu_takes_twice_as_long(model_of):
    model = model_of(size(1.0, 100.0))
    assert model.service_mean_s(0.5) == pytest.approx(2 * model.service_mean_s(1.0))


def test_the_waiting_part_of_a_request_is_as_long_everywhere(model_of, predicted):
    """A hundredth of the time is computing: a machine twice as fast saves half of that."""
    waiting = model_of(size(1.0, 100.0, cpu_s=0.0001), size(2.0, 200.0, cpu_s=0.0001))
    computing = model_of(size(1.0, 100.0), size(2.0, 200.0))
    for name in ("c5.large", "c7i.large"):
        found, other = predicted(waiting, name), predicted(computing, name)
        assert np.median(found.service_mean_s) == pytest.approx(0.01, rel=0.02)
        assert np.median(found.saturation_rps) == pytest.approx(200, rel=0.1)
        assert np.std(found.saturation_rps) < np.std(other.saturation_rps)


def test_half_a_vcpu_takes_nothing_from_a_server_that_waits(model_of):
    model = model_of(size(1.0, 100.0, cpu_s=0.0001))
    host = Host(replace(model.source, vcpus=0.5))
    (found,) = model.predict([host], np.ones((DRAWS, 1)), SLO)
    assert np.median(found.saturation_rps) == pytest.approx(100, rel=0.02)
    assert found.curve.queue.quota is None


def test_a_request_on_an_idle_half_vcpu_is_as_fast_as_on_a_whole_one(model_of):
    """It runs at full speed until the period's quota is used up, which 0.5 ms hardly does."""
    model = model_of(size(1.0, 2000.0, cpu_s=0.0005))
    whole, half = (Host(replace(model.source, vcpus=vcpus)) for vcpus in (1.0, 0.5))
    one, other = model.predict([whole, half], np.ones((DRAWS, 2)), SLO)
    assert np.median(other.saturation_rps) == pytest.approx(1000, rel=0.02)
    idle, held = (np.median(each.idle_latency_s(0.5)) for each in (one, other))
    assert held == pytest.approx(idle, rel=0.1)
    late, later = (np.median(each.latency_s(700.0)[0.95]) for each in (one, other))
    assert later > 2 * late


def test_the_way_there_and_back_is_added_and_holds_no_server(model_of, predicted):
    """12 ms alone, 10 ms of them the server's, each time the same."""
    even = ServiceModel(1, np.full(500, 0.01), 100.0, 0.01)
    near = size(1.0)
    near = replace(near, capacity=replace(near.capacity, model=even))
    far = replace(near, alone_mean_s=0.012)
    one, other = (predicted(model_of(each), "m5.large") for each in (near, far))
    assert np.array_equal(one.saturation_rps, other.saturation_rps)
    for rate_rps in (10.0, 150.0):
        added = other.latency_s(rate_rps)[0.95] - one.latency_s(rate_rps)[0.95]
        assert added == pytest.approx(0.002)
    assert np.all(other.capacity_rps <= one.capacity_rps)


@pytest.mark.parametrize("name", ["m5.large", "c5.4xlarge"])
def test_bursts_lower_what_a_machine_can_carry(prior, book, name, predicted):
    source, sizes = machine_of(book.instance("m5.large")), (size(1.0), size(2.0, 195.0))
    even, bursty = (
        predicted(PerformanceModel(sizes, source, prior, arrivals_cv=cv), name) for cv in (1, 4)
    )
    assert np.array_equal(even.saturation_rps, bursty.saturation_rps)
    assert np.median(bursty.capacity_rps) < 0.9 * np.median(even.capacity_rps)


def test_memory_traffic_is_told_by_what_a_request_costs_beside_others(model_of):
    assert model_of(size(1.0)).memory_traffic == "unknown"
    assert model_of(size(1.0), size(2.0, 200.0)).memory_traffic == "light"
    assert model_of(size(1.0), size(2.0, 150.0, cpu_s=0.013)).memory_traffic == "heavy"


def test_a_size_below_one_vcpu_stands_for_a_whole_one_that_rests(model_of):
    assert model_of(size(0.5, 50.0)).service_mean_s(1.0) == pytest.approx(0.01)


def test_what_open_loop_runs_missed_is_taken_off_every_machine(model_of, predicted):
    """Met at 40 and missed at 60, where M/M/1 has p95 at 30 ms / (1 - load): 70 would do."""
    hopeful = model_of(size(1.0))
    sobered = model_of(size(1.0, basis="bisected", low_rps=40.0, high_rps=60.0))
    full, less = predicted(hopeful, "c5.large"), predicted(sobered, "c5.large")
    ratio = less.capacity_rps / full.capacity_rps
    assert np.median(ratio) == pytest.approx(50 / 70, rel=0.1)
    assert np.median(less.latency_s(100.0)[0.95]) > np.median(full.latency_s(100.0)[0.95])


def test_a_single_miss_bounds_the_capacity_and_does_not_void_it(model_of, predicted):
    missed = model_of(size(1.0, basis="bisected", low_rps=0.0, high_rps=60.0))
    assert np.median(predicted(missed, "c5.large").capacity_rps) > 0


def test_a_machine_measured_itself_is_not_carried_over(model_of, predicted):
    whole = size(4.0, 5000.0, servers=4)
    found = predicted(model_of(whole), "g5.xlarge", measured=whole)
    assert np.median(found.saturation_rps) == pytest.approx(5000, rel=0.01)
    assert np.all(found.service_mean_s == whole.capacity.model.mean_s)


def test_what_the_generator_took_is_given_back(model_of, predicted):
    """Measured while a fifth of the core was the generator's: alone it is 1.25 times as fast."""
    alone, shared = size(1.0), replace(size(1.0), available_ratio=0.8)
    fast, slow = predicted(model_of(shared), "c5.large"), predicted(model_of(alone), "c5.large")
    assert np.median(fast.saturation_rps / slow.saturation_rps) == pytest.approx(1.25)
    assert np.median(fast.service_mean_s / slow.service_mean_s) == pytest.approx(0.8)


def test_the_generator_takes_nothing_from_a_server_that_waits():
    waiting = size(1.0, cpu_s=0.0001)
    shared = replace(waiting, available_ratio=0.8)
    assert shared.saturation_rps == waiting.saturation_rps
    assert shared.service_mean_s == waiting.service_mean_s


def test_a_burstable_machine_is_loaded_to_its_baseline_and_answers_at_full_speed(
    model_of, predicted
):
    model = model_of(size(1.0, 100.0), size(2.0, 200.0))
    full = predicted(model, "t3.large")
    held = predicted(model, "t3.large", sustained_ratio=0.3)
    assert np.all(held.capacity_rps <= 0.3 * held.saturation_rps * (1 + 1e-9))
    assert np.array_equal(held.service_mean_s, full.service_mean_s)
    assert np.median(held.latency_s(30.0)[0.95]) == np.median(full.latency_s(30.0)[0.95])


@settings(max_examples=25, deadline=None)
@given(st.floats(0.02, 1.0), st.floats(1.0, 5.0))
def test_a_looser_objective_never_lowers_capacity_in_any_draw(
    model_of, predicted, limit_s, looser
):
    model = model_of(size(1.0), size(2.0, 190.0))
    tight = predicted(model, "c5.large", parse_slo(f"p95<{limit_s * 1e3:.3f}ms"))
    loose = predicted(model, "c5.large", parse_slo(f"p95<{limit_s * looser * 1e3:.3f}ms"))
    assert np.all(loose.capacity_rps >= tight.capacity_rps * (1 - 1e-9))


@settings(max_examples=25, deadline=None)
@given(st.floats(0.1, 0.99), st.floats(0.1, 0.99))
def test_more_load_never_answers_sooner_in_any_draw(model_of, predicted, one, other):
    found = predicted(model_of(size(1.0), size(2.0, 190.0)), "c5.large")
    low, high = sorted((one, other))
    scale = float(np.median(found.saturation_rps))
    less, more = found.latency_s(low * scale), found.latency_s(high * scale)
    assert all(np.all(more[q] >= less[q]) for q in less)


def test_capacity_is_where_the_objective_is_reached_in_every_draw(model_of, predicted):
    found = predicted(model_of(size(1.0), size(2.0, 190.0)), "c5.large")
    for draw in range(0, DRAWS, 40):
        at_capacity = found.latency_s(float(found.capacity_rps[draw]))[0.95][draw]
        assert at_capacity == pytest.approx(0.1, rel=0.01)


def test_memory_follows_a_line_and_never_falls(model_of):
    model = model_of(size(1.0), size(2.0))
    assert model.memory_bytes(1.0) == pytest.approx(100e6)
    assert model.memory_bytes(8.0) == pytest.approx(800e6)
    shrinking = model_of(size(1.0), replace(size(2.0), memory_peak_bytes=10))
    assert shrinking.memory_bytes(8.0) >= 100e6


def test_with_one_size_memory_grows_with_the_workers(model_of):
    assert model_of(size(1.0)).memory_bytes(4.0) == pytest.approx(400e6)
    unseen = replace(size(1.0), memory_peak_bytes=None)
    assert model_of(unseen).memory_bytes(4.0) is None


def test_a_size_that_cannot_meet_the_slo_alone_still_predicts_faster_machines(answer):
    """Capacity 0 at the SLO says nothing about a machine that is twice as fast."""
    slo = "p50<7.3ms"
    slow = measure(Server(vcpus=(1.0,), true_vcpus=1.0), slo).run
    assert slow.sizes[0].capacity.basis == "none"
    assert slow.sizes[0].capacity.rate_rps == 0
    found = answer("20rps", slo, run=slow, confidence=0.6)
    assert found.ranked
    assert all(each.performance.latency_s.p50 <= 0.0073 for each in found.ranked)
