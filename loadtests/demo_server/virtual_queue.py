"""A first-come-first-served queue with c servers, worked out instead of lived through.

    start  = max(arrival, earliest instant at which a server is free)
    finish = start + service time

Nothing here reads a clock. Instants are seconds on any one clock; arrivals must not go backwards.
"""

from __future__ import annotations

import heapq
import math
from collections import deque
from dataclasses import dataclass
from typing import NamedTuple

from loadtests.errors import UsageError

__all__ = ["Cliff", "Passage", "VirtualQueue", "Windows"]


class Passage(NamedTuple):
    arrival_s: float
    start_s: float
    finish_s: float

    @property
    def latency_s(self) -> float:
        return self.finish_s - self.arrival_s


@dataclass(frozen=True, slots=True)
class Windows:
    """The last `for_s` of every period of `every_s`, counted from instant 0.

    Where all work stops in them, time outside them is called worked time. It is what services
    consume, so a request caught in a stall ends that much later, and those behind it too.
    """

    every_s: float
    for_s: float

    def __post_init__(self) -> None:
        if not (math.isfinite(self.every_s) and 0 < self.for_s < self.every_s):
            raise UsageError(
                f"{self.for_s} s in every {self.every_s} s is not possible",
                hint="a window must be above 0 s and shorter than its period",
            )

    @classmethod
    def parse(cls, spec: str) -> Windows:
        return cls(*_two_numbers(spec, "EVERY_S:FOR_S, such as 10:1"))

    @property
    def outside_ratio(self) -> float:
        return 1 - self.for_s / self.every_s

    def holds(self, instant_s: float) -> bool:
        return instant_s % self.every_s >= self.every_s - self.for_s

    def worked_s(self, instant_s: float) -> float:
        periods, into_s = divmod(instant_s, self.every_s)
        working_s = self.every_s - self.for_s
        return periods * working_s + min(into_s, working_s)

    def instant_s(self, worked_s: float) -> float:
        """The last instant by which that much has been worked: a stall's end, not its start."""
        working_s = self.every_s - self.for_s
        periods, into_s = divmod(worked_s, working_s)
        return periods * self.every_s + into_s


@dataclass(frozen=True, slots=True)
class Cliff:
    """Services take `factor` times as long for whoever makes it more than `above` in the system.

    Settled on arrival, for the whole of the service. Long services keep the system full, so what
    went over the cliff climbs back only when arrivals fall below the rate of the slow services:
    congestion collapse, with its hysteresis.
    """

    above: int
    factor: float

    def __post_init__(self) -> None:
        if self.above < 0 or not (math.isfinite(self.factor) and self.factor > 0):
            raise UsageError(
                f"a cliff of {self.factor:g} times above {self.above} is not possible",
                hint="a cliff is a number of requests, and a factor above 0",
            )

    @classmethod
    def parse(cls, spec: str) -> Cliff:
        above, factor = _two_numbers(spec, "N:FACTOR, such as 16:3")
        if above != int(above):
            raise UsageError(f"a cliff is above a whole number of requests, not {above:g}")
        return cls(int(above), factor)


def _two_numbers(spec: str, expected: str) -> tuple[float, float]:
    try:
        first, second = (float(part) for part in spec.split(":"))
    except ValueError as error:
        raise UsageError(f"{spec!r} is not understood", hint=f"expected {expected}") from error
    if not (math.isfinite(first) and math.isfinite(second)):
        raise UsageError(f"{spec!r} is not finite", hint=f"expected {expected}")
    return first, second


class VirtualQueue:
    def __init__(
        self,
        servers: int,
        *,
        stall: Windows | None = None,
        waiting_limit: int | None = None,
        cliff: Cliff | None = None,
    ) -> None:
        if servers < 1:
            raise UsageError(f"a queue needs at least one server, not {servers}")
        if waiting_limit is not None and waiting_limit < 0:
            raise UsageError(f"a queue limit cannot be below 0, as {waiting_limit} is")
        self._free_s = [-math.inf] * servers  # a heap, in worked time
        self._stall = stall
        self._waiting_limit = waiting_limit
        self._starts_s: deque[float] = deque()  # of those still waiting at the last arrival
        self._cliff = cliff
        self._finishes_s: list[float] = []  # a heap, of those still there at the last arrival

    def admit(self, arrival_s: float, service_s: float) -> Passage:
        """What becomes of a request; one that `is_full` would turn away must not come here."""
        if self._cliff is not None and self._present(arrival_s) >= self._cliff.above:
            service_s *= self._cliff.factor
        if self._stall is None:
            start_s = max(arrival_s, self._free_s[0])
            passage = Passage(arrival_s, start_s, start_s + service_s)
            heapq.heapreplace(self._free_s, passage.finish_s)
        else:
            passage = self._admit_between_stalls(self._stall, arrival_s, service_s)
        if self._waiting_limit is not None:
            self._starts_s.append(passage.start_s)
        if self._cliff is not None:
            heapq.heappush(self._finishes_s, passage.finish_s)
        return passage

    def is_full(self, arrival_s: float) -> bool:
        """Would a request arriving now find every server busy and the waiting room full?"""
        if self._waiting_limit is None:
            return False
        # Served in order of arrival, so starts never decrease: the first ones start first.
        while self._starts_s and self._starts_s[0] <= arrival_s:
            self._starts_s.popleft()
        return len(self._starts_s) >= self._waiting_limit and self._is_busy(arrival_s)

    def _present(self, arrival_s: float) -> int:
        while self._finishes_s and self._finishes_s[0] <= arrival_s:
            heapq.heappop(self._finishes_s)
        return len(self._finishes_s)

    def _is_busy(self, arrival_s: float) -> bool:
        now_s = arrival_s if self._stall is None else self._stall.worked_s(arrival_s)
        return self._free_s[0] > now_s

    def _admit_between_stalls(self, stall: Windows, arrival_s: float, service_s: float) -> Passage:
        start_worked_s = max(stall.worked_s(arrival_s), self._free_s[0])
        finish_worked_s = start_worked_s + service_s
        heapq.heapreplace(self._free_s, finish_worked_s)
        # Rounding in the two conversions must not let a request start before it came.
        start_s = max(arrival_s, stall.instant_s(start_worked_s))
        return Passage(arrival_s, start_s, max(start_s, stall.instant_s(finish_worked_s)))
