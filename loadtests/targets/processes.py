"""What the kernel says about processes: who they are, what they used, where they listen.

Reads /proc itself where psutil would read every process of the machine to answer about one tree.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from loadtests.targets.supervisor import descendants, name

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = [
    "ProcessIdentity",
    "Spent",
    "cpu_s",
    "descendants",
    "file_backed_bytes",
    "is_living",
    "listening_ports",
    "memory_bytes",
    "name",
    "resident_bytes",
    "with_token",
]

PROC = Path("/proc")
TCP_LISTENS = "0A"
PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
TICKS_PER_S = os.sysconf("SC_CLK_TCK")


class Spent(NamedTuple):
    own_s: float
    reaped_s: float  # of children that ended and were waited for


class _Stat(NamedTuple):
    state: str
    spent: Spent
    started_ticks: int
    resident_bytes: int


def _stat(pid: int) -> _Stat | None:
    try:
        # The name in parentheses may hold anything, parentheses and spaces included.
        fields = (PROC / str(pid) / "stat").read_bytes().rpartition(b")")[2].split()
    except OSError:
        return None
    user, system, reaped_user, reaped_system = (int(field) for field in fields[11:15])
    return _Stat(
        state=fields[0].decode(),
        spent=Spent((user + system) / TICKS_PER_S, (reaped_user + reaped_system) / TICKS_PER_S),
        started_ticks=int(fields[19]),
        resident_bytes=int(fields[21]) * PAGE_BYTES,
    )


def is_living(pid: int) -> bool:
    stat = _stat(pid)
    return stat is not None and stat.state not in "ZX"


@dataclass(frozen=True, slots=True)
class ProcessIdentity:
    """One process for all time: ids are reused, so the start and the boot belong to it.

    The id namespace is part of it because a journal may be shared with a container, whose process
    7 is not this machine's.
    """

    pid: int
    started_ticks: int
    boot: str
    pid_namespace: str

    @classmethod
    def of(cls, pid: int) -> ProcessIdentity | None:
        stat = _stat(pid)
        if stat is None:
            return None
        return cls(pid, stat.started_ticks, _boot(), _pid_namespace())

    @classmethod
    def own(cls) -> ProcessIdentity:
        me = cls.of(os.getpid())
        if me is None:
            raise OSError("/proc does not show this process; a mounted /proc is needed")
        return me

    def is_gone(self) -> bool:
        """False also where it cannot be known: in another id namespace of this boot."""
        if self.boot != _boot():
            return True
        if self.pid_namespace != _pid_namespace():
            return False
        stat = _stat(self.pid)
        return stat is None or stat.started_ticks != self.started_ticks or stat.state in "ZX"


def _boot() -> str:
    return (PROC / "sys/kernel/random/boot_id").read_text().strip()


def _pid_namespace() -> str:
    return str((PROC / "self/ns/pid").readlink())


def with_token(variable: str, value: str) -> list[int]:
    """Processes whose environment at their start held VARIABLE=VALUE, where we may look."""
    wanted = f"{variable}={value}".encode()
    found = []
    for entry in PROC.iterdir():
        if not entry.name.isdigit():
            continue
        try:
            environment = (entry / "environ").read_bytes()
        except OSError:
            continue
        if wanted in environment.split(b"\0"):
            found.append(int(entry.name))
    return found


def cpu_s(pids: Iterable[int], reaper: int | None = None) -> float:
    """CPU-seconds of living processes and of the children they waited for.

    `reaper` inherited the orphans and waits for them: its own time is left out, theirs is counted.
    Not seen is a child whose parent ignores SIGCHLD, because the kernel then adds its time to
    nobody.
    """
    total = 0.0
    for pid in pids:
        if (stat := _stat(pid)) is not None:
            total += stat.spent.own_s + stat.spent.reaped_s
    if reaper is not None and (stat := _stat(reaper)) is not None:
        total += stat.spent.reaped_s
    return total


def resident_bytes(pids: Iterable[int]) -> int:
    """Sum of resident sets: pages shared between processes count once for each of them."""
    return sum(stat.resident_bytes for pid in pids if (stat := _stat(pid)) is not None)


def file_backed_bytes(pids: Iterable[int]) -> int:
    """Of the process that has most of it: programs and libraries, which its siblings share."""
    return max((_file_backed_bytes(pid) for pid in pids), default=0)


def _file_backed_bytes(pid: int) -> int:
    try:
        return int((PROC / str(pid) / "statm").read_text().split()[2]) * PAGE_BYTES
    except OSError:
        return 0


def memory_bytes(pids: Iterable[int]) -> int:
    """Sum of proportional set sizes: a shared page counts once. Resident where unreadable."""
    return sum(_proportional_bytes(pid) for pid in pids)


def _proportional_bytes(pid: int) -> int:
    try:
        lines = (PROC / str(pid) / "smaps_rollup").read_text().splitlines()
    except OSError:
        return resident_bytes([pid])
    for line in lines:
        if line.startswith("Pss:"):
            return int(line.split()[1]) * 1024
    return resident_bytes([pid])


def listening_ports(pids: Iterable[int]) -> tuple[int, ...]:
    """TCP ports that any of these processes listens on, each in its own network."""
    return tuple(sorted({port for pid in pids for port in _listening_ports(pid)}))


def _listening_ports(pid: int) -> set[int]:
    try:
        links = [str(link.readlink()) for link in (PROC / str(pid) / "fd").iterdir()]
        sockets = [
            line.split()
            for table in ("tcp", "tcp6")
            for line in (PROC / str(pid) / "net" / table).read_text().splitlines()[1:]
        ]
    except OSError:  # it ended, or is not ours to look at
        return set()
    own = {link[len("socket:[") : -1] for link in links if link.startswith("socket:[")}
    # Of each line: 1 is address:port in hexadecimal, 3 the state, 9 the socket's number.
    return {
        int(fields[1].rpartition(":")[2], 16)
        for fields in sockets
        if fields[3] == TCP_LISTENS and fields[9] in own
    }
