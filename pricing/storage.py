"""The price book's files, both ways.

    BOOK/
      manifest.json       what the book is, of which day, and where its rows come from
      instances.csv       the machines
      offers/REGION.csv   machines by the hour, one file a region: only the asked one is read
      savings_plans/REGION.csv   rates of SageMaker's plans, likewise; none known where none is
      serverless.csv      serverless inference by memory size and component
      accelerators.csv    accelerators rented apart from a machine (retired)
      unit_prices.csv     data by the GB, storage by the GB-month
      unpriced.csv        what the platform names and the book cannot price, and why

A book is written whole or not at all, and never changed in place.
"""

import csv
import json
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from decimal import InvalidOperation
from functools import partial
from pathlib import Path
from typing import Final, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from pricing.by_region import OffersByRegion, PlanRatesByRegion
from pricing.errors import BadPriceBook
from pricing.instances import InstanceType
from pricing.pricebook import PriceBook
from pricing.rows import (
    ACCELERATOR_COLUMNS,
    INSTANCE_COLUMNS,
    OFFER_COLUMNS,
    PLAN_RATE_COLUMNS,
    SERVERLESS_COLUMNS,
    UNIT_PRICE_COLUMNS,
    UNPRICED_COLUMNS,
    Row,
    accelerator_from_row,
    accelerator_to_row,
    instance_from_row,
    instance_to_row,
    offer_from_row,
    offer_to_row,
    plan_rate_from_row,
    plan_rate_to_row,
    serverless_from_row,
    serverless_to_row,
    unit_price_from_row,
    unit_price_to_row,
    unpriced_from_row,
    unpriced_to_row,
)

# History of the format, newest first. A reader takes every version up to its own.
#   1  (0.1.0)  the first
SCHEMA_VERSION: Final = 1
_FORMAT: Final = "inference-price-book"
MANIFEST: Final = "manifest.json"
_RESTORE: Final = "put the file back as it was published, or load another book"


Value = TypeVar("Value")
_Check = Callable[[str, tuple[Value, ...]], tuple[Value, ...]]


class _Manifest(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    format: str
    schema_version: int
    name: str
    published_on: date
    currency: str
    sources: tuple[str, ...]
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Table:
    file: str
    columns: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Folder:
    """A table of the same columns for each region."""

    name: str
    columns: tuple[str, ...]

    def of(self, region: str) -> _Table:
        return _Table(f"{self.name}/{region}.csv", self.columns)


_INSTANCES: Final = _Table("instances.csv", INSTANCE_COLUMNS)
_SERVERLESS: Final = _Table("serverless.csv", SERVERLESS_COLUMNS)
_ACCELERATORS: Final = _Table("accelerators.csv", ACCELERATOR_COLUMNS)
_UNIT_PRICES: Final = _Table("unit_prices.csv", UNIT_PRICE_COLUMNS)
_UNPRICED: Final = _Table("unpriced.csv", UNPRICED_COLUMNS)
_OFFERS: Final = _Folder("offers", OFFER_COLUMNS)
_PLAN_RATES: Final = _Folder("savings_plans", PLAN_RATE_COLUMNS)


def read_book(folder: Path) -> PriceBook:
    """The book in a folder. What is known of a region is read when first asked for.

    Raises BadPriceBook where the files cannot be trusted; a region's own file speaks up when it
    is read.
    """
    manifest = _read_manifest(folder / MANIFEST)
    instances = _read(folder, _INSTANCES, instance_from_row)
    machines = {machine.name: machine for machine in instances}
    by_region = partial(_readers, folder, machines)
    try:
        return PriceBook(
            name=manifest.name,
            published_on=manifest.published_on,
            sources=manifest.sources,
            notes=manifest.notes,
            instances=instances,
            offers_by_region=OffersByRegion(
                by_region(_OFFERS, offer_from_row, OffersByRegion.check)
            ),
            plan_rates_by_region=PlanRatesByRegion(
                by_region(_PLAN_RATES, plan_rate_from_row, PlanRatesByRegion.check)
            ),
            serverless_offers=_read(folder, _SERVERLESS, serverless_from_row),
            accelerator_offers=_read(folder, _ACCELERATORS, accelerator_from_row),
            unit_prices=_read(folder, _UNIT_PRICES, unit_price_from_row),
            unpriced_rows=_read(folder, _UNPRICED, partial(unpriced_from_row, machines=machines)),
        )
    except ValueError as error:
        raise BadPriceBook(f"price book {folder}: {error}", hint=_RESTORE) from error


def save_book(book: PriceBook, folder: Path) -> None:
    """Write the book to a folder which must not exist yet; what it stands in is made."""
    if folder.exists():
        raise BadPriceBook(
            f"cannot write price book {book.name}: {folder} exists",
            hint="a book is never changed in place; choose a new folder",
        )
    partial_folder = folder.with_name(f".{folder.name}.partial")
    shutil.rmtree(partial_folder, ignore_errors=True)
    partial_folder.mkdir(parents=True)
    try:
        _write(book, partial_folder)
        partial_folder.rename(folder)
    finally:
        shutil.rmtree(partial_folder, ignore_errors=True)


def _read_manifest(path: Path) -> _Manifest:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise BadPriceBook(
            f"{path} is not the manifest of a price book: {error}",
            hint="a price book is a folder with a manifest.json",
        ) from error
    version = content.get("schema_version") if isinstance(content, dict) else None
    if isinstance(version, int) and version > SCHEMA_VERSION:
        raise BadPriceBook(
            f"{path} has schema version {version}; this release reads up to {SCHEMA_VERSION}",
            hint="upgrade inference-recommender, or load an older book",
        )
    try:
        manifest = _Manifest.model_validate(content)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise BadPriceBook(f"{path}, {where}: {first['msg']}", hint=_RESTORE) from error
    if manifest.format != _FORMAT or manifest.currency != "USD" or manifest.schema_version < 1:
        raise BadPriceBook(
            f"{path} is a {manifest.format!r} of version {manifest.schema_version} in"
            f" {manifest.currency}; wanted: {_FORMAT!r} of version 1 or later in USD",
            hint=_RESTORE,
        )
    return manifest


def _readers(
    folder: Path,
    machines: Mapping[str, InstanceType],
    kind: _Folder,
    parse: Callable[[Row, str, Mapping[str, InstanceType]], Value],
    check: _Check[Value],
) -> dict[str, Callable[[], tuple[Value, ...]]]:
    """By region, how its file is read."""

    def read(region: str) -> tuple[Value, ...]:
        table = kind.of(region)
        rows = _read(folder, table, lambda row: parse(row, region, machines))
        try:
            return check(region, rows)
        except ValueError as error:
            raise BadPriceBook(f"{folder / table.file}: {error}", hint=_RESTORE) from error

    return {
        path.stem: partial(read, path.stem) for path in sorted((folder / kind.name).glob("*.csv"))
    }


def _read(folder: Path, table: _Table, parse: Callable[[Row], Value]) -> tuple[Value, ...]:
    path = folder / table.file
    values: list[Value] = []
    for line, row in _rows(path, table.columns):
        try:
            values.append(parse(row))
        except (ValueError, InvalidOperation) as error:
            reason = "a price is not a number" if isinstance(error, InvalidOperation) else error
            raise BadPriceBook(f"{path}, line {line}: {reason}", hint=_RESTORE) from error
    return tuple(values)


def _rows(path: Path, columns: tuple[str, ...]) -> Iterator[tuple[int, Row]]:
    try:
        with path.open(encoding="utf-8", newline="") as file:
            reader = csv.reader(file, strict=True)
            header = next(reader, [])
            if tuple(header) != columns:
                raise BadPriceBook(
                    f"{path}, line 1: columns are {', '.join(header) or 'missing'};"
                    f" wanted: {', '.join(columns)}",
                    hint=_RESTORE,
                )
            for cells in reader:
                if len(cells) != len(columns):
                    raise BadPriceBook(
                        f"{path}, line {reader.line_num}: {len(cells)} cells;"
                        f" wanted: {len(columns)}",
                        hint=_RESTORE,
                    )
                yield reader.line_num, dict(zip(columns, cells, strict=True))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise BadPriceBook(f"{path} cannot be read: {error}", hint=_RESTORE) from error


def _write(book: PriceBook, folder: Path) -> None:
    manifest = _Manifest(
        format=_FORMAT,
        schema_version=SCHEMA_VERSION,
        name=book.name,
        published_on=book.published_on,
        currency="USD",
        sources=book.sources,
        notes=book.notes,
    )
    (folder / MANIFEST).write_text(manifest.model_dump_json(indent=2) + "\n", encoding="utf-8")
    _write_rows(folder, _INSTANCES, map(instance_to_row, book.instances))
    _write_rows(folder, _SERVERLESS, map(serverless_to_row, book.serverless_offers))
    _write_rows(folder, _ACCELERATORS, map(accelerator_to_row, book.accelerator_offers))
    _write_rows(folder, _UNIT_PRICES, map(unit_price_to_row, book.unit_prices))
    _write_rows(folder, _UNPRICED, map(unpriced_to_row, book.unpriced_rows))
    for region, offers in book.offers_by_region.items():
        _write_rows(folder, _OFFERS.of(region), map(offer_to_row, offers))
    for region, rates in book.plan_rates_by_region.items():
        _write_rows(folder, _PLAN_RATES.of(region), map(plan_rate_to_row, rates))


def _write_rows(folder: Path, table: _Table, rows: Iterable[Row]) -> None:
    path = folder / table.file
    path.parent.mkdir(exist_ok=True)
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(table.columns)
        writer.writerows([row[column] for column in table.columns] for row in rows)
