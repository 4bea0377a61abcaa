# ruff: noqa: RUF002 - the field's own symbols
"""One replica as a simulation sees it: how much it serves, and how late at each load.

Symbols
  μ  requests a second that it serves at most      ρ  arrivals over μ
  V  time that the work before a new request takes at rate μ ("virtual wait")
  v  squared variation of gaps and service times, together (2 for M/M)

In heavy traffic V is a reflected Brownian motion of drift θ = ρ - 1 and variance σ² = v/μ a second
(Kingman 1961; Harrison, Brownian Motion and Stochastic Flow Systems, 1985, §1.9). Started at b,

  P(V_t > x) = Φ((b + θt - x)/(σ√t)) + e^(2θx/σ²) Φ(-(x + b + θt)/(σ√t)).

The first term is work left over from before, the second the queue that has formed since. For ρ < 1
and t → ∞ the second becomes e^(2θx/σ²), which is poor at low load. There the simulated G/G/c queue
of the performance model is right: x is the level that the motion exceeds as often as that queue's
requests exceed the limit. So minutes of even load have the latency of that queue, and overload and
the minutes after it that of the fluid.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Self

import numpy as np
from scipy.special import log_ndtr, ndtr

from loadtests.queueing import erlang_c, latency_curve

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from loadtests.queueing import LatencyCurve, Queue
    from recommender.performance.model import Prediction

    Floats = NDArray[np.float64]
    Draws = NDArray[np.intp]

__all__ = ["LatencyLimit", "LongCurves", "Replica", "ReplicaQueue", "long_curve"]

GRID = 400  # steps of utilisation from 0 to 1
QUANTILES = (0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.98, 0.99, 0.995, 0.999)
CUSTOMERS, REPLICATIONS = 20_000, 8
INSTANTS, WEIGHTS = np.polynomial.legendre.leggauss(8)
NEAR_SATURATION = 0.02
SOON = 1 / 50  # of a step: a queue that forgets within that is taken as steady
LEAST_TAIL = 1e-12
CLEAR = 0.9  # the utilisation up to which a simulated tail is clear of its own noise
SERVICES = 2.0


@dataclass(frozen=True, slots=True)
class LatencyLimit:
    """A request is good where it takes at most limit_s; that share of all must be good."""

    quantile: float
    limit_s: float


@dataclass(frozen=True, eq=False)
class Replica:
    """Arrays of shape (draws,). saturation_rps: what its queue is judged against, bursts excluded.

    service_cv: deviation over mean of service times. busy_ratio: of its CPUs at saturation.
    start_s: from being asked for to being in service.
    """

    saturation_rps: Floats
    service_mean_s: Floats
    service_cv: float
    delay_s: float
    curve: LatencyCurve
    start_s: float
    busy_ratio: float = 1.0

    @classmethod
    def of(cls, prediction: Prediction, curves: LongCurves, *, start_s: float, draws: int) -> Self:
        """As many draws as asked for, evenly spaced among the prediction's by their capacity.

        The queue is simulated for longer than a ranking of many machines can afford. A burstable
        machine is taken at what it sustains: credits are not simulated.
        """
        order = np.lexsort((prediction.saturation_rps, prediction.capacity_rps))
        chosen = order[((np.arange(draws) + 0.5) / draws * len(order)).astype(np.intp)]
        usable = np.minimum(prediction.queueing_ratio, prediction.sustained_ratio)
        return cls(
            saturation_rps=(prediction.saturation_rps * usable)[chosen],
            service_mean_s=prediction.service_mean_s[chosen],
            service_cv=curves.service_cv,
            delay_s=prediction.delay_s,
            curve=curves.of(prediction.curve.queue),
            start_s=start_s,
        )

    def of_draws(self, chosen: Draws) -> Self:
        return replace(
            self,
            saturation_rps=self.saturation_rps[chosen],
            service_mean_s=self.service_mean_s[chosen],
        )

    @property
    def draws(self) -> int:
        return len(self.saturation_rps)

    @property
    def variability(self) -> float:
        """Of gaps and service times together: v."""
        return self.curve.queue.arrivals_cv**2 + self.service_cv**2

    @cached_property
    def wait_probability(self) -> Floats:
        """That a request waits at all, at each point of a grid of utilisations from 0 to 1."""
        servers = self.curve.queue.servers
        loads = np.arange(GRID) / GRID
        return np.array([*(erlang_c(servers, float(load) * servers) for load in loads), 1.0])

    def in_flight(self, utilization: Floats) -> Floats:
        """Mean requests at one replica in a steady state, in the middle draw (Little's law).

        Waiting by Allen and Cunneen's approximation; held at a utilisation of 0.97.
        """
        load = np.minimum(utilization, 0.97)
        waits = np.interp(load, np.arange(GRID + 1) / GRID, self.wait_probability)
        middle = self.draws // 2
        served = load * float(self.saturation_rps[middle] * self.service_mean_s[middle])
        queue = waits * load / (1 - load) * self.variability / 2
        return np.asarray(served + queue)

    def latency_s(self, utilization: Floats, quantile: float) -> Floats:
        """In a steady state, held just below saturation; utilization of shape (steps, draws)."""
        steady = np.minimum(utilization, self.curve.utilizations[-1])
        return self.delay_s + self.curve.at(steady, quantile) * self.service_mean_s


@dataclass(frozen=True, eq=False)
class ReplicaQueue:
    """The queue in front of each replica, over steps of step_s, against one latency limit.

    timeout_s: nothing that is served waited longer.
    """

    replica: Replica
    limit: LatencyLimit
    step_s: float
    timeout_s: float = math.inf

    @cached_property
    def steady_tail(self) -> Floats:
        """P(latency > limit) in a steady state, shape (draws, GRID + 1), never falling."""
        tails = self._tails(self.limit.limit_s)
        grid = np.arange(GRID + 1) / GRID
        log_tail = np.log(np.maximum(np.maximum.accumulate(tails), LEAST_TAIL))
        utilizations = self.replica.curve.utilizations
        return np.exp([np.interp(grid, utilizations, each) for each in log_tail.T])

    @cached_property
    def most_late(self) -> Floats:
        """P(latency > limit) of those who waited as long as anybody may, shape (draws,)."""
        left_s = self.limit.limit_s - self.timeout_s
        return self._tails(left_s)[0] if left_s > 0 else np.ones(self.replica.draws)

    def _tails(self, limit_s: float) -> Floats:
        """P(latency > limit) at the utilisations of the curve, shape (utilisations, draws)."""
        replica, curve = self.replica, self.replica.curve
        limits = (limit_s - replica.delay_s) / replica.service_mean_s
        order = np.argsort(curve.quantiles)
        sojourns = curve.sojourns.mean(axis=0)[order]  # quantiles x utilisations
        log_tails = np.log1p(-np.array(curve.quantiles)[order])
        return np.stack([_tail_at(limits, column, log_tails) for column in sojourns.T])

    @cached_property
    def variance_s(self) -> Floats:
        """σ², seconds squared a second, shape (draws,)."""
        return np.asarray(self.replica.variability / self.replica.saturation_rps)

    @cached_property
    def level_s(self) -> Floats:
        """Of x, at each utilisation, shape (draws, GRID + 1).

        Near saturation and beyond it as at CLEAR, since both logarithms vanish there; held about
        what the limit leaves for waiting, where a tail falls faster than any in heavy traffic.
        """
        replica = self.replica
        left_s = self.limit.limit_s - replica.delay_s - replica.service_mean_s
        idle = 1 - np.minimum(np.arange(GRID + 1), CLEAR * GRID) / GRID
        tail = self.steady_tail[:, np.minimum(np.arange(GRID + 1), round(CLEAR * GRID))]
        level_s = -np.log(tail) * self.variance_s[:, None] / (2 * idle)
        most_s = np.maximum(left_s, 0.0) + SERVICES * self.variance_s
        return np.minimum(level_s, most_s[:, None])

    def moves(
        self, utilization: Floats, normal: Floats, exponential: Floats
    ) -> tuple[Floats, Floats]:
        """X and Y of V' = max(V + X, Y): the step's free motion, and the queue formed anew.

        Exact for the end of a step of the reflected motion: given X its least value M has
        P(M ≤ m) = e^(-2m(m-X)/(σ²T)), and Y = X - M.
        """
        spread = self.variance_s * np.maximum(utilization, 1.0) * self.step_s
        free = (utilization - 1) * self.step_s + np.sqrt(spread) * normal
        return free, 0.5 * (free + np.sqrt(free * free + 2 * spread * exponential))

    def late_ratio(self, utilization: Floats, wait_s: Floats, draw: Draws) -> Floats:
        """Share of a step's requests over the limit. wait_s: V at its start.

        draw: the place of each cell's draw, of a shape that goes with the others'.
        """
        late = _looked_up(self.steady_tail, utilization, draw)
        variance, drift = self.variance_s[draw], 1 - utilization
        with np.errstate(divide="ignore"):
            is_steady = (
                (drift > NEAR_SATURATION)
                & (variance / drift**2 < SOON * self.step_s)
                & (wait_s < SOON * self.step_s * drift)
            )
        moving = ~is_steady
        if moving.any():
            draw = np.broadcast_to(draw, moving.shape)[moving]
            late[moving] = self._moving(utilization[moving], wait_s[moving], late[moving], draw)
        return late

    def _moving(self, utilization: Floats, wait_s: Floats, steady: Floats, draw: Draws) -> Floats:
        """Of single steps, each in one draw: the mean over instants within the step."""
        drift, x = utilization - 1, _looked_up(self.level_s, utilization, draw)
        variance = self.variance_s[draw] * np.maximum(utilization, 1.0)
        log_steady = np.where(drift < 0, np.log(steady), 2 * np.maximum(drift, 0) * x / variance)
        late = np.zeros_like(x)
        for instant, weight in zip((INSTANTS + 1) / 2, WEIGHTS / 2, strict=True):
            t_s = instant * self.step_s
            spread = np.sqrt(variance * t_s)
            left = ndtr((wait_s + drift * t_s - x) / spread)
            formed = np.exp(log_steady + log_ndtr(-(x + wait_s + drift * t_s) / spread))
            late += weight * np.minimum(left + formed, 1.0)
        return np.minimum(late, self.most_late[draw])


def _looked_up(table: Floats, utilization: Floats, draw: Draws) -> Floats:
    """Straight between the points of the grid, and as at its end beyond it."""
    place = np.minimum(utilization * GRID, GRID)
    below = np.minimum(place.astype(np.intp), GRID - 1)
    low, high = table[draw, below], table[draw, below + 1]
    return np.asarray(low + (place - below) * (high - low))


def long_curve(unit_service: Floats, queue: Queue) -> LatencyCurve:
    """Of a queue at all utilisations, with quantiles from the fastest to the slowest requests."""
    return latency_curve(
        unit_service, queue, QUANTILES, seed=1, customers=CUSTOMERS, replications=REPLICATIONS
    )


class LongCurves:
    """Of one server's service times; each queue is simulated once. unit_service: over their mean.

    Two threads that ask for the same queue at once may both simulate it.
    """

    def __init__(self, unit_service: Floats) -> None:
        self._unit_service = unit_service
        self._found: dict[Queue, LatencyCurve] = {}

    @property
    def service_cv(self) -> float:
        return float(self._unit_service.std() / self._unit_service.mean())

    def of(self, queue: Queue) -> LatencyCurve:
        if queue not in self._found:
            self._found[queue] = long_curve(self._unit_service, queue)
        return self._found[queue]


def _tail_at(limits: Floats, sojourns: Floats, log_tails: Floats) -> Floats:
    """P(sojourn > limit) where quantiles are known at a few points: straight in the logarithm.

    Beyond the last point as steep as between the last two; below the first from nothing.
    """
    inside = np.interp(limits, np.append(0.0, sojourns), np.append(0.0, log_tails))
    steps = np.diff(sojourns[-2:])[0], np.diff(log_tails[-2:])[0]
    beyond = log_tails[-1] + (limits - sojourns[-1]) * steps[1] / max(steps[0], 1e-9)
    return np.asarray(np.exp(np.where(limits > sojourns[-1], beyond, inside)))
