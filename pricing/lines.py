"""Everything in a book that has a price, in one shape: for listing, comparing and exporting."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Final

from pricing.offers import Platform, Purchase

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from pricing.instances import Architecture, InstanceType
    from pricing.offers import (
        AcceleratorOffer,
        Offer,
        PlanRate,
        PriceRow,
        SavingsPlan,
        ServerlessOffer,
        UnitPrice,
    )
    from pricing.pricebook import PriceBook

__all__ = ["HOURS_PER_MONTH", "LineFilter", "PriceLine", "Span", "lines_of", "price_lines"]

HOURS_PER_MONTH: Final = 730  # as AWS and the field count a month
PLATFORM_NAMES: Final = {
    Platform.SAGEMAKER: "SageMaker",
    Platform.SERVERLESS: "serverless",
    Platform.EC2: "EC2",
    Platform.OWN: "your own",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class PriceLine:
    """One price. `what` is spelled as the platform spells it; `unit` is what `usd` buys.

    `row` says where it comes from. `instance`: None for what is not sold by the machine.
    `plan`: which one, of a savings plan's rate. `saving_ratio`: of spot and of such a rate, below
    the platform's on-demand price there; None where that is not known.
    """

    row: PriceRow
    what: str
    platform: Platform | None
    purchase: Purchase
    usd: Decimal
    unit: str
    instance: InstanceType | None = None
    plan: SavingsPlan | None = None
    interruption_band: str | None = None
    saving_ratio: Decimal | None = None
    retired: bool = False

    @property
    def key(self) -> tuple[str, str, str, str]:
        """The same in every book."""
        return self.row.region, self.what, str(self.platform or ""), self.terms

    @property
    def terms(self) -> str:
        """How it is bought, and under which plan."""
        return self.purchase if self.plan is None else f"{self.purchase} {self.plan}"

    @property
    def bought_as(self) -> str:
        """For people; empty where it belongs to no platform."""
        if self.retired:
            return "retired"
        platform = "" if self.platform is None else PLATFORM_NAMES[self.platform]
        if self.purchase is Purchase.ON_DEMAND:
            return platform
        return f"{platform} {self.plan or self.purchase.value}"

    @property
    def usd_per_month(self) -> Decimal | None:
        """Of an hourly price, paid without a break; None for what is not sold by the hour."""
        return self.usd * HOURS_PER_MONTH if self.unit == "hour" else None

    @property
    def usd_per_vcpu_hour(self) -> Decimal | None:
        """None for what is not a machine."""
        return None if self.instance is None else self.usd / self.instance.vcpus

    @property
    def usd_per_gib_hour(self) -> Decimal | None:
        """Of the machine's memory; None for what is not a machine."""
        return None if self.instance is None else self.usd / Decimal(self.instance.memory_gib)


@dataclass(frozen=True, slots=True)
class Span:
    """Both ends belong to it; None is no end."""

    least: float | None = None
    most: float | None = None

    def holds(self, value: float) -> bool:
        return (self.least is None or value >= self.least) and (
            self.most is None or value <= self.most
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class LineFilter:
    """What is asked for; empty and None ask for everything.

    A question about machines (vCPUs, memory, architecture, accelerator) leaves out what is not
    one. `accelerator` is words of a model's name (L4, RTX PRO), "any" or "none". `families` are
    EC2's: c7i, inf2.
    """

    names: tuple[str, ...] = ()
    platforms: tuple[Platform, ...] = ()
    purchases: tuple[Purchase, ...] = ()
    max_usd_per_hour: Decimal | None = None
    vcpus: Span | None = None
    memory_gib: Span | None = None
    architecture: Architecture | None = None
    accelerator: str | None = None
    families: tuple[str, ...] = ()

    def fits(self, line: PriceLine) -> bool:
        if self.platforms and line.platform not in self.platforms:
            return False
        if self.purchases and line.purchase not in self.purchases:
            return False
        if not self._fits_price(line):
            return False
        return self._fits_name(line) and self.fits_machine(line.instance)

    def _fits_price(self, line: PriceLine) -> bool:
        return self.max_usd_per_hour is None or (
            line.unit == "hour" and line.usd <= self.max_usd_per_hour
        )

    def _fits_name(self, line: PriceLine) -> bool:
        """By a name of the platform's, or of the machine's."""
        names = {line.what} if line.instance is None else {line.what, line.instance.name}
        return not self.names or any(
            fnmatchcase(name.casefold(), glob.casefold()) for name in names for glob in self.names
        )

    def fits_machine(self, machine: InstanceType | None) -> bool:
        asked = (self.vcpus, self.memory_gib, self.architecture, self.accelerator)
        if all(each is None for each in asked) and not self.families:
            return True
        return (
            machine is not None
            and (self.vcpus is None or self.vcpus.holds(machine.vcpus))
            and (self.memory_gib is None or self.memory_gib.holds(machine.memory_gib))
            and self.architecture in (None, machine.cpu.architecture)
            and (not self.families or machine.family in self.families)
            and self._fits_accelerator(machine)
        )

    def _fits_accelerator(self, machine: InstanceType) -> bool:
        if self.accelerator is None:
            return True
        found, asked = machine.accelerator, frozenset(self.accelerator.casefold().split())
        if asked == {"none"}:
            return found is None
        return found is not None and (
            asked == {"any"} or asked <= set(found.model.casefold().split())
        )


def price_lines(book: PriceBook, region: str) -> Iterator[PriceLine]:
    """Machines in the book's order, then what is sold by the second, the GB and the month."""
    offers = book.offers(region)
    on_demand = {
        (offer.platform, offer.instance.name): offer.usd_per_hour
        for offer in offers
        if offer.purchase is Purchase.ON_DEMAND
    }
    for offer in offers:
        spot = offer.purchase is Purchase.SPOT
        listed = on_demand.get((offer.platform, offer.instance.name)) if spot else None
        yield _of_machine(offer, listed)
    for rate in book.plan_rates(region):
        yield _of_plan(rate, on_demand.get((Platform.SAGEMAKER, rate.instance.name)))
    for second in book.serverless(region, None):
        yield _of_serverless(second)
    for price in book.unit_prices:
        if price.region == region:
            yield _of_unit(price)
    for accelerator in book.accelerators(region):
        yield _of_accelerator(accelerator)


def lines_of(book: PriceBook, regions: Iterable[str], wanted: LineFilter) -> tuple[PriceLine, ...]:
    """By the hour before all else, cheapest first. Raises UnknownRegion."""
    found = [line for region in regions for line in price_lines(book, region) if wanted.fits(line)]
    return tuple(sorted(found, key=lambda line: (line.unit != "hour", line.usd, line.key)))


def _of_machine(offer: Offer, on_demand_usd: Decimal | None) -> PriceLine:
    return PriceLine(
        what=offer.name,
        platform=offer.platform,
        purchase=offer.purchase,
        usd=offer.usd_per_hour,
        unit="hour",
        instance=offer.instance,
        interruption_band=offer.interruption_band,
        saving_ratio=_saving(offer.usd_per_hour, on_demand_usd),
        row=offer,
    )


def _of_plan(rate: PlanRate, on_demand_usd: Decimal | None) -> PriceLine:
    return PriceLine(
        what=rate.name,
        platform=Platform.SAGEMAKER,
        purchase=Purchase.SAVINGS_PLAN,
        usd=rate.usd_per_hour,
        unit="hour",
        instance=rate.instance,
        plan=rate.plan,
        saving_ratio=_saving(rate.usd_per_hour, on_demand_usd),
        row=rate,
    )


def _saving(usd: Decimal, on_demand_usd: Decimal | None) -> Decimal | None:
    return None if on_demand_usd is None else 1 - usd / on_demand_usd


def _of_serverless(offer: ServerlessOffer) -> PriceLine:
    return PriceLine(
        what=f"serverless {offer.memory_mib // 1024} GB {offer.component}",
        platform=Platform.SERVERLESS,
        purchase=Purchase.ON_DEMAND,
        usd=offer.usd_per_second,
        unit="second",
        row=offer,
    )


def _of_unit(price: UnitPrice) -> PriceLine:
    return PriceLine(
        what=price.item,
        platform=None,
        purchase=Purchase.ON_DEMAND,
        usd=price.usd,
        unit=price.unit,
        row=price,
    )


def _of_accelerator(offer: AcceleratorOffer) -> PriceLine:
    return PriceLine(
        what=offer.name,
        platform=offer.platform,
        purchase=Purchase.ON_DEMAND,
        usd=offer.usd_per_hour,
        unit="hour",
        retired=not offer.available,
        row=offer,
    )
