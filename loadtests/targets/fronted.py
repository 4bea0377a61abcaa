"""What all targets behind a gateway of ours have in common."""

from __future__ import annotations

from itertools import count
from typing import TYPE_CHECKING, Any

from loadtests.errors import LoadTestError
from loadtests.targets.fleet import Fleet
from loadtests.targets.usage import NOT_LAUNCHED

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping
    from pathlib import Path

    from loadtests.gateway.settings import GatewaySettings
    from loadtests.journal import Journal
    from loadtests.targets.protocol import Setup, Usage, Waiting

__all__ = ["Fronted"]


class Fronted:
    """A fleet, anew with each launch. `folder` is its own; the caller removes it.

    numbers: of its servers, none given twice.
    """

    def __init__(self, folder: Path, journal: Journal) -> None:
        self._folder, self._journal = folder, journal
        self._launches = count(1)
        self._fleet: Fleet | None = None
        self.numbers = count()

    def assemble(
        self,
        settings: GatewaySettings,
        on_event: Callable[[Mapping[str, Any]], None] = lambda _: None,
    ) -> Fleet:
        """The fleet of this launch, which the caller launches. LoadTestError while one runs."""
        self.refuse_while_running()
        folder = self._folder / f"gateway-{next(self._launches)}"
        self._fleet = Fleet(settings, folder, self._journal, on_event)
        return self._fleet

    def refuse_while_running(self) -> None:
        if self._fleet is not None and self._fleet.is_running:
            raise LoadTestError("the target was launched already; stop it first")

    @property
    def fleet(self) -> Fleet:
        if self._fleet is None:
            raise LoadTestError("the target was not launched yet")
        return self._fleet

    def ready(self, progress: Callable[[Waiting], None] | None = None) -> Setup:
        return self.fleet.ready(progress)

    def usage(self) -> Usage:
        return NOT_LAUNCHED if self._fleet is None else self._fleet.usage()

    def check(self, spared: Collection[int] = ()) -> None:
        """spared: servers that may be dead."""
        self.fleet.check(spared)

    def log_tail(self, lines: int = 20) -> tuple[str, ...]:
        return () if self._fleet is None else self._fleet.log_tail(lines)

    def stop(self) -> None:
        if self._fleet is not None:
            self._fleet.stop()

    def front_cpu_s(self) -> float:
        return 0.0 if self._fleet is None else self._fleet.front_cpu_s()
