"""What every system under test is to the rest of the program.

A process, a URL, a container, a fleet of replicas, a serverless configuration, a pipeline or a
cloud
endpoint: each is launched, becomes ready, is measured, and is stopped. What only some can do (be
interrupted, scale from zero) is a protocol of its own that extends `Target`; nobody is made to
pretend.
"""

from __future__ import annotations

import math
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from loadtests.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

    from loadtests.inside import Inside
    from loadtests.samples import Samples
    from loadtests.serverless.starts import ColdStart

__all__ = [
    "FrontedTarget",
    "InterruptibleTarget",
    "Limits",
    "ScalesFromZero",
    "Setup",
    "Sizing",
    "Target",
    "TargetDescription",
    "Timeouts",
    "Usage",
    "Waiting",
    "running",
]


@dataclass(frozen=True, slots=True)
class Sizing:
    """The size asked for; None leaves that resource as it is."""

    vcpus: float | None = None
    memory_gib: float | None = None

    def __post_init__(self) -> None:
        for name, value in (("vcpus", self.vcpus), ("memory_gib", self.memory_gib)):
            if value is not None and not (math.isfinite(value) and value > 0):
                raise UsageError(f"{name} must be a number above 0, not {value}")

    @property
    def is_fractional(self) -> bool:
        return self.vcpus is not None and self.vcpus != int(self.vcpus)


@dataclass(frozen=True, slots=True)
class Limits:
    """What was really enforced, in words for a person and in numbers for a model.

    cpu: "pinned to core 1", "cgroup v1 quota 0.5 of period 10 ms on core 1", "as it is".
    memory: "cgroup v1", "watched every 0.1 s", "none".
    quota_ratio: CPU-seconds per second the quota allows; None without a quota. A tail latency
    measured
        under a quota carries the scheduler's pauses.
    shares_cores: the load generator must run on some of the same cores.
    """

    cpu: str
    cores: tuple[int, ...]
    quota_ratio: float | None
    memory: str
    memory_gib: float | None
    shares_cores: bool = False

    def describe(self) -> str:
        size = "" if self.memory_gib is None else f" {self.memory_gib:g} GiB"
        return f"CPU {self.cpu}, memory {self.memory}{size}"


@dataclass(frozen=True, slots=True)
class Timeouts:
    """The serving contract's: SageMaker allows 8 minutes to start, 2 s a ping, 60 s an answer."""

    startup_s: float = 480.0
    ping_s: float = 2.0
    answer_s: float = 60.0
    stop_grace_s: float = 30.0


@dataclass(frozen=True, slots=True)
class TargetDescription:
    """What is measured.

    kind: "process", "url"; a container, a serverless configuration and so on add theirs.
    started_from: the command or the URL, as the user gave it.
    limits: None when the target's size is not ours to know or to set.
    notes: what else a reader of its figures must know, one sentence each.
    """

    kind: str
    label: str
    base_url: str
    started_from: str
    sizing: Sizing
    limits: Limits | None
    timeouts: Timeouts
    ping_path: str = "/ping"
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Setup:
    """How long until it could serve, from the start of its process.

    ready_s: to the first /ping answered with 200; None when it ran before we came.
    first_answer_s: to the first answered request, where one was sent.
    ping: what /ping said, where that was not a plain 200.
    """

    ready_s: float | None
    first_answer_s: float | None = None
    ping: str | None = None


@dataclass(frozen=True, slots=True)
class Usage:
    """Used since the target's start, over everything that belongs to it. None: not knowable.

    cpu_s, throttled_s: cumulative, never falling while the target lives.
    memory_bytes: what it needs now (reclaimable file cache is left out).
    memory_peak_bytes: largest `memory_bytes`; see `source` for how finely it was watched.
    source: which counters these are, or why there are none.
    starts: servers started so far.
    """

    cpu_s: float | None
    memory_bytes: int | None
    memory_peak_bytes: int | None
    processes: int | None
    throttled_s: float | None
    source: str
    starts: int = 1


@dataclass(frozen=True, slots=True)
class Waiting:
    """Progress of a start-up. `last`: what the latest ping met."""

    waited_s: float
    timeout_s: float
    last: str


@runtime_checkable
class Target(Protocol):
    """One system under test. Not for use from several threads, `usage` excepted.

    launch -> ready -> (usage | check | log_tail)* -> stop. `describe` may be asked from launch on
    and still answers after `stop`, as do `usage` (the last figures) and `log_tail`. Whatever
    `launch` starts or creates is journalled first, and is gone after `stop`, or after a `launch`
    that raised.
    """

    def launch(self) -> None:
        """Raises TargetExited if the command cannot be started, LimitUnavailable for the size."""

    def ready(self, progress: Callable[[Waiting], None] | None = None) -> Setup:
        """Waits. Raises TargetExited, TargetNotReady, TargetDied or TargetUnreachable."""

    def describe(self) -> TargetDescription: ...

    def usage(self) -> Usage: ...

    def check(self) -> None:
        """Raises TargetDied if it no longer runs, or a memory limit killed part of it."""

    def log_tail(self, lines: int = 20) -> tuple[str, ...]:
        """The last lines it wrote; none where its log is not ours to read."""

    def stop(self) -> None:
        """May be called at any time, again, and for a target that is already dead."""


@runtime_checkable
class InterruptibleTarget(Target, Protocol):
    """One whose machine may be taken away, as a spot instance is."""

    def interrupt(self, *, at_once: bool) -> None:
        """SIGTERM to what was started, as a machine that shuts down sends; does not wait.

        at_once: SIGKILL to all of it, as when the machine is gone. May be called from another
        thread than the rest, and for a target that is already dead.
        """


@runtime_checkable
class FrontedTarget(Target, Protocol):
    """One that we stand before: several servers behind a gateway of ours."""

    def front_cpu_s(self) -> float:
        """Used so far by what stands before it: the platform's, in no `usage`."""

    def under_load(self) -> AbstractContextManager[Callable[[Samples], Inside]]:
        """Around one run of load; what is to happen under load (an interruption) happens within.

        When it is over, what it gave is told the run's samples and says what went on inside.
        """


@runtime_checkable
class ScalesFromZero(Target, Protocol):
    """One whose instances come with the requests, as a serverless endpoint's do."""

    def scale_to_zero(self) -> None:
        """Stops all but those that are always ready. Nothing may be in progress."""

    def cold_starts(self) -> tuple[ColdStart, ...]:
        """All since the launch, in the order of their start."""


@contextmanager
def running(target: Target, progress: Callable[[Waiting], None] | None = None) -> Iterator[Setup]:
    """Launched, waited for, and stopped whatever happens."""
    try:
        target.launch()
        yield target.ready(progress)
    finally:
        target.stop()
