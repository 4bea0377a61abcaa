"""A memory limit without control groups: look often, kill at the limit."""

from __future__ import annotations

import os
import signal
import threading
from contextlib import suppress

from loadtests.targets.processes import descendants, memory_bytes, resident_bytes

__all__ = ["MemoryWatch"]

TREE_EVERY = 5  # looks; finding the tree reads all of /proc, summing it does not
NEAR_RATIO = 0.9


class MemoryWatch:
    """Of everything below a supervisor. What grows and dies between two looks is not seen."""

    def __init__(self, supervisor: int, limit_bytes: int, every_s: float) -> None:
        self.limit_bytes = limit_bytes
        self.reached_bytes: int | None = None
        self._supervisor = supervisor
        self._every_s = every_s
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="memory watch", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stopping.set()
        if self._thread.ident is not None:
            self._thread.join()

    def _watch(self) -> None:
        looks = 0
        tree: list[int] = []
        while not self._stopping.wait(self._every_s):
            if looks % TREE_EVERY == 0:
                tree = descendants(self._supervisor)
            looks += 1
            used = self._used(tree)
            if used > self.limit_bytes:
                self.reached_bytes = used
                for pid in descendants(self._supervisor):
                    with suppress(ProcessLookupError):
                        os.kill(pid, signal.SIGKILL)
                return

    def _used(self, tree: list[int]) -> int:
        # The resident sum is never below the proportional one and far cheaper: pay only near the
        # limit.
        resident = resident_bytes(tree)
        return memory_bytes(tree) if resident > NEAR_RATIO * self.limit_bytes else resident
