"""The books of a shelf, each read once, for a program that is asked again and again."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from pricing.errors import PricingError, UnknownPriceBook
from pricing.lines import price_lines
from pricing.quarantine import read_quarantine
from pricing.shelf import Shelf, bundled_books

if TYPE_CHECKING:
    from pricing.lines import PriceLine
    from pricing.pricebook import PriceBook
    from pricing.quarantine import Quarantined

__all__ = ["Library", "Shelved"]


class Shelved(NamedTuple):
    """fault: why a book that is newer than the newest trusted one is not."""

    name: str
    is_bundled: bool
    is_in_force: bool
    fault: str | None


class Library:
    """Asked by name alone, never by folder. Several threads may ask at once.

    Two that ask for the same at once may both read it.
    """

    def __init__(self, shelf: Shelf) -> None:
        self._shelf = shelf
        self._books: dict[str, PriceBook] = {}
        self._lines: dict[tuple[str, str], tuple[PriceLine, ...]] = {}
        self._looked_at: dict[tuple[str, ...], tuple[Shelved, ...]] = {}

    def shelved(self) -> tuple[Shelved, ...]:
        """Oldest first. Which can be trusted is told anew when another comes."""
        folders = self._shelf.folders()
        names = tuple(folders)
        if names not in self._looked_at:
            passed_over = self._shelf.newest().passed_over
            last = len(names) - len(passed_over) - 1
            faults = dict(zip(reversed(names), map(str, passed_over), strict=False))
            bundled = set(bundled_books())
            self._looked_at[names] = tuple(
                Shelved(name, folders[name] in bundled, at == last, faults.get(name))
                for at, name in enumerate(names)
            )
        return self._looked_at[names]

    def names(self) -> tuple[str, ...]:
        """Up to the newest that can be trusted, the newest last."""
        return tuple(each.name for each in self.shelved() if each.fault is None)

    def book(self, name: str) -> PriceBook:
        """Raises UnknownPriceBook, and BadPriceBook for one that cannot be read."""
        names = self.names()
        if name not in names:
            raise UnknownPriceBook(
                f"there is no price book {name!r}", hint=f"price books: {', '.join(names)}"
            )
        if name not in self._books:
            self._books[name] = self._shelf.book(name)
        return self._books[name]

    def readable(self) -> tuple[tuple[PriceBook, ...], tuple[str, ...]]:
        """The books, and what is wrong with those that cannot be trusted."""
        found, faults = [], []
        for name, *_, fault in self.shelved():
            if fault is not None:
                faults.append(fault)
                continue
            try:
                found.append(self.book(name))
            except PricingError as error:
                faults.append(str(error))
        return tuple(found), tuple(faults)

    def lines(self, name: str, region: str) -> tuple[PriceLine, ...]:
        """Of one region. Raises UnknownRegion, and what `book` does."""
        if (name, region) not in self._lines:
            self._lines[name, region] = tuple(price_lines(self.book(name), region))
        return self._lines[name, region]

    def quarantined(self, name: str) -> tuple[Quarantined, ...]:
        """Prices that were fetched for the book and not believed."""
        return read_quarantine(self._shelf.folders()[self.book(name).name])
