"""All that could serve a stored run at some traffic: what every simulated way to serve is made of.

Machines are judged as a ranking judges them, in the same draws.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from operator import attrgetter
from typing import TYPE_CHECKING

import numpy as np

from loadtests.slo import tightest
from pricing import Offer, Platform, Purchase
from recommender.candidates import find_candidates
from recommender.demand import TrafficFacts
from recommender.errors import BadRequest
from recommender.evaluation import Question
from recommender.machines import machine_of, serverless_machine
from recommender.measured import errors_in
from recommender.offered import offered
from recommender.recommend import fit, host_of, judge, placed_in
from recommender.rerank import asked_anew
from recommender.simulation.replica import LatencyLimit, LongCurves, Replica
from recommender.simulation.served import Machine, Served
from recommender.stored_run import read_run

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from pricing import InstanceType, PriceBook
    from recommender.demand import Demand
    from recommender.measured import MeasuredRun
    from recommender.performance.model import PerformanceModel
    from recommender.performance.speed_prior import SpeedPrior
    from recommender.recommend import Judged
    from recommender.rerank import Changes
    from recommender.simulation.served import Terms
    from recommender.store import Run, Store

    Floats = NDArray[np.float64]

__all__ = ["Market", "fitted_market", "fleets_on", "market_of", "open_market"]


@dataclass(frozen=True, eq=False)
class Market:
    """curves: of the model. fleets_on: platforms on which fleets of machines are looked for."""

    run: MeasuredRun
    demand: Demand
    terms: Terms
    book: PriceBook
    model: PerformanceModel
    judged: Judged
    curves: LongCurves
    fleets_on: tuple[Platform, ...]

    def machines(self, platforms: Sequence[Platform], purchase: Purchase) -> list[Machine]:
        """How requests queue on an accelerator is known only where it was measured."""
        return [
            Machine(each.fleet, each.offer)
            for each in self.judged.evaluated
            if isinstance(each.offer, Offer)
            and each.offer.platform in platforms
            and each.offer.purchase is purchase
            and (each.offer.instance.accelerator is None or each.offer.instance == self._home)
        ]

    @cached_property
    def steady(self) -> Served:
        """By the machine that makes the cheapest fixed fleet for the peak.

        Raises BadRequest where none meets the SLO.
        """
        return self.serve(min(self.fleet_machines, key=attrgetter("fixed_rank")))

    @cached_property
    def following(self) -> Served:
        """By the machine that would cost least in a fleet that always is as large as it must be.

        Raises BadRequest where none meets the SLO.
        """
        return self.serve(min(self.fleet_machines, key=self.terms.usd_per_hour))

    def serve(self, machine: Machine) -> Served:
        replica = self._replica(machine.offer.instance)
        return Served.of(machine, self.demand, self.limit, replica, self.terms)

    @cached_property
    def serverless_speed_ratio(self) -> Floats:
        """Of a serverless vCPU over the source's, in each draw."""
        return self._speed_ratios[:, -1]

    @property
    def limit(self) -> LatencyLimit:
        tight = tightest(self.demand.objectives)
        return LatencyLimit(tight.quantile, tight.limit_s)

    @property
    def quantile(self) -> float:
        return self.limit.quantile

    @property
    def confidence(self) -> float:
        return self.demand.constraints.confidence

    @property
    def fleet_machines(self) -> list[Machine]:
        """Raises BadRequest where none meets the SLO."""
        asked = self.demand.constraints.purchases
        purchase = Purchase.ON_DEMAND if "on-demand" in asked else Purchase.SPOT
        found = self.machines(self.fleets_on, purchase)
        if not found:
            raise BadRequest(
                f"no instance that can be simulated meets the SLO at {self.terms.traffic_text}",
                hint=f"see why: recommender rank {self.run.id} "
                f"--traffic {self.terms.trace.peak_rps:.3g}rps",
            )
        return found

    @cached_property
    def _home(self) -> InstanceType | None:
        measured_on = self.run.measured_on
        return None if measured_on is None else self.book.instance(measured_on)

    @cached_property
    def _speed_ratios(self) -> Floats:
        """Drawn for all that the book knows, as for a ranking."""
        catalogue = [machine_of(each) for each in self.book.instances]
        return self.model.speed_ratios([*catalogue, serverless_machine()])

    def _replica(self, instance: InstanceType) -> Replica:
        column = next(n for n, each in enumerate(self.book.instances) if each == instance)
        host = host_of(instance, self.model, self._home == instance)
        ratios = self._speed_ratios[:, [column]]
        prediction = self.model.predict([host], ratios, self.demand.objectives)[0]
        replica = Replica.of(
            prediction,
            self.curves,
            start_s=self.terms.instance_start_s + (self.model.reference.setup_s or 0.0),
            draws=self.terms.draws,
        )
        return replace(replica, busy_ratio=self.model.demand.busy_ratio)


def open_market(
    store: Store,
    run: Run,
    changes: Changes,
    terms: Terms,
    known: tuple[PriceBook, SpeedPrior],
) -> Market:
    """Fleets of machines are SageMaker's, where the changes do not name platforms.

    Raises what `rerank` does.
    """
    asked = asked_anew(store, run, changes)
    measured = read_run(store, run, asked.slo)
    return market_of(
        measured, asked, terms, known, fleets_on(changes.constraints.get("platforms"))
    )


def fleets_on(named: Sequence[str] | None) -> tuple[Platform, ...]:
    """Where fleets of machines are looked for: SageMaker, where nobody named platforms."""
    platforms = (Platform.SAGEMAKER.value,) if named is None else named
    return tuple(Platform(each) for each in platforms if each != Platform.SERVERLESS.value)


def market_of(
    run: MeasuredRun,
    asked: Demand,
    terms: Terms,
    known: tuple[PriceBook, SpeedPrior],
    fleets_on: tuple[Platform, ...] = (Platform.SAGEMAKER,),
) -> Market:
    """asked: but for its traffic. Raises what `recommend` does."""
    measured = placed_in(offered(known[0], asked.constraints), run)
    return fitted_market(
        measured, fit(measured, asked, known[1]), asked, terms, known[0], fleets_on
    )


def fitted_market(
    measured: MeasuredRun,
    model: PerformanceModel,
    asked: Demand,
    terms: Terms,
    book: PriceBook,
    fleets_on: tuple[Platform, ...],
) -> Market:
    """measured, model: of a run placed in the book, under the SLO and burstiness asked for."""
    book = offered(book, asked.constraints)
    home = None if measured.measured_on is None else book.instance(measured.measured_on)
    traffic = _facts(terms, asked.traffic.arrivals_cv)
    demand = asked.model_copy(update={"traffic": traffic})
    found = find_candidates(book, demand.constraints, home, measured.accelerated)
    question = Question(demand, book, errors_in(measured.measurements), measured.size_known)
    judged = judge(found, model, question, home, measured.accelerated)
    curves = LongCurves(np.asarray(model.unit_service))
    return Market(measured, demand, terms, book, model, judged, curves, fleets_on)


def _facts(terms: Terms, arrivals_cv: float) -> TrafficFacts:
    return TrafficFacts(
        text=terms.traffic_text,
        peak_rps=terms.trace.peak_rps,
        mean_rps=terms.trace.mean_rps,
        arrivals_cv=arrivals_cv,
    )
