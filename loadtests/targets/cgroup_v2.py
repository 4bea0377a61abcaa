"""Control groups, version 2: one hierarchy, its controllers handed down from parent to child."""

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

__all__ = ["GroupsV2", "find_v2"]

USED = frozenset({"cpu", "memory"})


def find_v2(proc_self: Path) -> GroupsV2 | None:
    """The nearest group at or above our own that hands down cpu or memory and is ours to write.

    It must be above because a process may be moved only by one who may write the common ancestor's
    cgroup.procs: that is what a delegated user slice grants, and a login session outside it does
    not.
    """
    own = own_groups((proc_self / "cgroup").read_text()).get("")
    for mount in mounts((proc_self / "mountinfo").read_text()):
        if mount.kind != "cgroup2" or own is None:
            continue
        folder = folder_of(mount, own)
        for place in (folder, *folder.parents):
            if place != mount.point and mount.point not in place.parents:
                break
            if found := _handed_down(place):
                return GroupsV2(place, found)
    return None


def _handed_down(place: Path) -> tuple[str, ...]:
    """Controllers that a child of this group would have, now or once we switch them on."""
    control = place / "cgroup.subtree_control"
    writable = all(os.access(path, os.W_OK) for path in (place, place / "cgroup.procs", control))
    if not writable:
        return ()
    enabled = set(control.read_text().split())
    # A group with processes of its own cannot hand anything down, except the hierarchy's top,
    # which is known by having no cgroup.type.
    if not (place / "cgroup.type").exists() or not (place / "cgroup.procs").read_text().split():
        enabled |= set((place / "cgroup.controllers").read_text().split())
    return tuple(sorted(enabled & USED))


@dataclass(frozen=True, slots=True)
class GroupsV2:
    folder: Path
    controllers: tuple[str, ...]

    version = "cgroup v2"

    @property
    def limits_cpu(self) -> bool:
        return "cpu" in self.controllers

    @property
    def limits_memory(self) -> bool:
        return "memory" in self.controllers

    def paths(self, name: str) -> tuple[Path, ...]:
        return (self.folder / name,)

    def group(self, name: str) -> GroupV2:
        return GroupV2(self.folder / name, self.controllers)


@dataclass(frozen=True, slots=True)
class GroupV2:
    folder: Path
    controllers: tuple[str, ...]

    @property
    def paths(self) -> tuple[Path, ...]:
        return (self.folder,)

    @property
    def joining(self) -> tuple[Path, ...]:
        return (self.folder / "cgroup.procs",)

    def create(self, bounds: Bounds) -> None:
        control = self.folder.parent / "cgroup.subtree_control"
        missing = set(self.controllers) - set(control.read_text().split())
        if missing:
            control.write_text(" ".join(f"+{controller}" for controller in sorted(missing)))
        self.folder.mkdir(exist_ok=True)
        if "cpu" in self.controllers:
            self._bound_cpu(bounds)
        if "memory" in self.controllers and bounds.memory_bytes is not None:
            (self.folder / "memory.max").write_text(str(bounds.memory_bytes))
            swap = self.folder / "memory.swap.max"
            if swap.exists():
                swap.write_text("0")

    def _bound_cpu(self, bounds: Bounds) -> None:
        if bounds.niceness:
            (self.folder / "cpu.weight.nice").write_text(str(bounds.niceness))
        if bounds.quota_ratio is not None:
            quota, period = quota_us(bounds.quota_ratio)
            (self.folder / "cpu.max").write_text(f"{quota} {period}")

    def read(self) -> Counters:
        cpu = table(self.folder / "cpu.stat")
        used = number(self.folder / "memory.current")
        peak = number(self.folder / "memory.peak")
        statistics = table(self.folder / "memory.stat")
        reclaimable = statistics.get("inactive_file", 0)
        return Counters(
            cpu_s=_scaled(cpu.get("usage_usec")),
            throttled_s=_scaled(cpu.get("throttled_usec")),
            memory_bytes=None if used is None else max(used - reclaimable, 0),
            peak_bytes=None if peak is None else max(peak - reclaimable, 0),
            anonymous_bytes=statistics.get("anon"),
            oom_kills=table(self.folder / "memory.events").get("oom_kill"),
            processes=len(members(self.folder)),
        )


def _scaled(microseconds: int | None) -> float | None:
    return None if microseconds is None else microseconds / 1e6
