"""Service level objectives: parsed, judged, and never met for want of data."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum

from loadtests.errors import UsageError

__all__ = [
    "Bound",
    "ErrorRateObjective",
    "LatencyObjective",
    "Objective",
    "Slo",
    "Verdict",
    "judge",
    "parse_slo",
]

GRAMMAR = """an SLO is one or more objectives, separated by commas:
  objective ::= quantile op duration | "error_rate" op share
  quantile  ::= "p" number            p50, p95, p99, p99.9
  op        ::= "<" | "<="
  duration  ::= number ("us" | "ms" | "s")
  share     ::= number "%" | number   1%, 0.01
for example: p95<100ms, error_rate<1%"""

_DURATION_S = {"us": Decimal("1e-6"), "ms": Decimal("1e-3"), "s": Decimal(1)}


class Verdict(StrEnum):
    MET = "met"
    MISSED = "missed"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class LatencyObjective:
    """The quantile of latency, due to done, is at most limit_s."""

    quantile: float
    limit_s: float

    @property
    def text(self) -> str:
        return f"p{_digits(_exact(self.quantile) * 100)}<{_duration(self.limit_s)}"


@dataclass(frozen=True, slots=True)
class ErrorRateObjective:
    """Requests failed or dropped are at most this share of those due."""

    limit_ratio: float

    @property
    def text(self) -> str:
        return f"error_rate<{_digits(_exact(self.limit_ratio) * 100)}%"


Objective = LatencyObjective | ErrorRateObjective


@dataclass(frozen=True, slots=True)
class Bound:
    """An estimate and where it may lie; None is not known."""

    value: float | None
    low: float | None
    high: float | None


@dataclass(frozen=True, slots=True)
class Slo:
    objectives: tuple[Objective, ...]

    def __post_init__(self) -> None:
        if not self.latency:
            raise UsageError("the SLO has no latency objective", hint=GRAMMAR)

    @property
    def latency(self) -> tuple[LatencyObjective, ...]:
        return tuple(each for each in self.objectives if isinstance(each, LatencyObjective))

    @property
    def error_rate(self) -> ErrorRateObjective | None:
        limits = [each for each in self.objectives if isinstance(each, ErrorRateObjective)]
        return min(limits, key=lambda each: each.limit_ratio) if limits else None

    @property
    def text(self) -> str:
        """Parsed again it gives an equal SLO."""
        return ", ".join(each.text for each in self.objectives)


def judge(bound: Bound, limit: float) -> Verdict:
    """MET or MISSED only when the whole interval lies on that side; otherwise UNKNOWN."""
    if bound.value is None:
        return Verdict.UNKNOWN
    low = bound.value if bound.low is None else bound.low
    if low > limit:
        return Verdict.MISSED
    if bound.high is not None and bound.high <= limit:
        return Verdict.MET
    return Verdict.UNKNOWN


def parse_slo(text: str) -> Slo:
    """Raises UsageError with the grammar."""
    parts = [part.strip() for part in text.split(",") if part.strip()]
    if not parts:
        raise UsageError("the SLO is empty", hint=GRAMMAR)
    return Slo(tuple(_objective(part) for part in parts))


def _objective(part: str) -> Objective:
    number = r"(\d+(?:\.\d+)?)"
    match = re.fullmatch(rf"p{number}\s*<=?\s*{number}\s*(us|ms|s)", part, re.IGNORECASE)
    if match:
        quantile = float(Decimal(match[1]) / 100)
        limit_s = float(Decimal(match[2]) * _DURATION_S[match[3].lower()])
        if not (0 < quantile < 1 and 0 < limit_s < math.inf):
            raise UsageError(f"the objective {part!r} cannot be met by anything", hint=GRAMMAR)
        return LatencyObjective(quantile, limit_s)
    match = re.fullmatch(rf"error_rate\s*<=?\s*{number}\s*(%?)", part, re.IGNORECASE)
    if match:
        ratio = float(Decimal(match[1]) / (100 if match[2] else 1))
        if not 0 < ratio < 1:
            raise UsageError(
                f"the objective {part!r} is not a share above 0 and below 100%: no test is long "
                "enough to show that nothing ever fails",
                hint=GRAMMAR,
            )
        return ErrorRateObjective(ratio)
    raise UsageError(f"the objective {part!r} is not understood", hint=GRAMMAR)


def _duration(seconds: float) -> str:
    exact = _exact(seconds)
    unit = next((unit for unit in ("s", "ms") if exact >= _DURATION_S[unit]), "us")
    return _digits(exact / _DURATION_S[unit]) + unit


def _exact(value: float) -> Decimal:
    """The shortest decimal that is this float: 0.999, not 0.99899999999999999911."""
    return Decimal(repr(value))


def _digits(value: Decimal) -> str:
    return f"{value.normalize():f}"
