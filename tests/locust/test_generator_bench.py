"""The bench itself, made short: each figure is measured for real, if not for long enough to judge.

Whether the goals are reached is for `recommender doctor --bench-generator` on a quiet machine.
"""

import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from http.client import HTTPConnection
from urllib.parse import urlsplit

import numpy as np
import psutil
import pytest

from loadtests.demo_server import DemoServer
from loadtests.demo_server.process import serving
from loadtests.demo_server.truth import read_truth
from loadtests.errors import TargetExited
from loadtests.generator_bench import run_bench
from loadtests.generator_bench.comparison import Comparison
from loadtests.generator_bench.peers import TOOLS
from loadtests.generator_bench.rig import flood
from loadtests.generator_bench.stand import (
    GENERATOR,
    SERVER,
    processes,
    put_back,
    put_first,
    standing,
)
from loadtests.generator_bench.trials import FLOODED, Durations
from loadtests.journal import Journal
from loadtests.runner import Engine

pytestmark = [pytest.mark.locust, pytest.mark.slow]


@pytest.fixture
def journal(tmp_path):
    return Journal(tmp_path / "journal")


def test_every_figure_is_measured_and_nothing_is_left_running(journal):
    said = []
    bench = run_bench(
        journal, lambda doing, left_s: said.append((doing, left_s)), Durations().scaled(0.1), ()
    )
    reached = {figure.goal.name: figure.reached for figure in bench.figures}
    assert len(reached) == len(bench.figures) == 23
    assert all(figure.note for figure in bench.figures if figure.reached is None)
    if reached["a killed worker is noticed after"] is not None:
        assert 0 < reached["a killed worker is noticed after"] < 3
    assert reached["its step is then"] == 1
    assert 0 <= reached["lost of its samples"] < 1.5
    (own,) = bench.peers
    assert own.closed_rps > 500
    assert 0.7 < own.arrivals_cv < 1.4
    left_s = [seconds for _, seconds in said]
    assert left_s == sorted(left_s, reverse=True)
    assert left_s[-1] > 0
    assert not processes(GENERATOR)
    assert not processes(SERVER)


def test_memory_is_read_of_the_generator_while_it_works(tmp_path, journal):
    with Engine(tmp_path / "engine", journal) as engine, standing(FLOODED, journal) as stand:
        seen = flood(engine, stand, 1.5)
    assert len(seen.requests) == len(seen.held_bytes) >= 4
    assert seen.requests == sorted(seen.requests)
    assert all(20e6 < held < 2e9 for held in seen.held_bytes)
    assert seen.rate_rps > 500


@pytest.mark.parametrize("tool", TOOLS, ids=lambda tool: tool.name)
def test_a_tool_reports_about_what_the_server_saw(tmp_path, journal, tool):
    if not tool.is_there():
        pytest.skip(f"not installed: {tool.install}")
    said = []
    durations = Durations(peer_flood_s=3, peer_steady_s=3, stall_s=3)
    comparison = Comparison(tmp_path, journal, durations, lambda doing, _: said.append(doing))
    row = comparison.row(tool)
    assert row.closed_rps > 200
    if not tool.has_rate:
        assert "closed loop only" in row.note
        return
    assert row.note is None
    assert len(said) == 3
    assert row.arrivals_cv > 0
    assert row.p95_error_ratio > -0.5
    assert 0.0005 < row.stall_p95_s <= row.stall_p99_s


def test_a_tool_that_is_missing_says_how_to_get_it(tmp_path, journal):
    missing = replace(TOOLS[0], is_there=lambda: False)
    comparison = Comparison(tmp_path, journal, Durations(), lambda *_: None)
    assert comparison.row(missing).note == "not installed: apt-get install wrk"


def test_priority_is_real_time_where_that_is_permitted_and_given_back(journal):
    with serving(DemoServer(), journal) as demo:
        is_first = put_first(SERVER)
        policy = os.sched_getscheduler(demo.process.pid)
        assert policy == (os.SCHED_FIFO if is_first else os.SCHED_OTHER)
        put_back(SERVER)
        assert os.sched_getscheduler(demo.process.pid) == os.SCHED_OTHER


@pytest.mark.beside
def test_a_demo_server_lasts_as_long_as_it_is_wanted(journal):
    core = min(os.sched_getaffinity(0))
    with serving(DemoServer(service="det:0.001"), journal, (core,)) as demo:
        assert demo.process.cpu_affinity() == [core]
        assert demo.cpu_s > 0
        assert len(read_truth(demo.base_url)) == 0
        pid = demo.process.pid
    assert not psutil.pid_exists(pid)


@pytest.mark.beside
def test_a_demo_server_that_cannot_start_says_why(journal):
    with (
        pytest.raises(TargetExited, match="No such file"),
        serving(DemoServer(log="/no/such/folder/log"), journal),
    ):
        pass


@pytest.mark.beside
def test_many_clients_at_once_all_find_themselves_in_the_truth(journal):
    """5,000 requests over twenty connections, as fast as they are answered."""
    with serving(DemoServer(servers=64, service="det:0.0005"), journal) as demo:

        def one_user(user):
            connection = HTTPConnection(urlsplit(demo.base_url).netloc, timeout=30)
            for number in range(250):
                tag = {"X-Tag": f"{user}-{number}"}
                connection.request("POST", "/invocations", b"[1]", tag)
                assert connection.getresponse().read()
            connection.close()

        with ThreadPoolExecutor(20) as users:
            list(users.map(one_user, range(20)))
        truth = read_truth(demo.base_url)
    assert len(np.unique(truth["tag"])) == len(truth) == 5000
    assert np.all(np.diff(truth["arrival_s"]) >= 0)
    assert np.all(truth["sent_s"] >= truth["finish_s"])
    assert truth["finish_s"] - truth["start_s"] == pytest.approx(0.0005, abs=1e-6)
