"""Traffic read from files, and as a plan names it."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from pydantic import TypeAdapter, ValidationError

from loadtests.errors import UsageError
from loadtests.traffic import (
    Hourly,
    HourlyFile,
    Replay,
    ReplayFile,
    Steady,
    TrafficSpec,
    read_hourly,
    read_replay,
    read_traffic,
)

SPEC = TypeAdapter(TrafficSpec)


@pytest.fixture
def trace(tmp_path):
    def written(content, name="trace.csv"):
        file = tmp_path / name
        file.write_text(content, encoding="utf-8", newline="")
        return file

    return written


@pytest.mark.parametrize(
    "content",
    [
        "0\n0.5\n2.25\n",
        "100.0\r\n100.5\r\n102.25\r\n",
        "\ufefftimestamp\n0\n0.5\n2.25\n",
        "when\n0\n0.5\n2.25\n",
        "2.25\n0\n\n0.5\n",
        "id,time\na,7\nb,7.5\nc,9.25\n",
        "Time,n\n2026-11-21T08:00Z,1\n2026-11-21T08:00:00.5Z,2\n2026-11-21 09:00:02.25+01:00,3",
        "2026-11-21 08:00:00\n2026-11-21 08:00:00.5000000\n2026-11-21 08:00:02.25\n",
    ],
)
def test_the_same_times_are_read_however_they_are_written(trace, content):
    replay = read_replay(trace(content))
    assert replay.at_s == pytest.approx((0, 0.5, 2.25), abs=1e-6)
    assert replay.name == "trace.csv"


def test_times_in_other_units_and_columns_are_read_when_named(trace):
    file = trace("id,Arrived,time\n1,1700000000000,x\n2,1700000000500,x\n")
    assert read_replay(file, column="arrived", unit="ms").at_s == (0, 0.5)


def test_a_replay_is_played_at_the_speed_asked_for(trace):
    replay = read_replay(trace("0\n1\n2\n"), speed=2)
    assert replay.reached_s(np.arange(3.0)) == pytest.approx([0, 0.5, 1])
    assert replay.duration_s == 1.5
    assert replay.mean_rps == 2


@pytest.mark.parametrize(
    ("content", "line", "cell"),
    [
        ("0\n1\nsoon\n", 3, "soon"),
        ("time\n0\n\n1\n\nnan\n", 6, "nan"),
        ("0\ninf\n", 2, "inf"),
        ("id,time\na,0\nb\n", 3, "''"),
        ("2026-11-21T08:00:00Z\n2026-13-21T08:00:00Z\n", 2, "2026-13"),
    ],
)
def test_a_wrong_line_of_a_replay_is_named(trace, content, line, cell):
    with pytest.raises(UsageError, match=f"line {line}: .*not a time") as caught:
        read_replay(trace(content))
    assert cell in str(caught.value)
    assert caught.value.hint


@pytest.mark.parametrize("content", ["5\n", "5\n5\n5\n", "time\n", "time\n5\n"])
def test_times_that_make_no_rate_are_refused(trace, content):
    with pytest.raises(UsageError, match="no rate"):
        read_replay(trace(content))


def test_a_column_that_is_not_there_is_named_with_those_that_are(trace):
    file = trace("id,when\n1,2\n2,3\n")
    with pytest.raises(UsageError, match=r"'start'.*'id', 'when'"):
        read_replay(file, column="start")
    with pytest.raises(UsageError, match="2 columns") as caught:
        read_replay(file)
    assert "column" in (caught.value.hint or "")


@pytest.mark.parametrize("read", [read_hourly, read_replay])
def test_a_traffic_file_that_cannot_be_read_is_named(tmp_path, trace, read):
    for file in (tmp_path / "missing.csv", tmp_path, trace("", "empty.csv")):
        with pytest.raises(UsageError, match=file.name):
            read(file)


def test_a_long_replay_is_read_and_scheduled_as_it_is(trace):
    start = datetime(2026, 11, 21, tzinfo=UTC)
    seconds = np.sort(np.random.default_rng(1).random(20_000) * 600)
    stamps = [(start + timedelta(seconds=each)).isoformat() for each in seconds.tolist()]
    replay = read_replay(trace("\n".join(stamps)))
    assert np.allclose(replay.at_s, seconds - seconds[0], atol=2e-6)


def test_a_plan_names_traffic_by_text_by_file_or_by_value(trace):
    file = trace("requests\n3600\n7200\n", "day.csv")
    specs = ["50rps", "day.csv", {"kind": "hourly", "file": "day.csv", "hour_s": "1min"}]
    read = [read_traffic(SPEC.validate_python(spec), file.parent) for spec in specs]
    assert read == [
        Steady(rps=50),
        Hourly(requests=(3600, 7200), name="day.csv"),
        Hourly(requests=(3600, 7200), name="day.csv", hour_s=60),
    ]
    trace("0\n1\n", "trace.txt")
    replay = SPEC.validate_python({"kind": "replay", "file": "trace.txt", "speed": 2})
    assert read_traffic(replay, file.parent) == Replay(at_s=(0, 1), name="trace.txt", speed=2)


@pytest.mark.parametrize(
    "spec",
    [
        HourlyFile(file="day.csv", hour_s=60),
        ReplayFile(file="trace.csv", column="when", unit="ms", speed=3),
        Steady(rps=50),
        Hourly(requests=(1, 2)),
        Replay(at_s=(0, 1)),
    ],
)
def test_what_a_plan_names_goes_through_a_file_unchanged(spec):
    assert SPEC.validate_json(SPEC.dump_json(spec)) == spec
    assert SPEC.validate_python(spec) == spec


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ("fast", "1.2M/day"),
        ({"kind": "stedy", "rps": 1}, "did you mean steady"),
        ({"kind": "sinus"}, "kinds are steady"),
        ({"rps": 1}, "does not name a kind"),
        ({"kind": "steady", "rate": 1}, r"steady\.rate"),
        ({"kind": "hourly", "file": "a.csv", "requests": [1]}, "requests"),
        ({"kind": "replay"}, "at_s"),
        (50, "does not name a kind"),
    ],
)
def test_a_plan_that_names_no_traffic_is_told_what_there_is(spec, said):
    with pytest.raises(ValidationError, match=said):
        SPEC.validate_python(spec)


def test_the_schema_of_a_plan_names_every_kind():
    schema = str(SPEC.json_schema())
    for kind in ("steady", "hourly", "ramp", "steps", "burst", "diurnal", "replay"):
        assert f"'{kind}'" in schema
