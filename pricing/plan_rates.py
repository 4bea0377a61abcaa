"""Rates of savings plans in a new book: those of the book in force, and those that were taken."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from pricing.offers import PlanRate, Platform
from pricing.plausible import on_demand_prices, wrong_plan_rate
from pricing.sources.seen import PlanHourly

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from pricing.instances import InstanceType
    from pricing.offers import Offer
    from pricing.sources.seen import Priced, SeenPrice

__all__ = ["merged_rates", "wrong_rates"]


def merged_rates(
    in_force: Iterable[PlanRate],
    taken: Mapping[Priced, SeenPrice],
    machines: Mapping[str, InstanceType],
) -> dict[PlanHourly, PlanRate]:
    """Of one region. One that was not taken anew keeps its day."""
    rates = {
        PlanHourly(old.instance.name, old.plan): replace(old, instance=machines[old.instance.name])
        for old in in_force
    }
    for what, price in taken.items():
        if isinstance(what, PlanHourly):
            rates[what] = PlanRate(
                instance=machines[what.instance],
                plan=what.plan,
                usd_per_hour=price.usd,
                **price.provenance,
            )
    return rates


def wrong_rates(
    rates: Mapping[PlanHourly, PlanRate], offers: Iterable[Offer]
) -> dict[PlanHourly, str]:
    """Rates from which the new book's on-demand price has moved away, and why they are wrong."""
    on_demand = on_demand_prices(offers, Platform.SAGEMAKER)
    found = {
        what: wrong_plan_rate(rate.usd_per_hour, on_demand.get(what.instance))
        for what, rate in rates.items()
    }
    return {what: reason for what, reason in found.items() if reason is not None}
