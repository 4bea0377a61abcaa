"""A user's own CSV of machines, as one more source of prices.

The first line names the columns, in any order; an empty cell is "not said". REQUIRED must be
there, the others may. A row that cannot be right is an error and not left out: it was written
for this.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Final

from pydantic import ValidationError

from pricing.errors import BadOwnOffer, did_you_mean
from pricing.own_machines import OwnMachine
from pricing.sources.seen import Hourly, Seen, SeenPrice

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import date
    from pathlib import Path

    from pricing.sources.seen import Report

__all__ = ["OPTIONAL", "REQUIRED", "OwnOffers"]

REQUIRED: Final = ("name", "usd_per_hour", "vcpus", "memory_gib", "architecture")
OPTIONAL: Final = (
    *("machines", "provider", "physical_cores", "cpu_model", "silicon", "clock_ghz"),
    *("accelerator_kind", "accelerator_model", "accelerator_count", "accelerator_memory_gib"),
    *("network_gbps", "observed_on", "note"),
)


@dataclass(frozen=True)
class OwnOffers:
    """today: the day for which a cost holds where the file says none."""

    file: Path
    today: date

    @property
    def name(self) -> str:
        return "own"

    @property
    def identity(self) -> str:
        return str(self.file.absolute())

    @cached_property
    def machines(self) -> tuple[OwnMachine, ...]:
        """Raises BadOwnOffer, with the line, for a file that does not hold what it should."""
        found = tuple(self._machines())
        if not found:
            raise BadOwnOffer(f"{self.file} names no machine", hint=_wanted())
        names = [machine.name.casefold() for machine in found]
        for machine in found:
            if names.count(machine.name.casefold()) > 1:
                raise BadOwnOffer(f"{machine.source}: {machine.name} is there more than once")
        return found

    def seen(self, region: str, report: Report) -> Seen:
        report(f"reading {self.file}")
        offers = [machine.offer(region) for machine in self.machines]
        return Seen(
            machines=tuple(offer.instance for offer in offers),
            prices=tuple(
                SeenPrice(
                    what=Hourly(offer.instance.name, offer.platform, offer.purchase),
                    usd=offer.usd_per_hour,
                    region=offer.region,
                    observed_on=offer.observed_on,
                    source=offer.source,
                    basis=offer.basis,
                    confidence=offer.confidence,
                    note=offer.note,
                )
                for offer in offers
            ),
        )

    def _machines(self) -> Iterator[OwnMachine]:
        try:
            with self.file.open(encoding="utf-8-sig", newline="") as file:
                reader = csv.reader(file, strict=True)
                columns = _columns(next(reader, []), self.file)
                for cells in reader:
                    if any(cell.strip() for cell in cells):
                        yield self._machine(columns, cells, reader.line_num)
        except (OSError, UnicodeDecodeError, csv.Error) as error:
            raise BadOwnOffer(f"{self.file} cannot be read: {error}", hint=_wanted()) from error

    def _machine(self, columns: tuple[str, ...], cells: list[str], line: int) -> OwnMachine:
        where = f"{self.file.name}, line {line}"
        if len(cells) != len(columns):
            raise BadOwnOffer(
                f"{where}: {len(cells)} cells; the first line names {len(columns)} columns"
            )
        row = {
            column: cell.strip()
            for column, cell in zip(columns, cells, strict=True)
            if cell.strip()
        }
        said = {"observed_on": self.today.isoformat(), "provider": "own", **row}
        try:
            return OwnMachine.model_validate({**said, "source": where})
        except ValidationError as error:
            raise BadOwnOffer(f"{where}: {_reason(error)}", hint=_wanted()) from error


def _columns(header: list[str], file: Path) -> tuple[str, ...]:
    columns = tuple(cell.strip() for cell in header)
    known = (*REQUIRED, *OPTIONAL)
    where = f"{file.name}, line 1"
    for column in columns:
        if column not in known:
            raise BadOwnOffer(
                f"{where}: no column is called {column!r}{did_you_mean(column, known)}",
                hint=_wanted(),
            )
        if columns.count(column) > 1:
            raise BadOwnOffer(f"{where}: column {column} is there more than once")
    missing = [column for column in REQUIRED if column not in columns]
    if missing:
        raise BadOwnOffer(f"{where}: {', '.join(missing)} missing", hint=_wanted())
    return columns


def _reason(error: ValidationError) -> str:
    """The first fault, by its column; what a machine itself refuses has no column."""
    first = error.errors()[0]
    message = first["msg"].removeprefix("Value error, ")
    column = ".".join(str(part) for part in first["loc"])
    if first["type"] == "missing":
        return f"{column} is empty"
    return f"{column} is {first['input']!r}: {message}" if column else message


def _wanted() -> str:
    return f"columns: {', '.join(REQUIRED)}; and, as far as known: {', '.join(OPTIONAL)}"
