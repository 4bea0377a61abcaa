"""Service level objectives: parsed, judged, and never met for want of data."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from typing import TYPE_CHECKING, Literal

from loadtests.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from typing_extensions import TypeIs

__all__ = [
    "Bound",
    "ErrorRateObjective",
    "Figure",
    "GoodputObjective",
    "LatencyObjective",
    "Limit",
    "Objective",
    "QuantileObjective",
    "Slo",
    "TokenFigure",
    "TokenObjective",
    "Verdict",
    "claimed_quantile",
    "decisive",
    "is_about_quantiles",
    "judge",
    "judge_least",
    "parse_slo",
    "request_limits",
    "tightest",
]

GRAMMAR = """an SLO is one or more objectives, separated by commas:
  objective ::= quantile op duration | "error_rate" op share | "goodput" least share
  quantile  ::= "p" number ["_" figure]    p50, p95, p99.9, p95_ttft
  figure    ::= "ttft" | "tpot" | "itl"    of streamed answers: time to the first token, time per
                                           output token, gap between tokens
  op        ::= "<" | "<="
  least     ::= ">" | ">="
  duration  ::= number ("us" | "ms" | "s")
  share     ::= number "%" | number        1%, 0.01
for example: p95<100ms, error_rate<1%
or of a stream: p95_ttft<300ms, p99_itl<50ms, goodput>95%"""

NUMBER = r"(\d+(?:\.\d+)?)"
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


TokenFigure = Literal["ttft", "tpot", "itl"]
Figure = Literal["latency", "ttft", "tpot"]
"""What one request takes; a gap between tokens is not a request's but one of many."""


@dataclass(frozen=True, slots=True)
class TokenObjective:
    """The quantile of a figure of streamed answers is at most limit_s.

    ttft: due to first output token, since who waits counts from there. tpot: (E2E - TTFT) /
    (output tokens - 1), one of each request. itl: gaps between tokens, of all requests together.
    """

    figure: TokenFigure
    quantile: float
    limit_s: float

    @property
    def text(self) -> str:
        quantile = _digits(_exact(self.quantile) * 100)
        return f"p{quantile}_{self.figure}<{_duration(self.limit_s)}"


QuantileObjective = LatencyObjective | TokenObjective


@dataclass(frozen=True, slots=True)
class ErrorRateObjective:
    """Requests failed or dropped are at most this share of those due."""

    limit_ratio: float

    @property
    def text(self) -> str:
        return f"error_rate<{_digits(_exact(self.limit_ratio) * 100)}%"


@dataclass(frozen=True, slots=True)
class Limit:
    """What one request may take at most."""

    figure: Figure
    limit_s: float

    @property
    def text(self) -> str:
        return f"{self.figure}<{_duration(self.limit_s)}"


@dataclass(frozen=True, slots=True)
class GoodputObjective:
    """Of the requests due, at least this share is answered well and within every limit."""

    least_ratio: float
    within: tuple[Limit, ...]

    @property
    def text(self) -> str:
        return f"goodput>{_digits(_exact(self.least_ratio) * 100)}%"


Objective = QuantileObjective | ErrorRateObjective | GoodputObjective


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
        if not self.quantiles:
            raise UsageError("the SLO has no latency objective", hint=GRAMMAR)
        limits = request_limits(self.objectives)
        for each in self.objectives:
            if isinstance(each, GoodputObjective) and each.within != limits:
                raise ValueError(f"{each.text} is within other limits than those of the SLO")

    @property
    def quantiles(self) -> tuple[QuantileObjective, ...]:
        return tuple(each for each in self.objectives if is_about_quantiles(each))

    @property
    def latency(self) -> tuple[LatencyObjective, ...]:
        """There may be none, where the SLO is about tokens."""
        return tuple(each for each in self.objectives if isinstance(each, LatencyObjective))

    @property
    def tokens(self) -> tuple[TokenObjective, ...]:
        return tuple(each for each in self.objectives if isinstance(each, TokenObjective))

    @property
    def goodput(self) -> GoodputObjective | None:
        found = [each for each in self.objectives if isinstance(each, GoodputObjective)]
        return max(found, key=lambda each: each.least_ratio) if found else None

    @property
    def error_rate(self) -> ErrorRateObjective | None:
        limits = [each for each in self.objectives if isinstance(each, ErrorRateObjective)]
        return min(limits, key=lambda each: each.limit_ratio) if limits else None

    @property
    def text(self) -> str:
        """Parsed again it gives an equal SLO."""
        return ", ".join(each.text for each in self.objectives)


def is_about_quantiles(objective: Objective) -> TypeIs[QuantileObjective]:
    return isinstance(objective, LatencyObjective | TokenObjective)


def claimed_quantile(objectives: Iterable[Objective]) -> float:
    """The highest of a figure of which each request has one; 0.95 of none.

    Gaps between tokens are many to a request, and enough of them where requests are.
    """
    found = (each for each in objectives if is_about_quantiles(each) and _figure(each) is not None)
    return max((each.quantile for each in found), default=0.95)


def request_limits(objectives: Iterable[Objective]) -> tuple[Limit, ...]:
    """What an SLO asks of every request: of each figure the limit of its highest quantile.

    Under p50<20ms, p99<100ms a request of 50 ms is one that the SLO allows for.
    """
    highest: dict[Figure, QuantileObjective] = {}
    for each in objectives:
        figure = _figure(each)
        if figure is None or not is_about_quantiles(each):
            continue
        other = highest.get(figure)
        if other is None or (each.quantile, -each.limit_s) > (other.quantile, -other.limit_s):
            highest[figure] = each
    return tuple(Limit(figure, highest[figure].limit_s) for figure in sorted(highest))


def _figure(objective: Objective) -> Figure | None:
    match objective:
        case LatencyObjective():
            return "latency"
        case TokenObjective(figure=("ttft" | "tpot") as figure):
            return figure
        case _:
            return None


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


def judge_least(bound: Bound, least: float) -> Verdict:
    """The same of what must be at least so much."""
    if bound.value is None:
        return Verdict.UNKNOWN
    high = bound.value if bound.high is None else bound.high
    if high < least:
        return Verdict.MISSED
    if bound.low is not None and bound.low >= least:
        return Verdict.MET
    return Verdict.UNKNOWN


def parse_slo(text: str) -> Slo:
    """Raises UsageError with the grammar."""
    parts = [part.strip() for part in text.split(",") if part.strip()]
    if not parts:
        raise UsageError("the SLO is empty", hint=GRAMMAR)
    read = [_objective(part) for part in parts]
    limits = request_limits(each for each in read if not isinstance(each, float))
    if not limits and any(isinstance(each, float) for each in read):
        raise UsageError(
            "goodput is the share of requests within the limits of the SLO, and it has none",
            hint="add one, such as p95<2s or p95_ttft<300ms; an itl is not one of a request",
        )
    return Slo(
        tuple(GoodputObjective(each, limits) if isinstance(each, float) else each for each in read)
    )


def _objective(part: str) -> QuantileObjective | ErrorRateObjective | float:
    """Of goodput only the share: its limits are those of the other objectives."""
    for read in (_quantile, _error_rate, _goodput):
        found = read(part)
        if found is not None:
            return found
    raise UsageError(f"the objective {part!r} is not understood", hint=GRAMMAR)


def _quantile(part: str) -> QuantileObjective | None:
    form = rf"p{NUMBER}(?:_(ttft|tpot|itl))?\s*<=?\s*{NUMBER}\s*(us|ms|s)"
    match = re.fullmatch(form, part, re.IGNORECASE)
    if match is None:
        return None
    quantile = float(Decimal(match[1]) / 100)
    limit_s = float(Decimal(match[3]) * _DURATION_S[match[4].lower()])
    if not (0 < quantile < 1 and 0 < limit_s < math.inf):
        raise UsageError(f"the objective {part!r} cannot be met by anything", hint=GRAMMAR)
    if match[2] is None:
        return LatencyObjective(quantile, limit_s)
    figures: dict[str, TokenFigure] = {"ttft": "ttft", "tpot": "tpot", "itl": "itl"}
    return TokenObjective(figures[match[2].lower()], quantile, limit_s)


def _error_rate(part: str) -> ErrorRateObjective | None:
    match = re.fullmatch(rf"error_rate\s*<=?\s*{NUMBER}\s*(%?)", part, re.IGNORECASE)
    if match is None:
        return None
    ratio = _share(match[1], match[2])
    if not 0 < ratio < 1:
        raise UsageError(
            f"the objective {part!r} is not a share above 0 and below 100%: no test is long "
            "enough to show that nothing ever fails",
            hint=GRAMMAR,
        )
    return ErrorRateObjective(ratio)


def _goodput(part: str) -> float | None:
    match = re.fullmatch(rf"goodput\s*>=?\s*{NUMBER}\s*(%?)", part, re.IGNORECASE)
    if match is None:
        return None
    ratio = _share(match[1], match[2])
    if not 0 < ratio < 1:
        raise UsageError(
            f"the objective {part!r} is not a share above 0 and below 100%: no test is long "
            "enough to show that every request is good",
            hint=GRAMMAR,
        )
    return ratio


def _share(number: str, percent: str) -> float:
    return float(Decimal(number) / (100 if percent else 1))


def _duration(seconds: float) -> str:
    exact = _exact(seconds)
    unit = next((unit for unit in ("s", "ms") if exact >= _DURATION_S[unit]), "us")
    return _digits(exact / _DURATION_S[unit]) + unit


def _exact(value: float) -> Decimal:
    """The shortest decimal that is this float: 0.999, not 0.99899999999999999911."""
    return Decimal(repr(value))


def _digits(value: Decimal) -> str:
    return f"{value.normalize():f}"


def tightest(slo: Slo) -> QuantileObjective:
    """The objective with the highest quantile: of latency, where the SLO bounds it."""
    return max(slo.latency or slo.quantiles, key=lambda each: each.quantile)


def decisive(slo: Slo) -> tuple[QuantileObjective, ...]:
    """What a run is watched by: of each figure that every request has, the highest quantile."""
    highest: dict[str, QuantileObjective] = {}
    for each in sorted(slo.quantiles, key=lambda each: each.quantile):
        figure = each.figure if isinstance(each, TokenObjective) else "latency"
        if figure != "itl":
            highest[figure] = each
    return tuple(highest.values())
