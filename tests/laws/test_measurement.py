"""What is made of the samples of one run, and how an objective is judged by it."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtests.judging import judge_measurement
from loadtests.measurement import (
    QUANTILES,
    Interval,
    Load,
    Measurement,
    RunFacts,
    TargetRecord,
    TargetUse,
    summarise_closed,
    summarise_open,
    with_objectives,
)
from loadtests.monitor import Neighbours
from loadtests.samples import RECORD, Outcome, Samples
from loadtests.slo import Bound, ErrorRateObjective, LatencyObjective, Verdict
from loadtests.validity import GeneratorFacts, Status

RATE_RPS = 100.0
OUTCOMES = list(Outcome)


def samples(latencies_s, *, outcomes=None, late_s=0.0001):
    """One request every 10 ms; latency from due. A dropped one has only a due time."""
    latencies_s = np.asarray(latencies_s, float)
    records = np.zeros(len(latencies_s), RECORD)
    records["outcome"] = 0 if outcomes is None else outcomes
    records["status"] = np.where(records["outcome"] == Outcome.SUCCEEDED, 200, 500)
    sent = records["outcome"] != Outcome.DROPPED
    records["due_us"] = np.arange(len(records)) * 1e6 / RATE_RPS
    records["sent_us"] = records["due_us"] + np.where(sent, late_s * 1e6, 0)
    done_us = np.where(sent, np.round(latencies_s * 1e6), 0)
    records["first_byte_us"] = records["done_us"] = records["due_us"] + done_us
    records["bytes"] = 20
    return Samples(records)


def facts(taken, *, loop="open", elapsed_s=None, use=None, duration_s=None, **changes):
    count = len(taken)
    span_s = float(taken.records["done_us"].max()) / 1e6 if count else 1.0
    elapsed_s = max(span_s, 0.01) if elapsed_s is None else elapsed_s
    sent = taken.records[taken.is_sent]
    in_flight_s = float(np.sum(sent["done_us"] - sent["sent_us"])) / 1e6
    usual = {
        "target": TargetRecord(
            kind="process",
            label="2 vCPU",
            started_from="serve",
            vcpus=2.0,
            memory_gib=None,
            limits=None,
            shares_cores=False,
            setup_s=1.0,
        ),
        "use": use or TargetUse(),
        "workload": "0123456789abcdef",
        "load": Load(
            loop=loop,
            rate_rps=RATE_RPS if loop == "open" else None,
            concurrency=None if loop == "open" else 1,
            duration_s=duration_s or max(count / RATE_RPS, 0.01),
            seed=1,
        ),
        "started_at": "2026-01-01T00:00:00+00:00",
        "elapsed_s": elapsed_s,
        "generator": GeneratorFacts(0.1 * elapsed_s, elapsed_s, in_flight_s),
        "due": count,
    }
    return RunFacts(**(usual | changes))


def measured(latencies_s, objectives=(), *, outcomes=None, **changes):
    taken = samples(latencies_s, outcomes=outcomes)
    return summarise_open(taken, facts(taken, **changes), objectives)


def lognormal(count, seed=1, median_s=0.02):
    return median_s * np.random.default_rng(seed).lognormal(0, 0.3, count)


@given(st.lists(st.sampled_from(OUTCOMES), min_size=1, max_size=60))
def test_counts_are_of_the_whole_run_and_add_up(outcomes):
    found = measured(np.full(len(outcomes), 0.01), outcomes=outcomes)
    sent = found.due - found.dropped
    assert found.due == len(outcomes)
    assert sent == found.succeeded + found.failed + found.unfinished
    assert sum(found.statuses.values()) == sent
    assert found.error_ratio.value == pytest.approx(1 - found.succeeded / found.due)


@given(st.lists(st.sampled_from(OUTCOMES), min_size=1, max_size=60))
def test_a_measurement_survives_being_stored(outcomes):
    found = measured(np.full(len(outcomes), 0.01), outcomes=outcomes)
    assert Measurement.model_validate_json(found.model_dump_json()) == found


def test_quantiles_are_those_of_the_steady_samples():
    latencies_s = lognormal(2000)
    found = measured(latencies_s)
    steady_s = np.sort(latencies_s[round(found.warmup_s * RATE_RPS) :])
    assert [each.quantile for each in found.latency] == list(QUANTILES)
    for each in found.latency:
        exact = steady_s[int(np.ceil(each.quantile * len(steady_s) - 1e-9)) - 1]
        assert each.seconds.value == pytest.approx(exact, abs=1e-6)
        assert each.seconds.low < each.seconds.value < each.seconds.high


def test_a_slow_start_is_cut_off_and_said():
    latencies_s = lognormal(2000)
    latencies_s[:200] *= 10
    found = measured(latencies_s)
    assert 2.0 <= found.warmup_s <= 4.0
    assert found.latency_at(0.99).value < 0.06
    assert found.succeeded == 2000


def test_latency_counts_from_due_and_service_from_sent():
    taken = samples(lognormal(1000), late_s=0.004)
    found = summarise_open(taken, facts(taken))
    for latency, service in zip(found.latency, found.service, strict=True):
        waited_s = latency.seconds.value - service.seconds.value
        assert waited_s == pytest.approx(0.004, abs=1e-6)
    assert found.lateness_p99_s == pytest.approx(0.004, abs=1e-6)


def test_correlated_latencies_leave_more_open_than_independent_ones():
    independent_s = lognormal(4000)
    blocks_s = np.sort(independent_s).reshape(40, 100)
    in_blocks_s = np.random.default_rng(2).permutation(blocks_s).ravel()

    def width(latencies_s):
        p90 = measured(latencies_s).latency_at(0.9)
        return p90.high - p90.low

    assert width(in_blocks_s) > 2 * width(independent_s)


def test_the_quantile_of_an_objective_is_summarised_as_well():
    found = measured(lognormal(1000), (LatencyObjective(0.975, 0.1),))
    assert found.latency_at(0.975).value is not None
    assert found.latency_at(0.123) == Interval(value=None)


@pytest.mark.parametrize("limit_s", [0.001, 0.03, 5.0])
def test_samples_can_be_summarised_for_other_objectives_later(limit_s):
    """As if they had been asked for at once."""
    taken, other = samples(lognormal(1000)), (LatencyObjective(0.97, limit_s),)
    first = summarise_open(taken, facts(taken), (LatencyObjective(0.5, 0.1),))
    again = with_objectives(first, taken, other)
    assert again.latency == summarise_open(taken, facts(taken), other).latency


def test_a_closed_loop_has_no_latency():
    taken = samples(lognormal(500))
    found = summarise_closed(taken, facts(taken, loop="closed"))
    assert found.latency == ()
    assert found.service_mean_s is not None
    assert with_objectives(found, taken, (LatencyObjective(0.5, 1.0),)) is found
    assert judge_measurement(found, LatencyObjective(0.5, 1.0)) is Verdict.UNKNOWN


def test_throughput_is_of_good_answers_over_the_time_they_took():
    found = measured(np.full(1000, 0.01), outcomes=[0, 1] * 500)
    assert found.throughput_rps == pytest.approx(RATE_RPS / 2, rel=0.01)
    assert found.achieved_rps == pytest.approx(RATE_RPS, rel=0.01)


def test_one_request_that_hangs_does_not_lower_the_throughput_of_the_others():
    latencies_s, outcomes = np.full(1000, 0.01), np.zeros(1000, int)
    latencies_s[-1], outcomes[-1] = 60.0, Outcome.TIMED_OUT
    taken = samples(latencies_s, outcomes=outcomes)
    found = summarise_closed(taken, facts(taken, loop="closed"))
    assert found.throughput_rps == pytest.approx(RATE_RPS, rel=0.02)


def test_the_achieved_rate_is_over_the_time_of_sending():
    """Not over the time it took to wait for the last answers as well."""
    latencies_s = np.full(1000, 0.01)
    latencies_s[-1] = 30.0
    assert measured(latencies_s).achieved_rps == pytest.approx(RATE_RPS, rel=0.02)


def test_what_is_not_known_is_none():
    found = measured(np.full(50, 0.01), outcomes=[Outcome.REFUSED] * 50)
    assert found.service_mean_s is found.service_cv is found.response_bytes_mean is None
    assert found.cpu_s_per_request is found.memory_peak_bytes is found.throttled_ratio is None
    assert found.service == ()
    assert all(each.seconds.value is None for each in found.latency)


def test_cpu_is_charged_to_every_request_sent():
    use = TargetUse(cpu_s=5.0, memory_peak_bytes=7, throttled_s=1.0)
    found = measured(np.full(1000, 0.01), outcomes=[0, 4] * 500, use=use, elapsed_s=10.0)
    assert found.cpu_s_per_request == pytest.approx(5.0 / 500)
    assert found.cpu_busy_vcpus == pytest.approx(0.5)
    assert found.throttled_ratio == pytest.approx(0.1)
    assert found.memory_peak_bytes == 7


def test_requests_in_flight_are_rate_times_service_time():
    found = measured(np.full(2000, 0.05))
    service_s = 0.05 - 0.0001
    assert found.in_flight == pytest.approx(found.achieved_rps * service_s, rel=0.01)


@given(st.floats(0.001, 10))
def test_what_is_infinite_is_stored_as_not_known(finite_s):
    found = Interval.of(Bound(np.inf, finite_s, np.inf))
    assert found == Interval(value=None, low=finite_s, high=None)


MEDIAN_20_MS = lognormal(2000)


@pytest.mark.parametrize(
    ("limit_s", "verdict"),
    [(0.2, Verdict.MET), (0.0328, Verdict.UNKNOWN), (0.02, Verdict.MISSED)],
)
def test_an_objective_is_judged_by_the_whole_interval(limit_s, verdict):
    """p95 is about 32.8 ms: 0.3 times 1.645 standard deviations above a median of 20 ms."""
    objective = LatencyObjective(0.95, limit_s)
    assert judge_measurement(measured(MEDIAN_20_MS, (objective,)), objective) is verdict


def test_an_invalid_measurement_judges_nothing():
    objective = LatencyObjective(0.95, 0.2)
    spoilt = measured(MEDIAN_20_MS, (objective,), neighbours=Neighbours(0.9, 1, 1.0))
    assert spoilt.validity.status is Status.INVALID
    assert not spoilt.is_evidence
    assert judge_measurement(spoilt, objective) is Verdict.UNKNOWN
    assert judge_measurement(spoilt, ErrorRateObjective(0.5)) is Verdict.UNKNOWN


def test_a_quantile_that_was_not_summarised_judges_nothing():
    assert judge_measurement(measured(MEDIAN_20_MS), LatencyObjective(0.7, 9)) is Verdict.UNKNOWN


@pytest.mark.parametrize("outcome", OUTCOMES[1:-1])
def test_failures_that_fill_the_tail_miss_the_objective(outcome):
    """One in ten failed: nothing is known to be within p95, however generous the limit."""
    outcomes = np.where(np.arange(2000) % 10 == 3, outcome, Outcome.SUCCEEDED)
    objective = LatencyObjective(0.95, 100.0)
    found = measured(MEDIAN_20_MS, (objective,), outcomes=outcomes, over_saturated=False)
    if outcome is not Outcome.DROPPED:  # dropped ones make it INVALID unless over-saturated
        assert judge_measurement(found, objective) is Verdict.MISSED
    assert judge_measurement(found, objective) is not Verdict.MET


def test_a_dropped_request_counts_against_the_objective():
    outcomes = np.where(np.arange(2000) % 10 == 3, Outcome.DROPPED, Outcome.SUCCEEDED)
    objectives = (LatencyObjective(0.95, 100.0), ErrorRateObjective(0.05))
    found = measured(MEDIAN_20_MS, objectives[:1], outcomes=outcomes, over_saturated=True)
    assert found.error_ratio.value == pytest.approx(0.1)
    assert {judge_measurement(found, each) for each in objectives} == {Verdict.MISSED}


def test_a_few_failures_outside_the_quantile_do_not_miss_it():
    outcomes = np.where(np.arange(2000) % 100 == 3, Outcome.REFUSED, Outcome.SUCCEEDED)
    objective = LatencyObjective(0.9, 0.2)
    found = measured(MEDIAN_20_MS, (objective,), outcomes=outcomes)
    assert judge_measurement(found, objective) is Verdict.MET


def test_one_failure_among_few_requests_decides_nothing():
    """1 of 15 failed: the 95th percentile may be the failure or the latency next to it."""
    outcomes = [Outcome.REFUSED] + [Outcome.SUCCEEDED] * 14
    objective = LatencyObjective(0.95, 1.0)
    found = measured(np.full(15, 0.01), (objective,), outcomes=outcomes)
    assert judge_measurement(found, objective) is Verdict.UNKNOWN


def test_where_nothing_was_due_nothing_is_judged():
    objective = LatencyObjective(0.95, 1.0)
    found = measured([], (objective,))
    assert judge_measurement(found, objective) is Verdict.UNKNOWN
    assert judge_measurement(found, ErrorRateObjective(0.01)) is Verdict.UNKNOWN


def test_a_server_that_falls_behind_for_good_never_meets_a_latency_objective():
    """The run was stopped early, while the backlog was still short."""
    objective = LatencyObjective(0.95, 10.0)
    found = measured(MEDIAN_20_MS, (objective,), over_saturated=True, stop_reason="over-saturated")
    assert judge_measurement(found, objective) is Verdict.MISSED


@pytest.mark.parametrize(
    ("bad", "verdict"), [(0, Verdict.MET), (40, Verdict.UNKNOWN), (200, Verdict.MISSED)]
)
def test_an_error_rate_is_judged_by_the_whole_interval(bad, verdict):
    outcomes = np.where(np.arange(2000) < bad, Outcome.BROKEN, Outcome.SUCCEEDED)
    found = measured(MEDIAN_20_MS, outcomes=outcomes)
    assert judge_measurement(found, ErrorRateObjective(0.02)) is verdict
