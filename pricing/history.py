"""What a thing cost, book by book."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from pricing.lines import LineFilter, PriceLine, lines_of

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator
    from datetime import date
    from decimal import Decimal

    from pricing.pricebook import PriceBook

__all__ = ["PriceEntry", "price_history"]


class PriceEntry(NamedTuple):
    """before: the line of the newest older book that has it."""

    book: str
    published_on: date
    line: PriceLine
    before: PriceLine | None

    @property
    def change_ratio(self) -> Decimal | None:
        """0.1 is dearer by a tenth; None for the first that is known."""
        return None if self.before is None else self.line.usd / self.before.usd - 1


def price_history(
    books: Iterable[PriceBook], regions: Collection[str], wanted: LineFilter
) -> Iterator[PriceEntry]:
    """books: the oldest first. A region that a book does not have is passed by in it."""
    latest: dict[tuple[str, ...], PriceLine] = {}
    for book in books:
        known = [each for each in regions if each in book.offers_by_region]
        for line in lines_of(book, known, wanted):
            yield PriceEntry(book.name, book.published_on, line, latest.get(line.key))
            latest[line.key] = line
