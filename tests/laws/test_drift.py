"""What drifts is found, and what does not is rarely accused."""

import numpy as np
import pytest

from loadtests.modes.drift import MemorySeries, SoakSettings, TrendVerdict, judge_soak
from loadtests.queueing import sojourns
from loadtests.samples import RECORD, Outcome, Samples

STEADY, DRIFTING, INCONCLUSIVE = TrendVerdict
SETTINGS = SoakSettings()
MIB = 2.0**20


def soaks(runs, count, *, utilization, drift=0.0, cv=1.0, servers=1, mean_s=0.01):
    """Runs of a queue whose service grows by `drift` from first to last request."""
    rng = np.random.default_rng(7)
    shape = (count, runs)
    gaps_s = rng.exponential(mean_s / servers / utilization, shape)
    if cv == 1:
        service_s = rng.exponential(mean_s, shape)
    else:
        variance = np.log1p(cv**2)
        service_s = rng.lognormal(np.log(mean_s) - variance / 2, np.sqrt(variance), shape)
    service_s *= 1 + drift * np.linspace(0, 1, count)[:, None]
    taken_s, due_s = sojourns(gaps_s, service_s, servers), np.cumsum(gaps_s, axis=0)
    return [samples(due_s[:, run], taken_s[:, run]) for run in range(runs)]


def samples(due_s, taken_s, failed=None):
    records = np.zeros(len(due_s), RECORD)
    records["due_us"] = records["sent_us"] = np.round(due_s * 1e6)
    records["done_us"] = records["due_us"] + np.round(taken_s * 1e6).astype(int)
    if failed is not None:
        records["outcome"][failed] = Outcome.REFUSED
    return Samples(records)


def share(verdicts, verdict):
    return float(np.mean([each is verdict for each in verdicts]))


def latency_of(run, settings=SETTINGS):
    return judge_soak(run, settings).trends[0]


@pytest.mark.parametrize(("utilization", "count"), [(0.5, 5000), (0.5, 20_000), (0.8, 20_000)])
def test_a_stationary_queue_is_rarely_called_drifting(utilization, count):
    """At most 5 %, and what 200 runs leave open beyond (2.5 standard errors)."""
    verdicts = [
        judge_soak(run, SETTINGS).verdict for run in soaks(200, count, utilization=utilization)
    ]
    assert share(verdicts, DRIFTING) <= 0.05 + 2.5 * np.sqrt(0.05 * 0.95 / 200)


def test_without_the_correction_correlated_windows_would_be_accused_more_often():
    """The test of Mann and Kendall at 5 %, on windows hardly longer than the queue remembers."""
    p_values = [latency_of(run).p_value for run in soaks(200, 8000, utilization=0.9)]
    assert np.mean(np.array(p_values) < 0.05) <= 0.12


@pytest.mark.parametrize(("drift", "found"), [(0.2, 0.8), (0.4, 0.98)])
def test_a_planted_drift_is_found(drift, found):
    """Service slower by 20 % at half load moves p95 by about 40 %."""
    verdicts = [latency_of(run).verdict for run in soaks(60, 20_000, utilization=0.5, drift=drift)]
    assert share(verdicts, DRIFTING) >= found


def test_the_drift_is_told_per_hour_with_an_interval_that_holds_it():
    """At load near nothing latency is service: 10 % slower over the run."""
    held = []
    for run in soaks(40, 6000, utilization=0.02, drift=0.1, cv=0.25):
        found, hours = latency_of(run), float(run.due_s[-1]) / 3600
        truth = 0.1 * np.quantile(run.latency_s[:1000], 0.95) / hours
        held.append(found.per_hour.low <= truth <= found.per_hour.high)
        assert found.over_run_ratio == pytest.approx(0.095, abs=0.06)
    assert np.mean(held) >= 0.9


def test_a_long_enough_run_of_a_calm_server_is_steady():
    verdicts = [
        latency_of(run).verdict
        for run in soaks(20, 40_000, utilization=0.5, cv=0.25, servers=4, mean_s=0.02)
    ]
    assert share(verdicts, STEADY) >= 0.9


def test_a_change_too_small_to_matter_is_no_drift():
    """5 % where 10 % matters: surely there, and steady none the less."""
    runs = soaks(10, 20_000, utilization=0.02, drift=0.05, cv=0.1)
    found = [latency_of(run) for run in runs]
    assert np.mean([each.per_hour.low > 0 for each in found]) >= 0.9
    assert share([each.verdict for each in found], STEADY) == 1


def test_too_short_a_run_is_inconclusive_and_says_so():
    found = judge_soak(soaks(1, 300, utilization=0.5)[0], SETTINGS)
    assert found.verdict is INCONCLUSIVE
    assert "too few" in found.trends[0].reason
    assert found.trends[0].per_hour.value is None


def test_nothing_measured_is_inconclusive():
    found = judge_soak(samples(np.zeros(0), np.zeros(0)), SETTINGS)
    assert found.verdict is INCONCLUSIVE


def test_an_undecided_run_says_how_much_longer_it_takes():
    reasons = [latency_of(run).reason for run in soaks(10, 5000, utilization=0.8)]
    assert any("times as long" in each for each in reasons)


def test_answers_that_begin_to_fail_are_a_drift():
    rng = np.random.default_rng(2)
    due_s = np.arange(0, 600, 0.05)
    failed = rng.random(len(due_s)) < 0.1 * due_s / 600
    found = judge_soak(samples(due_s, np.full(len(due_s), 0.01), failed), SETTINGS)
    answered = found.trends[1]
    assert (answered.of, answered.verdict) == ("answered", DRIFTING)
    assert answered.per_hour.low <= -0.1 * 6 <= answered.per_hour.high
    assert found.verdict is DRIFTING


def test_a_run_that_never_fails_is_answered_steadily():
    assert judge_soak(soaks(1, 20_000, utilization=0.5)[0], SETTINGS).trends[1].verdict is STEADY


@pytest.mark.parametrize(("slower", "verdict"), [(0.0, STEADY), (0.3, DRIFTING)])
def test_a_closed_loop_drifts_in_throughput(slower, verdict):
    """One sender, and a server that takes 30 % longer at the end."""
    rng = np.random.default_rng(3)
    taken_s = rng.gamma(16, 0.01 / 16, 30_000) * (1 + slower * np.linspace(0, 1, 30_000))
    done_s = np.cumsum(taken_s)
    found = judge_soak(samples(done_s - taken_s, taken_s), SETTINGS, loop="closed").trends[1]
    assert (found.of, found.verdict) == ("throughput", verdict)


def memory(leak_bytes_per_hour, seed, *, duration_s=600.0, noise_bytes=2 * MIB):
    """Caches that fill in the first minute, noise, and a leak."""
    rng = np.random.default_rng(seed)
    times_s = np.arange(0, duration_s, 1.0)
    filled = 500 * MIB + 100 * MIB * (1 - np.exp(-times_s / 20))
    leaked = leak_bytes_per_hour * times_s / 3600
    return MemorySeries(times_s, filled + leaked + rng.normal(0, noise_bytes, len(times_s)))


@pytest.fixture(scope="module")
def calm():
    return soaks(1, 5000, utilization=0.3, cv=0.25)[0]


def memory_trend(calm, series, memory_gib=None):
    return judge_soak(calm, SETTINGS, memory=series, memory_gib=memory_gib).trends[2]


def test_memory_that_fills_and_stays_is_steady(calm):
    verdicts = [memory_trend(calm, memory(0, seed)).verdict for seed in range(100)]
    assert share(verdicts, DRIFTING) <= 0.05
    assert share(verdicts, STEADY) >= 0.9


def test_a_leak_is_found_and_measured(calm):
    found = [memory_trend(calm, memory(50 * MIB, seed)) for seed in range(40)]
    assert share([each.verdict for each in found], DRIFTING) == 1
    held = [each.per_hour.low <= 50 * MIB <= each.per_hour.high for each in found]
    assert np.mean(held) >= 0.9


def test_memory_that_never_changes_is_steady(calm):
    series = MemorySeries(np.arange(0.0, 600), np.full(600, 5e8))
    found = memory_trend(calm, series)
    assert (found.verdict, found.per_hour.value) == (STEADY, 0)


def test_a_leak_tells_when_the_memory_is_full(calm):
    """700 MiB left of 1.3 GiB at 100 MiB an hour: 7 hours."""
    found = memory_trend(calm, memory(100 * MIB, 1), memory_gib=1300 / 1024)
    hours = found.out_of_memory_h
    assert hours.low <= (1300 - 600 - 100 / 6) / 100 <= hours.high
    assert hours.value == pytest.approx(6.83, rel=0.1)


def test_without_a_leak_or_a_limit_memory_never_fills(calm):
    assert memory_trend(calm, memory(0, 1), memory_gib=2.0).out_of_memory_h is None
    assert memory_trend(calm, memory(100 * MIB, 1)).out_of_memory_h is None


def test_too_few_readings_of_memory_say_nothing(calm):
    series = MemorySeries(np.arange(5.0), np.arange(5.0) * 1e9)
    assert memory_trend(calm, series).verdict is INCONCLUSIVE
    assert memory_trend(calm, MemorySeries(np.zeros(0), np.zeros(0))).verdict is INCONCLUSIVE


def test_a_soak_is_kept_as_json(calm):
    found = judge_soak(calm, SETTINGS, memory=memory(100 * MIB, 1), memory_gib=2.0)
    assert type(found).model_validate_json(found.model_dump_json()) == found
