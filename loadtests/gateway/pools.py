"""Who of a stage gets the next request. Pure: what happens is told, the time with it."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from itertools import count
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar

import numpy as np
from typing_extensions import override

if TYPE_CHECKING:
    from loadtests.gateway.settings import Stage

__all__ = ["NOBODY", "THROTTLED", "AtRandom", "OneEach", "Pool", "Refusal", "Spread", "pool_of"]

NOBODY = 503
THROTTLED = 429
SEED = 20261121

Ticket = TypeVar("Ticket")


@dataclass(frozen=True, slots=True)
class Refusal:
    status: int
    reason: str


class Pool(Protocol[Ticket]):
    """A ticket stands for a request that waits."""

    def take(self, ticket: Ticket, now_s: float) -> int | Refusal | None:
        """The member that gets it; None where it waits."""

    def give_back(self, member: int, now_s: float) -> tuple[Ticket, int] | None:
        """Its answer is there; who waited and gets which member next."""

    def leave(self, ticket: Ticket) -> None:
        """Its caller has gone, while it waited."""

    def add(self, member: int, now_s: float) -> tuple[Ticket, int] | None: ...

    def remove(self, member: int) -> None:
        """It gets no more requests; those it has are its own matter."""

    def start_failed(self) -> Ticket | None:
        """A member that was wanted will not come: who waited for it in vain."""

    def wanted(self) -> int:
        """How many members to start, beyond those asked for before."""

    def idle(self, now_s: float) -> tuple[int, ...]:
        """Members that had nothing to do for too long; they are removed by this."""


class Spread(Generic[Ticket]):
    """Every member serves many at a time."""

    def __init__(self, *, least_outstanding: bool) -> None:
        self._least_outstanding = least_outstanding
        self._outstanding: dict[int, int] = {}
        self._last_turn: dict[int, int] = {}
        self._turns = count(1)

    def take(self, ticket: Ticket, now_s: float) -> int | Refusal | None:  # noqa: ARG002 - Pool's
        if not self._outstanding:
            return Refusal(NOBODY, "no instance is in service")
        member = min(self._outstanding, key=self._order)
        self._last_turn[member] = next(self._turns)
        self._outstanding[member] += 1
        return member

    def _order(self, member: int) -> tuple[int, int]:
        busy = self._outstanding[member] if self._least_outstanding else 0
        return busy, self._last_turn[member]

    def give_back(self, member: int, now_s: float) -> tuple[Ticket, int] | None:  # noqa: ARG002
        if member in self._outstanding:
            self._outstanding[member] -= 1
        return None

    def leave(self, ticket: Ticket) -> None:
        """Nobody waits here."""

    def add(self, member: int, now_s: float) -> tuple[Ticket, int] | None:  # noqa: ARG002
        self._outstanding[member] = 0
        self._last_turn[member] = 0
        return None

    def remove(self, member: int) -> None:
        self._outstanding.pop(member, None)
        self._last_turn.pop(member, None)

    def start_failed(self) -> Ticket | None:
        return None

    def wanted(self) -> int:
        return 0

    def idle(self, now_s: float) -> tuple[int, ...]:  # noqa: ARG002
        return ()


class AtRandom(Spread[Ticket]):
    """Whom chance takes, as SageMaker's routing has it unless told otherwise."""

    def __init__(self) -> None:
        super().__init__(least_outstanding=False)
        self._chance = np.random.default_rng(SEED)

    @override
    def _order(self, member: int) -> tuple[int, int]:
        return int(self._chance.integers(2**32)), member


class OneEach(Generic[Ticket]):
    """One request a member; members come when they are needed and go when they are not.

    A request that waits for a new member takes whichever is free first, the new one or one that
    has answered meanwhile. Of the free the one that worked last is taken, so that the others may
    grow old.
    """

    def __init__(self, most: int, least: int, idle_s: float | None) -> None:
        self._most, self._least, self._idle_s = most, least, idle_s
        self._free_since: dict[int, float] = {}  # the last to work comes last
        self._busy: set[int] = set()
        self._waiting: deque[Ticket] = deque()
        self._starting = 0

    @property
    def _in_flight(self) -> int:
        return len(self._busy) + len(self._waiting)

    def take(self, ticket: Ticket, now_s: float) -> int | Refusal | None:  # noqa: ARG002
        if self._in_flight >= self._most:
            return Refusal(THROTTLED, f"{self._most} requests are in progress, and no more may be")
        if self._free_since:
            member, _ = self._free_since.popitem()
            self._busy.add(member)
            return member
        self._waiting.append(ticket)
        return None

    def give_back(self, member: int, now_s: float) -> tuple[Ticket, int] | None:
        if member not in self._busy:
            return None
        self._busy.discard(member)
        return self._next(member, now_s)

    def leave(self, ticket: Ticket) -> None:
        self._waiting.remove(ticket)

    def add(self, member: int, now_s: float) -> tuple[Ticket, int] | None:
        self._starting = max(self._starting - 1, 0)
        return self._next(member, now_s)

    def _next(self, member: int, now_s: float) -> tuple[Ticket, int] | None:
        if self._waiting:
            self._busy.add(member)
            return self._waiting.popleft(), member
        self._free_since[member] = now_s
        return None

    def remove(self, member: int) -> None:
        self._busy.discard(member)
        self._free_since.pop(member, None)

    def start_failed(self) -> Ticket | None:
        self._starting = max(self._starting - 1, 0)
        return self._waiting.popleft() if len(self._waiting) > self._starting else None

    def wanted(self) -> int:
        have = len(self._busy) + len(self._free_since) + self._starting
        wanted = max(len(self._waiting) - self._starting, self._least - have, 0)
        self._starting += wanted
        return wanted

    def idle(self, now_s: float) -> tuple[int, ...]:
        if self._idle_s is None:
            return ()
        old = [m for m, since_s in self._free_since.items() if now_s - since_s >= self._idle_s]
        spare = len(self._busy) + len(self._free_since) - self._least
        gone = tuple(old[: max(spare, 0)])
        for member in gone:
            self.remove(member)
        return gone


def pool_of(stage: Stage) -> Pool[Ticket]:
    if stage.routing == "one_each" and stage.most is not None:
        return OneEach(stage.most, stage.least, stage.idle_s)
    if stage.routing == "random":
        return AtRandom()
    return Spread(least_outstanding=stage.routing == "least_outstanding")
