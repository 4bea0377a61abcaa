"""The container's programs as real processes."""

from __future__ import annotations

import http.client
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from contextlib import contextmanager
from importlib.machinery import SourceFileLoader
from importlib.util import module_from_spec, spec_from_loader

import joblib
import numpy as np
import psutil
import pytest
from sklearn.datasets import load_digits

from loadtests import sample_container

READY_WITHIN_S = 60

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def model_dir(tmp_path_factory):
    return sample_container.cached_model(tmp_path_factory.mktemp("models"))


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def call(port, method, path, body=None, content_type=None):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        connection.request(
            method, path, body, {"Content-Type": content_type} if content_type else {}
        )
        response = connection.getresponse()
        return response.status, response.read()
    finally:
        connection.close()


def wait_until_pinged(port, server, log):
    deadline_s = time.monotonic() + READY_WITHIN_S
    while True:
        try:
            return call(port, "GET", "/ping")[0]
        except OSError:
            assert server.poll() is None, log.read_text()
            assert time.monotonic() < deadline_s, log.read_text()
            time.sleep(0.05)


@contextmanager
def serving(model_dir, log, **environment):
    port = free_port()
    settings = sample_container.serve_environment(model_dir, str(port)) | environment
    with (
        log.open("w") as stream,
        subprocess.Popen(
            sample_container.serve_command(),
            env={**os.environ, **settings},
            stdout=stream,
            stderr=subprocess.STDOUT,
        ) as server,
    ):
        try:
            wait_until_pinged(port, server, log)
            yield port, server
        finally:
            server.terminate()
            try:
                server.wait(30)
            except subprocess.TimeoutExpired:
                server.kill()


def test_real_gunicorn_answers_as_scikit_learn_does(model_dir, tmp_path):
    model = joblib.load(model_dir / "model.joblib")
    asked = load_digits().data[:5]
    with serving(model_dir, tmp_path / "log", MODEL_SERVER_WORKERS="1") as (port, _):
        assert call(port, "GET", "/ping") == (200, b"")
        for body, content_type in [
            (json.dumps({"instances": asked.tolist()}), "application/json"),
            ("\n".join(",".join(map(str, row)) for row in asked), "text/csv"),
        ]:
            status, answer = call(port, "POST", "/invocations", body, content_type)
            assert status == 200
            document = json.loads(answer)
            assert document["predictions"] == model.predict(asked).tolist()
            np.testing.assert_allclose(document["probabilities"], model.predict_proba(asked))
        for body in sample_container.payloads():
            status, _ = call(port, "POST", "/invocations", body, sample_container.CONTENT_TYPE)
            assert status == 200
        assert call(port, "POST", "/invocations", "[[1]]", "application/json")[0] == 400
        assert call(port, "POST", "/invocations", "1", "image/png")[0] == 415
        too_large = b" " * (25 * 1024**2 + 1)
        assert call(port, "POST", "/invocations", too_large, "text/csv")[0] == 413


def test_one_connection_serves_many_requests(model_dir, tmp_path):
    body = sample_container.payloads()[0]
    with serving(model_dir, tmp_path / "log", MODEL_SERVER_WORKERS="1") as (port, _):
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        connection.connect()
        own_port = connection.sock.getsockname()[1]
        for _ in range(5):
            headers = {"Content-Type": sample_container.CONTENT_TYPE}
            connection.request("POST", "/invocations", body, headers)
            assert connection.getresponse().read()
            assert connection.sock.getsockname()[1] == own_port
        connection.close()


@pytest.fixture
def settings_of():
    loader = SourceFileLoader("serve", str(sample_container.directory() / "serve"))
    spec = spec_from_loader("serve", loader)
    module = module_from_spec(spec)
    sys.modules["serve"] = module  # dataclasses look their module up
    loader.exec_module(module)
    yield module.Settings.from_environment
    del sys.modules["serve"]


@pytest.mark.parametrize(
    ("environment", "workers"),
    [
        ({"MODEL_SERVER_WORKERS": "3", "WEB_CONCURRENCY": "1"}, 3),
        ({"SAGEMAKER_MODEL_SERVER_WORKERS": "2", "WEB_CONCURRENCY": "1"}, 2),
        ({"WEB_CONCURRENCY": "5"}, 5),
        ({"MODEL_SERVER_WORKERS": "", "WEB_CONCURRENCY": "5"}, 5),
        ({}, len(os.sched_getaffinity(0))),
    ],
)
def test_the_environment_decides_the_workers(settings_of, environment, workers):
    assert settings_of(environment).workers == workers


def test_the_defaults_are_the_contracts(settings_of):
    settings = settings_of({"SERVE_WITH_NGINX": "0"})
    assert (settings.host, settings.port) == ("0.0.0.0", 8080)  # noqa: S104
    assert (settings.threads, settings.timeout_s, settings.nginx) == (1, 60, None)


def still_running(family):
    """After ten seconds at most. A zombie runs no more; reaping an orphan is init's business."""
    _, left = psutil.wait_procs(family, timeout=10)
    return [one for one in left if one.is_running() and one.status() != psutil.STATUS_ZOMBIE]


def test_sigterm_leaves_no_process_behind(model_dir, tmp_path):
    with serving(model_dir, tmp_path / "log", MODEL_SERVER_WORKERS="2") as (port, server):
        family = psutil.Process(server.pid).children(recursive=True)
        assert len(family) == 2
        server.send_signal(signal.SIGTERM)
        assert server.wait(30) == 0
        assert still_running(family) == []
        with pytest.raises(ConnectionRefusedError):
            call(port, "GET", "/ping")


def test_it_does_not_write_into_the_home_directory(model_dir, tmp_path):
    home = tmp_path / "home"
    home.mkdir()
    unset = {"XDG_RUNTIME_DIR": ""}
    with serving(model_dir, tmp_path / "log", HOME=str(home), **unset):
        assert list(home.iterdir()) == []


def test_a_directory_without_a_model_is_unhealthy_but_answers(tmp_path):
    with serving(tmp_path, tmp_path / "log", MODEL_SERVER_WORKERS="1") as (port, _):
        status, body = call(port, "GET", "/ping")
        assert status == 503
        assert str(tmp_path) in json.loads(body)["error"]


def test_a_users_own_code_is_served(tmp_path):
    (tmp_path / "code").mkdir()
    (tmp_path / "code" / "inference.py").write_text(
        "def model_fn(model_dir):\n    return len\n\n\n"
        "def input_fn(body, content_type):\n    return body\n\n\n"
        "def predict_fn(data, model):\n    return {'length': model(data)}\n"
    )
    with serving(tmp_path, tmp_path / "log", MODEL_SERVER_WORKERS="1") as (port, _):
        answer = call(port, "POST", "/invocations", b"\x00\x01\x02", "application/octet-stream")
        assert answer == (200, b'{"length": 3}')


FAKE_NGINX = """#!/bin/sh
cp "$4" "{copy}"
sleep 600 &
echo $$ > "{copy}.pid"
exec sleep 600
"""


@contextmanager
def behind_fake_nginx(model_dir, tmp_path):
    """The real gunicorn behind an nginx that has one worker and only keeps its configuration."""
    copy = tmp_path / "nginx.conf"
    program = tmp_path / "bin" / "nginx"
    program.parent.mkdir()
    program.write_text(FAKE_NGINX.format(copy=copy))
    program.chmod(0o755)
    log = tmp_path / "log"
    settings = sample_container.serve_environment(model_dir, "18080") | {
        "SERVE_WITH_NGINX": "1",
        "MODEL_SERVER_WORKERS": "1",
        "PATH": f"{program.parent}:{os.environ['PATH']}",
    }
    with (
        log.open("w") as stream,
        subprocess.Popen(
            sample_container.serve_command(),
            env={**os.environ, **settings},
            stdout=stream,
            stderr=subprocess.STDOUT,
        ) as server,
    ):
        try:
            deadline_s = time.monotonic() + READY_WITHIN_S
            while not (copy.with_name("nginx.conf.pid").exists() and "Booting" in log.read_text()):
                assert server.poll() is None, log.read_text()
                assert time.monotonic() < deadline_s, log.read_text()
                time.sleep(0.05)
            yield server, copy
        finally:
            server.kill()


def test_nginx_is_given_a_whole_configuration(model_dir, tmp_path):
    with behind_fake_nginx(model_dir, tmp_path) as (server, copy):
        text = copy.read_text()
        assert "listen 127.0.0.1:18080 " in text
        assert not re.search(r"@\w+@", text)
        path = re.search(r"server unix:(\S+)", text).group(1)
        with socket.socket(socket.AF_UNIX) as to_gunicorn:
            to_gunicorn.connect(path)
            to_gunicorn.sendall(b"GET /ping HTTP/1.0\r\n\r\n")
            assert to_gunicorn.makefile("rb").readline().split()[1] == b"200"
        server.terminate()
        assert server.wait(30) == 0
        assert not os.path.exists(os.path.dirname(path))  # noqa: PTH110, PTH120


@pytest.mark.parametrize("victim", ["nginx", "gunicorn"])
def test_when_one_part_dies_the_other_is_stopped(model_dir, tmp_path, victim):
    with behind_fake_nginx(model_dir, tmp_path) as (server, copy):
        family = psutil.Process(server.pid).children(recursive=True)
        assert len(family) == 4
        nginx_pid = int(copy.with_name("nginx.conf.pid").read_text())
        master = next(p for p in psutil.Process(server.pid).children() if p.pid != nginx_pid)
        os.kill(nginx_pid if victim == "nginx" else master.pid, signal.SIGKILL)
        assert server.wait(40) == 1
        assert still_running(family) == []
    assert f"{victim} ended" in (tmp_path / "log").read_text()
