"""What the simulation says of cases that queueing theory solves exactly.

A fleet at an even rate is M/M/c; a serverless endpoint whose instances start at once is Erlang's
loss system, whatever the law of its service times; spot machines that fail and come back by
themselves are a birth-death chain, with a binomial number of them missing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.stats import binom

from loadtests.queueing import Queue, erlang_c, mmc_sojourn_quantile, mmc_sojourn_tail
from recommender.simulation.fleet import FleetScenario, simulate_fleet
from recommender.simulation.replica import LatencyLimit, Replica, long_curve
from recommender.simulation.scaling_policy import FixedSize, Policy
from recommender.simulation.serverless import (
    ServerlessScenario,
    ServerlessTerms,
    ServerlessWork,
    simulate_serverless,
)
from recommender.simulation.spot_history import SpotFleet, SpotMarket, spot_history
from recommender.simulation.traffic import HOUR_S, MINUTE_S, TrafficTrace

if TYPE_CHECKING:
    from collections.abc import Iterator

    from recommender.simulation.spot_history import SpotHistory

__all__ = ["TOLERANCE", "TheoryCheck", "check_theory"]

TOLERANCE = 0.02
MEAN_S, STEPS, DRAWS, FLEET, SERVICES = 0.1, 600, 4, 3, 20_000
SHAPES = ((1, 0.5), (1, 0.8), (2, 0.6), (4, 0.8))  # servers of a replica, and their load
LIMIT_SERVICES, QUANTILE = 2.0, 0.95
CONCURRENCY, OFFERED = 12, (5.0, 12.0, 20.0)
MACHINES, FAILS_PER_HOUR, AWAY_S, HOURS, INSTANTS = 6, 1.0, 900.0, 20_000, 400_000
SEED = 1


@dataclass(frozen=True, slots=True)
class TheoryCheck:
    """One figure of one case, both of the same unit. is_right: within 2 % of the theory."""

    law: str
    case: str
    figure: str
    found: float
    expected: float

    @property
    def error_ratio(self) -> float:
        return self.found / self.expected - 1

    @property
    def is_right(self) -> bool:
        return abs(self.error_ratio) <= TOLERANCE


def check_theory() -> tuple[TheoryCheck, ...]:
    return (*_waiting(), *_loss(), *_missing())


def _waiting() -> Iterator[TheoryCheck]:
    for servers, load in SHAPES:
        rate_rps, limit_s = load * servers / MEAN_S, LIMIT_SERVICES * MEAN_S
        case = f"{servers} server{'s' if servers > 1 else ''}, {load:.0%} busy"
        replica = _replica(servers)
        told = simulate_fleet(_steady(replica, FLEET * rate_rps, limit_s), [_fixed(FLEET)])[0]
        waiting = erlang_c(servers, servers * load) * load / (1 - load)
        utilization = np.array([load])
        for figure, found, expected in (
            (
                f"in {limit_s:g} s",
                float(told.requests.attainment.mean()),
                1 - mmc_sojourn_tail(limit_s, rate_rps, MEAN_S, servers),
            ),
            (
                "p95, s",
                float(replica.latency_s(utilization[:, None], QUANTILE)[0, 0]),
                mmc_sojourn_quantile(QUANTILE, rate_rps, MEAN_S, servers),
            ),
            ("in flight", float(replica.in_flight(utilization)[0]), servers * load + waiting),
        ):
            yield TheoryCheck("M/M/c", case, figure, found, expected)


def _replica(servers: int) -> Replica:
    """With exponential service times: their quantiles, evenly spaced."""
    service = -np.log1p(-(np.arange(SERVICES) + 0.5) / SERVICES)
    return Replica(
        saturation_rps=np.full(DRAWS, servers / MEAN_S),
        service_mean_s=np.full(DRAWS, MEAN_S),
        service_cv=1.0,
        delay_s=0.0,
        curve=long_curve(service / service.mean(), Queue(servers)),
        start_s=MINUTE_S,
    )


def _fixed(size: int) -> Policy:
    return Policy(size, size, FixedSize())


def _steady(replica: Replica, rate_rps: float, limit_s: float) -> FleetScenario:
    return FleetScenario(
        trace=TrafficTrace(MINUTE_S, np.full(STEPS, rate_rps)),
        replica=replica,
        limit=LatencyLimit(QUANTILE, limit_s),
        levels=np.ones(replica.draws),
    )


def _loss() -> Iterator[TheoryCheck]:
    """Of requests that take 0.5 to 1.5 times their mean: the law does not matter."""
    unit = np.linspace(0.5, 1.5, 5)
    work = ServerlessWork(np.full(1, MEAN_S), np.zeros(1), unit)
    for offered in OFFERED:
        trace = TrafficTrace(MINUTE_S, np.full(60, offered / MEAN_S))
        asked = ServerlessScenario(trace, work, LatencyLimit(QUANTILE, 1.0), np.ones(1))
        told = simulate_serverless(asked, ServerlessTerms(CONCURRENCY)).requests
        case = f"{CONCURRENCY} at once, {offered:g} offered"
        found = float(told.throttled[0] / told.arrivals[0])
        yield TheoryCheck("Erlang loss", case, "throttled", found, _refused(offered))


def _refused(offered: float) -> float:
    """P(all c busy) = (A^c/c!) / sum of A^k/k!, k to c (Erlang 1917)."""
    terms = np.cumprod([1.0, *(offered / busy for busy in range(1, CONCURRENCY + 1))])
    return float(terms[-1] / terms.sum())


def _missing() -> Iterator[TheoryCheck]:
    """Away for AWAY_S on average each time, with nobody in their place."""
    market = SpotMarket(
        FAILS_PER_HOUR, shared_ratio=0, notice_s=0, unavailable_ratio=1, drought_s=AWAY_S
    )
    fleet = SpotFleet(MACHINES, start_s=0, drain_s=0, falls_back=False)
    rng = np.random.default_rng(SEED)
    history = spot_history(fleet, market, HOURS * HOUR_S, 1, rng)
    shares = _shares(history, rng)
    away = AWAY_S / (AWAY_S + HOUR_S / FAILS_PER_HOUR)
    exact = binom.pmf(np.arange(MACHINES + 1), MACHINES, away)
    case = f"{MACHINES} machines, away {away:.0%} of the time"
    for missing in range(3):
        figure = f"{missing} missing"
        yield TheoryCheck("birth-death", case, figure, shares[missing], float(exact[missing]))
    mean = float(np.arange(MACHINES + 1) @ shares)
    yield TheoryCheck("birth-death", case, "missing, mean", mean, MACHINES * away)


def _shares(history: SpotHistory, rng: np.random.Generator) -> list[float]:
    """Of the time, with so many missing."""
    at_s = rng.random(INSTANTS) * HOURS * HOUR_S
    gone = np.searchsorted(np.sort(history.from_s), at_s)
    back = np.searchsorted(np.sort(history.to_s), at_s)
    counts = np.bincount(gone - back, minlength=MACHINES + 1)
    return [float(count) / INSTANTS for count in counts]
