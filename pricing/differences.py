"""What moved between two books, and by how much."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pricing.lines import PriceLine, price_lines

if TYPE_CHECKING:
    from decimal import Decimal

    from pricing.pricebook import PriceBook

__all__ = ["Differences", "Move", "compare_books"]


@dataclass(frozen=True, slots=True)
class Move:
    """One thing, in both books, at two prices."""

    before: PriceLine
    after: PriceLine

    @property
    def change_ratio(self) -> Decimal:
        """0.1 is dearer by a tenth."""
        return self.after.usd / self.before.usd - 1


@dataclass(frozen=True, slots=True)
class Differences:
    """moved: the largest change first. unmoved: how many things cost what they did."""

    moved: tuple[Move, ...]
    added: tuple[PriceLine, ...]
    removed: tuple[PriceLine, ...]
    unmoved: int


def compare_books(
    before: PriceBook, after: PriceBook, regions: tuple[str, ...] | None = None
) -> Differences:
    """regions: of either book; None is all of both."""
    asked = regions or tuple(sorted({*before.regions, *after.regions}))
    was, now = _by_key(before, asked), _by_key(after, asked)
    both = [Move(was[key], line) for key, line in now.items() if key in was]
    moved = [move for move in both if move.before.usd != move.after.usd]
    return Differences(
        moved=tuple(sorted(moved, key=lambda move: (-abs(move.change_ratio), move.after.key))),
        added=tuple(line for key, line in now.items() if key not in was),
        removed=tuple(line for key, line in was.items() if key not in now),
        unmoved=len(both) - len(moved),
    )


def _by_key(
    book: PriceBook, regions: tuple[str, ...]
) -> dict[tuple[str, str, str, str], PriceLine]:
    return {
        line.key: line
        for region in regions
        if region in book.offers_by_region
        for line in price_lines(book, region)
    }
