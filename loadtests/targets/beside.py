"""Work that goes on beside the load."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Beside"]


class Beside:
    """Each piece in a thread of its own; what went wrong in one is kept until it is asked for."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._threads: list[threading.Thread] = []
        self._problems: list[BaseException] = []

    def start(self, work: Callable[..., None], *args: object) -> None:
        """May be called by work that goes on."""

        def guarded() -> None:
            try:
                work(*args)
            except BaseException as problem:  # noqa: BLE001 - `check` raises it again
                self._problems.append(problem)

        thread = threading.Thread(target=guarded, name=self._name, daemon=True)
        self._threads.append(thread)
        thread.start()

    def join(self) -> None:
        """Waits for all, and for what they start meanwhile."""
        for thread in self._threads:  # grows at its end, before the one that is waited for is done
            thread.join()

    def check(self) -> None:
        """Raises the first that went wrong."""
        if self._problems:
            raise self._problems[0]
