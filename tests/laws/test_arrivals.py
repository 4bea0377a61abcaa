"""Due times are settled before the first request: their laws are tested as statistics.

Each band is at least four standard deviations of the statistic wide, and the seeds are fixed.

By time rescaling, the laws of a process of rate 1 must hold of Λ(due) for every traffic, Λ(t)
being its expected requests by t. For a stationary renewal process of gaps of mean 1 with
distribution F they are (Cox 1962, Renewal Theory): the first arrival has the distribution of
density 1 - F, the gaps after it have F, and with gamma gaps the variance of the count in a window
w is cv²·w + (1 - cv⁴)/6.
"""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError
from scipy.stats import gamma, kstest

from loadtests.arrivals import Arrivals, due_times, payload_choices
from loadtests.errors import UsageError
from loadtests.traffic import Burst, Diurnal, Hourly, Ramp, Replay, Steady, Steps

POISSON, CONSTANT = Arrivals(), Arrivals(process="constant")
SMOOTH, BURSTY = (Arrivals(process="gamma", cv=cv) for cv in (0.5, 2.0))
PROCESSES = [POISSON, CONSTANT, SMOOTH, BURSTY]
RANDOM = [POISSON, SMOOTH, BURSTY]

KINDS = [
    Steady(rps=20),
    Hourly(requests=(3600 * 10, 0, 3600 * 30), hour_s=10),
    Ramp(start_rps=0, end_rps=40, duration_s=30),
    Steps(steps=[{"rps": 5, "duration_s": 10}, {"rps": 50, "duration_s": 10}]),
    Burst(base_rps=10, burst_rps=100, for_s=1, every_s=9),
    Burst(base_rps=10, burst_rps=100, for_s=3, at_s=20),
    Diurnal(mean_rps=20, peak_rps=40, period_s=15, peak_at_s=5),
]
RUN_S = 50.0

processes = st.sampled_from(PROCESSES)
kinds = st.sampled_from(KINDS)
seeds = st.integers(0, 2**32)
rates = st.floats(0.1, 2000)
durations = st.floats(0.01, 20)

of_each_process = pytest.mark.parametrize("arrivals", PROCESSES, ids=lambda each: each.text)
of_each_kind = pytest.mark.parametrize("traffic", KINDS, ids=lambda each: each.text)


def squared_cv(arrivals):
    match arrivals.process:
        case "poisson":
            return 1.0
        case "constant":
            return 0.0
        case _:
            return arrivals.cv**2


def rescaled(traffic, due_s):
    return np.array([traffic.requests_by(t_s) for t_s in due_s.tolist()])


def distribution_of_gaps(arrivals):
    shape = 1 / squared_cv(arrivals)
    return gamma(shape, scale=1 / shape).cdf


def distribution_of_the_first(arrivals):
    """The integral of 1 - F: for gamma gaps x·(1 - F(x)) + G(x), G of shape one more."""
    if arrivals.process == "constant":
        return "uniform"
    shape = 1 / squared_cv(arrivals)
    gaps, lengths = gamma(shape, scale=1 / shape), gamma(shape + 1, scale=1 / shape)
    return lambda x: x * gaps.sf(x) + lengths.cdf(x)


@given(kinds, durations, processes, seeds)
def test_due_times_ascend_and_lie_within_the_run(traffic, duration_s, arrivals, seed):
    due_s = due_times(traffic, duration_s, arrivals=arrivals, seed=seed)
    assert due_s.dtype == np.float64
    assert np.all(np.diff(due_s) >= 0)
    assert np.all((due_s >= 0) & (due_s < duration_s))


@given(kinds, durations, processes, seeds)
def test_the_same_seed_gives_the_same_schedule(traffic, duration_s, arrivals, seed):
    one = due_times(traffic, duration_s, arrivals=arrivals, seed=seed)
    other = due_times(traffic, duration_s, arrivals=arrivals, seed=seed)
    assert np.array_equal(one, other)


@of_each_process
def test_different_seeds_give_different_schedules(arrivals):
    schedules = [
        due_times(Steady(rps=100), 10, arrivals=arrivals, seed=seed) for seed in range(50)
    ]
    assert len({schedule.tobytes() for schedule in schedules}) == 50
    assert len({float(schedule[0]) for schedule in schedules}) == 50


def test_two_generators_with_their_own_seeds_add_up_to_a_poisson_process():
    """Neighbouring seeds are independent: their counts do not rise and fall together."""
    windows = np.arange(0, 401)
    one, other = (
        np.histogram(due_times(Steady(rps=50), 400, seed=seed), windows)[0].astype(float)
        for seed in (1, 2)
    )
    assert abs(np.corrcoef(one, other)[0, 1]) < 4 / np.sqrt(400)
    both = one + other
    assert both.var() / both.mean() == pytest.approx(1, abs=4 * np.sqrt(2 / 400))


@of_each_kind
@of_each_process
def test_the_rate_is_the_one_asked_for(traffic, arrivals):
    """No truncated gaps, none lost: over 100 runs the mean count is the expected one."""
    counts = [len(due_times(traffic, RUN_S, arrivals=arrivals, seed=seed)) for seed in range(100)]
    expected = traffic.requests_by(RUN_S)
    deviation = np.sqrt(squared_cv(arrivals) * expected + 1)  # +1: a count is a whole number
    assert np.mean(counts) == pytest.approx(expected, abs=4 * deviation / 10)


@pytest.mark.parametrize("rate_rps", [0.5, 5, 3000])
def test_the_rate_is_kept_at_few_and_at_many_requests(rate_rps):
    counts = [len(due_times(Steady(rps=rate_rps), 20, seed=seed)) for seed in range(100)]
    expected = rate_rps * 20
    assert np.mean(counts) == pytest.approx(expected, abs=4 * np.sqrt(expected / 100))


@of_each_kind
@of_each_process
def test_no_instant_is_favoured_however_the_rate_changes(traffic, arrivals):
    """Each tenth of the requests expected, the first and the last included, gets its tenth."""
    runs, expected = 20, traffic.requests_by(RUN_S)
    places = np.concatenate(
        [
            rescaled(traffic, due_times(traffic, RUN_S, arrivals=arrivals, seed=seed))
            for seed in range(1000, 1000 + runs)
        ]
    )
    counts, _ = np.histogram(places, bins=10, range=(0, expected))
    share = runs * expected / 10
    deviation = np.sqrt(runs * (squared_cv(arrivals) * expected / 10 + 1))
    assert np.all(np.abs(counts - share) < 4.5 * deviation)


@of_each_process
def test_the_start_and_the_end_fall_anywhere_in_a_gap(arrivals):
    """No favoured first instant, and no gap cut off at the end: the same law both ways."""
    traffic = Ramp(start_rps=2, end_rps=8, duration_s=40)
    expected = traffic.requests_by(40)
    ends_s = [due_times(traffic, 40, arrivals=arrivals, seed=seed)[[0, -1]] for seed in range(500)]
    firsts, lasts = np.array([rescaled(traffic, each) for each in ends_s]).T
    law = distribution_of_the_first(arrivals)
    assert kstest(firsts, law).pvalue > 1e-3
    assert kstest(expected - lasts, law).pvalue > 1e-3


@of_each_kind
@pytest.mark.parametrize("arrivals", RANDOM, ids=lambda each: each.text)
def test_gaps_follow_their_distribution_however_the_rate_changes(traffic, arrivals):
    """And none knows of the one before it."""
    duration_s = 3000 / traffic.mean_rps
    due_s = due_times(traffic, duration_s, arrivals=arrivals, seed=5)
    gaps = np.diff(rescaled(traffic, due_s))
    assert kstest(gaps, distribution_of_gaps(arrivals)).pvalue > 1e-3
    assert abs(np.corrcoef(gaps[:-1], gaps[1:])[0, 1]) < 4 / np.sqrt(len(gaps))


@of_each_kind
def test_constant_gaps_are_equal_however_the_rate_changes(traffic):
    due_s = due_times(traffic, RUN_S, arrivals=CONSTANT, seed=5)
    assert np.allclose(np.diff(rescaled(traffic, due_s)), 1, atol=1e-6)
    assert abs(len(due_s) - traffic.requests_by(RUN_S)) <= 1


def test_counts_of_a_poisson_process_are_dispersed_as_their_mean():
    """Variance over mean, of counts in windows of 10 ms, 100 ms and 1 s."""
    due_s = due_times(Steady(rps=200), 500, seed=3)
    for window_s in (0.01, 0.1, 1.0):
        edges = np.arange(0, 500 + window_s / 2, window_s)
        counts = np.histogram(due_s, edges)[0]
        dispersion = counts.var() / counts.mean()
        band = 4 * np.sqrt(2 / len(counts))
        assert dispersion == pytest.approx(1, abs=band), f"windows of {window_s} s"


@pytest.mark.parametrize("cv", [0.3, 0.5, 1.0, 2.0, 3.0])
def test_counts_of_a_gamma_process_are_dispersed_as_its_gaps(cv):
    """In windows of 100 requests; beside the band of a variance, a twentieth for skewed counts."""
    arrivals = Arrivals(process="gamma", cv=cv)
    due_s = due_times(Steady(rps=100), 4000, arrivals=arrivals, seed=8)
    counts = np.histogram(due_s, np.arange(4001))[0]
    expected = cv**2 * 100 + (1 - cv**4) / 6
    band = 4 * np.sqrt(2 / len(counts)) + 0.05
    assert counts.var() == pytest.approx(expected, rel=band)


def test_a_gamma_process_of_cv_1_is_a_poisson_process():
    due_s = due_times(Steady(rps=100), 60, arrivals=Arrivals(process="gamma", cv=1), seed=2)
    assert kstest(np.diff(due_s), "expon", args=(0, 1 / 100)).pvalue > 1e-3
    assert kstest(due_s, "uniform", args=(0, 60)).pvalue > 1e-3


def test_no_instant_of_a_second_is_favoured():
    schedules = [due_times(Steady(rps=5), 20, seed=seed) for seed in range(400)]
    everything = np.concatenate(schedules)
    for period_s in (1.0, 0.2):
        assert kstest(everything % period_s, "uniform", args=(0, period_s)).pvalue > 1e-4


@given(rates, durations, seeds)
def test_constant_gaps_are_equal(rate_rps, duration_s, seed):
    due_s = due_times(Steady(rps=rate_rps), duration_s, arrivals=CONSTANT, seed=seed)
    assert np.allclose(np.diff(due_s), 1 / rate_rps, rtol=1e-9, atol=1e-12)
    assert abs(len(due_s) - rate_rps * duration_s) <= 1


@given(processes, seeds)
def test_a_replay_is_due_when_it_says_and_then_again(arrivals, seed):
    trace = Replay(at_s=(0.5, 0.5, 2.0, 3.5))
    assert trace.duration_s == 4.5
    due_s = due_times(trace, 4.5, arrivals=arrivals, seed=seed)
    assert due_s.tolist() == [0.5, 0.5, 2.0, 3.5]
    assert due_times(trace, 6.0, seed=seed).tolist() == [0.5, 0.5, 2.0, 3.5, 5.0, 5.0]
    assert due_times(trace, 3.5, seed=seed).tolist() == [0.5, 0.5, 2.0]


@of_each_process
def test_a_million_requests_are_scheduled(arrivals):
    for traffic in (KINDS[1], KINDS[-1]):
        duration_s = 1e6 / traffic.mean_rps
        due_s = due_times(traffic, duration_s, arrivals=arrivals, seed=1)
        assert len(due_s) == pytest.approx(traffic.requests_by(duration_s), rel=0.01)
        assert due_s[-1] == pytest.approx(duration_s, rel=1e-4)


@pytest.mark.parametrize("duration_s", [0, -1, np.nan, np.inf])
def test_a_schedule_without_duration_is_refused(duration_s):
    with pytest.raises(UsageError, match="above 0"):
        due_times(Steady(rps=1), duration_s, seed=0)


def test_a_schedule_too_long_to_hold_is_refused_before_it_is_made():
    with pytest.raises(UsageError, match=r"50000rps for 1day .* 4\.32e\+09 requests"):
        due_times(Steady(rps=50_000), 86400, seed=0)


@pytest.mark.parametrize(
    "given_process",
    [
        {"process": "gamma"},
        {"process": "gamma", "cv": 0},
        {"process": "gamma", "cv": 11},
        {"process": "poisson", "cv": 1},
        {"process": "constant", "cv": 0},
        {"process": "weibull"},
        {"proces": "gamma"},
    ],
)
def test_what_is_no_process_is_refused(given_process):
    with pytest.raises(ValidationError):
        Arrivals(**given_process)


@of_each_process
def test_a_process_goes_through_a_file_unchanged(arrivals):
    kinds_of_arrivals = TypeAdapter(Arrivals)
    assert kinds_of_arrivals.validate_json(kinds_of_arrivals.dump_json(arrivals)) == arrivals


@given(st.integers(0, 500), st.integers(1, 20), seeds)
def test_every_payload_is_sent_equally_often(count, payloads, seed):
    choices = payload_choices(count, payloads, seed=seed)
    assert len(choices) == count
    sent = np.bincount(choices, minlength=payloads)
    assert len(sent) == payloads
    assert sent.max() - sent.min() <= 1
    assert np.array_equal(choices, payload_choices(count, [2.5] * payloads, seed=seed))


@given(st.lists(st.integers(1, 9), min_size=1, max_size=6), st.integers(1, 20), seeds)
def test_a_round_sends_each_payload_as_often_as_its_weight(weights, rounds, seed):
    """With 1 as the lowest weight, a round is as many requests as the weights add up to."""
    weights[0] = 1
    choices = payload_choices(rounds * sum(weights), weights, seed=seed)
    sent = np.bincount(choices, minlength=len(weights))
    assert sent.tolist() == [rounds * weight for weight in weights]


@given(
    st.lists(st.floats(0.01, 100), min_size=1, max_size=8),
    st.integers(1, 20_000),
    seeds,
)
def test_shares_follow_the_weights_however_they_divide(weights, count, seed):
    """All that lacks is part of one round, and a few requests of rounding."""
    choices = payload_choices(count, weights, seed=seed)
    assert len(choices) == count
    sent = np.bincount(choices, minlength=len(weights))
    shares = np.array(weights) / sum(weights)
    a_round = min(1 / shares.min() + 1, 1025)
    assert np.all(np.abs(sent - count * shares) <= shares * a_round + 4)


@pytest.mark.parametrize("weights", [[3, 1], [1, np.pi], [5, 2.2, 1, 1], [2000, 1]])
def test_no_place_in_the_order_is_favoured(weights):
    """The first request, and any other, sends each payload with the probability of its share."""
    runs = 4000
    orders = np.array([payload_choices(12, weights, seed=seed) for seed in range(runs)])
    for payload, share in enumerate(np.array(weights) / sum(weights)):
        deviation = np.sqrt(share * (1 - share) / runs)
        often = (orders == payload).mean(axis=0)
        assert np.all(np.abs(often - share) < 4.5 * deviation)


def test_a_payload_too_rare_for_a_round_has_its_share_of_all_rounds():
    choices = payload_choices(3_000_000, [10_000, 1], seed=1)
    assert np.count_nonzero(choices) == pytest.approx(300, abs=5)


def test_payloads_come_in_an_order_of_the_seed():
    orders = {payload_choices(100, 10, seed=seed).tobytes() for seed in range(20)}
    assert len(orders) == 20
    assert payload_choices(100, 10, seed=1).tobytes() in orders


def test_which_payload_is_due_says_nothing_about_when():
    gaps_s = np.diff(due_times(Steady(rps=100), 100, seed=4), prepend=0)
    choices = payload_choices(len(gaps_s), 2, seed=4)
    difference_s = gaps_s[choices == 0].mean() - gaps_s[choices == 1].mean()
    assert abs(difference_s) < 4 * 2 * gaps_s.std() / np.sqrt(len(gaps_s))
