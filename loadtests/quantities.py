"""Rates and durations as a person writes them: 50rps, 1.2M/day, 30s, 1h30min.

`Rps` and `Seconds` are fields of a plan: a number or such a text comes in, a plain number is kept
and goes out again.
"""

from __future__ import annotations

import math
import re
from typing import Annotated

from pydantic import BeforeValidator, Field, WithJsonSchema

__all__ = [
    "DURATION_GRAMMAR",
    "RATE_GRAMMAR",
    "Rps",
    "Seconds",
    "parse_rate_rps",
    "parse_seconds",
    "rate_text",
    "seconds_text",
]

RATE_GRAMMAR = "NUMBER[k|M|B](rps|rpm|/s|/min|/h|/day|/month), e.g. 50rps, 500rpm, 1.2M/day"
DURATION_GRAMMAR = "NUMBER(ms|s|min|h|day), e.g. 500ms, 30s, 5min, 1h30min"

NUMBER = r"[0-9]*\.?[0-9]+(?:e[+-]?[0-9]+)?"
RATE = rf"\s*({NUMBER})\s*([kmb]?)\s*([a-z/]+)\s*"
PIECE = rf"({NUMBER})\s*([a-z]+)"
DURATION = rf"\s*{PIECE}(?:\s*{PIECE})*\s*"

MULTIPLES = {"": 1.0, "k": 1e3, "m": 1e6, "b": 1e9}
PERIODS_S = {"s": 1.0, "min": 60.0, "h": 3600.0, "day": 86400.0, "month": 730 * 3600.0}
RATE_UNITS = {
    "rps": "s", "/s": "s", "/sec": "s", "/second": "s", "qps": "s",
    "rpm": "min", "/m": "min", "/min": "min", "/minute": "min",
    "rph": "h", "/h": "h", "/hour": "h",
    "/d": "day", "/day": "day",
    "/mo": "month", "/month": "month",
}  # fmt: skip
UNITS_S = {
    "us": 1e-6, "ms": 1e-3,
    "s": 1.0, "sec": 1.0, "second": 1.0, "seconds": 1.0,
    "m": 60.0, "min": 60.0, "minute": 60.0, "minutes": 60.0,
    "h": 3600.0, "hour": 3600.0, "hours": 3600.0,
    "d": 86400.0, "day": 86400.0, "days": 86400.0,
}  # fmt: skip


def parse_rate_rps(text: str) -> float | None:
    """None for what is no rate; it may be infinite, as 1e999rps is."""
    match = re.fullmatch(RATE, text, re.IGNORECASE)
    if match is None:
        return None
    number, multiple, unit = match.groups()
    period = RATE_UNITS.get(unit.lower())
    if period is None:
        return None
    return float(number) * MULTIPLES[multiple.lower()] / PERIODS_S[period]


def parse_seconds(text: str) -> float | None:
    """None for what is no duration; it may be infinite."""
    if re.fullmatch(DURATION, text, re.IGNORECASE) is None:
        return None
    pieces = re.findall(PIECE, text.lower())
    if not all(unit in UNITS_S for _, unit in pieces):
        return None
    return math.fsum(float(number) * UNITS_S[unit] for number, unit in pieces)


def rate_text(rate_rps: float) -> str:
    return f"{rate_rps:g}rps"


def seconds_text(duration_s: float) -> str:
    """In the largest unit that takes one short number: 90s, 5min, 1.5h."""
    for unit in ("day", "h", "min"):
        count = duration_s / UNITS_S[unit]
        if count >= 1 and math.isclose(count, round(count, 1)):
            return f"{count:g}{unit}"
    if 0 < duration_s < 1:
        return f"{duration_s * 1000:g}ms"
    return f"{duration_s:g}s"


def _rate(given: object) -> object:
    if not isinstance(given, str):
        return _number(given, RATE_GRAMMAR)
    rate_rps = parse_rate_rps(given)
    if rate_rps is None:
        raise ValueError(
            f"{given!r} is not a rate; that is {RATE_GRAMMAR}, or a number per second"
        )
    return rate_rps


def _seconds(given: object) -> object:
    if not isinstance(given, str):
        return _number(given, DURATION_GRAMMAR)
    duration_s = parse_seconds(given)
    if duration_s is None:
        raise ValueError(
            f"{given!r} is not a duration; that is {DURATION_GRAMMAR}, or a number of seconds"
        )
    return duration_s


def _number(given: object, grammar: str) -> object:
    if isinstance(given, bool):  # YAML's yes and no, which would else count as 1 and 0
        raise ValueError(f"{given} is no number; write {grammar}")  # noqa: TRY004 - pydantic's
    return given


def _schema(examples: list[str]) -> WithJsonSchema:
    return WithJsonSchema(
        {"anyOf": [{"type": "number", "minimum": 0}, {"type": "string", "examples": examples}]},
        mode="validation",
    )


Rps = Annotated[
    float,
    BeforeValidator(_rate),
    Field(ge=0, allow_inf_nan=False),
    _schema(["50rps", "500rpm", "1.2M/day"]),
]
"""Requests per second, 0 or more."""

Seconds = Annotated[
    float,
    BeforeValidator(_seconds),
    Field(ge=0, allow_inf_nan=False),
    _schema(["500ms", "30s", "5min", "1h30min"]),
]
"""A duration of 0 or more; for one above 0, `Annotated[Seconds, Field(gt=0)]`."""
