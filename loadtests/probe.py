"""One target under load: each step becomes a measurement."""

from __future__ import annotations

import math
import time
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, TypeVar

from loadtests.arrivals import Arrivals, due_times, payload_choices
from loadtests.environment import utc_now
from loadtests.errors import InvalidMeasurement, LoadTestError, OutOfTime, TargetDied
from loadtests.measurement import Load, TargetRecord, summarise_closed, summarise_open
from loadtests.modes.capacity import Capacity, Evidence, next_step
from loadtests.monitor import wait_for_quiet
from loadtests.pace import Pacemaker
from loadtests.readings import Asked, Reading, facts_of
from loadtests.resources import ResourceMonitor
from loadtests.runner import ClosedJob, Destination, Engine, OpenJob
from loadtests.slo import claimed_quantile
from loadtests.steps import ClosedStep, OpenStep, Step, TrafficStep, UsersStep
from loadtests.stopping import StopRules
from loadtests.targets.protocol import FrontedTarget
from loadtests.traffic import Steady
from loadtests.users import Constant
from loadtests.validity import Status
from loadtests.watch import open_watch

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from contextlib import AbstractContextManager

    from loadtests.inside import Inside
    from loadtests.measurement import Measurement, RunFacts
    from loadtests.modes.capacity import SearchSettings
    from loadtests.pace import Pace
    from loadtests.payloads import Rows
    from loadtests.resources import ResourceSeries
    from loadtests.runner import EngineRun, Progress
    from loadtests.samples import Samples
    from loadtests.slo import Objective, QuantileObjective, Slo
    from loadtests.targets.protocol import Setup, Target
    from loadtests.traffic import Traffic
    from loadtests.watch import Watch

__all__ = [
    "Hooks",
    "Measured",
    "Probe",
    "carry_out",
    "describe_target",
    "open_load",
    "replayed",
    "search_capacity",
    "until",
]

WARM_UP_S = 0.8
CHOICES = 4096
WAIT_FOR_QUIET_S = 5.0
TRIES = 3  # of a step whose measurement is INVALID: a neighbour's burst of work passes
TIME_IS_UP = "time is up"
DIED = "the target died"
MIB = 2**20
UNLIMITED = 10**9

Answer = TypeVar("Answer")


@dataclass(frozen=True, slots=True)
class Measured:
    """resources: what was used over time; None where nobody watched, or it was not kept.

    pace: how fast the target's cores were over time; None where they are not known, or it was not
    kept.
    """

    measurement: Measurement
    samples: Samples
    resources: ResourceSeries | None = None
    pace: Pace | None = None

    def as_evidence(self, step: Step) -> Evidence:
        return Evidence(step, self.measurement, self.samples.service_s)


@dataclass(frozen=True, slots=True)
class Probe:
    """record: what is under load, as stored with every measurement.

    objectives: what open-loop runs are summarised for. decided_by: those that end a search's
    open-loop run as soon as they are decided; with none of them it goes by the rules.
    rows: the records of steps that say how many go into a request.
    ends_s: on the clock of perf_counter, when all load must end; None for no such time.
    """

    engine: Engine
    target: Target
    record: TargetRecord
    destination: Destination
    objectives: tuple[Objective, ...]
    seed: int
    decided_by: tuple[QuantileObjective, ...] = ()
    rules: StopRules = field(default_factory=StopRules)
    rows: Rows | None = None
    ends_s: float | None = None

    def warm_up(self) -> None:
        """Caches, connections and lazy imports; its samples are thrown away."""
        workers = math.ceil(self.record.vcpus or 1)
        choices = payload_choices(CHOICES, self.destination.workload.weights, seed=self.seed)
        self.engine.run(self.destination, ClosedJob.constant(workers, CHOICES, WARM_UP_S, choices))
        self.target.check()

    def take(self, step: Step) -> Measured:
        """Raises TargetDied when the target did not survive it, EngineFailed, OutOfTime."""
        self.check_time()
        match step:
            case ClosedStep() | UsersStep():
                return self._closed(step)
            case OpenStep() | TrafficStep():
                return self._open(step)

    def check_time(self) -> None:
        """Raises OutOfTime when all load must have ended."""
        if self.ends_s is not None and time.perf_counter() >= self.ends_s:
            raise OutOfTime("the time for the whole plan is over")

    def _closed(self, step: ClosedStep | UsersStep) -> Measured:
        destination = self._sending(step.rows)
        choices = payload_choices(CHOICES, destination.workload.weights, seed=self.seed)
        watch = None
        if isinstance(step, ClosedStep):
            job = ClosedJob.constant(step.concurrency, step.max_requests, step.max_s, choices)
            load = Load(
                loop="closed", concurrency=step.concurrency, duration_s=step.max_s, seed=self.seed
            )
        else:
            watch = step.rules.watch("closed")
            users = step.users
            job = ClosedJob(users.spans_s(), UNLIMITED, choices)
            is_steady = isinstance(users, Constant)
            load = Load(
                loop="closed",
                concurrency=users.most if is_steady else None,
                traffic=None if is_steady else users.text,
                duration_s=users.duration_s,
                seed=self.seed,
            )
        ran = self._run(destination, job, load, watch)
        return ran.measured(summarise_closed(ran.samples, ran.facts))

    def _sending(self, rows: int | None) -> Destination:
        """So many records in each request, or the payloads as they are."""
        if rows is None:
            return self.destination
        if self.rows is None:
            raise LoadTestError(f"{rows} records a request were asked for, and none were given")
        path = self.destination.workload.path
        return replace(self.destination, workload=self.rows.batched(rows, path))

    def _open(self, step: OpenStep | TrafficStep) -> Measured:
        if isinstance(step, OpenStep):
            traffic: Traffic = Steady(rps=step.rate_rps)
            seed, arrivals = self.seed, Arrivals()
            watch = self._watch(step)
        else:
            seed, traffic, arrivals = self.seed + step.repeat - 1, step.traffic, step.arrivals
            watch = step.rules.watch("open", claimed_quantile=self._claimed)
        due_s = due_times(traffic, step.duration_s, arrivals=arrivals, seed=seed)
        job = OpenJob(
            due_s, payload_choices(len(due_s), self.destination.workload.weights, seed=seed)
        )
        load = open_load(traffic, arrivals, step.duration_s, seed)
        ran = self._run(self.destination, job, load, watch)
        return ran.measured(summarise_open(ran.samples, ran.facts, self.objectives))

    def _watch(self, step: OpenStep) -> Watch:
        if self.decided_by:
            return open_watch(self.decided_by, step.floor)
        return self.rules.watch("open", claimed_quantile=self._claimed)

    @property
    def _claimed(self) -> float:
        return claimed_quantile(self.objectives)

    def _run(
        self, destination: Destination, job: OpenJob | ClosedJob, load: Load, watch: Watch | None
    ) -> _Ran:
        due = len(job.due_s) if isinstance(job, OpenJob) else None
        started_at, before = utc_now().isoformat(), Reading.before(self.target)
        front_s = _front_cpu_s(self.target)
        with _under_load(self.target) as inside:
            with (
                ResourceMonitor(self.target, self.engine.pids) as monitor,
                Pacemaker(before.cores) as pacemaker,
            ):
                run = self.engine.run(destination, job, self._while_it_lives(watch))
            self._check(run)
            after = Reading.after(self.target)
            front_s = _front_cpu_s(self.target) - front_s
        facts = facts_of(
            run,
            Asked(self.record, destination.workload.digest, load, started_at, due),
            (before, after),
            over_saturated=watch is not None and watch.over_saturated,
            beside_s=front_s if self.record.shares_cores else pacemaker.cost_s,
            resources=monitor.series.summary(),
        )
        facts = replace(facts, inside=inside(run.samples), pace=pacemaker.since(run.started_s))
        return _Ran(facts, run.samples, monitor.series)

    def _while_it_lives(self, watch: Watch | None) -> Callable[[Progress], str | None]:
        """The watch, the end of the time there is for everything, and the end of the target."""
        look = until(self.ends_s, watch)

        def look_at_both(progress: Progress) -> str | None:
            try:
                self.target.check()
            except TargetDied:
                return DIED  # said in full once the samples are there
            return None if look is None else look(progress)

        return look_at_both

    def _check(self, run: EngineRun) -> None:
        """Raises TargetDied with what had been measured until then."""
        try:
            self.target.check()
        except TargetDied as error:
            answered = run.samples.records["done_us"][run.samples.is_success]
            last_s = int(answered.max()) / 1e6 if len(answered) else 0.0
            peak_bytes = self.target.usage().memory_peak_bytes
            held = "" if peak_bytes is None else f" and had held {peak_bytes / MIB:.0f} MiB"
            raise TargetDied(
                f"{error}; before that it had answered {len(answered):,} requests in "
                f"{last_s:.1f} s{held}",
                hint=error.hint,
            ) from error


@dataclass(frozen=True, slots=True)
class _Ran:
    facts: RunFacts
    samples: Samples
    resources: ResourceSeries

    def measured(self, measurement: Measurement) -> Measured:
        return Measured(measurement, self.samples, self.resources, self.facts.pace)


def _under_load(
    target: Target,
) -> AbstractContextManager[Callable[[Samples], Inside | None]]:
    return target.under_load() if isinstance(target, FrontedTarget) else nullcontext(_nothing)


def _nothing(_: Samples) -> None:
    return None


def _front_cpu_s(target: Target) -> float:
    return target.front_cpu_s() if isinstance(target, FrontedTarget) else 0.0


def open_load(traffic: Traffic, arrivals: Arrivals, duration_s: float, seed: int) -> Load:
    return Load(
        loop="open",
        rate_rps=traffic.requests_by(duration_s) / duration_s,
        process=arrivals.text,
        traffic=None if isinstance(traffic, Steady) else traffic.text,
        duration_s=duration_s,
        seed=seed,
    )


def until(ends_s: float | None, watch: Watch | None) -> Callable[[Progress], str | None] | None:
    """The watch, and the end of the time there is for everything."""
    if ends_s is None:
        return watch

    def look(progress: Progress) -> str | None:
        if time.perf_counter() >= ends_s:
            return TIME_IS_UP
        return None if watch is None else watch(progress)

    return look


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
        notes=described.notes,
    )


@dataclass(frozen=True)
class Hooks:
    """What the one who stores and shows is told.

    stored: measurements by step key; a step found there is not run again. finished: called with
    each new one before the next begins. starting: with each step before it runs.
    """

    stored: Mapping[str, Measured]
    finished: Callable[[str, Measured], None]
    starting: Callable[[Step], None] = lambda _: None


def carry_out(
    probe: Probe, decide: Callable[[tuple[Evidence, ...]], Step | Answer], hooks: Hooks
) -> tuple[Answer, tuple[Evidence, ...]]:
    """Step after step, until `decide` gives its answer instead of another.

    Raises InvalidMeasurement when a step stays INVALID for three tries, OutOfTime.
    """
    history: tuple[Evidence, ...] = ()
    warm = False
    while True:
        step = decide(history)
        if not isinstance(step, Step):
            return step, history
        measured = hooks.stored.get(step.key)
        if measured is None:
            if not warm:
                probe.warm_up()
                warm = True
            hooks.starting(step)
            measured = _take_valid(probe, step, hooks.finished)
        history += (measured.as_evidence(step),)


def replayed(
    decide: Callable[[tuple[Evidence, ...]], Step | Answer], stored: Mapping[str, Measured]
) -> tuple[Evidence, ...] | None:
    """The whole history that leads to an answer, from what is stored; None where a run lacks."""
    history: tuple[Evidence, ...] = ()
    while isinstance(step := decide(history), Step):
        found = stored.get(step.key)
        if found is None:
            return None
        history += (found.as_evidence(step),)
    return history


def search_capacity(
    probe: Probe, slo: Slo, settings: SearchSettings, hooks: Hooks
) -> tuple[Capacity, tuple[Evidence, ...]]:
    return carry_out(probe, lambda history: next_step(history, slo, settings), hooks)


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
            f"the measurement is INVALID, {TRIES} times: {faults}",
            hint="an INVALID measurement ranks nothing; what was measured is kept",
        )
    finished(step.key, measured)
    return measured


def _invalid_key(step: Step, measured: Measured) -> str:
    """Of its own time, so that a resumed run's tries stand beside the first ones."""
    return f"{step.key}-invalid-{measured.measurement.started_at}"
