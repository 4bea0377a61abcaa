"""What every target promises, whatever it is. A new kind proves itself by one fixture."""

import sys
import time

import numpy as np
import psutil
import pytest

from loadtests.errors import TargetDied
from loadtests.fleets.interruptions import Interruptions
from loadtests.journal import Journal
from loadtests.samples import RECORD, Samples
from loadtests.serverless.spec import ServerlessSpec
from loadtests.targets import (
    ContainerSpec,
    ContainerTarget,
    ProcessSpec,
    ProcessTarget,
    Sizing,
    Target,
    UrlTarget,
    running,
    try_payload,
)
from loadtests.targets.pipeline import Pipeline, PipelineTarget
from loadtests.targets.protocol import FrontedTarget, InterruptibleTarget, ScalesFromZero
from loadtests.targets.replicas import Replicas, ReplicatedTarget
from loadtests.targets.serverless import ServerlessTarget
from loadtests.targets.spot import SpotTarget

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


def check_for(target, within_s):
    given_up_s = time.perf_counter() + within_s
    while time.perf_counter() < given_up_s:
        target.check()
        time.sleep(0.02)


class TargetContract:
    @pytest.fixture
    def target(self):
        raise NotImplementedError

    @pytest.fixture
    def echoed(self):
        """What it answers to b"hello"."""
        return b"hello"

    @pytest.fixture
    def kill(self):
        """A function that ends the system under test from outside."""
        raise NotImplementedError

    def test_it_is_a_target(self, target):
        assert isinstance(target, Target)

    def test_it_answers_once_it_is_ready(self, target, echoed):
        with running(target) as setup:
            answer = try_payload(target, b"hello", content_type="text/plain")
            assert answer.body == echoed
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

    @pytest.mark.parametrize("at_once", [False, True])
    def test_that_its_machine_is_taken_away_is_noticed(self, target, at_once):
        if not isinstance(target, InterruptibleTarget):
            pytest.skip("it has no machine of its own")
        target.interrupt(at_once=at_once)  # nothing is there yet
        with running(target):
            target.interrupt(at_once=at_once)
            with pytest.raises(TargetDied):
                check_for(target, 20)
            target.interrupt(at_once=at_once)
        target.interrupt(at_once=at_once)


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


@pytest.mark.podman
@pytest.mark.usefixtures("engine")
class TestContainerTarget(TargetContract):
    @pytest.fixture
    def target(self, server_images, tmp_path):
        target = ContainerTarget(
            ContainerSpec(f"{server_images}-plain", stop_grace_s=1.0),
            Sizing(vcpus=1, memory_gib=0.5),
            tmp_path,
            Journal(tmp_path / "journal"),
        )
        yield target
        target.stop()

    @pytest.fixture
    def kill(self, target):
        def end_it():
            (server,) = map(psutil.Process, target._container.pids())
            server.kill()
            server.wait(15)

        return end_it


class TestServerlessTarget(TargetContract):
    @pytest.fixture
    def target(self, tmp_path):
        script = tmp_path / "server.py"
        script.write_text(SERVER)
        journal = Journal(tmp_path / "journal")
        spec = ServerlessSpec(memory_gib=1, max_concurrency=2, vcpus_per_gib=1.0)

        def instance(number, cores):
            workspace = tmp_path / f"instance-{number}"
            workspace.mkdir()
            command = (sys.executable, str(script), "{port}")
            return ProcessTarget(ProcessSpec(command), spec.sizing, workspace, journal, cores)

        target = ServerlessTarget(spec, instance, tmp_path, journal)
        yield target
        target.stop()
        assert journal.entries() == ()

    @pytest.fixture
    def kill(self, target):
        def end_it():
            (instance,) = target._fleet.members.alive
            supervisor = psutil.Process(instance.target._supervised.pid)
            (server,) = supervisor.children()
            server.kill()
            supervisor.wait(15)

        return end_it

    def test_it_scales_from_zero_behind_a_front_of_ours(self, target):
        assert isinstance(target, ScalesFromZero)
        assert isinstance(target, FrontedTarget)


@pytest.fixture
def members(tmp_path):
    """Makes servers for a fleet, the journal of which is empty in the end."""
    script = tmp_path / "server.py"
    script.write_text(SERVER)
    journal = Journal(tmp_path / "journal")

    def make(number, cores):
        workspace = tmp_path / f"member-{number}"
        workspace.mkdir()
        spec = ProcessSpec((sys.executable, str(script), "{port}"))
        return ProcessTarget(spec, Sizing(vcpus=1, memory_gib=0.5), workspace, journal, cores)

    yield make, journal
    assert journal.entries() == ()


class FleetContract(TargetContract):
    """What else one promises that stands behind a gateway of ours."""

    @pytest.fixture
    def kill(self, target):
        def end_it():
            last = target.fleet.members.alive[-1]
            supervisor = psutil.Process(last.target._supervised.pid)
            (server,) = supervisor.children()
            server.kill()
            supervisor.wait(15)

        return end_it

    def test_it_says_what_went_on_inside(self, target):
        assert isinstance(target, FrontedTarget)
        with running(target):
            with target.under_load() as inside:
                try_payload(target, b"hello", content_type="text/plain")
            assert target.front_cpu_s() > 0
        told = inside(Samples(np.zeros(0, RECORD)))
        assert type(told).model_validate_json(told.model_dump_json()) == told


class TestReplicatedTarget(FleetContract):
    @pytest.fixture
    def target(self, members, tmp_path):
        make, journal = members
        target = ReplicatedTarget(make, Replicas(2, vcpus=1), tmp_path / "fleet", journal)
        yield target
        target.stop()


class TestSpotTarget(FleetContract):
    @pytest.fixture
    def target(self, members, tmp_path):
        make, journal = members
        fleet = (Replicas(2, vcpus=1), Interruptions(at=(60,)))
        target = SpotTarget(make, fleet, tmp_path / "fleet", journal)
        yield target
        target.stop()


class TestPipelineTarget(FleetContract):
    @pytest.fixture
    def target(self, members, tmp_path):
        make, journal = members
        pipeline = Pipeline({"first": make, "second": make}, vcpus=1)
        target = PipelineTarget(pipeline, tmp_path / "fleet", journal)
        yield target
        target.stop()


class TestFanOutTarget(FleetContract):
    @pytest.fixture
    def target(self, members, tmp_path):
        make, journal = members
        pipeline = Pipeline({"left": make, "right": make}, "fan_out", vcpus=1)
        target = PipelineTarget(pipeline, tmp_path / "fleet", journal)
        yield target
        target.stop()

    @pytest.fixture
    def echoed(self):
        return b'{"left": "hello", "right": "hello"}'
