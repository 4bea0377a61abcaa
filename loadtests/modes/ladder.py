"""Closed-loop runs at rising concurrency: what the server can do at most, and how.

Every mode that looks for a limit climbs the same ladder first.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import numpy as np

from loadtests.errors import InvalidMeasurement
from loadtests.host_change import HostChange, working_ratio
from loadtests.pace import middle_pace_s
from loadtests.queueing import Queue, latency_curve
from loadtests.steps import ClosedStep

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from loadtests.measurement import Measurement
    from loadtests.queueing import LatencyCurve
    from loadtests.steps import Step

__all__ = [
    "FEWEST_RUNGS",
    "Evidence",
    "LadderSettings",
    "ServiceModel",
    "is_answered",
    "ladder_of",
    "next_rung",
    "service_model",
    "throughput_error",
]

FLAT = 1.05  # throughput gained by doubling concurrency, below which it is flat
MOST_SERVERS = 64
FEWEST_RUNGS = 2


@dataclass(frozen=True, slots=True)
class Evidence:
    """A finished step. service_s: its service times, successes only, shape (n,)."""

    step: Step
    measurement: Measurement
    service_s: NDArray[np.float64]

    @property
    def working_ratio(self) -> float:
        """The share of the server's time that a faster host would shorten; 0 is not known."""
        each_s, busy = self.measurement.cpu_s_per_request, self.measurement.cpu_busy_vcpus
        if each_s is None or busy is None or len(self.service_s) == 0:
            return 0.0
        return working_ratio(self.service_s, each_s, busy)

    def felt(self, pace_s: float | None) -> float:
        """Times as long as services would have taken on a host of that pace (`Pace.mean_s`)."""
        return HostChange(self.measurement.slowness(pace_s), self.working_ratio).felt


@dataclass(frozen=True, slots=True)
class LadderSettings:
    """Each rung ends at the first of requests and rung_s. most_concurrency: the last rung."""

    requests: int = 500
    rung_s: float = 2.5
    most_concurrency: int = 64


@dataclass(frozen=True)
class ServiceModel:
    """The server as the ladder shows it.

    servers: that work side by side. service_s: their times, scaled so that servers / mean is the
    saturated throughput. saturation_error: relative standard error of that throughput.
    host_work_s: the pace of the host (`Pace.mean_s`) at which all this holds; None is not known.
    """

    servers: int
    service_s: NDArray[np.float64]
    saturation_rps: float
    saturation_error: float
    host_work_s: float | None = None

    @classmethod
    def of(
        cls,
        alone_s: NDArray[np.float64],
        saturation_rps: float,
        error: float,
        pace_s: float | None,
    ) -> Self:
        """alone_s: services of one request at a time. error: of the saturated throughput."""
        mean_s = float(alone_s.mean())
        servers = int(np.clip(round(saturation_rps * mean_s), 1, MOST_SERVERS))
        scaled = alone_s * (servers / (saturation_rps * mean_s))
        return cls(servers, scaled, saturation_rps, error, pace_s)

    @property
    def mean_s(self) -> float:
        return float(self.service_s.mean())

    def curve(self, quantiles: tuple[float, ...], seed: int) -> LatencyCurve:
        return latency_curve(self.service_s, Queue(self.servers), quantiles, seed=seed)


def ladder_of(history: Sequence[Evidence]) -> list[Evidence]:
    return [each for each in history if isinstance(each.step, ClosedStep)]


def is_answered(ladder: Sequence[Evidence]) -> bool:
    return len(ladder[0].service_s) > 0 and ladder[0].measurement.throughput_rps > 0


def next_rung(ladder: Sequence[Evidence], settings: LadderSettings) -> ClosedStep | None:
    """One request alone, then two for each vCPU, then twice as many until throughput is flat.

    With several vCPUs at least four requests for each: kept-alive connections stay with the worker
    that took them, and few connections may leave a worker without any.
    Raises InvalidMeasurement when one request at a time was not answered even once.
    """
    if not ladder:
        return ClosedStep(1, settings.requests, settings.rung_s)
    if not is_answered(ladder):
        raise InvalidMeasurement(
            "not one request was answered well, sent one at a time",
            hint="look at the target's log and at its statuses; is the time-out long enough?",
        )
    vcpus = math.ceil(ladder[0].measurement.target.vcpus or 1)
    throughputs = _at_one_pace(ladder, _pace_s(ladder))
    last = ladder[-1].step
    reached = last.concurrency if isinstance(last, ClosedStep) else 1
    fewest = 1 if vcpus == 1 else 4 * vcpus
    is_flat = throughputs[-1] < FLAT * max(throughputs[:-1], default=0.0)
    if (is_flat and reached >= fewest) or reached >= settings.most_concurrency:
        return None
    concurrency = min(max(2 * vcpus, 2 * reached), settings.most_concurrency)
    return ClosedStep(concurrency, settings.requests, settings.rung_s)


def service_model(ladder: Sequence[Evidence]) -> ServiceModel:
    """Servers: saturated throughput times the service time of one request alone, rounded.

    A queue adds nothing to one request at a time, so its times are the service's own; scaling them
    to the saturated throughput charges what concurrency costs (contention, switching).
    """
    pace_s = _pace_s(ladder)
    alone_s = ladder[0].service_s / ladder[0].felt(pace_s)
    throughputs = _at_one_pace(ladder, pace_s)
    best = int(np.argmax(throughputs))
    return ServiceModel.of(alone_s, throughputs[best], throughput_error(ladder[best]), pace_s)


def throughput_error(run: Evidence) -> float:
    """Relative standard error of a run's throughput."""
    count = len(run.service_s)
    # The spread of one time is not known; 1 is that of the exponential law.
    spread = float(run.service_s.std(ddof=1) / run.service_s.mean()) if count > 1 else 1.0
    return spread / math.sqrt(max(count, 1)) + 0.01


def _pace_s(ladder: Sequence[Evidence]) -> float | None:
    return middle_pace_s(each.measurement.host_work_s for each in ladder)


def _at_one_pace(ladder: Sequence[Evidence], pace_s: float | None) -> list[float]:
    """Throughput of each rung, had the host been as fast in all of them.

    A rung on a host that was slow for a second is else no better than one with half the users.
    """
    return [each.measurement.throughput_rps * each.felt(pace_s) for each in ladder]
