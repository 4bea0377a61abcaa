"""From a stored run to what a simulation needs: one machine, its replica in draws, its prices."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NamedTuple, Self

import numpy as np

from recommender.cost import grows_with_requests, requests_per_month
from recommender.errors import NotMeasured
from recommender.limits import ANSWER_LIMIT_S
from recommender.simulation.fleet import INSTANCES, FleetScenario
from recommender.simulation.outcome import MONTH_S, Usage
from recommender.simulation.traffic import level_draws
from recommender.sizing import cautious

if TYPE_CHECKING:
    from decimal import Decimal

    from numpy.typing import NDArray

    from pricing import Offer
    from recommender.cost import LineItem
    from recommender.demand import Demand
    from recommender.fleets import Carrying, Fleet
    from recommender.simulation.outcome import Outcome
    from recommender.simulation.replica import LatencyLimit, Replica
    from recommender.simulation.scaling_policy import AlarmTiming
    from recommender.simulation.traffic import TrafficTrace

    Floats = NDArray[np.float64]

__all__ = ["DRAWS", "INSTANCE_START_S", "Machine", "Served", "Terms", "prices_of", "with_items"]

DRAWS = 24
INSTANCE_START_S = 240.0
"""From asking SageMaker for an instance until its container is started: minutes, by experience;
AWS states no figure."""


class Machine(NamedTuple):
    """One on sale that meets the SLO, in a fixed fleet for the peak."""

    fleet: Fleet
    offer: Offer

    @property
    def carrying(self) -> Carrying:
        """Raises NotMeasured where nothing tells how much one of them serves."""
        if self.fleet.carrying is None:
            raise NotMeasured(f"how much {self.offer.name} serves is not known")
        return self.fleet.carrying

    def cautious_rps(self, confidence: float) -> float:
        """What one of them serves at the objective, with that confidence."""
        return cautious(self.carrying.capacity_rps, confidence)

    @property
    def fixed_usd_per_hour(self) -> float:
        return self.fleet.replicas * float(self.offer.usd_per_hour)

    @property
    def fixed_rank(self) -> tuple[float, float]:
        """By cost, then latency, as a ranking has it."""
        return self.fixed_usd_per_hour, self.fleet.performance.interval.median


@dataclass(frozen=True, eq=False)
class Terms:
    """What is assumed of the traffic and of the machines. instance_start_s: without the container.

    spread_ratio: as in `level_draws`.
    """

    trace: TrafficTrace
    traffic_text: str
    timing: AlarmTiming
    instance_start_s: float = INSTANCE_START_S
    spread_ratio: float = 0.0
    draws: int = DRAWS
    seed: int = 1

    def usd_per_hour(self, machine: Machine) -> float:
        """Were there always just as many as the traffic needs."""
        fleet, offer = machine
        capacity_rps = fleet.performance.capacity_rps.low / fleet.replicas
        needed = np.maximum(np.ceil(self.trace.rate_rps / capacity_rps), 1.0)
        return float(needed.mean()) * float(offer.usd_per_hour)

    def levels(self, draws: int) -> Floats:
        return level_draws(self.spread_ratio, draws, self.seed)


@dataclass(frozen=True, eq=False)
class Served:
    machine: Machine
    demand: Demand
    scenario: FleetScenario

    @classmethod
    def of(
        cls,
        machine: Machine,
        demand: Demand,
        limit: LatencyLimit,
        replica: Replica,
        terms: Terms,
    ) -> Self:
        scenario = FleetScenario(
            trace=terms.trace,
            replica=replica,
            limit=limit,
            levels=terms.levels(replica.draws),
            timing=terms.timing,
            timeout_s=ANSWER_LIMIT_S,
            seed=terms.seed,
        )
        return cls(machine, demand, scenario)

    @property
    def offer(self) -> Offer:
        return self.machine.offer

    @property
    def prices(self) -> dict[str, Decimal]:
        return {INSTANCES: self.offer.usd_per_hour} | prices_of(self.machine.fleet.items)

    def billed(self, outcome: Outcome) -> Outcome:
        """With what else is paid: for data, a load balancer, running it oneself."""
        return with_items(outcome, self.machine.fleet.items, self.demand)


def with_items(outcome: Outcome, items: tuple[LineItem, ...], demand: Demand) -> Outcome:
    """items: what else is billed for a month of the demand's traffic."""
    requests = float(requests_per_month(demand.traffic))
    arrivals = outcome.requests.arrivals
    months = np.full_like(arrivals, outcome.duration_s / MONTH_S)
    usage = (
        Usage(
            item.name,
            item.unit,
            (arrivals / requests if grows_with_requests(item.unit) else months)
            * float(item.quantity),
        )
        for item in items
    )
    return replace(outcome, usage=(*outcome.usage, *usage))


def prices_of(items: tuple[LineItem, ...]) -> dict[str, Decimal]:
    return {item.name: item.usd_per_unit for item in items}
