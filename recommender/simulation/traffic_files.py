"""Traffic as it was recorded: a table of counts, a CloudWatch export, a log of single requests."""

from __future__ import annotations

import csv
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import numpy as np
from pydantic import BaseModel, Field, TypeAdapter, ValidationError

from loadtests.errors import UsageError
from loadtests.quantities import RATE_GRAMMAR, parse_rate_rps
from loadtests.traffic import read_hourly, read_replay
from recommender.simulation.traffic import HOUR_S, MINUTE_S, PRESETS, TrafficTrace, preset
from recommender.simulation.traffic_tables import Row, parse_count, parse_time, trace_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import tzinfo

    from recommender.simulation.traffic_tables import Gaps

__all__ = ["GRAMMAR", "read_traffic", "read_traffic_file", "read_zone"]

COUNTS = ("requests", "invocations", "requestcount", "count", "sum")
RATES = ("rps", "rate_rps", "requests_per_second")
TIME_AND_VALUE = 2  # columns that need no names
LOG_TIME = re.compile(r"\[(\d{1,2}/[A-Z][a-z]{2}/\d{4}:\d{2}:\d{2}:\d{2} [+-]\d{4})\]")
LOG_FORMAT = "%d/%b/%Y:%H:%M:%S %z"
FORMATS = (
    "a column of times and one of requests, a row a step; a column 'requests' alone, a row an "
    "hour; a CloudWatch export (CSV or JSON); or an access log, a request a line"
)
GRAMMAR = f"[{'|'.join(PRESETS)}] RATE, with RATE as {RATE_GRAMMAR}; or a file with {FORMATS}"

Cells = list[str]


class _Datapoint(BaseModel):
    time: datetime = Field(alias="Timestamp")
    requests: float = Field(alias="Sum")


class _Statistics(BaseModel):
    points: list[_Datapoint] = Field(alias="Datapoints", min_length=1)

    @property
    def pairs(self) -> Iterable[tuple[datetime, float]]:
        return ((point.time, point.requests) for point in self.points)


class _Series(BaseModel):
    times: list[datetime] = Field(alias="Timestamps", min_length=1)
    requests: list[float] = Field(alias="Values", min_length=1)


class _MetricData(BaseModel):
    series: list[_Series] = Field(alias="MetricDataResults", min_length=1, max_length=1)

    @property
    def pairs(self) -> Iterable[tuple[datetime, float]]:
        return zip(self.series[0].times, self.series[0].requests, strict=True)


def read_traffic_file(file: Path, *, clock: tzinfo = UTC, gaps: Gaps = "refuse") -> TrafficTrace:
    """Raises UsageError with the line that is wrong.

    clock: of times that name no zone. gaps: whether a missing row is a fault, or a time without
    requests; CloudWatch's JSON leaves such times out.
    """
    text = _text(file)
    if text.lstrip().startswith("{"):
        return _cloudwatch(file, text, clock)
    lines = text.splitlines()
    if LOG_TIME.search(next(line for line in lines if line.strip())):
        return _access_log(file, lines)
    table = _table(file, lines)
    body = next((n for n, (_, cells) in enumerate(table) if parse_time(cells[0])), None)
    if body is None:
        _refuse_unread_times(file, table)
        hourly = read_hourly(file)
        return TrafficTrace(HOUR_S, np.array(hourly.requests) / HOUR_S)
    header = [[cell.strip().lower() for cell in cells] for _, cells in table[:body]]
    if len(table[body][1]) == 1:
        return _single_requests(file, table[body:], clock)
    column, is_rate = _value_column(file, table[body], header)
    rows = [_row(file, line, cells, column) for line, cells in table[body:]]
    return trace_of(file, rows, clock, is_rate=is_rate, gaps=gaps)


def read_traffic(text: str, *, clock: tzinfo = UTC, gaps: Gaps = "refuse") -> TrafficTrace:
    """A mean rate, alone or after the name of a preset (weekly 50rps), or a file.

    Raises UsageError.
    """
    kind, _, rate = text.rpartition(" ")
    rate_rps = parse_rate_rps(rate)
    if rate_rps is None or Path(text).is_file():
        return read_traffic_file(Path(text), clock=clock, gaps=gaps)
    known = [each for each in PRESETS if each == (kind.strip() or "constant")]
    if not known or not 0 < rate_rps < float("inf"):
        raise UsageError(f"traffic {text!r} is not understood", hint=f"traffic is {GRAMMAR}")
    return preset(known[0], rate_rps)


def read_zone(name: str) -> tzinfo:
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise UsageError(
            f"no time zone is called {name!r}", hint="as in Europe/Berlin, America/New_York, UTC"
        ) from error


def _text(file: Path) -> str:
    try:
        text = file.read_text(encoding="utf-8-sig")
    except FileNotFoundError as error:
        raise UsageError(
            f"the traffic file {file} does not exist", hint=f"traffic is {GRAMMAR}"
        ) from error
    except (OSError, ValueError) as error:
        raise UsageError(f"the traffic file {file} cannot be read: {error}") from error
    if not text.strip():
        raise UsageError(f"the traffic file {file} is empty", hint=f"it holds {FORMATS}")
    return text


def _table(file: Path, lines: Sequence[str]) -> list[tuple[int, Cells]]:
    """The line of each row, and its cells; empty rows are left out."""
    reader = csv.reader(lines)
    try:
        return [(reader.line_num, row) for row in reader if any(cell.strip() for cell in row)]
    except csv.Error as error:
        raise UsageError(f"{file}, line {reader.line_num}: {error}") from error


def _refuse_unread_times(file: Path, table: Sequence[tuple[int, Cells]]) -> None:
    """Counts of hours have no times, or hours' numbers; what is neither was meant as a time."""
    line, cells = table[-1]
    first = cells[0].strip()
    if any(mark in cells[-1] for mark in ";\t"):
        raise UsageError(
            f"{file}, line {line}: {cells[-1]!r} is one cell", hint="separate cells by commas"
        )
    if len(cells) > 1 and not first.isdecimal():
        raise UsageError(
            f"{file}, line {line}: {first!r} is not a time", hint="as in 2026-03-01T13:00+01:00"
        )
    if len(cells) > TIME_AND_VALUE and COUNTS[0] not in (
        cell.strip().lower() for cell in table[0][1]
    ):
        raise UsageError(
            f"{file}, line {table[0][0]}: none of {len(cells)} columns is called {COUNTS[0]}",
            hint="name the one with the requests of each hour",
        )


def _value_column(
    file: Path, first: tuple[int, Cells], header: Sequence[Cells]
) -> tuple[int, bool]:
    """By a name above the rows, else the second of two; and whether it holds rates."""
    for names in reversed(header):
        for known in (*COUNTS, *RATES):
            if known in names:
                return names.index(known), known in RATES
    line, cells = first
    if len(cells) == TIME_AND_VALUE:
        return 1, False
    raise UsageError(
        f"{file}, line {line}: {len(cells)} columns, and none is called "
        f"{', '.join(COUNTS)} or {RATES[0]}",
        hint="name the one with the requests",
    )


def _row(file: Path, line: int, cells: Cells, column: int) -> Row:
    time = parse_time(cells[0])
    if time is None:
        raise UsageError(
            f"{file}, line {line}: {cells[0]!r} is not a time", hint="as in 2026-03-01T13:00+01:00"
        )
    cell = cells[column].strip() if column < len(cells) else ""
    return Row(line, time, parse_count(cell, f"{file}, line {line}"))


def _single_requests(
    file: Path, table: Sequence[tuple[int, Cells]], clock: tzinfo
) -> TrafficTrace:
    at_s = read_replay(file).at_s
    times = [parse_time(cells[0]) for _, cells in table]
    zoned = [time if time.tzinfo else time.replace(tzinfo=clock) for time in times if time]
    return _counted(at_s, min(zoned))


def _access_log(file: Path, lines: Sequence[str]) -> TrafficTrace:
    """Common or combined log format. Written as requests end, so times may be out of order."""
    times = [_log_time(file, n, line) for n, line in enumerate(lines, start=1) if line.strip()]
    first = min(times)
    return _counted([(time - first).total_seconds() for time in times], first)


def _log_time(file: Path, number: int, line: str) -> datetime:
    found = LOG_TIME.search(line)
    try:
        return datetime.strptime("" if found is None else found[1], LOG_FORMAT)  # noqa: DTZ007 - it has %z
    except ValueError as error:
        raise UsageError(
            f"{file}, line {number}: no time such as [10/Oct/2026:13:55:36 +0000]",
            hint="an access log in the common or combined format",
        ) from error


def _counted(at_s: Sequence[float], first: datetime) -> TrafficTrace:
    """Single requests, minute by minute from the first one's minute on.

    The last minute is as long as the others: what comes after a log's end is not known.
    """
    into_s = first.timestamp() % MINUTE_S
    counts = np.bincount(((np.asarray(at_s) + into_s) // MINUTE_S).astype(np.int64))
    return TrafficTrace(MINUTE_S, counts / MINUTE_S, first - timedelta(seconds=into_s))


def _cloudwatch(file: Path, text: str, clock: tzinfo) -> TrafficTrace:
    """`get-metric-statistics` with Sum, or `get-metric-data` of one metric.

    Datapoints come in any order, and there is none for a time without invocations.
    """
    kinds: TypeAdapter[_Statistics | _MetricData] = TypeAdapter(_Statistics | _MetricData)
    try:
        pairs = sorted(kinds.validate_json(text).pairs)
    except (ValidationError, ValueError, TypeError) as error:
        what = error.errors()[0]["msg"] if isinstance(error, ValidationError) else str(error)
        raise UsageError(
            f"{file} is JSON, but holds no sums of one CloudWatch metric: {what}",
            hint="aws cloudwatch get-metric-statistics --statistics Sum --period 60 …",
        ) from error
    rows = [
        Row(n, time, parse_count(f"{count:g}", f"{file}, datapoint {n}"))
        for n, (time, count) in enumerate(pairs, start=1)
    ]
    return trace_of(file, rows, clock, is_rate=False, gaps="zero")
