"""What the ways cost at more and at fewer requests a month, the traffic's shape being the same.

A fleet needs a machine more at some point, serverless costs the same for each request; where one
overtakes another is computed exactly by `break_even`. A scaled fleet is one that follows the
traffic at once, times what the simulated one took more than that.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from pydantic import BaseModel, ConfigDict
from scipy.optimize import brentq

from loadtests.serverless.spec import IDLE_RECLAIM_S
from recommender.cost import usd_by_growth
from recommender.simulation.break_even import (
    FleetTerms,
    break_even,
    fleet_curve,
    per_request_curve,
)
from recommender.simulation.outcome import MONTH_S
from recommender.simulation.scaling_policy import TargetTracking
from recommender.simulation.traffic import HOUR_S, MINUTE_S
from recommender.verdicts import median_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from recommender.simulation.break_even import CostCurve
    from recommender.simulation.market import Market
    from recommender.simulation.served import Machine
    from recommender.simulation.ways.found import Found

    Floats = NDArray[np.float64]

__all__ = ["BreakEvenFacts", "CrossingFacts", "CurveFacts", "StretchFacts", "break_even_of"]

REACH = 10.0  # times this traffic
SOME_MACHINES = 12
LEAST_LOG_RPS = -40.0
MOST_VERTICES = 600


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class CurveFacts(_Frozen):
    """requests_per_month, usd_per_month: to be joined by straight lines; a step is two points.

    until: more requests a month it cannot serve, or were not looked at. meets_from: below it too
    many requests start cold for the objective; 0 where none do.
    """

    name: str
    option: str
    requests_per_month: tuple[float, ...]
    usd_per_month: tuple[float, ...]
    until: float
    meets_from: float = 0.0


class CrossingFacts(_Frozen):
    """at_a_step: where one of them needs a machine more, and not where two lines meet."""

    requests_per_month: float
    usd_per_month: float
    cheaper_below: str
    cheaper_above: str
    at_a_step: bool


class StretchFacts(_Frozen):
    """Above from_requests, up to to_requests a month. cheapest: None where none can serve."""

    from_requests: float
    to_requests: float
    cheapest: str | None


class BreakEvenFacts(_Frozen):
    """requests_per_month: of the traffic simulated. crossings: of every two ways, exactly."""

    requests_per_month: float
    curves: tuple[CurveFacts, ...]
    crossings: tuple[CrossingFacts, ...]
    stretches: tuple[StretchFacts, ...]


@dataclass(frozen=True, eq=False)
class _Curves:
    market: Market

    @property
    def requests(self) -> float:
        """A month, of the traffic simulated."""
        return self.market.terms.trace.mean_rps * MONTH_S

    @cached_property
    def until(self) -> float:
        """Far beyond this traffic, and as far as a fleet of some size is worth having."""
        usable_rps = self._usable_rps(self.market.steady.machine)
        some = SOME_MACHINES * usable_rps / self.peak_ratio * MONTH_S
        return max(REACH * self.requests, some)

    @cached_property
    def shape(self) -> Floats:
        trace = self.market.terms.trace
        coarse = trace.in_steps_of(HOUR_S) if trace.step_s < HOUR_S <= trace.duration_s else trace
        return np.asarray(coarse.rate_rps / coarse.mean_rps)

    @property
    def peak_ratio(self) -> float:
        trace = self.market.terms.trace
        return trace.peak_rps / trace.mean_rps

    def of(self, found: Found) -> CostCurve | None:
        """None for a way whose cost has no such simple form."""
        if found.name == "serverless":
            return self._serverless(found)
        if found.machine is None or found.machine.fleet.carrying is None:
            return None
        if found.name == "scaled":
            return self._scaled(found, found.machine)
        return self._fixed(found, found.machine) if found.name in ("fixed", "spot") else None

    def _fixed(self, found: Found, machine: Machine) -> CostCurve:
        """As many as the peak needs with the confidence, the headroom and the zones asked for."""
        zones = self.market.demand.constraints.zones
        terms = FleetTerms(_usd_per_hour(found), self._usable_rps(machine), zones=zones)
        shape = np.array([self.peak_ratio])
        return self._fleet(found.name, terms, shape, machine)

    def _scaled(self, found: Found, machine: Machine) -> CostCurve | None:
        policy = found.policy
        if policy is None or not isinstance(policy.scaling, TargetTracking):
            return None
        load_rps = policy.scaling.target / MINUTE_S
        rates = self.shape * self.market.terms.trace.mean_rps
        at_once = float(np.maximum(np.ceil(rates / load_rps), 1.0).mean())
        more = _hours(found) * 3600 / found.outcome.duration_s / at_once
        terms = FleetTerms(_usd_per_hour(found) * more, load_rps)
        return self._fleet(found.name, terms, self.shape, machine)

    def _usable_rps(self, machine: Machine) -> float:
        """At peak."""
        constraints = self.market.demand.constraints
        return machine.cautious_rps(constraints.confidence) * (1 - constraints.headroom_ratio)

    def _fleet(self, name: str, terms: FleetTerms, shape: Floats, machine: Machine) -> CostCurve:
        """With what is billed besides the machines."""
        growing_usd, fixed_usd = usd_by_growth(machine.fleet.items)
        return fleet_curve(
            name,
            terms,
            shape,
            self.until,
            usd_per_request=growing_usd / self.requests,
            usd_per_month=fixed_usd,
        )

    def _serverless(self, found: Found) -> CostCurve:
        usd = float(found.outcome.bill(found.prices).usd_per_month) / self.requests
        most = found.most_rps / self.peak_ratio * MONTH_S
        return per_request_curve(found.name, usd, min(self.until, most))

    def warm_from(self) -> float:
        """Requests a month below which more of them start cold than the objective bears."""
        if (self.market.model.reference.setup_s or 0.0) <= self.market.limit.limit_s:
            return 0.0
        allowed, shape = 1 - self.market.quantile, self.shape

        def too_many(log_mean_rps: float) -> float:
            gaps = np.exp(log_mean_rps) * shape * IDLE_RECLAIM_S
            return float((shape * np.exp(-gaps)).sum() / shape.sum()) - allowed

        highest = float(np.log(self.until / MONTH_S))
        if too_many(highest) > 0:
            return self.until
        return float(np.exp(brentq(too_many, LEAST_LOG_RPS, highest))) * MONTH_S

    def told(self, curve: CostCurve, found: Found) -> CurveFacts:
        requests, usd = curve.vertices()
        kept = _spread(requests)
        return CurveFacts(
            name=curve.name,
            option=found.option,
            requests_per_month=tuple(requests[kept].tolist()),
            usd_per_month=tuple(usd[kept].tolist()),
            until=curve.until,
            meets_from=self.warm_from() if found.name == "serverless" else 0.0,
        )


def _spread(requests: Floats) -> NDArray[np.intp]:
    """Places of few enough vertices, as a logarithmic axis needs them."""
    if len(requests) <= MOST_VERTICES:
        return np.arange(len(requests))
    wanted = np.geomspace(requests[requests > 0][0], requests[-1], MOST_VERTICES)
    return np.unique(np.append(0, np.searchsorted(requests, wanted).clip(0, len(requests) - 1)))


def _hours(found: Found) -> float:
    """Of machines, in the time simulated."""
    return sum(
        median_of(each.amount) for each in found.outcome.usage if each.unit == "instance-hour"
    )


def _usd_per_hour(found: Found) -> float:
    """Of a machine, on average over how it is bought."""
    usd = sum(
        median_of(each.amount) * float(found.prices[each.name])
        for each in found.outcome.usage
        if each.unit == "instance-hour"
    )
    return usd / _hours(found)


def break_even_of(market: Market, found: Sequence[Found]) -> BreakEvenFacts | None:
    """Of the ways that surely meet the objective; None where fewer than two have a curve."""
    maker = _Curves(market)
    known = [each for each in found if not each.at_best]
    meeting = [each for each in known if each.probability(market.quantile) >= market.confidence]
    curves = {each: curve for each in meeting if (curve := maker.of(each)) is not None}
    if len(curves) < 2:  # noqa: PLR2004 - there is nothing to overtake
        return None
    exact = break_even(list(curves.values()))
    return BreakEvenFacts(
        requests_per_month=maker.requests,
        curves=tuple(maker.told(curve, each) for each, curve in curves.items()),
        crossings=tuple(CrossingFacts.model_validate(asdict(each)) for each in exact.crossings),
        stretches=tuple(StretchFacts.model_validate(asdict(each)) for each in exact.stretches),
    )
