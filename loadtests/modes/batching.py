"""How many records to a request: from one upwards, twice as many while more get through.

A request costs the server something of its own (a + b times its records, say), so many records to
a request share it; until nothing is left to share, or the server, its time-out or the largest
payload allows no more. Where larger requests are refused, the limit is bisected.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum
from itertools import pairwise
from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict

from loadtests.measurement import Interval
from loadtests.steps import ClosedStep

if TYPE_CHECKING:
    from collections.abc import Sequence

    from loadtests.modes.ladder import Evidence

__all__ = ["BatchLimit", "BatchRung", "BatchSettings", "BatchSizes", "next_size"]

GROWS = 1.05  # of the best so far: less is flat
COLLAPSED = 0.8  # of the best so far: there is no need to look twice
REACHED = 0.97  # of the most rows a second, or within its standard error where that is more
MOST_DOUBT = 0.1
MORE_FAIL = 0.05  # of the requests, than fail at the smallest size
BISECTED_TO = 1.25  # a size that is refused, over one that is not
ANSWERS = 20  # for each sender, in a rung
LONGEST = 8  # times the usual length of a rung
Z = 1.96  # 95 %


class BatchLimit(StrEnum):
    """Why no more records to a request were tried."""

    FLAT = "throughput"
    REFUSED = "errors"
    TIMEOUT = "time-out"
    PAYLOAD = "payload"
    GIVEN = "given"


@dataclass(frozen=True, slots=True)
class BatchSettings:
    """Sizes from first_rows to most_rows, which is what fits into a request.

    rung_s: of a run at one size, longer where answers take long. timeout_s: within which the
    server must answer.
    """

    most_rows: int
    first_rows: int = 1
    rung_s: float = 2.5
    timeout_s: float = 60.0


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True)


class BatchRung(_Frozen):
    """error_ratio: relative standard error of rows_per_s."""

    rows: int
    rows_per_s: float
    service_mean_s: float | None
    failed_ratio: Interval
    error_ratio: float

    @property
    def doubt(self) -> float:
        """What two sizes must differ by; bounded, for where next to nothing is known."""
        return min(self.error_ratio, MOST_DOUBT)


class BatchSizes(_Frozen):
    """rows: the fewest to a request that get through as many a second as more would.

    low_rows to high_rows: the sizes tried that may be as good as the best, with 95 % confidence.
    refused_rows: the fewest that were seen to fail.
    """

    rows: int
    low_rows: int
    high_rows: int
    limited_by: BatchLimit
    refused_rows: int | None
    rungs: tuple[BatchRung, ...]


def next_size(
    tried: Sequence[Evidence], concurrency: int, settings: BatchSettings
) -> ClosedStep | BatchSizes:
    """tried: closed-loop runs at this concurrency, the smallest size first among them."""
    rungs = sorted((_rung(each) for each in tried), key=lambda rung: rung.rows)
    served, refused = _told_apart(rungs)
    following = _following(served, refused, settings)
    if isinstance(following, BatchLimit):
        return _answer(rungs, served, refused, following)
    mean_s = 2 * (served[-1].service_mean_s or 0.0)
    rung_s = min(max(settings.rung_s, ANSWERS * mean_s), LONGEST * settings.rung_s)
    step = tried[0].step
    requests = step.max_requests if isinstance(step, ClosedStep) else 1
    return ClosedStep(concurrency, requests, rung_s, following)


def _following(
    served: list[BatchRung], refused: BatchRung | None, settings: BatchSettings
) -> int | BatchLimit:
    """The next size, or why there is none."""
    last = served[-1]
    limit = _limit(served, last, settings)
    if refused is None:
        return limit or min(2 * last.rows, settings.most_rows)
    between = round(math.sqrt(last.rows * refused.rows))
    is_near = refused.rows <= BISECTED_TO * last.rows or between in (last.rows, refused.rows)
    return BatchLimit.REFUSED if is_near or limit is not None else between


def _limit(served: list[BatchRung], last: BatchRung, settings: BatchSettings) -> BatchLimit | None:
    if settings.first_rows == settings.most_rows:
        return BatchLimit.GIVEN
    if _is_flat(served):
        return BatchLimit.FLAT
    if last.rows >= settings.most_rows:
        return BatchLimit.PAYLOAD
    slow = last.service_mean_s is not None and 2 * last.service_mean_s > settings.timeout_s
    return BatchLimit.TIMEOUT if slow else None


def _is_flat(served: list[BatchRung]) -> bool:
    """Twice in a row, since one short run may be unlucky; once where far less gets through."""
    best, gains = served[0].rows_per_s, [True]
    for before, each in pairwise(served):
        doubled = each.rows >= 2 * before.rows  # a smaller step may gain less and still grow
        needed = max(GROWS if doubled else 1.0, 1 + each.doubt)
        gains.append(each.rows_per_s >= needed * best)
        best = max(best, each.rows_per_s)
    return not any(gains[-2:]) or served[-1].rows_per_s < COLLAPSED * best


def _told_apart(rungs: list[BatchRung]) -> tuple[list[BatchRung], BatchRung | None]:
    """Sizes that are served, and the smallest that is not: what fails at any size is no limit."""
    usual = rungs[0].failed_ratio.value or 0.0
    refused = next(
        (
            each
            for each in rungs[1:]
            if each.rows_per_s <= 0 or (each.failed_ratio.low or 0.0) > usual + MORE_FAIL
        ),
        None,
    )
    served = [each for each in rungs if refused is None or each.rows < refused.rows]
    return served, refused


def _answer(
    rungs: list[BatchRung],
    served: list[BatchRung],
    refused: BatchRung | None,
    limit: BatchLimit,
) -> BatchSizes:
    best = max(served, key=lambda each: each.rows_per_s)
    surely = best.rows_per_s * (1 - Z * best.error_ratio)
    as_good = [
        each.rows for each in served if each.rows_per_s * (1 + Z * each.error_ratio) >= surely
    ]
    reached = min(REACHED, 1 - best.doubt) * best.rows_per_s
    enough = min(each.rows for each in served if each.rows_per_s >= reached)
    return BatchSizes(
        rows=enough,
        low_rows=min(as_good),
        high_rows=max(as_good),
        limited_by=limit,
        refused_rows=None if refused is None else refused.rows,
        rungs=tuple(rungs),
    )


def _rung(evidence: Evidence) -> BatchRung:
    measured, taken_s = evidence.measurement, evidence.service_s
    step = evidence.step
    rows = step.rows if isinstance(step, ClosedStep) and step.rows is not None else 1
    count = len(taken_s)
    # The spread of one time is not known; 1 is that of the exponential law. The hundredth is what
    # two runs of a machine that does nothing else differ by.
    spread = float(taken_s.std(ddof=1) / taken_s.mean()) if count > 1 else 1.0
    return BatchRung(
        rows=rows,
        rows_per_s=measured.throughput_rps * rows,
        service_mean_s=measured.service_mean_s,
        failed_ratio=measured.error_ratio,
        error_ratio=spread / math.sqrt(max(count, 1)) + 0.01,
    )
