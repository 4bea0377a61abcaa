"""Podman answers on a socket only while its service runs: one of our own, where nobody has one."""

from __future__ import annotations

import os
import subprocess
import time
from contextlib import ExitStack
from typing import TYPE_CHECKING

from loadtests.errors import EngineUnavailable
from loadtests.targets.diagnosis import last_lines, quoted

if TYPE_CHECKING:
    from pathlib import Path

    from loadtests.journal import Journal

__all__ = ["PodmanService"]

STARTED_WITHIN_S = 30.0
LOOK_EVERY_S = 0.02
STOP_GRACE_S = 5.0
SOCKET = "podman.sock"
LONGEST_SOCKET = 107  # sun_path of unix(7), less the byte that ends it
LOG = "service.log"


class PodmanService:
    """Images and containers are the user's own, whoever's service they are asked through.

    Not under a supervisor, as a command is: that would end with us the containers' monitors too,
    and without its monitor a container's groups stay behind. After a crash the journal ends it.
    """

    def __init__(self, podman: str, journal: Journal) -> None:
        self._podman = podman
        self._journal = journal
        self._held = ExitStack()
        self._service: subprocess.Popen[bytes] | None = None
        self._folder: Path | None = None
        self._given_up_s = 0.0

    def start(self) -> Path:
        """Its socket, which does not answer yet."""
        # A socket's path must be short: not one below a folder of the user's.
        self._folder = folder = self._held.enter_context(self._journal.workspace())
        if len(str(folder / SOCKET)) > LONGEST_SOCKET:
            raise EngineUnavailable(
                f"{folder / SOCKET} is too long a name for a socket, and Podman needs one there",
                hint="let TMPDIR name a folder with a shorter path",
            )
        entry = self._journal.process("podman system service")
        self._held.callback(self._journal.clean, entry)
        socket = folder / SOCKET
        with (folder / LOG).open("wb") as log:
            self._service = subprocess.Popen(  # noqa: S603 - the user's own podman
                [self._podman, "system", "service", "--time=0", f"unix://{socket}"],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=os.environ | entry.token,
                cwd=folder,  # where a container's monitor notes that it was out of memory
                start_new_session=True,  # Ctrl-C is for us: its containers are to be removed first
            )
        self._given_up_s = time.perf_counter() + STARTED_WITHIN_S
        return socket

    def wait_a_moment(self) -> None:
        """Raises EngineUnavailable when there is nothing left to wait for."""
        ended = self._service is None or self._service.poll() is not None
        if ended or time.perf_counter() > self._given_up_s:
            raise EngineUnavailable(
                "`podman system service` does not come up" + quoted(self._log()),
                hint="does `podman info` work for this user?",
            )
        time.sleep(LOOK_EVERY_S)

    def _log(self) -> tuple[str, ...]:
        log = None if self._folder is None else self._folder / LOG
        return last_lines(log.read_text(errors="replace")) if log and log.exists() else ()

    def stop(self) -> None:
        """May be called again."""
        if self._service is not None:
            self._service.terminate()
            try:
                self._service.wait(STOP_GRACE_S)
            except subprocess.TimeoutExpired:
                self._service.kill()
                self._service.wait()
            self._service = None
        self._held.close()
