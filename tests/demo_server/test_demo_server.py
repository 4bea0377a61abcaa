from __future__ import annotations

import http.client
import json
import signal
import socket
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from statistics import fmean

import psutil
import pytest

from loadtests.demo_server import DemoServer
from loadtests.demo_server.truth import forget_truth, read_truth, rows_as_json
from loadtests.errors import UsageError

ROOT = Path(__file__).parents[2]
READY_WITHIN_S = 20

pytestmark = pytest.mark.slow


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def call(port, method, path, *, tag=None, body=None):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        return answer(connection, method, path, tag=tag, body=body)
    finally:
        connection.close()


def answer(connection, method, path, *, tag=None, body=None):
    connection.request(method, path, body, {"X-Tag": tag} if tag else {})
    response = connection.getresponse()
    return response.status, response.read()


def truth(port):
    status, body = call(port, "GET", "/truth")
    assert status == 200
    return json.loads(body)


@contextmanager
def process(settings, port, *more):
    command = [part.replace("{port}", str(port)) for part in settings.command()]
    with subprocess.Popen(
        [*command, *more], cwd=ROOT, stderr=subprocess.PIPE, text=True
    ) as server:
        try:
            yield server
        finally:
            server.kill()


@contextmanager
def serving(**settings):
    port = free_port()
    with process(DemoServer(**settings), port) as server:
        deadline_s = time.monotonic() + READY_WITHIN_S
        while True:
            try:
                call(port, "GET", "/ping")
                break
            except ConnectionRefusedError:
                assert server.poll() is None, server.stderr.read()
                assert time.monotonic() < deadline_s
                time.sleep(0.02)
        yield port, server


def test_what_a_client_sees_is_never_faster_than_the_truth():
    with serving(servers=2, service="exp:0.004", seed=5) as (port, _):
        seen = {}

        def one_user(user):
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
            for number in range(25):
                tag = f"{user}-{number}"
                sent_s = time.perf_counter()
                status, _ = answer(connection, "POST", "/invocations", tag=tag, body=b"[1]")
                seen[tag] = (sent_s, time.perf_counter(), status)
            connection.close()

        with ThreadPoolExecutor(4) as users:
            list(users.map(one_user, range(4)))
        known = truth(port)

    assert known["clock"] == "CLOCK_MONOTONIC"
    assert (known["servers"], known["mean_service_s"], known["service_cv"]) == (2, 0.004, 1.0)
    by_tag = {request["tag"]: request for request in known["requests"]}
    assert by_tag.keys() == seen.keys()
    for tag, (sent_s, done_s, status) in seen.items():
        request = by_tag[tag]
        assert status == request["status"] == 200
        assert sent_s <= request["arrival_s"] <= request["start_s"] < request["finish_s"]
        assert request["finish_s"] <= request["sent_s"] <= done_s
        assert done_s - sent_s >= request["finish_s"] - request["arrival_s"]


def test_service_times_are_those_of_the_seed_whatever_the_client_does():
    def services_s(port):
        for _ in range(8):
            call(port, "GET", "/invocations")
        return [r["finish_s"] - r["start_s"] for r in truth(port)["requests"]]

    settings = {"servers": 1, "service": "lognormal:0.003:0.5", "seed": 9}
    with serving(**settings) as (port, _):
        first = services_s(port)
    with serving(**settings) as (port, _):
        again = services_s(port)
    assert first == pytest.approx(again, abs=1e-8)
    assert fmean(first) != pytest.approx(first[0])


def test_the_truth_can_be_had_as_an_array():
    with serving(servers=4, service="exp:0.002") as (port, _):
        for number in range(20):
            call(port, "POST", "/invocations", tag=f"n{number}")
        rows = read_truth(f"http://127.0.0.1:{port}")
        assert rows_as_json(rows) == truth(port)["requests"]
        assert rows["tag"].tolist() == [b"n%d" % number for number in range(20)]
        forget_truth(f"http://127.0.0.1:{port}")
        assert len(read_truth(f"http://127.0.0.1:{port}")) == 0
        assert call(port, "GET", "/truth?format=xml")[0] == 400


def test_what_it_remembers_is_bounded():
    with serving(service="det:0.0005", truth_limit=5) as (port, _):
        for number in range(8):
            call(port, "POST", "/invocations", tag=str(number))
        known = truth(port)
    assert [request["tag"] for request in known["requests"]] == ["3", "4", "5", "6", "7"]
    assert known["forgotten"] == 3


@pytest.mark.alone
def test_beyond_the_cliff_services_take_longer():
    with serving(servers=8, service="det:0.3", cliff="2:2") as (port, _):
        with ThreadPoolExecutor(5) as users:
            list(users.map(lambda _: call(port, "POST", "/invocations"), range(5)))
        taken_s = [r["finish_s"] - r["start_s"] for r in truth(port)["requests"]]
    assert taken_s == pytest.approx([0.3, 0.3, 0.6, 0.6, 0.6], abs=1e-6)


@pytest.mark.alone
def test_service_times_drift_from_the_start_or_the_last_reset():
    def grown(known, since_s):
        """Service time over what the law says, and what the drift says: 100 % in a second."""
        for request in known["requests"]:
            expected = 1 + (request["arrival_s"] - since_s)
            assert (request["finish_s"] - request["start_s"]) / 0.001 == pytest.approx(
                expected, abs=0.05
            )

    with serving(service="det:0.001", drift_per_hour=3600.0) as (port, _):
        until_s = time.monotonic() + 0.5
        while time.monotonic() < until_s:
            call(port, "POST", "/invocations")
        known = truth(port)
        grown(known, known["origin_s"])
        reset_s = time.monotonic()
        call(port, "POST", "/truth/reset")
        call(port, "POST", "/invocations")
        grown(truth(port), reset_s)


def test_what_leaks_is_really_gone():
    with serving(service="det:0.0002", leak_bytes=100_000) as (port, server):
        call(port, "GET", "/invocations")
        before = psutil.Process(server.pid).memory_info().rss
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
        for _ in range(300):
            answer(connection, "GET", "/invocations")
        connection.close()
        leaked = psutil.Process(server.pid).memory_info().rss - before
    assert leaked == pytest.approx(300 * 100_000, rel=0.1)


def test_errors_come_in_bursts():
    with serving(service="det:0.001", error_burst="0.4:0.1") as (port, _):
        until_s = time.monotonic() + 1
        while time.monotonic() < until_s:
            call(port, "POST", "/invocations")
        known = truth(port)
    statuses = {200: 0, 500: 0}
    for request in known["requests"]:
        into_s = (request["arrival_s"] - known["origin_s"]) % 0.4
        if min(abs(into_s - 0.3), into_s, 0.4 - into_s) > 1e-5:
            assert request["status"] == (500 if into_s > 0.3 else 200)
        statuses[request["status"]] += 1
    assert min(statuses.values()) > 0


def test_a_tag_too_long_to_keep_is_refused():
    with serving() as (port, _):
        assert call(port, "POST", "/invocations", tag="x" * 31)[0] == 431


def test_the_truth_can_be_forgotten():
    with serving(service="det:0.001") as (port, _):
        call(port, "POST", "/invocations", body=b"{}")
        assert len(truth(port)["requests"]) == 1
        assert call(port, "POST", "/truth/reset")[0] == 200
        assert truth(port)["requests"] == []


def test_no_reply_leaves_while_the_server_is_stalled():
    with serving(service="det:0.001", stall="0.4:0.3") as (port, _):
        until_s = time.monotonic() + 1
        while time.monotonic() < until_s:
            assert call(port, "POST", "/invocations", body=b"{}")[0] == 200
        known = truth(port)
    for request in known["requests"]:
        assert (request["finish_s"] - known["origin_s"]) % 0.4 <= 0.1 + 1e-6
    latencies_s = [r["finish_s"] - r["arrival_s"] for r in known["requests"]]
    assert 0.15 < max(latencies_s) <= 0.3 + 0.001 + 1e-6


def test_the_asked_share_of_answers_is_an_error():
    with serving(servers=8, service="det:0.0005", error_rate=0.3, seed=4) as (port, _):
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
        statuses = [answer(connection, "GET", "/invocations")[0] for _ in range(400)]
        connection.close()
        assert set(statuses) == {200, 500}
        assert 0.2 < statuses.count(500) / len(statuses) < 0.4
        assert [request["status"] for request in truth(port)["requests"]] == statuses


def test_a_full_queue_turns_requests_away_at_once():
    with serving(service="det:0.8", queue_limit=1) as (port, _):
        with ThreadPoolExecutor(4) as users:
            answers = list(users.map(lambda _: call(port, "GET", "/invocations")[0], range(4)))
        turned_away = [r for r in truth(port)["requests"] if r["status"] == 503]
    assert sorted(answers) == [200, 200, 503, 503]
    assert all(request["finish_s"] is None for request in turned_away)


def test_it_dies_when_told_to():
    with serving(service="det:0.001", fail_after=3) as (port, server):
        for _ in range(3):
            assert call(port, "GET", "/invocations")[0] == 200
        with pytest.raises((http.client.RemoteDisconnected, ConnectionError)):
            call(port, "GET", "/invocations")
        assert server.wait(10) == 1


def test_a_ping_may_be_unhealthy_and_slow():
    with serving(ping_status=503, ping_delay_s=0.2) as (port, _):
        before_s = time.monotonic()
        assert call(port, "GET", "/ping") == (503, b"")
        assert time.monotonic() - before_s >= 0.19


def test_it_listens_only_after_its_set_up():
    before_s = time.monotonic()
    with serving(setup_s=0.5):
        assert time.monotonic() - before_s >= 0.5


def test_the_log_has_a_line_for_every_invocation(tmp_path):
    log = tmp_path / "log.jsonl"
    with serving(service="det:0.001", log=str(log)) as (port, _):
        for tag in ("a", "b"):
            call(port, "POST", "/invocations", tag=tag, body=b"{}")
        lines = [json.loads(line) for line in log.read_text().splitlines()]
        assert lines == truth(port)["requests"]
        assert [line["tag"] for line in lines] == ["a", "b"]


@pytest.mark.parametrize("order", [signal.SIGTERM, signal.SIGINT])
def test_it_stops_when_asked(order):
    with serving() as (_, server):
        server.send_signal(order)
        assert server.wait(10) == 0


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("GET", "/nothing", 404), ("DELETE", "/invocations", 405), ("POST", "/ping", 405)],
)
def test_what_it_does_not_serve_it_says_so(method, path, status):
    with serving() as (port, _):
        assert call(port, method, path)[0] == status


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (b"nonsense\r\n\r\n", 400),
        (b"GET /ping HTTP/2.0\r\n\r\n", 505),
        (b"POST /invocations HTTP/1.1\r\nContent-Length: -1\r\n\r\n", 400),
        (b"POST /invocations HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n", 411),
        (b"POST /invocations HTTP/1.1\r\nContent-Length: 999999999999\r\n\r\n", 413),
        (b"GET /" + b"x" * 100_000, 431),
    ],
)
def test_a_malformed_request_gets_an_answer_and_the_connection_is_closed(sent, status):
    with serving() as (port, _), socket.create_connection(("127.0.0.1", port), 10) as client:
        client.sendall(sent)
        received = client.makefile("rb").read()
    assert received.startswith(b"HTTP/1.1 %d " % status)


def test_requests_sent_ahead_are_answered_in_turn():
    request = b"POST /invocations HTTP/1.1\r\nContent-Length: 2\r\nX-Tag: %d\r\n\r\n{}"
    last = b"GET /truth HTTP/1.0\r\n\r\n"
    with (
        serving(servers=4, service="exp:0.002") as (port, _),
        socket.create_connection(("127.0.0.1", port), 10) as client,
    ):
        client.sendall(b"".join(request % number for number in range(5)) + last)
        *answers, known = client.makefile("rb").read().split(b"HTTP/1.1 200 OK\r\n")[1:]
    assert len(answers) == 5
    requests = json.loads(known.partition(b"\r\n\r\n")[2])["requests"]
    assert [request["tag"] for request in requests] == ["0", "1", "2", "3", "4"]
    for before, after in pairwise(requests):
        assert after["arrival_s"] >= before["sent_s"]


@pytest.mark.parametrize(
    "options",
    [
        ("--service", "gamma:1"),
        ("--stall", "1:2"),
        ("--error-rate", "1.5"),
        ("--ping-status", "999"),
        ("--servers", "0"),
        ("--queue-limit", "-1"),
        ("--cliff", "2"),
        ("--cliff=-1:2",),
        ("--cliff", "1.5:2"),
        ("--drift", "-1"),
        ("--leak", "-1"),
        ("--error-burst", "1:1"),
        ("--truth-limit", "0"),
    ],
)
def test_an_impossible_setting_is_a_usage_error(options):
    with process(DemoServer(), free_port(), *options) as server:
        _, complaint = server.communicate(timeout=20)
    assert server.returncode == 2
    assert complaint.startswith("demo_server: ")
    assert len(complaint.splitlines()) == 1


def test_a_port_in_use_is_said_in_one_line():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with process(DemoServer(), taken.getsockname()[1]) as server:
            _, complaint = server.communicate(timeout=20)
    assert server.returncode == 1
    assert "in use" in complaint


def test_the_command_says_only_what_differs_from_the_default():
    assert DemoServer().command(python="python") == (
        *("python", "-m", "loadtests.demo_server"),
        *("--port", "{port}"),
    )
    settings = DemoServer(servers=2, service="det:0.01", error_rate=0.1, ping_delay_s=0.5)
    assert settings.command(port_placeholder="80", python="python")[3:] == (
        *("--port", "80", "--servers", "2", "--service", "det:0.01"),
        *("--error-rate", "0.1", "--ping-delay", "0.5"),
    )
    planted = DemoServer(cliff="8:3", drift_per_hour=0.5, leak_bytes=100, error_burst="10:1")
    assert planted.command(python="python")[5:] == (
        *("--cliff", "8:3", "--drift", "0.5", "--leak", "100", "--error-burst", "10:1"),
    )


@pytest.mark.parametrize(
    "settings",
    [
        {"service": "x"},
        {"stall": "1"},
        {"seed": -1},
        {"fail_after": -1},
        {"setup_s": float("nan")},
    ],
)
def test_impossible_settings_cannot_be_made(settings):
    with pytest.raises(UsageError):
        DemoServer(**settings)
