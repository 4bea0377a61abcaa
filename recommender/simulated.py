"""The use case: a stored run simulated again and again, for somebody who turns knobs.

What does not change from one question to the next is kept: the market of a traffic, and of it the
fixed fleet, the machines and their queues. So another policy takes only its own simulation.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from recommender.last_few import LastFew
from recommender.simulation.fleet_day import FleetStage
from recommender.simulation.market import fitted_market, fleets_on
from recommender.simulation.reports import ways_report

if TYPE_CHECKING:
    from datetime import datetime

    from pricing import PriceBook
    from recommender.demand import Demand
    from recommender.simulation.fleet_day import FleetDay
    from recommender.simulation.replica import LongCurves
    from recommender.simulation.report import SimulationReport
    from recommender.simulation.scaling_policy import Policy
    from recommender.simulation.served import Terms
    from recommender.store import Run
    from recommender.what_if import WhatIf

__all__ = ["Scene", "Simulated", "Simulation"]

MOST_STAGES, MOST_DAYS, MOST_REPORTS = 4, 16, 8

Key = tuple[object, ...]


@dataclass(frozen=True, eq=False)
class Scene:
    """What is played, and where. demand: but for its traffic.

    platforms: on which fleets are looked for; None where the user named none.
    """

    run: Run
    demand: Demand
    terms: Terms
    book: PriceBook
    platforms: tuple[str, ...] | None = None

    @property
    def key(self) -> Key:
        terms, trace = self.terms, self.terms.trace
        return (
            self.book.name,
            self.platforms,
            self.demand.model_dump_json(exclude={"traffic"}),
            self.demand.traffic.arrivals_cv,
            (terms.timing, terms.instance_start_s, terms.spread_ratio, terms.draws, terms.seed),
            (terms.traffic_text, trace.step_s, trace.start, trace.rate_rps.tobytes()),
        )


class Simulated:
    """Of one store. Several threads may ask at once; two that ask the same may both make it."""

    def __init__(self, what_if: WhatIf) -> None:
        self.what_if = what_if
        self.stages: LastFew[FleetStage] = LastFew(MOST_STAGES)
        self.curves: LastFew[LongCurves] = LastFew(MOST_STAGES)
        self.days: LastFew[FleetDay] = LastFew(MOST_DAYS)
        self.reports: LastFew[SimulationReport] = LastFew(MOST_REPORTS)

    def of(self, scene: Scene, now: datetime) -> Simulation:
        return Simulation(self, scene, (*self.what_if.evidence(scene.run), *scene.key), now)


@dataclass(frozen=True, eq=False)
class Simulation:
    """Of one scene. Every call raises what `rerank` does, and BadRequest where nothing serves."""

    kept: Simulated
    scene: Scene
    key: Key
    now: datetime

    def day(self, policy: Policy | None, machine: str | None) -> FleetDay:
        """As `FleetStage.day`."""
        key = *self.key, policy, machine
        return self.kept.days.get(key, lambda: self._stage().day(policy, machine))

    def ways(self) -> SimulationReport:
        """All of them, which takes seconds."""
        return self.kept.reports.get(
            self.key, lambda: ways_report(self._stage().market, self.now)
        )  # fmt: skip

    def known_ways(self) -> SimulationReport | None:
        """None where they were not simulated lately."""
        return self.kept.reports.known(self.key)

    def _stage(self) -> FleetStage:
        return self.kept.stages.get(self.key, self._made)

    def _made(self) -> FleetStage:
        scene = self.scene
        fitted = self.kept.what_if.fitted(scene.run, scene.demand, scene.book)
        market = fitted_market(
            fitted.run,
            fitted.model,
            scene.demand,
            scene.terms,
            scene.book,
            fleets_on(scene.platforms),
        )
        demand, evidence = scene.demand, self.kept.what_if.evidence(scene.run)
        key = *evidence, scene.book.name, demand.slo, demand.traffic.arrivals_cv
        curves = self.kept.curves.get(key, lambda: market.curves)
        return FleetStage(replace(market, curves=curves))
