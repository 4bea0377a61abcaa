"""Where price books stand: those that came with this package, and the user's own beside them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import chain, count
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from pricing.errors import BadPriceBook, UnknownPriceBook, did_you_mean
from pricing.plausible import require_plausible
from pricing.storage import MANIFEST, read_book

if TYPE_CHECKING:
    from datetime import date

    from pricing.pricebook import PriceBook

__all__ = ["InForce", "Shelf", "bundled_books", "load_book"]


class InForce(NamedTuple):
    """passed_over: newer books that cannot be trusted, and what is wrong with each."""

    book: PriceBook
    passed_over: tuple[BadPriceBook, ...]


@dataclass(frozen=True, slots=True)
class Shelf:
    """Books by name. user_folder: holds those that were fetched here; it need not exist."""

    user_folder: Path | None = None

    def folders(self) -> dict[str, Path]:
        """By name, oldest first. No folder of the user hides a bundled book."""
        users = () if self.user_folder is None else _books_in(self.user_folder)
        found = {folder.name: folder for folder in (*users, *bundled_books())}
        return dict(sorted(found.items(), key=lambda named: _in_order(named[0])))

    def book(self, name_or_folder: str | Path) -> PriceBook:
        """Raises UnknownPriceBook, or BadPriceBook where the files cannot be trusted.

        A region's own file speaks up when it is first asked for.
        """
        known = self.folders()
        if isinstance(name_or_folder, str) and name_or_folder in known:
            return read_book(known[name_or_folder])
        folder = Path(name_or_folder)
        if not folder.is_dir():
            raise UnknownPriceBook(
                f"{name_or_folder} is neither a known price book nor a folder"
                f"{did_you_mean(str(name_or_folder), known)}",
                hint=f"known: {', '.join(known) or 'none'}",
            )
        return read_book(folder)

    def newest(self) -> InForce:
        """The newest book that can be trusted.

        A user's book is read whole and held to what prices are like: somebody may have edited it.
        Raises UnknownPriceBook where there is none.
        """
        bundled = set(bundled_books())
        passed_over = []
        for folder in reversed(self.folders().values()):
            try:
                book = read_book(folder)
                if folder not in bundled:
                    require_plausible(book)
            except BadPriceBook as error:
                passed_over.append(error)
            else:
                return InForce(book, tuple(passed_over))
        raise UnknownPriceBook(
            "no price book came with this installation", hint="install the package again"
        )

    def free_name(self, day: date) -> str:
        """For a new book of that day: the day, or the day and a number from 2 on."""
        known = self.folders()
        numbered = (f"{day.isoformat()}.{number}" for number in count(2))
        return next(name for name in chain((day.isoformat(),), numbered) if name not in known)


def bundled_books() -> tuple[Path, ...]:
    """Folders of the books that came with this package, oldest first."""
    return _books_in(Path(__file__).parent / "books")


def load_book(name_or_folder: str | Path | None = None) -> PriceBook:
    """A bundled book by name, the book in a folder, or the newest bundled book."""
    return Shelf().newest().book if name_or_folder is None else Shelf().book(name_or_folder)


def _books_in(folder: Path) -> tuple[Path, ...]:
    """One being written has a name that begins with a dot: it is no book yet."""
    found = (file.parent for file in folder.glob(f"*/{MANIFEST}"))
    return tuple(
        sorted(
            (each for each in found if not each.name.startswith(".")),
            key=lambda each: _in_order(each.name),
        )
    )


def _in_order(name: str) -> tuple[tuple[int, str], ...]:
    """Numbers inside a name count as numbers: 2026-11-21.2 before 2026-11-21.10."""
    parts = (part for part in re.split(r"(\d+)", name) if part)
    return tuple((int(part), "") if part.isdigit() else (-1, part) for part in parts)
