"""Which refreshed prices are believed. One that is not stays out, and the row in force stays in.

A list price is held to the price in force (a move over 30 % is more often an error than news) and
to EC2's: what SageMaker asks for a machine over what EC2 asks lies within pricing.plausible's
bounds. Spot moves as it likes, between a twentieth of on-demand and on-demand. A savings plan's
rate is held to the rate in force and to SageMaker's on-demand price.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from decimal import Decimal
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Final

from pricing.errors import BadPriceBook
from pricing.offers import Platform, PriceBasis, Purchase
from pricing.plausible import HOSTING_RATIO_BOUNDS, wrong_plan_rate
from pricing.sources.seen import Hourly, PlanHourly, Priced, Refused, SeenPrice

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import date
    from pathlib import Path

__all__ = [
    "QUARANTINE_FILE",
    "Quarantined",
    "Sifted",
    "Standing",
    "read_quarantine",
    "sift",
    "write_quarantine",
]

MOVE_LIMIT_RATIO: Final = Decimal("0.30")
SPOT_FLOOR_RATIO: Final = Decimal("0.05")
QUARANTINE_FILE: Final = "quarantine.csv"
COLUMNS: Final = ("region", "what", "usd", "usd_in_force", "observed_on", "source", "reason")


@dataclass(frozen=True, slots=True)
class Standing:
    """A price in force. follows_ec2: it is EC2's times a ratio, and is computed anew with it."""

    usd: Decimal
    observed_on: date
    basis: PriceBasis
    follows_ec2: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Quarantined:
    """Not used, and why. Prices as text: what a source said need not be a number."""

    region: str
    what: str
    usd: str
    usd_in_force: str
    observed_on: str
    source: str
    reason: str

    @classmethod
    def of(cls, price: SeenPrice, reason: str, in_force: Standing | None = None) -> Quarantined:
        return cls(
            region=price.region,
            what=str(price.what),
            usd=f"{price.usd:f}",
            usd_in_force="" if in_force is None else f"{in_force.usd:f}",
            observed_on=price.observed_on.isoformat(),
            source=price.source,
            reason=reason,
        )

    @classmethod
    def of_refused(cls, refused: Refused) -> Quarantined:
        return cls(
            region=refused.region,
            what=refused.what,
            usd=refused.usd,
            usd_in_force="",
            observed_on="" if refused.observed_on is None else refused.observed_on.isoformat(),
            source=refused.source,
            reason=refused.reason,
        )


@dataclass(frozen=True, slots=True)
class Sifted:
    """older: how many said less than the row in force, which was reported on a later day."""

    taken: dict[Priced, SeenPrice]
    quarantined: tuple[Quarantined, ...]
    older: int


def sift(
    prices: Iterable[SeenPrice],
    in_force: Mapping[Priced, Standing],
    accepted: Iterable[str] = (),
) -> Sifted:
    """Of one region. `accepted`: globs of names whose moves the user knows to be right."""
    globs = tuple(accepted)
    newer = [price for price in prices if not _is_older(price, in_force.get(price.what))]
    taken: dict[Priced, SeenPrice] = {}
    quarantined: list[Quarantined] = []
    for price in newer:
        standing = in_force.get(price.what)
        reason = _moved(price, standing, globs)
        if reason is None:
            taken[price.what] = price
        else:
            quarantined.append(Quarantined.of(price, reason, standing))
    for reasons in (_wrong_ratios, _wrong_spots, _wrong_plan_rates):
        for what, reason in reasons(taken, in_force).items():
            quarantined.append(Quarantined.of(taken.pop(what), reason, in_force.get(what)))
    return Sifted(taken, tuple(quarantined), len(tuple(prices)) - len(newer))


def write_quarantine(rows: Iterable[Quarantined], folder: Path) -> None:
    with (folder / QUARANTINE_FILE).open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(COLUMNS)
        writer.writerows([getattr(row, column) for column in COLUMNS] for row in rows)


def read_quarantine(folder: Path) -> tuple[Quarantined, ...]:
    """What `write_quarantine` wrote into a book's folder; nothing where it wrote nothing.

    Raises BadPriceBook for a file that somebody has edited into another shape.
    """
    file = folder / QUARANTINE_FILE
    if not file.is_file():
        return ()
    with file.open(encoding="utf-8", newline="") as opened:
        reader = csv.DictReader(opened, restval="")
        if tuple(reader.fieldnames or ()) != COLUMNS:
            raise BadPriceBook(f"{file}: its columns are not {', '.join(COLUMNS)}")
        return tuple(Quarantined(**{column: row[column] for column in COLUMNS}) for row in reader)


def _is_older(price: SeenPrice, standing: Standing | None) -> bool:
    return (
        standing is not None
        and standing.basis is PriceBasis.REPORTED
        and standing.observed_on > price.observed_on
    )


def _moved(price: SeenPrice, standing: Standing | None, globs: tuple[str, ...]) -> str | None:
    if standing is None or _is_spot(price.what):
        return None
    move_ratio = price.usd / standing.usd - 1
    if abs(move_ratio) <= MOVE_LIMIT_RATIO:
        return None
    names = {str(price.what)}
    if isinstance(price.what, Hourly | PlanHourly):
        names.add(price.what.instance)
    if any(fnmatchcase(name, glob) for name in names for glob in globs):
        return None
    return (
        f"moves {move_ratio:+.0%} from {standing.usd:f} USD, {standing.basis} on"
        f" {standing.observed_on}; over {MOVE_LIMIT_RATIO:.0%} has to be accepted"
    )


def _wrong_ratios(
    taken: Mapping[Priced, SeenPrice], in_force: Mapping[Priced, Standing]
) -> dict[Priced, str]:
    """Pairs that would stand together in the book. Whichever of a pair is new is not believed."""
    reasons: dict[Priced, str] = {}
    for name in sorted(_on_demand_names(taken)):
        hosting, ec2 = Hourly(name, Platform.SAGEMAKER), Hourly(name, Platform.EC2)
        if hosting not in taken and ec2 in in_force and _follows_ec2(in_force.get(hosting)):
            continue
        asked, base = _usd(hosting, taken, in_force), _usd(ec2, taken, in_force)
        if asked is None or base is None:
            continue
        lowest, highest = HOSTING_RATIO_BOUNDS
        if not lowest <= asked / base <= highest:
            reason = (
                f"hosting at {asked:f} USD is {asked / base:.2f} times EC2's {base:f};"
                f" it is {lowest} to {highest} times on every machine"
            )
            reasons |= {what: reason for what in (hosting, ec2) if what in taken}
    return reasons


def _wrong_spots(
    taken: Mapping[Priced, SeenPrice], in_force: Mapping[Priced, Standing]
) -> dict[Priced, str]:
    reasons: dict[Priced, str] = {}
    for what, price in taken.items():
        if not isinstance(what, Hourly) or not _is_spot(what):
            continue
        on_demand = _usd(Hourly(what.instance, Platform.EC2), taken, in_force)
        if on_demand is None or SPOT_FLOOR_RATIO * on_demand <= price.usd < on_demand:
            continue
        reasons[what] = (
            f"is {price.usd / on_demand:.2f} times on-demand's {on_demand:f} USD;"
            f" spot is {SPOT_FLOOR_RATIO} to 1 times"
        )
    return reasons


def _wrong_plan_rates(
    taken: Mapping[Priced, SeenPrice], in_force: Mapping[Priced, Standing]
) -> dict[Priced, str]:
    reasons: dict[Priced, str] = {}
    for what, price in taken.items():
        if isinstance(what, PlanHourly):
            on_demand = _usd(Hourly(what.instance, Platform.SAGEMAKER), taken, in_force)
            wrong = wrong_plan_rate(price.usd, on_demand)
            if wrong is not None:
                reasons[what] = wrong
    return reasons


def _usd(
    what: Priced, taken: Mapping[Priced, SeenPrice], in_force: Mapping[Priced, Standing]
) -> Decimal | None:
    """What would stand in the book."""
    found = taken.get(what) or in_force.get(what)
    return None if found is None else found.usd


def _follows_ec2(standing: Standing | None) -> bool:
    return standing is not None and standing.follows_ec2


def _is_spot(what: Priced) -> bool:
    return isinstance(what, Hourly) and what.purchase is Purchase.SPOT


def _on_demand_names(taken: Iterable[Priced]) -> set[str]:
    return {
        what.instance
        for what in taken
        if isinstance(what, Hourly) and what.purchase is Purchase.ON_DEMAND
    }
