"""Which sizes this machine can give a target, and by what means.

Whole vCPUs are whole cores: the target is pinned. A quota on top was measured and left out: it
adds no bound, and with a 10 ms period half of all periods ended in a pause (up to 5 % of the
throughput). A fraction of a vCPU needs the kernel's quota; pinning to as few cores as hold it
keeps the pauses short.
"""

from __future__ import annotations

import math
import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import psutil

from loadtests.errors import LimitUnavailable, UsageError
from loadtests.targets.cgroup_v1 import find_v1
from loadtests.targets.cgroup_v2 import find_v2
from loadtests.targets.control_groups import Bounds, ControlGroups, quota_us
from loadtests.targets.protocol import Limits, Sizing

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = [
    "Capabilities",
    "Enforcement",
    "Enforcer",
    "Size",
    "capabilities",
    "enforcement",
    "limits_of",
]

GIB = 1024**3
NICENESS_BESIDE_THE_GENERATOR = 5
FRACTIONS = (0.25, 0.5)
WATCH_EVERY_S = 0.1


@dataclass(frozen=True, slots=True)
class Size:
    """generator_cores: what is left for the load generator; with none it shares the target's."""

    vcpus: float
    generator_cores: int


@dataclass(frozen=True, slots=True)
class Capabilities:
    """cores: this process may use, hardware threads of one core side by side."""

    cores: tuple[int, ...]
    memory_total_gib: float
    groups: ControlGroups | None

    @property
    def sizes(self) -> tuple[Size, ...]:
        count = len(self.cores)
        fractions = FRACTIONS if self.groups is not None and self.groups.limits_cpu else ()
        whole = (1, *range(2, count, 2), count)
        return tuple(
            Size(vcpus, count - math.ceil(vcpus))
            for vcpus in (*fractions, *sorted(set(map(float, whole))))
        )

    def without_groups(self) -> Capabilities:
        return replace(self, groups=None)

    def describe(self) -> tuple[str, ...]:
        """Lines for a person."""
        if self.groups is None:
            means = "no control groups: whole cores by affinity, memory by watching"
        else:
            means = f"{self.groups.version} ({', '.join(self.groups.controllers)})"
        return (
            f"cores {_listed(self.cores)}",
            f"memory {self.memory_total_gib:.1f} GiB",
            means,
        )


class Enforcer(Protocol):
    """Who holds a target to its size: this process by control groups, or a container engine."""

    @property
    def version(self) -> str: ...

    @property
    def limits_cpu(self) -> bool: ...

    @property
    def limits_memory(self) -> bool: ...


@dataclass(frozen=True, slots=True)
class Enforcement:
    """How a size is going to be given. watched_bytes: the memory bound when no group holds it."""

    limits: Limits
    bounds: Bounds
    groups: ControlGroups | None
    watched_bytes: int | None


def capabilities(proc_self: Path = Path("/proc/self")) -> Capabilities:
    return Capabilities(
        cores=_side_by_side(os.sched_getaffinity(0)),
        memory_total_gib=psutil.virtual_memory().total / GIB,
        groups=_groups(proc_self),
    )


def _groups(proc_self: Path) -> ControlGroups | None:
    """The version that can do more; 2 where they are equal."""
    try:
        found: list[ControlGroups | None] = [find_v2(proc_self), find_v1(proc_self)]
    except OSError:
        return None
    usable = [groups for groups in found if groups is not None]
    return max(usable, key=lambda groups: groups.limits_cpu + groups.limits_memory, default=None)


def _side_by_side(cores: Iterable[int]) -> tuple[int, ...]:
    return tuple(sorted(cores, key=lambda core: (_first_sibling(core), core)))


def _first_sibling(core: int) -> int:
    topology = Path(f"/sys/devices/system/cpu/cpu{core}/topology/thread_siblings_list")
    try:
        return int(topology.read_text().replace("-", ",").split(",")[0])
    except (OSError, ValueError):
        return core


def enforcement(
    sizing: Sizing, machine: Capabilities, cores: tuple[int, ...] | None = None
) -> Enforcement:
    """LimitUnavailable where this machine cannot give the size. `cores`: which, not how many."""
    limits = limits_of(sizing, machine, cores, machine.groups)
    memory = _memory_bytes(sizing)
    bounds = Bounds(
        limits.quota_ratio, memory, NICENESS_BESIDE_THE_GENERATOR if limits.shares_cores else 0
    )
    held = machine.groups is not None and machine.groups.limits_memory
    return Enforcement(limits, bounds, machine.groups, None if held else memory)


def limits_of(
    sizing: Sizing,
    machine: Capabilities,
    cores: tuple[int, ...] | None,
    enforcer: Enforcer | None,
) -> Limits:
    """What a target of this size gets from `enforcer`; LimitUnavailable where that cannot be."""
    chosen = _cores(sizing, machine, cores)
    quota = sizing.vcpus if sizing.is_fractional else None
    if quota is not None and (enforcer is None or not enforcer.limits_cpu):
        raise LimitUnavailable(
            f"{sizing.vcpus:g} vCPUs cannot be given here: a fraction of a core needs control "
            "groups (the cpu controller, writable), and this process has none",
            hint=f"use whole vCPUs (1 to {len(machine.cores)}), or run as root, "
            "or inside `systemd-run --user --scope -p Delegate=yes`",
        )
    _fits(sizing, machine)
    held = enforcer is not None and enforcer.limits_memory
    return Limits(
        cpu=_cpu_words(quota, chosen, enforcer, pinned=len(chosen) < len(machine.cores)),
        cores=chosen,
        quota_ratio=quota,
        memory=_memory_words(_memory_bytes(sizing), enforcer if held else None),
        memory_gib=sizing.memory_gib,
        shares_cores=not set(machine.cores) - set(chosen),
    )


def _memory_bytes(sizing: Sizing) -> int | None:
    return None if sizing.memory_gib is None else round(sizing.memory_gib * GIB)


def _cores(
    sizing: Sizing, machine: Capabilities, cores: tuple[int, ...] | None
) -> tuple[int, ...]:
    available = machine.cores
    wanted = len(cores or available) if sizing.vcpus is None else math.ceil(sizing.vcpus)
    if wanted > len(available):
        raise LimitUnavailable(
            f"{sizing.vcpus:g} vCPUs cannot be given here: this process may use "
            f"{len(available)} cores ({_listed(available)})",
            hint=f"ask for up to {len(available)} vCPUs; larger sizes are predicted, not measured",
        )
    if cores is None:
        return available[-wanted:]  # the first cores serve most interrupts and the generator
    if strangers := set(cores) - set(available):
        raise UsageError(
            f"cores {_listed(sorted(strangers))} are not among those this process may use "
            f"({_listed(available)})"
        )
    if len(cores) < wanted:
        raise UsageError(f"{sizing.vcpus:g} vCPUs do not fit on cores {_listed(cores)}")
    return cores[:wanted]


def _fits(sizing: Sizing, machine: Capabilities) -> None:
    if sizing.memory_gib is not None and sizing.memory_gib > machine.memory_total_gib:
        raise LimitUnavailable(
            f"{sizing.memory_gib:g} GiB cannot be given here: this machine has "
            f"{machine.memory_total_gib:.1f} GiB"
        )


def _cpu_words(
    quota: float | None, cores: tuple[int, ...], enforcer: Enforcer | None, *, pinned: bool
) -> str:
    on = f"core{'s' if len(cores) > 1 else ''} {_listed(cores)}"
    if quota is not None and enforcer is not None:
        period_ms = quota_us(quota)[1] / 1000
        return f"{enforcer.version} quota {quota:g} of period {period_ms:g} ms on {on}"
    return f"pinned to {on}" if pinned else f"as it is: all {len(cores)} cores"


def _memory_words(memory_bytes: int | None, enforcer: Enforcer | None) -> str:
    if memory_bytes is None:
        return "none"
    return f"watched every {WATCH_EVERY_S:g} s" if enforcer is None else enforcer.version


def _listed(cores: Iterable[int]) -> str:
    return ", ".join(map(str, cores))
