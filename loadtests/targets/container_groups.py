"""What the kernel counts for one container, read where the engine put it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from loadtests.targets.cgroup_v1 import USED, GroupV1
from loadtests.targets.cgroup_v2 import GroupV2
from loadtests.targets.control_groups import mounts, own_groups, table

if TYPE_CHECKING:
    from collections.abc import Iterator

    from loadtests.targets.control_groups import ControlGroup

__all__ = ["container_group", "oom_kills_on_this_machine"]

PROC = Path("/proc")


def container_group(pid: int, container_id: str, proc: Path = PROC) -> ControlGroup | None:
    """The group of the container whose first process is `pid`; None where it cannot be seen.

    The container's id stands in the group's path for every engine. That is asked for, because a
    container in a virtual machine has process ids of its own.
    """
    try:
        text = (proc / str(pid) / "cgroup").read_text()
        mountinfo = (proc / "self/mountinfo").read_text()
    except OSError:
        return None
    folders = dict(_folders(own_groups(text), mountinfo, container_id))
    unified = folders.pop("", None)
    if folders:  # on a kernel with both versions it is the old one that has the controllers
        return GroupV1(tuple(folders.items()))
    return None if unified is None else GroupV2(unified, ("cpu", "memory"))


def _folders(own: dict[str, str], mountinfo: str, container_id: str) -> Iterator[tuple[str, Path]]:
    """Controller and folder; the controller of version 2 is "", as in /proc/PID/cgroup."""
    for mount in mounts(mountinfo):
        found = {""} if mount.kind == "cgroup2" else mount.controllers & set(USED)
        for controller in found & own.keys():
            path = Path(own[controller])
            named = [at for at in (path, *path.parents) if container_id in at.name]
            if not named or not named[-1].is_relative_to(mount.root):
                continue
            folder = mount.point / named[-1].relative_to(mount.root)
            if folder.is_dir():
                yield controller, folder


def oom_kills_on_this_machine(proc: Path = PROC) -> int:
    """Since boot. A container's own count goes with its group, a moment after its end."""
    return table(proc / "vmstat").get("oom_kill", 0)
