# ruff: noqa: RUF001, RUF002 - the field's own symbols
"""Queues: exact results where there are some, simulation where there are none.

Symbols
  λ  arrivals per second             c  servers
  S  service time, mean 1/μ          ρ = λ/(cμ), utilisation
  W  sojourn time, wait + service
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from scipy.optimize import brentq
from scipy.stats import norm
from scipy.stats import t as student

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = [
    "LatencyCurve",
    "Queue",
    "Quota",
    "erlang_c",
    "latency_curve",
    "mmc_sojourn_quantile",
    "mmc_sojourn_tail",
    "sojourns",
    "tail_inflation",
    "throttled_sojourns",
    "warmup_length",
]

# Utilisations at which a curve is simulated: dense where latency turns up.
UTILIZATIONS = np.concatenate(
    [np.linspace(0.05, 0.6, 8), np.linspace(0.65, 0.9, 11), np.linspace(0.915, 0.995, 9)]
)


def erlang_c(servers: int, offered: float) -> float:
    """P(wait) in M/M/c; offered = λ/μ < c. By the Erlang B recursion (Cooper 1981)."""
    blocking = 1.0
    for busy in range(1, servers + 1):
        blocking = offered * blocking / (busy + offered * blocking)
    return blocking / (1 - offered / servers * (1 - blocking))


def mmc_sojourn_tail(t_s: float, rate_rps: float, mean_s: float, servers: int) -> float:
    """P(W > t) in M/M/c, FCFS: (1-C)e^(-μt) + C(θe^(-μt) - μe^(-θt))/(θ-μ), θ = cμ - λ."""
    mu, theta = 1 / mean_s, servers / mean_s - rate_rps
    waiting = erlang_c(servers, rate_rps * mean_s)
    if math.isclose(mu, theta, rel_tol=1e-9):
        return (1 - waiting + waiting * (1 + mu * t_s)) * math.exp(-mu * t_s)
    served, queued = math.exp(-mu * t_s), math.exp(-theta * t_s)
    return (1 - waiting) * served + waiting * (theta * served - mu * queued) / (theta - mu)


def mmc_sojourn_quantile(quantile: float, rate_rps: float, mean_s: float, servers: int) -> float:
    """Seconds; raises ValueError for a queue that has no steady state."""
    if rate_rps * mean_s >= servers:
        raise ValueError(f"ρ = {rate_rps * mean_s / servers:.3f}: no steady state")
    high_s = mean_s
    while mmc_sojourn_tail(high_s, rate_rps, mean_s, servers) > 1 - quantile:
        high_s *= 2
    return float(
        brentq(
            lambda t: mmc_sojourn_tail(t, rate_rps, mean_s, servers) - (1 - quantile), 0, high_s
        )
    )


def sojourns(
    gaps_s: NDArray[np.float64], service_s: NDArray[np.float64], servers: int
) -> NDArray[np.float64]:
    """Sojourn times of a G/G/c queue, FCFS, that starts empty (Kiefer & Wolfowitz 1955).

    gaps_s, service_s: shape (customers, replications); returns the same shape, seconds. The
    recursion runs over customers and is vectorised over replications.
    """
    customers, replications = gaps_s.shape
    free_in_s = np.zeros((replications, servers))
    taken_s = np.empty_like(service_s)
    rows = np.arange(replications)
    for customer in range(customers):
        free_in_s -= gaps_s[customer][:, None]
        np.maximum(free_in_s, 0.0, out=free_in_s)
        if servers == 1:
            free_in_s[:, 0] += service_s[customer]
            taken_s[customer] = free_in_s[:, 0]
            continue
        first = free_in_s.argmin(axis=1)
        done_s = free_in_s[rows, first] + service_s[customer]
        free_in_s[rows, first] = done_s
        taken_s[customer] = done_s
    return taken_s


@dataclass(frozen=True, slots=True)
class Quota:
    """Of one CPU: ratio of it, granted afresh each period and never saved up (Linux CFS).

    period: in mean service times at full speed.
    """

    ratio: float
    period: float


def throttled_sojourns(
    gaps: NDArray[np.float64], service: NDArray[np.float64], quota: Quota
) -> NDArray[np.float64]:
    """As `sojourns` of one server that stands still once a period's quota is used up.

    Until then it runs at full speed, so a request that finds it idle is as fast as on a whole CPU;
    what waits for the next period waits (1 - ratio) of it. Times in one unit with quota.period.
    """
    customers, replications = gaps.shape
    period, granted = quota.period, quota.ratio * quota.period
    taken = np.empty_like(service)
    # On the clock of the current period: the next arrival, when the server falls free, what is
    # left of the quota. Where in its period the first one comes is chance.
    arrival = np.linspace(0, period, replications, endpoint=False)
    free, left = np.zeros(replications), np.full(replications, granted)
    for customer in range(customers):
        arrival = arrival + gaps[customer]
        start = np.maximum(arrival, free)
        turned = np.floor(start / period)
        arrival, start = arrival - turned * period, start - turned * period
        left = np.where(turned > 0, granted, left)
        at_once = np.minimum(left, period - start)
        over = service[customer] - at_once
        is_over = over > 0
        later = np.where(is_over, np.ceil(over / granted), 0)
        rest = over - (later - 1) * granted
        done = np.where(is_over, rest, start + service[customer])
        left = np.where(is_over, granted - rest, left - service[customer])
        arrival = arrival - later * period
        free, taken[customer] = done, done - arrival
    return taken


@dataclass(frozen=True, slots=True)
class Queue:
    """arrivals_cv: of the gaps between requests, gamma: 1 is Poisson, above it bursts.

    quota: of its only server; None where it has a CPU for each.
    """

    servers: int = 1
    arrivals_cv: float = 1.0
    quota: Quota | None = None

    def __post_init__(self) -> None:
        if self.quota is not None and self.servers != 1:
            raise ValueError(f"a quota of one CPU is shared by {self.servers} servers")

    def gaps(self, rng: np.random.Generator, shape: tuple[int, int]) -> NDArray[np.float64]:
        """Of mean 1."""
        if self.arrivals_cv == 1:
            return rng.exponential(size=shape)
        steps = 1 / self.arrivals_cv**2
        return rng.gamma(steps, 1 / steps, shape)

    def sojourns(
        self, gaps: NDArray[np.float64], service: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        if self.quota is None:
            return sojourns(gaps, service, self.servers)
        return throttled_sojourns(gaps, service, self.quota)

    @property
    def capacity(self) -> float:
        """Mean services done in one mean service time, at most."""
        return self.servers if self.quota is None else self.quota.ratio


@dataclass(frozen=True)
class LatencyCurve:
    """Sojourn quantiles of a G/G/c queue against utilisation, in mean service times.

    utilizations: shape (u,). sojourns: shape (replications, quantiles, u), never falling in u.
    mean_factors: shape (replications,): mean of that replication's service times, in those of all.
    """

    queue: Queue
    quantiles: tuple[float, ...]
    utilizations: NDArray[np.float64]
    sojourns: NDArray[np.float64]
    mean_factors: NDArray[np.float64]

    @cached_property
    def mean_sojourns(self) -> dict[float, NDArray[np.float64]]:
        """By quantile, over the replications; shape (u,)."""
        means = self.sojourns.mean(axis=0)
        return dict(zip(self.quantiles, means, strict=True))

    def at(self, utilization: NDArray[np.float64], quantile: float) -> NDArray[np.float64]:
        """Mean over replications, interpolated; infinite at and beyond saturation."""
        values = np.interp(utilization, self.utilizations, self.mean_sojourns[quantile])
        return np.where(np.asarray(utilization) >= 1.0, np.inf, values)

    def largest_utilization(self, quantile: float, limit: float) -> NDArray[np.float64]:
        """Per replication, the largest utilisation whose quantile is at most `limit`.

        In mean service times; 0 where not even an idle server meets it. Shape (replications,).
        """
        curves = self.sojourns[:, self.quantiles.index(quantile), :]
        found = np.empty(len(curves))
        for index, curve in enumerate(curves):
            if curve[0] > limit:
                found[index] = 0.0
            elif curve[-1] <= limit:
                found[index] = self.utilizations[-1]
            else:
                above = int(np.argmax(curve > limit))
                pair = slice(above - 1, above + 1)
                found[index] = np.interp(limit, curve[pair], self.utilizations[pair])
        return found


def latency_curve(
    service_s: NDArray[np.float64],
    queue: Queue,
    quantiles: tuple[float, ...],
    *,
    seed: int,
    customers: int = 4000,
    replications: int = 12,
) -> LatencyCurve:
    """Of a queue whose service times are resampled from those measured.

    Each replication resamples the measured times first (bootstrap), so the spread between
    replications holds both what so few measured times leave open and the simulation's own noise.
    Every utilisation uses the same draws.
    """
    rng = np.random.default_rng(np.random.SeedSequence([seed, 0x66C]))
    unit = service_s / service_s.mean()
    boot = rng.choice(unit, (len(unit), replications))
    services = np.stack([rng.choice(boot[:, r], customers) for r in range(replications)], axis=1)
    gaps = queue.gaps(rng, (customers, replications))
    grid = UTILIZATIONS
    wide_services = np.tile(services, (1, len(grid)))
    rates = np.repeat(grid * queue.capacity, replications) / np.tile(boot.mean(axis=0), len(grid))
    taken = queue.sojourns(np.tile(gaps, (1, len(grid))) / rates, wide_services)
    steady = taken[customers // 8 :]
    found = np.quantile(steady, quantiles, axis=0).reshape(len(quantiles), len(grid), replications)
    curves = np.maximum.accumulate(found.transpose(2, 0, 1), axis=2)
    return LatencyCurve(queue, quantiles, grid, curves, boot.mean(axis=0))


def tail_inflation(exceeds: NDArray[np.bool_], *, batches: tuple[int, ...] = (20,)) -> float:
    """How many times fewer independent requests these are worth, for the share that exceeds.

    Variance of batch means of the indicator over what it would be if the requests were independent
    (batch means; Law & Kelton, Simulation Modeling and Analysis, §9.5), times (t/z)² because it is
    known from so few batches. Of several numbers of batches the one that says most: short batches
    still depend on one another. At least 1.
    """
    return max(_inflation(exceeds, number) for number in batches)


def _inflation(exceeds: NDArray[np.bool_], batches: int) -> float:
    size = len(exceeds) // batches
    share = float(exceeds.mean()) if len(exceeds) else 0.0
    if size < 5 or share in (0.0, 1.0):  # noqa: PLR2004 - too few to say
        return 1.0
    means = exceeds[: size * batches].reshape(batches, size).mean(axis=1)
    few_batches = float(student.ppf(0.975, batches - 1) / norm.ppf(0.975)) ** 2
    return max(float(means.var(ddof=1)) * size / (share * (1 - share)) * few_batches, 1.0)


def warmup_length(values: NDArray[np.float64], *, batch: int = 5) -> int:
    """How many leading values to cut, by MSER-5 (White 1997).

    The cut that minimises the standard error of the mean of what is left, over batches of five,
    looking no further than the first half.
    """
    count = len(values) // batch
    if count < 8:  # noqa: PLR2004 - fewer batches have no tail to compare with
        return 0
    means = values[: count * batch].reshape(count, batch).mean(axis=1)
    means = means - means[-1]  # equal values leave no rounding error
    left = np.arange(count, 0, -1)
    sums, squares = np.cumsum(means[::-1])[::-1], np.cumsum(means[::-1] ** 2)[::-1]
    errors = (squares - sums**2 / left) / left**2
    return int(np.argmin(errors[: count // 2])) * batch
