"""Killed at any instant, the program leaves nothing that `cleanup` does not remove."""

import os
import signal
import time
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest

from loadtests.journal import Journal

pytestmark = [pytest.mark.locust, pytest.mark.beside]

INSTANTS = int(os.environ.get("RECOMMENDER_CHAOS", "2"))  # 30 by hand; each takes some seconds
SPAN_S = 14.0
PLAN = """
model: "demo: --servers 2 --service det:0.002"
payloads: payload.json
configurations:
  - name: three on spot
    replicas: 3
    spot: {at: [1s], notice: 60s, start_up_delay: 30s, time_scale: 0.01}
  - {name: serverless, serverless: {memory_gib: 1, max_concurrency: 2, idle: 1s}}
  - name: line
    model:
      pipeline:
        first: "demo: --service det:0.001"
        second: "demo: --service det:0.002"
  - {name: sized, vcpus: 0.5, memory_gib: 1}
traffic: 40rps
duration: 2s
"""


CONTAINERS = """
model: {{image: "{image}"}}
payloads: {{file: payload.txt, content_type: text/plain}}
configurations:
  - name: two on spot
    vcpus: 0.5
    memory_gib: 0.25
    replicas: 2
    spot: {{at: [1s], notice: 60s, start_up_delay: 30s, time_scale: 0.01}}
  - {{name: serverless, serverless: {{memory_gib: 1, max_concurrency: 2, from_zero: true}}}}
  - name: line
    model: {{pipeline: {{first: {{image: "{image}"}}, second: {{image: "{image}"}}}}}}
traffic: 20rps
duration: 3s
"""
CONTAINERS_SPAN_S = 18.0


@pytest.fixture
def temporary(monkeypatch):
    """Of a short name: a socket's may have a hundred characters."""
    with TemporaryDirectory() as name:
        monkeypatch.setenv("TMPDIR", name)
        yield Path(name)


@pytest.fixture
def killed(recommender, temporary):
    """The program killed so long after its start, and `cleanup`."""

    def kill(after_s):
        process = recommender.start("loadtest", "plan.yaml", "--quiet")
        time.sleep(after_s)
        assert process.poll() is None, process.communicate()
        process.send_signal(signal.SIGKILL)
        process.wait()
        entries = Journal(recommender.home / "state" / "journal").entries()
        journalled = [path for entry in entries for path in entry.paths]
        cleaned = recommender.run("cleanup")
        assert cleaned.returncode == 0, cleaned.stderr
        assert recommender.nothing_left(), recommender.left_running()
        assert "nothing to clean up" in recommender.run("cleanup").stdout
        assert [path for path in journalled if path.exists()] == []
        assert list(temporary.iterdir()) == []

    return kill


def instants(count, span_s):
    """One in each part of the plan's time, drawn within it."""
    drawn = np.random.default_rng(count).random(count)
    return [round(float(span_s / count * (number + drawn[number])), 2) for number in range(count)]


@pytest.mark.parametrize("after_s", instants(INSTANTS, SPAN_S))
def test_what_a_killed_plan_leaves_is_cleaned_up(recommender, killed, after_s):
    recommender.write_plan(PLAN)
    killed(after_s)


@pytest.mark.podman
@pytest.mark.parametrize("after_s", instants(INSTANTS, CONTAINERS_SPAN_S))
def test_no_container_outlives_it_either(
    recommender, killed, after_s, shared_engine, server_images
):
    def containers():
        """Of images that nobody else has: others may run beside this test."""
        listed = shared_engine.client.containers(all=True)
        return {each["Id"] for each in listed if each["Image"].startswith(server_images)}

    recommender.write_plan(CONTAINERS.format(image=f"{server_images}-labelled"))
    (recommender.folder / "payload.txt").write_text("hello")
    killed(after_s)
    assert containers() == set()
