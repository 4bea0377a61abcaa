"""Books that stand beside those we ship: found by name, and in force only while they are right."""

import pytest

from pricing import (
    BadPriceBook,
    OffersByRegion,
    Platform,
    PriceBook,
    Purchase,
    Shelf,
    UnknownPriceBook,
    bundled_books,
    save_book,
)


@pytest.fixture
def put(small_book, tmp_path):
    """Puts the small book on the user's shelf, under a name."""

    def written(name):
        save_book(small_book, tmp_path / "books" / name)
        return tmp_path / "books" / name

    return written


@pytest.fixture
def shelf(tmp_path):
    return Shelf(tmp_path / "books")


def test_without_books_of_the_user_the_newest_bundled_one_is_in_force(shelf, bundled):
    in_force = shelf.newest()
    assert in_force.book.name == bundled.name
    assert in_force.passed_over == ()


def test_a_newer_book_of_the_user_is_in_force_and_an_older_one_is_not(shelf, put, bundled):
    put("2020-01-01")
    assert shelf.newest().book.name == bundled.name
    put("2999-01-01")
    assert shelf.newest().book.name == "small"


def test_books_of_one_day_are_ordered_by_their_number(shelf, put):
    for name in ("2999-01-01.10", "2999-01-01.2", "2999-01-01"):
        put(name)
    bundled_names = [folder.name for folder in bundled_books()]
    assert list(shelf.folders()) == [
        *bundled_names,
        *("2999-01-01", "2999-01-01.2", "2999-01-01.10"),
    ]


def test_books_are_found_by_name_and_by_folder(shelf, put):
    folder = put("2999-01-01")
    assert shelf.book("2999-01-01").instances == shelf.book(folder).instances


def test_no_book_of_the_user_hides_a_bundled_one(shelf, put, bundled):
    put(bundled.name)
    assert shelf.book(bundled.name).regions == bundled.regions


def test_a_book_half_written_is_no_book(shelf, put):
    put("2999-01-01").rename(shelf.user_folder / ".2999-01-01.partial")
    assert ".2999-01-01.partial" not in shelf.folders()


@pytest.mark.parametrize(
    ("spoilt", "said"),
    [
        ("m5.large,sagemaker,on-demand,0", "usd_per_hour is 0"),
        ("m5.large,sagemaker,on-demand,dear", "a price is not a number"),
        ("m5.large,sagemaker,on-demand,11.5", "119.79 times EC2's"),
        ("m5.large,sagemaker,on-demand,0.096", "1.00 times EC2's"),
    ],
)
def test_a_book_edited_into_nonsense_is_passed_over_and_says_why(shelf, put, spoilt, said):
    file = put("2999-01-01") / "offers/us-east-1.csv"
    text = file.read_text()
    assert text.count("m5.large,sagemaker,on-demand,0.115") == 1
    file.write_text(text.replace("m5.large,sagemaker,on-demand,0.115", spoilt))
    in_force = shelf.newest()
    assert in_force.book.name != "small"
    (fault,) = in_force.passed_over
    assert said in str(fault)
    assert fault.hint


def test_spot_dearer_than_on_demand_is_nonsense(make_machine, make_offer, small_book, tmp_path):
    small = make_machine("m5.large", 2, 8.0)
    book = PriceBook(
        name="odd",
        published_on=small_book.published_on,
        sources=("price list",),
        notes=(),
        instances=(small,),
        offers_by_region=OffersByRegion.of(
            [
                make_offer(small, "0.096"),
                make_offer(small, "0.2", Platform.EC2, Purchase.SPOT),
            ]
        ),
    )
    save_book(book, tmp_path / "books/2999-01-01")
    (fault,) = Shelf(tmp_path / "books").newest().passed_over
    assert "spot is cheaper" in str(fault)


def test_named_outright_a_broken_book_is_an_error(shelf, put):
    (put("2999-01-01") / "instances.csv").write_text("name\n")
    with pytest.raises(BadPriceBook, match=r"instances\.csv, line 1"):
        shelf.book("2999-01-01")


def test_a_name_that_nothing_has_names_what_there_is(shelf, put):
    put("2999-01-01")
    with pytest.raises(UnknownPriceBook, match="did you mean 2999-01-01") as raised:
        shelf.book("2999-01-02")
    assert "2999-01-01" in raised.value.hint
