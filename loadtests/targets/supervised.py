"""Our end of the supervisor: starts it, reads its reports, tells it to stop."""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from loadtests.errors import TargetError, TargetExited
from loadtests.targets import supervisor as supervisor_program

if TYPE_CHECKING:
    from collections.abc import Mapping

    from loadtests.targets.supervisor import Order

__all__ = ["Exit", "Supervised"]

STARTED_WITHIN_S = 30.0
STOP_MARGIN_S = supervisor_program.UNKILLABLE_AFTER_S + 5.0


@dataclass(frozen=True, slots=True)
class Exit:
    """How the command ended.

    status, signal: one is None; both where nobody saw it, which `unseen` then says.
    left: names of processes it left running (they were then stopped).
    """

    status: int | None
    signal: int | None
    left: tuple[str, ...] = ()
    unseen: str = "its supervisor was killed from outside"


class Supervised:
    """A running command and the supervisor above it."""

    def __init__(self, order: Order, environment: Mapping[str, str]) -> None:
        """`environment`: the supervisor's own; the command's is in the order."""
        self._exit: Exit | None = None
        self._events: dict[str, dict[str, Any]] = {}
        self._unread = b""
        self._supervisor = subprocess.Popen(  # noqa: S603 - our own program
            [sys.executable, "-I", "-S", str(Path(supervisor_program.__file__))],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=dict(environment),
            start_new_session=True,  # Ctrl-C at the terminal is for us; we pass it on in order
        )
        self.pid = self._supervisor.pid
        self._order = order

    def start(self) -> None:
        """TargetExited where the command cannot be executed."""
        stdin, stdout = self._pipes()
        os.set_blocking(stdout, False)
        try:
            _write_all(stdin, json.dumps(self._order).encode() + b"\n")
        except BrokenPipeError:
            raise TargetError("the supervisor ended before it was told what to start") from None
        given_up = time.perf_counter() + STARTED_WITHIN_S
        while not self._events.keys() & {"started", "failed"}:
            left_s = given_up - time.perf_counter()
            if left_s <= 0 or self._supervisor.poll() is not None:
                self._drain()
                break
            select.select([stdout], [], [], min(left_s, 0.5))
            self._drain()
        if "started" in self._events:
            return
        reason = self._events.get("failed", {}).get("reason", "the supervisor did not start it")
        raise TargetExited(
            f"the command could not be started: {reason}",
            hint="check the command; it runs without a shell unless it uses shell syntax",
        )

    def exit(self) -> Exit | None:
        """How the command ended; None while it runs."""
        if self._exit is None:
            ended = self._supervisor.poll() is not None
            self._drain()
            if (event := self._events.get("exited")) is not None:
                self._exit = Exit(event["status"], event["signal"], tuple(event["left"]))
            elif ended:
                self._exit = Exit(None, None)
        return self._exit

    def interrupt(self, *, at_once: bool) -> None:
        """SIGTERM to the command; at_once: SIGKILL to it and all below. The supervisor stays."""
        number = signal.SIGKILL if at_once else signal.SIGTERM
        command = self._events.get("started", {}).get("pid")
        if command is None or self.exit() is not None:
            return
        supervisor_program.send(
            supervisor_program.descendants(self.pid) if at_once else [command], number
        )

    def stop(self, grace_s: float) -> None:
        """Close the pipe, which is the order to stop, and wait. Safe to call again."""
        if self._supervisor.stdin is not None:
            with contextlib.suppress(BrokenPipeError):
                self._supervisor.stdin.close()
        try:
            self._supervisor.wait(grace_s + STOP_MARGIN_S)
        except subprocess.TimeoutExpired:
            self._supervisor.send_signal(signal.SIGKILL)
            self._supervisor.wait()
        self.exit()
        if self._supervisor.stdout is not None:
            self._supervisor.stdout.close()

    def _pipes(self) -> tuple[int, int]:
        stdin, stdout = self._supervisor.stdin, self._supervisor.stdout
        if stdin is None or stdout is None:
            raise TargetError("the supervisor was started without its pipes")
        return stdin.fileno(), stdout.fileno()

    def _drain(self) -> None:
        stdout = self._supervisor.stdout
        if stdout is None or stdout.closed:
            return
        with contextlib.suppress(BlockingIOError):
            while chunk := os.read(stdout.fileno(), 65536):
                self._unread += chunk
        *lines, self._unread = self._unread.split(b"\n")
        for line in lines:
            event = json.loads(line)
            self._events[event["event"]] = event


def _write_all(fd: int, data: bytes) -> None:
    while data:
        data = data[os.write(fd, data) :]
