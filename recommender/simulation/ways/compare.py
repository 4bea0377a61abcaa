"""Every way to serve a run at some traffic, side by side."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

from recommender.errors import BadRequest, RecommenderError
from recommender.simulation.report import ZonePlanFacts
from recommender.simulation.ways import fleets, mixed
from recommender.simulation.ways import serverless as on_serverless
from recommender.simulation.ways import spot as on_spot
from recommender.simulation.ways.found import WAYS, Found, Missing
from recommender.simulation.ways.to_zero import scale_to_zero
from recommender.simulation.zones import zone_plans

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from recommender.simulation.market import Market
    from recommender.simulation.scaling_policy import Policy

__all__ = ["Comparison", "compare", "zones_of"]

ZONES = (1, 2, 3)
BEAR_A_LOSS = ("yours", "fixed", "spot")


@dataclass(frozen=True, eq=False)
class Comparison:
    found: tuple[Found, ...]
    missing: tuple[Missing, ...]


def compare(
    market: Market,
    names: Sequence[str] = tuple(WAYS),
    policy: Policy | None = None,
) -> Comparison:
    """names: of WAYS. policy: the user's own, beside them. What has no ground says why."""
    known = _simulations()
    wanted = {name: known[name] for name in names}
    if policy is not None:
        wanted = {"yours": partial(fleets.yours, policy=policy)} | wanted
    found: list[Found] = []
    missing: list[Missing] = []
    for name, simulate in wanted.items():
        try:
            found.append(_in_zones(simulate(market), market.demand.constraints.zones))
        except RecommenderError as error:
            missing.append(Missing(name, error.message, error.hint))
    return Comparison(tuple(found), tuple(missing))


def _in_zones(found: Found, zones: int) -> Found:
    """Of most ways it is not simulated how many machines more losing a zone needs."""
    if zones == 1 or found.machine is None or found.name in BEAR_A_LOSS:
        return found
    note = f"{found.name}: losing one of {zones} zones is not borne"
    return replace(found, at_best=True, notes=(*found.notes, note))


def _simulations() -> dict[str, Callable[[Market], Found]]:
    return {
        "fixed": fleets.fixed,
        "formula": fleets.formula,
        "scaled": fleets.scaled,
        "serverless": on_serverless.serverless,
        "provisioned": on_serverless.provisioned,
        "provisioned-scaled": on_serverless.provisioned_scaled,
        "spot": on_spot.spot,
        "layers": mixed.layers,
        "two-types": mixed.two_types,
        "scale-to-zero": scale_to_zero,
    }


def zones_of(market: Market) -> tuple[ZonePlanFacts, ...]:
    """What spreading the fixed fleet over zones costs; none where no fleet meets the SLO."""
    try:
        machine = market.steady.machine
    except BadRequest:
        return ()
    plans = zone_plans(
        market.terms.trace,
        machine.carrying.capacity_rps,
        float(machine.offer.usd_per_hour),
        market.demand.constraints,
        ZONES,
    )
    return tuple(
        ZonePlanFacts(
            zones=each.zones,
            replicas=each.replicas,
            usd_per_month=each.usd_per_month,
            extra_usd_per_month=each.extra_usd_per_month,
            lost_ratio=each.lost_ratio,
        )
        for each in plans
    )
