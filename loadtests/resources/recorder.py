"""A thread beside a measurement that reads what is used, and never disturbs it."""

from __future__ import annotations

import os
import threading
import time
from typing import TYPE_CHECKING, Self

import numpy as np

from loadtests.accelerators import GpuMeters
from loadtests.errors import LoadTestError
from loadtests.monitor import busy_s_by_core
from loadtests.resources.series import ResourceSeries
from loadtests.resources.thinning import Column, largest, last, mean
from loadtests.targets.processes import cpu_s, is_living, resident_bytes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from types import TracebackType

    from numpy.typing import NDArray

    from loadtests.resources.thinning import Reading
    from loadtests.targets.protocol import Target

    # What is read together, by column, and why there is none where it is None.
    Source = Callable[[], tuple[dict[str, Reading | None], str]]

__all__ = ["ResourceMonitor"]

MOST_READINGS = 2000
COST_SHARE = 0.01  # of a core; where one reading costs more, the next one comes later
MERGES: dict[str, Callable[[list[Reading]], Reading]] = {
    "target_cpu_s": last,
    "target_memory_bytes": largest,
    "generator_cpu_s": last,
    "generator_memory_bytes": largest,
    "core_busy_s": last,
    "gpu_busy_ratio": mean,
    "gpu_memory_bytes": largest,
    "gpu_power_w": mean,
    "gpu_energy_j": last,
}


class ResourceMonitor:
    """`with ResourceMonitor(target) as monitor: ...`, and then `monitor.series`.

    pids: of the load generator; without any, this process. cores: those told apart; all of the
    machine where none are named. A reading that fails ends its column with a reason.
    """

    def __init__(
        self,
        target: Target,
        pids: Iterable[int] = (),
        cores: Iterable[int] = (),
        *,
        every_s: float = 0.5,
        most_readings: int = MOST_READINGS,
    ) -> None:
        self._target = target
        self._pids = tuple(pids) or (os.getpid(),)
        self._cores = tuple(sorted(set(cores) or busy_s_by_core()))
        self._every_s = every_s
        self._most = most_readings
        self._columns = {name: Column(merge) for name, merge in MERGES.items()}
        self._times = Column(last)
        self._gpus = GpuMeters()
        self._gpu_names: tuple[str, ...] = ()
        self._cost_s = 0.0
        self._busy = threading.Lock()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="resource monitor", daemon=True)

    def __enter__(self) -> Self:
        self._gpus.open()
        self._gpu_names = self._gpus.names
        self._read()
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stopping.set()
        self._thread.join()
        self._read()
        self._join_tail()
        self._gpus.close()

    @property
    def series(self) -> ResourceSeries:
        """So far; may be asked while it runs."""
        with self._busy:
            times_s = self._times.values()
            if times_s is None:
                raise LoadTestError("the resource monitor was not started")
            values = {name: column.values() for name, column in self._columns.items()}
            notes = {
                name: column.ended
                for name, column in self._columns.items()
                if column.ended is not None
            }
        elapsed_s = float(times_s[-1] - times_s[0])
        return ResourceSeries(
            times_s=times_s - times_s[0],
            target_cpu_s=_since_first(values["target_cpu_s"]),
            target_memory_bytes=values["target_memory_bytes"],
            generator_cpu_s=_since_first(values["generator_cpu_s"]),
            generator_memory_bytes=values["generator_memory_bytes"],
            core_busy_s=_since_first(values["core_busy_s"]),
            gpu_busy_ratio=values["gpu_busy_ratio"],
            gpu_memory_bytes=values["gpu_memory_bytes"],
            gpu_power_w=values["gpu_power_w"],
            gpu_energy_j=_since_first(values["gpu_energy_j"]),
            cores=self._cores,
            gpus=self._gpu_names,
            own_cpu_ratio=self._cost_s / elapsed_s if elapsed_s > 0 else 0.0,
            notes=notes,
        )

    def _watch(self) -> None:
        wait_s = self._every_s
        while not self._stopping.wait(wait_s):
            wait_s = max(self._every_s, self._read() / COST_SHARE)

    def _read(self) -> float:
        """Seconds of CPU that it took."""
        begun_s = time.thread_time()
        sources: tuple[tuple[tuple[str, ...], Source], ...] = (
            (("target_cpu_s", "target_memory_bytes"), self._read_target),
            (("generator_cpu_s", "generator_memory_bytes"), self._read_generator),
            (("core_busy_s",), self._read_cores),
            (("gpu_busy_ratio",), self._gpu_source("gpu_busy_ratio", self._gpus.busy_ratio)),
            (("gpu_memory_bytes",), self._gpu_source("gpu_memory_bytes", self._gpus.memory_bytes)),
            (("gpu_power_w",), self._gpu_source("gpu_power_w", self._gpus.power_w)),
            (("gpu_energy_j",), self._gpu_source("gpu_energy_j", self._gpus.energy_j)),
        )
        with self._busy:
            self._times.add(time.perf_counter(), "")
            for names, source in sources:
                if any(self._columns[name].ended is None for name in names):
                    self._add(names, source)
            if len(self._times.readings) > self._most:
                self._halve()
        cost_s = time.thread_time() - begun_s
        self._cost_s += cost_s
        return cost_s

    def _add(self, names: tuple[str, ...], source: Source) -> None:
        found: dict[str, Reading | None] = {}
        try:
            found, why = source()
        except Exception as error:  # noqa: BLE001 - whatever a target raises, the load goes on
            why = f"{type(error).__name__}: {error}"
        for name in names:
            self._columns[name].add(found.get(name), why)

    def _halve(self) -> None:
        self._every_s *= 2
        for column in (self._times, *self._columns.values()):
            column.halve()

    def _join_tail(self) -> None:
        """A last span far shorter than the others would be mostly the coarseness of clocks."""
        times_s = self._times.readings
        length = len(times_s)
        if length <= 2:  # noqa: PLR2004 - the first and one more are needed
            return
        spans_s = np.diff(np.array(times_s, float))
        if spans_s[-1] < self._every_s / 2:
            for column in (*self._columns.values(), self._times):
                column.merge_tail(length)

    def _read_target(self) -> tuple[dict[str, Reading | None], str]:
        usage = self._target.usage()
        if usage.processes == 0:
            raise LoadTestError("no process of the target is left")
        return {
            "target_cpu_s": usage.cpu_s,
            "target_memory_bytes": usage.memory_bytes,
        }, usage.source

    def _read_generator(self) -> tuple[dict[str, Reading | None], str]:
        for pid in self._pids:
            if not is_living(pid):
                raise LoadTestError(f"process {pid} of the load generator ended")
        return {
            "generator_cpu_s": cpu_s(self._pids),
            "generator_memory_bytes": float(resident_bytes(self._pids)),
        }, ""

    def _read_cores(self) -> tuple[dict[str, Reading | None], str]:
        busy_s = busy_s_by_core()
        return {"core_busy_s": tuple(busy_s[core] for core in self._cores)}, ""

    def _gpu_source(self, name: str, read: Callable[[], tuple[float, ...]]) -> Source:
        missing = self._gpus.missing
        return lambda: ({name: read() if missing is None else None}, missing or "")


def _since_first(values: NDArray[np.float64] | None) -> NDArray[np.float64] | None:
    return None if values is None else values - values[0]
