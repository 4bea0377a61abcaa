"""What every target promises, whatever it is. A new kind proves itself by one fixture."""

import sys

import psutil
import pytest

from loadtests.errors import TargetDied
from loadtests.journal import Journal
from loadtests.targets import (
    ProcessSpec,
    ProcessTarget,
    Sizing,
    Target,
    UrlTarget,
    running,
    try_payload,
)

SERVER = """
import http.server, sys


class Model(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def answer(self, body):
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        self.answer(b"")

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if body.isdigit():
            sum(range(int(body)))
        self.answer(body)


http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Model).serve_forever()
"""


@pytest.fixture
def process_target(tmp_path):
    script = tmp_path / "server.py"
    script.write_text(SERVER)
    target = ProcessTarget(
        ProcessSpec((sys.executable, str(script), "{port}")),
        Sizing(vcpus=1, memory_gib=0.5),
        tmp_path,
        Journal(tmp_path / "journal"),
    )
    yield target
    target.stop()


class TargetContract:
    @pytest.fixture
    def target(self):
        raise NotImplementedError

    @pytest.fixture
    def kill(self):
        """A function that ends the system under test from outside."""
        raise NotImplementedError

    def test_it_is_a_target(self, target):
        assert isinstance(target, Target)

    def test_it_answers_once_it_is_ready(self, target):
        with running(target) as setup:
            answer = try_payload(target, b"hello", content_type="text/plain")
            assert answer.body == b"hello"
            assert answer.seconds > 0
            assert setup.ready_s is None or setup.ready_s > 0
            target.check()

    def test_its_description_outlives_it(self, target):
        with running(target):
            during = target.describe()
        assert during.base_url.startswith("http://127.0.0.1:")
        assert during.kind
        assert during.label
        assert during.started_from
        assert target.describe() == during

    def test_use_never_falls_and_is_kept_after_the_end(self, target):
        with running(target):
            first = target.usage()
            try_payload(target, b"3000000", content_type="text/plain")
            second = target.usage()
        last = target.usage()
        assert first.cpu_s < second.cpu_s <= last.cpu_s
        assert last.memory_peak_bytes >= second.memory_bytes > 0
        assert last.source

    def test_its_log_is_lines(self, target):
        with running(target):
            assert all(isinstance(line, str) for line in target.log_tail(3))
            assert len(target.log_tail(3)) <= 3

    def test_stopping_is_idempotent_and_needs_no_launch(self, target):
        target.stop()
        target.launch()
        target.stop()
        target.stop()

    def test_its_death_is_noticed_and_it_can_still_be_stopped(self, target, kill):
        with running(target):
            kill()
            with pytest.raises(TargetDied):
                target.check()
        target.stop()


class TestProcessTarget(TargetContract):
    @pytest.fixture
    def target(self, process_target):
        return process_target

    @pytest.fixture
    def kill(self, process_target):
        def end_it():
            supervisor = psutil.Process(process_target._supervised.pid)
            (server,) = supervisor.children()
            server.kill()
            supervisor.wait(15)

        return end_it


class TestUrlTarget(TargetContract):
    @pytest.fixture
    def target(self, process_target):
        process_target.launch()
        process_target.ready()
        return UrlTarget(process_target.describe().base_url, Sizing(vcpus=1))

    @pytest.fixture
    def kill(self, process_target):
        return process_target.stop

    def test_stopping_leaves_it_running(self, target, process_target):
        with running(target):
            pass
        process_target.check()
        assert try_payload(target, b"still", content_type="text/plain").body == b"still"
