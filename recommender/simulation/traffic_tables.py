"""Rows of times and counts, made into a trace, or refused with the line that is wrong.

A wrong clock or a lost hour makes a wrong bill, so rows are taken only in steps of one length, no
time twice or backwards, every time with a zone or none.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import pairwise
from typing import TYPE_CHECKING, Literal

import numpy as np

from loadtests.errors import UsageError
from loadtests.quantities import seconds_text
from recommender.simulation.traffic import TrafficTrace

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import tzinfo
    from pathlib import Path

__all__ = ["Gaps", "Row", "parse_count", "parse_time", "trace_of"]

Gaps = Literal["refuse", "zero"]
WHOLE = 1e-6  # of a step


@dataclass(frozen=True, slots=True)
class Row:
    """line: where it stands in its file."""

    line: int
    time: datetime
    value: float


def parse_time(cell: str) -> datetime | None:
    """ISO, or with slashes as CloudWatch's console writes it. A date alone is its midnight."""
    text = cell.strip().replace("/", "-").upper()
    if text.endswith(" UTC"):
        text = text.removesuffix(" UTC") + "Z"
    if re.match(r"\d{4}-\d", text) is None:
        return None
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        return None


def parse_count(cell: str, where: str) -> float:
    try:
        value = float(cell)
    except ValueError:
        value = float("nan")
    if not 0 <= value < float("inf"):
        raise UsageError(
            f"{where}: {cell!r} is not a number of requests",
            hint="0 or more; a time without requests is written 0",
        )
    return value


def trace_of(
    file: Path, rows: Sequence[Row], clock: tzinfo, *, is_rate: bool, gaps: Gaps
) -> TrafficTrace:
    """clock: of times without a zone. is_rate: values are requests per second, not counts."""
    if len(rows) < 2:  # noqa: PLR2004 - a step has two ends
        raise UsageError(
            f"{file} has one row: how long it lasted is not known",
            hint="one row for each minute or hour, two at least",
        )
    placed = _placed(file, rows, clock)
    for before, row in pairwise(placed):
        if _elapsed_s(before, row) <= 0:
            raise _backwards(file, before, row)
    step_s = min(_elapsed_s(before, row) for before, row in pairwise(placed))
    values = [placed[0].value]
    for before, row in pairwise(placed):
        values += [0.0] * _missing(file, before, row, step_s, gaps)
        values.append(row.value)
    if not any(values):
        raise UsageError(f"{file} asks nothing: each of its {len(rows)} rows is 0")
    return TrafficTrace(step_s, np.array(values) / (1.0 if is_rate else step_s), placed[0].time)


def _placed(file: Path, rows: Sequence[Row], clock: tzinfo) -> list[Row]:
    """Every time with its zone.

    Where clocks are put back, an hour without a zone comes twice: the second time it is later.
    """
    first = rows[0]
    placed: list[Row] = []
    for row in rows:
        if (row.time.tzinfo is None) != (first.time.tzinfo is None):
            raise UsageError(
                f"{file}, line {row.line}: mixed zones: {_said(row.time)}, and "
                f"{_said(first.time)} on line {first.line}",
                hint="write every time with its offset, or all without and name --time-zone",
            )
        time = row.time
        if time.tzinfo is None:
            time = time.replace(tzinfo=clock)
            if placed and time.timestamp() <= placed[-1].time.timestamp():
                time = time.replace(fold=1)
        placed.append(replace(row, time=time))
    return placed


def _said(time: datetime) -> str:
    return f"{time.isoformat(sep=' ')} has {'no' if time.tzinfo is None else 'a'} zone"


def _backwards(file: Path, before: Row, row: Row) -> UsageError:
    where = f"{file}, line {row.line}"
    now, then = row.time.isoformat(sep=" "), before.time.isoformat(sep=" ")
    if row.time.utcoffset() != before.time.utcoffset():
        return UsageError(
            f"{where}: mixed zones: {now} is not after {then} on line {before.line}",
            hint="write every time in one zone",
        )
    what = "comes twice" if _elapsed_s(before, row) == 0 else f"goes back from {then}"
    return UsageError(
        f"{where}: time {what}: {now}, after line {before.line}",
        hint="sort the rows by time; one row a step",
    )


def _missing(file: Path, before: Row, row: Row, step_s: float, gaps: Gaps) -> int:
    """Rows that should stand between the two."""
    steps = _elapsed_s(before, row) / step_s
    where = f"{file}, line {row.line}"
    now, length = row.time.isoformat(sep=" "), seconds_text(step_s)
    if abs(steps - round(steps)) > WHOLE:
        raise UsageError(
            f"{where}: {now} is {steps:.4g} steps of {length} after line {before.line}",
            hint="rows at equal distances",
        )
    if round(steps) > 1 and gaps == "refuse":
        is_mixed = before.time.utcoffset() != row.time.utcoffset()
        why = ", where the zone changes: mixed zones?" if is_mixed else ""
        rows = "1 row" if round(steps) == 2 else f"{round(steps) - 1} rows"  # noqa: PLR2004
        raise UsageError(
            f"{where}: a gap: {rows} of {length} missing before {now}{why}",
            hint="fill them in; if nothing was asked then: --gaps zero",
        )
    return round(steps) - 1


def _elapsed_s(before: Row, row: Row) -> float:
    """In real time, whatever the clocks on the wall did."""
    return row.time.timestamp() - before.time.timestamp()
