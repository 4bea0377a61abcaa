"""What spot machines cost now, by EC2's DescribeSpotPriceHistory: needs credentials."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from statistics import median_high
from typing import TYPE_CHECKING, Any, Final

from pricing.offers import Confidence, Platform, PriceBasis, Purchase
from pricing.sources.aws import Aws, faults_named, where_enabled
from pricing.sources.seen import Hourly, Refused, Seen, SeenPrice

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pricing.sources.seen import Report

__all__ = ["SpotHistory"]

_LINUX: Final = frozenset({"Linux/UNIX", "Linux/UNIX (Amazon VPC)"})
_SOURCE: Final = "EC2 DescribeSpotPriceHistory"


class SpotHistory:
    """A region's price of a machine is the median over its zones: a fleet stands in several."""

    name = "spot-history"

    def __init__(self, aws: Aws) -> None:
        self._aws = aws

    @property
    def identity(self) -> str:
        return _SOURCE

    def seen(self, region: str, report: Report) -> Seen:
        return where_enabled(region, "spot prices", _SOURCE, lambda: self._quoted(region, report))

    def _quoted(self, region: str, report: Report) -> Seen:
        now = datetime.now(UTC)
        by_zone: dict[str, dict[str, Decimal]] = {}
        refused: list[Refused] = []
        with faults_named(f"EC2 in {region}", region):
            pages = (
                self._aws.client("ec2", region)
                .get_paginator("describe_spot_price_history")
                .paginate(StartTime=now, ProductDescriptions=sorted(_LINUX))
            )
            for page in pages:
                _take(page["SpotPriceHistory"], region, by_zone, refused)
                report(f"spot prices, {len(by_zone)} machines")
        prices = tuple(_price(name, zones, region, now) for name, zones in by_zone.items())
        return Seen(prices=prices, refused=tuple(refused))


def _take(
    quotes: Iterable[dict[str, Any]],
    region: str,
    by_zone: dict[str, dict[str, Decimal]],
    refused: list[Refused],
) -> None:
    """Newest first, as EC2 answers: the first quote of a zone is the one in force."""
    for quote in quotes:
        if quote["ProductDescription"] not in _LINUX:
            continue
        name, usd = quote["InstanceType"], Decimal(quote["SpotPrice"])
        if usd > 0:
            by_zone.setdefault(name, {}).setdefault(quote["AvailabilityZone"], usd)
        else:
            refused.append(
                Refused(
                    region=region,
                    what=f"{name} spot",
                    reason=f"costs {usd} in {quote['AvailabilityZone']}",
                    source=_SOURCE,
                    usd=str(usd),
                )
            )


def _price(name: str, zones: dict[str, Decimal], region: str, now: datetime) -> SeenPrice:
    return SeenPrice(
        what=Hourly(name, Platform.EC2, Purchase.SPOT),
        usd=median_high(zones.values()).normalize(),
        region=region,
        observed_on=now.date(),
        source=f"{_SOURCE}, median of {len(zones)} zone{'s' if len(zones) > 1 else ''}",
        basis=PriceBasis.REPORTED,
        confidence=Confidence.MEDIUM,
        note=f"{min(zones.values()).normalize():f} to {max(zones.values()).normalize():f} by zone",
    )
