"""Rows of each region, read when first asked for: a book spans thirty, most questions are of one.

Opening a region checks it: every row belongs to it, and none is there twice.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from operator import attrgetter
from typing import ClassVar, Self, TypeVar

from typing_extensions import override

from pricing.offers import Offer, PlanRate

__all__ = ["OffersByRegion", "PlanRatesByRegion", "require_unique"]

RowT = TypeVar("RowT", Offer, PlanRate)


class _RowsByRegion(Mapping[str, tuple[RowT, ...]]):
    """what: a row, as messages call it. key: fields that set it apart, beside its machine."""

    what: ClassVar[str]
    key: ClassVar[tuple[str, ...]]

    def __init__(self, readers: Mapping[str, Callable[[], tuple[RowT, ...]]]) -> None:
        self._readers: dict[str, Callable[[], tuple[RowT, ...]]] = dict(sorted(readers.items()))
        self._opened: dict[str, tuple[RowT, ...]] = {}

    @classmethod
    def of(cls, rows: Iterable[RowT]) -> Self:
        """Rows already at hand, checked at once."""
        by_region: dict[str, list[RowT]] = {}
        for row in rows:
            by_region.setdefault(row.region, []).append(row)
        shelf = cls({region: partial(tuple, found) for region, found in by_region.items()})
        for region in shelf:
            shelf.open(region)
        return shelf

    @classmethod
    def check(cls, region: str, rows: tuple[RowT, ...]) -> tuple[RowT, ...]:
        """The rows themselves; raises ValueError where they cannot be those of one region."""
        for row in rows:
            if row.region != region:
                raise ValueError(
                    f"{row.name} of {row.region} stands among the {cls.what}s of {region}"
                )
        if not rows:
            raise ValueError(f"there is no {cls.what} in {region}")
        require_unique(cls.what, map(attrgetter("instance.name", *cls.key), rows))
        return rows

    def open(self, region: str) -> tuple[RowT, ...]:
        if region not in self._opened:
            self._opened[region] = self.check(region, self._readers[region]())
        return self._opened[region]

    @override
    def __getitem__(self, region: str) -> tuple[RowT, ...]:
        return self.open(region)

    @override
    def __iter__(self) -> Iterator[str]:
        return iter(self._readers)

    @override
    def __len__(self) -> int:
        return len(self._readers)


class OffersByRegion(_RowsByRegion[Offer]):
    what = "offer"
    key = ("platform", "purchase")

    def with_more(self, more: Callable[[str, tuple[Offer, ...]], Iterable[Offer]]) -> Self:
        """more: from a region and what is offered there, what else is."""

        def both(region: str) -> tuple[Offer, ...]:
            here = self.open(region)
            return (*here, *more(region, here))

        return type(self)({region: partial(both, region) for region in self})


class PlanRatesByRegion(_RowsByRegion[PlanRate]):
    """A region may be missing: no rate is known there."""

    what = "savings plan rate"
    key = ("plan",)


def require_unique(what: str, keys: Iterable[object]) -> None:
    """Raises ValueError with the first that is not."""
    twice = [key for key, count in Counter(keys).items() if count > 1]
    if twice:
        raise ValueError(f"{what} {_spelled(twice[0])} is there twice")


def _spelled(key: object) -> str:
    return " ".join(str(part) for part in key) if isinstance(key, tuple) else str(key)
