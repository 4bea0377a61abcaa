"""Linux control groups, both versions: where they may be made, what they bound, what they count.

`find_control_groups` looks and changes nothing; a `ControlGroup` is created, joined by writing a
process id to `joining`, read, and removed.
"""

from __future__ import annotations

import os
import signal
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, Protocol

__all__ = [
    "PREFIX",
    "Bounds",
    "ControlGroup",
    "ControlGroups",
    "Counters",
    "Mount",
    "dismantle",
    "mounts",
    "own_groups",
    "quota_us",
]

PREFIX = "recommender-"
PERIOD_US = 10_000  # with the kernel's own 100 ms a quota of 0.5 nearly doubles p99
SHORTEST_QUOTA_US = 1_000  # the kernel refuses less
EMPTIED_WITHIN_S = 10.0


@dataclass(frozen=True, slots=True)
class Bounds:
    """quota_ratio: CPU-seconds per second. niceness: against everything outside the group."""

    quota_ratio: float | None = None
    memory_bytes: int | None = None
    niceness: int = 0


class Counters(NamedTuple):
    """None: this machine's groups do not count it.

    memory_bytes, peak_bytes: without file cache that can be dropped.
    anonymous_bytes: what no file backs.
    """

    cpu_s: float | None
    throttled_s: float | None
    memory_bytes: int | None
    peak_bytes: int | None
    anonymous_bytes: int | None
    oom_kills: int | None
    processes: int | None


class ControlGroup(Protocol):
    @property
    def paths(self) -> tuple[Path, ...]: ...

    @property
    def joining(self) -> tuple[Path, ...]: ...

    def create(self, bounds: Bounds) -> None:
        """OSError where the kernel or the machine's owner does not allow it."""

    def read(self) -> Counters: ...


class ControlGroups(Protocol):
    """The place under which this process may make groups."""

    @property
    def version(self) -> str: ...

    @property
    def limits_cpu(self) -> bool: ...

    @property
    def limits_memory(self) -> bool: ...

    @property
    def controllers(self) -> tuple[str, ...]: ...

    def paths(self, name: str) -> tuple[Path, ...]: ...

    def group(self, name: str) -> ControlGroup: ...


class Mount(NamedTuple):
    kind: str  # "cgroup" or "cgroup2"
    controllers: frozenset[str]
    root: str  # of the hierarchy, as seen by this process
    point: Path


def mounts(mountinfo: str) -> list[Mount]:
    """Of /proc/PID/mountinfo: …, root, point, options, …, " - ", type, source, controllers."""
    found = []
    for line in mountinfo.splitlines():
        left, separator, right = line.partition(" - ")
        if not separator:
            continue
        fields, (kind, _, options) = left.split(), right.split(" ", 2)
        if kind in {"cgroup", "cgroup2"}:
            point = Path(fields[4].replace("\\040", " "))
            found.append(Mount(kind, frozenset(options.strip().split(",")), fields[3], point))
    return found


def own_groups(cgroup: str) -> dict[str, str]:
    """Controller (empty for version 2) to this process's group, from /proc/self/cgroup."""
    own = {}
    for line in cgroup.splitlines():
        _, controllers, path = line.split(":", 2)
        for controller in controllers.split(","):
            own[controller] = path
    return own


def folder_of(mount: Mount, group: str) -> Path:
    """This process's own group where the mount shows it, else the mount's top.

    Staying below one's own group keeps the limits that were put on it in force.
    """
    relative = os.path.relpath(group, mount.root)
    folder = mount.point if relative.startswith("..") else mount.point / relative
    return folder if folder.is_dir() else mount.point


def quota_us(quota_ratio: float) -> tuple[int, int]:
    """(quota, period) in µs; a small quota has a longer period, or the kernel would refuse it."""
    period = max(PERIOD_US, round(SHORTEST_QUOTA_US / quota_ratio))
    return round(quota_ratio * period), period


def number(path: Path) -> int | None:
    try:
        return int(path.read_text())
    except (OSError, ValueError):
        return None


def table(path: Path) -> dict[str, int]:
    """A file of "name value" lines; empty where there is none."""
    try:
        lines = path.read_text().splitlines()
    except OSError:
        return {}
    pairs = (line.split() for line in lines)
    return {pair[0]: int(pair[1]) for pair in pairs if len(pair) == 2 and pair[1].isdigit()}  # noqa: PLR2004


def members(path: Path) -> list[int]:
    """Processes in the group and below; 0, a process of another id namespace, is left out."""
    pids: list[int] = []
    for procs in [path / "cgroup.procs", *path.glob("**/cgroup.procs")]:
        with suppress(OSError):
            pids += [int(line) for line in procs.read_text().split() if line != "0"]
    return sorted(set(pids))


def dismantle(path: Path) -> list[str]:
    """Kill whoever is in one of our groups and remove it; says what was removed."""
    if not path.name.startswith(PREFIX) or not (path / "cgroup.procs").exists():
        return []
    killed: set[int] = set()
    given_up = time.perf_counter() + EMPTIED_WITHIN_S
    while left := [pid for pid in members(path) if pid != os.getpid()]:
        if time.perf_counter() > given_up:
            break
        for pid in left:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        killed.update(left)
        time.sleep(0.01)
    _remove_tree(path)
    return [*(f"process {pid}" for pid in sorted(killed)), f"control group {path}"]


def _remove_tree(path: Path) -> None:
    for child in path.iterdir():
        if child.is_dir():
            _remove_tree(child)
    given_up = time.perf_counter() + EMPTIED_WITHIN_S
    while True:
        try:
            path.rmdir()
        except FileNotFoundError:
            return
        except OSError:  # the kernel keeps the group busy a moment after its last process ended
            if time.perf_counter() > given_up:
                raise
            time.sleep(0.01)
        else:
            return
