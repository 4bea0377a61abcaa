"""Two variants on the same traffic: told apart when they differ, and seldom when they do not."""

import numpy as np
import pytest

from loadtests.modes.bootstrap import block_weights, interval, resampled_quantiles, resampled_sums
from loadtests.modes.compare import CompareSettings, CompareVerdict, Comparison, compare
from loadtests.queueing import sojourns
from loadtests.samples import RECORD, Outcome, Samples

PASS, FAIL, INCONCLUSIVE = CompareVerdict
SETTINGS = CompareSettings(resamples=400)


def samples(due_s, taken_s, failed=None, variant=0):
    records = np.zeros(len(due_s), RECORD)
    records["due_us"] = records["sent_us"] = np.round(due_s * 1e6)
    records["done_us"] = records["due_us"] + np.round(taken_s * 1e6).astype(int)
    records["variant"] = variant
    if failed is not None:
        records["outcome"][failed] = Outcome.REFUSED
    return Samples(records)


def pairs(count, requests, *, worse=1.0, utilization=0.5, cv=0.25, servers=4, shaken=0.0):
    """Queues of which the second one's services take `worse` times as long.

    shaken: both are slowed by a quarter, at the same time, in that share of 25 stretches of time.
    """
    rng = np.random.default_rng(11)
    found = []
    stretches = np.repeat(rng.random((25, count)) < shaken, -(-requests // 25), axis=0)[:requests]
    for factor in (1.0, worse):
        gaps_s = rng.exponential(0.02 / servers / utilization, (requests, count))
        if cv == 1:
            service_s = rng.exponential(0.02, (requests, count))
        else:
            spread = np.log1p(cv**2)
            mean_log = np.log(0.02) - spread / 2
            service_s = rng.lognormal(mean_log, np.sqrt(spread), (requests, count))
        taken_s = sojourns(gaps_s, service_s * factor * (1 + 0.25 * stretches), servers)
        due_s = np.cumsum(gaps_s, axis=0)
        found.append([samples(due_s[:, n], taken_s[:, n]) for n in range(count)])
    return list(zip(*found, strict=True))


def compared(pair, settings=SETTINGS, **how):
    return compare(("a", pair[0]), ("b", pair[1]), settings, **how)


def latencies(count, requests, **how):
    return [compared(pair).differences[0] for pair in pairs(count, requests, **how)]


def share(found, verdict):
    return float(np.mean([each.verdict is verdict for each in found]))


@pytest.mark.parametrize("utilization", [0.3, 0.6])
def test_a_variant_that_is_no_different_hardly_ever_fails(utilization):
    found = [compared(pair) for pair in pairs(150, 4000, utilization=utilization)]
    assert share(found, FAIL) <= 0.025


def test_a_variant_that_is_no_different_hardly_ever_fails_on_a_bursty_server():
    assert share(latencies(150, 4000, cv=1, servers=1), FAIL) <= 0.025


@pytest.mark.parametrize("how", [{"cv": 1, "servers": 1}, {"utilization": 0.7}, {"shaken": 0.3}])
def test_the_interval_holds_the_truth_as_often_as_it_says(how):
    """No difference: 1 is in an interval of 95 %, in 150 runs give or take 2.5 standard errors."""
    held = [
        each.difference.low <= 1 <= each.difference.high for each in latencies(150, 4000, **how)
    ]
    assert np.mean(held) >= 0.95 - 2.5 * np.sqrt(0.95 * 0.05 / 150)


def test_a_variant_a_fifth_slower_fails():
    found = [compared(pair) for pair in pairs(100, 3000, worse=1.2, utilization=0.3)]
    assert share(found, FAIL) >= 0.95


def test_a_variant_as_good_passes_with_enough_requests():
    assert share(latencies(40, 12_000, utilization=0.3), PASS) >= 0.9


def test_a_faster_variant_passes():
    assert share(latencies(20, 4000, worse=0.8, utilization=0.3), PASS) == 1


def test_what_shakes_both_weighs_on_neither():
    """The blocks are drawn for both at once: the interval is little wider than in calm."""

    def width(shaken):
        found = latencies(30, 6000, utilization=0.2, shaken=shaken)
        return np.mean([np.log(each.difference.high / each.difference.low) for each in found])

    alone = np.log(1.25)  # what one variant's p95 moves by when it is shaken
    assert width(0.5) < width(0.0) + alone / 4


def test_so_many_more_requests_do_decide_it():
    """Where the estimate is right: a variant 2 % slower, and a margin of 5 %."""
    few = [each for each in latencies(60, 3000, worse=1.02, utilization=0.2) if each.more_requests]
    more = int(np.median([each.more_requests for each in few]))
    assert 500 < more < 40_000
    longer = 3000 + 3 * more // 2  # of both together; twice as many, for an estimate's own error
    found = latencies(20, longer, worse=1.02, utilization=0.2)
    assert share(found, PASS) >= 0.7


def test_a_decided_comparison_needs_no_more_requests():
    found = compared(pairs(1, 6000, worse=1.5, utilization=0.3)[0])
    assert (found.verdict, found.more_requests) == (FAIL, None)


def test_too_few_requests_decide_nothing_and_say_how_many_would():
    found = compared(pairs(1, 200)[0])
    assert found.verdict is INCONCLUSIVE
    assert "400 requests" in found.differences[0].reason


def test_nothing_asked_decides_nothing():
    empty = samples(np.zeros(0), np.zeros(0))
    assert compared((empty, empty)).verdict is INCONCLUSIVE
    assert compared((pairs(1, 2000)[0][0], empty)).verdict is INCONCLUSIVE


def failing(shares, requests, seed):
    rng = np.random.default_rng(seed)
    due_s = np.arange(requests) * 0.01
    return tuple(
        samples(due_s, rng.gamma(16, 0.001, requests), rng.random(requests) < each)
        for each in shares
    )


def errors_of(shares, requests, seed):
    return compared(failing(shares, requests, seed)).differences[1]


def test_a_variant_that_fails_more_often_fails():
    found = [errors_of((0.01, 0.04), 5000, seed) for seed in range(40)]
    assert share(found, FAIL) >= 0.95
    held = [each.difference.low <= 0.03 <= each.difference.high for each in found]
    assert np.mean(held) >= 0.87


def test_a_variant_that_fails_as_often_does_not():
    found = [errors_of((0.01, 0.01), 5000, seed) for seed in range(80)]
    assert share(found, FAIL) == 0
    assert share(found, PASS) >= 0.9


def test_two_variants_that_never_fail_pass():
    assert errors_of((0.0, 0.0), 2000, 1).verdict is PASS


def test_failures_in_the_quantile_leave_the_latency_open_and_fail_by_the_errors():
    found = compared(failing((0.0, 0.2), 3000, 1))
    assert found.verdict is FAIL
    assert found.differences[0].verdict is INCONCLUSIVE
    assert found.differences[0].candidate is None
    assert "failures reach" in found.differences[0].reason


def closed(slower, seed, requests=4000):
    """One sender for each variant."""
    rng = np.random.default_rng(seed)
    found = []
    for factor in (1.0, slower):
        taken_s = rng.gamma(16, 0.02 / 16 * factor, requests)
        found.append(samples(np.cumsum(taken_s) - taken_s, taken_s))
    return tuple(found)


@pytest.mark.parametrize(("slower", "verdict"), [(1.0, PASS), (0.8, PASS), (1.2, FAIL)])
def test_a_closed_loop_compares_throughput_too(slower, verdict):
    found = [compared(closed(slower, seed), loop="closed").differences[2] for seed in range(20)]
    assert share(found, verdict) >= 0.95
    held = [each.difference.low <= 1 / slower <= each.difference.high for each in found]
    assert np.mean(held) >= 0.8


def test_an_open_loop_has_no_throughput_of_its_own():
    assert [each.of for each in compared(pairs(1, 2000)[0]).differences] == ["latency", "errors"]


def test_the_margin_is_the_users():
    pair = pairs(1, 6000, worse=1.2, utilization=0.3)[0]
    generous = CompareSettings(margin_ratio=0.6)
    assert compared(pair).verdict is FAIL
    assert compared(pair, generous).verdict is PASS


def test_the_same_samples_give_the_same_verdict():
    pair = pairs(1, 3000)[0]
    assert compared(pair) == compared(pair)


def test_shadow_copies_are_compared_as_any_variant_is():
    due_s = np.arange(3000) * 0.01
    users = samples(due_s, np.full(3000, 0.01), variant=0)
    copies = samples(due_s, np.full(3000, 0.05), np.ones(3000, bool), variant=2)
    found = compare(("a", users), ("b", copies), SETTINGS, shadow=True)
    assert found.shadow
    assert found.verdict is FAIL


def test_a_comparison_is_kept_as_json():
    found = compared(pairs(1, 3000)[0])
    assert Comparison.model_validate_json(found.model_dump_json()) == found


@pytest.mark.parametrize("quantile", [0.5, 0.95, 0.99])
def test_blocks_drawn_once_each_give_the_samples_own_quantile(quantile):
    values = np.random.default_rng(1).exponential(size=997)
    block, once = np.arange(997) % 16, np.ones((1, 16))
    found = resampled_quantiles(values, block, quantile, once)[0]
    assert np.mean(values <= found) == pytest.approx(quantile, abs=2e-3)
    assert resampled_sums(values, block, once)[0] == pytest.approx(values.sum())


def test_a_block_drawn_twice_counts_twice():
    values, block = np.array([1.0, 2.0, 30.0, 40.0]), np.array([0, 0, 1, 1])
    weights = np.array([[2.0, 0.0], [0.0, 2.0]])
    assert resampled_quantiles(values, block, 0.5, weights).tolist() == [1, 30]
    assert resampled_sums(values, block, weights).tolist() == [6, 140]


def test_an_interval_of_few_blocks_is_wider_than_its_percentiles():
    means = block_weights(10, 20_000, seed=1) @ np.random.default_rng(2).normal(size=10) / 10
    low, high = interval(0.0, means - means.mean(), 10, 0.95)
    assert high - low > 1.2 * (np.quantile(means, 0.975) - np.quantile(means, 0.025))
