"""A new book out of the one in force and what sources saw: pure, a region at a time.

A row that was not refreshed is carried over with its own day. Rows that are EC2's on-demand price
times something (hosting by the ratio rule, spot by Spot Advisor's saving) follow a refreshed one.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import TYPE_CHECKING, Final

from pricing.offers import (
    Confidence,
    Offer,
    PlanRate,
    Platform,
    PriceBasis,
    Purchase,
    ServerlessOffer,
    UnitItem,
    UnitPrice,
)
from pricing.plan_rates import merged_rates, wrong_rates
from pricing.quarantine import Quarantined, Sifted, Standing, sift
from pricing.sources.seen import (
    Hourly,
    PlanHourly,
    Priced,
    Seen,
    SeenPrice,
    ServerlessMemory,
    SpotAdvice,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from pricing.instances import InstanceType
    from pricing.pricebook import PriceBook

__all__ = ["Machines", "Region", "in_force", "known_machines", "refreshed_region"]

# How the books name the two rules by which a row follows from EC2's on-demand price.
_HOSTING_RULE: Final = "EC2 on-demand x"
_SPOT_RULE: Final = "Spot Advisor saving of"
_BAND_DAY: Final = re.compile(r"interruption band of (\S+)")
_LAST_DIGIT: Final = Decimal("0.000001")
_LEFT_OUT: Final = "the row was left out of the new book"
_OVERTAKEN: Final = f"on-demand has come down to it; {_LEFT_OUT}"


@dataclass(frozen=True, slots=True)
class Machines:
    """by_name: those of the book, and new ones. passed_over: how many EC2 prices are of others."""

    by_name: dict[str, InstanceType]
    quarantined: tuple[Quarantined, ...]
    passed_over: int


@dataclass(frozen=True, slots=True)
class Region:
    """One region of the new book.

    moved: how many prices taken are not what stood there. followed: how many rows were computed
    anew. advised: how many spot rows were, or took a band from Spot Advisor.
    """

    offers: tuple[Offer, ...]
    plan_rates: tuple[PlanRate, ...]
    serverless: tuple[ServerlessOffer, ...]
    units: tuple[UnitPrice, ...]
    sifted: Sifted
    moved: int
    followed: int
    advised: int

    @property
    def priced(self) -> frozenset[tuple[str, Platform]]:
        return frozenset((offer.instance.name, offer.platform) for offer in self.offers)


def in_force(book: PriceBook, region: str) -> dict[Priced, Standing]:
    if region not in book.offers_by_region:
        return {}
    standing: dict[Priced, Standing] = {
        _key(offer): Standing(
            offer.usd_per_hour, offer.observed_on, offer.basis, _follows_ec2(offer)
        )
        for offer in book.offers(region)
    }
    for rate in book.plan_rates(region):
        standing[PlanHourly(rate.instance.name, rate.plan)] = Standing(
            rate.usd_per_hour, rate.observed_on, rate.basis
        )
    for second in book.serverless_offers:
        if second.region == region:
            standing[ServerlessMemory(second.memory_mib, second.component)] = Standing(
                second.usd_per_second, second.observed_on, second.basis
            )
    for unit in book.unit_prices:
        if unit.region == region:
            standing[unit.item] = Standing(unit.usd, unit.observed_on, unit.basis)
    return standing


def known_machines(book: PriceBook, seen: Seen, is_hosting: Callable[[str], bool]) -> Machines:
    """Machines to which the prices belong, and prices of those that nobody knows.

    is_hosting: does SageMaker's API name it? A price list names types that cannot be deployed.
    A machine new since the release joins where SageMaker hosts it, or others of its family are in.
    """
    by_name = {machine.name: machine for machine in book.instances}
    families = {machine.family for machine in book.instances}
    described = {machine.name: machine for machine in seen.machines}
    quarantined = []
    for what, price in _of_hosting(seen.prices):
        machine = by_name.get(what.instance) or described.get(what.instance)
        if machine is not None and (machine.hosting_name or is_hosting(str(what))):
            by_name[machine.name] = replace(machine, hosting_name=str(what))
        else:
            quarantined.append(_stranger(price, is_known=machine is not None))
    strangers = sorted(_of_ec2(seen.prices) - by_name.keys())
    joining = {
        name: described[name]
        for name in strangers
        if name in described and described[name].family in families
    }
    return Machines(by_name | joining, tuple(quarantined), len(strangers) - len(joining))


def refreshed_region(
    book: PriceBook,
    region: str,
    seen: Seen,
    machines: Mapping[str, InstanceType],
    accepted: Iterable[str],
) -> Region:
    standing, (prices, contradicted) = in_force(book, region), _one_each(seen.prices)
    listed = [price for price in prices if _has_row(price.what, machines)]
    sifted = sift(listed, standing, accepted)
    old = {
        _key(offer): replace(offer, instance=machines[offer.instance.name])
        for offer in (book.offers(region) if region in book.offers_by_region else ())
    }
    new = {
        what: _offer(what, price, machines[what.instance], old)
        for what, price in sifted.taken.items()
        if isinstance(what, Hourly)
    }
    followed = _followed(old, new)
    advised = _advised(old | followed | new, seen.advice)
    offers = old | followed | new | advised
    overtaken = set(_overtaken(offers))
    kept = tuple(offer for what, offer in offers.items() if what not in overtaken)
    rates = merged_rates(book.plan_rates_by_region.get(region, ()), sifted.taken, machines)
    wrong = wrong_rates(rates, kept)
    left_out = (
        *(_told(old[what], what, _OVERTAKEN) for what in old if what in overtaken),
        *(_told(rates[what], what, f"{reason}; {_LEFT_OUT}") for what, reason in wrong.items()),
    )
    return Region(
        offers=kept,
        plan_rates=tuple(rate for what, rate in rates.items() if what not in wrong),
        serverless=tuple(_serverless(book, region, sifted.taken)),
        units=tuple(_units(book, region, sifted.taken)),
        sifted=replace(sifted, quarantined=sifted.quarantined + contradicted + left_out),
        moved=sum(_is_news(price, standing) for price in sifted.taken.values()),
        followed=len(followed),
        advised=len(advised),
    )


def _of_hosting(prices: Iterable[SeenPrice]) -> Iterator[tuple[Hourly, SeenPrice]]:
    for price in prices:
        if isinstance(price.what, Hourly) and price.what.platform is Platform.SAGEMAKER:
            yield price.what, price


def _of_ec2(prices: Iterable[SeenPrice]) -> set[str]:
    return {
        price.what.instance
        for price in prices
        if isinstance(price.what, Hourly) and price.what.platform is Platform.EC2
    }


def _one_each(
    prices: Iterable[SeenPrice],
) -> tuple[tuple[SeenPrice, ...], tuple[Quarantined, ...]]:
    """Of two sources the one with the later day; on the same day, the one that was asked first."""
    best: dict[Priced, SeenPrice] = {}
    ranked = sorted(prices, key=lambda price: price.observed_on, reverse=True)
    quarantined = []
    for price in ranked:
        first = best.setdefault(price.what, price)
        if first.usd != price.usd:
            reason = f"{first.source} says {first.usd:f} USD on {first.observed_on}"
            quarantined.append(Quarantined.of(price, reason))
    return tuple(best.values()), tuple(quarantined)


def _stranger(price: SeenPrice, *, is_known: bool) -> Quarantined:
    if is_known:
        return Quarantined.of(price, "the SageMaker API names no such hosting type")
    return Quarantined.of(
        price,
        "a machine newer than this book, and what it is was not asked: refresh with AWS"
        " credentials (source instance-types)",
    )


def _has_row(what: Priced, machines: Mapping[str, InstanceType]) -> bool:
    if not isinstance(what, Hourly):
        return True
    machine = machines.get(what.instance)
    if machine is None:
        return False
    return what.platform is not Platform.SAGEMAKER or machine.hosting_name is not None


def _offer(
    what: Hourly, price: SeenPrice, machine: InstanceType, old: Mapping[Hourly, Offer]
) -> Offer:
    offer = Offer(
        instance=machine,
        platform=what.platform,
        purchase=what.purchase,
        usd_per_hour=price.usd,
        **price.provenance,
    )
    before = old.get(what)
    if before is None or before.interruption_band is None:
        return offer
    said = _BAND_DAY.search(before.note or "")
    return _banded(offer, before.interruption_band, said[1] if said else str(before.observed_on))


def _banded(offer: Offer, band: str, day: str) -> Offer:
    """Price and band are of different days: the row has the price's, the note the band's."""
    others = _BAND_DAY.sub("", offer.note or "").strip("; ")
    note = "; ".join(part for part in (others, f"interruption band of {day}") if part)
    return replace(offer, interruption_band=band, note=note)


def _is_news(price: SeenPrice, standing: Mapping[Priced, Standing]) -> bool:
    return price.what not in standing or price.usd != standing[price.what].usd


def _followed(old: Mapping[Hourly, Offer], new: Mapping[Hourly, Offer]) -> dict[Hourly, Offer]:
    """Rows that follow from an EC2 price which is refreshed, and are not refreshed themselves."""
    return {
        what: _following(offer, old[_on_demand(what)], new[_on_demand(what)])
        for what, offer in old.items()
        if what not in new and _follows_ec2(offer)
        if _on_demand(what) in old and _on_demand(what) in new
    }


def _following(offer: Offer, ec2_before: Offer, ec2: Offer) -> Offer:
    """What it was times of EC2's, it stays."""
    usd = offer.usd_per_hour * ec2.usd_per_hour / ec2_before.usd_per_hour
    is_spot = offer.purchase is Purchase.SPOT
    return replace(
        offer,
        usd_per_hour=_rounded(usd),
        observed_on=offer.observed_on if is_spot else ec2.observed_on,
        note=None,
    )


def _advised(offers: Mapping[Hourly, Offer], advice: Iterable[SpotAdvice]) -> dict[Hourly, Offer]:
    """A price that was quoted stays and takes the band; where there is none, it is estimated."""
    told: dict[Hourly, Offer] = {}
    for each in advice:
        what = Hourly(each.instance, Platform.EC2, Purchase.SPOT)
        on_demand, quoted = offers.get(_on_demand(what)), offers.get(what)
        if quoted is not None and quoted.basis is PriceBasis.REPORTED:
            told[what] = _banded(quoted, each.interruption_band, str(each.observed_on))
        elif on_demand is not None:
            told[what] = _estimate(each, on_demand)
    return told


def _estimate(advice: SpotAdvice, on_demand: Offer) -> Offer:
    return Offer(
        instance=on_demand.instance,
        platform=Platform.EC2,
        purchase=Purchase.SPOT,
        usd_per_hour=_rounded(on_demand.usd_per_hour * (1 - advice.saving_ratio)),
        interruption_band=advice.interruption_band,
        region=advice.region,
        observed_on=min(advice.observed_on, on_demand.observed_on),
        source=f"{_SPOT_RULE} {advice.observed_on} x on-demand",
        basis=PriceBasis.DERIVED,
        confidence=Confidence.LOW,
    )


def _overtaken(offers: Mapping[Hourly, Offer]) -> Iterator[Hourly]:
    """Old spot quotes at or above what on-demand has come down to."""
    for what, offer in offers.items():
        on_demand = offers.get(_on_demand(what))
        is_spot = what.purchase is Purchase.SPOT
        if is_spot and on_demand is not None and offer.usd_per_hour >= on_demand.usd_per_hour:
            yield what


def _told(row: Offer | PlanRate, what: Priced, reason: str) -> Quarantined:
    return Quarantined(
        region=row.region,
        what=str(what),
        usd="",
        usd_in_force=f"{row.usd_per_hour:f}",
        observed_on=row.observed_on.isoformat(),
        source=row.source,
        reason=reason,
    )


def _serverless(
    book: PriceBook, region: str, taken: Mapping[Priced, SeenPrice]
) -> Iterator[ServerlessOffer]:
    for old in book.serverless_offers:
        if old.region == region and ServerlessMemory(old.memory_mib, old.component) not in taken:
            yield old
    for what, price in taken.items():
        if isinstance(what, ServerlessMemory):
            yield ServerlessOffer(
                memory_mib=what.memory_mib,
                component=what.component,
                usd_per_second=price.usd,
                **price.provenance,
            )


def _units(book: PriceBook, region: str, taken: Mapping[Priced, SeenPrice]) -> Iterator[UnitPrice]:
    for old in book.unit_prices:
        if old.region == region and old.item not in taken:
            yield old
    for what, price in taken.items():
        if isinstance(what, UnitItem):
            yield UnitPrice(item=what, usd=price.usd, **price.provenance)


def _key(offer: Offer) -> Hourly:
    return Hourly(offer.instance.name, offer.platform, offer.purchase)


def _on_demand(what: Hourly) -> Hourly:
    return Hourly(what.instance, Platform.EC2)


def _follows_ec2(offer: Offer) -> bool:
    return offer.basis is PriceBasis.DERIVED and offer.source.startswith(
        (_HOSTING_RULE, _SPOT_RULE)
    )


def _rounded(usd: Decimal) -> Decimal:
    return usd.quantize(_LAST_DIGIT).normalize()
