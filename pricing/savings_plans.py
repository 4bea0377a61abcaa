"""Savings plans: at the rate that the user says they have."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from pricing.offers import PriceBasis, Purchase

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from decimal import Decimal

    from pricing.offers import Offer, Platform

__all__ = ["under_savings_plans"]


def under_savings_plans(
    offers: Iterable[Offer], saving_ratios: Mapping[Platform, Decimal]
) -> Iterator[Offer]:
    """Of each on-demand offer of those platforms, the same machine at the plan's rate.

    saving_ratios: shares of the on-demand price that are saved, by platform.
    """
    for offer in offers:
        saving = saving_ratios.get(offer.platform)
        if saving is None or offer.purchase is not Purchase.ON_DEMAND:
            continue
        yield replace(
            offer,
            purchase=Purchase.SAVINGS_PLAN,
            usd_per_hour=offer.usd_per_hour * (1 - saving),
            basis=PriceBasis.DERIVED,
            source=f"{saving.normalize():%} saved by the user's savings plan x {offer.source}",
        )
