"""How fast a target's cores worked while it was under load.

A core that shares its arithmetic with another guest's is fast and slow by turns, and no counter
of a guest says when. A small piece of work, done again and again on the target's own cores, does:
its CPU-seconds grow as those of the target's requests do, and waiting for the core is not among
them.
"""

from __future__ import annotations

import itertools
import os
import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import numpy as np

from loadtests.monitor import work_s

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

__all__ = ["Pace", "Pacemaker", "middle_pace_s"]

EVERY_S = 0.02  # a flickering host forgets within 0.05 to 0.2 s how fast it was
UNITS = 500  # about 0.2 ms; with the waking for it, 2 % of one core
AROUND = 2  # so many pieces of a core tell how fast it was at an instant: one alone is rough


@dataclass(frozen=True)
class Pace:
    """CPU-seconds of the same small piece of work, on one core of the target after another.

    times_s: when each was done, since the load began, rising. each_s: what it took. core: its
    place among the target's `cores`. All of shape (n,), n at least 1.
    """

    times_s: Floats
    each_s: Floats
    core: NDArray[np.int64]
    cores: int

    @property
    def mean_s(self) -> float:
        """Of a core that works as much in the same time: the harmonic mean."""
        return float(1 / np.mean(1 / self.each_s))

    def at(self, times_s: Floats) -> Floats:
        """What it took at these instants, shape (cores, n): the mean of those just around each.

        Of a core that had no turn, as on all of them.
        """
        return np.stack([self._on(core, times_s) for core in range(self.cores)])

    def _on(self, core: int, times_s: Floats) -> Floats:
        mine = self.core == core
        if not mine.any():
            return np.full(len(times_s), self.mean_s)
        width = min(AROUND, int(mine.sum()))
        means = np.full(width, 1 / width)
        middles = np.convolve(self.times_s[mine], means, "valid")
        around_s = 1 / np.convolve(1 / self.each_s[mine], means, "valid")
        nearest = np.searchsorted((middles[1:] + middles[:-1]) / 2, times_s)
        return np.asarray(around_s[nearest])


def middle_pace_s(paces_s: Iterable[float | None]) -> float | None:
    """Of runs that are to count together: their median. None where none is known.

    A host that is fast and slow by turns is so in all of them.
    """
    known = [each for each in paces_s if each is not None]
    return float(np.median(known)) if known else None


class Pacemaker:
    """`with Pacemaker(cores) as pacemaker: ...`, and then `pacemaker.since(started_s)`.

    One thread goes from core to core, however many there are. Without cores it does nothing.
    cost_s: CPU-seconds that it took of them, once it has ended.
    """

    def __init__(self, cores: tuple[int, ...]) -> None:
        self._cores = cores
        self._found: list[tuple[float, float, int]] = []
        self.cost_s = 0.0
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._go, name="pacemaker", daemon=True)

    def __enter__(self) -> Self:
        if self._cores:
            self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        if self._cores:
            self._thread.join()

    def since(self, started_s: float) -> Pace | None:
        """started_s: of perf_counter. None where nothing was done since."""
        found = [each for each in self._found if each[0] >= started_s]
        if not found:
            return None
        times_s, each_s, core = (np.array(column) for column in zip(*found, strict=True))
        return Pace(times_s - started_s, each_s, core, len(self._cores))

    def _go(self) -> None:
        """Until it is stopped, or a core may no longer be used."""
        turns = itertools.cycle(enumerate(self._cores))
        with suppress(OSError):
            while not self._stopping.wait(EVERY_S):
                place, core = next(turns)
                os.sched_setaffinity(0, {core})
                taken_s = work_s(UNITS)
                self._found.append((time.perf_counter(), taken_s, place))
        self.cost_s = time.thread_time()
