"""What a person asks of the price books, and how an address says it.

An address names only what differs from the newest book's own region.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

from dashboard.address import as_query, given_in, read_words, refuse_unknown, said_otherwise
from pricing import Architecture, LineFilter, Platform, Purchase
from recommender.errors import BadRequest

if TYPE_CHECKING:
    from collections.abc import Callable

    from pricing import PriceBook, Unpriced

__all__ = ["ALL_REGIONS", "PricesAsked"]

HOME_REGION, ALL_REGIONS = "us-east-1", "all"
EXPLORE, MOVED = "explore", "moved"
GLOB = "*?["
HINT = "correct the address, or begin anew from the prices' own page"


@dataclass(frozen=True, slots=True)
class PricesAsked:
    """Empty asks for everything; an empty book is the newest. tab: "explore" or "moved".

    row: of which price the facts are open. before, after: the two books that are compared.
    """

    tab: str = EXPLORE
    book: str = ""
    region: str = HOME_REGION
    platforms: tuple[str, ...] = ()
    purchases: tuple[str, ...] = ()
    search: str = ""
    family: str = ""
    architecture: str = ""
    accelerator: str = ""
    row: str = ""
    before: str = ""
    after: str = ""

    @property
    def query(self) -> str:
        """Of an address; the same for the same question."""
        return as_query(said_otherwise(self, PricesAsked()))

    @classmethod
    def told_by(cls, search: str) -> PricesAsked:
        """Raises BadRequest for what an address cannot say."""
        given = given_in(search)
        refuse_unknown(given, (each.name for each in fields(cls)), HINT)
        asked = replace(
            cls(), **{name: _READ.get(name, str)(text) for name, text in given.items()}
        )
        asked.require_known()
        return asked

    def require_known(self) -> None:
        for name, given, known in (
            ("tab", (self.tab,), (EXPLORE, MOVED)),
            ("platform", self.platforms, tuple(Platform)),
            ("purchase", self.purchases, tuple(Purchase)),
            ("architecture", (self.architecture,), ("", *Architecture)),
        ):
            for each in given:
                if each not in known:
                    raise BadRequest(
                        f"{each!r} is no {name}",
                        hint=f"known: {', '.join(one for one in known if one)}",
                    )

    def regions(self, book: PriceBook) -> tuple[str, ...]:
        """Raises UnknownRegion."""
        if self.region == ALL_REGIONS:
            return book.regions
        return (book.require_region(self.region),)

    @property
    def wanted(self) -> LineFilter:
        return LineFilter(
            names=self._globs(),
            platforms=tuple(map(Platform, self.platforms)),
            purchases=tuple(map(Purchase, self.purchases)),
            families=(self.family,) if self.family else (),
            architecture=Architecture(self.architecture) if self.architecture else None,
            accelerator=self.accelerator or None,
        )

    def asks_for(self, row: Unpriced) -> bool:
        """Would its price be among those asked for, if it had one?"""
        machine, wanted = row.instance, self.wanted
        names = {machine.name, machine.hosting_name or machine.name}
        return (
            (not wanted.platforms or row.platform in wanted.platforms)
            and (not wanted.purchases or Purchase.ON_DEMAND in wanted.purchases)
            and wanted.fits_machine(machine)
            and (
                not wanted.names
                or any(fnmatchcase(name, glob) for name in names for glob in wanted.names)
            )
        )

    def _globs(self) -> tuple[str, ...]:
        """Parts of names, with a comma between those of which any will do."""
        parts = (part.strip().casefold() for part in self.search.split(","))
        return tuple(
            part if any(sign in part for sign in GLOB) else f"*{part}*" for part in parts if part
        )


_READ: dict[str, Callable[[str], Any]] = {"platforms": read_words, "purchases": read_words}
