"""What moved from one book to another: nothing unnoticed, nothing invented."""

from dataclasses import replace
from decimal import Decimal

import pytest

from pricing import OffersByRegion, Platform, compare_books

HOME = "us-east-1"


@pytest.fixture
def edited(small_book):
    """The small book with a region's offers made anew by a function."""

    def made(change):
        offers = [
            change(offer) for region in small_book.regions for offer in small_book.offers(region)
        ]
        kept = [offer for offer in offers if offer is not None]
        return replace(small_book, offers_by_region=OffersByRegion.of(kept))

    return made


def dearer(offer):
    if offer.platform is not Platform.SAGEMAKER:
        return offer
    return replace(offer, usd_per_hour=offer.usd_per_hour * 2)


def test_a_book_does_not_differ_from_itself(bundled, small_book):
    assert compare_books(small_book, small_book).unmoved == 10
    same = compare_books(bundled, bundled, (HOME,))
    assert (same.moved, same.added, same.removed) == ((), (), ())
    assert same.unmoved > 900


def test_a_move_tells_both_prices_and_by_how_much(small_book, edited):
    (move,) = compare_books(small_book, edited(dearer)).moved
    assert (move.before.usd, move.after.usd) == (Decimal("0.115"), Decimal("0.230"))
    assert move.change_ratio == 1


def test_what_was_added_one_way_was_removed_the_other(small_book, edited):
    without = edited(lambda offer: None if offer.instance.name == "m5.8xlarge" else offer)
    removed = compare_books(small_book, without).removed
    assert [line.what for line in removed] == ["m5.8xlarge"]
    assert compare_books(without, small_book).added == removed


def test_the_largest_change_comes_first(small_book, edited):
    def changed(offer):
        factor = {"us-east-1": Decimal("1.5"), "eu-west-1": Decimal("0.1")}[offer.region]
        return replace(offer, usd_per_hour=offer.usd_per_hour * factor)

    moved = compare_books(small_book, edited(changed)).moved
    changes = [abs(move.change_ratio) for move in moved]
    assert changes == sorted(changes, reverse=True)
    assert moved[0].after.row.region == "eu-west-1"


def test_regions_that_were_not_asked_for_are_not_compared(small_book, edited):
    found = compare_books(small_book, edited(dearer), ("eu-west-1",))
    assert (found.moved, found.unmoved) == ((), 1)


def test_a_region_of_one_book_alone_is_all_new(small_book, edited):
    without = edited(lambda offer: offer if offer.region == HOME else None)
    assert {line.row.region for line in compare_books(without, small_book).added} == {"eu-west-1"}
