"""The servers behind one address: each a target of its own, started, counted and stopped."""

from __future__ import annotations

import threading
from collections import deque
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from loadtests.targets.protocol import Usage

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable

    from loadtests.targets.protocol import Setup, Target, Waiting

__all__ = ["Member", "Members", "summed"]

LAST_LINES = 20
NOTHING = Usage(0.0, 0, 0, 0, 0.0, "no member was started", starts=0)


@dataclass(frozen=True)
class Member:
    """setup: None until it is ready. turn: of whoever stops it or looks whether it lives.

    is_launched: before, its use is not known, and is none.
    """

    number: int
    name: str
    target: Target
    setup: Setup | None = None
    is_launched: bool = False
    turn: threading.Lock = field(default_factory=threading.Lock, compare=False, repr=False)

    @property
    def base_url(self) -> str:
        return self.target.describe().base_url


class Members:
    """May be used from several threads, each member from one at a time.

    A stopped member's CPU time stays counted.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._alive: dict[int, Member] = {}
        self._ended: list[Usage] = []
        self._peak_bytes = 0
        self._last_lines: deque[str] = deque(maxlen=LAST_LINES)

    @property
    def alive(self) -> tuple[Member, ...]:
        """Started and not stopped, ready or not, by number."""
        with self._lock:
            return tuple(self._alive[number] for number in sorted(self._alive))

    def start(
        self,
        number: int,
        name: str,
        target: Target,
        progress: Callable[[Waiting], None] | None = None,
    ) -> Member:
        """Launched and waited for. Raises as the target does; it is stopped then."""
        self.launch(number, name, target)
        return self.wait(number, progress)

    def launch(self, number: int, name: str, target: Target) -> None:
        """Raises as the target does; it is stopped then."""
        with self._lock:
            self._alive[number] = Member(number, name, target)
        try:
            target.launch()
        except BaseException:
            self.end(number)
            raise
        with self._lock:
            if number in self._alive:
                self._alive[number] = replace(self._alive[number], is_launched=True)

    def wait(self, number: int, progress: Callable[[Waiting], None] | None = None) -> Member:
        """Until it is ready. Raises as the target does; it is stopped then."""
        try:
            setup = self.target(number).ready(progress)
        except BaseException:
            self.end(number)
            raise
        with self._lock:
            member = self._alive[number] = replace(self._alive[number], setup=setup)
        return member

    def target(self, number: int) -> Target:
        """Of one that is alive."""
        with self._lock:
            return self._alive[number].target

    def end(self, number: int) -> None:
        """Stopped, if it was not already. What it used stays counted."""
        with self._lock:
            member = self._alive.get(number)
        if member is None:
            return
        with member.turn:
            if number not in self._alive:
                return  # another thread has just stopped it
            member.target.stop()
            with self._lock:
                if self._alive.pop(number).is_launched:
                    self._ended.append(member.target.usage())
                lines = member.target.log_tail(LAST_LINES)
                self._last_lines.extend(f"{member.name}: {line}" for line in lines)

    def end_all(self) -> None:
        """All, even where stopping one fails; that error is raised in the end."""
        with ExitStack() as stack:
            for member in self.alive:
                stack.callback(self.end, member.number)

    def check(self, spared: Collection[int] = ()) -> None:
        """Raises TargetDied as the first member that died does. spared: who may be dead."""
        for member in self.alive:
            if member.setup is None or member.number in spared:
                continue
            if member.turn.acquire(blocking=False):  # else it is being stopped, and no death
                try:
                    if member.number in self._alive:
                        member.target.check()
                finally:
                    member.turn.release()

    def usage(self) -> Usage:
        with self._lock:
            members, ended = tuple(self._alive.values()), tuple(self._ended)
        alive = [member.target.usage() for member in members if member.is_launched]
        with self._lock:
            memory = [each.memory_bytes for each in alive]
            known = [each for each in memory if each is not None]
            if len(known) == len(memory):
                self._peak_bytes = max(self._peak_bytes, sum(known))
            largest = max((each.memory_peak_bytes or 0 for each in (*alive, *ended)), default=0)
            self._peak_bytes = max(self._peak_bytes, largest)
            return replace(summed(alive, ended), memory_peak_bytes=self._peak_bytes)

    def log_tail(self, lines: int = 20) -> tuple[str, ...]:
        """The last lines of each, with its name; of who ended last, when none is left."""
        members = self.alive
        if not members:
            return tuple(self._last_lines)[-lines:]
        each = max(lines // max(len(members), 1), 1)
        return tuple(
            f"{member.name}: {line}" for member in members for line in member.target.log_tail(each)
        )[-lines:]


def summed(alive: Iterable[Usage], ended: Iterable[Usage] = ()) -> Usage:
    """Of all. Time counts for those that ended too, memory and processes for the living only.

    What one member's counters do not know is not known of the whole.
    """
    living, gone = list(alive), list(ended)
    sources = sorted({each.source for each in (*living, *gone)})
    return Usage(
        cpu_s=_total([each.cpu_s for each in (*living, *gone)]),
        memory_bytes=_whole([each.memory_bytes for each in living]),
        memory_peak_bytes=_whole([each.memory_peak_bytes for each in living]),
        processes=_whole([each.processes for each in living]),
        throttled_s=_total([each.throttled_s for each in (*living, *gone)]),
        source=" and ".join(sources) or NOTHING.source,
        starts=sum(each.starts for each in (*living, *gone)),
    )


def _total(values: list[float | None]) -> float | None:
    known = [each for each in values if each is not None]
    return sum(known) if len(known) == len(values) else None


def _whole(values: list[int | None]) -> int | None:
    known = [each for each in values if each is not None]
    return sum(known) if len(known) == len(values) else None
