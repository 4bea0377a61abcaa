"""Prices as a person reads them: what each costs, how old it is, and how it is known."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from dashboard import format as fmt
from dashboard.prices_asked import ALL_REGIONS
from dashboard.views import Card
from pricing import (
    HOURS_PER_MONTH,
    STALE_DAYS,
    LineFilter,
    exact_usd,
    machine_facts,
    price_history,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from datetime import date
    from decimal import Decimal

    from dashboard.prices_asked import PricesAsked
    from pricing import Library, PriceBook, PriceEntry, PriceLine, Unpriced

__all__ = [
    "KEY",
    "Found",
    "Known",
    "Overview",
    "PriceFacts",
    "Without",
    "asked_book",
    "asked_prices",
    "key_in",
    "key_of",
    "overview",
    "packed",
    "price_columns",
    "price_facts",
]

YEAR_DAYS = 365
ALIKE_RATIO = 0.001  # a rule's rounding
KEY = ("region", "what", "platform", "purchase")  # in the order of PriceLine.key
VOWELS = ("hour", "LCU-hour")
SEVERAL = "no price is known there; it may not be offered"
TRUST = {"high": "high trust", "medium": "medium trust", "low": "low trust"}


class Found(NamedTuple):
    lines: tuple[PriceLine, ...]
    book: PriceBook


class Without(NamedTuple):
    """regions: those asked for in which it has no price."""

    what: str
    regions: str
    reason: str


class Overview(NamedTuple):
    verdict: str
    facts: tuple[tuple[str, str], ...]
    cards: tuple[Card, ...]
    without: tuple[Without, ...]


class Known(NamedTuple):
    """How one price is known. doubts: why it may be wrong, in words."""

    basis: str
    trust: str
    observed_on: str
    age: str
    source: str
    note: str
    doubts: tuple[str, ...]


class Beside(NamedTuple):
    """The same machine on other terms, or elsewhere. than: against the price it stands beside."""

    key: str
    where: str
    usd: str
    than: str
    known: str


class PriceFacts(NamedTuple):
    """figures: the price and what it comes to. machine: name, value and source of each fact."""

    title: str
    usd: str
    unit: str
    figures: tuple[tuple[str, str], ...]
    known: Known
    history: tuple[PriceEntry, ...]
    faults: tuple[str, ...]
    otherwise: tuple[Beside, ...]
    elsewhere: tuple[Beside, ...]
    machine: tuple[tuple[str, str, str], ...]


def key_of(line: PriceLine) -> str:
    """As an address names it: the same in every book."""
    return "|".join(line.key)


def key_in(row: Mapping[str, str]) -> str:
    """Of a row of `price_columns`."""
    return "|".join(row[name] for name in KEY)


def asked_book(library: Library, asked: PricesAsked) -> PriceBook:
    """Raises UnknownPriceBook and BadPriceBook."""
    return library.book(asked.book or library.names()[-1])


def asked_prices(library: Library, asked: PricesAsked) -> Found:
    """Cheapest by the hour first. Raises PricingError."""
    book = asked_book(library, asked)
    wanted = asked.wanted
    there = [line for region in asked.regions(book) for line in library.lines(book.name, region)]
    kept = [line for line in there if wanted.fits(line)]
    kept.sort(key=lambda line: (line.unit != "hour", line.usd, line.key))
    return Found(tuple(kept), book)


def overview(found: Found, asked: PricesAsked, today: date) -> Overview:
    return Overview(
        verdict=_verdict(found, asked),
        facts=_book_facts(found.book, today),
        cards=tuple(_cards(found.lines, today)) if found.lines else (),
        without=tuple(_unpriced(found.book, asked)),
    )


def _unpriced(book: PriceBook, asked: PricesAsked) -> Iterator[Without]:
    """A machine once, however many the regions."""
    by_machine: dict[str, list[Unpriced]] = {}
    for region in asked.regions(book):
        for row in book.unpriced(region):
            if asked.asks_for(row):
                by_machine.setdefault(row.instance.name, []).append(row)
    for rows in by_machine.values():
        name = rows[0].instance.hosting_name or rows[0].instance.name
        regions = ", ".join(row.region for row in rows)
        yield Without(name, regions, rows[0].reason if len(rows) == 1 else SEVERAL)


def price_columns(
    lines: Sequence[PriceLine], today: date
) -> dict[str, list[str | float | bool | None]]:
    """What the table holds, a list a column; None where there is no such figure."""
    machines = [line.instance for line in lines]
    days = [line.row.age_days(today) for line in lines]
    return {
        "what": [line.what for line in lines],
        "bought": [line.bought_as or "any" for line in lines],
        "region": [line.row.region for line in lines],
        "platform": [line.platform or "" for line in lines],
        "purchase": [line.terms for line in lines],
        "usd": [float(line.usd) for line in lines],
        "unit": [line.unit for line in lines],
        "month_usd": [_rounded(line.usd_per_month, 6) for line in lines],
        "vcpu_usd": [_rounded(line.usd_per_vcpu_hour, 4) for line in lines],
        "gib_usd": [_rounded(line.usd_per_gib_hour, 4) for line in lines],
        "vcpus": [None if each is None else each.vcpus for each in machines],
        "memory_gib": [None if each is None else each.memory_gib for each in machines],
        "architecture": [None if each is None else each.cpu.architecture for each in machines],
        "accelerator": [
            None if each is None or each.accelerator is None else each.accelerator.text
            for each in machines
        ],
        "saves": [_rounded(line.saving_ratio, 2) for line in lines],
        "reclaimed": [line.interruption_band for line in lines],
        "seen": [line.row.observed_on.isoformat() for line in lines],
        "age": [_age(each) for each in days],
        "basis": [line.row.basis for line in lines],
        "trust": [TRUST[line.row.confidence] for line in lines],
        "source": [line.row.source for line in lines],
    }


def packed(columns: dict[str, list[Any]]) -> dict[str, dict[str, list[Any]]]:
    """Small on its way: each column its different values once, and a place among them a row.

    Not where nearly every row has a value of its own.
    """
    return {name: _packed(values) for name, values in columns.items()}


def price_facts(library: Library, book: PriceBook, key: str, today: date) -> PriceFacts | None:
    """None where the book has no such price."""
    region, what, *_ = (*key.split("|"), "", "")
    if region not in book.offers_by_region:
        return None
    here = library.lines(book.name, region)
    line = next((each for each in here if key_of(each) == key), None)
    if line is None:
        return None
    books, faults = library.readable()
    history = price_history(books, (region,), LineFilter(names=(what.casefold(),)))
    return PriceFacts(
        title=_title(line),
        usd=_price_text(line),
        unit=f"a{'n' if line.unit in VOWELS else ''} {line.unit}",
        figures=tuple(_figures(line)),
        known=_known_by(line, today),
        history=tuple(each for each in history if each.line.key == line.key),
        faults=faults,
        otherwise=_otherwise(line, here),
        elsewhere=_elsewhere(line, library, book),
        machine=() if line.instance is None else tuple(machine_facts(line.instance)),
    )


def _known_by(line: PriceLine, today: date) -> Known:
    row, days = line.row, line.row.age_days(today)
    return Known(
        basis=row.basis.value,
        trust=TRUST[row.confidence],
        observed_on=row.observed_on.isoformat(),
        age=_age(days),
        source=row.source,
        note=row.note or "",
        doubts=tuple(_doubts(line, days)),
    )


def _price_text(line: PriceLine) -> str:
    """~ marks what was derived."""
    return f"{'~' if line.row.basis == 'derived' else ''}${exact_usd(line.usd)}"


def _verdict(found: Found, asked: PricesAsked) -> str:
    where = "every region" if asked.region == ALL_REGIONS else asked.region
    if not found.lines:
        return f"No price in {where} is of that kind"
    said = f"{len(found.lines):,} prices in {where}"
    by_hour = [line for line in found.lines if line.instance is not None]
    if not by_hour:
        return said
    first = by_hour[0]
    there = f", {first.row.region}" if asked.region == ALL_REGIONS else ""
    return (
        f"{said}; the cheapest machine is {first.what} ({first.bought_as}{there}) at "
        f"{_price_text(first)} an hour"
    )


def _book_facts(book: PriceBook, today: date) -> tuple[tuple[str, str], ...]:
    days = book.age_days(today)
    moved = "; prices may have moved since" if book.is_stale(today) else ""
    return (
        ("price book", book.name),
        ("put together", f"{book.published_on.isoformat()}, {fmt.ago(days)}{moved}"),
        ("currency", "USD, without tax"),
    )


def _cards(lines: Sequence[PriceLine], today: date) -> Iterator[Card]:
    yield from _cheapest("Cheapest vCPU", lines, lambda line: line.usd_per_vcpu_hour, "vCPU-hour")
    yield from _cheapest("Cheapest memory", lines, lambda line: line.usd_per_gib_hour, "GiB-hour")
    derived = sum(line.row.basis == "derived" for line in lines)
    low = sum(line.row.confidence == "low" for line in lines)
    yield Card(
        "Derived by rule",
        fmt.percent(derived / len(lines)),
        f"{derived:,} of {len(lines):,}, marked ~",
        f"{low:,} are of low trust",
    )
    days = sorted(line.row.age_days(today) for line in lines)
    old = sum(each > STALE_DAYS for each in days)
    yield Card(
        "Seen long ago",
        fmt.percent(old / len(lines)),
        f"{old:,} over {STALE_DAYS} days ago",
        f"newest {fmt.ago(days[0])}, oldest {fmt.ago(days[-1])}",
    )


def _cheapest(
    title: str,
    lines: Sequence[PriceLine],
    usd_of: Callable[[PriceLine], Decimal | None],
    unit: str,
) -> Iterator[Card]:
    priced = [(usd, line) for line in lines if (usd := usd_of(line)) is not None]
    if priced:
        usd, line = min(priced, key=lambda each: (each[0], each[1].key))
        mark = "~" if line.row.basis == "derived" else ""
        whose = f"{line.what}, {line.bought_as}"
        yield Card(title, f"{mark}{fmt.usd(str(usd))}", f"a {unit}", whose)


def _packed(values: list[Any]) -> dict[str, list[Any]]:
    places: dict[Any, int] = {}
    at = [places.setdefault(value, len(places)) for value in values]
    return {"all": values} if 2 * len(places) > len(values) else {"of": list(places), "at": at}


def _rounded(value: Decimal | None, digits: int) -> float | None:
    return None if value is None else float(f"{value:.{digits}g}")


def _age(days: int) -> str:
    said = fmt.ago(days)
    if days > YEAR_DAYS:
        return f"{said}, very old"
    return f"{said}, old" if days > STALE_DAYS else said


def _doubts(line: PriceLine, days: int) -> Iterator[str]:
    row = line.row
    if row.basis == "derived":
        yield f"Nobody reported this price: it is computed by the rule “{row.source}”."
    if days > STALE_DAYS:
        yield f"It rests on a day {fmt.ago(days)}, and may have moved since."
    if row.confidence == "low":
        yield "Low trust: it quotes no price list, and no second source agrees with it."
    if line.retired:
        yield "It is retired: nobody can buy it any more."


def _title(line: PriceLine) -> str:
    bought = f", {line.bought_as}" if line.bought_as else ""
    return f"{line.what}{bought}, {line.row.region}"


def _figures(line: PriceLine) -> Iterator[tuple[str, str]]:
    for unit, usd in (
        (f"a month of {HOURS_PER_MONTH} hours", line.usd_per_month),
        ("a vCPU-hour", line.usd_per_vcpu_hour),
        ("a GiB-hour", line.usd_per_gib_hour),
    ):
        if usd is not None:
            yield fmt.usd(str(usd)), unit
    if line.saving_ratio is not None:
        yield f"{line.saving_ratio:.0%}", "below on-demand"
    if line.interruption_band is not None:
        yield line.interruption_band, "of machines reclaimed in a month"


def _otherwise(line: PriceLine, here: Iterable[PriceLine]) -> tuple[Beside, ...]:
    if line.instance is None:
        return ()
    same = [each for each in here if each.instance == line.instance and each.key != line.key]
    return tuple(_beside(each, line, f"{each.what}, {each.bought_as}") for each in same)


def _elsewhere(line: PriceLine, library: Library, book: PriceBook) -> tuple[Beside, ...]:
    """Cheapest first."""
    found = [
        each
        for region in book.regions
        if region != line.row.region
        for each in library.lines(book.name, region)
        if each.key[1:] == line.key[1:]
    ]
    found.sort(key=lambda each: (each.usd, each.row.region))
    return tuple(_beside(each, line, each.row.region) for each in found)


def _beside(other: PriceLine, line: PriceLine, where: str) -> Beside:
    ratio = other.usd / line.usd - 1
    than = fmt.change(float(ratio)) if abs(ratio) > ALIKE_RATIO else "the same"
    return Beside(
        key_of(other),
        where,
        _price_text(other),
        than,
        f"{other.row.basis}, {other.row.observed_on.isoformat()}",
    )
