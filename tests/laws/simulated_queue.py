"""A server that is a simulated queue: measured like a real one, and its truth is known."""

from __future__ import annotations

import heapq
from dataclasses import dataclass

import numpy as np

from loadtests.arrivals import due_times
from loadtests.measurement import (
    Load,
    RunFacts,
    TargetRecord,
    TargetUse,
    summarise_closed,
    summarise_open,
)
from loadtests.modes.ladder import Evidence
from loadtests.queueing import sojourns
from loadtests.runner import Progress
from loadtests.samples import RECORD, Outcome, Samples
from loadtests.steps import ClosedStep, UsersStep
from loadtests.traffic import Steady
from loadtests.validity import GeneratorFacts
from loadtests.watch import Backlog, Watch, open_watch

TICK_S = 0.25
DRAIN_S = 2.0
MANY = 10**6
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

    def take(self, step, objectives, decided_by=()):
        """As evidence; an open-loop run ends early once all of decided_by are decided."""
        match step:
            case ClosedStep(concurrency, max_requests, max_s):
                return self._closed(step, concurrency, max_requests, max_s)
            case UsersStep(users):
                return self._closed(step, users.users, MANY, users.duration_s)
            case _:
                return self._open(step, objectives, decided_by)

    def draws_s(self, count, key):
        rng = np.random.default_rng([self.seed, key])
        if self.cv == 0:
            return np.full(count, self.mean_s)
        if self.cv == 1:
            return rng.exponential(self.mean_s, count)
        variance = np.log1p(self.cv**2)
        return rng.lognormal(np.log(self.mean_s) - variance / 2, np.sqrt(variance), count)

    def _closed(self, step, concurrency, max_requests, max_s):
        most = min(max_requests, int(2 * max_s / self.mean_s * self.servers) + 100)
        service = iter(self.draws_s(most, concurrency).tolist())
        ready, free = [0.0] * concurrency, [0.0] * self.servers
        sent, done = [], []
        for taken in service:
            now = heapq.heappop(ready)
            if now >= max_s:
                break
            finish = max(now, free[0]) + taken
            heapq.heapreplace(free, finish)
            heapq.heappush(ready, finish)
            sent.append(now)
            done.append(finish)
        samples = self._samples(np.array(sent), np.array(done), concurrency)
        load = Load(loop="closed", concurrency=concurrency, duration_s=max_s, seed=0)
        measurement = summarise_closed(samples, self._facts(samples, load, max(done), len(sent)))
        return Evidence(step, measurement, samples.service_s)

    def _open(self, step, objectives, decided_by):
        due = due_times(Steady(rps=step.rate_rps), step.duration_s, seed=self.seed)
        slower = 6.0 if step.rate_rps > self.cliff_rps else 1.0
        service = self.draws_s(len(due), int(step.rate_rps * 1000)) * slower
        done = (
            due + sojourns(np.diff(due, prepend=0)[:, None], service[:, None], self.servers)[:, 0]
        )
        watch = open_watch(decided_by, step.floor) if decided_by else Watch((Backlog(),))
        records = self._samples(due, done, 0).records
        reason, end_s = None, step.duration_s
        for now in np.arange(TICK_S, step.duration_s, TICK_S):
            recorded, sent = int(np.sum(done <= now)), int(np.sum(due <= now))
            read = records[done <= now]
            streams = self.as_samples(read).streams
            progress = Progress(
                float(now), recorded, sent - recorded, 0,
                lambda read=read: read, lambda streams=streams: streams,
            )  # fmt: skip
            reason = watch(progress)
            if reason is not None:
                end_s = float(now)
                break
        kept = records[due <= end_s]
        late = kept["done_us"] > (end_s + DRAIN_S) * 1e6
        if reason is not None:
            kept["outcome"][late] = Outcome.UNFINISHED
        samples = self.as_samples(kept)
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
        return Evidence(step, summarise_open(samples, known, objectives), samples.service_s)

    def _samples(self, sent, done, key):
        records = np.zeros(len(sent), RECORD)
        records["due_us"] = records["sent_us"] = np.round(sent * 1e6)
        records["first_byte_us"] = records["done_us"] = np.round(done * 1e6)
        refused = np.random.default_rng([self.seed, key, 1]).random(len(sent)) < self.failing
        records["status"] = np.where(refused, 500, 200)
        records["outcome"] = np.where(refused, Outcome.REFUSED, Outcome.SUCCEEDED)
        return self.as_samples(records[np.argsort(records["due_us"], kind="stable")])

    def as_samples(self, records):
        """With streams, of a server that has some."""
        return Samples(records)

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
