"""What an option costs in a month, item by item."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from dashboard import format as fmt
from recommender.explain import group_of

if TYPE_CHECKING:
    from recommender.recommendation import Candidate

__all__ = ["Bill", "BillLine", "bill_view"]


class BillLine(NamedTuple):
    name: str
    quantity: str
    unit: str
    usd_per_unit: str
    usd: str


class Bill(NamedTuple):
    option: str
    lines: tuple[BillLine, ...]
    total: str
    note: str


def bill_view(chosen: Candidate) -> Bill:
    price = chosen.cost.price
    return Bill(
        option=f"{chosen.option.text}, {group_of(chosen.option)}",
        lines=tuple(
            BillLine(
                name=item.name,
                quantity=fmt.quantity(item.quantity),
                unit=item.unit,
                usd_per_unit=f"${fmt.decimal_text(item.usd_per_unit)}",
                usd=fmt.usd(item.usd),
            )
            for item in chosen.cost.items
        ),
        total=fmt.usd(chosen.cost.usd_per_month),
        note=f"Main price {price.basis} ({price.confidence} confidence) on {price.observed_on}; "
        f"source: {price.source}.",
    )
