"""One fleet under one policy, minute by minute, and beside it the fixed fleet for the peak."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

from loadtests.slo import tightest
from recommender.errors import BadRequest
from recommender.simulation.advice import deployable, explain
from recommender.simulation.outcome import MONTH_S
from recommender.simulation.policy_search import recommend_policy, try_policies
from recommender.simulation.report import way_of
from recommender.simulation.ways.fleets import fixed, fleet_found
from recommender.simulation.words import fleet_words, met_words, usd_more, way_words

if TYPE_CHECKING:
    from datetime import datetime

    from recommender.simulation.market import Market
    from recommender.simulation.policy_search import Tried
    from recommender.simulation.report import Deployable, SimulationReport, Way
    from recommender.simulation.scaling_policy import Policy
    from recommender.simulation.served import Machine, Served

__all__ = ["FleetDay", "FleetStage", "MachineChoice", "verdict"]

HOURS_PER_MONTH = MONTH_S / 3600
MOST_MACHINES = 40


class MachineChoice(NamedTuple):
    """usd_per_month: of instances, were there always as many as the traffic needs."""

    name: str
    usd_per_hour: float
    usd_per_month: float


@dataclass(frozen=True, eq=False)
class FleetDay:
    """chosen: the policy asked for, or searched for; explanation says why it is that one then.

    fixed: of the machine that makes the cheapest fixed fleet. machine: what the chosen fleet is
    of, usd_per_hour one of it. machines: those to choose from, that which would cost least first.
    objective, limit_s, quantile: the tightest, by which requests are in time. start: of the
    traffic; None where nobody said. usd_per_hour_course: of the points of the chosen way's course.
    """

    traffic_text: str
    start: datetime | None
    duration_s: float
    objective: str
    quantile: float
    limit_s: float
    confidence: float
    chosen: Way
    fixed: Way
    machine: str
    usd_per_hour: float
    fixed_usd_per_hour: float
    usd_per_hour_course: tuple[float, ...]
    machines: tuple[MachineChoice, ...]
    policy: Policy
    explanation: tuple[str, ...]
    deploy: Deployable | None


@dataclass(frozen=True, eq=False)
class FleetStage:
    """What is the same for every policy under one traffic is made once."""

    market: Market

    @cached_property
    def fixed(self) -> Way:
        return way_of(fixed(self.market), self.market)

    @cached_property
    def machines(self) -> dict[str, Machine]:
        """By the names of their offers, that which would cost least scaled first."""
        nearest = sorted(self.market.fleet_machines, key=self.market.terms.usd_per_hour)
        return {each.offer.name: each for each in nearest}

    @cached_property
    def choices(self) -> tuple[MachineChoice, ...]:
        def choice(name: str, machine: Machine) -> MachineChoice:
            hourly_usd = self.market.terms.usd_per_hour(machine)
            return MachineChoice(
                name, float(machine.offer.usd_per_hour), hourly_usd * HOURS_PER_MONTH
            )

        return tuple(choice(*each) for each in list(self.machines.items())[:MOST_MACHINES])

    @cached_property
    def _served(self) -> dict[str, Served]:
        return {}

    def day(self, policy: Policy | None, machine: str | None) -> FleetDay:
        """policy: None searches for the cheapest that meets the objective.

        machine: the name of its offer; None is the one that would cost least scaled. Raises
        BadRequest for one that does not meet the objective, and where none does.
        """
        market, served = self.market, self._serve(machine)
        tried, explanation = _tried(market, served, policy)
        chosen = way_of(fleet_found("chosen", tried, served), market)
        trace, hourly_usd = market.terms.trace, float(served.offer.usd_per_hour)
        return FleetDay(
            traffic_text=market.terms.traffic_text,
            start=trace.start,
            duration_s=trace.duration_s,
            objective=tightest(market.demand.objectives).text,
            quantile=market.limit.quantile,
            limit_s=market.limit.limit_s,
            confidence=market.confidence,
            chosen=chosen,
            fixed=self.fixed,
            machine=served.offer.name,
            usd_per_hour=hourly_usd,
            fixed_usd_per_hour=market.steady.machine.fixed_usd_per_hour,
            usd_per_hour_course=_usd_course(chosen, hourly_usd),
            machines=self.choices,
            policy=tried.policy,
            explanation=explanation,
            deploy=deployable(tried.policy),
        )

    def _serve(self, name: str | None) -> Served:
        if name is None:
            return self.market.following
        if name not in self.machines:
            raise BadRequest(
                f"{name} does not meet {self.market.demand.slo} at "
                f"{self.market.terms.traffic_text}, or is not among what was asked for",
                hint=f"those that do: {', '.join(list(self.machines)[:5])}, …",
            )
        if name not in self._served:
            self._served[name] = self.market.serve(self.machines[name])
        return self._served[name]


def _usd_course(way: Way, usd_per_hour: float) -> tuple[float, ...]:
    """Of instances; those that start are paid for."""
    fleet = None if way.course is None else way.course.fleet
    return () if fleet is None else tuple(each * usd_per_hour for each in fleet.paid)


def _tried(market: Market, served: Served, policy: Policy | None) -> tuple[Tried, tuple[str, ...]]:
    if policy is not None:
        return try_policies(served.scenario, [policy])[0], ()
    advice = recommend_policy(served.scenario, market.confidence)
    return advice.best, explain(advice, served)


def verdict(day: FleetDay, ways: SimulationReport | None) -> tuple[str, ...]:
    """In sentences, the first for a heading. ways: where all of them were simulated."""
    said = [
        f"{fleet_words(day.chosen, day.machine)} {met_words(day.chosen, day.objective)}",
        f"A fixed fleet for the peak, {way_words(day.fixed)}{usd_more(day.fixed, day.chosen)}.",
    ]
    if ways is not None:
        said.append(_cheapest(ways.ways[0], day.chosen))
    return tuple(said)


def _cheapest(first: Way, chosen: Way) -> str:
    if not first.meets:
        return "No way to serve that was simulated meets the objective surely enough."
    return f"The cheapest way found: {way_words(first)}{usd_more(first, chosen)}."
