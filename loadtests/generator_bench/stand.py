"""Where the bench runs: a demo server on one core, the load generator on another."""

from __future__ import annotations

import os
import time
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import psutil

from loadtests.demo_server.process import serving
from loadtests.monitor import CoreClock, Neighbours
from loadtests.targets.limits import capabilities

if TYPE_CHECKING:
    from collections.abc import Iterator

    from loadtests.demo_server import DemoServer
    from loadtests.demo_server.process import ServedDemo
    from loadtests.journal import Journal

__all__ = [
    "GENERATOR",
    "PRIORITY",
    "SERVER",
    "Stand",
    "Watch",
    "processes",
    "put_back",
    "put_first",
    "standing",
]

SERVER = "loadtests.demo_server"
GENERATOR = "loadtests.locustfile"
PRIORITY = 10  # of SCHED_FIFO: above every ordinary program, below the kernel's own threads


@dataclass(frozen=True)
class Stand:
    """The two are the same core where this machine has but one."""

    demo: ServedDemo
    server_core: int
    generator_core: int

    @property
    def base_url(self) -> str:
        return self.demo.base_url

    @property
    def cores(self) -> tuple[int, ...]:
        return tuple(sorted({self.server_core, self.generator_core}))


@contextmanager
def standing(settings: DemoServer, journal: Journal) -> Iterator[Stand]:
    cores = capabilities().cores  # the first serves most interrupts
    with serving(settings, journal, cores[-1:]) as demo:
        yield Stand(demo, cores[-1], cores[0])


def processes(marker: str) -> list[psutil.Process]:
    """Of this program's descendants, those whose command names it."""
    found = []
    for process in psutil.Process().children(recursive=True):
        try:
            if marker in process.cmdline():
                found.append(process)
        except psutil.NoSuchProcess:
            continue
    return found


def put_first(*markers: str) -> bool:
    """Real-time priority for our own descendants so named; False where that is not permitted.

    What another program does on their cores then no longer delays them.
    """
    return _schedule(markers, os.SCHED_FIFO, PRIORITY)


def put_back(*markers: str) -> bool:
    """Ordinary priority again: who takes all of a core must leave some of it to others."""
    return _schedule(markers, os.SCHED_OTHER, 0)


def _schedule(markers: tuple[str, ...], policy: int, priority: int) -> bool:
    try:
        for marker in markers:
            for process in processes(marker):
                for thread in process.threads():
                    os.sched_setscheduler(thread.id, policy, os.sched_param(priority))
    except (PermissionError, ProcessLookupError, psutil.NoSuchProcess):
        return False
    return True


class Watch:
    """Who else used the cores, from its making until asked."""

    def __init__(self, stand: Stand) -> None:
        self._stand = stand
        self._clock = CoreClock.read(stand.cores)
        self._server_s = stand.demo.cpu_s
        self._began_s = time.perf_counter()

    def neighbour_share(self, generator_s: float) -> float:
        """generator_s: CPU time of the load generator meanwhile."""
        now = CoreClock.read(self._stand.cores)
        ours_s = self._stand.demo.cpu_s - self._server_s
        ours_s += generator_s + now.own_s - self._clock.own_s
        others_s = now.busy_s - self._clock.busy_s - ours_s
        elapsed_s = time.perf_counter() - self._began_s
        return Neighbours(others_s, len(self._stand.cores), elapsed_s).share
