"""What a price in one of AWS's lists must be to be taken for one."""

from __future__ import annotations

from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Final

from pricing.offers import UNIT_OF, UnitItem
from pricing.sources.seen import (
    Hourly,
    PlanHourly,
    Priced,
    Refused,
    SeenPrice,
    ServerlessMemory,
    refused_price,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["NotBelieved", "agreed", "listed_usd"]

_UNITS: Final = {
    "hour": frozenset({"hrs", "hours", "hour"}),
    "second": frozenset({"seconds", "second"}),
    "LCU-hour": frozenset({"lcu-hrs", "lcu-hours", "lcu-hour"}),
    "GB": frozenset({"gb"}),
    "GB-month": frozenset({"gb-mo", "gb-month"}),
}
_HOURLY_BOUNDS_USD: Final = (Decimal("0.0005"), Decimal(100_000))


class NotBelieved(Exception):  # noqa: N818 - a verdict on one price, told as a Refused
    pass


def listed_usd(what: Priced, unit: object, text: object) -> Decimal:
    """unit, text: as the list says them; None where it says no price in USD.

    Raises NotBelieved.
    """
    wanted = _unit_of(what)
    if str(unit or "").casefold() not in _UNITS[wanted]:
        raise NotBelieved(f"is sold by {unit!r}; wanted: the {wanted}")
    usd = _number(text)
    lowest, highest = _HOURLY_BOUNDS_USD
    if isinstance(what, Hourly | PlanHourly) and not lowest <= usd <= highest:
        raise NotBelieved(f"costs {usd} USD an hour, which no machine does")
    return usd


def agreed(
    found: Mapping[Priced, list[SeenPrice]],
) -> tuple[dict[Priced, SeenPrice], list[Refused]]:
    """One price for each thing; where the list has two that differ, neither."""
    prices: dict[Priced, SeenPrice] = {}
    refused: list[Refused] = []
    for what, said in found.items():
        different = sorted({price.usd for price in said})
        if len(different) == 1:
            prices[what] = said[0]
            continue
        both = " and ".join(f"{usd:f}" for usd in different)
        refused += [
            refused_price(price, f"the list has two prices for it: {both}") for price in said
        ]
    return prices, refused


def _number(text: object) -> Decimal:
    if text is None:
        raise NotBelieved("has no price in USD")
    try:
        usd = Decimal(str(text))
    except InvalidOperation:
        raise NotBelieved(f"costs {text!r}, which is not a number") from None
    if not usd.is_finite() or usd <= 0:
        raise NotBelieved(f"costs {text}: reserved or free, not what an hour is sold for")
    return _without_padding(usd)


def _without_padding(usd: Decimal) -> Decimal:
    """1.0060000000 is 1.006, and 10 is not 1E+1."""
    return Decimal(f"{usd.normalize():f}")


def _unit_of(what: Priced) -> str:
    match what:
        case Hourly() | PlanHourly():
            return "hour"
        case ServerlessMemory():
            return "second"
        case UnitItem():
            return UNIT_OF[what]
