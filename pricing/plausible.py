"""What prices are like: bounds that a right price keeps, and a slip of the pen does not.

SageMaker's hosting price is EC2's on-demand price times a ratio of the family: 1.15 to 1.40 on
every type whose two prices are both known, in every region. Spot is sold below on-demand. A
savings plan's rate is below SageMaker's on-demand price, and saves less than nine tenths of it.
"""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Final

from pricing.errors import BadPriceBook
from pricing.offers import Platform, Purchase

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from pricing.offers import Offer, PlanRate
    from pricing.pricebook import PriceBook

__all__ = [
    "HOSTING_RATIO_BOUNDS",
    "implausible",
    "on_demand_prices",
    "require_plausible",
    "wrong_plan_rate",
]

HOSTING_RATIO_BOUNDS: Final = (Decimal("1.10"), Decimal("1.45"))
PLAN_FLOOR_RATIO: Final = Decimal("0.1")


def require_plausible(book: PriceBook) -> None:
    """Reads every region. Raises BadPriceBook with the first price that cannot be right."""
    for region in book.regions:
        for fault in implausible(book.offers(region), book.plan_rates(region)):
            raise BadPriceBook(
                f"price book {book.name}, {region}: {fault}",
                hint="put the file back as it was written, or remove the book",
            )


def implausible(offers: Iterable[Offer], plan_rates: Iterable[PlanRate] = ()) -> Iterator[str]:
    """What is wrong with offers and rates of one region, a sentence for each."""
    given = tuple(offers)
    hosting, ec2 = (
        on_demand_prices(given, Platform.SAGEMAKER),
        on_demand_prices(given, Platform.EC2),
    )
    for rate in plan_rates:
        wrong = wrong_plan_rate(rate.usd_per_hour, hosting.get(rate.instance.name))
        if wrong is not None:
            yield f"{rate.name} under {rate.plan} {wrong}"
    for offer in given:
        on_demand = ec2.get(offer.instance.name)
        if on_demand is None:
            continue
        fault = _fault(offer, on_demand)
        if fault is not None:
            yield fault


def wrong_plan_rate(usd: Decimal, on_demand_usd: Decimal | None) -> str | None:
    """Why a plan's rate cannot be right beside SageMaker's on-demand price; None where it can."""
    if on_demand_usd is None:
        return "has no on-demand price there that it could be held to"
    if PLAN_FLOOR_RATIO * on_demand_usd < usd < on_demand_usd:
        return None
    return (
        f"costs {usd:f} USD an hour, {usd / on_demand_usd:.2f} times on-demand's"
        f" {on_demand_usd:f}; a plan's rate is {PLAN_FLOOR_RATIO} to 1 times"
    )


def on_demand_prices(offers: Iterable[Offer], platform: Platform) -> dict[str, Decimal]:
    """An hour of each machine there, by its bare name. offers: of one region."""
    return {
        offer.instance.name: offer.usd_per_hour
        for offer in offers
        if (offer.platform, offer.purchase) == (platform, Purchase.ON_DEMAND)
    }


def _fault(offer: Offer, on_demand_usd: Decimal) -> str | None:
    if offer.purchase is Purchase.SPOT and offer.usd_per_hour >= on_demand_usd:
        return (
            f"{offer.name} costs {offer.usd_per_hour} USD an hour on spot and {on_demand_usd} on "
            "demand; spot is cheaper"
        )
    if offer.platform is not Platform.SAGEMAKER or offer.purchase is not Purchase.ON_DEMAND:
        return None
    ratio = offer.usd_per_hour / on_demand_usd
    lowest, highest = HOSTING_RATIO_BOUNDS
    if lowest <= ratio <= highest:
        return None
    return (
        f"{offer.name} costs {offer.usd_per_hour} USD an hour, {ratio:.2f} times EC2's "
        f"{on_demand_usd}; SageMaker's are {lowest} to {highest} times"
    )
