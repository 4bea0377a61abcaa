"""A base that is reserved, machines on demand above it, and serverless for what is left.

What MArk found (Zhang et al., ATC 2019): each layer is the cheapest for another part of the day's
curve. Given the base, each step of the traffic chooses its cheapest rest on its own; every size of
the base is tried, so that the least is the least.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from recommender.errors import BadRequest
from recommender.simulation.outcome import Outcome, Requests, Usage

if TYPE_CHECKING:
    from collections.abc import Mapping
    from decimal import Decimal

    from numpy.typing import NDArray

    from recommender.simulation.traffic import TrafficTrace

    Floats = NDArray[np.float64]

__all__ = ["LayerTerms", "Layers", "best_layers"]

RESERVED, ON_DEMAND, SERVERLESS = "reserved", "on-demand", "serverless"
MILLION = 1e6
ROUNDING = 1e-12  # of the peak: not a request


@dataclass(frozen=True, slots=True, eq=False)
class LayerTerms:
    """capacity_rps: of one machine, headroom taken off; shape (draws,).

    reserved_usd_per_hour is paid all month long. on_demand_usd_per_hour,
    serverless_usd_per_million: None where that layer is not to be used. serverless_most_rps: what
    its concurrency limit lets through. start_up_s: for which a machine on demand is paid before it
    serves.
    """

    capacity_rps: Floats
    reserved_usd_per_hour: Decimal
    on_demand_usd_per_hour: Decimal | None = None
    serverless_usd_per_million: Decimal | None = None
    serverless_most_rps: float = math.inf
    start_up_s: float = 0.0

    @property
    def prices(self) -> Mapping[str, Decimal]:
        """Of each layer that may be used, by the name of its usage."""
        given = {
            RESERVED: self.reserved_usd_per_hour,
            ON_DEMAND: self.on_demand_usd_per_hour,
            SERVERLESS: self.serverless_usd_per_million,
        }
        return {name: price for name, price in given.items() if price is not None}


@dataclass(frozen=True, slots=True, eq=False)
class Layers:
    """reserved: machines of the base.

    usd_per_month_by_reserved: in the cautious draw with a base of 0, 1, 2 and so on, for a chart;
    infinite where requests are lost.
    """

    reserved: int
    usd_per_month_by_reserved: Floats
    outcome: Outcome


def best_layers(trace: TrafficTrace, terms: LayerTerms, confidence: float) -> Layers:
    """Machines on demand follow the traffic at once: how late they really are, autoscaling says.

    Whether to start one is decided in each step for itself, without the start-up it costs. The
    base is chosen for the capacity that a machine has with the stated confidence, and then every
    draw takes what it needs on top. Raises BadRequest where a machine serves nothing.
    """
    cautious = float(np.quantile(terms.capacity_rps, 1 - confidence, method="lower"))
    if cautious <= 0:
        raise BadRequest(f"with a confidence of {confidence:.0%} a machine serves nothing")
    planned = replace(terms, capacity_rps=np.array([cautious]))
    most = math.ceil(trace.peak_rps / cautious)
    usd = np.array([_usd_per_month(trace, planned, base) for base in range(most + 1)])
    best = int(np.argmin(usd))
    return Layers(best, usd, _outcome(trace, terms, best))


def _usd_per_month(trace: TrafficTrace, terms: LayerTerms, base: int) -> float:
    outcome = _outcome(trace, terms, base)
    if outcome.requests.failed[0] > 0:
        return math.inf
    return float(outcome.usd_per_month(terms.prices)[0])


def _outcome(trace: TrafficTrace, terms: LayerTerms, base: int) -> Outcome:
    hours = trace.duration_s / 3600
    parts = [_part(trace, terms, base, float(rps)) for rps in terms.capacity_rps]
    on_demand, serverless, lost = (np.array(values) for values in zip(*parts, strict=True))
    arrivals = np.full(len(parts), trace.requests)
    zero = np.zeros(len(parts))
    usage = {
        RESERVED: Usage(RESERVED, "instance-hour", np.full(len(parts), base * hours)),
        ON_DEMAND: Usage(ON_DEMAND, "instance-hour", on_demand),
        SERVERLESS: Usage(SERVERLESS, "million requests", serverless / MILLION),
    }
    served = arrivals - lost
    return Outcome(
        trace.duration_s,
        Requests(arrivals, served, served, lost, zero, zero),
        tuple(usage[name] for name in terms.prices),
    )


def _part(
    trace: TrafficTrace, terms: LayerTerms, base: int, capacity_rps: float
) -> tuple[float, float, float]:
    """Instance-hours on demand, requests to serverless, requests lost."""
    above_rps = np.maximum(trace.rate_rps - base * capacity_rps, 0.0)
    machines = _on_demand(above_rps, terms, capacity_rps)
    left_rps = above_rps - machines * capacity_rps
    left_rps[left_rps < ROUNDING * trace.peak_rps] = 0.0
    most_rps = 0.0 if terms.serverless_usd_per_million is None else terms.serverless_most_rps
    serverless_rps = np.minimum(left_rps, most_rps)
    # a trace goes round: what the first step finds running is what the last one left
    started = np.maximum(np.diff(machines, prepend=machines[-1]), 0.0).sum()
    return (
        float(machines.sum() * trace.step_s + started * terms.start_up_s) / 3600,
        float(serverless_rps.sum() * trace.step_s),
        float((left_rps - serverless_rps).sum() * trace.step_s),
    )


def _on_demand(above_rps: Floats, terms: LayerTerms, capacity_rps: float) -> Floats:
    """Machines in each step: whole ones where they are cheaper full, one more where it pays."""
    if terms.on_demand_usd_per_hour is None:
        return np.zeros_like(above_rps)
    if terms.serverless_usd_per_million is None:
        return np.ceil(above_rps / capacity_rps)
    machine_usd = float(terms.on_demand_usd_per_hour)
    request_usd = float(terms.serverless_usd_per_million) / MILLION
    pays_from_rps = min(machine_usd / (3600 * request_usd), terms.serverless_most_rps)
    if pays_from_rps >= capacity_rps:
        beyond_rps = np.maximum(above_rps - terms.serverless_most_rps, 0.0)
        return np.ceil(beyond_rps / capacity_rps)
    full = np.floor(above_rps / capacity_rps)
    return np.asarray(full + (above_rps - full * capacity_rps > pays_from_rps))
