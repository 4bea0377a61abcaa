"""More than one kind of thing that serves: layers over a day's curve, or two types of machine."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import TYPE_CHECKING

import numpy as np

from pricing import PriceBasis, Purchase
from recommender.errors import NotMeasured
from recommender.simulation.layers import LayerTerms, best_layers
from recommender.simulation.mixtures import MachineType, best_mixture
from recommender.simulation.outcome import Outcome, Requests, Usage
from recommender.simulation.overload import Overload
from recommender.simulation.served import prices_of, with_items
from recommender.simulation.ways.found import Found, NoGround
from recommender.simulation.ways.serverless import ON_DEMAND, best_size

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from pricing import Offer
    from recommender.simulation.market import Market
    from recommender.simulation.mixtures import Mixture
    from recommender.simulation.served import Machine
    from recommender.simulation.ways.serverless import Size

    Floats = NDArray[np.float64]

__all__ = ["layers", "two_types"]

TYPES = 12  # machines a programme chooses from, the cheapest for what they serve first
MILLION = 1_000_000


def layers(market: Market) -> Found:
    """The base is paid at the rate of the user's savings plan; without one, as what is above."""
    served = market.following
    on_demand = served.offer.usd_per_hour
    planned = _under_plan(market, served.offer)
    burst, why_not = _burst(market)
    terms = LayerTerms(
        capacity_rps=_usable_rps(market, served.machine),
        reserved_usd_per_hour=on_demand if planned is None else planned.usd_per_hour,
        on_demand_usd_per_hour=on_demand,
        serverless_usd_per_million=None if burst is None else _usd_per_million(burst),
        serverless_most_rps=0.0 if burst is None else burst.most_rps,
        start_up_s=served.scenario.replica.start_s,
    )
    found = best_layers(market.terms.trace, terms, market.confidence)
    items = served.machine.fleet.items
    above = "on demand" if burst is None else f"on demand and {burst.name}"
    return Found(
        "layers",
        option=served.offer.name,
        machine=served.machine,
        text=f"a base of {found.reserved}, above it {above}",
        outcome=with_items(found.outcome, items, market.demand),
        prices={**terms.prices, **prices_of(items)},
        at_best=True,
        notes=(
            "layers: machines on demand follow the traffic at once, so this is the least it costs",
            _base_text(planned, on_demand),
            *why_not,
        ),
    )


def _under_plan(market: Market, offer: Offer) -> Offer | None:
    """None where the user has no plan, or it has no rate for that machine; spot is under none."""
    if offer.purchase is not Purchase.ON_DEMAND:
        return None
    planned = market.book.offers(offer.region, offer.platform, Purchase.SAVINGS_PLAN)
    return next((each for each in planned if each.instance == offer.instance), None)


def _base_text(planned: Offer | None, on_demand_usd: Decimal) -> str:
    if planned is None:
        return "layers: the base is paid on demand, as no savings plan is known (--savings-plan)"
    known = "as was said" if planned.basis is PriceBasis.DERIVED else "at the price book's rate"
    saved_ratio = 1 - planned.usd_per_hour / on_demand_usd
    return f"layers: on the base a savings plan saves {saved_ratio:.0%}, {known}"


def _burst(market: Market) -> tuple[Size | None, tuple[str, ...]]:
    """The size for bursts, or why there is none."""
    try:
        return best_size(market), ()
    except (NoGround, NotMeasured) as error:
        return None, (f"layers: no serverless for bursts: {error.message}",)


def _usd_per_million(size: Size) -> Decimal:
    """Compute alone, each request rounded up to a millisecond: data is billed beside it."""
    outcome = size.outcome(ON_DEMAND, 1, by_minute=False)
    compute = replace(outcome, usage=outcome.usage[:1])
    usd = float(compute.usd_per_million(size.prices, only_good=False)[0])
    return Decimal(f"{usd:.9f}")


def _usable_rps(market: Market, machine: Machine) -> Floats:
    """Of one machine in each draw, headroom taken off, and as the traffic's level has it."""
    capacity_rps = machine.carrying.capacity_rps
    draws = len(capacity_rps)
    usable = 1 - market.demand.constraints.headroom_ratio
    return capacity_rps * usable / market.terms.levels(draws)


def two_types(market: Market) -> Found:
    machines = sorted(market.fleet_machines, key=market.terms.usd_per_hour)[:TYPES]
    types = [
        MachineType(
            each.offer.name,
            float(each.offer.usd_per_hour),
            _usable_rps(market, each)[:, None],
        )
        for each in machines
    ]
    peak_rps = np.array([market.terms.trace.peak_rps])
    found = best_mixture(types, peak_rps, market.confidence)
    if found is None:
        raise NoGround("no mixture of two types carries the peak surely enough")
    counted = [(each, n) for each, n in zip(machines, found.counts, strict=True) if n]
    items = machines[0].fleet.items
    outcome = _fleet_outcome(market, counted)
    return Found(
        "two-types",
        option=" + ".join(each.offer.name for each, _ in counted),
        machine=counted[0][0],
        text=" and ".join(f"{n} × {each.offer.name}" for each, n in counted) + " at all times",  # noqa: RUF001 - a count, for people
        outcome=with_items(outcome, items, market.demand),
        prices={each.offer.name: each.offer.usd_per_hour for each, _ in counted}
        | prices_of(items),
        notes=_said_of(found),
    )


def _said_of(found: Mixture) -> tuple[str, ...]:
    alone = found.alone
    if alone is not None and alone.usd_per_hour <= found.usd_per_hour:
        return ("two-types: no second type makes it cheaper than the best one alone",)
    return ()


def _fleet_outcome(market: Market, counted: Sequence[tuple[Machine, int]]) -> Outcome:
    """While more comes than is within the SLO, none of it is good; past saturation it fails."""
    trace = market.terms.trace
    overload, ends_s = Overload(trace), np.array([trace.duration_s])
    draws = len(_usable_rps(market, counted[0][0]))
    levels = market.terms.levels(draws)
    capacity_rps, saturation_rps = np.zeros(draws), np.zeros(draws)
    for machine, count in counted:
        capacity_rps += count * machine.carrying.capacity_rps / levels
        saturation_rps += count * machine.carrying.saturation_rps / levels
    start_s = np.zeros(1)
    late = np.array([float(overload.during(c, start_s, ends_s)[0]) for c in capacity_rps])
    beyond = np.array([float(overload.beyond(c, start_s, ends_s)[0]) for c in saturation_rps])
    arrivals, zero = levels * trace.requests, np.zeros(draws)
    failed = levels * beyond
    good = np.maximum(arrivals - levels * late, 0.0)
    served = arrivals - failed
    hours = np.full(draws, trace.duration_s / 3600)
    return Outcome(
        trace.duration_s,
        Requests(arrivals, served, np.minimum(good, served), failed, zero, zero),
        tuple(Usage(each.offer.name, "instance-hour", n * hours) for each, n in counted),
    )
