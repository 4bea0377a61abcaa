"""Replicas that come and go with the requests, as a policy decides once a minute."""

from __future__ import annotations

import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from typing_extensions import override

from loadtests.fleets.lives import Life
from loadtests.targets.beside import Beside
from loadtests.targets.replicas import ReplicatedTarget

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from loadtests.inside import Inside
    from loadtests.journal import Journal
    from loadtests.samples import Samples
    from loadtests.targets.fleet import Make, Seat
    from loadtests.targets.members import Member
    from loadtests.targets.protocol import Setup, Waiting
    from loadtests.targets.replicas import Replicas

__all__ = ["ScaledTarget", "Scaling"]

DRAIN_S = 5.0  # for what a replica still has when it gets no more requests
SOONER = 1.4  # a start takes longer while others compute


@dataclass(frozen=True, slots=True)
class Scaling:
    """A policy, and how long things last here.

    decide: from the number of a minute, and the requests that came in the minute before it, to the
    replicas there are to be. first: so many from the beginning. start_s: from asking for a replica
    until it serves; its server starts as late as the last one's start allows, as on a machine that
    is there by then. One that takes longer serves later.
    """

    decide: Callable[[int, int], int]
    first: int
    minute_s: float
    start_s: float


class ScaledTarget(ReplicatedTarget):
    """See `FrontedTarget`. replicas: the most there may be.

    While load is sent within `under_load` the minutes are counted from its first request, and the
    fleet follows the policy; the newest replica goes first, and finishes what it has.
    began_s: of the first minute, on the clock of perf_counter; None before.
    """

    def __init__(
        self,
        make: Make,
        fleet: tuple[Replicas, Scaling],
        folder: Path,
        journal: Journal,
    ) -> None:
        replicas, self.scaling = fleet
        super().__init__(make, replicas, folder, journal)
        self._lock = threading.Lock()
        self._kept: list[_Replica] = []  # the oldest first
        self._gone: list[_Replica] = []
        self._beside = Beside("scaler")
        self._is_over = threading.Event()
        self._setup_s = 0.0  # of the server that started last
        self.began_s: float | None = None

    @override
    def launch(self) -> None:
        now_s = time.perf_counter()
        first = [_Replica(self.seat(share), now_s) for share in self.shares[: self.scaling.first]]
        self._kept, self._gone, self.began_s = first, [], None
        self.launch_in([each.seat for each in first])
        for each in first:
            each.served_s = now_s

    @override
    def ready(self, progress: Callable[[Waiting], None] | None = None) -> Setup:
        setup = super().ready(progress)
        for member in self.fleet.members.alive:
            self._note_start(member)
        return setup

    def lives(self) -> tuple[Life, ...]:
        """Of all replicas so far, on the clock of perf_counter, in the order of their asking."""
        with self._lock:
            known = sorted((*self._gone, *self._kept), key=lambda each: each.seat.number)
            return tuple(each.life for each in known)

    @override
    @contextmanager
    def under_load(self) -> Iterator[Callable[[Samples], Inside]]:
        self._is_over.clear()
        beside = self._beside = Beside("scaler")
        with super().under_load() as report:
            beside.start(self._keep_time)
            try:
                yield report
            finally:
                self._is_over.set()
                beside.join()
        beside.check()

    def _keep_time(self) -> None:
        """The first minute begins with the first request."""
        gateway, scaling = self.fleet.gateway, self.scaling
        before = came = gateway.came()
        while came == before:
            if self._is_over.wait(scaling.minute_s / 50):
                return
            came = gateway.came()
        began_s, minute = time.perf_counter(), 1
        self.began_s = began_s
        while not self._is_over.wait(began_s + minute * scaling.minute_s - time.perf_counter()):
            came = gateway.came()
            self._follow(scaling.decide(minute, came - before))
            before, minute = came, minute + 1

    def _follow(self, wanted: int) -> None:
        now_s = time.perf_counter()
        with self._lock:
            shares = self.shares[len(self._kept) : wanted]
            asked = [_Replica(self.seat(share), now_s) for share in shares]
            spare, self._kept = self._kept[wanted:], [*self._kept[:wanted], *asked]
            self._gone += spare
        for each in spare:
            self.fleet.gateway.remove(each.seat.number)
            each.left_s = time.perf_counter()
        works = [(self._start, each) for each in asked] + [(self._end, each) for each in spare]
        for work, each in works:
            self._beside.start(work, each)

    def _start(self, replica: _Replica) -> None:
        seat, fleet = replica.seat, self.fleet
        due_s = replica.asked_s + self.scaling.start_s
        if self._is_over.wait(due_s - SOONER * self._setup_s - time.perf_counter()):
            return
        target = seat.make(seat.number, seat.cores)
        member = fleet.members.start(seat.number, seat.name, target)
        self._note_start(member)
        if self._is_over.wait(due_s - time.perf_counter()) or replica.left_s is not None:
            return
        fleet.gateway.add(seat.number, member.base_url)
        replica.served_s = time.perf_counter()

    def _note_start(self, member: Member) -> None:
        if member.setup is not None and member.setup.ready_s is not None:
            self._setup_s = member.setup.ready_s

    def _end(self, replica: _Replica) -> None:
        self._is_over.wait(DRAIN_S)
        self.fleet.members.end(replica.seat.number)


@dataclass(slots=True)
class _Replica:
    seat: Seat
    asked_s: float
    served_s: float | None = None
    left_s: float | None = None

    @property
    def life(self) -> Life:
        return Life(self.asked_s, self.served_s, self.left_s)
