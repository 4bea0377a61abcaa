"""What the master of several load generators knows of each of them, and how they talk.

The messages between master and workers are Locust's own (its MasterRunner and WorkerRunner carry
them); these are ours, by name:

worker → master
    load_hello      protocol, name, machine (boot id), pid: once, when connected
    load_pong       asked_s (as asked), clock_s: the worker's clock on receipt
    load_prepared   job: connections and schedule are at hand
    load_samples    job, sequence (0, 1, …), records (bytes), streams (bytes, none where answers
                    are not streamed), figures: every 0.5 s
    load_done       job, sequence (blocks sent), recorded (samples sent), figures: after the last
    load_failed     message: the worker cannot go on
master → worker
    load_welcome    protocol
    load_refused    message: another protocol; the worker ends
    load_ping       asked_s: the master's clock
    load_bodies     digest, bodies: before the first job that needs them
    load_take       job, digest, share (Share.message): to be prepared
    load_begin      job, start_s: on the worker's own clock
    load_halt       job, within_s: nothing new from now on; what is in flight has that long
A worker's heartbeat is Locust's, twice a second; the end is Locust's "quit".
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

__all__ = ["PINGS", "PROTOCOL", "Clock", "Intake", "Member", "boot_id"]

PROTOCOL = 2
SILENT_S = 2.5  # five heartbeats and five reports; then a worker is lost
LAST_WORDS_S = 0.25
PINGS = 12


def boot_id() -> str:
    """The same for processes that share a monotonic clock: those of one running kernel."""
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()


@dataclass(slots=True)
class Clock:
    """How far another machine's clock is ahead, from round trips (Cristian 1989).

    The answer was read somewhere between asking and hearing it: at their middle, within half the
    round trip. The shortest round trip says most. Asked before each job, since two clocks drift
    apart by a millisecond in minutes; no latency is a difference of two clocks.
    """

    ahead_s: float = 0.0
    round_trip_s: float = float("inf")
    heard: int = 0

    def hear(self, asked_s: float, their_s: float, heard_s: float) -> None:
        self.heard += 1
        if heard_s - asked_s < self.round_trip_s:
            self.round_trip_s = heard_s - asked_s
            self.ahead_s = their_s - (asked_s + heard_s) / 2


@dataclass(slots=True)
class Intake:
    """One worker's part of one job, as far as it has arrived.

    requests: due in it, None of a closed loop. promised: what it said to have recorded, None
    before it is done. missing_blocks: gaps in the sequence so far.
    """

    requests: int | None
    received: int = 0
    blocks: int = 0
    missing_blocks: int = 0
    promised: int | None = None
    prepared: bool = False
    lost_after_s: float | None = None
    figures: dict[str, Any] = field(default_factory=dict)

    @property
    def is_over(self) -> bool:
        return self.promised is not None or self.lost_after_s is not None

    def take(self, sequence: int, samples: int, figures: dict[str, Any]) -> None:
        self.missing_blocks += sequence - self.blocks
        self.blocks = sequence + 1
        self.received += samples
        self.figures = figures

    def finish(self, sequence: int, recorded: int, figures: dict[str, Any]) -> None:
        self.missing_blocks += sequence - self.blocks
        self.promised = recorded
        self.figures = figures

    def as_facts(self) -> dict[str, Any]:
        """In the words of WorkerFacts."""
        promised = self.received if self.promised is None else self.promised
        return {
            "requests": self.requests,
            "sent": self.figures.get("sent", 0),
            "cpu_s": self.figures.get("cpu_s", 0.0),
            "wall_s": self.figures.get("wall_s", 0.0),
            "lateness_p99_s": self.figures.get("lateness_p99_s"),
            "lost_after_s": self.lost_after_s,
            "samples_missing": max(promised - self.received, 0),
            "blocks_missing": self.missing_blocks,
        }


@dataclass(slots=True)
class Member:
    """One worker. clock: None where it shares the master's (the same machine).

    gone_s: since when it is known to be gone, or given up for another reason than its silence.
    """

    id: str
    name: str
    heard_s: float
    clock: Clock | None
    gone_s: float | None = None
    bodies: str | None = None
    intake: Intake | None = None

    def is_lost(self, now_s: float) -> bool:
        """What a worker sent before it ended is still let in."""
        if self.gone_s is not None:
            return now_s - self.gone_s > LAST_WORDS_S
        return now_s - self.heard_s > SILENT_S

    def on_its_clock(self, instant_s: float) -> float:
        return instant_s + (0.0 if self.clock is None else self.clock.ahead_s)
