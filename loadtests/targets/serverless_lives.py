"""What became of each instance of a serverless configuration, told by several threads."""

from __future__ import annotations

import threading
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from loadtests.serverless.starts import Instance

if TYPE_CHECKING:
    from loadtests.errors import LoadTestError
    from loadtests.targets.protocol import Target

__all__ = ["Lives"]


class Lives:
    """begin -> made -> (ready | failed) -> out_of_service -> ended, of each number."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._lives: dict[int, Instance] = {}
        self._slots: dict[int, int] = {}
        self._targets: dict[int, Target] = {}
        self._problems: list[LoadTestError | OSError] = []  # since the last that became ready

    @property
    def in_service(self) -> tuple[int, ...]:
        """Ready and not ended, in the order of their start."""
        with self._changed:
            return self._in_service()

    def _in_service(self) -> tuple[int, ...]:
        return tuple(
            number
            for number, life in self._lives.items()
            if life.ready_s is not None and life.ended_s is None
        )

    def begin(self, number: int, slots: int) -> int:
        """Its start is ordered now. Returns its slot: of those that fewest have, the first."""
        with self._changed:
            taken = list(self._slots.values())
            slot = min(range(slots), key=lambda each: (taken.count(each), each))
            self._slots[number] = slot
            self._lives[number] = Instance(number, time.perf_counter())
            return slot

    def made(self, number: int, target: Target) -> None:
        with self._changed:
            self._targets[number] = target

    def ready(self, number: int) -> None:
        self._note(number, ready_s=time.perf_counter())
        with self._changed:
            self._problems.clear()

    def failed(self, number: int, problem: LoadTestError | OSError) -> None:
        with self._changed:
            self._problems.append(problem)
        self._note(number, failure=str(problem), ended_s=time.perf_counter())
        self._let_go(number)

    def out_of_service(self, number: int) -> None:
        """It gets no more requests, and is about to be stopped."""
        with self._changed:
            if self._lives[number].ended_s is None:
                self._note(number, ended_s=time.perf_counter())

    def ended(self, number: int) -> None:
        """Stopped, for whatever reason. What it used is kept."""
        self.out_of_service(number)
        self._let_go(number)

    def end_all(self) -> None:
        for number in tuple(self._lives):
            self.ended(number)

    def all(self) -> tuple[Instance, ...]:
        """In the order of their start; what the living have used so far is asked now."""
        with self._changed:
            return tuple(
                self._with_use(life, self._targets.get(life.number))
                for life in self._lives.values()
            )

    def wait_for(self, least: int) -> LoadTestError | OSError | None:
        """Until so many are in service, or a start has failed, and then by what."""
        with self._changed:
            self._changed.wait_for(lambda: self._problems or len(self._in_service()) >= least)
            return self._problems[-1] if self._problems else None

    def given_up(self, after: int) -> LoadTestError | OSError | None:
        """The last of so many starts that failed in a row."""
        with self._changed:
            return self._problems[-1] if len(self._problems) >= after else None

    def _note(self, number: int, **known: Any) -> None:  # noqa: ANN401 - fields of Instance
        with self._changed:
            self._lives[number] = replace(self._lives[number], **known)
            self._changed.notify_all()

    def _let_go(self, number: int) -> None:
        with self._changed:
            self._slots.pop(number, None)
            life, target = self._lives[number], self._targets.pop(number, None)
            self._lives[number] = self._with_use(life, target)

    @staticmethod
    def _with_use(life: Instance, target: Target | None) -> Instance:
        if target is None:
            return life
        used = target.usage()
        return replace(life, memory_peak_bytes=used.memory_peak_bytes, cpu_s=used.cpu_s)
