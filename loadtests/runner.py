"""Drives the load generator, a process of its own, and reads what it recorded."""

from __future__ import annotations

import json
import os
import selectors
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from loadtests.errors import EngineFailed
from loadtests.samples import RECORD, Samples
from loadtests.validity import GeneratorFacts

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from numpy.typing import NDArray

    from loadtests.journal import Journal
    from loadtests.workload import Workload

__all__ = ["ClosedJob", "Destination", "Engine", "EngineRun", "OpenJob", "Progress"]

START_WITHIN_S = 30.0
SILENT_FOR_S = 15.0
POOL = 256
DRAIN_MARGIN_S = 1.0  # so that what is late times out of itself, rather than being cut off


@dataclass(frozen=True, slots=True)
class Destination:
    """Where the load goes, and the cores the generator may use (None: any)."""

    base_url: str
    workload: Workload
    cores: tuple[int, ...] | None = None
    timeout_s: float = 60.0
    connections: int = POOL


@dataclass(frozen=True, slots=True)
class OpenJob:
    """due_s and payloads: shape (n,), the schedule, settled."""

    due_s: NDArray[np.float64]
    payloads: NDArray[np.uint16]


@dataclass(frozen=True, slots=True)
class ClosedJob:
    concurrency: int
    max_requests: int
    max_s: float
    payloads: NDArray[np.uint16]


@dataclass(frozen=True, slots=True)
class Progress:
    """Of a running job. read: the samples recorded so far, in the order they ended."""

    elapsed_s: float
    recorded: int
    in_flight: int
    dropped: int
    read: Callable[[], NDArray[np.void]]


@dataclass(frozen=True, slots=True)
class EngineRun:
    """stop_reason: None when the job ran to its end."""

    samples: Samples
    generator: GeneratorFacts
    elapsed_s: float
    stop_reason: str | None


class Engine:
    """One load generator for one job after another: a start costs half a second, a job a few ms.

    Not for use from several threads. Raises EngineFailed when the process ends, says it failed, or
    falls silent.
    """

    def __init__(self, workspace: Path, journal: Journal) -> None:
        self._folder, self._journal = workspace, journal
        self._jobs = 0

    def __enter__(self) -> Self:
        self._folder.mkdir(parents=True, exist_ok=True)
        self._entry = self._journal.process("load generator")
        self._log = self._folder / "engine.log"
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "loadtests.locustfile"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                start_new_session=True,  # Ctrl-C is ours to handle, not the generator's
                env={
                    **os.environ,
                    "PYTHONPATH": os.pathsep.join(path for path in sys.path if path),
                    **self._entry.token,
                },
            )
        self._rest = b""
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._output, selectors.EVENT_READ)
        try:
            self._expect("ready", START_WITHIN_S)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        with suppress(EngineFailed):  # it may be gone already
            self._say({"job": "quit"})
        try:
            self._process.wait(1)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._selector.close()
        for stream in (self._process.stdin, self._process.stdout):
            if stream is not None:
                with suppress(OSError):
                    stream.close()
        self._journal.done(self._entry)

    def run(
        self,
        destination: Destination,
        job: OpenJob | ClosedJob,
        watch: Callable[[Progress], str | None] | None = None,
    ) -> EngineRun:
        """watch: called four times a second; the reason it returns stops the job."""
        self._jobs += 1
        file = self._folder / f"job-{self._jobs}.samples"
        file.touch()
        self._say(self._message(destination, job, file))
        watch = watch or (lambda _: None)
        stopping = False
        for answer in self._answers():
            if answer["event"] == "finished":
                return self._result(answer, file)
            if answer["event"] == "progress" and not stopping:
                reason = watch(_progress(answer, file))
                if reason is not None:
                    stopping = True
                    self._say({"job": "stop", "reason": reason})
        raise EngineFailed(f"the load generator ended during a job: {self._last_words()}")

    def _message(
        self, destination: Destination, job: OpenJob | ClosedJob, file: Path
    ) -> dict[str, Any]:
        choices = self._folder / f"job-{self._jobs}.choices.npy"
        np.save(choices, job.payloads)
        message: dict[str, Any] = {
            "base_url": destination.base_url,
            "path": destination.workload.path,
            "content_type": destination.workload.content_type,
            "payload_files": self._payload_files(destination.workload),
            "pool": destination.connections,
            "timeout_s": destination.timeout_s,
            "drain_s": destination.timeout_s + DRAIN_MARGIN_S,
            "cores": None if destination.cores is None else list(destination.cores),
            "samples_file": str(file),
            "choices_file": str(choices),
        }
        match job:
            case OpenJob(due_s):
                schedule = self._folder / f"job-{self._jobs}.schedule.npy"
                np.save(schedule, due_s)
                return message | {"job": "open", "schedule_file": str(schedule)}
            case ClosedJob(concurrency, max_requests, max_s):
                limits = {"max_requests": max_requests, "max_s": max_s}
                return message | {"job": "closed", "concurrency": concurrency} | limits

    def _payload_files(self, workload: Workload) -> list[str]:
        folder = self._folder / f"payloads-{workload.digest}"
        files = [folder / str(number) for number in range(len(workload.payloads))]
        if not folder.exists():
            folder.mkdir()
            for file, payload in zip(files, workload.payloads, strict=True):
                file.write_bytes(payload.body)
        return [str(file) for file in files]

    def _result(self, answer: dict[str, Any], file: Path) -> EngineRun:
        records = np.fromfile(file, RECORD)
        file.unlink()
        if len(records) != answer["recorded"]:
            raise EngineFailed(
                f"the generator recorded {answer['recorded']} samples, {len(records)} arrived",
                hint="is the disk of the temporary folder full?",
            )
        return EngineRun(
            samples=Samples(np.sort(records, order="due_us", kind="stable")),
            generator=GeneratorFacts(answer["cpu_s"], answer["wall_s"], answer["in_flight_s"]),
            elapsed_s=answer["elapsed_s"],
            stop_reason=answer["stop_reason"],
        )

    @property
    def _output(self) -> Any:  # noqa: ANN401 - a stream
        return self._process.stdout

    def _say(self, message: dict[str, Any]) -> None:
        stream = self._process.stdin
        if stream is None:
            raise EngineFailed("the load generator has no input")
        try:
            stream.write(json.dumps(message).encode() + b"\n")
            stream.flush()
        except (BrokenPipeError, OSError) as error:
            raise EngineFailed(f"the load generator is gone: {self._last_words()}") from error

    def _expect(self, event: str, within_s: float) -> None:
        answer = next(self._answers(within_s), None)
        if answer is None or answer["event"] != event:
            raise EngineFailed(f"the load generator did not start: {self._last_words()}")

    def _answers(self, silent_for_s: float = SILENT_FOR_S) -> Iterator[dict[str, Any]]:
        """Until the process ends. Raises EngineFailed when it says so, or falls silent."""
        heard_s = time.perf_counter()
        while True:
            if not self._selector.select(timeout=0.5):
                if time.perf_counter() - heard_s > silent_for_s:
                    raise EngineFailed(f"the load generator fell silent: {self._last_words()}")
                continue
            block = os.read(self._output.fileno(), 65536)
            if not block:
                return
            heard_s = time.perf_counter()
            *lines, self._rest = (self._rest + block).split(b"\n")
            for line in lines:
                answer: dict[str, Any] = json.loads(line)
                if answer["event"] == "failed":
                    raise EngineFailed(f"the load generator failed: {answer['message']}")
                yield answer

    def _last_words(self) -> str:
        lines = self._log.read_text(errors="replace").strip().splitlines()
        return lines[-1] if lines else f"exit status {self._process.poll()}, nothing logged"


def _progress(answer: dict[str, Any], file: Path) -> Progress:
    recorded = answer["recorded"]
    return Progress(
        elapsed_s=answer["elapsed_s"],
        recorded=recorded,
        in_flight=answer["in_flight"],
        dropped=answer["dropped"],
        read=lambda: np.fromfile(file, RECORD, count=recorded),
    )
