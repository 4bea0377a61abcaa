"""What the cores did besides our own work: a neighbour's burst must not pass for a slow server."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["CoreClock", "Neighbours", "wait_for_quiet"]

IDLE_COLUMNS = (3, 4)  # idle and iowait, counted from 0 after the name, in /proc/stat
QUIET_SHARE = 0.1
LOOK_S = 0.5
GUEST_COLUMNS = (8, 9)  # counted in user and nice already


@dataclass(frozen=True, slots=True)
class CoreClock:
    """busy_s: of the cores together since boot, steal included; own_s: of this process."""

    busy_s: float
    own_s: float

    @classmethod
    def read(cls, cores: Iterable[int], stat: Path = Path("/proc/stat")) -> Self:
        names = {f"cpu{core}" for core in cores}
        ticks = os.sysconf("SC_CLK_TCK")
        busy = 0
        for line in stat.read_text().splitlines():
            name, *columns = line.split()
            if name in names:
                skipped = (*IDLE_COLUMNS, *GUEST_COLUMNS)
                busy += sum(int(value) for n, value in enumerate(columns) if n not in skipped)
        times = os.times()
        return cls(busy / ticks, times.user + times.system)


@dataclass(frozen=True, slots=True)
class Neighbours:
    """What was used on the target's cores by neither the target nor the load test.

    vcpus: how many cores those are.
    """

    cpu_s: float
    vcpus: int
    elapsed_s: float

    @property
    def share(self) -> float:
        """Of what the cores could give; never below zero (clocks tick in hundredths)."""
        return max(self.cpu_s / (self.vcpus * self.elapsed_s), 0.0) if self.elapsed_s > 0 else 0.0


def wait_for_quiet(cores: tuple[int, ...], limit_s: float) -> None:
    """Until the cores did next to nothing for half a second, or the time is over."""
    ends_s = time.perf_counter() + limit_s
    while cores and time.perf_counter() < ends_s:
        before = CoreClock.read(cores)
        time.sleep(LOOK_S)
        if CoreClock.read(cores).busy_s - before.busy_s <= QUIET_SHARE * LOOK_S * len(cores):
            return
