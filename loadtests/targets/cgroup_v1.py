"""Control groups, version 1: one hierarchy for each controller."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from loadtests.targets.control_groups import (
    Bounds,
    Counters,
    folder_of,
    members,
    mounts,
    number,
    own_groups,
    quota_us,
    table,
)

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["GroupsV1", "find_v1"]

USED = ("cpu", "cpuacct", "memory")
SHARES_AT_NICE_0 = 1024
SHARES_PER_NICE = 1.25  # the step of the kernel's own weight table


def find_v1(proc_self: Path) -> GroupsV1 | None:
    """`proc_self`: normally /proc/self. None where not one of the controllers is ours to use."""
    own = own_groups((proc_self / "cgroup").read_text())
    folders: dict[str, Path] = {}
    for mount in mounts((proc_self / "mountinfo").read_text()):
        for controller in USED:
            if mount.kind == "cgroup" and controller in mount.controllers:
                folder = folder_of(mount, own.get(controller, "/"))
                if os.access(folder, os.W_OK):
                    folders[controller] = folder
    return GroupsV1(tuple(folders.items())) if folders else None


@dataclass(frozen=True, slots=True)
class GroupsV1:
    folders: tuple[tuple[str, Path], ...]  # controller, where groups may be made

    version = "cgroup v1"

    @property
    def controllers(self) -> tuple[str, ...]:
        return tuple(controller for controller, _ in self.folders)

    @property
    def limits_cpu(self) -> bool:
        return "cpu" in self.controllers

    @property
    def limits_memory(self) -> bool:
        return "memory" in self.controllers

    def paths(self, name: str) -> tuple[Path, ...]:
        return self.group(name).paths

    def group(self, name: str) -> GroupV1:
        return GroupV1(tuple((controller, folder / name) for controller, folder in self.folders))


@dataclass(frozen=True, slots=True)
class GroupV1:
    folders: tuple[tuple[str, Path], ...]

    @property
    def paths(self) -> tuple[Path, ...]:
        # cpu and cpuacct are often one hierarchy under two names
        return tuple(dict.fromkeys(folder for _, folder in self.folders))

    @property
    def joining(self) -> tuple[Path, ...]:
        return tuple(path / "cgroup.procs" for path in self.paths)

    def create(self, bounds: Bounds) -> None:
        for path in self.paths:
            path.mkdir(exist_ok=True)
        for controller, folder in self.folders:
            if controller == "cpu":
                _bound_cpu(folder, bounds)
            if controller == "memory" and bounds.memory_bytes is not None:
                _bound_memory(folder, bounds.memory_bytes)

    def read(self) -> Counters:
        at = dict(self.folders)
        cpu_s = throttled_s = memory = peak = anonymous = oom_kills = None
        if (folder := at.get("cpuacct")) is not None:
            cpu_s = _scaled(number(folder / "cpuacct.usage"))
        if (folder := at.get("cpu")) is not None:
            throttled_s = _scaled(table(folder / "cpu.stat").get("throttled_time"))
        if (folder := at.get("memory")) is not None:
            statistics = table(folder / "memory.stat")
            reclaimable = statistics.get("total_inactive_file", 0)
            anonymous = statistics.get("total_rss")
            memory = _less(number(folder / "memory.usage_in_bytes"), reclaimable)
            peak = _less(number(folder / "memory.max_usage_in_bytes"), reclaimable)
            oom_kills = table(folder / "memory.oom_control").get("oom_kill")
        return Counters(
            cpu_s=cpu_s,
            throttled_s=throttled_s,
            memory_bytes=memory,
            peak_bytes=peak,
            anonymous_bytes=anonymous,
            oom_kills=oom_kills,
            processes=len(members(self.paths[0])),
        )


def _scaled(nanoseconds: int | None) -> float | None:
    return None if nanoseconds is None else nanoseconds / 1e9


def _less(used: int | None, reclaimable: int) -> int | None:
    return None if used is None else max(used - reclaimable, 0)


def _bound_cpu(folder: Path, bounds: Bounds) -> None:
    if bounds.niceness:
        # Between groups the kernel goes by shares; niceness counts only inside one.
        shares = round(SHARES_AT_NICE_0 / SHARES_PER_NICE**bounds.niceness)
        (folder / "cpu.shares").write_text(str(shares))
    if bounds.quota_ratio is not None:
        quota, period = quota_us(bounds.quota_ratio)
        (folder / "cpu.cfs_period_us").write_text(str(period))
        (folder / "cpu.cfs_quota_us").write_text(str(quota))


def _bound_memory(folder: Path, memory_bytes: int) -> None:
    (folder / "memory.limit_in_bytes").write_text(str(memory_bytes))
    with_swap = folder / "memory.memsw.limit_in_bytes"
    if with_swap.exists():
        with_swap.write_text(str(memory_bytes))
