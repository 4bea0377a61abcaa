"""What is asked otherwise, and its address."""

import base64
import zlib
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dashboard.asked import LONGEST_HOURS, Asked, traffic_of
from dashboard.uploads import MOST_BYTES, hours_of
from loadtests.errors import UsageError
from recommender.errors import BadRequest

BEFORE = Asked(
    rate_rps=50.0, hours=None, slo="p95<100ms", region="us-east-1",
    platforms=("sagemaker", "serverless", "ec2"), purchases=("on-demand", "spot"),
    headroom_percent=20, zones=1, book="2026-11-21",
)  # fmt: skip
HOURS = st.lists(st.integers(0, 10**7), min_size=1, max_size=LONGEST_HOURS).filter(any).map(tuple)
ASKED = st.builds(
    Asked,
    rate_rps=st.floats(1e-3, 1e6).map(lambda rate: float(f"{rate:.12g}")),
    hours=st.none() | HOURS,
    slo=st.text(max_size=40),
    region=st.text(max_size=20),
    platforms=st.sampled_from([(), ("ec2",), ("sagemaker", "ec2")]),
    purchases=st.sampled_from([(), ("spot",), ("on-demand", "spot")]),
    headroom_percent=st.integers(0, 99),
    zones=st.integers(1, 6),
    book=st.text(max_size=20),
)


@given(asked=ASKED)
def test_an_address_leads_another_person_to_the_same_question(asked):
    assert BEFORE.changed_by("?" + asked.query(BEFORE)) == asked


def test_an_address_names_only_what_was_changed():
    assert BEFORE.query(BEFORE) == ""
    asked = replace(BEFORE, rate_rps=20.0, platforms=("ec2", "sagemaker"))
    assert asked.query(BEFORE) == "rate_rps=20&platforms=ec2,sagemaker"


def test_the_address_of_a_whole_month_of_hours_fits_into_a_request_line():
    hours = tuple(1_000_000 + 7919 * n % 900_000 for n in range(LONGEST_HOURS))
    assert len(replace(BEFORE, hours=hours).query(BEFORE)) < 4000


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("speed=9", "'speed'"),
        ("rate_rps=fast", "'fast' is no number"),
        ("zones=two", "'two' is no whole number"),
        ("hours=%%%", "not readable"),
        ("hours=AAAA", "not readable"),
    ],
)
def test_an_address_that_says_nothing_is_refused_in_words(query, said):
    with pytest.raises(BadRequest, match=said) as refused:
        BEFORE.changed_by(query)
    assert refused.value.hint


def packed(text):
    return base64.urlsafe_b64encode(zlib.compress(text.encode())).decode().rstrip("=")


@pytest.mark.parametrize(
    "text",
    ["0," * 10_000_000 + "1", "1," * LONGEST_HOURS + "1", "0", "-1,2"],
    ids=["a bomb", "too long", "nothing", "less than nothing"],
)
def test_hours_in_an_address_are_bounded(text):
    with pytest.raises(BadRequest, match="hours in the address"):
        BEFORE.changed_by(f"hours={packed(text)}")


@given(rate=st.floats(0.01, 1e5), hours=HOURS)
def test_a_shape_keeps_the_mean_rate_that_is_asked_for(rate, hours):
    traffic = traffic_of(rate, hours, 1.0)
    assert sum(traffic.hours_rps) / len(hours) == pytest.approx(rate)
    assert max(traffic.hours_rps) == pytest.approx(traffic.peak_rps)
    assert traffic.peak_rps >= rate * (1 - 1e-9)


@pytest.mark.parametrize("rate", [0.0, -1.0, float("nan"), float("inf"), 1e-9])
def test_a_rate_that_cannot_be_is_refused(rate):
    with pytest.raises(BadRequest, match="is not between"):
        traffic_of(rate, None, 1.0)


def dropped(text):
    data = text if isinstance(text, bytes) else text.encode()
    return "data:text/csv;base64," + base64.b64encode(data).decode()


def test_a_dropped_table_becomes_hours():
    assert hours_of(dropped("hour,requests\n0,3600\n1,7200.4\n")) == (3600, 7200)


@pytest.mark.parametrize(
    ("contents", "said"),
    [
        (dropped("hour,requests\n0,many\n"), "line 2"),
        (dropped("requests\n0.3\n0\n"), "no request"),
        (dropped("requests\n" + "5\n" * (LONGEST_HOURS + 1)), "hours"),
        (dropped(b"\xff\xfe\x00"), "traffic.csv"),
        (dropped("x" * (MOST_BYTES + 9)), "larger than 256 KiB"),
        ("data:text/csv;base64,@@@", "did not arrive whole"),
        ("", "traffic.csv"),
    ],
    ids=["not a count", "nothing", "too long", "no text", "too large", "torn", "empty"],
)
def test_a_dropped_file_that_is_no_table_is_refused_in_words(contents, said):
    with pytest.raises((BadRequest, UsageError), match=said):
        hours_of(contents)
