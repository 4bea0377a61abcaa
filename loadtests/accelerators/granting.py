"""A share of a GPU, given for as long as a block lasts."""

from __future__ import annotations

import os
import subprocess
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from loadtests.accelerators.devices import find_gpus
from loadtests.accelerators.shares import VISIBLE, plan_share
from loadtests.errors import LimitUnavailable, TargetDied, TargetError
from loadtests.targets.supervised import Supervised

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from loadtests.accelerators.devices import Found
    from loadtests.accelerators.shares import Accelerator, SharePlan
    from loadtests.journal import Journal

__all__ = ["Grant", "granted"]

PIPES, LOGS, LOG = "mps", "mps-log", "mps-control.log"
PIPE_VARIABLE, LOG_VARIABLE = "CUDA_MPS_PIPE_DIRECTORY", "CUDA_MPS_LOG_DIRECTORY"
PID_FILE = "nvidia-cuda-mps-control.pid"  # written once the daemon answers
STARTED_WITHIN_S = 10.0
ANSWERS_WITHIN_S = 5.0
LOOK_EVERY_S = 0.02
GRACE_S = 3.0
LAST_LINES = 5


@dataclass(frozen=True)
class Grant:
    """environment: over a target's own; all it needs, whatever its kind.

    words: what was given, for a person. assumption: where a size was translated.
    folder: of MPS's pipes, None without MPS. A container needs it at the same path, and the
    host's IPC namespace.
    """

    environment: Mapping[str, str]
    words: str
    share_ratio: float
    memory_bytes: int
    assumption: str | None = None
    folder: Path | None = None
    _daemon: _Daemon | None = field(default=None, repr=False)

    def check(self) -> None:
        """To be asked while the target serves. Raises TargetDied where the share does not hold.

        CUDA runs a program that finds no daemon on the whole GPU, and does not say so.
        """
        if self._daemon is not None:
            self._daemon.check()


@contextmanager
def granted(
    asked: Accelerator, journal: Journal, folder: Path, found: Found | None = None
) -> Iterator[Grant]:
    """folder: the caller's, for MPS. Raises LimitUnavailable where it cannot be given here."""
    found = find_gpus() if found is None else found
    plan = plan_share(asked, found)
    if not plan.mps or found.mps is None:
        yield _grant(plan)
        return
    daemon = _Daemon(found.mps, plan, folder)
    try:
        daemon.start(journal)
        yield _grant(plan, daemon)
    finally:
        daemon.stop(journal)


def _grant(plan: SharePlan, daemon: _Daemon | None = None) -> Grant:
    return Grant(
        environment=plan.environment | ({} if daemon is None else daemon.place),
        words=plan.words,
        share_ratio=plan.share_ratio,
        memory_bytes=plan.memory_bytes,
        assumption=plan.assumption,
        folder=None if daemon is None else daemon.pipes,
        _daemon=daemon,
    )


class _Daemon:
    """MPS's control daemon of our own, beside any other: its pipes are in a folder of its own.

    It starts a server for its first client, which carries the journal's token as the daemon does.
    """

    def __init__(self, program: str, plan: SharePlan, folder: Path) -> None:
        self._program, self._plan = program, plan
        self.pipes, self._log = folder / PIPES, folder / LOG
        self._logs = folder / LOGS
        self._supervised: Supervised | None = None

    @property
    def place(self) -> dict[str, str]:
        return {PIPE_VARIABLE: str(self.pipes), LOG_VARIABLE: str(self._logs)}

    def start(self, journal: Journal) -> None:
        for each in (self.pipes, self._logs):
            each.mkdir(parents=True, exist_ok=True)
        self._entry = journal.process("MPS control daemon")
        # The daemon sees the one GPU by its UUID, and so may its clients by the same name.
        own = self.place | {VISIBLE: self._plan.environment[VISIBLE]} | self._entry.token
        self._supervised = Supervised(
            {
                "arguments": [self._program, "-f"],
                "environment": os.environ | own,
                "directory": None,
                "log": str(self._log),
                "join": [],
                "cores": [],
                "niceness": 0,
                "grace_s": GRACE_S,
            },
            os.environ | self._entry.token,
        )
        self._entry = journal.supervised_by(self._entry, self._supervised.pid)
        self._supervised.start()
        self._wait()

    def _wait(self) -> None:
        ends_s = time.perf_counter() + STARTED_WITHIN_S
        while not (self.pipes / PID_FILE).exists():
            if self._ended or time.perf_counter() > ends_s:
                what = "ended at once" if self._ended else "did not answer"
                raise LimitUnavailable(
                    f"the share cannot be given: MPS's control daemon {what}{self._said}",
                    hint="is another user's MPS running on this GPU? Use the whole GPU otherwise",
                )
            time.sleep(LOOK_EVERY_S)

    @property
    def _ended(self) -> bool:
        return self._supervised is None or self._supervised.exit() is not None

    @property
    def _said(self) -> str:
        lines = self._log.read_text(errors="replace").splitlines() if self._log.exists() else []
        last = [line for line in lines if line.strip()][-LAST_LINES:]
        return ": " + " / ".join(last) if last else ""

    def check(self) -> None:
        if self._ended:
            raise TargetDied(
                f"MPS's control daemon ended, and the target's share with it{self._said}"
            )
        if not self._ask("get_server_list").strip():
            raise TargetDied(
                "nothing came to MPS's control daemon: the target does not use the GPU, or it "
                "uses all of it",
                hint="a container needs the grant's folder at the same path, and the host's IPC",
            )

    def _ask(self, command: str) -> str:
        try:
            answer = subprocess.run(  # noqa: S603 - the driver's own
                [self._program],
                input=f"{command}\n",
                env=os.environ | self.place,
                capture_output=True,
                text=True,
                check=False,
                timeout=ANSWERS_WITHIN_S,
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise TargetError(f"MPS's control daemon does not answer: {error}") from error
        return answer.stdout

    def stop(self, journal: Journal) -> None:
        """May be called for one that never started."""
        if self._supervised is not None:
            with suppress(TargetError):  # it, and its server, are ended in any case
                self._ask("quit")
            self._supervised.stop(GRACE_S)
            self._supervised = None
            journal.clean(self._entry)
