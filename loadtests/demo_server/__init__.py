"""A server whose every service time, and so every true latency, is known.

Requests pass through a first-come-first-served queue with a fixed number of servers, which exists
only in arithmetic (`virtual_queue`); their service times are exact draws from a seeded generator
(`service_times`); each reply leaves at the computed instant (`timer`). What a client should have
measured can be asked for at GET /truth.
"""

from __future__ import annotations

import math
import sys
from dataclasses import dataclass, fields
from http import HTTPStatus

from loadtests.demo_server.service_times import ServiceTime
from loadtests.demo_server.virtual_queue import StallSchedule
from loadtests.errors import UsageError

__all__ = ["DemoServer", "ServiceTime", "StallSchedule"]


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoServer:
    """How a demo server is to behave; `command` starts it.

    service: see `service_times`; stall: "every_s:for_s", frozen for the end of each period.
    error_rate: share of requests answered with 500, after their service time.
    fail_after: answers this many invocations, then dies with status 1 at the next.
    ping_delay_s, ping_status: of each answer to /ping. setup_s: passes before it listens.
    queue_limit: requests waiting for a server beyond which a new one gets 503 at once.
    log: a file that gets one JSON line per invocation.
    """

    servers: int = 1
    service: str = "exp:0.005"
    seed: int = 0
    stall: str | None = None
    error_rate: float = 0.0
    fail_after: int | None = None
    ping_delay_s: float = 0.0
    ping_status: int = 200
    setup_s: float = 0.0
    queue_limit: int | None = None
    log: str | None = None

    def __post_init__(self) -> None:
        ServiceTime.parse(self.service)
        if self.stall is not None:
            StallSchedule.parse(self.stall)
        if not 0 <= self.error_rate <= 1:
            raise UsageError(f"an error rate is from 0 to 1, not {self.error_rate}")
        if self.ping_status not in {status.value for status in HTTPStatus}:
            raise UsageError(f"{self.ping_status} is not an HTTP status")
        for name in ("seed", "fail_after", "queue_limit", "ping_delay_s", "setup_s"):
            value = getattr(self, name)
            if value is not None and not (math.isfinite(value) and value >= 0):
                raise UsageError(f"{name} cannot be {value}: it must be 0 or more")
        if self.servers < 1:
            raise UsageError(f"at least one server is needed, not {self.servers}")

    @property
    def service_time(self) -> ServiceTime:
        return ServiceTime.parse(self.service)

    def command(
        self, port_placeholder: str = "{port}", python: str = sys.executable
    ) -> tuple[str, ...]:
        options = [python, "-m", "loadtests.demo_server", "--port", port_placeholder]
        for field in fields(self):
            value = getattr(self, field.name)
            if value is not None and value != field.default:
                flag = "--" + field.name.removesuffix("_s").replace("_", "-")
                options += [flag, str(value)]
        return tuple(options)
