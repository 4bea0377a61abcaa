"""What is measured next: one run of load, not yet run.

The key names a step within its test: a step found in the store by its key is not run again.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from loadtests.arrivals import Arrivals
    from loadtests.stopping import StopRules
    from loadtests.traffic import Traffic
    from loadtests.users import AnyUsers

__all__ = ["ClosedStep", "OpenStep", "Step", "TrafficStep", "UsersStep"]


@dataclass(frozen=True, slots=True)
class ClosedStep:
    """So many senders, each waiting for its answer; ends at the first of the two limits.

    rows: records joined into each request; None: the payloads as they were given.
    """

    concurrency: int
    max_requests: int
    max_s: float
    rows: int | None = None

    @property
    def key(self) -> str:
        return f"closed-{self.concurrency}{_rows_key(self.rows)}"

    @property
    def text(self) -> str:
        requests = f"{self.concurrency} request{'s' if self.concurrency > 1 else ''}"
        return f"{requests} at a time{_rows_text(self.rows)}"


@dataclass(frozen=True, slots=True)
class OpenStep:
    """A steady rate. floor: requests before an early decision about the SLO."""

    rate_rps: float
    duration_s: float
    floor: int

    @property
    def key(self) -> str:
        return f"open-{self.rate_rps:.6g}"

    @property
    def text(self) -> str:
        return f"open loop at {self.rate_rps:.3g} req/s, {math.ceil(self.duration_s)} s at most"


@dataclass(frozen=True, slots=True)
class TrafficStep:
    """Traffic of any shape, sent as it falls due. Repeats differ in their seeds only."""

    traffic: Traffic
    arrivals: Arrivals
    duration_s: float
    rules: StopRules
    repeat: int = 1

    @property
    def key(self) -> str:
        return f"traffic-{self.repeat}"

    @property
    def text(self) -> str:
        return f"{self.traffic.text}, {math.ceil(self.duration_s)} s{_again(self.repeat)}"


@dataclass(frozen=True, slots=True)
class UsersStep:
    """Users who come and go, each waiting for its answer before it asks again. rows: as above."""

    users: AnyUsers
    rules: StopRules
    repeat: int = 1
    rows: int | None = None

    @property
    def key(self) -> str:
        return f"users-{self.repeat}{_rows_key(self.rows)}"

    @property
    def text(self) -> str:
        return f"{self.users.text}{_again(self.repeat)}{_rows_text(self.rows)}"


Step = ClosedStep | OpenStep | TrafficStep | UsersStep


def _again(repeat: int) -> str:
    return f", repeat {repeat}" if repeat > 1 else ""


def _rows_key(rows: int | None) -> str:
    return "" if rows is None else f"-rows-{rows}"


def _rows_text(rows: int | None) -> str:
    return "" if rows is None else f", {rows} row{'s' if rows > 1 else ''} each"
