"""What every process that sends does with a load: prepared, begun, told of, over.

Stands between the sending itself (loadtests.locustfile) and those who say what is sent when
(loadtests.generator.alone and .worker). Queues and threads are the standard library's, which
Locust has made cooperative in the processes where this runs.
"""

from __future__ import annotations

import gc
import os
import threading
import time
from queue import Queue
from typing import TYPE_CHECKING, Any, Protocol

from loadtests.generator.recording import cpu_seconds, forget_seconds

if TYPE_CHECKING:
    from collections.abc import Callable

    from loadtests.generator.recording import Recorder
    from loadtests.generator.shares import Share

__all__ = ["Generator", "Listener", "Load"]


class Load(Protocol):
    """One share of one job."""

    recorder: Recorder

    def run(self, start_s: float, report: Callable[[float, int, int], None]) -> None:
        """From that instant of perf_counter until all is sent and answered, or given up.

        report: called with latency_s, bytes and outcome of each request that was sent.
        """

    def halt(self, within_s: float) -> None:
        """Nothing new from now on; what is in flight has `within_s` to be answered."""


class Listener(Protocol):
    """Who is told of a load's progress; the samples up to then have been handed on."""

    def progress(self, figures: dict[str, Any]) -> None: ...

    def finished(self, figures: dict[str, Any]) -> None: ...


class Generator:
    """One load at a time is prepared, then begun; Locust's user performs it.

    make_load: given a share and what takes its blocks, of RECORDs and, where answers are streamed,
    of their streams. stats: Locust's.
    """

    def __init__(
        self,
        make_load: Callable[[Share, Callable[..., object]], Load],
        stats: Any,  # noqa: ANN401
        report_every_s: float,
    ) -> None:
        self._make_load, self._stats = make_load, stats
        self._report_every_s = report_every_s
        self._begun: Queue[float] = Queue()
        self._load: Load | None = None

    def prepare(self, share: Share, hand_on: Callable[..., object], listener: Listener) -> None:
        if share.cores:
            os.sched_setaffinity(0, share.cores)
        gc.collect()
        gc.freeze()  # before this load is made: what is frozen is never collected
        self._load, self._listener = self._make_load(share, hand_on), listener

    def begin(self, start_s: float) -> None:
        self._begun.put(start_s)

    def halt(self, within_s: float) -> None:
        if self._load is not None:
            self._load.halt(within_s)

    def perform(self, report: Callable[[float, int, int], None]) -> None:
        """The next load, once it is begun, to its end."""
        start_s, load = self._begun.get(), self._load
        if load is None:
            return
        self._cpu_s, self._from_s = cpu_seconds(), time.perf_counter()
        over = threading.Event()
        reporter = threading.Thread(target=self._tell, args=(load, over), daemon=True)
        reporter.start()
        try:
            load.run(start_s, report)
        finally:
            over.set()
        reporter.join()
        self._load = None
        load.recorder.flush()
        self._listener.finished(self._figures(load))

    def _tell(self, load: Load, over: threading.Event) -> None:
        while not over.wait(self._report_every_s):
            load.recorder.flush()
            self._listener.progress(self._figures(load))
            forget_seconds(self._stats)

    def _figures(self, load: Load) -> dict[str, Any]:
        now_s = time.perf_counter()
        return load.recorder.figures(now_s) | {
            "cpu_s": cpu_seconds() - self._cpu_s,
            "wall_s": now_s - self._from_s,
        }
