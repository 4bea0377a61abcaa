"""Figures as people read them: rounded to what is known, with a unit. The only such place here."""

from __future__ import annotations

from typing import TYPE_CHECKING

from recommender.explain import usd

if TYPE_CHECKING:
    from datetime import datetime

__all__ = [
    "INTERVAL",
    "TO",
    "count",
    "decimal_text",
    "duration",
    "duration_range",
    "mebibytes",
    "not_measured",
    "percent",
    "probability",
    "rate",
    "rate_range",
    "stamp",
    "took",
    "usd",
    "usd_tick",
]

INTERVAL = "80% interval"
TO = " to "
_SECOND_MS = 1000
_THOUSAND = 1000
_MINUTE_S = 60
_HOUR_S = 3600
_TENTH = 0.1
_LEAST_SHARE = 0.01


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
    return f"{_digits(per_s)} req/s"


def rate_range(low_per_s: float, high_per_s: float | None) -> str:
    if high_per_s is None:
        return f"{_digits(low_per_s)} req/s or more"
    return f"{_digits(low_per_s)}{TO}{_digits(high_per_s)} req/s"


def percent(ratio: float) -> str:
    """Whole percents; below ten, two significant digits."""
    return f"{ratio:.0%}" if abs(ratio) >= _TENTH else f"{_digits(ratio * 100)}%"


def probability(share: float) -> str:
    """Never a certainty: the share is of finitely many draws."""
    if share < _LEAST_SHARE:
        return "<1%"
    return ">99%" if share > 1 - _LEAST_SHARE else f"{share:.0%}"


def count(value: int) -> str:
    return f"{value:,}"


def decimal_text(text: str) -> str:
    """A decimal from a bill, with thousands set apart and every digit kept."""
    whole, point, fraction = text.partition(".")
    return f"{int(whole):,}{point}{fraction}"


def mebibytes(size_bytes: int) -> str:
    return f"{size_bytes / 2**20:,.0f} MiB"


def stamp(when: datetime) -> str:
    return f"{when:%Y-%m-%d %H:%M} UTC"


def took(seconds: float) -> str:
    if seconds < 2 * _MINUTE_S:
        return f"{seconds:.0f} s"
    if seconds < _HOUR_S:
        return f"{seconds // _MINUTE_S:.0f} min {seconds % _MINUTE_S:.0f} s"
    return f"{seconds // _HOUR_S:.0f} h {seconds % _HOUR_S // _MINUTE_S:.0f} min"


def usd_tick(value: float) -> str:
    return f"${value / _THOUSAND:,g}k" if value >= _THOUSAND else f"${value:g}"


def _unit_s(seconds: float) -> float:
    return 1.0 if seconds >= 1 else 1 / _SECOND_MS


def _scaled(seconds: float, unit_s: float) -> tuple[str, str]:
    return _digits(seconds / unit_s), "s" if unit_s == 1 else "ms"


def _digits(value: float) -> str:
    """Two significant digits: more are not known."""
    rounded = float(f"{value:.2g}")
    return f"{rounded:,.0f}" if rounded >= 10 else f"{rounded:g}"  # noqa: PLR2004
