"""What can go wrong when prices are asked for.

PricingError
├── UnknownInstanceType   no machine of that name in the book
├── UnknownRegion         no such region in the book
├── UnknownPriceBook      no bundled book, and no folder, of that name
├── NoPrice               the thing exists; the book holds no price for it
├── BadPriceBook          the book's files cannot be trusted (exit code 1: not the user's question)
├── SourceUnavailable     a source of prices cannot be reached, or asks to be left alone (1)
├── SourceRefused         it does not let us in: no credentials, expired or without the right (1)
└── BadOffer              what it published is cut short or is not what it should be (1)
    └── BadOwnOffer       a user's own file of machines is not (2: theirs to put right)

Every message says what was asked and what was found; `hint` says what to do.
"""

# ruff: noqa: N818 - the names are what the user reads: "unknown region", "no price"

from collections.abc import Iterable
from difflib import get_close_matches
from typing import ClassVar


class PricingError(Exception):
    exit_code: ClassVar[int] = 2

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.hint = hint


class UnknownInstanceType(PricingError):
    pass


class UnknownRegion(PricingError):
    pass


class UnknownPriceBook(PricingError):
    pass


class NoPrice(PricingError):
    pass


class BadPriceBook(PricingError):
    exit_code = 1


class SourceUnavailable(PricingError):
    exit_code = 1


class SourceRefused(PricingError):
    exit_code = 1


class BadOffer(PricingError):
    exit_code = 1


class BadOwnOffer(BadOffer):
    exit_code = 2


def close_matches(asked: str, known: Iterable[str], *, limit: int = 3) -> tuple[str, ...]:
    """The known names most like the asked one, best first.

    Case and the choice between `.`, `-` and `_` do not count: `M5-Large` is `m5.large`.
    """
    by_shape: dict[str, str] = {}
    for name in known:
        by_shape.setdefault(_shape(name), name)
    return tuple(
        by_shape[shape]
        for shape in get_close_matches(_shape(asked), by_shape, n=limit, cutoff=0.6)
    )


def did_you_mean(asked: str, known: Iterable[str]) -> str:
    """A sentence to end a message with, or nothing where no name is near."""
    matches = close_matches(asked, known)
    return f"; did you mean {' or '.join(matches)}?" if matches else ""


def _shape(name: str) -> str:
    return name.strip().casefold().replace("_", ".").replace("-", ".")
