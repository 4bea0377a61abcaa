"""Which process owns a run, and whether it still lives. Reads Linux's /proc."""

from __future__ import annotations

import os
import socket
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from recommender.store.records import Owner

if TYPE_CHECKING:
    from datetime import datetime

__all__ = ["HEARTBEAT_LIMIT", "is_alive", "is_here", "process_owner", "this_process"]

HEARTBEAT_LIMIT = timedelta(seconds=60)
"""How long the owner on another machine may be silent before it counts as gone."""

_STATE, _START_TICKS = 0, 19  # proc(5): fields 3 and 22, counted after the command's bracket


def this_process() -> Owner:
    """The calling process, as the owner of the runs it creates."""
    return process_owner(os.getpid())


def process_owner(pid: int) -> Owner:
    """That process of this machine. Raises ProcessLookupError when it is gone or a zombie."""
    started = _started(pid)
    if started is None:
        raise ProcessLookupError(f"/proc/{pid}/stat cannot be read, or tells of a zombie")
    return Owner(host=socket.gethostname(), boot_id=_boot_id(), pid=pid, pid_started=started)


def is_here(owner: Owner) -> bool:
    """Whether its process could be seen from here, were it alive."""
    return (owner.host, owner.boot_id) == (socket.gethostname(), _boot_id())


def is_alive(owner: Owner, heartbeat_at: datetime | None, now: datetime) -> bool:
    """Whether the owner lives: by its process where that can be seen, else by its heartbeat."""
    if is_here(owner):
        return _started(owner.pid) == owner.pid_started
    return heartbeat_at is not None and now - heartbeat_at <= HEARTBEAT_LIMIT


def _boot_id() -> str:
    boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    return f"{boot} {Path('/proc/self/ns/pid').readlink()}"


def _started(pid: int) -> float | None:
    """When the process started, in seconds after boot; None when it is gone or a zombie."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return None
    fields = stat.rpartition(")")[2].split()  # the command itself may hold spaces and brackets
    if fields[_STATE] in "ZX":
        return None
    return int(fields[_START_TICKS]) / os.sysconf("SC_CLK_TCK")
