"""A fleet on spot: what interruptions cost in requests and in dollars, and how bad it may get.

Each place in the fleet has a machine on spot until that is taken, a gap while the next one starts,
and then spot again, or a machine on demand until spot is to be had again. Machines of one pool are
also taken together, by a common shock (Marshall & Olkin 1967, "A Multivariate Exponential
Distribution"): a Poisson process of each pool at which every machine of it goes with some
probability. How often a machine goes is the same with and without shocks, so that they move the
tail and hardly the mean.

Between two events nothing changes, and sums over time are exact: no step is too long for a gap of
a minute.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from recommender.simulation.outcome import Outcome, Requests, Usage
from recommender.simulation.overload import Overload
from recommender.simulation.spot_history import HOUR_S, spot_history

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from decimal import Decimal

    from numpy.typing import NDArray

    from recommender.simulation.spot_history import SpotFleet, SpotHistory, SpotMarket
    from recommender.simulation.traffic import TrafficTrace

    Floats = NDArray[np.float64]

__all__ = [
    "ON_DEMAND",
    "SPOT",
    "SpotOutcome",
    "SpotScenario",
    "SpotSplit",
    "best_spot_split",
    "simulate_spot_fleet",
    "splits",
]

SPOT, ON_DEMAND = "spot", "on-demand"


@dataclass(frozen=True, eq=False)
class SpotScenario:
    """capacity_rps: of one machine, within the SLO; saturation_rps: at all.

    levels: how many times the trace really comes. All of shape (draws,); each draw is one history
    of interruptions, so that a tail needs hundreds.
    """

    trace: TrafficTrace
    capacity_rps: Floats
    saturation_rps: Floats
    levels: Floats
    seed: int = 1

    def __post_init__(self) -> None:
        if not self.levels.shape == self.capacity_rps.shape == self.saturation_rps.shape:
            raise ValueError(f"{self.levels.shape} levels for {self.capacity_rps.shape} draws")


@dataclass(frozen=True, eq=False)
class SpotOutcome:
    """interruptions, lost: in each draw, shape (draws,).

    lost: requests that were not good and would have been without interruptions.
    """

    outcome: Outcome
    interruptions: Floats
    lost: Floats

    def lost_ratio(self) -> Floats:
        return np.asarray(self.lost / self.outcome.requests.arrivals)

    def tail(self, share: float) -> float:
        """Mean share of requests lost in the worst draws, of which there are so many.

        Expected shortfall (Acerbi & Tasche 2002), where a quantile would not tell bad from worse.
        """
        worst = np.sort(self.lost_ratio())[::-1]
        return float(worst[: max(round(share * len(worst)), 1)].mean())


def simulate_spot_fleet(
    scenario: SpotScenario, fleet: SpotFleet, market: SpotMarket
) -> SpotOutcome:
    """While more comes than the machines that are there serve within the SLO, none of it is good.

    What comes beyond their saturation fails at once: nothing queues from one gap into the next
    minute, which is kinder to the minute after and harder on the gap.
    """
    draws = len(scenario.levels)
    rng = np.random.default_rng(np.random.SeedSequence([scenario.seed, 0x5707]))
    history = spot_history(fleet, market, scenario.trace.duration_s, draws, rng)
    events = np.bincount(history.draw, minlength=draws).astype(np.float64)
    parts = [_draw(scenario, fleet, history, draw) for draw in range(draws)]
    late, beyond, late_anyway = (np.array(values) for values in zip(*parts, strict=True))
    arrivals = scenario.levels * scenario.trace.requests
    failed = np.minimum(beyond + fleet.broken_each * events, arrivals)
    good = np.minimum(
        np.maximum(arrivals - late - fleet.broken_each * events, 0.0), arrivals - failed
    )
    zero = np.zeros(draws)
    requests = Requests(arrivals, arrivals - failed, good, failed, zero, zero)
    usage = (
        Usage(SPOT, "instance-hour", history.spot_s / HOUR_S),
        Usage(ON_DEMAND, "instance-hour", history.on_demand_s / HOUR_S),
    )
    lost = np.maximum(arrivals - late_anyway - good, 0.0)
    return SpotOutcome(Outcome(scenario.trace.duration_s, requests, usage), events, lost)


def _draw(
    scenario: SpotScenario, fleet: SpotFleet, history: SpotHistory, draw: int
) -> tuple[float, float, float]:
    """Requests that are late or worse, those that fail, and the late ones of a whole fleet."""
    level, overload = float(scenario.levels[draw]), Overload(scenario.trace)
    capacity_rps = float(scenario.capacity_rps[draw]) / level
    saturation_rps = float(scenario.saturation_rps[draw]) / level
    machines = fleet.spot + fleet.on_demand
    edges_s, there = _machines_there(history, draw, machines, scenario.trace.duration_s)
    late = beyond = 0.0
    for number in np.unique(there):
        spans = there == number
        from_s, to_s = edges_s[:-1][spans], edges_s[1:][spans]
        late += float(overload.during(number * capacity_rps, from_s, to_s).sum())
        beyond += float(overload.beyond(number * saturation_rps, from_s, to_s).sum())
    whole = overload.during(machines * capacity_rps, edges_s[:1], edges_s[-1:])
    return level * late, level * beyond, level * float(whole[0])


def _machines_there(
    history: SpotHistory, draw: int, machines: int, duration_s: float
) -> tuple[Floats, NDArray[np.int64]]:
    """Instants at which their number may change, and the number between each two."""
    mine = history.draw == draw
    from_s, to_s = history.from_s[mine], history.to_s[mine]
    instants = np.concatenate([[0.0], from_s, to_s])
    changes = np.concatenate([[machines], np.full(len(from_s), -1), np.full(len(to_s), 1)])
    order = np.argsort(instants, kind="stable")
    edges_s = np.append(instants[order], duration_s)
    return edges_s, np.cumsum(changes[order])


@dataclass(frozen=True, slots=True, eq=False)
class SpotSplit:
    """usd_per_month, attainment: with the confidence asked for (the dear and the bad end)."""

    fleet: SpotFleet
    usd_per_month: float
    attainment: float


def best_spot_split(
    scenario: SpotScenario,
    fleets: Sequence[SpotFleet],
    market: SpotMarket,
    prices: Mapping[str, Decimal],
    *,
    attainment: float,
    confidence: float,
) -> tuple[SpotSplit | None, tuple[SpotSplit, ...]]:
    """The cheapest that attains so much with the stated confidence, and all, in their order."""
    tried = []
    for fleet in fleets:
        found = simulate_spot_fleet(scenario, fleet, market).outcome
        usd = float(np.quantile(found.usd_per_month(prices), confidence))
        reached = float(np.quantile(found.requests.attainment, 1 - confidence))
        tried.append(SpotSplit(fleet, usd, reached))
    enough = [each for each in tried if each.attainment >= attainment]
    return min(enough, key=lambda each: each.usd_per_month, default=None), tuple(tried)


def splits(fleet: SpotFleet, most: int = 9) -> tuple[SpotFleet, ...]:
    """The same number of machines, from none on spot to all; at most so many ways."""
    machines = fleet.spot + fleet.on_demand
    shares = np.unique(np.linspace(0, machines, min(most, machines + 1)).astype(int))
    return tuple(replace(fleet, spot=int(spot), on_demand=machines - int(spot)) for spot in shares)
