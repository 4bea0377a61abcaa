"""Traffic read from files, and from the text of a command line."""

from __future__ import annotations

import csv
import math
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from loadtests.errors import UsageError
from loadtests.quantities import RATE_GRAMMAR, parse_rate_rps
from loadtests.traffic.kinds import Hourly, Steady
from loadtests.traffic.replay import Replay

__all__ = ["TimeUnit", "parse_traffic", "read_hourly", "read_replay"]

GRAMMAR = f"{RATE_GRAMMAR}, or an hourly CSV file"

TimeUnit = Literal["s", "ms", "us", "ns"]
TICK_S: dict[TimeUnit, float] = {"s": 1.0, "ms": 1e-3, "us": 1e-6, "ns": 1e-9}
TIME_COLUMNS = ("timestamp", "time", "at_s", "due_s", "datetime", "date")

HOURLY_HINT = "one row an hour, with the requests of that hour in the column 'requests'"
REPLAY_HINT = "one number of seconds or one ISO time a line, or a CSV with a column of them"

Row = tuple[int, list[str]]  # the number of its line, and its cells


def parse_traffic(text: str) -> Steady | Hourly:
    """A rate, or the path of an hourly CSV. Raises UsageError with the grammar."""
    rate_rps = parse_rate_rps(text)
    if rate_rps is not None:
        _check_rate(rate_rps, f"{rate_rps:g}rps")
        return Steady(rps=rate_rps)
    if os.path.isfile(text):  # noqa: PTH113 - Path's raises for a name that is too long
        return read_hourly(Path(text))
    if text.lower().endswith(".csv"):
        raise UsageError(f"the traffic file {text} does not exist", hint=f"traffic is {GRAMMAR}")
    raise UsageError(f"traffic {text!r} is not understood", hint=f"traffic is {GRAMMAR}")


def read_hourly(file: Path, *, hour_s: float = 3600.0) -> Hourly:
    """A CSV with a header and a column `requests` (else its last), one row an hour, in order.

    Raises UsageError naming the line that is wrong.
    """
    rows = _rows(file)
    header = [cell.strip().lower() for cell in rows[0][1]]
    is_named = "requests" in header
    column = header.index("requests") if is_named else len(header) - 1
    hours = rows[1:] if is_named or _number(header[-1]) is None else rows
    counts = tuple(_count(file, line, _cell(row, column)) for line, row in hours)
    if not counts:
        raise UsageError(f"{file.name} has no hours", hint=HOURLY_HINT)
    _check_rate(max(counts), file.name)
    return Hourly(requests=counts, name=file.name, hour_s=hour_s)


def read_replay(
    file: Path, *, column: str | None = None, unit: TimeUnit = "s", speed: float = 1.0
) -> Replay:
    """One number or ISO time a line, or in a column of a CSV; counted from the earliest.

    unit: of the numbers. A time without a zone is UTC. Logs are written as requests end, so the
    times may be out of order; they are sorted.
    Raises UsageError naming the line that is wrong.
    """
    rows = _rows(file)
    place, has_header = _time_column(file, rows[0][1], column)
    stamps_s = sorted(
        _stamp_s(file, line, _cell(row, place), unit) for line, row in rows[has_header:]
    )
    if len(stamps_s) < 2 or stamps_s[-1] == stamps_s[0]:  # noqa: PLR2004 - a gap has two ends
        raise UsageError(
            f"{file} has {len(stamps_s)} times, no two of them different: that is no rate",
            hint=REPLAY_HINT,
        )
    return Replay(
        at_s=tuple(stamp_s - stamps_s[0] for stamp_s in stamps_s), speed=speed, name=file.name
    )


def _rows(file: Path) -> list[Row]:
    try:
        reader = csv.reader(file.read_text(encoding="utf-8-sig").splitlines())
        rows = [(reader.line_num, row) for row in reader if any(cell.strip() for cell in row)]
    except FileNotFoundError as error:
        raise UsageError(f"the traffic file {file} does not exist") from error
    except (OSError, ValueError, csv.Error) as error:
        raise UsageError(f"the traffic file {file} cannot be read: {error}") from error
    if not rows:
        raise UsageError(f"the traffic file {file} is empty", hint=f"traffic is {GRAMMAR}")
    return rows


def _cell(row: list[str], column: int) -> str:
    return row[column].strip() if column < len(row) else ""


def _count(file: Path, line: int, cell: str) -> float:
    count = _number(cell)
    if count is None or not 0 <= count < math.inf:
        raise UsageError(
            f"{file}, line {line}: {cell!r} is not a number of requests", hint=HOURLY_HINT
        )
    return count


def _time_column(file: Path, first: list[str], column: str | None) -> tuple[int, bool]:
    """Where the times stand, and whether the first row is a header."""
    names = [cell.strip().lower() for cell in first]
    known = [column.strip().lower()] if column is not None else TIME_COLUMNS
    for name in known:
        if name in names:
            return names.index(name), True
    if column is not None:
        raise UsageError(
            f"{file} has no column {column!r}; it has {', '.join(map(repr, first))}",
            hint="name one of them",
        )
    if len(first) > 1:
        raise UsageError(
            f"{file} has {len(first)} columns, and none is called {' or '.join(TIME_COLUMNS)}",
            hint="name the one with the times: column: NAME",
        )
    return 0, _is_heading(names[0])


def _is_heading(cell: str) -> bool:
    return any(letter.isalpha() for letter in cell) and _seconds(cell) is None


def _stamp_s(file: Path, line: int, cell: str, unit: TimeUnit) -> float:
    number = _number(cell)
    stamp_s = _seconds(cell) if number is None else number * TICK_S[unit]
    if stamp_s is None or not math.isfinite(stamp_s):
        raise UsageError(f"{file}, line {line}: {cell!r} is not a time", hint=REPLAY_HINT)
    return stamp_s


def _seconds(cell: str) -> float | None:
    """Of an ISO time, since 1970."""
    try:
        stamp = datetime.fromisoformat(cell.upper())
    except ValueError:
        return None
    return (stamp if stamp.tzinfo else stamp.replace(tzinfo=UTC)).timestamp()


def _number(cell: str) -> float | None:
    try:
        return float(cell)
    except ValueError:
        return None


def _check_rate(rps: float, what: str) -> None:
    if rps == 0:
        raise UsageError(
            f"the traffic {what} asks nothing: there is no cost per request at a rate of zero",
            hint=f"traffic is {GRAMMAR}",
        )
    if not 0 < rps < math.inf:
        raise UsageError(f"the traffic {what} is not a rate", hint=f"traffic is {GRAMMAR}")
