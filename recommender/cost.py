"""Bills: line items that add up, in Decimal from the price book to the total."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from functools import cached_property
from typing import TYPE_CHECKING, Protocol

from pricing import HOURS_PER_MONTH, NoPrice, Platform, UnitItem
from recommender.recommendation import CostItem

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pricing import PriceBook
    from recommender.demand import Demand, TrafficFacts

__all__ = [
    "LOAD_BALANCER",
    "OVERHEAD",
    "Bill",
    "LineItem",
    "amount_text",
    "data_items",
    "fleet_items",
    "gigabytes_per_month",
    "grows_with_requests",
    "per_million",
    "requests_per_month",
    "to_billionths",
    "usd_by_growth",
]

MILLION = Decimal(1_000_000)
BYTES_PER_GB = Decimal(10**9)
LOAD_BALANCER, OVERHEAD = "load balancer", "running it oneself"
FIXED_UNITS = ("hour", "month")
LCU_HOUR_GB = 1  # with machines behind it, as AWS states
BILLIONTH = Decimal("1e-9")


def to_billionths(amount: Decimal | float) -> Decimal:
    """Nine decimals: fine enough for any price, and coarse enough to be written out in full."""
    exact = amount if isinstance(amount, Decimal) else Decimal(repr(float(amount)))
    return exact.quantize(BILLIONTH)


def amount_text(amount: Decimal | float) -> str:
    """Plain digits, never an exponent; to the billionth, and nothing is never less than 0."""
    unsigned_zero = to_billionths(amount) + 0
    return format(unsigned_zero.normalize(), "f")


@dataclass(frozen=True)
class LineItem:
    """quantity: in a month of 730 hours, to the billionth.

    Hundreds of bills share one: what is made of it is made once.
    """

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

    @cached_property
    def usd(self) -> Decimal:
        """To the billionth of a dollar, so that what is written adds up to what is totalled."""
        return to_billionths(self.quantity * self.usd_per_unit)

    @cached_property
    def told(self) -> CostItem:
        return CostItem(
            name=self.name,
            quantity=amount_text(self.quantity),
            unit=self.unit,
            usd_per_unit=amount_text(self.usd_per_unit),
            usd=amount_text(self.usd),
        )


@dataclass(frozen=True)
class Bill:
    """One month."""

    items: tuple[LineItem, ...]

    @cached_property
    def usd_per_month(self) -> Decimal:
        return sum((item.usd for item in self.items), Decimal(0))

    @property
    def usd_per_hour(self) -> Decimal:
        return self.usd_per_month / HOURS_PER_MONTH


def grows_with_requests(unit: str) -> bool:
    """Of what is on a bill besides machines and seconds: else it costs as long as it stands."""
    return unit not in FIXED_UNITS


class Billed(Protocol):
    """A line of a bill, or what is kept of one: usd may be text."""

    @property
    def unit(self) -> str: ...

    @property
    def usd(self) -> Decimal | str: ...


def usd_by_growth(items: Iterable[Billed]) -> tuple[float, float]:
    """Dollars of those that grow with the requests, and of those that do not."""
    growing, fixed = 0.0, 0.0
    for item in items:
        if grows_with_requests(item.unit):
            growing += float(item.usd)
        else:
            fixed += float(item.usd)
    return growing, fixed


def requests_per_month(traffic: TrafficFacts) -> Decimal:
    return Decimal(repr(traffic.mean_rps)) * 3600 * HOURS_PER_MONTH


def per_million(bill: Bill, traffic: TrafficFacts) -> Decimal:
    """Of the requests really asked, idle time included."""
    return bill.usd_per_month / requests_per_month(traffic) * MILLION


def gigabytes_per_month(bytes_mean: float, traffic: TrafficFacts) -> Decimal:
    """At so many bytes a request."""
    return Decimal(repr(bytes_mean)) * requests_per_month(traffic) / BYTES_PER_GB


def fleet_items(book: PriceBook, platform: Platform, demand: Demand) -> tuple[LineItem, ...]:
    """What is on the bill of a fleet of machines besides the machines."""
    match platform:
        case Platform.SAGEMAKER | Platform.SERVERLESS:
            return data_items(book, demand.constraints.region, demand)
        case Platform.EC2:
            return (*_load_balancer_items(book, demand), *_overhead_items(demand))
        case Platform.OWN:
            return _overhead_items(demand)


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


def _load_balancer_items(book: PriceBook, demand: Demand) -> tuple[LineItem, ...]:
    """One for the fleet, by the hour and by what passes through it, where the price is known.

    An LCU-hour carries so many new connections, or open ones, or bytes, whichever it takes most
    of; clients that keep their connections open take bytes.
    """
    region, workload = demand.constraints.region, demand.workload
    if not demand.constraints.load_balancer:
        return ()
    passing_bytes = workload.request_bytes_mean + (workload.response_bytes_mean or 0.0)
    lcu_hours = gigabytes_per_month(passing_bytes, demand.traffic) / LCU_HOUR_GB
    items = []
    for name, item, quantity in (
        (LOAD_BALANCER, UnitItem.LOAD_BALANCER, Decimal(HOURS_PER_MONTH)),
        (f"{LOAD_BALANCER} capacity", UnitItem.LOAD_BALANCER_CAPACITY, to_billionths(lcu_hours)),
    ):
        try:
            price = book.unit_price(item, region)
        except NoPrice:
            continue
        items.append(LineItem(name, quantity, price.unit, price.usd))
    return tuple(items)


def _overhead_items(demand: Demand) -> tuple[LineItem, ...]:
    usd = demand.constraints.self_hosting_usd_per_month
    return (LineItem(OVERHEAD, Decimal(1), "month", usd),) if usd else ()
