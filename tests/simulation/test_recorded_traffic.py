import json
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from loadtests.errors import UsageError
from recommender.simulation.traffic_files import read_traffic, read_traffic_file, read_zone


@pytest.fixture
def written(tmp_path):
    def write(text, name="traffic.csv"):
        file = tmp_path / name
        file.write_text(text)
        return file

    return write


def test_rows_of_times_and_counts_become_rates(written):
    file = written("time,requests\n2026-03-02T09:00Z,60\n2026-03-02T09:01Z,120\n")
    trace = read_traffic_file(file)
    assert (trace.step_s, trace.rate_rps.tolist()) == (60.0, [1.0, 2.0])
    assert trace.start == datetime(2026, 3, 2, 9, tzinfo=UTC)


def test_rates_are_taken_as_they_are(written):
    file = written("time,rps\n2026-03-02T09:00Z,60\n2026-03-02T10:00Z,120\n")
    assert read_traffic_file(file).rate_rps.tolist() == [60.0, 120.0]


def test_counts_without_times_are_of_hours(written):
    trace = read_traffic_file(written("requests\n3600\n7200\n"))
    assert (trace.step_s, trace.rate_rps.tolist(), trace.start) == (3600.0, [1.0, 2.0], None)


def test_the_export_of_the_cloudwatch_console_is_read(written):
    file = written(
        'Full label,"Invocations"\nLabel,"Invocations"\nSearch label,""\n\n'
        "2026/03/02 09:00:00,60\n2026/03/02 09:01:00,30.0\n"
    )
    assert read_traffic_file(file).rate_rps.tolist() == [1.0, 0.5]


def test_cloudwatch_leaves_out_times_without_requests_and_keeps_no_order(written):
    points = [("10:03", 60.0), ("10:00", 120.0), ("10:01", 60.0)]
    document = {
        "Label": "Invocations",
        "Datapoints": [
            {"Timestamp": f"2026-03-02T{at}:00+00:00", "Sum": count, "Unit": "None"}
            for at, count in points
        ],
    }
    trace = read_traffic_file(written(json.dumps(document), "metric.json"))
    assert trace.rate_rps.tolist() == [2.0, 1.0, 0.0, 1.0]


def test_metric_data_of_one_metric_is_read(written):
    document = {
        "MetricDataResults": [
            {
                "Id": "m1",
                "Timestamps": ["2026-03-02T10:01Z", "2026-03-02T10:00Z"],
                "Values": [6, 3],
            }
        ]
    }
    assert read_traffic_file(written(json.dumps(document))).rate_rps.tolist() == [0.05, 0.1]


@pytest.mark.parametrize(
    "text",
    ['{"a": 1}', "{", '{"Datapoints": []}',
     '{"MetricDataResults": [{"Timestamps": ["2026-03-02T10:01Z"], "Values": [1, 2]}]}'],
)  # fmt: skip
def test_json_that_is_no_metric_is_refused(written, text):
    with pytest.raises(UsageError, match="holds no sums of one CloudWatch metric"):
        read_traffic_file(written(text))


def test_an_access_log_is_counted_by_minute_in_any_order(written):
    lines = [
        '10.0.0.1 - - [02/Mar/2026:09:01:05 +0100] "POST /invocations HTTP/1.1" 200 12',
        '10.0.0.1 - - [02/Mar/2026:09:00:59 +0100] "POST /invocations HTTP/1.1" 200 12',
        '10.0.0.1 - - [02/Mar/2026:09:00:30 +0100] "POST /invocations HTTP/1.1" 200 12',
    ]
    trace = read_traffic_file(written("\n".join(lines), "access.log"))
    assert (trace.rate_rps * 60).tolist() == [2.0, 1.0]
    assert trace.start == datetime(2026, 3, 2, 8, tzinfo=UTC)


def test_a_log_line_without_a_time_is_named(written):
    lines = '- - [02/Mar/2026:09:00:30 +0100] "GET /"\nwhat is this\n'
    with pytest.raises(UsageError, match="line 2: no time such as"):
        read_traffic_file(written(lines, "access.log"))


def test_single_times_are_counted_by_minute(written):
    trace = read_traffic_file(written("2026-03-02T09:01:10Z\n2026-03-02T09:00:50Z\n"))
    assert (trace.rate_rps * 60).tolist() == [1.0, 1.0]
    assert trace.start == datetime(2026, 3, 2, 9, tzinfo=UTC)


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ("09:00Z,1 10:00Z,1 13:00Z,1", "line 4: a gap: 2 rows of 1h"),
        ("09:00Z,1 10:00Z,-5", "line 3: '-5' is not a number of requests"),
        ("09:00Z,1 10:00Z,", "line 3: '' is not a number of requests"),
        ("10:00Z,1 09:00Z,1", "line 3: time goes back"),
        ("10:00Z,1 10:00Z,1", "line 3: time comes twice"),
        ("10:00Z,1 11:00,1", "line 3: mixed zones"),
        ("10:00Z,1 11:00+02:00,1", "line 3: mixed zones"),
        ("10:00Z,1 11:00Z,1 12:00-05:00,1", "line 4: .* mixed zones"),
        ("09:00Z,1 10:00Z,1 11:30Z,1", "line 4: .* 1.5 steps of 1h"),
        ("09:00Z,1 noonZ,1", "line 3: '2026-03-02TnoonZ' is not a time"),
        ("09:00Z,1", "has one row"),
        ("09:00Z,0 10:00Z,0", "asks nothing"),
    ],
)
def test_a_wrong_table_is_refused_with_its_line(written, rows, message):
    lines = "\n".join(f"2026-03-02T{row}" for row in rows.split())
    with pytest.raises(UsageError, match=message):
        read_traffic_file(written(f"time,requests\n{lines}\n"))


@pytest.mark.parametrize(
    ("table", "message"),
    [
        (
            "time,requests\n02/03/2026 00:00,5\n02/03/2026 01:00,5\n",
            "line 3: '02/03/2026 01:00' is no",
        ),
        ("time;requests\n2026-03-02T00:00Z;5\n", "line 2: .* is one cell"),
        ("a,b,c\n1,2,3\n", "line 1: none of 3 columns is called requests"),
        ("requests\n5\n-7\n", "line 3: '-7' is not a number of requests"),
    ],
    ids=["day-first", "semicolons", "no-name", "negative-hour"],
)
def test_times_that_are_not_understood_are_not_taken_for_hours(written, table, message):
    with pytest.raises(UsageError, match=message):
        read_traffic_file(written(table))


def test_hours_may_have_numbers(written):
    trace = read_traffic_file(written("hour,requests\n0,3600\n1,7200\n"))
    assert trace.rate_rps.tolist() == [1.0, 2.0]


def test_more_columns_need_a_name_for_the_requests(written):
    file = written("time,what,which\n2026-03-02T09:00Z,1,2\n2026-03-02T10:00Z,1,2\n")
    with pytest.raises(UsageError, match="line 2: 3 columns"):
        read_traffic_file(file)
    named = written("time,invocations,which\n2026-03-02T09:00Z,1,2\n2026-03-02T10:00Z,1,2\n")
    assert read_traffic_file(named).requests == pytest.approx(2)


def test_a_gap_may_be_taken_for_quiet(written):
    file = written("2026-03-02T09:00Z,60\n2026-03-02T09:01Z,60\n2026-03-02T09:04Z,60\n")
    assert read_traffic_file(file, gaps="zero").rate_rps.tolist() == [1, 1, 0, 0, 1]


@pytest.mark.parametrize(("day", "hours"), [("2026-03-29", 23), ("2026-10-25", 25)])
def test_a_day_on_which_clocks_change_has_its_own_length(written, day, hours):
    """Local time without a zone: an hour is missing in spring and comes twice in autumn."""
    zone = ZoneInfo("Europe/Berlin")
    first = datetime.fromisoformat(f"{day}T00:00").replace(tzinfo=zone).astimezone(UTC)
    times = [(first + timedelta(hours=n)).astimezone(zone) for n in range(hours)]
    rows = [f"{time:%Y-%m-%dT%H:%M},{n + 1}" for n, time in enumerate(times)]
    trace = read_traffic_file(written("\n".join(rows)), clock=zone)
    assert (trace.step_s, len(trace.rate_rps)) == (3600.0, hours)
    assert np.diff(trace.rate_rps).min() > 0


def test_a_zone_that_nobody_knows_is_refused():
    assert read_zone("Europe/Berlin") == ZoneInfo("Europe/Berlin")
    with pytest.raises(UsageError, match="no time zone"):
        read_zone("Mars/Olympus")


@pytest.mark.parametrize(
    ("text", "mean"), [("50rps", 50), ("weekly 50rps", 50), ("burst 1.2M/day", 1.2e6 / 86400)]
)
def test_a_rate_may_have_a_shape(text, mean):
    assert read_traffic(text).mean_rps == pytest.approx(mean)


@pytest.mark.parametrize("text", ["hourly 50rps", "0rps", "1e999rps"])
def test_a_shape_that_is_none_is_refused(text):
    with pytest.raises(UsageError, match="not understood"):
        read_traffic(text)


@pytest.mark.parametrize(("content", "message"), [(None, "does not exist"), ("", "is empty")])
def test_a_file_that_is_not_there_or_empty_is_refused(tmp_path, content, message):
    file = tmp_path / "day.csv"
    if content is not None:
        file.write_text(content)
    with pytest.raises(UsageError, match=message):
        read_traffic(str(file))
