"""One machine that stops when nothing has come for a while."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from recommender.simulation.policy_search import slo_load_rps
from recommender.simulation.scale_to_zero import ScaleToZero, simulate_scale_to_zero
from recommender.simulation.ways.found import Found, NoGround

if TYPE_CHECKING:
    from recommender.simulation.market import Market

__all__ = ["scale_to_zero"]

IDLE_S = 900.0  # the fifteen datapoints of a minute after which target tracking scales in


def scale_to_zero(market: Market) -> Found:
    """A request that finds no machine fails, as with SageMaker's inference components."""
    single = [each for each in market.fleet_machines if each.fleet.replicas == 1]
    if not single:
        raise NoGround("no single machine carries the peak")
    if market.model.reference.setup_s is None:
        raise NoGround("how long the container takes to start was not measured")
    served = market.serve(min(single, key=lambda each: each.offer.usd_per_hour))
    replica = served.scenario.replica
    outcome = simulate_scale_to_zero(
        market.terms.trace,
        ScaleToZero(
            capacity_rps=slo_load_rps(served.scenario),
            mean_s=replica.service_mean_s,
            setup_s=np.full(replica.draws, replica.start_s),
            levels=served.scenario.levels,
            idle_s=IDLE_S,
            limit_s=market.limit.limit_s,
            waits=False,
        ),
    )
    return Found(
        "scale-to-zero",
        option=f"{served.offer.name} {served.offer.purchase.value}",
        text=f"one, stopped after {IDLE_S / 60:.0f} min without a request",
        outcome=served.billed(outcome),
        prices=served.prices,
        machine=served.machine,
    )
