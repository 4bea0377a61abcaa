"""The user's limits on a run: each stops it when it should, and not before."""

import time

import numpy as np
import pytest
from pydantic import ValidationError

from loadtests.queueing import sojourns
from loadtests.runner import Progress
from loadtests.samples import RECORD, Outcome
from loadtests.stopping import StopRules
from loadtests.watch import OVER_SATURATED, reason_word

TICK_S = 0.25


class Run:
    """A run that is over, told as if it were going on. in_flight: of each tick, if not counted."""

    def __init__(self, due_s, done_s, *, failed=None, in_flight=None, dropped=0):
        self.due_s, self.dropped, self.told_in_flight = np.sort(due_s), dropped, in_flight
        order = np.argsort(done_s, kind="stable")
        self.done_s = done_s[order]
        self.records = np.zeros(len(done_s), RECORD)
        self.records["due_us"] = self.records["sent_us"] = np.round(due_s[order] * 1e6)
        self.records["done_us"] = np.round(self.done_s * 1e6)
        if failed is not None:
            self.records["outcome"][failed[order]] = Outcome.REFUSED
        self.reads = 0

    def progress(self, now_s):
        recorded = int(np.searchsorted(self.done_s, now_s, side="right"))
        sent = int(np.searchsorted(self.due_s, now_s, side="right"))
        in_flight = sent - recorded if self.told_in_flight is None else self.told_in_flight(now_s)
        return Progress(now_s, recorded, in_flight, self.dropped, lambda: self._read(recorded))

    def _read(self, recorded):
        self.reads += 1
        return self.records[:recorded]

    def watched(self, watch, duration_s):
        """Why and when it was stopped; None and the duration if it was not."""
        for now_s in np.arange(TICK_S, duration_s + TICK_S / 2, TICK_S):
            reason = watch(self.progress(float(now_s)))
            if reason is not None:
                return reason, float(now_s)
        return None, duration_s


def queue(utilization, *, duration_s=60.0, mean_s=0.01, cv=1.0, servers=1, seed=1):
    rng = np.random.default_rng(seed)
    rate_rps = utilization * servers / mean_s
    due_s = np.cumsum(rng.exponential(1 / rate_rps, int(rate_rps * duration_s * 1.1) + 100))
    if cv == 1:
        service_s = rng.exponential(mean_s, len(due_s))
    else:
        variance = np.log1p(cv**2)
        mean_log = np.log(mean_s) - variance / 2
        service_s = rng.lognormal(mean_log, np.sqrt(variance), len(due_s))
    gaps_s = np.diff(due_s, prepend=0)[:, None]
    return due_s, due_s + sojourns(gaps_s, service_s[:, None], servers)[:, 0]


def even(rate_rps, duration_s, latency_s=0.01):
    due_s = np.arange(0, duration_s, 1 / rate_rps) + 1e-4
    return due_s, due_s + latency_s


def stopped(rules, run, duration_s=60.0, loop="open", **known):
    reason, at_s = run.watched(rules.watch(loop, **known), duration_s)
    return None if reason is None else reason_word(reason), at_s


def test_without_rules_a_stable_run_goes_on_to_its_end():
    assert stopped(StopRules(), Run(*queue(0.6))) == (None, 60.0)


def test_nothing_but_what_is_given_applies():
    """Slow, failing and long: nobody asked for that to end it."""
    due_s, done_s = even(100, 60, latency_s=5.0)
    run = Run(due_s, done_s, failed=np.ones(len(due_s), bool))
    assert stopped(StopRules(over_saturation=False), run) == (None, 60.0)


def test_time_is_up_when_it_is_up():
    rules = StopRules(max_duration_s=7.5)
    assert stopped(rules, Run(*even(100, 60))) == ("max-duration", 7.5)


def test_a_duration_may_be_given_as_a_person_writes_it():
    assert StopRules.model_validate({"max_duration": "2min"}).max_duration_s == 120


def test_requests_are_counted_as_they_are_sent():
    """50 a second that take 10 s each: at 20 s 1000 were sent, 500 of them answered."""
    word, at_s = stopped(
        StopRules(max_requests=1000, over_saturation=False), Run(*even(50, 60, latency_s=10.0))
    )
    assert (word, at_s) == ("max-requests", 20.0)


def test_invocations_are_counted_by_the_minute():
    """SageMaker's MaxInvocations: 20 answers a second are 1200 a minute."""
    run = Run(*even(20, 180))
    assert stopped(StopRules(max_invocations_per_minute=1300), run, 180)[0] is None
    word, at_s = stopped(StopRules(max_invocations_per_minute=600), run, 180)
    assert word == "max-invocations"
    assert at_s == pytest.approx(30, abs=0.5)


def test_a_minute_slides():
    """A slow start does not count for ever: 5/s for two minutes, then 50/s."""
    slow, fast = even(5, 120), even(50, 120)
    run = Run(np.append(slow[0], 120 + fast[0]), np.append(slow[1], 120 + fast[1]))
    word, at_s = stopped(StopRules(max_invocations_per_minute=1500), run, 240)
    assert word == "max-invocations"
    assert at_s == pytest.approx(120 + 26.7, abs=1)


def mm1_p95_s(utilization, mean_s=0.01):
    return -np.log(0.05) * mean_s / (1 - utilization)


def test_a_latency_that_holds_rarely_stops_a_run():
    """The limit is half as much again as the true p95; at most one of 30 runs of a minute."""
    rules = StopRules(latency=f"p95<{1500 * mm1_p95_s(0.7):.3f}ms")
    words = [stopped(rules, Run(*queue(0.7, seed=seed)))[0] for seed in range(30)]
    assert words.count("latency") <= 1


def test_a_broken_latency_stops_a_run_within_the_minute():
    rules = StopRules(latency=f"p95<{600 * mm1_p95_s(0.7):.3f}ms")
    words = [stopped(rules, Run(*queue(0.7, seed=seed)))[0] for seed in range(20)]
    assert words.count("latency") >= 19


def test_a_latency_that_breaks_late_is_not_hidden_by_the_good_hours_before():
    """Ten minutes at 10 ms, then 200 ms: the last minute decides."""
    fast, slow = even(50, 600), even(50, 120, latency_s=0.2)
    run = Run(np.append(fast[0], 600 + slow[0]), np.append(fast[1], 600 + slow[1]))
    word, at_s = stopped(StopRules(latency="p95<100ms"), run, 720)
    assert word == "latency"
    assert 600 < at_s < 625


def test_errors_stop_a_run_when_there_are_surely_too_many():
    due_s, done_s = even(100, 60)
    failed = np.random.default_rng(4).random(len(due_s)) < 0.05
    assert (
        stopped(StopRules(error_rate=0.01), Run(due_s, done_s, failed=failed))[0] == "error-rate"
    )
    assert stopped(StopRules(error_rate="10%"), Run(due_s, done_s, failed=failed))[0] is None


def test_a_queue_that_grows_for_good_stops_an_open_loop_unless_it_may():
    run = Run(*queue(1.3))
    assert stopped(StopRules(), run)[0] == OVER_SATURATED
    assert stopped(StopRules(over_saturation=False), run)[0] is None


def test_users_who_come_are_no_backlog():
    """A closed loop of ever more users."""
    run = Run(*even(100, 60), in_flight=lambda now_s: int(3 * now_s))
    assert stopped(StopRules(), run, loop="closed")[0] is None
    assert stopped(StopRules(), run, loop="open")[0] == OVER_SATURATED


def stairs(most_rps, *, seed):
    """Five more users every 10 s, 20 requests/s each as long as the server can; and answers."""
    rng = np.random.default_rng(seed)
    rates = np.minimum(20 * 5 * np.arange(1, 7), most_rps)
    due_s = np.concatenate(
        [10 * step + np.sort(rng.uniform(0, 10, rng.poisson(10 * rate)))
         for step, rate in enumerate(rates)]
    )  # fmt: skip
    return Run(due_s, due_s + 0.05, in_flight=lambda now_s: 5 * min(int(now_s / 10) + 1, 6))


def test_throughput_that_no_longer_grows_with_the_users_stops_the_stairs():
    """Flat from the first step on: twice the users, seen at the end of the second or third."""
    ends = [
        stopped(StopRules(flat_throughput="stop"), stairs(100, seed=seed), loop="closed")
        for seed in range(20)
    ]
    assert sum(word == "flat-throughput" and at_s <= 45 for word, at_s in ends) >= 18


def test_throughput_that_grows_with_the_users_does_not():
    ends = [
        stopped(StopRules(flat_throughput="stop"), stairs(1e9, seed=seed), loop="closed")[0]
        for seed in range(20)
    ]
    assert ends == [None] * 20


def test_flat_throughput_goes_on_unless_asked_to_stop():
    assert stopped(StopRules(), stairs(100, seed=1), loop="closed")[0] is None


@pytest.mark.parametrize("utilization", [0.3, 0.9])
def test_an_open_loop_is_as_flat_as_its_traffic_and_goes_on(utilization):
    """However its requests in flight come and go."""
    run = Run(*queue(utilization))
    assert stopped(StopRules(flat_throughput="stop"), run)[0] is None


def test_as_many_users_all_the_time_are_flat_and_go_on():
    rng = np.random.default_rng(2)
    due_s = np.sort(rng.uniform(0, 60, 6000))
    run = Run(due_s, due_s + 0.1, in_flight=lambda _: 10)
    assert stopped(StopRules(flat_throughput="stop"), run, loop="closed")[0] is None


def test_a_run_ends_once_its_quantile_is_known_well_enough():
    """And what it then says is as near to the truth, in 9 of 10 runs."""
    found_s = []
    for seed in range(16):
        due_s, done_s = queue(0.5, duration_s=200, mean_s=0.005, seed=seed)
        run = Run(due_s, done_s)
        rules = StopRules(confidence=0.15)
        word, at_s = stopped(rules, run, 200, claimed_quantile=0.95, utilization=0.5)
        assert word == "confidence"
        ended = done_s <= at_s
        found_s.append(np.quantile((done_s - due_s)[ended], 0.95))
    near = np.abs(np.array(found_s) / mm1_p95_s(0.5, 0.005) - 1) <= 0.15
    assert np.mean(near) >= 0.9


def test_the_busier_the_server_the_longer_it_takes_to_be_sure():
    """300/(1-u)² requests at least: 1200 at half load, 30,000 at 90 %."""
    run = Run(*even(100, 60))
    rules = StopRules(confidence=0.5)
    word, at_s = stopped(rules, run, utilization=0.5)
    assert word == "confidence"
    assert at_s >= 12
    assert stopped(rules, run, utilization=0.9)[0] is None


def test_the_first_rule_that_applies_is_told_in_words():
    rules = StopRules(max_requests=100, latency="p95<1ms")
    reason, _ = Run(*even(100, 60)).watched(rules.watch("open"), 60)
    assert reason.startswith("max-requests: 10")


def test_watching_a_million_requests_reads_them_seldom_and_in_little_time():
    """Ten minutes with every rule that looks at samples: a tick costs 15 ms or less on average."""
    due_s, done_s = even(1700, 600)
    run = Run(due_s, done_s)
    rules = StopRules(latency="p95<1s, p99<2s", error_rate=0.1)
    began_s = time.perf_counter()
    assert run.watched(rules.watch("open"), 600) == (None, 600)
    assert time.perf_counter() - began_s < 2400 * 0.015
    assert run.reads < 1200


def test_rules_are_read_as_they_are_written():
    given = {"latency": "p95<500ms", "error_rate": "1%", "flat_throughput": "stop"}
    rules = StopRules.model_validate(given)
    assert rules.error_rate == 0.01
    assert [each.limit_s for each in rules.latency_objectives] == [0.5]
    assert StopRules.model_validate(rules.model_dump(mode="json")) == rules


@pytest.mark.parametrize(
    "given",
    [{"max_duration_s": 0}, {"max_requests": -1}, {"error_rate": 1.5}, {"latncy": "p95<1s"},
     {"flat_throughput": "maybe"}, {"error_rate": "much"}],
)  # fmt: skip
def test_rules_that_say_nothing_are_refused(given):
    with pytest.raises(ValidationError):
        StopRules.model_validate(given)


@pytest.mark.parametrize("text", ["fast", "p95<1s, error_rate<1%"])
def test_a_latency_limit_is_latencies_alone(text):
    with pytest.raises(ValidationError, match=r"latenc|not understood"):
        StopRules(latency=text)
