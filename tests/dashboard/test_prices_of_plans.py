"""Rates of savings plans on the page of prices: each a row, and each row with its own evidence."""

import datetime as dt
from dataclasses import replace

import pytest

from dashboard.price_moves import moves_columns
from dashboard.prices import KEY, asked_prices, key_in, key_of, price_columns, price_facts
from dashboard.prices_asked import PricesAsked
from pricing import (
    Confidence,
    Library,
    OffersByRegion,
    PlanRate,
    PlanRatesByRegion,
    Platform,
    PriceBasis,
    SavingsPlan,
    Shelf,
    compare_books,
    load_book,
    save_book,
)

TODAY = dt.date(2026, 11, 22)


@pytest.fixture(scope="module")
def library(tmp_path_factory):
    """Of a book of one region in which one machine has a rate under each plan."""
    bundled = load_book()
    listed = bundled.offer("ml.c7i.large", "us-east-1", Platform.SAGEMAKER)
    rates = [
        PlanRate(
            instance=listed.instance,
            plan=plan,
            usd_per_hour=listed.usd_per_hour * 3 / 4,
            region="us-east-1",
            observed_on=TODAY,
            source="AWS savings plan file",
            basis=PriceBasis.REPORTED,
            confidence=Confidence.HIGH,
        )
        for plan in SavingsPlan
    ]
    book = replace(
        bundled,
        name="2999-01-01",
        offers_by_region=OffersByRegion.of(bundled.offers("us-east-1")),
        plan_rates_by_region=PlanRatesByRegion.of(rates),
    )
    folder = tmp_path_factory.mktemp("books")
    save_book(book, folder / "2999-01-01")
    return Library(Shelf(folder))


def test_each_rate_is_a_row_that_opens_its_own_evidence(library):
    found = asked_prices(library, PricesAsked(purchases=("savings-plan",)))
    columns = price_columns(found.lines, TODAY)
    rows = [
        dict(zip(KEY, cells, strict=True))
        for cells in zip(*(columns[k] for k in KEY), strict=True)
    ]
    assert [key_in(row) for row in rows] == [key_of(line) for line in found.lines]
    titles = {price_facts(library, found.book, key_in(row), TODAY).title for row in rows}
    assert titles == {f"ml.c7i.large, SageMaker {plan}, us-east-1" for plan in SavingsPlan}


def test_a_rate_that_is_new_is_told_by_its_plan(library):
    added = compare_books(library.book(library.names()[-2]), library.book("2999-01-01"))
    columns = moves_columns(replace(added, removed=()))
    assert {columns["purchase"][n] for n, state in enumerate(columns["state"])} == {
        f"savings-plan {plan}" for plan in SavingsPlan
    }
