"""The price book: every offer as known on one day. Immutable; asking it reaches no network."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date
from fnmatch import fnmatchcase
from types import MappingProxyType
from typing import Final

from pricing.by_region import OffersByRegion, PlanRatesByRegion, require_unique
from pricing.errors import NoPrice, UnknownInstanceType, UnknownRegion, did_you_mean
from pricing.instances import InstanceType
from pricing.offers import (
    AcceleratorOffer,
    Offer,
    PlanRate,
    Platform,
    Purchase,
    SavingsPlan,
    ServerlessComponent,
    ServerlessOffer,
    UnitItem,
    UnitPrice,
    Unpriced,
)
from pricing.text import require_line

STALE_DAYS: Final = 90
"""P4 and P5 fell by up to 44 % on one day of June 2025; a quarter is long enough to trust."""


@dataclass(frozen=True, kw_only=True)
class PriceBook:
    """`sources` and `notes` say, for people, where the rows come from and what to beware of."""

    name: str
    published_on: date
    sources: tuple[str, ...]
    notes: tuple[str, ...]
    instances: tuple[InstanceType, ...]
    offers_by_region: OffersByRegion
    plan_rates_by_region: PlanRatesByRegion = field(default_factory=lambda: PlanRatesByRegion({}))
    serverless_offers: tuple[ServerlessOffer, ...] = ()
    accelerator_offers: tuple[AcceleratorOffer, ...] = ()
    unit_prices: tuple[UnitPrice, ...] = ()
    unpriced_rows: tuple[Unpriced, ...] = ()
    _by_name: Mapping[str, InstanceType] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        for text in (self.name, *self.sources, *self.notes):
            require_line("text of a price book", text)
        require_unique("instance type", (i.name for i in self.instances))
        require_unique("hosting name", (i.hosting_name for i in self.instances if i.hosting_name))
        require_unique(
            "serverless price",
            ((s.region, s.memory_mib, s.component) for s in self.serverless_offers),
        )
        require_unique(
            "accelerator", ((a.region, a.platform, a.name) for a in self.accelerator_offers)
        )
        require_unique("unit price", ((u.region, u.item) for u in self.unit_prices))
        require_unique(
            "unpriced row", ((u.region, u.platform, u.instance.name) for u in self.unpriced_rows)
        )
        names = {i.name.casefold(): i for i in self.instances}
        names |= {i.hosting_name.casefold(): i for i in self.instances if i.hosting_name}
        object.__setattr__(self, "_by_name", MappingProxyType(names))

    @property
    def regions(self) -> tuple[str, ...]:
        return tuple(self.offers_by_region)

    def require_region(self, region: str) -> str:
        """The region itself; raises UnknownRegion where the book has none of that name."""
        if region not in self.offers_by_region:
            raise UnknownRegion(
                f"price book {self.name} has no region {region!r}"
                f"{did_you_mean(region, self.regions)}",
                hint=f"regions in the book: {', '.join(self.regions)}",
            )
        return region

    def instance(self, name: str) -> InstanceType:
        """By EC2 name or by SageMaker name; raises UnknownInstanceType."""
        asked = name.strip().casefold()
        if asked in self._by_name:
            return self._by_name[asked]
        bare = asked.removeprefix("ml.")
        if bare != asked and bare in self._by_name:
            raise UnknownInstanceType(
                f"{name} is not a SageMaker hosting type; {bare} exists on EC2 only",
                hint=self._hosting_sizes_like(bare),
            )
        alike = [known for known in self._by_name if known.startswith("ml.") == (bare != asked)]
        raise UnknownInstanceType(
            f"price book {self.name} has no instance type {name!r}{did_you_mean(name, alike)}",
            hint="names are EC2's (m5.large) or SageMaker's (ml.m5.large)",
        )

    def matching(self, patterns: Iterable[str]) -> tuple[InstanceType, ...]:
        """Instance types whose EC2 or SageMaker name fits a glob, in the book's order.

        A pattern that fits none raises UnknownInstanceType: it is a slip, not an empty wish.
        """
        wanted: set[str] = set()
        for pattern in patterns:
            glob = pattern.strip().casefold()
            found = {i.name for n, i in self._by_name.items() if fnmatchcase(n, glob)}
            if not found:
                found = {self._no_match(pattern).name}
            wanted |= found
        return tuple(i for i in self.instances if i.name in wanted)

    def offers(
        self, region: str, platform: Platform | None = None, purchase: Purchase | None = None
    ) -> tuple[Offer, ...]:
        return tuple(
            offer
            for offer in self.offers_by_region[self.require_region(region)]
            if (platform is None or offer.platform is platform)
            and (purchase is None or offer.purchase is purchase)
        )

    def offer(
        self,
        instance: str,
        region: str,
        platform: Platform,
        purchase: Purchase = Purchase.ON_DEMAND,
    ) -> Offer:
        """The one offer of a machine on those terms; raises NoPrice with the reason."""
        machine = self.instance(instance)
        for offer in self.offers(region, platform, purchase):
            if offer.instance.name == machine.name:
                return offer
        reasons = [
            unpriced.reason
            for unpriced in self.unpriced(region)
            if unpriced.instance.name == machine.name and unpriced.platform is platform
        ]
        raise NoPrice(
            f"price book {self.name} has no {purchase} price for {instance} on {platform}"
            f" in {region}{': ' + reasons[0] if reasons else ''}",
            hint="choose another machine, region or platform, or a newer price book",
        )

    def cheapest(
        self,
        region: str,
        platform: Platform | None = None,
        purchase: Purchase | None = None,
        *,
        fits: Callable[[Offer], bool] = lambda _: True,
    ) -> Offer:
        """Lowest price per hour among the offers that fit; raises NoPrice where none does."""
        candidates = [offer for offer in self.offers(region, platform, purchase) if fits(offer)]
        if not candidates:
            terms = " ".join(str(term) for term in (platform, purchase) if term is not None)
            raise NoPrice(
                f"price book {self.name} has no {terms or 'machine'} offer in {region} that fits",
                hint="ask for less, or for another region, platform or purchase",
            )
        return min(candidates, key=lambda offer: (offer.usd_per_hour, offer.name))

    def plan_rates(self, region: str, plan: SavingsPlan | None = None) -> tuple[PlanRate, ...]:
        """Of SageMaker's machines under every plan, or under that one; empty where none is known.

        Raises UnknownRegion.
        """
        found = self.plan_rates_by_region.get(self.require_region(region), ())
        return tuple(rate for rate in found if plan in (None, rate.plan))

    def serverless(
        self,
        region: str,
        component: ServerlessComponent | None = ServerlessComponent.ON_DEMAND,
    ) -> tuple[ServerlessOffer, ...]:
        """By memory size, smallest first. None asks for every component.

        Empty where the book has no serverless price for the region: nothing is carried over
        from another.
        """
        self.require_region(region)
        found = [
            offer
            for offer in self.serverless_offers
            if offer.region == region and (component is None or offer.component is component)
        ]
        return tuple(sorted(found, key=lambda offer: (offer.component, offer.memory_mib)))

    def accelerators(self, region: str) -> tuple[AcceleratorOffer, ...]:
        self.require_region(region)
        return tuple(offer for offer in self.accelerator_offers if offer.region == region)

    def unit_price(self, item: UnitItem, region: str) -> UnitPrice:
        self.require_region(region)
        for price in self.unit_prices:
            if price.region == region and price.item is item:
                return price
        known = sorted(price.region for price in self.unit_prices if price.item is item)
        raise NoPrice(
            f"price book {self.name} has no price of {item} in {region}",
            hint=f"it has one in: {', '.join(known)}" if known else "use a newer price book",
        )

    def unpriced(self, region: str) -> tuple[Unpriced, ...]:
        """Every SageMaker hosting type without a hosting price there, each with its reason.

        The reason is the book's own where it states one, else only that no price is known.
        """
        priced = {offer.instance.name for offer in self.offers(region, Platform.SAGEMAKER)}
        stated = tuple(row for row in self.unpriced_rows if row.region == region)
        explained = {row.instance.name for row in stated if row.platform is Platform.SAGEMAKER}
        return stated + tuple(
            Unpriced(
                instance=machine,
                region=region,
                platform=Platform.SAGEMAKER,
                reason=f"no price for {region} is known; it may not be offered there",
            )
            for machine in self.instances
            if machine.hosting_name and machine.name not in priced | explained
        )

    def age_days(self, today: date) -> int:
        """Days since the book was put together; its prices are older, see `observed_between`."""
        return (today - self.published_on).days

    def is_stale(self, today: date) -> bool:
        """Is it time to look again?"""
        return self.age_days(today) > STALE_DAYS

    def observed_between(self, region: str) -> tuple[date, date]:
        """Oldest and newest day on which a price of the region was observed."""
        days = [offer.observed_on for offer in self.offers_by_region[self.require_region(region)]]
        return min(days), max(days)

    def _no_match(self, pattern: str) -> InstanceType:
        if any(sign in pattern for sign in "*?["):
            families = sorted({name.rpartition(".")[0] for name in self._by_name})
            near = did_you_mean(pattern.strip().casefold().rpartition(".")[0], families)
            raise UnknownInstanceType(
                f"no instance type in price book {self.name} fits {pattern!r}{near}",
                hint="patterns are globs over names, for example 'ml.c7i.*' or 'g6*.xlarge'",
            )
        return self.instance(pattern)

    def _hosting_sizes_like(self, bare: str) -> str:
        family = bare.partition(".")[0]
        sizes = [i.hosting_name for i in self.instances if i.family == family and i.hosting_name]
        if not sizes:
            return f"SageMaker hosts no {family}; use EC2, or another family"
        return f"hosting types of that family: {', '.join(sizes)}"
