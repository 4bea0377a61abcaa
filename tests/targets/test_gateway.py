"""A real gateway before real servers, on loopback."""

import gzip
import http.client
import http.server
import json
import os
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlsplit

import numpy as np
import pytest

from loadtests.errors import TargetDied, TargetUnreachable, UsageError
from loadtests.gateway.passages import NO_MEMBER
from loadtests.gateway.process import Gateway
from loadtests.gateway.settings import GatewaySettings, Stage
from loadtests.ports import free_port
from loadtests.targets import exchange
from loadtests.targets.processes import is_living

pytestmark = pytest.mark.beside

ANSWER_S = 1.0


class Upstream:
    """A server whose answers the test decides, by path; what it was sent is kept."""

    def __init__(self, name):
        self.name = name
        self.seen = []
        self.most_at_once = 0
        self._at_once = 0
        self._lock = threading.Lock()
        self.go_on = threading.Event()
        upstream = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                with upstream._busy():
                    upstream._answer(self)

            do_GET = do_PUT = do_POST  # noqa: N815 - the standard library's names

            def log_message(self, *_):
                pass

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.base_url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))
        self._thread.start()

    def _busy(self):
        upstream = self

        class Counted:
            def __enter__(self):
                with upstream._lock:
                    upstream._at_once += 1
                    upstream.most_at_once = max(upstream.most_at_once, upstream._at_once)

            def __exit__(self, *_):
                with upstream._lock:
                    upstream._at_once -= 1

        return Counted()

    def _answer(self, request):
        body = request.rfile.read(int(request.headers.get("Content-Length", 0)))
        self.seen.append((request.command, request.path, list(request.headers.items()), body))
        getattr(self, urlsplit(request.path).path.strip("/").replace("-", "_"), self.echo)(
            request, body
        )

    def echo(self, request, body, status=200, **headers):
        request.send_response(status)
        for name, value in headers.items():
            request.send_header(name.replace("_", "-"), value)
        request.send_header("Content-Length", str(len(body)))
        request.end_headers()
        request.wfile.write(body)

    def teapot(self, request, body):
        request.send_response(418)
        request.send_header("Set-Cookie", "a=1")
        request.send_header("Set-Cookie", "b=2")
        request.send_header("X-Model", "yes")
        request.send_header("Content-Length", str(len(body)))
        request.end_headers()
        request.wfile.write(body)

    def away(self, request, _):
        self.echo(request, b"", status=307, Location="http://127.0.0.1:1/elsewhere")

    def slow(self, request, body):
        time.sleep(0.03)
        self.echo(request, body)

    def silent(self, request, body):
        self.go_on.wait(20)
        self.echo(request, body)

    def append(self, request, body):
        self.echo(request, body + self.name.encode(), Content_Type="text/plain")

    def as_json(self, request, _):
        self.echo(request, json.dumps({"by": self.name}).encode(), Content_Type="application/json")

    def pieces(self, request, _):
        """The second only once the test has seen the first."""
        self._begin_chunked(request)
        self._chunk(request, b"one")
        self.go_on.wait(20)
        self._chunk(request, b"two")
        request.wfile.write(b"0\r\n\r\n")

    def half(self, request, _):
        self._begin_chunked(request)
        self._chunk(request, b"one")
        request.close_connection = True

    def endless(self, request, _):
        self._begin_chunked(request)
        while not self.go_on.wait(0.01):
            try:
                self._chunk(request, b"x" * 1000)
            except OSError:
                break
        request.close_connection = True

    @staticmethod
    def _begin_chunked(request):
        request.send_response(200)
        request.send_header("Transfer-Encoding", "chunked")
        request.end_headers()

    @staticmethod
    def _chunk(request, piece):
        request.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece))
        request.wfile.flush()

    def close(self):
        self.go_on.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


@pytest.fixture
def upstream():
    """Makes servers; they end with the test."""
    made = []

    def make(name="a"):
        made.append(Upstream(name))
        return made[-1]

    yield make
    for each in made:
        each.close()


@pytest.fixture
def start(tmp_path, journal):
    """Starts gateways; what they say is kept in `events`."""
    made = []

    def make(*stages, **settings):
        events = []
        settings = GatewaySettings(
            stages or (Stage("model"),), **{"answer_s": ANSWER_S, **settings}
        )
        gateway = Gateway(settings, tmp_path / f"gateway-{len(made)}", journal, events.append)
        made.append(gateway)
        gateway.start()
        gateway.events = events
        return gateway

    yield make
    for each in made:
        each.stop()
    assert journal.entries() == ()


@pytest.fixture
def before_one(start, upstream):
    """The simplest: one stage, one server."""
    server, gateway = upstream(), start()
    gateway.add(0, server.base_url)
    return gateway, server


def post(gateway, path="/invocations", body=b"1,2", timeout_s=20.0, **headers):
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return exchange(
        gateway.base_url + path, method="POST", body=body, headers=named, timeout_s=timeout_s
    )


def connect(gateway):
    return http.client.HTTPConnection(urlsplit(gateway.base_url).netloc, timeout=20)


def statuses(gateway):
    return gateway.passages()["status"].tolist()


def named(events, name):
    return [event for event in events if event["event"] == name]


def test_request_and_answer_are_passed_on_as_they_are(before_one):
    gateway, server = before_one
    connection = connect(gateway)
    sent = {"Content-Type": "text/csv", "X-Amzn-SageMaker-Custom-Attributes": "c", "Accept": "a/b"}
    connection.request("POST", "/teapot?a=1+2&b=x%2By", body=b"\x00\xff", headers=sent)
    answer = connection.getresponse()
    assert (answer.status, answer.read()) == (418, b"\x00\xff")
    assert answer.headers.get_all("Set-Cookie") == ["a=1", "b=2"]
    assert answer.headers["X-Model"] == "yes"
    ((method, path, headers, body),) = server.seen
    assert (method, path, body) == ("POST", "/teapot?a=1+2&b=x%2By", b"\x00\xff")
    assert sent.items() <= dict(headers).items()
    connection.close()


def test_nothing_is_added_that_would_change_the_answer(before_one):
    gateway, server = before_one
    packed = gzip.compress(b"1,2,3")
    connection = connect(gateway)
    connection.putrequest("POST", "/invocations", skip_accept_encoding=True)
    connection.putheader("Content-Encoding", "gzip")
    connection.putheader("Content-Length", str(len(packed)))
    connection.putheader("Connection", "close")
    connection.endheaders(packed)
    assert connection.getresponse().read() == packed
    connection.close()
    ((_, _, headers, body),) = server.seen
    assert body == packed
    names = {name.lower() for name, _ in headers}
    assert names <= {"host", "content-encoding", "content-length"}


def test_a_redirect_is_the_callers_to_follow(before_one):
    gateway, server = before_one
    answer = post(gateway, "/away")
    assert answer.status == 307
    assert answer.headers["location"] == "http://127.0.0.1:1/elsewhere"
    assert len(server.seen) == 1


def test_a_stream_is_passed_on_piece_by_piece(before_one):
    gateway, server = before_one
    connection = connect(gateway)
    connection.request("POST", "/pieces", body=b"")
    answer = connection.getresponse()
    assert answer.read1() == b"one"
    server.go_on.set()
    assert answer.read() == b"two"
    connection.close()


def test_a_stream_that_breaks_off_is_no_whole_answer(before_one, eventually):
    gateway, _ = before_one
    connection = connect(gateway)
    connection.request("POST", "/half", body=b"")
    answer = connection.getresponse()
    with pytest.raises((http.client.IncompleteRead, ConnectionResetError)):
        answer.read()
    connection.close()
    assert eventually(lambda: statuses(gateway) == [502])
    assert eventually(lambda: named(gateway.events, "failed"))
    assert post(gateway).body == b"1,2"


def test_a_caller_who_goes_is_not_the_servers_fault(before_one, eventually):
    gateway, _ = before_one
    connection = connect(gateway)
    connection.request("POST", "/endless", body=b"")
    assert connection.getresponse().read(10) == b"x" * 10
    connection.close()
    assert eventually(lambda: statuses(gateway) == [200])
    assert named(gateway.events, "failed") == []
    assert post(gateway).status == 200


def test_a_dead_server_is_a_bad_gateway_and_is_told_of(start, eventually):
    gateway = start()
    gateway.add(7, f"http://127.0.0.1:{free_port()}")
    assert post(gateway).status == 502
    assert eventually(lambda: named(gateway.events, "failed"))
    assert named(gateway.events, "failed")[0]["member"] == 7
    gateway.remove(7)
    assert post(gateway).status == 503


def test_a_silent_server_is_a_gateway_timeout(before_one):
    gateway, server = before_one
    answer = post(gateway, "/silent")
    assert answer.status == 504
    assert answer.seconds >= ANSWER_S * 0.9
    server.go_on.set()
    assert named(gateway.events, "failed") == []
    assert post(gateway).status == 200


def test_a_body_beyond_the_limit_is_too_large(start, upstream):
    server, gateway = upstream(), start(largest_body_bytes=1000)
    gateway.add(0, server.base_url)
    assert post(gateway, body=b"x" * 1000).status == 200
    assert post(gateway, body=b"x" * 1001).status == 413
    assert len(server.seen) == 1


def test_requests_beyond_the_limit_are_throttled_and_no_others(start, upstream, eventually):
    server, gateway = upstream(), start(Stage("model", "one_each", most=3), answer_s=30.0)
    for member in range(3):
        gateway.add(member, server.base_url)
    with ThreadPoolExecutor(3) as callers:
        held = [callers.submit(post, gateway, "/silent") for _ in range(3)]
        assert eventually(lambda: len(server.seen) == 3)
        turned_away = [post(gateway).status for _ in range(5)]
        server.go_on.set()
        assert [each.result().status for each in held] == [200] * 3
    assert turned_away == [429] * 5
    assert post(gateway).status == 200
    passages = gateway.passages()
    throttled = passages[passages["status"] == 429]
    assert len(throttled) == 5
    assert set(throttled["member"]) == {NO_MEMBER}


def test_a_server_is_given_one_request_at_a_time(start, upstream):
    servers = [upstream(name) for name in "ab"]
    gateway = start(Stage("model", "one_each", most=50))
    for member, server in enumerate(servers):
        gateway.add(member, server.base_url)
    with ThreadPoolExecutor(8) as callers:
        answers = list(callers.map(lambda _: post(gateway, "/slow").status, range(24)))
    assert answers == [200] * 24
    assert [server.most_at_once for server in servers] == [1, 1]
    assert gateway.passages()["waited"].any()


def test_who_finds_no_server_waits_for_the_one_that_is_asked_for(start, upstream, eventually):
    gateway = start(Stage("model", "one_each", most=2), answer_s=30.0)
    with ThreadPoolExecutor(1) as caller:
        waiting = caller.submit(post, gateway)
        assert eventually(lambda: named(gateway.events, "wanted"))
        assert named(gateway.events, "wanted") == [{"event": "wanted", "stage": 0, "count": 1}]
        assert not waiting.done()
        gateway.add(0, upstream().base_url)
        assert waiting.result().status == 200
    (passage,) = gateway.passages()
    assert passage["waited"]
    assert passage["sent_s"] > passage["arrived_s"]


def test_a_start_that_fails_is_told_to_who_waited(start, eventually):
    gateway = start(Stage("model", "one_each", most=2))
    with ThreadPoolExecutor(1) as caller:
        waiting = caller.submit(post, gateway)
        assert eventually(lambda: named(gateway.events, "wanted"))
        gateway.start_failed("it ran out of memory")
        answer = waiting.result()
    assert answer.status == 500
    assert b"ran out of memory" in answer.body


def test_an_idle_server_is_given_back_and_the_least_is_asked_for(start, upstream, eventually):
    gateway = start(Stage("model", "one_each", most=3, least=1, idle_s=0.2))
    assert eventually(lambda: named(gateway.events, "wanted"))
    server = upstream()
    gateway.add(0, server.base_url)
    gateway.add(1, server.base_url)
    assert eventually(lambda: named(gateway.events, "idle"))
    time.sleep(0.3)
    assert len(named(gateway.events, "idle")) == 1
    assert post(gateway).status == 200


def test_a_line_passes_on_what_each_stage_answered(start, upstream):
    servers = [upstream(name) for name in "xyz"]
    gateway = start(*(Stage(server.name) for server in servers))
    for stage, server in enumerate(servers):
        gateway.add(stage, server.base_url, stage)
    answer = post(gateway, "/append", body=b"in-", content_type="text/csv", x_kept="1")
    assert answer.body == b"in-xyz"
    assert answer.headers["content-type"] == "text/plain"
    for server in servers[1:]:
        ((_, path, headers, _),) = server.seen
        assert path == "/append"
        types = [value for name, value in headers if name.lower() == "content-type"]
        assert types == ["text/plain"]
        assert "1" in dict(headers).values()
    passages = gateway.passages()
    assert passages["stage"].tolist() == [0, 1, 2]
    assert len(set(passages["request"])) == 1
    assert np.all(passages["sent_s"][1:] >= passages["answered_s"][:-1])


def test_a_line_ends_at_the_first_stage_that_fails(start, upstream):
    servers = [upstream(name) for name in "xy"]
    gateway = start(*(Stage(server.name) for server in servers))
    for stage, server in enumerate(servers):
        gateway.add(stage, server.base_url, stage)
    assert post(gateway, "/teapot").status == 418
    assert servers[1].seen == []


def test_a_fan_out_answers_with_what_all_said(start, upstream):
    servers = [upstream(name) for name in "xy"]
    gateway = start(*(Stage(server.name) for server in servers), shape="fan_out")
    for stage, server in enumerate(servers):
        gateway.add(stage, server.base_url, stage)
    assert json.loads(post(gateway, "/as-json").body) == {"x": {"by": "x"}, "y": {"by": "y"}}
    assert json.loads(post(gateway, "/append", body=b"-").body) == {"x": "-x", "y": "-y"}
    assert post(gateway, "/teapot").status == 418
    assert [len(server.seen) for server in servers] == [3, 3]


def test_every_request_leaves_a_passage_whose_instants_are_in_order(start, upstream):
    gateway = start(Stage("model"))
    for member in range(2):
        gateway.add(member, upstream(str(member)).base_url)
    begun_s = time.perf_counter()
    for _ in range(10):
        assert post(gateway).status == 200
    passages = gateway.passages()
    ended_s = time.perf_counter()
    assert sorted(passages["request"]) == list(range(10))
    instants = np.array(
        [passages[name] for name in ("arrived_s", "sent_s", "answered_s", "left_s")]
    )
    assert np.all(np.diff(instants, axis=0) >= 0)
    assert begun_s < instants.min()
    assert instants.max() < ended_s
    assert np.bincount(passages["member"]).tolist() == [5, 5]
    assert len(gateway.passages(first=7)) == 3
    assert gateway.cpu_s() > 0
    gateway.stop()
    assert np.array_equal(gateway.passages(), passages)


def test_it_stops_when_told_and_says_when_it_was_killed(start, journal):
    gateway = start()
    gateway.check()
    assert post(gateway, "/ping").status == 200
    os.kill(gateway.pid, signal.SIGKILL)
    gateway._process.wait()
    with pytest.raises(TargetDied, match="gateway"):
        gateway.check()
    gateway.stop()
    assert journal.entries() == ()
    with pytest.raises(TargetUnreachable):
        post(gateway)


PARENT = """
import sys, time
from pathlib import Path
from loadtests.gateway.process import Gateway
from loadtests.gateway.settings import GatewaySettings, Stage
from loadtests.journal import Journal

folder = Path(sys.argv[1])
gateway = Gateway(GatewaySettings((Stage("model"),)), folder / "g", Journal(folder / "journal"))
gateway.start()
print(gateway.pid, flush=True)
time.sleep(300)
"""


def test_it_ends_when_its_parent_is_killed(tmp_path, journal, repository, eventually):
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT, str(tmp_path)],
        stdout=subprocess.PIPE,
        cwd=repository,
    )
    try:
        gateway = int(parent.stdout.readline())
        assert is_living(gateway)
    finally:
        parent.kill()
        parent.wait()
        parent.stdout.close()
    assert eventually(lambda: not is_living(gateway))
    assert len(journal.leftovers()) == 1
    journal.clean_leftovers()
    assert journal.entries() == ()


@pytest.mark.parametrize(
    "stages",
    [(), (Stage("a"), Stage("a"))],
)
def test_a_gateway_needs_stages_that_can_be_told_apart(stages):
    with pytest.raises(UsageError):
        GatewaySettings(stages)


def test_settings_survive_the_command_line():
    settings = GatewaySettings(
        (Stage("a", "one_each", most=3, least=1, idle_s=2.5), Stage("b", "least_outstanding")),
        shape="fan_out",
        answer_s=3.0,
        largest_body_bytes=10,
    )
    assert GatewaySettings.from_json(settings.to_json()) == settings
