"""The master of several load generators: one job, divided; their samples, merged as they arrive.

Runs in a process of its own on Locust's MasterRunner, which it is given; sends no load. What
workers send is appended to the job's file as it is: their instants count from one common start,
told to each on its own clock.

A worker from which nothing is heard for 2.5 s is lost, as is one whose process ended. The
others are halted, their samples and those of the lost one that have arrived are kept, and the next
job is divided among the workers there are then.
"""

from __future__ import annotations

import os
import time
from collections import deque
from contextlib import closing
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Protocol

from loadtests.generator.crew import PINGS, PROTOCOL, Clock, Intake, Member, boot_id
from loadtests.generator.recording import RECORD, cpu_seconds
from loadtests.generator.sample_files import SampleFiles
from loadtests.generator.shares import Share, core_sets

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

__all__ = ["Master"]

TICK_S = 0.05
PROGRESS_EVERY_S = 0.25
PREPARED_WITHIN_S = 60.0
LEAD_IN_S = 0.2  # until the last of them has heard when to begin
HALT_WITHIN_S = 1.0
OVER_WITHIN_S = 4.0  # of being halted
LOST = "a worker was lost"


class Runner(Protocol):
    """Of Locust's MasterRunner, what is used of it."""

    clients: Any
    environment: Any

    def register_message(self, message: str, listener: Callable[..., None], /) -> None: ...

    def send_message(
        self, message: str, /, data: dict[str, Any] | None = None, client_id: str | None = None
    ) -> None: ...


@dataclass(slots=True)
class Run:
    """A job under way."""

    number: int
    crew: list[Member]
    files: SampleFiles
    start_s: float | None = None
    stop_reason: str | None = None
    halted_s: float | None = None
    written: int = 0
    cpu_s: float = field(default_factory=cpu_seconds)
    from_s: float = field(default_factory=time.perf_counter)

    def intakes(self) -> list[Intake]:
        return [member.intake for member in self.crew if member.intake is not None]

    @property
    def is_over(self) -> bool:
        return all(intake.is_over for intake in self.intakes())

    def figures(self) -> dict[str, Any]:
        now_s = time.perf_counter()
        said = [intake.figures for intake in self.intakes() if intake.figures]
        local = [
            member.intake.figures.get("cpu_s", 0.0)
            for member in self.crew
            if member.intake is not None and member.clock is None
        ]
        return {
            "elapsed_s": now_s - (now_s if self.start_s is None else self.start_s),
            "recorded": self.written,
            "in_flight": sum(each["in_flight"] for each in said),
            "dropped": sum(each["dropped"] for each in said),
            "in_flight_s": sum(each["in_flight_s"] for each in said),
            "cpu_s": cpu_seconds() - self.cpu_s + sum(local),
            "wall_s": now_s - self.from_s,
        }


class Master:
    def __init__(
        self,
        runner: Runner,
        say: Callable[[dict[str, Any]], None],
        sleep: Callable[[float], None],
    ) -> None:
        self._runner, self._say, self._sleep = runner, say, sleep
        self._members: dict[str, Member] = {}
        self._jobs: deque[dict[str, Any]] = deque()
        self._run: Run | None = None
        self._broken: str | None = None
        self._machine = boot_id()
        runner.environment.events.heartbeat_sent.add_listener(self._heard_heartbeat)
        runner.register_message("load_hello", self._hello)
        for message, listener in (
            ("load_pong", self._pong),
            ("load_prepared", self._prepared),
            ("load_samples", self._samples),
            ("load_done", self._done),
            ("load_failed", self._failed),
        ):
            runner.register_message(message, self._from_member(listener))

    def serve(self, jobs: Iterable[dict[str, Any]]) -> None:
        """Until quit, or until they end. `conduct` does the jobs, beside this."""
        for job in jobs:
            match job["job"]:
                case "quit":
                    return
                case "stop":
                    if self._run is not None:
                        self._halt(self._run, job["reason"])
                case "gone":
                    for member in self._members.values():
                        if member.name == job["name"]:
                            member.gone_s = time.perf_counter()
                case _:
                    self._jobs.append(job)

    def conduct(self) -> None:
        """One job after the other, and who comes and goes in between; for ever.

        Raises OSError when a worker says that it cannot go on: that is no loss but a fault.
        """
        while True:
            self._sleep(TICK_S)
            self._dismiss_lost()
            if self._jobs:
                self._perform(self._jobs.popleft())

    def _perform(self, job: dict[str, Any]) -> None:
        share = Share.read(job)
        crew = sorted(self._members.values(), key=lambda each: each.name)
        if not crew:
            self._say({"event": "failed", "message": "no worker is left to send anything"})
            return
        if share.cores:
            os.sched_setaffinity(0, share.cores)
        shares = share.split(len(crew))
        with closing(SampleFiles(job["samples_file"])) as files:
            run = self._run = Run(job["number"], crew[: len(shares)], files)
            cores = iter(core_sets(share.cores, sum(each.clock is None for each in run.crew)))
            for member, part in zip(run.crew, shares, strict=True):
                own = next(cores) if member.clock is None else None
                self._hand_out(run, member, replace(part, cores=own), job["digest"])
            self._wait_until_prepared(run)
            self._begin(run)
            self._wait_until_over(run)
            self._run = None
        workers = [
            {"name": member.name} | member.intake.as_facts()
            for member in run.crew
            if member.intake is not None
        ]
        said = {"event": "finished", "stop_reason": run.stop_reason, "workers": workers}
        self._say(said | run.figures())
        for member in run.crew:
            member.intake = None

    def _hand_out(self, run: Run, member: Member, share: Share, digest: str) -> None:
        member.intake = Intake(share.requests)
        if member.clock is not None:
            member.clock = Clock()
            self._ping(member)
        if member.bodies != digest:
            self._tell(member, "load_bodies", {"digest": digest, "bodies": list(share.bodies)})
            member.bodies = digest
        self._tell(
            member, "load_take", {"job": run.number, "digest": digest, "share": share.message()}
        )

    def _wait_until_prepared(self, run: Run) -> None:
        within_s = time.perf_counter() + PREPARED_WITHIN_S
        while run.halted_s is None and not all(_is_ready(member) for member in run.crew):
            self._sleep(TICK_S)
            self._say({"event": "preparing"})
            self._find_lost(run)
            if time.perf_counter() > within_s:
                for member in run.crew:
                    if not _is_ready(member):
                        member.gone_s = float("-inf")

    def _begin(self, run: Run) -> None:
        run.start_s = time.perf_counter()
        if run.halted_s is None:
            trips_s = [each.clock.round_trip_s for each in run.crew if each.clock is not None]
            run.start_s += LEAD_IN_S + 2 * max(trips_s, default=0.0)
            for member in run.crew:
                start_s = member.on_its_clock(run.start_s)
                self._tell(member, "load_begin", {"job": run.number, "start_s": start_s})
        self._say({"event": "started", "clock_s": run.start_s})

    def _wait_until_over(self, run: Run) -> None:
        said_s = time.perf_counter()
        while not run.is_over:
            self._sleep(TICK_S)
            self._find_lost(run)
            now_s = time.perf_counter()
            if run.halted_s is not None and now_s - run.halted_s > OVER_WITHIN_S:
                for member in run.crew:
                    member.gone_s = float("-inf")
            if now_s - said_s >= PROGRESS_EVERY_S:
                said_s += PROGRESS_EVERY_S
                self._say({"event": "progress", **run.figures()})

    def _find_lost(self, run: Run) -> None:
        """In the middle of a job; the rest is halted."""
        if self._broken is not None:
            raise OSError(self._broken)
        now_s = time.perf_counter()
        for member in run.crew:
            intake = member.intake
            if intake is None or intake.is_over or not self._is_lost(member, now_s):
                continue
            intake.lost_after_s = max(now_s - (run.start_s or now_s), 0.0)
            self._give_up(member)
            self._halt(run, LOST)

    def _dismiss_lost(self) -> None:
        now_s = time.perf_counter()
        for member in list(self._members.values()):
            if self._is_lost(member, now_s):
                self._give_up(member)

    def _give_up(self, member: Member) -> None:
        """It may only have been held up: then it is to end when it goes on."""
        del self._members[member.id]
        self._tell(member, "load_refused", {"message": "its master heard nothing of it"})
        self._say_crew()

    def _is_lost(self, member: Member, now_s: float) -> bool:
        if member.gone_s is None and member.id not in self._runner.clients:
            member.gone_s = now_s  # it told Locust that it quits
        return member.is_lost(now_s)

    def _halt(self, run: Run, reason: str) -> None:
        if run.halted_s is not None:
            return
        run.halted_s, run.stop_reason = time.perf_counter(), reason
        for member in run.crew:
            if member.intake is not None and not member.intake.is_over:
                halt = {"job": run.number, "within_s": HALT_WITHIN_S}
                self._tell(member, "load_halt", halt)

    def _tell(self, member: Member, message: str, data: dict[str, Any]) -> None:
        self._runner.send_message(message, data, client_id=member.id)

    def _say_crew(self) -> None:
        here = sorted(member.name for member in self._members.values())
        self._say({"event": "crew", "names": here})

    def _from_member(
        self, listener: Callable[[Member, dict[str, Any]], None]
    ) -> Callable[..., None]:
        def heard(environment: Any, msg: Any) -> None:  # noqa: ANN401, ARG001 - Locust's
            member = self._members.get(msg.node_id)
            if member is not None:  # else it was given up
                member.heard_s = time.perf_counter()
                listener(member, msg.data)

        return heard

    def _heard_heartbeat(self, client_id: str, **_: object) -> None:
        member = self._members.get(client_id)
        if member is not None:
            member.heard_s = time.perf_counter()

    def _hello(self, environment: Any, msg: Any) -> None:  # noqa: ANN401, ARG002 - Locust's
        data, client = msg.data, msg.node_id
        if data["protocol"] != PROTOCOL:
            reason = f"it speaks version {data['protocol']} of the protocol, its master {PROTOCOL}"
            self._runner.send_message("load_refused", {"message": reason}, client_id=client)
            self._say({"event": "refused", "name": data["name"], "message": reason})
            return
        clock = None if data["machine"] == self._machine else Clock()
        member = Member(client, data["name"], time.perf_counter(), clock)
        self._members[member.id] = member
        self._tell(member, "load_welcome", {"protocol": PROTOCOL})
        self._say_crew()

    def _ping(self, member: Member) -> None:
        self._tell(member, "load_ping", {"asked_s": time.perf_counter()})

    def _pong(self, member: Member, data: dict[str, Any]) -> None:
        if member.clock is None:
            return
        member.clock.hear(data["asked_s"], data["clock_s"], time.perf_counter())
        if member.clock.heard < PINGS:
            self._ping(member)

    def _prepared(self, member: Member, data: dict[str, Any]) -> None:
        if self._is_current(data) and member.intake is not None:
            member.intake.prepared = True

    def _samples(self, member: Member, data: dict[str, Any]) -> None:
        run, intake = self._run, member.intake
        if run is None or intake is None or intake.is_over or data["job"] != run.number:
            return
        records = data["records"]
        run.files.write(records, data["streams"])
        count = len(records) // RECORD.itemsize
        run.written += count
        intake.take(data["sequence"], count, data["figures"])

    def _done(self, member: Member, data: dict[str, Any]) -> None:
        if self._is_current(data) and member.intake is not None:
            member.intake.finish(data["sequence"], data["recorded"], data["figures"])

    def _failed(self, member: Member, data: dict[str, Any]) -> None:
        self._broken = f"{member.name}: {data['message']}"

    def _is_current(self, data: dict[str, Any]) -> bool:
        return self._run is not None and data["job"] == self._run.number


def _is_ready(member: Member) -> bool:
    intake, clock = member.intake, member.clock
    is_timed = clock is None or clock.heard >= PINGS
    return intake is None or intake.is_over or (intake.prepared and is_timed)
