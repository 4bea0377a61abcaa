"""What a target had used before and after a run, and what follows for its measurement."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Self

from loadtests.host_change import Slowdown, slowdown_seen
from loadtests.measurement import Load, RunFacts, TargetRecord, TargetUse
from loadtests.monitor import CoreClock, HostSpeed, Neighbours, host_speed

if TYPE_CHECKING:
    from loadtests.resources import ResourceSummary
    from loadtests.runner import EngineRun
    from loadtests.targets.protocol import Target, Usage

__all__ = ["Asked", "Reading", "facts_of", "use_between"]


@dataclass(frozen=True, slots=True)
class Asked:
    """Of what, and what; workload: its digest; due: requests of the schedule, where one is."""

    target: TargetRecord
    workload: str
    load: Load
    started_at: str
    due: int | None


@dataclass(frozen=True, slots=True)
class Reading:
    """What had been used when, and how fast the host was.

    cores: that the target runs on; with none known, nothing is said of them.
    """

    at_s: float
    usage: Usage
    clock: CoreClock
    cores: tuple[int, ...]
    speed: HostSpeed | None

    @classmethod
    def before(cls, target: Target) -> Self:
        """The work that tells the speed is done before anything is counted."""
        cores = _cores(target)
        speed = host_speed(cores) if cores else None
        return cls._counted(target, cores, speed)

    @classmethod
    def after(cls, target: Target) -> Self:
        """And after everything is."""
        cores = _cores(target)
        counted = cls._counted(target, cores, None)
        return replace(counted, speed=host_speed(cores)) if cores else counted

    @classmethod
    def _counted(cls, target: Target, cores: tuple[int, ...], speed: HostSpeed | None) -> Self:
        return cls(time.perf_counter(), target.usage(), CoreClock.read(cores), cores, speed)

    def slower_than(self, before: Reading) -> Slowdown | None:
        if self.speed is None or before.speed is None:
            return None
        return slowdown_seen(before.speed, self.speed, lambda: host_speed(self.cores))


def _cores(target: Target) -> tuple[int, ...]:
    limits = target.describe().limits
    return () if limits is None else limits.cores


def facts_of(
    run: EngineRun,
    asked: Asked,
    readings: tuple[Reading, Reading],
    *,
    over_saturated: bool,
    beside_s: float = 0.0,
    resources: ResourceSummary | None = None,
) -> RunFacts:
    """readings: before the run, and after it.

    beside_s: CPU used on the target's cores by what else belongs to the test.
    """
    use = use_between(*readings)
    return RunFacts(
        target=asked.target,
        use=use,
        workload=asked.workload,
        load=asked.load,
        started_at=asked.started_at,
        elapsed_s=run.elapsed_s,
        generator=run.generator,
        due=len(run.samples) if asked.due is None else asked.due,
        neighbours=_neighbours(asked.target, readings, (use.cpu_s, beside_s), run),
        slowdown=readings[1].slower_than(readings[0]),
        over_saturated=over_saturated,
        stop_reason=run.stop_reason,
        resources=resources,
    )


def _neighbours(
    target: TargetRecord,
    readings: tuple[Reading, Reading],
    used_s: tuple[float | None, float],
    run: EngineRun,
) -> Neighbours | None:
    """What the target's cores did, less target, its neighbours in the test, and load test.

    Not told where servers were started meanwhile: that costs a container engine as much CPU as
    another program may use, and is none.
    """
    before, after = readings
    if used_s[0] is None or not before.cores or use_between(before, after).starts:
        return None
    ours_s = used_s[0] + used_s[1]
    if target.shares_cores:
        ours_s += run.generator.cpu_s + after.clock.own_s - before.clock.own_s
    others_s = after.clock.busy_s - before.clock.busy_s - ours_s
    stolen_s = after.clock.stolen_s - before.clock.stolen_s
    return Neighbours(others_s, len(before.cores), after.at_s - before.at_s, stolen_s)


def use_between(before: Reading, after: Reading) -> TargetUse:
    return TargetUse(
        cpu_s=_less(after.usage.cpu_s, before.usage.cpu_s),
        memory_peak_bytes=after.usage.memory_peak_bytes,
        throttled_s=_less(after.usage.throttled_s, before.usage.throttled_s),
        starts=max(after.usage.starts - before.usage.starts, 0),
    )


def _less(after: float | None, before: float | None) -> float | None:
    return None if after is None or before is None else after - before
