"""Due times are settled before the first request: their laws are tested as statistics.

Each band is at least four standard deviations of the statistic wide, and the seeds are fixed.
"""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import kstest

from loadtests.arrivals import due_times, payload_choices
from loadtests.errors import UsageError

processes = st.sampled_from(["poisson", "constant"])
seeds = st.integers(0, 2**32)
rates = st.floats(0.1, 2000)
durations = st.floats(0.01, 20)


@given(rates, durations, processes, seeds)
def test_due_times_ascend_and_lie_within_the_run(rate_rps, duration_s, process, seed):
    due_s = due_times(rate_rps, duration_s, process=process, seed=seed)
    assert np.all(np.diff(due_s) >= 0)
    assert np.all((due_s >= 0) & (due_s < duration_s))


@given(rates, durations, processes, seeds)
def test_the_same_seed_gives_the_same_schedule(rate_rps, duration_s, process, seed):
    one = due_times(rate_rps, duration_s, process=process, seed=seed)
    other = due_times(rate_rps, duration_s, process=process, seed=seed)
    assert np.array_equal(one, other)


@pytest.mark.parametrize("process", ["poisson", "constant"])
def test_different_seeds_give_different_schedules(process):
    schedules = [due_times(100, 10, process=process, seed=seed) for seed in range(50)]
    assert len({schedule.tobytes() for schedule in schedules}) == 50
    assert len({float(schedule[0]) for schedule in schedules}) == 50


def test_two_generators_with_their_own_seeds_add_up_to_a_poisson_process():
    """Neighbouring seeds are independent: their counts do not rise and fall together."""
    windows = np.arange(0, 401)
    one, other = (
        np.histogram(due_times(50, 400, seed=seed), windows)[0].astype(float) for seed in (1, 2)
    )
    assert abs(np.corrcoef(one, other)[0, 1]) < 4 / np.sqrt(400)
    both = one + other
    assert both.var() / both.mean() == pytest.approx(1, abs=4 * np.sqrt(2 / 400))


@pytest.mark.parametrize("rate_rps", [0.5, 5, 200, 3000])
def test_the_rate_is_the_one_asked_for(rate_rps):
    """No truncated gaps, none lost: over 100 runs the mean count is rate times duration."""
    counts = [len(due_times(rate_rps, 20, seed=seed)) for seed in range(100)]
    expected = rate_rps * 20
    assert np.mean(counts) == pytest.approx(expected, abs=4 * np.sqrt(expected / 100))


def test_counts_of_a_poisson_process_are_dispersed_as_their_mean():
    """Variance over mean, of counts in windows of 10 ms, 100 ms and 1 s."""
    due_s = due_times(200, 500, seed=3)
    for window_s in (0.01, 0.1, 1.0):
        edges = np.arange(0, 500 + window_s / 2, window_s)
        counts = np.histogram(due_s, edges)[0]
        dispersion = counts.var() / counts.mean()
        band = 4 * np.sqrt(2 / len(counts))
        assert dispersion == pytest.approx(1, abs=band), f"windows of {window_s} s"


def test_gaps_of_a_poisson_process_are_exponential_and_forget_the_one_before():
    gaps_s = np.diff(due_times(100, 300, seed=5))
    assert kstest(gaps_s, "expon", args=(0, 1 / 100)).pvalue > 1e-4
    assert gaps_s.std() / gaps_s.mean() == pytest.approx(1, abs=4 / np.sqrt(len(gaps_s)))
    assert abs(np.corrcoef(gaps_s[:-1], gaps_s[1:])[0, 1]) < 4 / np.sqrt(len(gaps_s))


def test_no_instant_is_favoured():
    """The place in a second, or in a gap, is uniform; the ends are as open as the middle."""
    schedules = [due_times(5, 20, seed=seed) for seed in range(400)]
    everything = np.concatenate(schedules)
    for period_s in (1.0, 0.2):
        assert kstest(everything % period_s, "uniform", args=(0, period_s)).pvalue > 1e-4
    for ends_s in ([each[0] for each in schedules], [20 - each[-1] for each in schedules]):
        assert kstest(ends_s, "expon", args=(0, 1 / 5)).pvalue > 1e-4


def test_the_phase_of_a_constant_process_favours_no_instant():
    firsts_s = [due_times(5, 20, process="constant", seed=seed)[0] for seed in range(400)]
    assert kstest(firsts_s, "uniform", args=(0, 1 / 5)).pvalue > 1e-4


@given(rates, durations, seeds)
def test_constant_gaps_are_equal(rate_rps, duration_s, seed):
    due_s = due_times(rate_rps, duration_s, process="constant", seed=seed)
    assert np.allclose(np.diff(due_s), 1 / rate_rps, rtol=1e-9, atol=1e-12)
    assert abs(len(due_s) - rate_rps * duration_s) <= 1


@pytest.mark.parametrize(
    ("rate_rps", "duration_s"),
    [(0, 1), (1, 0), (-1, 1), (1, -1), (np.nan, 1), (1, np.nan), (np.inf, 1), (1, np.inf)],
)
def test_a_schedule_without_rate_or_duration_is_refused(rate_rps, duration_s):
    with pytest.raises(UsageError, match="above 0"):
        due_times(rate_rps, duration_s, seed=0)


@given(st.integers(0, 500), st.integers(1, 20), seeds)
def test_every_payload_is_sent_equally_often(count, payloads, seed):
    choices = payload_choices(count, payloads, seed=seed)
    assert len(choices) == count
    sent = np.bincount(choices, minlength=payloads)
    assert len(sent) == payloads
    assert sent.max() - sent.min() <= 1


def test_payloads_come_in_an_order_of_the_seed():
    orders = {payload_choices(100, 10, seed=seed).tobytes() for seed in range(20)}
    assert len(orders) == 20
    assert payload_choices(100, 10, seed=1).tobytes() in orders


def test_which_payload_is_due_says_nothing_about_when():
    gaps_s = np.diff(due_times(100, 100, seed=4), prepend=0)
    choices = payload_choices(len(gaps_s), 2, seed=4)
    difference_s = gaps_s[choices == 0].mean() - gaps_s[choices == 1].mean()
    assert abs(difference_s) < 4 * 2 * gaps_s.std() / np.sqrt(len(gaps_s))
