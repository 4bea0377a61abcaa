"""Drives the load generator, a process of its own or several, and reads what was recorded."""

from __future__ import annotations

import resource
import time
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from loadtests.errors import EngineFailed
from loadtests.generator.sample_files import streams_file
from loadtests.generator.workers import Answers, GeneratorProcess, Workers
from loadtests.samples import RECORD, Samples
from loadtests.streaming.streams import Streams
from loadtests.validity import GeneratorFacts, WorkerFacts

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from numpy.typing import NDArray

    from loadtests.journal import Journal
    from loadtests.workload import Workload

__all__ = ["ClosedJob", "Destination", "Engine", "EngineRun", "OpenJob", "Progress", "Workers"]

START_WITHIN_S = 30.0
SILENT_FOR_S = 15.0
# As many as a server that falls behind for a second leaves unanswered, and the files allow.
POOL = min(1024, resource.getrlimit(resource.RLIMIT_NOFILE)[0] // 2)
DRAIN_MARGIN_S = 1.0  # so that what is late times out of itself, rather than being cut off


@dataclass(frozen=True, slots=True)
class Destination:
    """Where the load goes, and the cores the generator may use (None: any).

    base_urls: one, or the variants that a job's requests choose among. connections: the most
    requests of an open loop in flight, all variants and workers together; what is due while all
    are busy is dropped. With workers each has its part of them, and drops when that is busy.
    """

    base_urls: tuple[str, ...]
    workload: Workload
    cores: tuple[int, ...] | None = None
    timeout_s: float = 60.0
    connections: int = POOL


@dataclass(frozen=True, slots=True)
class OpenJob:
    """due_s, payloads and variants: shape (n,), the schedule, settled.

    variants: of each request, which of the destination's base_urls it goes to; None: the first.
    """

    due_s: NDArray[np.float64]
    payloads: NDArray[np.uint16]
    variants: NDArray[np.uint16] | None = None


@dataclass(frozen=True, slots=True)
class ClosedJob:
    """spans_s, shape (n, 2): user k sends one request after the other from the first instant on.

    None is begun at the second instant or later; one that is under way then is waited for. The job
    ends early when max_requests have been sent. payloads: the cycle that the users walk through.
    """

    spans_s: NDArray[np.float64]
    max_requests: int
    payloads: NDArray[np.uint16]

    @classmethod
    def constant(
        cls, concurrency: int, max_requests: int, max_s: float, payloads: NDArray[np.uint16]
    ) -> Self:
        """So many users, all of them from start to end."""
        return cls(np.tile([0.0, max_s], (concurrency, 1)), max_requests, payloads)


@dataclass(frozen=True, slots=True)
class Progress:
    """Of a running job.

    read: the RECORDs so far, in the order they arrived. read_streams: of at least as many of them;
    None where answers are not streamed.
    """

    elapsed_s: float
    recorded: int
    in_flight: int
    dropped: int
    read: Callable[[], NDArray[np.void]]
    read_streams: Callable[[], Streams | None] = lambda: None

    def samples(self, *, streamed: bool = False) -> Samples:
        """So far, in due order; with their streams, which take longer to read, where asked for."""
        records = self.read()
        return Samples.in_due_order(records, self.read_streams() if streamed else None)


@dataclass(frozen=True, slots=True)
class EngineRun:
    """stop_reason: None when the job ran to its end.

    started_s: when its times begin, by this machine's perf_counter.
    """

    started_s: float
    samples: Samples
    generator: GeneratorFacts
    elapsed_s: float
    stop_reason: str | None

    @property
    def lost_workers(self) -> tuple[str, ...]:
        """Who stopped being heard; their samples up to then are among the others."""
        return tuple(each.name for each in self.generator.workers if each.lost_after_s is not None)


class Engine:
    """One load generator for one job after another: a start costs half a second, a job a few ms.

    With several workers the job is divided among those present when it begins. A local one that
    was lost is replaced before the next job; a remote one may come back, and the job is done
    without it if not. Not for use from several threads. Raises EngineFailed when the process
    ends, says it failed, or falls silent, and when no worker is left.
    """

    def __init__(
        self,
        workspace: Path,
        journal: Journal,
        workers: Workers = Workers(),  # noqa: B008 - a value, never changed
        tell: Callable[[str], None] = lambda _: None,
    ) -> None:
        """tell: called while workers are waited for, with who is there."""
        self._folder, self._journal, self._plan, self._tell = workspace, journal, workers, tell
        self._jobs = self._started = 0
        self._workers: dict[str, GeneratorProcess] = {}
        self._here: tuple[str, ...] = ()
        self._port = workers.port

    def __enter__(self) -> Self:
        self._folder.mkdir(parents=True, exist_ok=True)
        plan = self._plan
        role = ("alone",) if plan.is_alone else ("master", plan.bind_host, str(plan.port))
        self._process = self._start_process("load generator", role, answers=True)
        self._answers = Answers(self._process)
        try:
            self._port = self._expect_ready()
            if not plan.is_alone:
                self._gather(plan.count)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        with suppress(EngineFailed):  # it may be gone already
            self._process.say({"job": "quit"})
        self._answers.close()
        self._process.end(within_s=1)
        for worker in self._workers.values():
            worker.end(within_s=1)
        self._workers.clear()

    @property
    def pids(self) -> tuple[int, ...]:
        """Of its processes on this machine."""
        return (self._process.pid, *(worker.pid for worker in self._workers.values()))

    def run(
        self,
        destination: Destination,
        job: OpenJob | ClosedJob,
        watch: Callable[[Progress], str | None] | None = None,
    ) -> EngineRun:
        """watch: called four times a second; the reason it returns stops the job."""
        if not self._plan.is_alone:
            self._replace_lost()
        self._jobs += 1
        file = self._folder / f"job-{self._jobs}.samples"
        file.touch()
        self._process.say(self._message(destination, job, file))
        watch = watch or (lambda _: None)
        started_s, stopping = 0.0, False
        for answer in self._hear():
            if answer["event"] == "started":
                started_s = answer["clock_s"]
            if answer["event"] == "finished":
                return self._result(answer, file, started_s)
            if answer["event"] == "progress" and not stopping:
                reason = watch(_progress(answer, file))
                if reason is not None:
                    stopping = True
                    self._process.say({"job": "stop", "reason": reason})
        raise EngineFailed(f"the load generator ended during a job: {self._process.last_words()}")

    def _start_process(
        self, what: str, role: tuple[str, ...], *, answers: bool
    ) -> GeneratorProcess:
        log = self._folder / f"{what.replace(' ', '-')}.log"
        return GeneratorProcess(role, what, log, self._journal, answers=answers)

    def _expect_ready(self) -> int:
        """The port that a master listens to."""
        answer = next(self._answers.read(START_WITHIN_S, lambda: None), None)
        if answer is None or answer["event"] != "ready":
            raise EngineFailed(f"the load generator did not start: {self._process.last_words()}")
        return int(answer.get("port", 0))

    def _start_worker(self) -> None:
        self._started += 1
        name = f"local-{self._started}"
        place = (self._plan.local_host, str(self._port))
        self._workers[name] = self._start_process(
            f"load generator {name}", ("worker", *place, name, str(START_WITHIN_S)), answers=False
        )

    def _gather(self, count: int) -> None:
        """Until `count` are there, of which as many local ones as planned are started here."""
        while len(self._workers) < self._plan.local:
            self._start_worker()
        within_s = START_WITHIN_S if count == self._plan.local else self._plan.wait_s
        limit_s = time.perf_counter() + within_s

        def give_up_in_time() -> None:
            self._check_started()
            if time.perf_counter() > limit_s:
                raise EngineFailed(
                    f"{len(self._here)} of {count} workers came within {within_s:.0f} s",
                    hint=f"start the others: recommender worker --master HOST --port {self._port}",
                )

        self._tell(f"waiting for {count} workers at {self._plan.bind_host}:{self._port}")
        for answer in self._answers.read(within_s + 1, give_up_in_time):
            self._note(answer)
            if len(self._here) >= count and set(self._workers) <= set(self._here):
                return
        raise EngineFailed(f"the load generator ended: {self._process.last_words()}")

    def _check_started(self) -> None:
        for worker in self._workers.values():
            if not worker.is_alive:
                raise EngineFailed(f"a worker did not start: {worker.last_words()}")

    def _note(self, answer: dict[str, Any]) -> None:
        """Who came and who went."""
        if answer["event"] == "crew":
            self._here = tuple(answer["names"])
            self._tell(f"workers: {len(self._here)} of {self._plan.count} are there")
        elif answer["event"] == "refused":
            self._tell(f"{answer['name']} was turned away: {answer['message']}")

    def _replace_lost(self) -> None:
        lost = [
            name
            for name, worker in self._workers.items()
            if not worker.is_alive or name not in self._here
        ]
        for name in lost:
            worker = self._workers.pop(name)
            worker.kill()
            worker.end(within_s=1)
            self._process.say({"job": "gone", "name": name})
        self._here = tuple(name for name in self._here if name not in lost)
        if lost:
            self._gather(len(self._here) + len(lost))
        if not self._here:
            raise EngineFailed(
                "no worker is left to send the load",
                hint=f"start some: recommender worker --master HOST --port {self._port}",
            )

    def _hear(self) -> Iterator[dict[str, Any]]:
        """What is answered during a job; a local worker that ended is reported as soon as seen."""
        reported: set[str] = set()

        def report_ended() -> None:
            for name, worker in self._workers.items():
                if not worker.is_alive and name not in reported:
                    reported.add(name)
                    self._process.say({"job": "gone", "name": name})

        for answer in self._answers.read(SILENT_FOR_S, report_ended):
            self._note(answer)
            yield answer

    def _message(
        self, destination: Destination, job: OpenJob | ClosedJob, file: Path
    ) -> dict[str, Any]:
        self._arrays_file = self._folder / f"job-{self._jobs}.npz"
        workload = destination.workload
        np.savez(self._arrays_file, **_arrays(job))
        return {
            "job": "load",
            "number": self._jobs,
            "loop": "open" if isinstance(job, OpenJob) else "closed",
            "max_requests": None if isinstance(job, OpenJob) else job.max_requests,
            "base_urls": destination.base_urls,
            "path": workload.path,
            "content_types": workload.content_types,
            "payload_files": self._payload_files(workload),
            "digest": workload.digest,
            "pool": destination.connections,
            "timeout_s": destination.timeout_s,
            "drain_s": destination.timeout_s + DRAIN_MARGIN_S,
            "cores": destination.cores,
            "delivery": workload.delivery,
            "samples_file": str(file),
            "arrays_file": str(self._arrays_file),
        }

    def _payload_files(self, workload: Workload) -> list[str]:
        folder = self._folder / f"payloads-{workload.digest}"
        files = [folder / str(number) for number in range(len(workload.payloads))]
        if not folder.exists():
            folder.mkdir()
            for file, payload in zip(files, workload.payloads, strict=True):
                file.write_bytes(payload.body)
        return [str(file) for file in files]

    def _result(self, answer: dict[str, Any], file: Path, started_s: float) -> EngineRun:
        records, streams = np.fromfile(file, RECORD), _read_streams(file)
        for each in (file, self._arrays_file):
            each.unlink()
        streams_file(file).unlink(missing_ok=True)
        if len(records) != answer["recorded"]:
            raise EngineFailed(
                f"the generator recorded {answer['recorded']} samples, {len(records)} arrived",
                hint="is the disk of the temporary folder full?",
            )
        return EngineRun(
            started_s=started_s,
            samples=Samples.in_due_order(records, streams),
            generator=GeneratorFacts(
                answer["cpu_s"],
                answer["wall_s"],
                answer["in_flight_s"],
                tuple(WorkerFacts(**each) for each in answer["workers"]),
            ),
            elapsed_s=answer["elapsed_s"],
            stop_reason=answer["stop_reason"],
        )


def _read_streams(samples_file: Path) -> Streams | None:
    file = streams_file(samples_file)
    return Streams.read(file.read_bytes()) if file.exists() else None


def _arrays(job: OpenJob | ClosedJob) -> dict[str, Any]:
    match job:
        case OpenJob(due_s, payloads, variants):
            variants = np.zeros(len(due_s), np.uint16) if variants is None else variants
            return {
                "due_s": due_s,
                "payloads": payloads,
                "variants": variants,
                "spans_s": np.zeros((0, 2)),
            }
        case ClosedJob(spans_s, _, payloads):
            return {
                "due_s": np.zeros(0),
                "payloads": payloads,
                "variants": np.zeros(0, np.uint16),
                "spans_s": spans_s,
            }


def _progress(answer: dict[str, Any], file: Path) -> Progress:
    recorded = answer["recorded"]
    return Progress(
        elapsed_s=answer["elapsed_s"],
        recorded=recorded,
        in_flight=answer["in_flight"],
        dropped=answer["dropped"],
        read=lambda: np.fromfile(file, RECORD, count=recorded),
        read_streams=lambda: _read_streams(file),
    )
