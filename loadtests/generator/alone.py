"""The load generator that sends by itself: no master, no other worker."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from loadtests.generator.sample_files import SampleFiles
from loadtests.generator.shares import Share

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from loadtests.generator.generating import Generator

__all__ = ["Alone"]

LEAD_IN_S = 0.05  # so that the first request is not late for want of a running loop
HALT_WITHIN_S = 1.0
WORKER_FACTS = ("sent", "cpu_s", "wall_s", "lateness_p99_s")


class Alone:
    REPORT_EVERY_S = 0.25

    def __init__(self, generator: Generator, say: Callable[[dict[str, Any]], None]) -> None:
        self._generator, self._say = generator, say
        self._stop_reason: str | None = None

    def serve(self, jobs: Iterable[dict[str, Any]]) -> None:
        """Until quit, or until they end."""
        self._say({"event": "ready"})
        for job in jobs:
            match job["job"]:
                case "quit":
                    return
                case "stop":
                    self._stop_reason = job["reason"]
                    self._generator.halt(HALT_WITHIN_S)
                case _:
                    self._begin(job)

    def progress(self, figures: dict[str, Any]) -> None:
        self._say({"event": "progress", **figures})

    def finished(self, figures: dict[str, Any]) -> None:
        self._files.close()
        worker = {name: figures[name] for name in WORKER_FACTS}
        worker |= {"name": "load generator", "requests": self._requests}
        said = {"event": "finished", "stop_reason": self._stop_reason, "workers": [worker]}
        self._say(said | figures)

    def _begin(self, job: dict[str, Any]) -> None:
        share = Share.read(job)
        self._requests, self._stop_reason = share.requests, None
        self._files = SampleFiles(job["samples_file"])
        self._generator.prepare(share, self._files.write, self)
        start_s = time.perf_counter() + LEAD_IN_S
        self._say({"event": "started", "clock_s": start_s})
        self._generator.begin(start_s)
