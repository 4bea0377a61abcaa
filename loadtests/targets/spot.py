"""Replicas on machines that are taken away while they work."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from typing_extensions import override

from loadtests.errors import LoadTestError, TargetDied, UsageError
from loadtests.fleets.recovery import Recovery
from loadtests.fleets.spot import Drilled, SpotReport, spot_report
from loadtests.targets.drill import Drill
from loadtests.targets.protocol import InterruptibleTarget
from loadtests.targets.replicas import ReplicatedTarget

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping
    from pathlib import Path
    from typing import Any

    from loadtests.fleets.interruptions import Interruptions
    from loadtests.journal import Journal
    from loadtests.samples import Samples
    from loadtests.targets.fleet import Make
    from loadtests.targets.protocol import TargetDescription, Waiting
    from loadtests.targets.replicas import Replicas

__all__ = ["SpotTarget"]


class SpotTarget(ReplicatedTarget):
    """See `FrontedTarget`. A planned kill is no death; a replacement that fails to start is.

    Whenever load is sent within `under_load`, the interruptions happen, their times counted from
    then; when it is over the fleet is made whole again, for the next run.
    """

    def __init__(
        self,
        make: Make,
        fleet: tuple[Replicas, Interruptions],
        folder: Path,
        journal: Journal,
        recovery: Recovery = Recovery(),  # noqa: B008 - a value, never changed
    ) -> None:
        replicas, self.interruptions = fleet
        super().__init__(make, replicas, folder, journal)
        self._recovery = recovery
        self._lock = threading.Lock()
        self._in_service: dict[int, tuple[int, ...]] = {}  # the oldest first; its cores
        self._doomed: dict[int, tuple[int, ...]] = {}
        self._not_replaced: LoadTestError | None = None
        self._drill: Drill | None = None

    @override
    def launch(self) -> None:
        super().launch()
        members = self.fleet.members.alive
        with self._lock:
            self._in_service = dict(zip((m.number for m in members), self.shares, strict=True))
            self._doomed, self._not_replaced = {}, None
        if not all(isinstance(member.target, InterruptibleTarget) for member in members):
            self.stop()
            raise UsageError(
                f"a {members[0].target.describe().kind} cannot be interrupted from here",
                hint="spot drills need servers that are started by this program",
            )

    @override
    def describe(self) -> TargetDescription:
        described = super().describe()
        return replace(described, kind="spot", label=f"{described.label} on spot")

    @override
    def check(self, spared: Collection[int] = ()) -> None:
        with self._lock:
            spared, trouble = {*spared, *self._doomed}, self._not_replaced
        super().check(spared)
        if trouble is not None:
            raise TargetDied(
                f"the replacement of an interrupted replica did not start: {trouble}",
                hint=trouble.hint,
            )

    @override
    def stop(self) -> None:
        if self._drill is not None:
            self._drill.abandon()
            self._drill = None
        super().stop()

    @override
    @contextmanager
    def under_load(self) -> Iterator[Callable[[Samples], SpotReport]]:
        fleet = self.fleet
        before = len(fleet.gateway.passages())
        drill = self._drill = Drill(self.interruptions, self.replicas.count, self)
        drill.begin()
        try:
            yield lambda samples: spot_report(
                samples,
                Drilled(self.interruptions, drill.done, fleet.gateway.passages(before)),
                self._recovery,
            )
            drill.finish()
        finally:
            drill.abandon()
            self._drill = None
        with self._lock:
            gone = tuple(self._doomed)
        for member in gone:
            fleet.gateway.remove(member)  # where no request came to find it dead
        self.check()

    @override
    def note_event(self, event: Mapping[str, Any]) -> None:
        """A broken request tells the router that a replica is dead, as its health checks would."""
        with self._lock:
            is_doomed = event["event"] == "failed" and event["member"] in self._doomed
        if is_doomed:
            self.fleet.gateway.remove(event["member"])

    # What a drill does, each in a thread of the drill's.

    def doom(self) -> int | None:
        with self._lock:
            if not self._in_service:
                return None
            member = self._victim()
            self._doomed[member] = self._in_service.pop(member)
            return member

    def _victim(self) -> int:
        serving = list(self._in_service)
        if self.interruptions.victim == "oldest":
            return serving[0]
        rng = np.random.default_rng((self.interruptions.seed, len(self._doomed)))
        return serving[int(rng.integers(len(serving)))]

    def drain(self, member: int) -> None:
        self.fleet.gateway.remove(member)

    def warn(self, member: int) -> None:
        self._interrupt(member, at_once=False)

    def kill(self, member: int) -> None:
        self._interrupt(member, at_once=True)

    def _interrupt(self, member: int, *, at_once: bool) -> None:
        target = self.fleet.members.target(member)
        if isinstance(target, InterruptibleTarget):
            target.usage()  # what counts for a container goes with its last process
            target.interrupt(at_once=at_once)

    def bury(self, member: int) -> None:
        self.fleet.members.end(member)

    def replace(self, member: int, go_on: Callable[[Waiting], None]) -> int:
        with self._lock:
            cores = self._doomed[member]
            seat = self.seat(cores)
        try:
            self.fleet.start(seat, go_on)
        except LoadTestError as problem:
            with self._lock:
                self._not_replaced = problem
            raise
        with self._lock:
            self._in_service[seat.number] = cores
        return seat.number
