"""A refresh: every source asked for every region, then one new book, whole or not at all.

What was fetched is kept until the book is written, so that a refresh which stopped goes on. Until
then, and after any fault, the book in force stays in force.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Final

from pricing.by_region import OffersByRegion, PlanRatesByRegion
from pricing.errors import BadPriceBook, NoPrice, UnknownRegion, did_you_mean
from pricing.merging import known_machines, refreshed_region
from pricing.plausible import require_plausible
from pricing.quarantine import Quarantined, write_quarantine
from pricing.sources.seen import Seen
from pricing.storage import read_book, save_book

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from datetime import date
    from pathlib import Path

    from pricing.merging import Machines, Region
    from pricing.parts import KeptParts
    from pricing.pricebook import PriceBook
    from pricing.sources.seen import PriceSource, Report

_BEGUN: Final = "Refreshed on"

__all__ = ["Counts", "Refreshed", "Wanted", "fetch", "publish", "refreshed_book"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """accepted: globs of names whose moves are known to be right. on: the day of the new book."""

    name: str
    on: date
    sources: tuple[PriceSource, ...]
    regions: tuple[str, ...]
    is_hosting: Callable[[str], bool]
    accepted: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """Prices of one region.

    moved: of those taken, how many are not what stood there. followed: how many others were
    computed anew from them. advised: spot rows that Spot Advisor changed. older: of those seen,
    how many are of an earlier day than the row in force.
    """

    region: str
    seen: int
    taken: int
    moved: int
    followed: int
    advised: int
    quarantined: int
    older: int


@dataclass(frozen=True, slots=True)
class Refreshed:
    """passed_over: of how many EC2 machines a price was seen that the book does not list."""

    book: PriceBook
    quarantined: tuple[Quarantined, ...]
    counts: tuple[Counts, ...]
    passed_over: int


def fetch(
    wanted: Wanted, in_force: PriceBook, parts: KeptParts, report: Report
) -> dict[str, Seen]:
    """What all sources saw, by region. What was fetched earlier today is not asked for again.

    Raises UnknownRegion, or what a source raises; all that was fetched until then is kept.
    """
    total = len(wanted.regions) * len(wanted.sources)
    by_region: dict[str, Seen] = {}
    for region_count, region in enumerate(wanted.regions):
        found: list[Seen] = []
        for source_count, source in enumerate(wanted.sources):
            part = region_count * len(wanted.sources) + source_count + 1
            label = f"{region}, {source.name}, {part} of {total}"
            seen = parts.found(source, region)
            if seen is None:
                report(label)
                seen = source.seen(region, partial(_say, report, label))
                _require_known(region, seen, source, in_force)
                parts.keep(source, region, seen)
            else:
                report(f"{label}, kept from before")
            found.append(seen)
        by_region[region] = _together(found)
    return by_region


def refreshed_book(
    wanted: Wanted, in_force: PriceBook, by_region: Mapping[str, Seen]
) -> Refreshed:
    """Raises NoPrice where nothing that was seen is news."""
    everything = _together(by_region.values())
    machines = known_machines(in_force, everything, wanted.is_hosting)
    regions = {
        region: refreshed_region(in_force, region, seen, machines.by_name, wanted.accepted)
        for region, seen in by_region.items()
    }
    quarantined = (
        *machines.quarantined,
        *(row for region in regions.values() for row in region.sifted.quarantined),
        *map(Quarantined.of_refused, everything.refused),
    )
    if not any(region.sifted.taken or region.advised for region in regions.values()):
        raise NoPrice(
            f"no price that was seen can replace one of price book {in_force.name}",
            hint=_why_nothing(regions.values(), quarantined),
        )
    return Refreshed(
        _book(wanted, in_force, machines, regions),
        quarantined,
        tuple(
            _counts(name, region, by_region[name], quarantined) for name, region in regions.items()
        ),
        machines.passed_over,
    )


def publish(refreshed: Refreshed, user_folder: Path) -> Path:
    """Written beside, read back whole, then moved into place. Returns the book's folder."""
    folder = user_folder / refreshed.book.name
    staging = user_folder / f".{refreshed.book.name}.refresh"
    shutil.rmtree(staging, ignore_errors=True)
    try:
        staging.mkdir(parents=True)
        written = staging / refreshed.book.name
        save_book(refreshed.book, written)
        write_quarantine(refreshed.quarantined, written)
        require_plausible(read_book(written))
        written.rename(folder)
    except OSError as error:
        raise BadPriceBook(
            f"price book {refreshed.book.name} cannot be written to {user_folder}:"
            f" {error.strerror or error}",
            hint="make room there, or give the new book another name (--book)",
        ) from error
    finally:
        shutil.rmtree(staging, ignore_errors=True)
    return folder


def _say(report: Report, label: str, doing: str) -> None:
    report(f"{label} ({doing})")


def _require_known(region: str, seen: Seen, source: PriceSource, in_force: PriceBook) -> None:
    """The first source has list prices: a region in which it has none is a slip."""
    if region in in_force.offers_by_region or seen.prices:
        return
    raise UnknownRegion(
        f"{source.name} has no price in {region!r}{did_you_mean(region, in_force.regions)}",
        hint=f"regions in price book {in_force.name}: {', '.join(in_force.regions)}",
    )


def _together(found: Iterable[Seen]) -> Seen:
    each = tuple(found)
    return Seen(
        prices=tuple(price for seen in each for price in seen.prices),
        advice=tuple(advice for seen in each for advice in seen.advice),
        machines=tuple(machine for seen in each for machine in seen.machines),
        refused=tuple(refused for seen in each for refused in seen.refused),
    )


def _book(
    wanted: Wanted, in_force: PriceBook, machines: Machines, regions: Mapping[str, Region]
) -> PriceBook:
    where = ", ".join(regions)
    read = tuple(
        f"Read by {source.name} ({source.identity}): {where}; last on "
        for source in wanted.sources
    )
    begun = f"{_BEGUN} {wanted.on} from price book {in_force.name}: {where}."
    return replace(
        in_force,
        name=wanted.name,
        published_on=wanted.on,
        sources=(
            *(f"{line}{wanted.on}." for line in read),
            *(line for line in in_force.sources if not line.startswith(read)),
        ),
        notes=(
            f"{begun} Rows that were not are as old as they say.",
            *(line for line in in_force.notes if not line.startswith(_BEGUN)),
        ),
        instances=tuple(machines.by_name.values()),
        offers_by_region=_offers(in_force, regions),
        plan_rates_by_region=_plan_rates(in_force, regions),
        serverless_offers=(
            *(offer for offer in in_force.serverless_offers if offer.region not in regions),
            *(offer for region in regions.values() for offer in region.serverless),
        ),
        unit_prices=(
            *(price for price in in_force.unit_prices if price.region not in regions),
            *(price for region in regions.values() for price in region.units),
        ),
        unpriced_rows=tuple(
            row
            for row in in_force.unpriced_rows
            if row.region not in regions
            or (row.instance.name, row.platform) not in regions[row.region].priced
        ),
    )


def _offers(in_force: PriceBook, regions: Mapping[str, Region]) -> OffersByRegion:
    readers = {name: partial(in_force.offers, name) for name in in_force.regions}
    readers |= {name: partial(tuple, region.offers) for name, region in regions.items()}
    return OffersByRegion(readers)


def _plan_rates(in_force: PriceBook, regions: Mapping[str, Region]) -> PlanRatesByRegion:
    """Only of regions where one is known."""
    rates = {
        name: partial(in_force.plan_rates, name)
        for name in in_force.plan_rates_by_region
        if name not in regions
    }
    rates |= {
        name: partial(tuple, region.plan_rates)
        for name, region in regions.items()
        if region.plan_rates
    }
    return PlanRatesByRegion(rates)


def _counts(name: str, region: Region, seen: Seen, quarantined: Iterable[Quarantined]) -> Counts:
    return Counts(
        region=name,
        seen=len({price.what for price in seen.prices}),
        taken=len(region.sifted.taken),
        moved=region.moved,
        followed=region.followed,
        advised=region.advised,
        quarantined=sum(row.region == name for row in quarantined),
        older=region.sifted.older,
    )


def _why_nothing(regions: Iterable[Region], quarantined: tuple[Quarantined, ...]) -> str:
    older = sum(region.sifted.older for region in regions)
    reasons = [f"{row.region} {row.what}: {row.reason}" for row in quarantined[:3]]
    if older:
        reasons.append(f"{older} prices are of an earlier day than the rows in force")
    return "\n".join(reasons) or "the sources have nothing for these regions"
