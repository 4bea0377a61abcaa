"""A demo server as a process of its own on this machine, for as long as it is wanted."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import psutil

from loadtests.demo_server.truth import read_truth
from loadtests.errors import TargetExited, TargetNotReady, TargetUnreachable
from loadtests.ports import free_port

if TYPE_CHECKING:
    from collections.abc import Iterator

    from loadtests.demo_server import DemoServer
    from loadtests.journal import Journal

__all__ = ["ServedDemo", "serving"]

LOOPBACK = "127.0.0.1"
READY_WITHIN_S = 20.0
LOOK_EVERY_S = 0.02
ENDS_WITHIN_S = 2.0


@dataclass(frozen=True, slots=True)
class ServedDemo:
    settings: DemoServer
    base_url: str
    process: psutil.Process

    @property
    def cpu_s(self) -> float:
        """Used so far."""
        used = self.process.cpu_times()
        return float(used.user + used.system)


@contextmanager
def serving(
    settings: DemoServer, journal: Journal, cores: tuple[int, ...] | None = None
) -> Iterator[ServedDemo]:
    """cores: it keeps to these. In no control group: it may be given real-time priority.

    Raises TargetExited, TargetNotReady.
    """
    port = free_port()
    entry = journal.process("demo server")
    with subprocess.Popen(  # noqa: S603 - ours
        settings.command(str(port)),
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,  # Ctrl-C is ours to handle
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path)), **entry.token},
    ) as process:
        try:
            if cores is not None:
                os.sched_setaffinity(process.pid, cores)
            base_url = f"http://{LOOPBACK}:{port}"
            _wait(process, base_url)
            yield ServedDemo(settings, base_url, psutil.Process(process.pid))
        finally:
            process.terminate()
            try:
                process.wait(ENDS_WITHIN_S)
            except subprocess.TimeoutExpired:
                process.kill()
            journal.done(entry)


def _wait(process: subprocess.Popen[str], base_url: str) -> None:
    ends_s = time.perf_counter() + READY_WITHIN_S
    while True:
        try:
            read_truth(base_url)
        except TargetUnreachable as error:
            if process.poll() is not None:
                said = "" if process.stderr is None else process.stderr.read().strip()
                raise TargetExited(f"the demo server ended at once: {said}") from error
            if time.perf_counter() > ends_s:
                raise TargetNotReady(
                    f"the demo server did not answer within {READY_WITHIN_S:.0f} s"
                ) from error
            time.sleep(LOOK_EVERY_S)
        else:
            return
