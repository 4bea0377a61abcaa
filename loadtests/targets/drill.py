"""Interruptions carried out while load runs, each in a thread of its own."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Protocol

from loadtests.errors import LoadTestError
from loadtests.fleets.interruptions import Interruption
from loadtests.targets.beside import Beside

if TYPE_CHECKING:
    from collections.abc import Callable

    from loadtests.fleets.interruptions import Interruptions
    from loadtests.targets.protocol import Waiting

__all__ = ["Drill", "Fleetmaster"]


class Fleetmaster(Protocol):
    """Who can do to a replica what an interruption does. Called from several threads."""

    def doom(self) -> int | None:
        """The replica to be taken away, which nobody calls dead any more; None: none is left."""

    def drain(self, member: int) -> None:
        """It gets no more requests."""

    def warn(self, member: int) -> None: ...

    def kill(self, member: int) -> None: ...

    def bury(self, member: int) -> None:
        """What is left of it."""

    def replace(self, member: int, go_on: Callable[[Waiting], None]) -> int:
        """Starts another in its place and waits for it; its number. go_on: raises to give up."""


class Drill:
    """begin, then load, then finish (the fleet is whole again) or abandon (it is not)."""

    def __init__(self, interruptions: Interruptions, replicas: int, master: Fleetmaster) -> None:
        self._interruptions, self._replicas, self._master = interruptions, replicas, master
        self._is_over, self._is_abandoned = threading.Event(), threading.Event()
        self._lock = threading.Lock()
        self._found: dict[int, Interruption] = {}
        self._beside = Beside("spot drill")
        self._began_s = 0.0

    def begin(self) -> None:
        self._began_s = time.perf_counter()
        self._beside.start(self._keep_time)

    @property
    def done(self) -> tuple[Interruption, ...]:
        """In the order of their times."""
        with self._lock:
            return tuple(self._found[number] for number in sorted(self._found))

    def finish(self) -> None:
        """Who was warned is killed now, who is missing is replaced now.

        Raises what went wrong in a thread, unless it is told as an interruption's trouble.
        """
        self._join()
        self._beside.check()

    def abandon(self) -> None:
        """Nothing more is started. May be called again, and after `finish`."""
        self._is_abandoned.set()
        self._join()

    def _join(self) -> None:
        self._is_over.set()
        self._beside.join()

    def _keep_time(self) -> None:
        instants_s = self._interruptions.instants_s(self._replicas)
        for number, at_s in enumerate(instants_s):
            if self._is_over.wait(max(self._began_s + at_s - time.perf_counter(), 0.0)):
                return
            self._beside.start(self._carry_out, number)

    def _carry_out(self, number: int) -> None:
        """Notice, kill, replacement."""
        asked, master = self._interruptions, self._master
        member = master.doom()
        with self._lock:
            self._found[number] = Interruption(member=member, noticed_s=time.perf_counter())
        if member is None:
            self._note(number, trouble="no replica was left to interrupt")
            return
        if asked.drains:
            master.drain(member)
            self._note(number, drained_s=time.perf_counter())
        if asked.signals and asked.notice_s > 0:
            master.warn(member)
            self._note(number, signalled_s=time.perf_counter())
        if asked.replaced_from == "notice":
            self._beside.start(self._replace, number, member)
        self._is_over.wait(asked.notice_here_s)
        master.kill(member)
        self._note(number, killed_s=time.perf_counter())
        if asked.replaced_from == "kill":
            self._beside.start(self._replace, number, member)
        master.bury(member)

    def _replace(self, number: int, member: int) -> None:
        self._is_over.wait(self._interruptions.start_up_delay_here_s)
        if self._is_abandoned.is_set():
            return
        began_s = time.perf_counter()
        try:
            replacement = self._master.replace(member, self._go_on)
        except LoadTestError as problem:
            self._note(number, trouble=f"the replacement did not start: {problem}")
            return
        there_s = time.perf_counter()
        self._note(number, replacement=replacement, replaced_s=there_s, start_s=there_s - began_s)

    def _go_on(self, _: Waiting) -> None:
        if self._is_abandoned.is_set():
            raise LoadTestError("the drill was given up")

    def _note(self, number: int, **done: float | str | None) -> None:
        with self._lock:
            self._found[number] = self._found[number].model_copy(update=done)
