"""A target that was given a share of a GPU."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from loadtests.accelerators.granting import Grant
    from loadtests.targets.protocol import (
        InterruptibleTarget,
        Setup,
        TargetDescription,
        Usage,
        Waiting,
    )

__all__ = ["GrantedTarget"]


class GrantedTarget:
    """See `InterruptibleTarget`. Says what it was given, and dies when the share does not hold."""

    def __init__(self, target: InterruptibleTarget, grant: Grant) -> None:
        self._target, self._grant = target, grant

    def launch(self) -> None:
        self._target.launch()

    def ready(self, progress: Callable[[Waiting], None] | None = None) -> Setup:
        return self._target.ready(progress)

    def describe(self) -> TargetDescription:
        described = self._target.describe()
        given = [f"it has {self._grant.words}"]
        if self._grant.assumption is not None:
            given.append(self._grant.assumption)
        return replace(described, notes=(*described.notes, *given))

    def usage(self) -> Usage:
        return self._target.usage()

    def check(self) -> None:
        self._target.check()
        self._grant.check()

    def log_tail(self, lines: int = 20) -> tuple[str, ...]:
        return self._target.log_tail(lines)

    def interrupt(self, *, at_once: bool) -> None:
        self._target.interrupt(at_once=at_once)

    def stop(self) -> None:
        self._target.stop()
