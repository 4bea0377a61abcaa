"""Figures as people read them: rounded to what is known, with a unit. The only such place here."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

from recommender.explain import probability_text as probability
from recommender.explain import two_digits, usd
from recommender.progress import took_text as took

if TYPE_CHECKING:
    from datetime import datetime

__all__ = [
    "INTERVAL",
    "TO",
    "ago",
    "change",
    "count",
    "decimal_text",
    "duration",
    "duration_range",
    "mebibytes",
    "not_measured",
    "percent",
    "probability",
    "quantity",
    "rate",
    "rate_range",
    "requests",
    "stamp",
    "took",
    "two_digits",
    "usd",
    "usd_tick",
]

INTERVAL = "80% interval"
TO = " to "
_SECOND_MS = 1000
_THOUSAND = 1000
_MONTH_DAYS, _YEAR_DAYS = 30, 365
_TENTH = 0.1
_TEN_THOUSANDTH = Decimal("0.0001")


def not_measured(reason: str) -> str:
    return f"not measured: {reason}"


def duration(seconds: float) -> str:
    """Two significant digits, in ms below one second."""
    value, unit = _scaled(seconds, _unit_s(seconds))
    return f"{value} {unit}"


def duration_range(low_s: float, high_s: float | None) -> str:
    unit_s = _unit_s(low_s if high_s is None else high_s)
    low, unit = _scaled(low_s, unit_s)
    if high_s is None:
        return f"{low} {unit} or more, no upper bound"
    return f"{low}{TO}{_scaled(high_s, unit_s)[0]} {unit}"


def rate(per_s: float) -> str:
    return f"{two_digits(per_s)} req/s"


def rate_range(low_per_s: float, high_per_s: float | None) -> str:
    if high_per_s is None:
        return f"{two_digits(low_per_s)} req/s or more"
    return f"{two_digits(low_per_s)}{TO}{two_digits(high_per_s)} req/s"


def percent(ratio: float) -> str:
    """Whole percents; below ten, two significant digits."""
    return f"{ratio:.0%}" if abs(ratio) >= _TENTH else f"{two_digits(ratio * 100)}%"


def change(ratio: float) -> str:
    """With its sign; 0.1 is a tenth more."""
    return f"{'+' if ratio > 0 else '−'}{percent(abs(ratio))}"  # noqa: RUF001 - a minus


def ago(days: int) -> str:
    """In days up to two months, then in months, from two years on in years."""
    if days <= 0:
        return "today"
    if days < 2 * _MONTH_DAYS:
        return f"{days} day{'' if days == 1 else 's'} ago"
    if days < 2 * _YEAR_DAYS:
        return f"{days // _MONTH_DAYS} months ago"
    return f"{days // _YEAR_DAYS} years ago"


def count(value: int) -> str:
    return f"{value:,}"


def decimal_text(text: str) -> str:
    """A decimal from a bill, with thousands set apart and every digit kept."""
    whole, point, fraction = text.partition(".")
    return f"{int(whole):,}{point}{fraction}"


def quantity(text: str) -> str:
    """Of a bill: from one on to a ten-thousandth, below it every digit."""
    value = Decimal(text)
    rounded = value.quantize(_TEN_THOUSANDTH) if value >= 1 else value
    return f"{rounded.normalize():,f}"


def mebibytes(size_bytes: int) -> str:
    return f"{size_bytes / 2**20:,.0f} MiB"


def requests(value: float) -> str:
    """Of a month: two significant digits, with M and B for people."""
    for scale, sign in ((1e9, " B"), (1e6, " M"), (1e3, "k")):
        if value >= scale:
            return f"{two_digits(value / scale)}{sign}"
    return two_digits(value)


def stamp(when: datetime) -> str:
    return f"{when:%Y-%m-%d %H:%M} UTC"


def usd_tick(value: float) -> str:
    return f"${value / _THOUSAND:,g}k" if value >= _THOUSAND else f"${value:g}"


def _unit_s(seconds: float) -> float:
    return 1.0 if seconds >= 1 else 1 / _SECOND_MS


def _scaled(seconds: float, unit_s: float) -> tuple[str, str]:
    return two_digits(seconds / unit_s), "s" if unit_s == 1 else "ms"
