import math
from contextlib import suppress

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from loadtests.errors import UsageError
from loadtests.traffic import (
    AnyTraffic,
    Burst,
    Diurnal,
    Hourly,
    Ramp,
    Replay,
    Steady,
    Steps,
    Traffic,
    parse_traffic,
)

positive_rps = st.floats(1e-3, 1e4)
any_rps = st.just(0.0) | positive_rps
durations_s = st.floats(0.1, 1e4)
counts = st.lists(st.floats(0, 1e7), min_size=1, max_size=48).filter(
    lambda hours: max(hours) > 1e-3
)


@st.composite
def bursts(draw):
    base_rps, every_s = draw(positive_rps), draw(durations_s)
    for_s = every_s * draw(st.floats(0.01, 0.9))
    at_s = (every_s - for_s) * draw(st.floats(0, 0.9))
    is_single = draw(st.booleans())
    return Burst(
        base_rps=base_rps if is_single else draw(st.just(0.0) | st.just(base_rps)),
        burst_rps=base_rps * draw(st.floats(1.01, 100)),
        for_s=for_s,
        every_s=None if is_single else every_s,
        at_s=draw(st.just(at_s) if is_single else st.none() | st.just(at_s)),
    )


@st.composite
def replays(draw):
    gaps_s = draw(st.lists(st.floats(0, 10), min_size=2, max_size=50))
    at_s = np.cumsum(gaps_s)
    assume(at_s[-1] - at_s[0] > 1e-3)
    return Replay(at_s=at_s, speed=draw(st.floats(0.1, 10)))


def smooth_traffics():
    hourly = st.builds(
        lambda hours, hour_s: Hourly(requests=hours, hour_s=hour_s), counts, durations_s
    )
    ramps = st.builds(
        lambda rates, end_s: Ramp(start_rps=rates[0], end_rps=rates[1], duration_s=end_s),
        st.tuples(any_rps, any_rps).filter(any),
        durations_s,
    )
    pieces = st.tuples(any_rps, durations_s).map(
        lambda piece: {"rps": piece[0], "duration_s": piece[1]}
    )
    steps = (
        st.lists(pieces, min_size=1, max_size=6)
        .filter(lambda each: any(piece["rps"] for piece in each))
        .map(lambda each: Steps(steps=each))
    )
    waves = st.builds(
        lambda mean, ratio, period_s, part: Diurnal(
            mean_rps=mean, peak_rps=mean * ratio, period_s=period_s, peak_at_s=part * period_s
        ),
        positive_rps,
        st.floats(1, 2),
        durations_s,
        st.floats(0, 1),
    )
    steady = positive_rps.map(lambda rps: Steady(rps=rps))
    return st.one_of(steady, hourly, ramps, steps, bursts(), waves)


def traffics():
    return smooth_traffics() | replays()


def natural_s(traffic):
    """Its length, or for what has no end long enough to show all it has."""
    if isinstance(traffic, Burst):
        return traffic.every_s or traffic.starts_s + 2 * traffic.for_s
    return traffic.duration_s or 100.0


@given(smooth_traffics(), st.floats(0, 3))
def test_the_rate_is_how_fast_requests_come(traffic, part):
    """Over a moment so short that the rate jumps once in it at most."""
    moment_s = 1e-7 * natural_s(traffic)
    t_s = part * natural_s(traffic)
    came = traffic.requests_by(t_s + moment_s) - traffic.requests_by(t_s)
    lowest, highest = sorted((traffic.rate_rps(t_s), traffic.rate_rps(t_s + moment_s)))
    slack_rps = 1e-5 * traffic.peak_rps
    assert lowest - slack_rps <= came / moment_s <= highest + slack_rps


@given(counts, st.floats(0, 1e6))
def test_hours_add_up_exactly(hours, t_s):
    traffic = Hourly(requests=hours)
    whole = int(t_s // 3600)
    expected = sum(hours[hour % len(hours)] for hour in range(whole))
    expected += hours[whole % len(hours)] * (t_s / 3600 - whole)
    assert traffic.requests_by(t_s) == pytest.approx(expected, rel=1e-9, abs=1e-6)


@given(traffics(), st.floats(0, 3), st.floats(0, 3))
def test_requests_by_a_time_never_fall(traffic, one, other):
    earlier_s, later_s = (part * natural_s(traffic) for part in sorted((one, other)))
    earlier, later = traffic.requests_by(earlier_s), traffic.requests_by(later_s)
    assert earlier <= later or math.isclose(earlier, later, rel_tol=1e-9, abs_tol=1e-9)


@given(smooth_traffics(), st.lists(st.floats(0, 2.99), min_size=1, max_size=20))
def test_the_inverse_says_when_so_many_have_come(traffic, parts):
    requests = np.sort(np.array(parts)) * traffic.requests_by(natural_s(traffic))
    reached_s = traffic.reached_s(requests)
    scale = max(1.0, traffic.requests_by(natural_s(traffic)))
    again = [traffic.requests_by(t_s) for t_s in reached_s.tolist()]
    assert again == pytest.approx(requests, rel=1e-9, abs=1e-9 * scale)
    assert np.all(np.diff(reached_s) >= -1e-9 * natural_s(traffic))


@given(traffics(), st.floats(0, 3))
def test_no_rate_is_above_the_peak(traffic, part):
    rate_rps = traffic.rate_rps(part * natural_s(traffic))
    assert -1e-9 * traffic.peak_rps <= rate_rps <= traffic.peak_rps * (1 + 1e-9)
    assert traffic.mean_rps <= traffic.peak_rps * (1 + 1e-9)


@given(traffics())
def test_the_peak_is_reached(traffic):
    times_s = np.linspace(0, natural_s(traffic), 500, endpoint=False).tolist()
    if isinstance(traffic, Diurnal):
        times_s.append(traffic.peak_at_s)
    if isinstance(traffic, Burst):
        times_s.append(traffic.starts_s + traffic.for_s / 2)
    if isinstance(traffic, Ramp):
        times_s.append(math.nextafter(traffic.duration_s, 0))
    if isinstance(traffic, Steps):
        edges_s = np.cumsum([0] + [step.duration_s for step in traffic.steps])
        times_s += ((edges_s[1:] + edges_s[:-1]) / 2).tolist()
    if isinstance(traffic, Replay):
        times_s += np.linspace(0, traffic.duration_s, 5000, endpoint=False).tolist()
    assert max(map(traffic.rate_rps, times_s)) == pytest.approx(traffic.peak_rps, rel=1e-6)


@given(traffics(), st.floats(0, 0.99))
def test_past_its_end_traffic_begins_again(traffic, part):
    if traffic.duration_s is None:
        return
    round_s, t_s = traffic.duration_s, part * traffic.duration_s
    a_round = traffic.requests_by(round_s)
    assert traffic.mean_rps == pytest.approx(a_round / round_s, rel=1e-9)
    if isinstance(traffic, Replay):  # whose steps a rounded time may fall short of
        assert abs(traffic.requests_by(2 * round_s + t_s) - 2 * a_round) <= a_round
        return
    again = traffic.requests_by(2 * round_s + t_s)
    assert again == pytest.approx(2 * a_round + traffic.requests_by(t_s), rel=1e-6, abs=1e-6)


@given(traffics())
def test_each_kind_is_traffic_and_says_so(traffic):
    assert isinstance(traffic, Traffic)
    assert traffic.text


@given(traffics())
def test_traffic_goes_through_a_file_unchanged(traffic):
    kinds = TypeAdapter(AnyTraffic)
    traffic.requests_by(1.0)  # what is computed once is no part of the value
    again = kinds.validate_json(kinds.dump_json(traffic))
    again.requests_by(2.0)
    assert again == traffic
    assert hash(again) == hash(traffic)


def test_a_ramp_has_sent_the_mean_of_its_ends():
    ramp = Ramp(start_rps=10, end_rps=30, duration_s="1min")
    assert ramp.requests_by(60) == 20 * 60
    assert ramp.requests_by(30) == 15 * 30
    assert ramp.reached_s(np.array([15.0 * 30])) == pytest.approx(30)


def test_nothing_is_due_while_the_rate_is_zero():
    steps = Steps(
        steps=[
            {"rps": 0, "duration_s": 10},
            {"rps": 2, "duration_s": 5},
            {"rps": 0, "duration_s": 5},
            {"rps": 1, "duration_s": 10},
        ]
    )
    assert steps.reached_s(np.array([0.0, 5.0, 10.0, 15.0, 20.0])) == pytest.approx(
        [10, 12.5, 20, 25, 40]
    )


def test_a_wave_peaks_when_it_should_and_never_asks_less_than_nothing():
    day = Diurnal(mean_rps=10, peak_rps=20, peak_at_s="14h")
    rates_rps = [day.rate_rps(3600 * hour) for hour in range(24)]
    assert np.argmax(rates_rps) == 14
    assert np.argmin(rates_rps) == 2
    assert min(rates_rps) >= 0
    assert day.requests_by(86400) == pytest.approx(864_000)


def test_a_burst_comes_after_quiet_unless_told_otherwise():
    burst = Burst(base_rps=1, burst_rps=10, for_s="10s", every_s="1min")
    assert [burst.rate_rps(t_s) for t_s in (0, 49, 51, 61, 111)] == [1, 1, 10, 1, 10]
    early = burst.model_copy(update={"at_s": 0.0})
    assert [early.rate_rps(t_s) for t_s in (0, 9, 11, 59, 61)] == [10, 10, 1, 1, 10]


def test_a_single_spike_does_not_come_again():
    spike = Burst(base_rps=1, burst_rps=10, for_s="10s", at_s="30s")
    assert [spike.rate_rps(t_s) for t_s in (0, 29, 31, 41, 1e6)] == [1, 1, 10, 1, 1]
    assert spike.requests_by(1e6) == pytest.approx(1e6 + 90)


def test_an_hour_pressed_into_a_minute_keeps_its_rate():
    whole = Hourly(requests=(3600, 7200))
    pressed = Hourly(requests=(3600, 7200), hour_s="1min")
    assert pressed.duration_s == 120
    assert (pressed.peak_rps, pressed.mean_rps) == (whole.peak_rps, whole.mean_rps) == (2, 1.5)
    assert pressed.requests_by(120) == 60 * 1 + 60 * 2


@pytest.mark.parametrize(
    ("kind", "settings"),
    [
        (Steady, {"rps": 0}),
        (Steady, {"rps": -1}),
        (Steady, {"rps": math.inf}),
        (Steady, {"rps": math.nan}),
        (Steady, {"rps": True}),
        (Steady, {"rps": "5"}),
        (Ramp, {"start_rps": 0, "end_rps": 0, "duration_s": 1}),
        (Ramp, {"start_rps": 1, "end_rps": 2, "duration_s": 0}),
        (Steps, {"steps": []}),
        (Steps, {"steps": [{"rps": 0, "duration_s": 5}]}),
        (Burst, {"base_rps": 2, "burst_rps": 2, "for_s": 1, "every_s": 5}),
        (Burst, {"base_rps": 2, "burst_rps": 3, "for_s": 5, "every_s": 5}),
        (Burst, {"base_rps": 2, "burst_rps": 3, "for_s": 2, "every_s": 5, "at_s": 4}),
        (Burst, {"base_rps": 2, "burst_rps": 3, "for_s": 2}),
        (Burst, {"base_rps": 0, "burst_rps": 3, "for_s": 2, "at_s": 4}),
        (Diurnal, {"mean_rps": 1, "peak_rps": 2.1}),
        (Diurnal, {"mean_rps": 1, "peak_rps": 0.9}),
        (Replay, {"at_s": [1]}),
        (Replay, {"at_s": [1, 1]}),
        (Replay, {"at_s": [2, 1]}),
        (Replay, {"at_s": [-1, 1]}),
        (Replay, {"at_s": [1, 2], "speed": 0}),
        (Hourly, {"requests": ()}),
        (Hourly, {"requests": (0, 0)}),
        (Hourly, {"requests": (1, -1)}),
        (Hourly, {"requests": (math.nan,)}),
        (Hourly, {"requests": (math.inf,)}),
        (Hourly, {"requests": (1,), "hour_s": 0}),
        (Steady, {"rps": 1, "rate": 1}),
    ],
)
def test_what_is_no_traffic_is_refused(kind, settings):
    with pytest.raises(ValidationError):
        kind(**settings)


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


@given(st.floats(1e-6, 1e6))
def test_what_is_said_of_a_steady_rate_reads_back_as_that_rate(rps):
    said = Steady(rps=rps).text
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
