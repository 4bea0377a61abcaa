"""What an hour of each configuration costs, where somebody says or the price book knows."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict

from pricing import Platform, Purchase

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pricing import PriceBook
    from recommender.loadtest.plan import Plan
    from recommender.loadtest.subject import Configuration

__all__ = ["HourlyPrice", "hourly_prices", "paid_prices"]

HOSTING = "ml."


class HourlyPrice(BaseModel):
    """known_by: the plan, or the price book with the day and basis of its row."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    usd_per_hour: Decimal
    known_by: str


def hourly_prices(
    configurations: Iterable[Configuration], region: str, book: PriceBook
) -> dict[str, HourlyPrice]:
    """By configuration; none for one without an instance type or a price.

    Raises UnknownRegion, and UnknownInstanceType with close matches.
    """
    found = {}
    for each in configurations:
        price = _price(each, region, book)
        if price is not None:
            found[each.name] = price
    return found


def paid_prices(
    plan: Plan, configurations: Iterable[Configuration], prices: dict[str, HourlyPrice]
) -> dict[str, Decimal]:
    """Of those whose time is paid for while they are tested: servers elsewhere, by their URL.

    A size held to on this machine stands for an instance, and is billed by nobody.
    """
    return {
        each.name: prices[each.name].usd_per_hour
        for each in configurations
        if each.name in prices and (each.model or plan.model).kind == "url"
    }


def _price(configuration: Configuration, region: str, book: PriceBook) -> HourlyPrice | None:
    if configuration.usd_per_hour is not None:
        return HourlyPrice(usd_per_hour=configuration.usd_per_hour, known_by="the plan")
    if configuration.instance_type is None:
        return None
    hosted = configuration.instance_type.startswith(HOSTING)
    offer = book.offer(
        configuration.instance_type,
        region,
        platform=Platform.SAGEMAKER if hosted else Platform.EC2,
        purchase=Purchase.ON_DEMAND,
    )
    return HourlyPrice(
        usd_per_hour=offer.usd_per_hour,
        known_by=f"price book, {region}, {offer.observed_on.isoformat()}, {offer.basis.value}",
    )
