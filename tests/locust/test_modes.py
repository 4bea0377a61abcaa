"""Each mode of a load test finds what was planted in the server it is run against."""

import sys

import pytest

from loadtests.demo_server import DemoServer
from loadtests.demo_server.theory import capacity_rps
from loadtests.journal import Journal
from loadtests.modes.compare import CompareVerdict
from loadtests.modes.drift import TrendVerdict
from loadtests.slo import Verdict
from pricing import load_book
from recommender.loadtest.building import build_report
from recommender.loadtest.plan import Plan
from recommender.loadtest.session import run_loadtest
from recommender.performance.speed_prior import SpeedPrior
from recommender.quick import Workplace
from recommender.store import open_store

pytestmark = pytest.mark.locust

SERVICE_S = 0.004
ONE = DemoServer(service=f"det:{SERVICE_S}")
CLIENT_S = 0.0015  # at most what client and loopback add to a latency here


def command(server):
    return " ".join(server.command("{port}", python=sys.executable))


def answer_of(place, server, *, slo="p95<20ms, error_rate<1%", **scenario):
    """The answer of one scenario; one that stays INVALID, for a busy neighbour, is asked again."""
    (place / "payload.json").write_text("{}")
    others = scenario.pop("others", {})
    named = {"server": server, **others}
    plan = Plan.model_validate(
        {
            "model": command(server),
            "payloads": ["payload.json"],
            "slo": slo,
            "configurations": [
                {"name": name, "vcpus": 1, "model": command(each)} for name, each in named.items()
            ],
            "scenarios": [scenario],
        }
    )
    with open_store(f"sqlite:///{place / 'store.sqlite'}", default_folder=place) as store:
        journal = Journal(place / "journal")
        workplace = Workplace(
            store, journal, load_book(), SpeedPrior.bundled(), place / "cache", lambda *_: None
        )
        for _ in range(5):
            run_id = run_loadtest(plan, place, workplace)
            (test,) = build_report(store, store.run(run_id), workplace.book).tests
            if test.answer is not None:
                return test.answer
    pytest.fail(f"no answer: {test.reason}")


def holds(interval, truth, slack):
    """May the truth lie in the interval, widened by a share?"""
    low = 0 if interval.low is None else interval.low
    high = float("inf") if interval.high is None else interval.high
    return low * (1 - slack) <= truth <= high * (1 + slack)


def test_the_capacity_is_that_of_theory(tmp_path):
    answer = answer_of(tmp_path, ONE, mode="capacity", duration=8, rung=1.5)
    (tier,) = answer.tiers
    slowest, fastest = (capacity_rps(ONE, 0.95, limit_s) for limit_s in (0.02 - CLIENT_S, 0.02))
    assert tier.basis in ("confirmed", "bisected", "model")
    assert holds(tier.capacity_rps, slowest, 0.03) or holds(tier.capacity_rps, fastest, 0.03)
    assert tier.saturation_rps == pytest.approx(1 / SERVICE_S, rel=0.08)


def test_a_cliff_is_seen_and_the_capacity_lies_below_it(tmp_path):
    """Beyond 6 requests in the system each takes four times as long."""
    server = DemoServer(service=f"det:{SERVICE_S}", cliff="6:4")
    answer = answer_of(
        tmp_path, server, slo="p95<150ms", mode="capacity", duration=8, rung=1.5, most_open=5
    )
    (tier,) = answer.tiers
    assert tier.cliff is not None
    assert tier.capacity_rps.low < server.stable_rps


def test_the_knee_is_where_theory_has_twice_the_unloaded_latency(tmp_path):
    answer = answer_of(tmp_path, ONE, mode="profile", points=5, duration=4, rung=2)
    knee = answer.curve.knee
    assert knee.unloaded_s == pytest.approx(SERVICE_S, abs=CLIENT_S)
    assert holds(knee.rate_rps, capacity_rps(ONE, 0.95, knee.limit_s), 0.1)


def test_the_highest_throughput_is_one_over_the_service_time(tmp_path):
    answer = answer_of(tmp_path, ONE, mode="offline", duration=5, rung=1.5, rows_per_request=10)
    assert holds(answer.offline.rows_per_s, 10 / SERVICE_S, 0.05)


def test_a_server_that_slows_down_and_leaks_is_found_out(tmp_path):
    """Its service time doubles in the run, and each request leaves 200 kB behind."""
    server = DemoServer(service=f"det:{SERVICE_S}", drift_per_hour=180.0, leak_bytes=200_000)
    answer = answer_of(tmp_path, server, mode="soak", traffic="80rps", duration=20)
    trends = {each.of: each for each in answer.soak.trends}
    assert trends["latency"].verdict is TrendVerdict.DRIFTING
    assert trends["memory"].verdict is TrendVerdict.DRIFTING
    planted = 80 * 200_000 * 3600
    assert holds(trends["memory"].per_hour, planted, 0.3)


def test_a_steady_server_is_not_accused(tmp_path):
    """Its log of what it did is bounded, so that it holds no more at the end than early on."""
    server = DemoServer(service=f"det:{SERVICE_S}", truth_limit=100)
    answer = answer_of(tmp_path, server, mode="soak", traffic="80rps", duration=20)
    assert answer.soak.verdict is not TrendVerdict.DRIFTING


def test_bursts_of_errors_are_counted_and_miss_the_slo(tmp_path):
    """Of every two seconds half a second answers 500."""
    server = DemoServer(service=f"det:{SERVICE_S}", error_burst="2:0.5")
    answer = answer_of(
        tmp_path, server, slo="p50<50ms, error_rate<5%", mode="fixed", traffic="60rps", duration=8
    )
    errors = next(each for each in answer.verdicts if each.unit == "ratio")
    assert errors.verdict is Verdict.MISSED
    assert holds(errors.measured, 0.25, 0.15)


def test_a_slower_variant_fails_by_as_much_as_it_is_slower(tmp_path):
    others = {"slower": DemoServer(service=f"det:{1.5 * SERVICE_S}")}
    answer = answer_of(
        tmp_path, ONE, others=others, mode="compare", traffic="80rps", duration=15, quantile=0.5
    )
    (found,) = answer.comparisons
    assert found.verdict is CompareVerdict.FAIL
    latency = next(each for each in found.differences if each.of == "latency")
    assert holds(latency.difference, 1.5, 0.15)
