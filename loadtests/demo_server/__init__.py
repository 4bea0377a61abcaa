"""A server whose every service time, and so every true latency, is known.

Requests pass through a first-come-first-served queue with a fixed number of servers, which exists
only in arithmetic (`virtual_queue`); their service times are exact draws from a seeded generator
(`service_times`); each reply leaves at the computed instant (`timer`). What a client should have
measured can be asked for at GET /truth (`truth`); what it can carry follows from its settings
(`theory`). With a `ttft` it streams (`speech`): as an OpenAI-compatible language server at
/v1/chat/completions and /v1/completions, and in plain chunks at /invocations; GET /truth/streams
and GET /truth/gaps tell when tokens really left. `process` runs one beside a test.
"""

from __future__ import annotations

import math
import sys
from dataclasses import dataclass, fields
from http import HTTPStatus

from loadtests.demo_server.service_times import ServiceTime
from loadtests.demo_server.speech import TokenCount
from loadtests.demo_server.virtual_queue import Cliff, Windows
from loadtests.errors import UsageError

__all__ = ["Cliff", "DemoServer", "ServiceTime", "Windows"]

SUFFIXES = ("_s", "_bytes", "_per_hour")  # units, which a flag leaves out
TRUTH_LIMIT = 2_000_000
LEAST = {"servers": 1, "truth_limit": 1, "tokens_per_chunk": 1} | dict.fromkeys(
    (
        "seed", "fail_after", "queue_limit", "ping_delay_s", "setup_s", "drift_per_hour",
        "leak_bytes", "error_rate", "cut_rate", "per_row_s", "row_limit",
    ), 0,
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoServer:
    """How a demo server is to behave; `command` starts it.

    service: see `service_times`. Periods are counted from the server's start.
    stall: "every_s:for_s", frozen for the end of each period.
    cliff: "n:factor", services take factor times as long while more than n are in the system.
    drift_per_hour: the mean service time grows by this share of itself in an hour, evenly, from
    the start or the last reset of the truth; what a request takes is settled on its arrival.
    leak_bytes: really allocated and never given back, for each invocation, 64 KiB at a time.
    error_rate: share of requests answered with 500, after their service time.
    error_burst: "every_s:for_s", so is whatever arrives at the end of each period.
    fail_after: answers this many invocations, then dies with status 1 at the next.
    ping_delay_s, ping_status: of each answer to /ping. setup_s: passes before it listens.
    queue_limit: requests waiting for a server beyond which a new one gets 503 at once.
    per_row_s: each line of a body costs so much more than the service time that was drawn.
    row_limit: bodies of more lines get 413 at once.
    ttft: it streams, and this is the law of the time from the start of a service to its first
    token. itl: of the gaps between steps; without it all tokens come with the first. tokens: of an
    answer, "N" or evenly "FEWEST:MOST", never more than a request's max_tokens. tokens_per_chunk:
    made in a step and sent in one chunk. cut_rate: share of streams whose connection is closed
    halfway. no_usage: never tells how many tokens there were. Service times are then those of the
    tokens, and servers is how many streams there are at once.
    truth_limit: how many requests GET /truth remembers, 64 bytes each, touched as they come.
    log: a file that gets one JSON line per invocation.
    """

    servers: int = 1
    service: str = "exp:0.005"
    seed: int = 0
    stall: str | None = None
    cliff: str | None = None
    drift_per_hour: float = 0.0
    leak_bytes: int = 0
    error_rate: float = 0.0
    error_burst: str | None = None
    fail_after: int | None = None
    ping_delay_s: float = 0.0
    ping_status: int = 200
    setup_s: float = 0.0
    queue_limit: int | None = None
    per_row_s: float = 0.0
    row_limit: int | None = None
    ttft: str | None = None
    itl: str | None = None
    tokens: str = "16"
    tokens_per_chunk: int = 1
    cut_rate: float = 0.0
    no_usage: bool = False
    truth_limit: int = TRUTH_LIMIT
    log: str | None = None

    def __post_init__(self) -> None:
        self._check_texts()
        for name, least in LEAST.items():
            value = getattr(self, name)
            if value is not None and not (math.isfinite(value) and value >= least):
                raise UsageError(f"{name} cannot be {value}: it must be {least} or more")
        for name in ("error_rate", "cut_rate"):
            if getattr(self, name) > 1:
                said = name.replace("_", " ")
                raise UsageError(f"an {said} is from 0 to 1, not {getattr(self, name)}")
        if self.ping_status not in {status.value for status in HTTPStatus}:
            raise UsageError(f"{self.ping_status} is not an HTTP status")

    def _check_texts(self) -> None:
        TokenCount.parse(self.tokens)
        for law in (self.service, self.ttft, self.itl):
            if law is not None:
                ServiceTime.parse(law)
        for spec in (self.stall, self.error_burst):
            if spec is not None:
                Windows.parse(spec)
        if self.cliff is not None:
            Cliff.parse(self.cliff)

    @property
    def service_time(self) -> ServiceTime:
        return ServiceTime.parse(self.service)

    @property
    def first_token_time(self) -> ServiceTime | None:
        return None if self.ttft is None else ServiceTime.parse(self.ttft)

    @property
    def gap_time(self) -> ServiceTime | None:
        return None if self.itl is None else ServiceTime.parse(self.itl)

    @property
    def stalls(self) -> Windows | None:
        return None if self.stall is None else Windows.parse(self.stall)

    @property
    def error_bursts(self) -> Windows | None:
        return None if self.error_burst is None else Windows.parse(self.error_burst)

    @property
    def cliff_edge(self) -> Cliff | None:
        return None if self.cliff is None else Cliff.parse(self.cliff)

    @property
    def stable_rps(self) -> float:
        """Arrivals beyond it pile up: servers/mean service time, less the time of stalls.

        At the start; a mean that drifts takes it along. Below the cliff, where there is one.
        """
        stalls = self.stalls
        worked = 1.0 if stalls is None else stalls.outside_ratio
        return self.servers * worked / self.service_time.mean_s

    @property
    def collapsed_rps(self) -> float | None:
        """What is served beyond the cliff; only arrivals below it climb back. None: no cliff."""
        edge = self.cliff_edge
        return None if edge is None else self.stable_rps / edge.factor

    def command(
        self, port_placeholder: str = "{port}", python: str = sys.executable
    ) -> tuple[str, ...]:
        options = [python, "-m", "loadtests.demo_server", "--port", port_placeholder]
        for field in fields(self):
            value = getattr(self, field.name)
            if value is True:
                options.append(_flag(field.name))
            elif value is not None and value != field.default:
                options += [_flag(field.name), str(value)]
        return tuple(options)


def _flag(name: str) -> str:
    for suffix in SUFFIXES:
        name = name.removesuffix(suffix)
    return "--" + name.replace("_", "-")
