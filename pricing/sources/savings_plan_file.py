"""Rates of SageMaker's savings plans as public files: one a region, without credentials.

A file has six terms, of one year or three, each with thousands of rates: of the same machine as
notebook, training, hosting, studio. Only hosting's are kept. How a term is paid stands with its
product. A rate is what an hour comes to, whatever of it is paid upfront.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import ijson

from pricing.offers import Confidence, PriceBasis, SavingsPlan
from pricing.sources.listed import NotBelieved, agreed, listed_usd
from pricing.sources.region_files import OFFER_URL, RegionFiles, day_of, pushed
from pricing.sources.seen import PlanHourly, Priced, Refused, Seen, SeenPrice

if TYPE_CHECKING:
    from datetime import date

    from pricing.sources.seen import Report

__all__ = ["SavingsPlanFile"]

PLANS: Final = "AWSMachineLearningSavingsPlans"
# The prefix is the region's, or absent; it is not one name for one region.
_HOSTING: Final = re.compile(r"(?:^|-)Host:ml\.([a-z0-9-]+\.[a-z0-9]+)$")
_LENGTHS: Final = {(1, "year"): "1y", (3, "year"): "3y"}
_Rate = Mapping[str, Any]


class SavingsPlanFile:
    name = "savings-plan-file"

    def __init__(self, base_url: str = OFFER_URL) -> None:
        index = f"/savingsPlan/v1.0/aws/{PLANS}/current/region_index.json"
        self._files = RegionFiles(PLANS, base_url, index, _paths_in)

    @property
    def identity(self) -> str:
        return self._files.identity

    def seen(self, region: str, report: Report) -> Seen:
        url = self._files.url(region)
        if url is None:
            return Seen()
        reading = _Reading(url, region)
        self._files.read(url, reading, report)
        return reading.seen()


def _paths_in(index: Any) -> dict[str, str]:  # noqa: ANN401 - whatever JSON holds
    return {str(told["regionCode"]): str(told["versionUrl"]) for told in index["regions"]}


@dataclass(frozen=True, slots=True)
class _Term:
    """length: as `_LENGTHS` has it, or as the file says what that does not have."""

    sku: str
    length: str
    rates: tuple[_Rate, ...]


@dataclass
class _Reading:
    """What has been read of one file. One term at a time is held, until it is sifted."""

    url: str
    region: str
    _published: list[Any] = field(default_factory=ijson.sendable_list)
    _products: list[Any] = field(default_factory=ijson.sendable_list)
    _found: list[Any] = field(default_factory=ijson.sendable_list)
    _payments: dict[str, str] = field(default_factory=dict)
    _terms: list[_Term] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._parsers = (
            ijson.items_coro(self._published, "publicationDate"),
            ijson.items_coro(self._products, "products.item"),
            ijson.items_coro(self._found, "terms.savingsPlan.item"),
        )

    def take(self, chunk: bytes) -> None:
        """An empty chunk is the end of the file."""
        with pushed(self.url, chunk, self._parsers):
            for product in self._products:
                said = str(product.get("attributes", {}).get("purchaseOption", ""))
                self._payments[str(product["sku"])] = said.casefold().replace(" ", "-")
            self._terms += map(_term, self._found)
            self._products.clear()
            self._found.clear()

    def is_done(self) -> bool:
        """A file that was cut short shows it at its end."""
        return False

    def seen(self) -> Seen:
        published_on = day_of(self.url, self._published)
        found: dict[Priced, list[SeenPrice]] = {}
        refused: list[Refused] = []
        for term in self._terms:
            told = f"{term.length}-{self._payments.get(term.sku, 'of no product')}"
            for rate in term.rates:
                price = _price(rate, told, self.region, published_on)
                if isinstance(price, Refused):
                    refused.append(price)
                else:
                    found.setdefault(price.what, []).append(price)
        prices, contradicting = agreed(found)
        return Seen(prices=tuple(prices.values()), refused=(*refused, *contradicting))


def _term(told: dict[str, Any]) -> _Term:
    length = told["leaseContractLength"]
    duration, unit = int(length["duration"]), str(length["unit"])
    return _Term(
        sku=str(told["sku"]),
        length=_LENGTHS.get((duration, unit.casefold()), f"{duration} {unit}"),
        rates=tuple(rate for rate in told["rates"] if _instance(rate) is not None),
    )


def _instance(rate: _Rate) -> str | None:
    """Of a rate of hosting, its machine."""
    if rate.get("discountedServiceCode", "AmazonSageMaker") != "AmazonSageMaker":
        return None
    found = _HOSTING.search(str(rate.get("discountedUsageType", "")))
    return None if found is None else found[1]


def _price(rate: _Rate, plan: str, region: str, published_on: date) -> SeenPrice | Refused:
    source = f"AWS savings plan file of {published_on}, rate {rate.get('rateCode') or 'unnamed'}"
    machine = str(_instance(rate))
    said = rate.get("discountedRate")
    usd = said.get("price") if isinstance(said, dict) and said.get("currency") == "USD" else None
    try:
        what = _what(machine, plan, rate.get("discountedRegionCode", region), region)
        return SeenPrice(
            what=what,
            usd=listed_usd(what, rate.get("unit"), usd),
            region=region,
            observed_on=published_on,
            source=source,
            basis=PriceBasis.REPORTED,
            confidence=Confidence.HIGH,
        )
    except (NotBelieved, ValueError) as reason:
        return Refused(
            region=region,
            what=f"ml.{machine} {plan}",
            reason=str(reason),
            source=source,
            usd=str(usd or ""),
            observed_on=published_on,
        )


def _what(machine: str, plan: str, said_region: str, region: str) -> PlanHourly:
    if said_region != region:
        raise NotBelieved(f"is of {said_region!r}, in the file of {region}")
    try:
        return PlanHourly(machine, SavingsPlan(plan))
    except ValueError:
        raise NotBelieved(f"{plan} is none of {', '.join(SavingsPlan)}") from None
