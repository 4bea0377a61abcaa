"""The capacity search against simulated servers whose true capacity is known."""

from __future__ import annotations

import heapq
from dataclasses import dataclass, replace
from functools import cache

import numpy as np
import pytest
from scipy.optimize import brentq

from loadtests.arrivals import due_times
from loadtests.capacity import (
    Capacity,
    Evidence,
    SearchSettings,
    conclude,
    next_step,
    service_model,
    tightest,
)
from loadtests.errors import InvalidMeasurement
from loadtests.measurement import (
    Interval,
    Load,
    Quantile,
    RunFacts,
    TargetRecord,
    TargetUse,
    summarise_closed,
    summarise_open,
)
from loadtests.queueing import mmc_sojourn_quantile, sojourns
from loadtests.runner import Progress
from loadtests.samples import RECORD, Outcome, Samples
from loadtests.slo import parse_slo
from loadtests.steps import ClosedStep, OpenStep
from loadtests.stopping import OpenWatch
from loadtests.validity import GeneratorFacts, Status, Validity

SETTINGS = SearchSettings(seed=7)
TICK_S = 0.25
DRAIN_S = 2.0
TARGET = TargetRecord(
    kind="simulated",
    label="simulated",
    started_from="a seed",
    vcpus=None,
    memory_gib=None,
    limits=None,
    shares_cores=False,
    setup_s=None,
)


@dataclass(frozen=True)
class SimulatedServer:
    """A G/G/c queue. In an open loop above cliff_rps its services take six times as long, which
    the closed loop never shows. failing: share answered with 500. vcpus: as stored with it.
    """

    servers: int
    mean_s: float
    cv: float
    seed: int
    cliff_rps: float = np.inf
    failing: float = 0.0
    vcpus: float | None = None

    def take(self, step, slo):
        return self._closed(step) if isinstance(step, ClosedStep) else self._open(step, slo)

    def draws_s(self, count, key):
        rng = np.random.default_rng([self.seed, key])
        if self.cv == 0:
            return np.full(count, self.mean_s)
        if self.cv == 1:
            return rng.exponential(self.mean_s, count)
        variance = np.log1p(self.cv**2)
        return rng.lognormal(np.log(self.mean_s) - variance / 2, np.sqrt(variance), count)

    def _closed(self, step):
        service = iter(self.draws_s(step.max_requests, step.concurrency).tolist())
        ready, free = [0.0] * step.concurrency, [0.0] * self.servers
        sent, done = [], []
        for taken in service:
            now = heapq.heappop(ready)
            if now >= step.max_s:
                break
            finish = max(now, free[0]) + taken
            heapq.heapreplace(free, finish)
            heapq.heappush(ready, finish)
            sent.append(now)
            done.append(finish)
        samples = self._samples(np.array(sent), np.array(done), step.concurrency)
        load = Load(loop="closed", concurrency=step.concurrency, duration_s=step.max_s, seed=0)
        measurement = summarise_closed(samples, self._facts(samples, load, max(done), len(sent)))
        return Evidence(step, measurement, samples.service_s)

    def _open(self, step, slo):
        due = due_times(step.rate_rps, step.duration_s, seed=self.seed)
        slower = 6.0 if step.rate_rps > self.cliff_rps else 1.0
        service = self.draws_s(len(due), int(step.rate_rps * 1000)) * slower
        done = (
            due + sojourns(np.diff(due, prepend=0)[:, None], service[:, None], self.servers)[:, 0]
        )
        watch = OpenWatch(tightest(slo), step.floor)
        records = self._samples(due, done, 0).records
        reason, end_s = None, step.duration_s
        for now in np.arange(TICK_S, step.duration_s, TICK_S):
            recorded, sent = int(np.sum(done <= now)), int(np.sum(due <= now))
            read = records[done <= now]
            progress = Progress(float(now), recorded, sent - recorded, 0, lambda read=read: read)
            reason = watch(progress)
            if reason is not None:
                end_s = float(now)
                break
        kept = records[due <= end_s]
        late = kept["done_us"] > (end_s + DRAIN_S) * 1e6
        if reason is not None:
            kept["outcome"][late] = Outcome.UNFINISHED
        samples = Samples(kept)
        load = Load(
            loop="open",
            rate_rps=step.rate_rps,
            process="poisson",
            duration_s=step.duration_s,
            seed=0,
        )
        known = self._facts(
            samples, load, end_s, len(due), over_saturated=watch.over_saturated, reason=reason
        )
        return Evidence(step, summarise_open(samples, known, slo.latency), samples.service_s)

    def _samples(self, sent, done, key):
        records = np.zeros(len(sent), RECORD)
        records["due_us"] = records["sent_us"] = np.round(sent * 1e6)
        records["first_byte_us"] = records["done_us"] = np.round(done * 1e6)
        refused = np.random.default_rng([self.seed, key, 1]).random(len(sent)) < self.failing
        records["status"] = np.where(refused, 500, 200)
        records["outcome"] = np.where(refused, Outcome.REFUSED, Outcome.SUCCEEDED)
        return Samples(records[np.argsort(records["due_us"], kind="stable")])

    def _facts(self, samples, load, elapsed_s, due, *, over_saturated=False, reason=None):
        in_flight_s = float(np.sum(samples.records["done_us"] - samples.records["sent_us"])) / 1e6
        return RunFacts(
            target=TARGET.model_copy(update={"vcpus": self.vcpus}),
            use=TargetUse(),
            workload="none",
            load=load,
            started_at="1970-01-01T00:00:00+00:00",
            elapsed_s=elapsed_s,
            generator=GeneratorFacts(0.1 * elapsed_s, elapsed_s, in_flight_s),
            due=due,
            over_saturated=over_saturated,
            stop_reason=reason,
        )


@cache
def search(server, slo, settings=SETTINGS):
    """The answer, and the evidence that led to it."""
    history = ()
    while True:
        step = next_step(history, slo, settings)
        if isinstance(step, Capacity):
            return step, history
        history += (server.take(step, slo),)
        assert len(history) < 20, "the search does not end"


def rungs(history):
    return [each.step.concurrency for each in history if isinstance(each.step, ClosedStep)]


def opened(history):
    return [each for each in history if isinstance(each.step, OpenStep)]


def as_figures(capacity):
    """A model holds arrays, which do not compare."""
    return (
        capacity.rate_rps,
        capacity.low_rps,
        capacity.high_rps,
        capacity.basis,
        capacity.best_s,
    )


def with_p95(evidence, rate_rps, low_s, value_s, high_s):
    """The open-loop run as it would be, had it been at this rate and found this."""
    found = Quantile(quantile=0.95, seconds=Interval(value=value_s, low=low_s, high=high_s))
    load = evidence.measurement.load.model_copy(update={"rate_rps": rate_rps})
    update = {"latency": (found,), "load": load}
    return Evidence(
        replace(evidence.step, rate_rps=rate_rps),
        evidence.measurement.model_copy(update=update),
        evidence.service_s,
    )


@cache
def exact_capacity(servers, mean_s, quantile, limit_s):
    """Of M/M/c: where the closed form reaches the limit."""
    return brentq(
        lambda rate_rps: mmc_sojourn_quantile(quantile, rate_rps, mean_s, servers) - limit_s,
        1e-3,
        servers / mean_s * 0.9999,
    )


# Capacities of the last two: p95 at the limit in 6 simulated runs of 40,000 requests, to 1 %.
PLANTED = [
    pytest.param(
        1,
        0.005,
        1.0,
        "p95<30ms, error_rate<1%",
        exact_capacity(1, 0.005, 0.95, 0.03),
        0.2,
        id="M/M/1",
    ),
    pytest.param(4, 0.02, 0.25, "p95<40ms, error_rate<1%", 138.3, 0.06, id="M/G/4"),
    pytest.param(1, 0.01, 0.0, "p95<30ms", 49.0, 0.06, id="M/D/1"),
]


@pytest.mark.parametrize(("servers", "mean_s", "cv", "text", "truth_rps", "error"), PLANTED)
def test_a_planted_capacity_is_found_within_the_interval(
    servers, mean_s, cv, text, truth_rps, error
):
    """The interval is one of 80 %; and four of five estimates are near."""
    slo = parse_slo(text)
    found = [search(SimulatedServer(servers, mean_s, cv, seed), slo)[0] for seed in range(24)]
    held = [each.low_rps <= truth_rps <= each.high_rps for each in found]
    near = [abs(each.rate_rps / truth_rps - 1) <= error for each in found]
    assert np.mean(held) >= 0.75
    assert np.mean(near) >= 0.8


@pytest.mark.parametrize("servers", [1, 2, 4])
def test_the_ladder_finds_how_many_servers_work_side_by_side(servers):
    _, history = search(SimulatedServer(servers, 0.02, 0.25, seed=1), parse_slo("p95<100ms"))
    ladder = [each for each in history if isinstance(each.step, ClosedStep)]
    model = service_model(ladder)
    assert model.servers == servers
    assert model.saturation_rps == pytest.approx(servers / 0.02, rel=0.05)
    assert model.servers / model.mean_s == pytest.approx(model.saturation_rps)


@pytest.mark.parametrize(
    ("servers", "vcpus", "concurrencies"),
    [(1, None, [1, 2]), (4, None, [1, 2, 4, 8]), (2, 2.0, [1, 4, 8]), (3, 40.0, [1, 64])],
)
def test_the_ladder_rises_until_throughput_is_flat(servers, vcpus, concurrencies):
    server = SimulatedServer(servers, 0.02, 0.0, seed=1, vcpus=vcpus)
    assert rungs(search(server, parse_slo("p95<100ms"))[1]) == concurrencies


def test_a_server_too_slow_for_the_slo_has_no_capacity_and_is_not_pestered():
    capacity, history = search(SimulatedServer(2, 0.05, 0.1, seed=3), parse_slo("p95<40ms"))
    assert capacity.basis == "none"
    assert (capacity.rate_rps, capacity.low_rps, capacity.high_rps) == (0, 0, 0)
    assert capacity.best_s == pytest.approx(0.05 * 1.17, rel=0.05)
    assert not opened(history)


@pytest.mark.parametrize("seed", range(4))
def test_a_cliff_that_the_model_cannot_see_is_found_by_bisection(seed):
    """The model says about 137 requests/s; from 90 on services take six times as long."""
    server = SimulatedServer(2, 0.01, 0.25, seed, cliff_rps=90)
    capacity, history = search(server, parse_slo("p95<30ms, error_rate<1%"))
    assert capacity.basis == "bisected"
    assert 0 < capacity.low_rps <= 90 <= capacity.high_rps
    assert capacity.low_rps < capacity.rate_rps < capacity.high_rps
    assert capacity.high_rps - capacity.low_rps < 0.3 * 90
    assert 2 <= len(opened(history)) <= SETTINGS.most_open


def test_where_the_model_is_right_one_run_confirms_it():
    """Half of the saturated throughput, far from the knee."""
    server = SimulatedServer(4, 0.004, 0.25, seed=2)
    capacity, history = search(server, parse_slo("p95<7ms, error_rate<1%"))
    assert capacity.basis == "confirmed"
    assert len(opened(history)) == 1
    assert 0.8 * capacity.rate_rps <= opened(history)[0].step.rate_rps <= capacity.rate_rps


def test_a_run_far_below_the_boundary_does_not_confirm_it():
    """Few requests fit into the time, so the run is at half of what the model says."""
    server = SimulatedServer(1, 0.04, 0.0, seed=2)
    capacity, history = search(server, parse_slo("p95<400ms"), replace(SETTINGS, confirm_s=12))
    assert opened(history)[0].step.rate_rps < 0.8 * capacity.rate_rps
    assert capacity.basis == "model"


def test_errors_alone_can_miss_the_slo():
    server = SimulatedServer(2, 0.01, 0.25, seed=2, failing=0.04)
    capacity, history = search(server, parse_slo("p50<200ms, error_rate<1%"))
    assert (capacity.rate_rps, capacity.low_rps) == (0, 0)
    assert len(opened(history)) == SETTINGS.most_open


def test_errors_too_rare_to_be_shown_do_not_hide_the_capacity():
    """0.01 % takes 38,000 requests to show; the latency is known after far fewer."""
    server = SimulatedServer(2, 0.01, 0.25, seed=1, cliff_rps=90)
    capacity, _ = search(server, parse_slo("p95<30ms, error_rate<0.01%"))
    assert capacity.low_rps > 40


def test_a_server_that_answers_nothing_well_is_told_so():
    server, slo = SimulatedServer(1, 0.01, 0.25, seed=1, failing=1.0), parse_slo("p95<1s")
    with pytest.raises(InvalidMeasurement, match="not one request was answered") as caught:
        search(server, slo)
    assert caught.value.exit_code == 4
    step = ClosedStep(1, 100, 1.0)
    history = (server.take(step, slo), server.take(replace(step, concurrency=2), slo))
    assert conclude(history, slo, SETTINGS) is None


SEARCHES = [
    (SimulatedServer(1, 0.005, 1.0, seed=49), "p95<30ms, error_rate<1%"),
    (SimulatedServer(2, 0.003, 0.5, seed=3), "p99<10ms, error_rate<1%"),
    (SimulatedServer(2, 0.01, 0.25, seed=1, cliff_rps=90), "p95<30ms"),
    (SimulatedServer(2, 0.05, 0.1, seed=3), "p95<40ms"),
]


@pytest.mark.parametrize(("server", "text"), SEARCHES)
def test_the_same_history_asks_for_the_same_next_step(server, text):
    slo = parse_slo(text)
    capacity, history = search(server, slo)
    for finished in range(len(history)):
        assert next_step(history[:finished], slo, SETTINGS) == history[finished].step
    assert as_figures(next_step(history, slo, SETTINGS)) == as_figures(capacity)


@pytest.mark.parametrize(("server", "text"), SEARCHES)
def test_a_stored_history_answers_without_asking_for_anything_new(server, text):
    slo = parse_slo(text)
    capacity, history = search(server, slo)
    stored = {each.step.key: each for each in history}
    assert len(stored) == len(history), "two steps under one key"
    replayed = ()
    while not isinstance(step := next_step(replayed, slo, SETTINGS), Capacity):
        replayed += (stored[step.key],)
    assert as_figures(step) == as_figures(capacity)


@pytest.mark.parametrize(("server", "text"), SEARCHES)
def test_a_finished_search_concludes_what_it_found(server, text):
    slo = parse_slo(text)
    capacity, history = search(server, slo)
    assert as_figures(conclude(history, slo, SETTINGS)) == as_figures(capacity)


@pytest.mark.parametrize(("server", "text"), SEARCHES[:2])
def test_a_history_can_be_judged_by_another_slo_without_measuring(server, text):
    """A looser one allows a higher rate."""
    _, history = search(server, parse_slo(text))
    strict, loose = (
        parse_slo(text),
        parse_slo(text.replace("30ms", "300ms").replace("10ms", "100ms")),
    )
    rates = [conclude(history, slo, SETTINGS).rate_rps for slo in (strict, loose)]
    assert rates[0] < rates[1]


def test_without_two_rungs_nothing_is_concluded():
    slo = parse_slo("p95<30ms")
    _, history = search(SimulatedServer(1, 0.005, 0.25, seed=1), slo)
    assert conclude((), slo, SETTINGS) is None
    assert conclude(history[:1], slo, SETTINGS) is None
    assert conclude(history[:2], slo, SETTINGS).basis == "model"


@pytest.fixture(scope="module")
def ladder_and_run():
    slo = parse_slo("p95<30ms")
    _, history = search(SimulatedServer(2, 0.01, 0.25, seed=1), slo)
    return slo, tuple(each for each in history if each not in opened(history)), opened(history)[0]


def test_a_run_that_decided_nothing_is_not_asked_for_again(ladder_and_run):
    """A miss at 120, and then nothing but runs whose intervals hold the limit."""
    slo, ladder, run = ladder_and_run
    history = (*ladder, with_p95(run, 120, 0.04, 0.05, 0.06))
    asked = [120.0]
    while not isinstance(step := next_step(history, slo, SETTINGS), Capacity):
        assert step.rate_rps not in asked
        assert 0 < step.rate_rps < 120
        asked.append(step.rate_rps)
        history += (with_p95(run, step.rate_rps, 0.02, 0.025, 0.04),)
    assert asked == [120, 60, 90, 105]
    assert (step.low_rps, step.high_rps) == (0, 120)
    assert step.rate_rps == pytest.approx(112.5)


def test_an_undecided_run_leans_to_the_side_of_its_estimate(ladder_and_run):
    slo, ladder, run = ladder_and_run
    missed, met = with_p95(run, 120, 0.04, 0.05, 0.06), with_p95(run, 60, 0.01, 0.015, 0.02)
    slower, faster = with_p95(run, 90, 0.02, 0.035, 0.05), with_p95(run, 90, 0.02, 0.025, 0.05)
    assert next_step((*ladder, missed, met, slower), slo, SETTINGS).rate_rps == 75
    assert next_step((*ladder, missed, met, faster), slo, SETTINGS).rate_rps == 105


def test_verdicts_crossed_by_chance_still_make_an_interval(ladder_and_run):
    slo, ladder, run = ladder_and_run
    missed, met = with_p95(run, 90, 0.04, 0.05, 0.06), with_p95(run, 100, 0.01, 0.015, 0.02)
    capacity = conclude((*ladder, missed, met), slo, SETTINGS)
    assert capacity.low_rps <= capacity.rate_rps <= capacity.high_rps
    assert (capacity.low_rps, capacity.high_rps) == (90, 100)


def test_an_invalid_run_places_nothing(ladder_and_run):
    slo, ladder, run = ladder_and_run
    missed = with_p95(run, 50, 0.04, 0.05, 0.06)
    invalid = missed.measurement.model_copy(update={"validity": Validity(status=Status.INVALID)})
    with_it = conclude((*ladder, replace(missed, measurement=invalid)), slo, SETTINGS)
    assert as_figures(with_it) == as_figures(conclude(ladder, slo, SETTINGS))


def test_the_run_is_watched_by_the_objective_furthest_in_the_tail():
    assert tightest(parse_slo("p50<10ms, p99<1s, p95<100ms")).quantile == 0.99
