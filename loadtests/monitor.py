"""What the cores did besides our own work: a neighbour's burst must not pass for a slow server."""

from __future__ import annotations

import os
import statistics
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = [
    "CoreClock",
    "HostSpeed",
    "Neighbours",
    "busy_s_by_core",
    "host_speed",
    "wait_for_quiet",
    "work_s",
]

STAT = Path("/proc/stat")
IDLE_COLUMNS = (3, 4)  # idle and iowait, counted from 0 after the name, in /proc/stat
STOLEN_COLUMN = 7
QUIET_SHARE = 0.1
LOOK_S = 0.5
SPEED_TRIES = 5
ADDITIONS, OBJECTS = 3, 1  # of a unit of work
SPEED_UNITS = 20_000  # about 7 ms on a server core of 2024


def busy_s_by_core(stat: Path = STAT) -> dict[int, float]:
    """Seconds of each core of the machine that were not idle, from a fixed moment; steal included.

    Time less idle time, which the kernel measures. Its busy columns count who runs at a tick of
    its clock (every 4 ms, say): what a CPU quota holds back runs until a tick sees it, and they
    say up to 0.2 of a core more than was used.
    """
    return _busy_s(_counted_s(stat))


def _busy_s(counted_s: dict[int, list[float]]) -> dict[int, float]:
    now_s = time.monotonic()
    return {core: now_s - sum(each[n] for n in IDLE_COLUMNS) for core, each in counted_s.items()}


def _counted_s(stat: Path) -> dict[int, list[float]]:
    """The columns of each core, in seconds."""
    ticks = os.sysconf("SC_CLK_TCK")
    found = {}
    for line in stat.read_text().splitlines():
        name, *columns = line.split()
        core = name.removeprefix("cpu")
        if name.startswith("cpu") and core:
            found[int(core)] = [int(each) / ticks for each in columns]
    return found


@dataclass(frozen=True, slots=True)
class CoreClock:
    """busy_s: of the cores together, see `busy_s_by_core`; own_s: of this process.

    stolen_s: the part of it that a hypervisor did not let the cores have.
    """

    busy_s: float
    own_s: float
    stolen_s: float

    @classmethod
    def read(cls, cores: Iterable[int], stat: Path = STAT) -> Self:
        counted_s, times, asked = _counted_s(stat), os.times(), set(cores)
        busy_s = sum(each for core, each in _busy_s(counted_s).items() if core in asked)
        stolen_s = sum(each[STOLEN_COLUMN] for core, each in counted_s.items() if core in asked)
        return cls(busy_s, times.user + times.system, stolen_s)


@dataclass(frozen=True, slots=True)
class Neighbours:
    """What was used on the target's cores by neither the target nor the load test.

    vcpus: how many cores those are. stolen_s: the part that a hypervisor kept.
    """

    cpu_s: float
    vcpus: int
    elapsed_s: float
    stolen_s: float = 0.0

    @property
    def share(self) -> float:
        """Of what the cores could give; never below zero (clocks tick in hundredths)."""
        return self._share(self.cpu_s)

    @property
    def stolen_share(self) -> float:
        return min(self._share(self.stolen_s), self.share)

    def _share(self, cpu_s: float) -> float:
        return max(cpu_s / (self.vcpus * self.elapsed_s), 0.0) if self.elapsed_s > 0 else 0.0


def wait_for_quiet(cores: tuple[int, ...], limit_s: float) -> None:
    """Until the cores did next to nothing for half a second, or the time is over."""
    ends_s = time.perf_counter() + limit_s
    while cores and time.perf_counter() < ends_s:
        before = CoreClock.read(cores)
        time.sleep(LOOK_S)
        if CoreClock.read(cores).busy_s - before.busy_s <= QUIET_SHARE * LOOK_S * len(cores):
            return


@dataclass(frozen=True, slots=True)
class HostSpeed:
    """What a fixed piece of work took, in CPU-seconds, at at_s of perf_counter.

    On a quiet host two of them agree within 1.15 (99 of 100; never beyond 1.2 in 220).

    Whoever waits for a core uses no CPU-seconds: their growth is a host that works slower, by
    another guest in its caches or a lower clock, which /proc/stat does not show.
    """

    seconds: float
    at_s: float

    def slower_than(self, before: HostSpeed) -> float:
        """1.1: the same work takes 10 % more CPU-seconds than before."""
        return self.seconds / before.seconds


def host_speed(cores: Iterable[int] = ()) -> HostSpeed:
    """Median of five tries on each core, the mean over cores; about 40 ms of each core's time.

    Without cores: wherever this process runs. Work on a core that a target uses slows the target,
    so ask before and after a measurement, not during it.
    """
    taken_s: list[float] = []
    # In a thread of its own: its affinity ends with it.
    thread = threading.Thread(target=_try_on, args=(tuple(cores), taken_s), name="host speed")
    thread.start()
    thread.join()
    return HostSpeed(statistics.fmean(taken_s), time.perf_counter())


def _try_on(cores: tuple[int, ...], taken_s: list[float]) -> None:
    for core in cores or (None,):
        if core is not None:
            os.sched_setaffinity(0, {core})
        work_s(SPEED_UNITS)  # a core that slept starts slowly
        taken_s.append(statistics.median(work_s(SPEED_UNITS) for _ in range(SPEED_TRIES)))


def work_s(units: int) -> float:
    """CPU-seconds of this thread for so many units of work.

    Arithmetic in registers, and objects made and found again, as servers in Python do.
    """
    begun_s = time.thread_time()
    number, objects = 1, OBJECTS * units
    for _ in range(ADDITIONS * units):
        number = (number * 1_103_515_245 + 12_345) & 0x7FFF_FFFF
    made = {each: str(each) for each in range(objects)}
    for each in range(objects):
        made[each]
    return time.thread_time() - begun_s
