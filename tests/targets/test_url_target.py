import socket

import pytest

from loadtests.errors import TargetUnreachable, UsageError
from loadtests.targets import UrlTarget, running

pytestmark = pytest.mark.beside


@pytest.fixture
def closed_port():
    with (
        socket.socket() as held
    ):  # bound and never listening: refuses, and nobody else can take it
        held.bind(("127.0.0.1", 0))
        yield held.getsockname()[1]


def test_nothing_at_the_url_is_told(closed_port, monkeypatch):
    monkeypatch.setattr("loadtests.targets.url.REACHABLE_WITHIN_S", 0.1)
    target = UrlTarget(f"http://127.0.0.1:{closed_port}")
    with pytest.raises(TargetUnreachable, match="connection refused") as caught, running(target):
        pass
    assert "--command" in caught.value.hint


def test_any_answer_is_reachable_and_what_it_said_is_kept(make_target):
    process = make_target("no-ping")
    process.launch()
    port = process._port
    waiting = UrlTarget(f"http://localhost:{port}/")
    with running(waiting) as setup:
        assert setup.ready_s is None
        assert setup.ping == "answers 404 to GET /ping"


def test_the_process_behind_a_loopback_url_is_measured_and_named(make_target):
    process = make_target()
    with running(process):
        target = UrlTarget(process.describe().base_url)
        with running(target):
            assert "process tree of the listener, python" in target.usage().source
            assert target.usage().processes == 1


def test_another_machines_use_is_unknown_with_a_reason():
    target = UrlTarget("http://192.0.2.1:8080")
    target.launch()
    usage = target.usage()
    assert usage.cpu_s is None
    assert usage.memory_bytes is None
    assert "another machine" in usage.source


@pytest.mark.parametrize(
    ("url", "base"),
    [
        ("http://127.0.0.1:8080", "http://127.0.0.1:8080"),
        ("http://127.0.0.1:8080/invocations", "http://127.0.0.1:8080"),
        ("http://127.0.0.1/v2/ping", "http://127.0.0.1/v2"),
    ],
)
def test_the_base_of_a_url_is_found(url, base):
    assert UrlTarget(url).describe().base_url == base


@pytest.mark.parametrize("url", ["127.0.0.1:8080", "ftp://host", "http://", "http://host:port"])
def test_what_is_no_url_is_refused(url):
    with pytest.raises(UsageError, match="is no"):
        UrlTarget(url)
