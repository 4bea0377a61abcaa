"""Serverless inference on this machine: instances that come with the requests.

A gateway gives each instance one request at a time, asks for another instance when none is free,
answers 429 beyond the limit, and gives idle instances back. Each instance is a target of its own.
"""

from __future__ import annotations

import math
import threading
import time
from contextlib import contextmanager, suppress
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from typing_extensions import override

from loadtests.errors import LoadTestError, TargetDied, TargetError
from loadtests.gateway.settings import GatewaySettings, Stage
from loadtests.serverless.report import Span, serverless_report
from loadtests.serverless.spec import PAYLOAD_LIMIT_BYTES
from loadtests.serverless.starts import cold_starts
from loadtests.targets.cores import most_asked_of_a_core, shared_out
from loadtests.targets.fleet import Seat
from loadtests.targets.fronted import Fronted
from loadtests.targets.limits import capabilities
from loadtests.targets.protocol import Setup
from loadtests.targets.serverless_lives import Lives

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    from loadtests.journal import Journal
    from loadtests.samples import Samples
    from loadtests.serverless.report import ServerlessMeasured
    from loadtests.serverless.spec import ServerlessSpec
    from loadtests.serverless.starts import ColdStart, Instance
    from loadtests.targets.fleet import Make
    from loadtests.targets.limits import Capabilities
    from loadtests.targets.protocol import Limits, Target, TargetDescription, Usage, Waiting

__all__ = ["ServerlessTarget"]

STAGE = "instances"
FAILED_STARTS = 3  # in a row, after which no more are hoped for


class ServerlessTarget(Fronted):
    """See `Target`, `FrontedTarget` and `ScalesFromZero`. make: instances of the spec's size.

    `ready` starts one instance though nobody asked, to see whether it starts at all. It serves,
    and goes as any idle one does, or by `scale_to_zero`.
    """

    def __init__(
        self, spec: ServerlessSpec, make: Make, workspace: Path, journal: Journal
    ) -> None:
        super().__init__(workspace, journal)
        self._spec = spec
        self._make = make
        self._shares: tuple[tuple[int, ...], ...] = ()
        self._lives = Lives()
        self._first: Seat | None = None
        self._is_first_counted = True
        self._description: TargetDescription | None = None
        self._changing = threading.Lock()
        self._threads: set[threading.Thread] = set()
        self._stopping = threading.Event()

    def launch(self) -> None:
        self.refuse_while_running()
        spec = self._spec
        self._shares = _shares(spec, capabilities())
        self._lives = Lives()
        self._stopping = threading.Event()
        stage = Stage(
            name=STAGE,
            routing="one_each",
            most=spec.max_concurrency,
            least=spec.provisioned_concurrency,
            idle_s=spec.idle_s,
        )
        settings = GatewaySettings((stage,), largest_body_bytes=PAYLOAD_LIMIT_BYTES)
        fleet = self.assemble(settings, self._on_event)
        self._first = self._seat()
        self._is_first_counted = spec.provisioned_concurrency == 0
        fleet.launch([self._first])
        (described,) = fleet.described
        self._description = replace(
            described,
            kind="serverless",
            base_url=fleet.gateway.base_url,
            sizing=spec.sizing,
            limits=self._limits(described.limits),
            notes=(*described.notes, *spec.assumptions),
        )

    def _seat(self) -> Seat:
        """For an instance whose start begins now."""
        number = next(self.numbers)
        slot = self._lives.begin(number, len(self._shares))
        return Seat(number, f"instance {number}", self._made, self._shares[slot])

    def _made(self, number: int, cores: tuple[int, ...] | None) -> Target:
        target = self._make(number, cores)
        self._lives.made(number, target)
        return target

    def _limits(self, first: Limits | None) -> Limits | None:
        if first is None:
            return None
        cores = {core for share in self._shares for core in share}
        machine, most = capabilities().cores, self._spec.max_concurrency
        words = f"each of up to {most} instances {first.cpu}" if most > 1 else first.cpu
        return replace(
            first,
            cpu=words,
            cores=tuple(core for core in machine if core in cores),
            shares_cores=cores >= set(machine),
        )

    @override
    def ready(self, progress: Callable[[Waiting], None] | None = None) -> Setup:
        fleet, first = self.fleet, self._first
        if first is None:
            raise LoadTestError("the target was not launched yet")
        member = fleet.members.wait(first.number, progress)
        self._lives.ready(first.number)
        fleet.gateway.add(first.number, member.base_url)
        problem = self._lives.wait_for(self._spec.provisioned_concurrency)
        if problem is not None:
            raise problem
        return member.setup or Setup(None)

    def _on_event(self, event: Mapping[str, Any]) -> None:
        """What takes time is done beside: the gateway's next word may be as urgent."""
        match event["event"]:
            case "wanted":
                for _ in range(self._still_wanted(event["count"])):
                    self._beside(self._start_another, "start")
            case "idle":
                self._beside(partial(self._end, event["member"]), "end")
            case _:
                self._take_out_if_dead(event["member"])

    def _still_wanted(self, wanted: int) -> int:
        """The first, which nobody asked for, is one of those that are always ready."""
        counted, self._is_first_counted = self._is_first_counted, True
        return wanted if counted else wanted - 1

    def _beside(self, work: Callable[[], None], name: str) -> None:
        def whole() -> None:
            try:
                work()
            finally:
                with self._changing:
                    self._threads.discard(threading.current_thread())

        with self._changing:
            if self._stopping.is_set():
                return
            thread = threading.Thread(target=whole, name=f"{name} an instance", daemon=True)
            self._threads.add(thread)
            thread.start()

    def _finish(self) -> None:
        """All that is done beside."""
        with self._changing:
            threads = tuple(self._threads)
        for thread in threads:
            thread.join()

    def _start_another(self) -> None:
        fleet = self.fleet
        seat = self._seat()
        try:
            target = seat.make(seat.number, seat.cores)
            member = fleet.members.start(seat.number, seat.name, target, self._unless_stopping)
        except _NotWanted:
            self._lives.ended(seat.number)
            fleet.gateway.start_failed("the endpoint is being stopped")
        except (LoadTestError, OSError) as problem:
            self._lives.failed(seat.number, problem)
            fleet.gateway.start_failed(str(problem).partition("\n")[0])
        else:
            self._lives.ready(seat.number)
            fleet.gateway.add(seat.number, member.base_url)

    def _unless_stopping(self, _: Waiting) -> None:
        if self._stopping.is_set():
            raise _NotWanted

    def _end(self, number: int) -> None:
        fleet = self.fleet
        self._lives.out_of_service(number)
        with suppress(LoadTestError):  # `stop` tries again, and says what was in the way
            fleet.members.end(number)
        self._lives.ended(number)

    def _take_out_if_dead(self, number: int) -> None:
        """It would look free at once, and get every request. `check` says what it died of."""
        fleet = self.fleet
        others = set(self._lives.in_service) - {number}
        try:
            fleet.members.check(spared=others)
        except TargetError:
            fleet.gateway.remove(number)

    def scale_to_zero(self) -> None:
        fleet = self.fleet
        self._finish()
        for number in self._lives.in_service[self._spec.provisioned_concurrency :]:
            fleet.gateway.remove(number)
            self._beside(partial(self._end, number), "end")
        self._finish()

    def cold_starts(self) -> tuple[ColdStart, ...]:
        return cold_starts(self.passages(), self.instances())

    def instances(self) -> tuple[Instance, ...]:
        """All since the launch, in the order of their start."""
        return self._lives.all()

    def passages(self, first: int = 0) -> NDArray[np.void]:
        """Of every request since the launch."""
        fleet = self.fleet
        return fleet.gateway.passages(first)

    def measured(self, span: Span) -> ServerlessMeasured:
        found = serverless_report(self.passages(), self.instances(), self._spec, span)
        peak = found.instances.peak
        asked = most_asked_of_a_core(self._spec.vcpus, self._shares[:peak])
        if asked is None or asked <= 1:
            return found
        note = (
            f"{peak} instances shared this machine's cores: one was asked for "
            f"{asked:.3g} vCPUs, so that busy instances were slower than on their own"
        )
        return found.model_copy(update={"notes": (*found.notes, note)})

    @contextmanager
    def under_load(self) -> Iterator[Callable[[Samples], ServerlessMeasured]]:
        if self._spec.from_zero:
            self.scale_to_zero()
        from_s, to_s = time.perf_counter(), math.inf

        def told(_: Samples) -> ServerlessMeasured:
            return self.measured(Span(from_s, min(to_s, time.perf_counter())))

        yield told
        to_s = time.perf_counter()

    def describe(self) -> TargetDescription:
        if self._description is None:
            raise LoadTestError("the target was not launched yet: its address is not known")
        return self._description

    @override
    def usage(self) -> Usage:
        """The gateway counts as a process: what is scaled to zero has not ended."""
        used = super().usage()
        gateways = 1 if self._fleet is not None and self._fleet.is_running else 0
        return replace(
            used, processes=None if used.processes is None else used.processes + gateways
        )

    @override
    def check(self, spared: Collection[int] = ()) -> None:
        super().check(spared)
        problem = self._lives.given_up(FAILED_STARTS)
        if problem is not None:
            raise TargetDied(
                f"{FAILED_STARTS} instances in a row did not start; the last: {problem}",
                hint=problem.hint if isinstance(problem, LoadTestError) else None,
            )

    @override
    def stop(self) -> None:
        if self._fleet is None:
            return
        with self._changing:
            self._stopping.set()
        self._finish()
        super().stop()
        self._lives.end_all()


class _NotWanted(Exception):  # noqa: N818 - the name says what happened
    """The whole target is being stopped."""


def _shares(spec: ServerlessSpec, machine: Capabilities) -> tuple[tuple[int, ...], ...]:
    """The first core is the load generator's wherever one instance fits on the others.

    How many there will be follows from the load: sharing cores with one another, they are slower
    when all are busy; with the load generator, nothing they are asked is asked in time.
    """
    others = replace(machine, cores=machine.cores[1:])
    place = others if len(others.cores) >= spec.vcpus else machine
    return shared_out(spec.vcpus, spec.max_concurrency, place)
