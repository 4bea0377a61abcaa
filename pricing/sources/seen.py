"""What a source of prices saw, and what a source is.

A source reads and refuses; whether a price enters a book is decided by pricing.refresh.
Machines go by the names that the books give them: m5.large, on SageMaker too.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Protocol

from typing_extensions import override

from pricing.instances import InstanceType
from pricing.offers import (
    Platform,
    PriceRow,
    Purchase,
    SavingsPlan,
    ServerlessComponent,
    UnitItem,
)

__all__ = [
    "Hourly",
    "PlanHourly",
    "PriceSource",
    "Priced",
    "Refused",
    "Report",
    "Seen",
    "SeenPrice",
    "ServerlessMemory",
    "SpotAdvice",
    "refused_price",
]

Report = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Hourly:
    """A machine by the hour."""

    instance: str
    platform: Platform
    purchase: Purchase = Purchase.ON_DEMAND

    @override
    def __str__(self) -> str:
        if self.platform is Platform.SAGEMAKER:
            return f"ml.{self.instance}"
        return f"{self.instance} {self.purchase}"


@dataclass(frozen=True, slots=True)
class PlanHourly:
    """A machine of SageMaker's by the hour, under a savings plan."""

    instance: str
    plan: SavingsPlan

    @override
    def __str__(self) -> str:
        return f"ml.{self.instance} {self.plan}"


@dataclass(frozen=True, slots=True)
class ServerlessMemory:
    """A second of serverless inference."""

    memory_mib: int
    component: ServerlessComponent

    @override
    def __str__(self) -> str:
        return f"serverless {self.memory_mib} MiB {self.component}"


Priced = Hourly | PlanHourly | ServerlessMemory | UnitItem


@dataclass(frozen=True, slots=True, kw_only=True)
class SeenPrice(PriceRow):
    what: Priced
    usd: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class SpotAdvice:
    """Spot Advisor's: how far below on-demand a machine is sold, how often it is taken back."""

    region: str
    instance: str
    saving_ratio: Decimal
    interruption_band: str
    observed_on: date


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """Read, and not believed: why. `usd` is what the source said, as it said it."""

    region: str
    what: str
    reason: str
    source: str
    usd: str = ""
    observed_on: date | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """`machines`: what machines are, for those that no book knows yet."""

    prices: tuple[SeenPrice, ...] = ()
    advice: tuple[SpotAdvice, ...] = ()
    machines: tuple[InstanceType, ...] = ()
    refused: tuple[Refused, ...] = ()


def refused_price(price: SeenPrice, reason: str) -> Refused:
    return Refused(
        region=price.region,
        what=str(price.what),
        reason=reason,
        source=price.source,
        usd=f"{price.usd:f}",
        observed_on=price.observed_on,
    )


class PriceSource(Protocol):
    """One place where prices are published. Another cloud's is one more file here.

    `name` is how `--source` spells it. `identity` says where it reads: what was kept from
    somewhere else is not taken for its own.
    """

    @property
    def name(self) -> str: ...

    @property
    def identity(self) -> str: ...

    def seen(self, region: str, report: Report) -> Seen:
        """All it has of one region; nothing where it does not sell there.

        Says what it is at by `report`. Raises SourceUnavailable, SourceRefused or BadOffer.
        """
        ...
