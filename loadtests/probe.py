"""One target under load: each step of a capacity search becomes a measurement."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from loadtests.arrivals import due_times, payload_choices
from loadtests.capacity import Capacity, Evidence, next_step, tightest
from loadtests.environment import utc_now
from loadtests.errors import InvalidMeasurement
from loadtests.measurement import (
    Load,
    RunFacts,
    TargetRecord,
    TargetUse,
    summarise_closed,
    summarise_open,
)
from loadtests.monitor import CoreClock, Neighbours, wait_for_quiet
from loadtests.runner import ClosedJob, Destination, Engine, EngineRun, OpenJob
from loadtests.steps import ClosedStep, OpenStep
from loadtests.stopping import OpenWatch
from loadtests.validity import Status

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from loadtests.capacity import SearchSettings
    from loadtests.measurement import Measurement
    from loadtests.samples import Samples
    from loadtests.slo import Slo
    from loadtests.steps import Step
    from loadtests.targets.protocol import Setup, Target, Usage

__all__ = ["Measured", "Probe", "describe_target", "search_capacity"]

WARM_UP_S = 0.8
CHOICES = 4096
WAIT_FOR_QUIET_S = 5.0
TRIES = 3  # of a step whose measurement is INVALID: a neighbour's burst of work passes


@dataclass(frozen=True, slots=True)
class Measured:
    measurement: Measurement
    samples: Samples


@dataclass(frozen=True, slots=True)
class Probe:
    """record: what is under load, as stored with every measurement."""

    engine: Engine
    target: Target
    record: TargetRecord
    destination: Destination
    slo: Slo
    seed: int

    def warm_up(self) -> None:
        """Caches, connections and lazy imports; its samples are thrown away."""
        choices = payload_choices(CHOICES, len(self.destination.workload.payloads), seed=self.seed)
        workers = math.ceil(self.record.vcpus or 1)
        self.engine.run(self.destination, ClosedJob(workers, CHOICES, WARM_UP_S, choices))
        self.target.check()

    def take(self, step: Step) -> Measured:
        """Raises TargetDied when the target did not survive it, EngineFailed."""
        match step:
            case ClosedStep():
                return self._closed(step)
            case OpenStep():
                return self._open(step)

    def _closed(self, step: ClosedStep) -> Measured:
        payloads = len(self.destination.workload.payloads)
        job = ClosedJob(
            step.concurrency,
            step.max_requests,
            step.max_s,
            payload_choices(CHOICES, payloads, seed=self.seed),
        )
        started_at, before = utc_now().isoformat(), self._reading()
        run = self.engine.run(self.destination, job)
        self.target.check()
        load = Load(
            loop="closed", concurrency=step.concurrency, duration_s=step.max_s, seed=self.seed
        )
        facts = self._facts(run, load, started_at, before)
        return Measured(summarise_closed(run.samples, facts), run.samples)

    def _open(self, step: OpenStep) -> Measured:
        due_s = due_times(step.rate_rps, step.duration_s, seed=self.seed)
        payloads = len(self.destination.workload.payloads)
        job = OpenJob(due_s, payload_choices(len(due_s), payloads, seed=self.seed))
        watch = OpenWatch(tightest(self.slo), step.floor)
        started_at, before = utc_now().isoformat(), self._reading()
        run = self.engine.run(self.destination, job, watch)
        self.target.check()
        load = Load(
            loop="open",
            rate_rps=step.rate_rps,
            process="poisson",
            duration_s=step.duration_s,
            seed=self.seed,
        )
        facts = self._facts(
            run, load, started_at, before, over_saturated=watch.over_saturated, due=len(due_s)
        )
        return Measured(summarise_open(run.samples, facts, self.slo.latency), run.samples)

    def _facts(
        self,
        run: EngineRun,
        load: Load,
        started_at: str,
        before: _Reading,
        *,
        over_saturated: bool = False,
        due: int | None = None,
    ) -> RunFacts:
        after = self._reading()
        use = _use(before.usage, after.usage)
        return RunFacts(
            target=self.record,
            use=use,
            workload=self.destination.workload.digest,
            load=load,
            started_at=started_at,
            elapsed_s=run.elapsed_s,
            generator=run.generator,
            due=len(run.samples) if due is None else due,
            neighbour_share=self._neighbour_share(before, after, use, run),
            over_saturated=over_saturated,
            stop_reason=run.stop_reason,
        )

    def _reading(self) -> _Reading:
        limits = self.target.describe().limits
        cores = () if limits is None else limits.cores
        return _Reading(
            time.perf_counter(), self.target.usage(), CoreClock.read(cores), len(cores)
        )

    def _neighbour_share(
        self, before: _Reading, after: _Reading, use: TargetUse, run: EngineRun
    ) -> float | None:
        """What the target's cores did, less target and load test."""
        if use.cpu_s is None or before.cores == 0:
            return None
        ours_s = use.cpu_s
        if self.record.shares_cores:
            ours_s += run.generator.cpu_s + after.clock.own_s - before.clock.own_s
        others_s = after.clock.busy_s - before.clock.busy_s - ours_s
        return Neighbours(others_s, before.cores, after.at_s - before.at_s).share


@dataclass(frozen=True, slots=True)
class _Reading:
    """What had been used when; cores: that the target runs on, 0 where that is not known."""

    at_s: float
    usage: Usage
    clock: CoreClock
    cores: int


def describe_target(
    target: Target, setup: Setup, vcpus: float | None, instance_type: str | None = None
) -> TargetRecord:
    described = target.describe()
    limits = described.limits
    return TargetRecord(
        kind=described.kind,
        label=described.label,
        started_from=described.started_from,
        vcpus=described.sizing.vcpus or vcpus,
        memory_gib=described.sizing.memory_gib,
        limits=None if limits is None else limits.describe(),
        shares_cores=limits is not None and limits.shares_cores,
        setup_s=setup.ready_s,
        instance_type=instance_type,
    )


def search_capacity(
    probe: Probe,
    settings: SearchSettings,
    stored: Mapping[str, Measured],
    finished: Callable[[str, Measured], None],
    starting: Callable[[Step], None] = lambda _: None,
) -> tuple[Capacity, tuple[Evidence, ...]]:
    """Steps until the search has its answer. A step found in `stored` (by key) is not run again.

    finished: called with each new measurement before the next begins. Raises InvalidMeasurement
    when a step stays INVALID for three tries.
    """
    history: tuple[Evidence, ...] = ()
    warm = False
    while True:
        step = next_step(history, probe.slo, settings)
        if isinstance(step, Capacity):
            return step, history
        measured = stored.get(step.key)
        if measured is None:
            if not warm:
                probe.warm_up()
                warm = True
            starting(step)
            measured = _take_valid(probe, step, finished)
        history += (Evidence(step, measured.measurement, measured.samples.service_s),)


def _take_valid(probe: Probe, step: Step, finished: Callable[[str, Measured], None]) -> Measured:
    """An INVALID try is kept, under a key of its own, and never becomes evidence."""
    measured = probe.take(step)
    for _ in range(TRIES - 1):
        if measured.measurement.validity.status is not Status.INVALID:
            break
        finished(_invalid_key(step, measured), measured)
        limits = probe.target.describe().limits
        wait_for_quiet(() if limits is None else limits.cores, WAIT_FOR_QUIET_S)
        measured = probe.take(step)
    if measured.measurement.validity.status is Status.INVALID:
        finished(_invalid_key(step, measured), measured)
        faults = "; ".join(
            f"{each.found} ({each.advice})" for each in measured.measurement.validity.faults
        )
        raise InvalidMeasurement(
            f"{probe.record.label}: the measurement is INVALID, {TRIES} times: {faults}",
            hint="an INVALID measurement ranks nothing; what was measured is kept",
        )
    finished(step.key, measured)
    return measured


def _invalid_key(step: Step, measured: Measured) -> str:
    """Of its own time, so that a resumed run's tries stand beside the first ones."""
    return f"{step.key}-invalid-{measured.measurement.started_at}"


def _use(before: Usage, after: Usage) -> TargetUse:
    return TargetUse(
        cpu_s=_less(after.cpu_s, before.cpu_s),
        memory_peak_bytes=after.memory_peak_bytes,
        throttled_s=_less(after.throttled_s, before.throttled_s),
    )


def _less(after: float | None, before: float | None) -> float | None:
    return None if after is None or before is None else after - before
