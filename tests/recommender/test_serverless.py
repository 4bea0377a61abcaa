from decimal import Decimal

import pytest
from measured_runs import Server, measure

from recommender.demand import TrafficFacts
from recommender.recommendation import Basis, RejectReason

ONLY = {"platforms": ("serverless",)}


def hourly(*requests):
    return TrafficFacts(
        text="hours",
        peak_rps=max(requests) / 3600,
        mean_rps=sum(requests) / 3600 / len(requests),
        hourly=tuple(float(each) for each in requests),
    )


def reasons(found):
    return {each.reason for each in found.rejected}


def test_more_memory_than_a_vcpu_costs_buys_no_speed(answer):
    ranked = {each.option.serverless.memory_mib: each for each in answer(**ONLY).ranked}
    assert ranked[2048].performance.latency_s.p95 == ranked[6144].performance.latency_s.p95
    assert ranked[1024].performance.latency_s.p95 > ranked[2048].performance.latency_s.p95


def test_everything_about_it_is_called_prior_knowledge(answer):
    assert {each.performance.basis for each in answer(**ONLY).ranked} == {Basis.PRIOR}


def test_requests_are_billed_at_the_mean_and_their_time_rounded_up(answer):
    best = answer("10rps", **ONLY).best
    compute = best.cost.items[0]
    requests = 10 * 3600 * 730
    each_s = float(compute.quantity) / requests
    assert each_s >= float(best.performance.latency_s.p50) * 0.8
    assert Decimal(compute.usd) == pytest.approx(
        Decimal(compute.quantity) * Decimal(compute.usd_per_unit), abs=Decimal("1e-9")
    )


def test_idle_hours_cost_nothing(answer):
    steady = answer(hourly(*[36000] * 4), **ONLY).best
    bursty = answer(hourly(144000, 0, 0, 0), **ONLY).best
    assert steady.cost.usd_per_month == bursty.cost.usd_per_month


def test_traffic_so_rare_that_the_quantile_is_a_cold_start_is_not_called_met(answer):
    """One request in 20 minutes: nine of ten find the instance gone."""
    found = answer(hourly(3), "p95<10s", **ONLY)
    assert not found.ranked
    assert reasons(found) == {RejectReason.NEEDS_MEASUREMENT}
    assert "start cold" in found.rejected[0].detail


def test_a_start_that_is_too_slow_by_itself_misses(answer):
    found = answer(hourly(3), "p95<100ms", **ONLY)
    assert reasons(found) == {RejectReason.MISSES_SLO}


def test_a_start_nobody_saw_is_not_a_start_of_zero_seconds(answer):
    """A server that was there already: no time to start is known."""
    seen = measure(Server(setup_s=None)).run
    found = answer(hourly(3), "p95<10s", run=seen, **ONLY)
    assert not found.ranked
    assert reasons(found) == {RejectReason.NEEDS_MEASUREMENT}


def test_quantiles_that_are_cold_starts_are_none_and_the_others_stand(answer):
    """55 requests an hour: one in a hundred finds no instance, one in ten does."""
    found = answer(hourly(55), "p90<100ms", **ONLY)
    assert found.ranked
    latency = found.best.performance.latency_s
    assert latency.p99 is None
    assert latency.p90 is not None


def test_cold_starts_push_the_quantile_of_all_into_the_tail_of_the_warm(answer):
    busy = answer(hourly(3600), "p90<100ms", **ONLY).best
    rare = answer(hourly(55), "p90<100ms", **ONLY).best
    assert rare.performance.latency_s.p90 > busy.performance.latency_s.p90


def test_more_in_flight_than_an_endpoint_takes_is_over_the_limit(answer):
    found = answer("30000rps", **ONLY)
    assert not found.ranked
    assert RejectReason.LIMIT in reasons(found)
    assert any("200" in each.detail for each in found.rejected)


def test_bursts_need_more_in_flight_than_independent_users(answer):
    """With service times that vary, by less than the deviation of the gaps says."""
    calm, bursty = (answer(traffic, **ONLY).best.option for traffic in ("200rps", "200rps, cv 4"))
    assert calm.serverless == bursty.serverless
    assert calm.replicas < bursty.replicas < 4 * calm.replicas


def test_a_payload_above_4_mb_is_over_the_limit(answer):
    found = answer(workload={"request_bytes_largest": 4_000_001}, **ONLY)
    assert {each.reason for each in found.rejected} == {RejectReason.LIMIT}


def test_a_model_that_does_not_fit_the_memory_is_rejected_for_it(answer):
    heavy = measure(Server(memory_mib=2500.0)).run
    found = answer(run=heavy, **ONLY)
    sizes = {
        each.option.serverless.memory_mib
        for each in found.rejected
        if each.reason is RejectReason.MEMORY
    }
    assert sizes == {1024, 2048}
    assert {each.option.serverless.memory_mib for each in found.ranked} == {3072, 4096, 5120, 6144}


def test_time_is_billed_in_whole_milliseconds(answer):
    """A request of 0.3 ms, on a vCPU of about the same speed."""
    quick = measure(Server(mean_s=0.0003, cv=0.1)).run
    compute = answer("10rps", run=quick, **ONLY).ranked[-1].cost.items[0]
    assert float(compute.quantity) / (10 * 3600 * 730) == pytest.approx(0.001, rel=0.05)


def test_a_draw_in_which_it_is_too_slow_is_none_in_which_it_is_best(answer):
    """From 2 GB on all sizes are equally fast: they meet the objective together or not at all."""
    ranked = answer("10rps", "p95<32ms", **ONLY).ranked
    met = ranked[0].verdicts[0].probability
    assert 0.8 <= met < 1
    assert sum(each.probability_best for each in ranked) == pytest.approx(met)
