"""The capacity search against simulated servers whose true capacity is known."""

from __future__ import annotations

import heapq
from dataclasses import dataclass
from functools import cache

import numpy as np
import pytest
from scipy.optimize import brentq

from loadtests.arrivals import due_times
from loadtests.capacity import (
    Capacity,
    ClosedStep,
    Evidence,
    OpenStep,
    SearchSettings,
    conclude,
    next_step,
    service_model,
    tightest,
)
from loadtests.errors import InvalidMeasurement
from loadtests.measurement import (
    Load,
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
from loadtests.stopping import OpenWatch
from loadtests.validity import GeneratorFacts

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
    """A G/G/c queue. Above cliff_rps its services take cliff_factor times as long; the closed loop,
    which asks politely, never sees that. failing: share answered with 500.
    """

    servers: int
    mean_s: float
    cv: float
    seed: int
    cliff_rps: float = np.inf
    cliff_factor: float = 1.0
    failing: float = 0.0

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
        measurement = summarise_closed(samples, facts(samples, load, max(done), len(sent)))
        return Evidence(step, measurement, samples.service_s)

    def _open(self, step, slo):
        due = due_times(step.rate_rps, step.duration_s, seed=self.seed)
        slower = self.cliff_factor if step.rate_rps > self.cliff_rps else 1.0
        service = self.draws_s(len(due), int(step.rate_rps * 1000)) * slower
        done = due + sojourns(np.diff(due, prepend=0)[:, None], service[:, None], self.servers)[:, 0]
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
            loop="open", rate_rps=step.rate_rps, process="poisson", duration_s=step.duration_s, seed=0
        )
        known = facts(
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


def facts(samples, load, elapsed_s, due, *, over_saturated=False, reason=None):
    in_flight_s = float(np.sum(samples.records["done_us"] - samples.records["sent_us"])) / 1e6
    return RunFacts(
        target=TARGET,
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


def search(server, slo, settings=SETTINGS):
    """The answer, and the evidence that led to it."""
    history = ()
    while True:
        step = next_step(history, slo, settings)
        if isinstance(step, Capacity):
            return step, history
        history += (server.take(step, slo),)
        assert len(history) < 20, "the search does not end"
