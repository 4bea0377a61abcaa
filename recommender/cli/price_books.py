"""The price book in use: the newest that can be trusted, or the one that was named."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from loadtests.environment import utc_now
from pricing import Shelf
from recommender.cli.places import books_folder

if TYPE_CHECKING:
    from pricing import PriceBook

__all__ = ["book_in_use", "price_shelf"]


def price_shelf() -> Shelf:
    return Shelf(books_folder())


def book_in_use(name_or_folder: str | None = None) -> PriceBook:
    """Says on stderr which newer book cannot be trusted, and when the one in use is old.

    Raises UnknownPriceBook, or BadPriceBook for one that was named.
    """
    shelf = price_shelf()
    if name_or_folder is not None:
        book = shelf.book(name_or_folder)
    else:
        book, passed_over = shelf.newest()
        for fault in passed_over:
            click.echo(f"a newer price book is passed over: {fault}", err=True)
    today = utc_now().date()
    if book.is_stale(today):
        click.echo(
            f"price book {book.name} is {book.age_days(today)} days old; prices may have moved "
            "since: recommender prices refresh",
            err=True,
        )
    return book
