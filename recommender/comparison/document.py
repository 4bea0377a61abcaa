"""What a comparison of two runs comes to, as it is written to JSON."""

from __future__ import annotations

from enum import StrEnum
from typing import Literal

from pydantic import BaseModel, ConfigDict

from loadtests.measurement import Interval

__all__ = [
    "Condition",
    "Difference",
    "FigureName",
    "MoneyLine",
    "NotCompared",
    "RunComparison",
    "SideFacts",
    "Unit",
    "Verdict",
    "Weight",
]

FigureName = Literal[
    "capacity", "saturation", "latency", "service", "errors", "cpu", "memory", "start"
]
Unit = Literal["req/s", "s", "bytes", "share"]
Weight = Literal["unsound", "noted", "changed"]


class Verdict(StrEnum):
    """Of the second against the first.

    SAME: surely within the threshold. UNKNOWN: it may lie beyond it or not.
    """

    BETTER = "better"
    WORSE = "worse"
    SAME = "no difference shown"
    UNKNOWN = "cannot be told"


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class SideFacts(_Frozen):
    """configuration: of a load test, where one was chosen. created_at: of the run, in UTC."""

    run: str
    kind: str
    label: str
    created_at: str
    configuration: str | None = None


class Condition(_Frozen):
    """Something that was not the same.

    unsound: by itself it may have made all the difference. noted: it may have made some. changed:
    what was to be compared.
    """

    what: str
    before: str
    after: str
    weight: Weight


class Difference(_Frozen):
    """One figure of both.

    where: the size or the test. change: after over before with its 95 % interval; of errors, after
    less before. An end that is None is open. margin: how much matters, as a share; of errors, as a
    difference. requests: that each side's figure rests on, or readings where it was read once for
    each load or start. more_requests: to each, that would decide it if the estimate is right; None
    where it is decided, or no number of them would.
    """

    of: FigureName
    name: str
    where: str
    unit: Unit
    higher_is_better: bool
    before: float | None
    after: float | None
    change: Interval
    margin: float
    verdict: Verdict
    reason: str
    requests: tuple[int, int]
    more_requests: int | None = None

    @property
    def is_ratio(self) -> bool:
        return self.of != "errors"


class NotCompared(_Frozen):
    what: str
    why: str


class MoneyLine(_Frozen):
    """What the difference comes to in dollars.

    per: what the dollars are for. before, after: what would be deployed; usd: None with nothing
    that could be. change: as in Difference.
    """

    per: Literal["month", "million requests"]
    question: str
    before: str
    after: str
    before_usd: float | None
    after_usd: float | None
    change: Interval
    verdict: Verdict
    said: str


class RunComparison(_Frozen):
    """verdict: WORSE when anything is, else BETTER when anything is.

    It is UNKNOWN where a condition is unsound. said: the verdict in sentences. notes: what a
    reader of the intervals must know. price_book: None where nothing was ranked.
    """

    format: Literal[1] = 1
    before: SideFacts
    after: SideFacts
    threshold_ratio: float
    verdict: Verdict
    said: tuple[str, ...]
    conditions: tuple[Condition, ...]
    differences: tuple[Difference, ...]
    money: tuple[MoneyLine, ...]
    price_book: str | None
    not_compared: tuple[NotCompared, ...]
    notes: tuple[str, ...]
