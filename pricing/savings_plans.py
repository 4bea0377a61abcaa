"""Savings plans: at the rates in the price book, or at the saving that the user says they have."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from pricing.offers import Platform, PriceBasis, Purchase, SavingsPlan

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from decimal import Decimal

    from pricing.offers import Offer, PlanRate

__all__ = ["under_savings_plans"]


def under_savings_plans(
    offers: Iterable[Offer],
    plans: Mapping[Platform, SavingsPlan | Decimal],
    rates: Iterable[PlanRate] = (),
) -> Iterator[Offer]:
    """Of each on-demand offer of those platforms, the same machine under the plan.

    plans: by platform, a plan by name, or the share of the on-demand price that it saves.
    rates: of the same region, of any plan. A plan by name is SageMaker's, and leaves out machines
    for which it has no rate.
    """
    known = {(rate.instance.name, rate.plan): rate for rate in rates}
    for offer in offers:
        plan = plans.get(offer.platform)
        if plan is None or offer.purchase is not Purchase.ON_DEMAND:
            continue
        if not isinstance(plan, SavingsPlan):
            yield _saving(offer, plan)
        elif offer.platform is Platform.SAGEMAKER and (offer.instance.name, plan) in known:
            yield _at_rate(offer, known[offer.instance.name, plan])


def _saving(offer: Offer, ratio: Decimal) -> Offer:
    return replace(
        offer,
        purchase=Purchase.SAVINGS_PLAN,
        usd_per_hour=offer.usd_per_hour * (1 - ratio),
        basis=PriceBasis.DERIVED,
        source=f"{ratio.normalize():%} saved by the user's savings plan x {offer.source}",
    )


def _at_rate(offer: Offer, rate: PlanRate) -> Offer:
    return replace(
        offer, purchase=Purchase.SAVINGS_PLAN, usd_per_hour=rate.usd_per_hour, **rate.provenance
    )
