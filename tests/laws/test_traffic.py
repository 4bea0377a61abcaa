import math
from contextlib import suppress

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtests.errors import UsageError
from loadtests.traffic import Hourly, Steady, Traffic, parse_traffic

counts = st.lists(st.floats(0, 1e7), min_size=1, max_size=48).filter(
    lambda hours: max(hours) > 1e-3
)
rates = st.floats(1e-6, 1e6)


def traffics():
    return rates.map(Steady) | counts.map(lambda hours: Hourly(tuple(hours)))


@given(traffics(), st.floats(0, 1e6))
def test_requests_by_a_time_are_the_integral_of_the_rate(traffic, t_s):
    hours = int(t_s // 3600)
    whole = sum(traffic.rate_rps((hour + 0.5) * 3600) * 3600 for hour in range(hours))
    part = traffic.rate_rps(t_s) * (t_s - hours * 3600)
    assert traffic.requests_by(t_s) == pytest.approx(whole + part, rel=1e-9, abs=1e-6)


@given(traffics(), st.floats(0, 1e6), st.floats(0, 1e6))
def test_requests_by_a_time_never_fall(traffic, one_s, other_s):
    earlier_s, later_s = sorted((one_s, other_s))
    earlier, later = traffic.requests_by(earlier_s), traffic.requests_by(later_s)
    assert earlier <= later or math.isclose(earlier, later, rel_tol=1e-12)


@given(traffics(), st.floats(0, 1e6))
def test_no_rate_is_above_the_peak_and_the_peak_is_reached(traffic, t_s):
    assert 0 <= traffic.rate_rps(t_s) <= traffic.peak_rps
    assert max(traffic.rate_rps(3600 * hour) for hour in range(48)) == traffic.peak_rps
    assert traffic.mean_rps <= traffic.peak_rps * (1 + 1e-12)


@given(counts)
def test_past_its_end_hourly_traffic_begins_again(hours):
    traffic = Hourly(tuple(hours))
    period_s = 3600.0 * len(hours)
    assert traffic.requests_by(period_s) == pytest.approx(sum(hours))
    assert traffic.mean_rps == pytest.approx(sum(hours) / period_s)
    assert traffic.rate_rps(1800) == traffic.rate_rps(1800 + 3 * period_s)


@given(traffics())
def test_each_kind_is_traffic(traffic):
    assert isinstance(traffic, Traffic)
    assert traffic.text


@pytest.mark.parametrize(
    ("text", "rps"),
    [
        ("50rps", 50),
        ("0.5 rps", 0.5),
        (" 7/s ", 7),
        ("500rpm", 500 / 60),
        ("30/min", 0.5),
        ("3600/h", 1),
        ("36rph", 0.01),
        ("1.2M/day", 1.2e6 / 86400),
        ("1.2m/d", 1.2e6 / 86400),
        ("2k/s", 2000),
        ("1B/month", 1e9 / (730 * 3600)),
        ("5e3/day", 5e3 / 86400),
        ("100 QPS", 100),
    ],
)
def test_a_rate_is_read_in_its_unit(text, rps):
    assert parse_traffic(text).peak_rps == pytest.approx(rps, rel=1e-12)


@given(rates)
def test_what_is_said_of_a_steady_rate_reads_back_as_that_rate(rps):
    said = Steady(rps).text
    again = parse_traffic(said)
    assert again.mean_rps == pytest.approx(rps, rel=1e-5)
    assert again.text == said


@pytest.mark.parametrize("text", ["0rps", "0/day", "0.0 rpm", "1e-400rps"])
def test_traffic_of_zero_is_refused(text):
    with pytest.raises(UsageError, match="rate of zero"):
        parse_traffic(text)


@pytest.mark.parametrize("text", ["1e999rps", "9e400/day"])
def test_traffic_without_end_is_refused(text):
    with pytest.raises(UsageError, match="not a rate"):
        parse_traffic(text)


@pytest.mark.parametrize(
    "text",
    ["", "rps", "-5rps", "50", "50 furlongs", "5 5rps", "nanrps", "50rps!", "x" * 5000, "a\0b"],
)
def test_what_is_not_understood_gets_the_grammar(text):
    with pytest.raises(UsageError) as caught:
        parse_traffic(text)
    assert caught.value.exit_code == 2
    assert "50rps" in (caught.value.hint or "")


@given(st.text(max_size=40))
def test_any_text_is_traffic_or_a_usage_error(text):
    with suppress(UsageError):
        assert parse_traffic(text).peak_rps > 0


def test_an_hourly_file_counts_the_requests_of_each_hour(tmp_path):
    file = tmp_path / "day.csv"
    file.write_text("hour,requests,note\n0,3600,a\n1,7200,b\n\n2, 0 ,c\n")
    traffic = parse_traffic(str(file))
    assert [traffic.rate_rps(3600 * hour) for hour in range(3)] == [1, 2, 0]
    assert traffic.peak_rps == 2
    assert traffic.mean_rps == 1
    assert "day.csv" in traffic.text


@pytest.mark.parametrize(
    "content",
    [
        "requests\n10\n20\n",
        "\ufeffrequests\r\n10\r\n20\r\n",
        "\n\nhour;note,Requests\nx,10\ny,20\n",
        "10\n20\n",
        "0,10\n1,20\n",
        "when,how many\n0,10\n1,20\n",
        "requests,2024\n10,1\n20,2\n",
    ],
)
def test_the_same_hours_are_read_however_they_are_laid_out(tmp_path, content):
    file = tmp_path / "hours.csv"
    file.write_text(content, encoding="utf-8", newline="")
    assert parse_traffic(str(file)).requests == (10, 20)


@pytest.mark.parametrize(
    ("content", "line", "cell"),
    [
        ("requests\n10\nmany\n", 3, "many"),
        ("requests\n\n10\n\n-5\n", 5, "-5"),
        ("hour,requests\n0,10\n1\n", 3, "''"),
        ("hour,requests\n0,nan\n", 2, "nan"),
        ("10\ninf\n", 2, "inf"),
        ("inf\n10\n", 1, "inf"),
    ],
)
def test_a_wrong_line_of_an_hourly_file_is_named(tmp_path, content, line, cell):
    file = tmp_path / "hours.csv"
    file.write_text(content)
    with pytest.raises(UsageError, match=f"line {line}: .*not a number of requests") as caught:
        parse_traffic(str(file))
    assert cell in str(caught.value)


@pytest.mark.parametrize("content", ["", "\n", "\n \n,,\n"])
def test_an_empty_hourly_file_is_refused(tmp_path, content):
    file = tmp_path / "hours.csv"
    file.write_text(content)
    with pytest.raises(UsageError, match="is empty"):
        parse_traffic(str(file))


def test_an_hourly_file_without_an_hour_is_refused(tmp_path):
    file = tmp_path / "hours.csv"
    file.write_text("requests\n")
    with pytest.raises(UsageError, match="no hours"):
        parse_traffic(str(file))


def test_an_hourly_file_of_zeros_is_refused(tmp_path):
    file = tmp_path / "hours.csv"
    file.write_text("requests\n0\n0\n")
    with pytest.raises(UsageError, match="rate of zero"):
        parse_traffic(str(file))


@pytest.mark.parametrize("content", [b"\xff\xfe\x00", b"requests\n" + b"9" * 200_000])
def test_an_hourly_file_that_is_no_csv_is_refused(tmp_path, content):
    file = tmp_path / "hours.csv"
    file.write_bytes(content)
    with pytest.raises(UsageError, match=r"hours\.csv"):
        parse_traffic(str(file))


def test_a_missing_hourly_file_is_named():
    with pytest.raises(UsageError, match=r"missing\.csv does not exist"):
        parse_traffic("missing.csv")


def test_negative_and_unknown_counts_are_refused_wherever_they_come_from():
    for hours in ((), (1.0, -1.0), (np.nan,), (np.inf,)):
        with pytest.raises(UsageError):
            Hourly(hours)
