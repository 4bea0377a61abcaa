"""Bills: line items that add up, in Decimal from the price book to the total."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from recommender.demand import TrafficFacts

__all__ = ["HOURS_PER_MONTH", "Bill", "LineItem", "gigabytes", "per_million"]

HOURS_PER_MONTH = 730  # as AWS and the field count a month
MILLION = Decimal(1_000_000)
BYTES_PER_GB = Decimal(10**9)


@dataclass(frozen=True, slots=True)
class LineItem:
    """quantity: in a month of 730 hours."""

    name: str
    quantity: Decimal
    unit: str
    usd_per_unit: Decimal

    def __post_init__(self) -> None:
        if self.usd_per_unit <= 0:
            raise ValueError(f"{self.name}: a price of {self.usd_per_unit} is no price")
        if self.quantity < 0:
            raise ValueError(f"{self.name}: a quantity of {self.quantity}")

    @property
    def usd(self) -> Decimal:
        return self.quantity * self.usd_per_unit


@dataclass(frozen=True, slots=True)
class Bill:
    """One month."""

    items: tuple[LineItem, ...]

    @property
    def usd_per_month(self) -> Decimal:
        return sum((item.usd for item in self.items), Decimal(0))

    @property
    def usd_per_hour(self) -> Decimal:
        return self.usd_per_month / HOURS_PER_MONTH


def requests_per_month(traffic: TrafficFacts) -> Decimal:
    return Decimal(str(traffic.mean_rps)) * 3600 * HOURS_PER_MONTH


def per_million(bill: Bill, traffic: TrafficFacts) -> Decimal:
    """Of the requests really asked, idle time included."""
    return bill.usd_per_month / requests_per_month(traffic) * MILLION


def gigabytes(bytes_mean: float, traffic: TrafficFacts) -> Decimal:
    """In a month, at so many bytes a request."""
    return Decimal(str(bytes_mean)) * requests_per_month(traffic) / BYTES_PER_GB
