"""The generator's processes on this machine: started, listened to, ended.

Whoever starts one holds its input: when that is closed, by purpose or by a crash, it ends.
"""

from __future__ import annotations

import json
import os
import selectors
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Any

from loadtests.errors import EngineFailed, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from loadtests.journal import Journal

__all__ = ["GeneratorProcess", "Workers", "work_for"]

PROGRAM = (sys.executable, "-m", "loadtests.locustfile")
ALL_ADDRESSES = ("*", "0.0.0.0", "::")  # noqa: S104 - compared with, not bound to
MOST_WORKERS = 256


@dataclass(frozen=True, slots=True)
class Workers:
    """Who sends the load: `local` processes of this machine, `expected` ones started elsewhere.

    One local process and none elsewhere is the generator by itself. Else a master listens at
    bind_host:port (0: a port that is free) for its workers, and waits for those expected for
    wait_s. A worker takes jobs from whoever is its master and a master takes samples from whoever
    connects, so it listens to this machine only unless told otherwise.
    """

    local: int = 1
    expected: int = 0
    bind_host: str = "127.0.0.1"
    port: int = 0
    wait_s: float = 120.0

    def __post_init__(self) -> None:
        if min(self.local, self.expected) < 0 or not 1 <= self.count <= MOST_WORKERS:
            raise UsageError(
                f"{self.local} workers here and {self.expected} elsewhere send no load",
                hint=f"from 1 to {MOST_WORKERS} workers, here, elsewhere, or both",
            )

    @property
    def count(self) -> int:
        return self.local + self.expected

    @property
    def is_alone(self) -> bool:
        return self.local == 1 and self.expected == 0

    @property
    def local_host(self) -> str:
        """Where workers of this machine find the master."""
        return "127.0.0.1" if self.bind_host in ALL_ADDRESSES else self.bind_host


class GeneratorProcess:
    """One process of the load generator, noted in the journal while it is there.

    Answers are read here or, where `log` takes them, by nobody.
    """

    def __init__(
        self, role: tuple[str, ...], what: str, log: Path, journal: Journal, *, answers: bool
    ) -> None:
        self.what, self._log, self._journal = what, log, journal
        self._entry = journal.process(what)
        with log.open("wb") as file:
            self._process = subprocess.Popen(  # noqa: S603 - ours
                [*PROGRAM, *role],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE if answers else file,
                stderr=file,
                start_new_session=True,  # Ctrl-C is ours to handle, not the generator's
                env=_environment() | self._entry.token,
            )
        self.pid = self._process.pid

    @property
    def is_alive(self) -> bool:
        return self._process.poll() is None

    def fileno(self) -> int:
        """Of its answers, for a selector."""
        if self._process.stdout is None:
            raise EngineFailed(f"nobody listens to the {self.what}")
        return self._process.stdout.fileno()

    def say(self, message: dict[str, Any]) -> None:
        stream = self._process.stdin
        if stream is None:
            raise EngineFailed(f"the {self.what} has no input")
        try:
            stream.write(json.dumps(message).encode() + b"\n")
            stream.flush()
        except (BrokenPipeError, OSError) as error:
            raise EngineFailed(f"the {self.what} is gone: {self.last_words()}") from error

    def kill(self) -> None:
        self._process.kill()

    def end(self, within_s: float) -> None:
        """By itself, its input being closed, or else by force."""
        _close(self._process.stdin)
        try:
            self._process.wait(within_s)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        _close(self._process.stdout)
        self._journal.done(self._entry)

    def last_words(self) -> str:
        lines = self._log.read_text(errors="replace").strip().splitlines()
        return lines[-1] if lines else f"exit status {self._process.poll()}, nothing logged"


class Answers:
    """JSON lines of a process as they come."""

    def __init__(self, process: GeneratorProcess) -> None:
        self._process, self._rest = process, b""
        self._selector = selectors.DefaultSelector()
        self._selector.register(process, selectors.EVENT_READ)

    def close(self) -> None:
        self._selector.close()

    def read(self, silent_for_s: float, meanwhile: Callable[[], None]) -> Iterator[dict[str, Any]]:
        """Until the process ends. Raises EngineFailed when it says so, or falls silent.

        meanwhile: called at least twice a second.
        """
        heard_s = time.perf_counter()
        while True:
            is_ready = self._selector.select(timeout=0.5)
            meanwhile()
            if not is_ready:
                if time.perf_counter() - heard_s > silent_for_s:
                    raise EngineFailed(
                        f"the {self._process.what} fell silent: {self._process.last_words()}"
                    )
                continue
            block = os.read(self._process.fileno(), 65536)
            if not block:
                return
            heard_s = time.perf_counter()
            *lines, self._rest = (self._rest + block).split(b"\n")
            yield from map(self._understood, lines)

    def _understood(self, line: bytes) -> dict[str, Any]:
        answer: dict[str, Any] = json.loads(line)
        if answer["event"] == "failed":
            raise EngineFailed(f"the {self._process.what} failed: {answer['message']}")
        return answer


def work_for(
    host: str,
    port: int,
    name: str,
    wait_s: float,
    tell: Callable[[dict[str, Any]], None],
) -> None:
    """One worker for the master at host:port, until that one ends. Raises EngineFailed.

    tell: called with what the worker says, in the words of loadtests.locustfile.
    """
    with subprocess.Popen(  # noqa: S603 - ours
        [*PROGRAM, "worker", host, str(port), name, str(wait_s)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        start_new_session=True,  # Ctrl-C closes its input, and it ends
        env=_environment(),
    ) as process:
        try:
            for line in process.stdout or ():
                answer = json.loads(line)
                if answer["event"] == "failed":
                    raise EngineFailed(
                        f"this worker cannot go on: {answer['message']}",
                        hint="is a load test with --distributed running there, of this version?",
                    )
                tell(answer)
        finally:
            if process.stdin is not None:
                process.stdin.close()
            try:
                process.wait(2)
            except subprocess.TimeoutExpired:
                process.kill()


def _close(stream: IO[bytes] | None) -> None:
    if stream is not None:
        with suppress(OSError):  # what was not yet written to a process that is gone
            stream.close()


def _environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
