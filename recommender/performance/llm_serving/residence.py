"""Latency of a server that batches, against the requests it has in flight and against their rate.

    R(N) = R0 + s (N - 1)        s = (Rs - R0) / (Ns - 1)

R: mean seconds from sent to done; N: mean requests in flight; R0: alone; Ns: the most that was
measured, Rs there. By Little's law N = X R, so throughput is X(N) = N / R(N), which rises towards
1 / s. A server that does not batch has s = R0 (processor sharing); one that batches has s < R0.

At a rate x instead of N users (x s < 1):

    evenly spaced   N = x R(N)               so R = (R0 - s) / (1 - x s), never below R0
    Poisson         N is negative binomial, of R0 / s and 1 - x s, so R = R0 / (1 - x s)

The second is exact for processor sharing whose speed depends on N (a birth-death process with
death rate n / R(n); only the mean of the work matters: Kelly, Reversibility and Stochastic
Networks, 3.3). With s = R0 it is the M/M/1-PS queue.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
from scipy.special import ndtri
from scipy.stats import nbinom

from recommender.errors import NotMeasured, OutOfRange

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["REACH_RATIO", "Arrivals", "Estimate", "Residence", "ServingPoint", "fit_residence"]

Arrivals = Literal["even", "poisson"]

REACH_RATIO = 1.25
"""Past this multiple of the most requests in flight that were measured, nothing is said: a server
that has reached its batch limit or its memory queues the rest, and the line bends."""

MOST_OF_LARGEST = 0.9
"""Nearer to the most that was served, the rate hardly says how many are in flight: of vLLM runs
evenly spaced at above 95 %, three in four took less than the law's lowest."""

TYPICAL_LOG_ERROR = 0.1
"""Of the law between its ends, in logs (vLLM, 4,252 runs: 80 % lie within 13 %)."""

_LEAST_SPAN_RATIO = 2.0
_LITTLE_TOLERANCE_RATIO = 1.5
_LARGEST_IDLE_CONCURRENCY = 1.5


@dataclass(frozen=True, slots=True)
class ServingPoint:
    """One steady run. `latency_mean_s`: sent to done. `concurrency`: mean requests in flight."""

    concurrency: float
    throughput_rps: float
    latency_mean_s: float

    def __post_init__(self) -> None:
        for name in ("concurrency", "throughput_rps", "latency_mean_s"):
            _require_positive(name, getattr(self, name))
        ratio = self.concurrency / self.in_flight
        if not 1 / _LITTLE_TOLERANCE_RATIO <= ratio <= _LITTLE_TOLERANCE_RATIO:
            raise OutOfRange(
                f"{self.throughput_rps:g} requests/s of {self.latency_mean_s:g} s each keep "
                f"{self.in_flight:.3g} in flight, and {self.concurrency:g} were reported: "
                "these are not figures of one steady run",
                hint="measure longer, and leave the warm-up out",
            )

    @property
    def in_flight(self) -> float:
        """By Little's law, which a count taken over ramp and drain does not keep."""
        return self.throughput_rps * self.latency_mean_s


@dataclass(frozen=True, slots=True)
class Estimate:
    """`low` and `high` hold the truth with probability 0.8; `high` None: it may not be bounded."""

    median: float
    low: float
    high: float | None


@dataclass(frozen=True, slots=True)
class Residence:
    """`alone_s` is R0, `per_request_s` s, `largest_concurrency` Ns; `log_error_sd` of R(N)."""

    alone_s: float
    per_request_s: float
    largest_concurrency: float
    log_error_sd: float = TYPICAL_LOG_ERROR

    def __post_init__(self) -> None:
        _require_positive("alone_s", self.alone_s)
        _require_positive("largest_concurrency", self.largest_concurrency)
        for name in ("per_request_s", "log_error_sd"):
            if not (np.isfinite(getattr(self, name)) and getattr(self, name) >= 0):
                raise OutOfRange(f"{name} is {getattr(self, name)}; it cannot be negative")

    @classmethod
    def through(cls, alone_s: float, concurrency: float, latency_s: float) -> Residence:
        """From one user alone and one saturated run."""
        if concurrency <= 1:
            raise OutOfRange(f"a saturated run of {concurrency:g} requests in flight is not one")
        slope = max(latency_s - alone_s, 0.0) / (concurrency - 1)
        return cls(alone_s, slope, concurrency)

    @property
    def largest_rps(self) -> float:
        """The most that was seen to be served."""
        return self.largest_concurrency / self._mean_s(self.largest_concurrency)

    @property
    def limit_rps(self) -> float:
        """What throughput rises towards with ever more requests in flight."""
        return 1 / self.per_request_s if self.per_request_s > 0 else float("inf")

    def throughput_rps(self, concurrency: float) -> float:
        return concurrency / self.latency(concurrency).median

    def latency(self, concurrency: float) -> Estimate:
        """Mean seconds, with so many requests in flight."""
        self._refuse_beyond(concurrency, f"{concurrency:g} requests in flight")
        mean_s = self._mean_s(concurrency)
        spread = np.exp(_Z80 * self.log_error_sd)
        return Estimate(mean_s, mean_s / spread, mean_s * spread)

    def latency_at(self, rate_rps: float, arrivals: Arrivals = "poisson") -> Estimate:
        """Mean seconds, at so many requests per second.

        An error of R(N) by a factor is an error of the rate by the same: near saturation the
        interval opens, and has no upper end where the limit itself lies inside it.
        """
        mean_s = self._mean_at(rate_rps, arrivals)
        most = REACH_RATIO * self.largest_concurrency
        too_near = rate_rps > MOST_OF_LARGEST * self.largest_rps
        if mean_s is None or too_near or rate_rps * mean_s > most:
            raise OutOfRange(
                f"{rate_rps:.3g} requests/s were asked about; the most that was measured is "
                f"{self.largest_rps:.3g} requests/s with {self.largest_concurrency:.3g} in "
                f"flight, and latency is known up to {MOST_OF_LARGEST:.0%} of that rate, and "
                f"{most:.3g} in flight",
                hint="measure at this rate, or serve it with more replicas",
            )
        spread = float(np.exp(_Z80 * self.log_error_sd))
        low = self._mean_at(rate_rps / spread, arrivals)
        high = self._mean_at(rate_rps * spread, arrivals)
        bounded = None if high is None or high > self._mean_s(most) else high * spread
        return Estimate(mean_s, (mean_s if low is None else low) / spread, bounded)

    def in_flight_at(self, rate_rps: float, arrivals: Arrivals = "poisson") -> float:
        return rate_rps * self.latency_at(rate_rps, arrivals).median

    def chance_of_more_than(self, concurrency: float, rate_rps: float) -> float:
        """Of Poisson arrivals: the share of time with more requests in flight than that."""
        self.latency_at(rate_rps)
        if self.per_request_s == 0:
            raise OutOfRange("a server that is never slowed down has no negative binomial load")
        shape, idle = self.alone_s / self.per_request_s, 1 - rate_rps * self.per_request_s
        return float(nbinom.sf(np.floor(concurrency), shape, idle))

    def _mean_s(self, concurrency: float) -> float:
        return self.alone_s + self.per_request_s * max(concurrency - 1, 0.0)

    def _mean_at(self, rate_rps: float, arrivals: Arrivals) -> float | None:
        """None past the limit."""
        _require_positive("rate_rps", rate_rps)
        spare = 1 - rate_rps * self.per_request_s
        if spare <= 0:
            return None
        if arrivals == "poisson":
            return self.alone_s / spare
        return max((self.alone_s - self.per_request_s) / spare, self.alone_s)

    def _refuse_beyond(self, concurrency: float, asked: str) -> None:
        _require_positive("concurrency", concurrency)
        if concurrency > REACH_RATIO * self.largest_concurrency:
            raise OutOfRange(
                f"{asked} were asked about; at most {self.largest_concurrency:.3g} were measured",
                hint="measure at a higher concurrency",
            )


def fit_residence(points: Sequence[ServingPoint]) -> Residence:
    """From runs at two or more concurrencies, one of them with a request at a time.

    Least squares of relative error on (1, N - 1). Three or more runs also say how far the line is
    from straight here; it is never trusted more than on the servers it was validated on.
    """
    if not points:
        raise NotMeasured("no run was given", hint="measure one user alone, and a saturated run")
    load = np.array([point.in_flight for point in points])
    latency_s = np.array([point.latency_mean_s for point in points])
    span = load.max() / load.min()
    if load.min() > _LARGEST_IDLE_CONCURRENCY or span < _LEAST_SPAN_RATIO:
        raise NotMeasured(
            f"runs with {load.min():.3g} to {load.max():.3g} requests in flight do not show how "
            "latency grows with them",
            hint="measure one user alone, and a run that saturates the server",
        )
    others = np.maximum(load - 1, 0.0)
    design = np.column_stack([np.ones_like(load), others]) / latency_s[:, None]
    alone_s, slope_s = np.linalg.lstsq(design, np.ones_like(load), rcond=None)[0]
    if slope_s < 0:
        alone_s, slope_s = 1 / np.mean(1 / latency_s), 0.0
    departure = np.log((alone_s + slope_s * others) / latency_s)
    freedom = len(points) - 2
    seen = float(np.sqrt(departure @ departure / freedom)) if freedom > 0 else 0.0
    return Residence(
        float(alone_s), float(slope_s), float(load.max()), max(seen, TYPICAL_LOG_ERROR)
    )


_Z80 = float(ndtri(0.9))


def _require_positive(name: str, value: float) -> None:
    if not (np.isfinite(value) and value > 0):
        raise OutOfRange(f"{name} is {value}; it must be finite and more than zero")
