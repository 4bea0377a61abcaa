from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from measured_runs import demand

from pricing import HOURS_PER_MONTH
from recommender.cost import (
    Bill,
    LineItem,
    amount_text,
    data_items,
    gigabytes_per_month,
    per_million,
    requests_per_month,
    to_billionths,
)
from recommender.demand import TrafficFacts

PRICES = st.decimals("0.000000001", "500", places=9)
QUANTITIES = st.decimals("0", "100000000", places=9)
ITEMS = st.builds(LineItem, st.just("thing"), QUANTITIES, st.just("hour"), PRICES)
RATES = st.floats(1e-6, 1e6)


def traffic(mean_rps, peak_rps=None):
    return TrafficFacts(text="t", mean_rps=mean_rps, peak_rps=peak_rps or mean_rps)


@given(st.lists(ITEMS, max_size=6))
def test_a_bill_is_exactly_the_sum_of_what_its_items_say(items):
    written = [Decimal(format(item.usd, "f")) for item in items]
    assert Bill(tuple(items)).usd_per_month == sum(written, Decimal(0))


@given(st.lists(ITEMS, max_size=6), st.randoms(use_true_random=False))
def test_the_order_of_items_does_not_change_a_bill(items, random):
    shuffled = random.sample(items, len(items))
    assert Bill(tuple(items)).usd_per_month == Bill(tuple(shuffled)).usd_per_month


@given(ITEMS)
def test_an_item_is_quantity_times_price_to_the_billionth(item):
    assert abs(item.usd - item.quantity * item.usd_per_unit) <= Decimal("0.5e-9")


@given(ITEMS, ITEMS)
def test_more_of_a_thing_never_costs_less(one, other):
    cheap, dear = sorted((one.quantity, other.quantity))
    assert (
        LineItem("x", cheap, "h", one.usd_per_unit).usd
        <= LineItem("x", dear, "h", one.usd_per_unit).usd
    )


@given(st.lists(ITEMS, max_size=4), st.lists(ITEMS, max_size=4))
def test_two_bills_together_cost_what_they_cost_apart(some, others):
    apart = Bill(tuple(some)).usd_per_month + Bill(tuple(others)).usd_per_month
    assert Bill((*some, *others)).usd_per_month == apart


@given(st.lists(ITEMS, max_size=6))
def test_what_is_written_of_a_bill_is_what_it_is(items):
    bill = Bill(tuple(items))
    assert Decimal(amount_text(bill.usd_per_month)) == bill.usd_per_month
    assert abs(bill.usd_per_hour * HOURS_PER_MONTH - bill.usd_per_month) < Decimal("1e-15")


@given(st.decimals("-1e-10", "1e-10", places=12))
def test_nothing_is_not_written_as_less_than_nothing(amount):
    assert amount_text(amount) == "0"


@pytest.mark.parametrize("price", ["0", "-0.1", "NaN", "Infinity"])
def test_a_price_of_nothing_cannot_be_billed(price):
    with pytest.raises(ValueError, match="no price"):
        LineItem("free lunch", Decimal(1), "hour", Decimal(price))


@pytest.mark.parametrize("quantity", ["-1", "NaN", "Infinity", "0.0000000001"])
def test_a_quantity_that_could_not_be_written_out_is_refused(quantity):
    with pytest.raises(ValueError, match="thing"):
        LineItem("thing", Decimal(quantity), "hour", Decimal(1))


@given(RATES, st.floats(1, 1e9))
def test_the_price_of_a_million_times_the_millions_asked_is_the_bill(rate_rps, dollars):
    bill = Bill((LineItem("x", to_billionths(Decimal(repr(dollars))), "h", Decimal(1)),))
    asked = traffic(rate_rps)
    paid = per_million(bill, asked) * requests_per_month(asked) / 1_000_000
    assert paid == pytest.approx(bill.usd_per_month, rel=Decimal("1e-20"))


def test_a_month_has_730_hours_of_requests():
    assert requests_per_month(traffic(10.0)) == 10 * 3600 * HOURS_PER_MONTH


@given(RATES, st.floats(1, 20))
def test_requests_are_billed_at_the_mean_and_not_at_the_peak(mean_rps, burst):
    calm, bursty = traffic(mean_rps), traffic(mean_rps, mean_rps * burst)
    assert requests_per_month(calm) == requests_per_month(bursty)
    assert gigabytes_per_month(1000.0, calm) == gigabytes_per_month(1000.0, bursty)


def test_a_gigabyte_has_a_thousand_million_bytes():
    assert gigabytes_per_month(1e9, traffic(1.0)) == 3600 * 730


def test_data_is_billed_where_the_book_has_its_price(book):
    names = [item.name for item in data_items(book, "us-east-1", demand())]
    assert names == ["data in", "data out"]


def test_an_answer_of_unknown_size_is_not_billed_as_one_of_no_size(book):
    asked = demand()
    unknown = asked.model_copy(
        update={"workload": asked.workload.model_copy(update={"response_bytes_mean": None})}
    )
    assert [item.name for item in data_items(book, "us-east-1", unknown)] == ["data in"]
