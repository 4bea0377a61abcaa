"""Members behind one gateway: started side by side, one address, stopped together."""

from __future__ import annotations

import threading
import time
from collections import Counter
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from loadtests.gateway.process import Gateway
from loadtests.targets.cores import FULL
from loadtests.targets.limits import capabilities
from loadtests.targets.members import Members
from loadtests.targets.protocol import (
    FrontedTarget,
    InterruptibleTarget,
    Limits,
    Setup,
    Sizing,
    Timeouts,
    Waiting,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
    from pathlib import Path

    from loadtests.gateway.settings import GatewaySettings
    from loadtests.journal import Journal
    from loadtests.targets.members import Member
    from loadtests.targets.protocol import Target, TargetDescription, Usage

    # A member that is not launched yet: its number, which no other ever had, and its cores.
    Make = Callable[[int, tuple[int, ...] | None], Target]

__all__ = ["Fleet", "Seat", "limits_of", "notes_of", "sizing_of", "timeouts_of"]

TELL_EVERY_S = 0.1


@dataclass(frozen=True, slots=True)
class Seat:
    """Where a member goes. number: no other ever had it. cores: None for any."""

    number: int
    name: str
    make: Make
    cores: tuple[int, ...] | None
    stage: int = 0


class _Abandoned(Exception):  # noqa: N818 - the name says what happened
    """Another member failed to start: no need to wait for this one."""


class Fleet:
    """launch -> ready -> (start | usage | check | log_tail)* -> stop, once."""

    def __init__(
        self,
        settings: GatewaySettings,
        folder: Path,
        journal: Journal,
        on_event: Callable[[Mapping[str, Any]], None] = lambda _: None,
    ) -> None:
        self.gateway = Gateway(settings, folder, journal, on_event)
        self.members = Members()
        self.described: tuple[TargetDescription, ...] = ()
        self.is_running = False
        self._seats: tuple[Seat, ...] = ()
        self._began_s = 0.0
        self._front_s = 0.0

    def launch(self, seats: Sequence[Seat]) -> None:
        """Raises as the first member that could not be launched does; all are stopped then."""
        self._seats, self._began_s = tuple(seats), time.perf_counter()
        self.is_running = True
        try:
            targets = [seat.make(seat.number, seat.cores) for seat in seats]
            _side_by_side(
                [
                    _Launch(self.members, seat, target)
                    for seat, target in zip(seats, targets, strict=True)
                ]
            )
            self.described = tuple(target.describe() for target in targets)
            self.gateway.start(self._gateway_cores())
        except BaseException:
            self.stop()
            raise

    def _gateway_cores(self) -> tuple[int, ...] | None:
        """The load generator's: what the members leave, if they leave any."""
        held = [each.limits for each in self.described if each.limits is not None]
        taken = {core for limits in held for core in limits.cores}
        return tuple(core for core in capabilities().cores if core not in taken) or None

    def ready(self, progress: Callable[[Waiting], None] | None = None) -> Setup:
        """All are; or raises as the first that is not."""
        waits = [_Wait(self.members, seat) for seat in self._seats]

        def tell() -> None:
            states = [each.last for each in waits if each.last is not None]
            if progress is not None and states:
                slowest = max(states, key=lambda state: state.waited_s)
                progress(slowest)

        _side_by_side(waits, tell)
        for seat, waited in zip(self._seats, waits, strict=True):
            self.gateway.add(seat.number, waited.member.base_url, seat.stage)
        return Setup(ready_s=time.perf_counter() - self._began_s)

    def start(self, seat: Seat, progress: Callable[[Waiting], None] | None = None) -> Member:
        """One more, put to work. Raises as its target does."""
        target = seat.make(seat.number, seat.cores)
        member = self.members.start(seat.number, seat.name, target, progress)
        self.gateway.add(seat.number, member.base_url, seat.stage)
        return member

    def interrupt(self, *, at_once: bool) -> None:
        """All members that can be; at once, the gateway too, as when their machine is gone."""
        for member in self.members.alive:
            if isinstance(member.target, InterruptibleTarget):
                member.target.interrupt(at_once=at_once)
        if at_once:
            self.gateway.kill()

    def usage(self) -> Usage:
        return self.members.usage()

    def front_cpu_s(self) -> float:
        """The gateway's, and that of the gateways in the members."""
        inner_s = sum(
            member.target.front_cpu_s()
            for member in self.members.alive
            if isinstance(member.target, FrontedTarget)
        )
        self._front_s = max(self._front_s, self.gateway.cpu_s() + inner_s)
        return self._front_s

    def check(self, spared: Collection[int] = ()) -> None:
        """Raises TargetDied. spared: members that may be dead."""
        self.gateway.check()
        self.members.check(spared)

    def log_tail(self, lines: int) -> tuple[str, ...]:
        return self.members.log_tail(lines)

    def stop(self) -> None:
        """The members first: what still comes in is refused by the gateway, not by nobody."""
        try:
            self.members.end_all()
        finally:
            self.gateway.stop()
            self.is_running = False


class _Launch:
    def __init__(self, members: Members, seat: Seat, target: Target) -> None:
        self._members, self._seat, self._target = members, seat, target

    def __call__(self, is_abandoned: threading.Event) -> None:
        if is_abandoned.is_set():
            raise _Abandoned
        self._members.launch(self._seat.number, self._seat.name, self._target)


class _Wait:
    """last: how far it is, for a person. member: once it has been called."""

    member: Member

    def __init__(self, members: Members, seat: Seat) -> None:
        self._members, self._seat = members, seat
        self.last: Waiting | None = None

    def __call__(self, is_abandoned: threading.Event) -> None:
        def note(state: Waiting) -> None:
            if is_abandoned.is_set():
                raise _Abandoned
            self.last = Waiting(
                state.waited_s, state.timeout_s, f"{self._seat.name}: {state.last}"
            )

        self.member = self._members.wait(self._seat.number, note)
        self.last = None


def _side_by_side(
    works: Sequence[Callable[[threading.Event], None]], tell: Callable[[], None] = lambda: None
) -> None:
    """Each in a thread of its own; raises what the first that failed raised.

    They are given what is set when one failed, or we are to end.
    """
    is_abandoned = threading.Event()
    with ThreadPoolExecutor(max(len(works), 1)) as threads:
        running = {threads.submit(work, is_abandoned) for work in works}
        try:
            while running:
                done, running = wait(running, TELL_EVERY_S, FIRST_COMPLETED)
                for each in done:
                    each.result()
                tell()
        finally:
            is_abandoned.set()


def sizing_of(described: Sequence[TargetDescription]) -> Sizing:
    """Of all together; of what one was not given, none is known."""
    return Sizing(
        vcpus=_summed([each.sizing.vcpus for each in described]),
        memory_gib=_summed([each.sizing.memory_gib for each in described]),
    )


def limits_of(described: Sequence[TargetDescription]) -> Limits | None:
    """Of all together; None where one member's are not known."""
    held = [each.limits for each in described if each.limits is not None]
    if not held or len(held) < len(described):
        return None
    cores = {core for each in held for core in each.cores}
    machine = capabilities().cores
    return Limits(
        cpu=_words(each.cpu for each in held),
        cores=tuple(core for core in machine if core in cores),
        quota_ratio=_summed([each.quota_ratio for each in held]),
        memory=_words(each.memory for each in held),
        memory_gib=_summed([each.memory_gib for each in held]),
        shares_cores=cores >= set(machine),
    )


def notes_of(described: Sequence[TargetDescription], asked_vcpus: float | None) -> tuple[str, ...]:
    """The members' own, each once. asked_vcpus: of the busiest core, None without a size."""
    notes = [note for each in described for note in each.notes]
    if asked_vcpus is not None and asked_vcpus > FULL:
        notes.append(
            f"{asked_vcpus:g} vCPUs are asked of one core of this machine: servers that are busy "
            "at once get less than their size"
        )
    return tuple(dict.fromkeys(notes))


def timeouts_of(described: Sequence[TargetDescription]) -> Timeouts:
    """The most patient member's."""
    each = [one.timeouts for one in described]
    return Timeouts(
        startup_s=max(one.startup_s for one in each),
        ping_s=max(one.ping_s for one in each),
        answer_s=max(one.answer_s for one in each),
        stop_grace_s=max(one.stop_grace_s for one in each),
    )


def _summed(values: Sequence[float | None]) -> float | None:
    known = [each for each in values if each is not None]
    return sum(known) if known and len(known) == len(values) else None


def _words(each: Iterable[str]) -> str:
    """What they say, and how many say it: "2 pinned to core 1, 1 pinned to core 0"."""
    counted = Counter(each)
    if len(counted) == 1:
        (only,) = counted
        return f"each {only}" if counted[only] > 1 else only
    return ", ".join(f"{count} {words}" for words, count in counted.items())
