"""EC2 spot with machines on demand to fall back on. SageMaker's endpoints know no spot."""

from __future__ import annotations

from operator import attrgetter
from typing import TYPE_CHECKING

import numpy as np

from pricing import Platform, Purchase
from recommender.simulation.served import prices_of, with_items
from recommender.simulation.spot import (
    ON_DEMAND,
    SPOT,
    SpotScenario,
    best_spot_split,
    simulate_spot_fleet,
    splits,
)
from recommender.simulation.spot_history import SpotFleet, SpotMarket, interruption_rates
from recommender.simulation.ways.found import Found, NoGround

if TYPE_CHECKING:
    from collections.abc import Sequence
    from decimal import Decimal

    from numpy.typing import NDArray

    from recommender.simulation.market import Market
    from recommender.simulation.served import Machine
    from recommender.simulation.spot import SpotOutcome

    Floats = NDArray[np.float64]

__all__ = ["spot"]

FEW_DRAWS, DRAWS = 80, 400
WAYS_TO_SPLIT = 5
WORST = 0.05


def spot(market: Market) -> Found:
    """The machines that a fleet for the peak needs, or one more, split in the best way."""
    machine = _machine(market)
    prices = {SPOT: machine.offer.usd_per_hour, ON_DEMAND: _on_demand_usd(market, machine)}
    best, tried = best_spot_split(
        _scenario(market, machine, FEW_DRAWS),
        _fleets(market, machine),
        _market(machine, FEW_DRAWS),
        prices,
        attainment=market.quantile,
        confidence=market.confidence,
    )
    chosen = (best or max(tried, key=lambda each: each.attainment)).fleet
    found = simulate_spot_fleet(_scenario(market, machine, DRAWS), chosen, _market(machine, DRAWS))
    items = machine.fleet.items
    return Found(
        "spot",
        option=machine.offer.name,
        text=f"{chosen.spot} on spot and {chosen.on_demand} on demand at all times",
        outcome=with_items(found.outcome, items, market.demand),
        prices=prices | prices_of(items),
        machine=machine,
        notes=_notes(machine, found),
    )


def _machine(market: Market) -> Machine:
    constraints = market.demand.constraints
    if Platform.EC2.value not in constraints.platforms:
        raise NoGround("EC2 is not among the platforms asked for", hint="--platform ec2")
    if Purchase.SPOT.value not in constraints.purchases:
        raise NoGround("spot is not among the purchases asked for", hint="--purchase spot")
    offered = market.machines((Platform.EC2,), Purchase.SPOT)
    if not offered:
        raise NoGround("no machine on EC2 spot meets the SLO")
    known = [each for each in offered if each.offer.interruption_ratio_per_month is not None]
    if not known:
        raise NoGround("how often machines on spot are reclaimed is not known of any that does")
    return min(known, key=attrgetter("fixed_rank"))


def _on_demand_usd(market: Market, machine: Machine) -> Decimal:
    for offer in market.book.offers(machine.offer.region):
        is_same = offer.instance == machine.offer.instance and offer.platform is Platform.EC2
        if is_same and offer.purchase is Purchase.ON_DEMAND:
            return offer.usd_per_hour
    raise NoGround(f"no on-demand price of {machine.offer.name} is known to fall back on")


def _fleets(market: Market, machine: Machine) -> Sequence[SpotFleet]:
    setup_s = market.model.reference.setup_s or 0.0
    pools = market.demand.constraints.zones
    return [
        split
        for machines in (machine.fleet.replicas, machine.fleet.replicas + 1)
        for split in splits(
            SpotFleet(machines, pools=pools, start_s=market.terms.instance_start_s + setup_s),
            WAYS_TO_SPLIT,
        )
    ]


def _scenario(market: Market, machine: Machine, draws: int) -> SpotScenario:
    """Draws of capacity evenly spaced among the model's."""
    carrying = machine.carrying
    order = np.argsort(carrying.capacity_rps, kind="stable")
    chosen = order[((np.arange(draws) + 0.5) / draws * len(order)).astype(np.intp)]
    terms = market.terms
    return SpotScenario(
        terms.trace,
        carrying.capacity_rps[chosen],
        carrying.saturation_rps[chosen],
        terms.levels(draws),
        terms.seed,
    )


def _market(machine: Machine, draws: int) -> SpotMarket:
    taken = machine.offer.interruption_ratio_per_month
    if taken is None:
        raise NoGround(f"how often {machine.offer.name} is reclaimed is not known")
    return SpotMarket(per_hour=interruption_rates(taken, draws, seed=1))


def _notes(machine: Machine, found: SpotOutcome) -> tuple[str, ...]:
    return (
        (
            f"spot: {machine.offer.interruption_band} of such machines are reclaimed in a month; "
            f"interruptions lose {found.lost_ratio().mean():.2g} of the requests, and "
            f"{found.tail(WORST):.2g} in the worst {WORST:.0%} of the cases"
        ),
    )
