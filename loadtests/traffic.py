"""How often it is asked, over time."""

from __future__ import annotations

import csv
import math
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, runtime_checkable

from loadtests.errors import UsageError

__all__ = ["Hourly", "Steady", "Traffic", "parse_traffic"]

SECONDS = {"s": 1.0, "min": 60.0, "h": 3600.0, "day": 86400.0, "month": 730 * 3600.0}
UNITS = {
    "rps": "s", "/s": "s", "/sec": "s", "/second": "s", "qps": "s",
    "rpm": "min", "/m": "min", "/min": "min", "/minute": "min",
    "rph": "h", "/h": "h", "/hour": "h",
    "/d": "day", "/day": "day",
    "/mo": "month", "/month": "month",
}  # fmt: skip
MULTIPLES = {"": 1.0, "k": 1e3, "m": 1e6, "b": 1e9}
RATE = r"\s*([0-9]*\.?[0-9]+(?:e[+-]?[0-9]+)?)\s*([kmb]?)\s*([a-z/]+)\s*"
GRAMMAR = "NUMBER[k|M|B](rps|rpm|/s|/min|/h|/day|/month), e.g. 50rps, 500rpm, 1.2M/day, or an hourly CSV file"  # noqa: E501 - one line for a person


@runtime_checkable
class Traffic(Protocol):
    """Requests per second over time; time starts at 0 and, past the end, begins again."""

    @property
    def peak_rps(self) -> float: ...

    @property
    def mean_rps(self) -> float: ...

    @property
    def text(self) -> str:
        """As the user would write it."""

    def rate_rps(self, t_s: float) -> float: ...

    def requests_by(self, t_s: float) -> float:
        """Expected requests in [0, t_s)."""


@dataclass(frozen=True, slots=True)
class Steady:
    rps: float

    def __post_init__(self) -> None:
        _check_rate(self.rps, f"{self.rps:g}rps")

    @property
    def peak_rps(self) -> float:
        return self.rps

    @property
    def mean_rps(self) -> float:
        return self.rps

    @property
    def text(self) -> str:
        return f"{self.rps:g}rps"

    def rate_rps(self, t_s: float) -> float:  # noqa: ARG002 - the same at every time
        return self.rps

    def requests_by(self, t_s: float) -> float:
        return self.rps * t_s


@dataclass(frozen=True, slots=True)
class Hourly:
    """Requests counted in each hour; within an hour the rate is even."""

    requests: tuple[float, ...]
    name: str = "hourly"

    def __post_init__(self) -> None:
        if not self.requests:
            raise UsageError(f"{self.name} has no hours", hint=f"traffic is {GRAMMAR}")
        for hour, count in enumerate(self.requests):
            if not math.isfinite(count) or count < 0:
                raise UsageError(f"{self.name}: hour {hour} has {count} requests, not 0 or more")
        _check_rate(self.peak_rps, self.name)

    @property
    def peak_rps(self) -> float:
        return max(self.requests) / 3600

    @property
    def mean_rps(self) -> float:
        return sum(self.requests) / (3600 * len(self.requests))

    @property
    def text(self) -> str:
        return f"{self.name} (mean {self.mean_rps:.3g}rps, peak {self.peak_rps:.3g}rps)"

    def rate_rps(self, t_s: float) -> float:
        return self.requests[int(t_s // 3600) % len(self.requests)] / 3600

    def requests_by(self, t_s: float) -> float:
        rounds, rest_s = divmod(t_s, 3600.0 * len(self.requests))
        hours, part_s = divmod(rest_s, 3600.0)
        whole = int(hours)
        inside = self.requests[whole] * part_s / 3600 if part_s else 0.0
        return rounds * sum(self.requests) + sum(self.requests[:whole]) + inside


def parse_traffic(text: str) -> Traffic:
    """A rate, or the path of an hourly CSV. Raises UsageError with the grammar."""
    match = re.fullmatch(RATE, text, re.IGNORECASE)
    if match:
        number, multiple, unit = match.groups()
        per = UNITS.get(unit.lower())
        if per is not None:
            return Steady(float(number) * MULTIPLES[multiple.lower()] / SECONDS[per])
    if os.path.isfile(text):  # noqa: PTH113 - Path's raises for a name that is too long
        return read_hourly(Path(text))
    if text.lower().endswith(".csv"):
        raise UsageError(f"the traffic file {text} does not exist", hint=f"traffic is {GRAMMAR}")
    raise UsageError(f"traffic {text!r} is not understood", hint=f"traffic is {GRAMMAR}")


def read_hourly(file: Path) -> Hourly:
    """A CSV with a header and a column `requests` (else its last), one row an hour, in order.

    Raises UsageError naming the line that is wrong.
    """
    try:
        reader = csv.reader(file.read_text(encoding="utf-8-sig").splitlines())
        rows = [(reader.line_num, row) for row in reader if any(cell.strip() for cell in row)]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise UsageError(f"the traffic file {file} cannot be read: {error}") from error
    if not rows:
        raise UsageError(f"the traffic file {file} is empty", hint=f"traffic is {GRAMMAR}")
    header = [cell.strip().lower() for cell in rows[0][1]]
    is_named = "requests" in header
    column = header.index("requests") if is_named else len(header) - 1
    hours = rows[1:] if is_named or _number(header[-1]) is None else rows
    return Hourly(tuple(_count(file, line, row, column) for line, row in hours), name=file.name)


def _count(file: Path, line: int, row: list[str], column: int) -> float:
    cell = row[column].strip() if column < len(row) else ""
    count = _number(cell)
    if count is None or not 0 <= count < math.inf:
        raise UsageError(
            f"{file}, line {line}: {cell!r} is not a number of requests",
            hint="one row an hour, with the requests of that hour in the column 'requests'",
        )
    return count


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
