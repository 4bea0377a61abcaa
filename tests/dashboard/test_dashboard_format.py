import pytest
from hypothesis import given
from hypothesis import strategies as st

from dashboard import format as fmt
from dashboard.figures.axes import round_ticks


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.0136, "14 ms"), (0.00045, "0.45 ms"), (0.9949, "990 ms"), (1.0, "1 s"), (12.34, "12 s")],
)
def test_a_duration_has_two_digits_and_a_unit(seconds, text):
    assert fmt.duration(seconds) == text


def test_both_ends_of_an_interval_are_in_the_unit_of_its_upper_end():
    assert fmt.duration_range(0.0046, 0.0731) == "4.6 to 73 ms"
    assert fmt.duration_range(0.1, 1.2) == "0.1 to 1.2 s"


def test_an_interval_without_an_upper_bound_says_so():
    assert fmt.duration_range(0.0046, None) == "4.6 ms or more, no upper bound"
    assert fmt.rate_range(110.0, None) == "110 req/s or more"


@pytest.mark.parametrize(
    ("share", "text"), [(0.0, "<1%"), (0.004, "<1%"), (0.6, "60%"), (0.999, ">99%"), (1.0, ">99%")]
)
def test_draws_never_make_a_certainty(share, text):
    assert fmt.probability(share) == text


@pytest.mark.parametrize(
    ("ratio", "text"),
    [(0.0, "0%"), (0.0043, "0.43%"), (0.2, "20%"), (1.0, "100%"), (-0.05, "-5%")],
)
def test_small_shares_keep_their_digits(ratio, text):
    assert fmt.percent(ratio) == text


@pytest.mark.parametrize(
    ("seconds", "text"), [(60.3, "60 s"), (150.0, "2 min 30 s"), (3661.0, "1 h 1 min")]
)
def test_how_long_it_took_is_said_in_the_units_of_a_clock(seconds, text):
    assert fmt.took(seconds) == text


def test_every_digit_of_a_bill_is_kept():
    assert fmt.decimal_text("1460000.010768") == "1,460,000.010768"


def test_a_quantity_is_told_to_a_ten_thousandth_and_never_as_nothing():
    found = map(fmt.quantity, ("35.464200793", "1460.00000", "730", "0.00004", "1234567.5"))
    assert [*found] == ["35.4642", "1,460", "730", "0.00004", "1,234,567.5"]


@given(seconds=st.floats(min_value=1e-6, max_value=1e5))
def test_what_was_measured_never_reads_as_zero(seconds):
    assert float(fmt.duration(seconds).split()[0].replace(",", "")) > 0


@given(low=st.floats(min_value=1e-4, max_value=1e4), span=st.floats(min_value=10, max_value=1e6))
def test_an_axis_has_ticks_but_not_too_many(low, span):
    ticks = round_ticks(low, low * span)
    assert 1 <= len(ticks) <= 8
    assert all(low <= each <= low * span for each in ticks)
    assert list(ticks) == sorted(ticks)
