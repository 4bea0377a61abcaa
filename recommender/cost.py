"""Bills: line items that add up, in Decimal from the price book to the total."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING

from pricing import NoPrice, UnitItem

if TYPE_CHECKING:
    from pricing import PriceBook
    from recommender.demand import Demand, TrafficFacts

__all__ = [
    "HOURS_PER_MONTH",
    "Bill",
    "LineItem",
    "data_items",
    "gigabytes_per_month",
    "per_million",
    "requests_per_month",
    "to_billionths",
]

HOURS_PER_MONTH = 730  # as AWS and the field count a month
MILLION = Decimal(1_000_000)
BYTES_PER_GB = Decimal(10**9)
BILLIONTH = Decimal("1e-9")


def to_billionths(amount: Decimal | float) -> Decimal:
    """Nine decimals: fine enough for any price, and coarse enough to be written out in full."""
    exact = amount if isinstance(amount, Decimal) else Decimal(repr(amount))
    return exact.quantize(BILLIONTH)


@dataclass(frozen=True, slots=True)
class LineItem:
    """quantity: in a month of 730 hours, to the billionth."""

    name: str
    quantity: Decimal
    unit: str
    usd_per_unit: Decimal

    def __post_init__(self) -> None:
        if not self.usd_per_unit.is_finite() or self.usd_per_unit <= 0:
            raise ValueError(f"{self.name}: a price of {self.usd_per_unit} is no price")
        if not self.quantity.is_finite() or self.quantity < 0:
            raise ValueError(f"{self.name}: a quantity of {self.quantity}")
        if self.quantity != to_billionths(self.quantity):
            raise ValueError(f"{self.name}: {self.quantity} is finer than a billionth")

    @property
    def usd(self) -> Decimal:
        """To the billionth of a dollar, so that what is written adds up to what is totalled."""
        return to_billionths(self.quantity * self.usd_per_unit)


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
    return Decimal(repr(traffic.mean_rps)) * 3600 * HOURS_PER_MONTH


def per_million(bill: Bill, traffic: TrafficFacts) -> Decimal:
    """Of the requests really asked, idle time included."""
    return bill.usd_per_month / requests_per_month(traffic) * MILLION


def gigabytes_per_month(bytes_mean: float, traffic: TrafficFacts) -> Decimal:
    """At so many bytes a request."""
    return Decimal(repr(bytes_mean)) * requests_per_month(traffic) / BYTES_PER_GB


def data_items(book: PriceBook, region: str, demand: Demand) -> tuple[LineItem, ...]:
    """What SageMaker charges for data in and out, where the price and the size are known."""
    workload = demand.workload
    sizes = (
        ("data in", UnitItem.DATA_IN, workload.request_bytes_mean),
        ("data out", UnitItem.DATA_OUT, workload.response_bytes_mean),
    )
    items = []
    for name, item, size in sizes:
        if size is None:
            continue
        try:
            price = book.unit_price(item, region)
        except NoPrice:
            continue
        quantity = to_billionths(gigabytes_per_month(size, demand.traffic))
        items.append(LineItem(name, quantity, price.unit, price.usd))
    return tuple(items)
