"""The machine a measurement was taken on, and the only stamps of wall-clock time."""

from __future__ import annotations

import os
import platform
import socket
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path

import psutil
from pydantic import BaseModel, ConfigDict

__all__ = ["Environment", "capture_environment", "utc_now"]


class Environment(BaseModel):
    """Measurements from different environments are never averaged.

    cpu_family, cpu_model_number: as /proc/cpuinfo counts them; on ARM implementer and part.
    cores: that this process may use.
    """

    model_config = ConfigDict(frozen=True)

    host: str
    kernel: str
    architecture: str
    cpu_vendor: str | None
    cpu_name: str | None
    cpu_family: int | None
    cpu_model_number: int | None
    cpu_stepping: int | None = None
    cpu_flags: tuple[str, ...]
    cores: int
    threads_per_core: int | None
    memory_gib: float
    python: str
    locust: str
    tool: str


def utc_now() -> datetime:
    return datetime.now(UTC)


def capture_environment() -> Environment:
    info = _cpuinfo(Path("/proc/cpuinfo"))
    return Environment(
        host=socket.gethostname(),
        kernel=platform.release(),
        architecture="arm64" if platform.machine() in ("aarch64", "arm64") else platform.machine(),
        cpu_vendor=info.get("vendor_id") or info.get("CPU implementer"),
        cpu_name=info.get("model name"),
        cpu_family=_integer(info.get("cpu family") or info.get("CPU implementer")),
        cpu_model_number=_integer(info.get("model") or info.get("CPU part")),
        cpu_stepping=_integer(info.get("stepping")),
        cpu_flags=tuple((info.get("flags") or info.get("Features") or "").split()),
        cores=len(os.sched_getaffinity(0)),
        threads_per_core=_threads_per_core(),
        memory_gib=round(psutil.virtual_memory().total / 2**30, 3),
        python=platform.python_version(),
        locust=metadata.version("locust"),
        tool=metadata.version("inference-recommender"),
    )


def _cpuinfo(file: Path) -> dict[str, str]:
    found: dict[str, str] = {}
    for line in file.read_text().splitlines() if file.exists() else ():
        name, separator, value = line.partition(":")
        if separator:
            found.setdefault(name.strip(), value.strip())
    return found


def _threads_per_core() -> int | None:
    siblings = Path("/sys/devices/system/cpu/cpu0/topology/thread_siblings_list")
    if not siblings.exists():
        return None
    count = 0
    for part in siblings.read_text().strip().split(","):
        first, _, last = part.partition("-")
        count += int(last or first) - int(first) + 1
    return count


def _integer(text: str | None) -> int | None:
    return None if text is None else int(text, 0)
