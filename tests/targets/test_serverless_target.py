"""A serverless configuration of real processes, whose truths are planted."""

import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import psutil
import pytest

from loadtests.demo_server import DemoServer
from loadtests.errors import (
    LimitUnavailable,
    LoadTestError,
    TargetDied,
    TargetExited,
    UsageError,
)
from loadtests.resources import ResourceMonitor
from loadtests.serverless.drill import measure_cold_starts
from loadtests.serverless.report import Span
from loadtests.serverless.spec import MIB_PER_VCPU, PAYLOAD_LIMIT_BYTES, ServerlessSpec
from loadtests.targets import ProcessSpec, ProcessTarget, exchange, running
from loadtests.targets.processes import descendants, is_living
from loadtests.targets.serverless import ServerlessTarget
from loadtests.workload import Payload, Workload

pytestmark = pytest.mark.beside

SETUP_S = 0.5
SERVICE_S = 0.05
HELD_BYTES = 150 << 20
WORKLOAD = Workload((Payload("row", b"1,2,3"),), "text/csv")
# Notes when it began to listen, on the clock of perf_counter, which all processes share. Its first
# answer is the slowest, as where something is loaded late. Fails while the file "broken" is there.
PLANTED = f"""
import http.server, sys, time
from pathlib import Path

folder, port = Path(sys.argv[1]), int(sys.argv[2])
if (folder / "broken").exists():
    print("OSError: no room for the model", file=sys.stderr, flush=True)
    sys.exit(3)
held = b"x" * {HELD_BYTES}
time.sleep({SETUP_S})
answered = []


class Model(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        time.sleep({SERVICE_S} if answered else 3 * {SERVICE_S})
        answered.append(1)
        self.do_GET()


server = http.server.ThreadingHTTPServer(("127.0.0.1", port), Model)
(folder / f"listened-{{port}}").write_text(str(time.perf_counter()))
server.serve_forever()
"""


def spec_of(**given):
    """A whole core each: that needs no control group."""
    return ServerlessSpec(**{"memory_gib": 1, "max_concurrency": 3, "vcpus_per_gib": 1.0, **given})


@pytest.fixture
def serverless(tmp_path, journal):
    """Makes targets; they leave nothing."""
    made = []

    def make(spec, demo=None):
        folder = tmp_path / f"target-{len(made)}"
        command = (demo or DemoServer(service=f"det:{SERVICE_S}")).command()
        if demo is None:
            script = tmp_path / "planted.py"
            script.write_text(PLANTED)
            command = (sys.executable, str(script), str(tmp_path), "{port}")

        def instance(number, cores):
            workspace = folder / str(number)
            workspace.mkdir(parents=True)
            return ProcessTarget(
                ProcessSpec(command, stop_grace_s=5.0), spec.sizing, workspace, journal, cores
            )

        made.append(ServerlessTarget(spec, instance, folder, journal))
        return made[-1]

    yield make
    for target in made:
        target.stop()
    assert journal.entries() == ()


def ask(target, body=b"1,2,3"):
    url = f"{target.describe().base_url}/invocations"
    return exchange(url, method="POST", body=body, timeout_s=30.0)


def ask_together(target, count):
    with ThreadPoolExecutor(count) as callers:
        return sorted(callers.map(lambda _: ask(target).status, range(count)))


def in_service(target):
    return [each for each in target.instances() if each.ready_s and not each.ended_s]


def server_of(target):
    (instance,) = target._fleet.members.alive
    (server,) = psutil.Process(instance.target._supervised.pid).children()
    return server


@pytest.mark.alone
def test_a_planted_cold_start_lies_in_the_stated_interval(serverless, tmp_path):
    target = serverless(spec_of())
    with running(target):
        drill = measure_cold_starts(target, WORKLOAD, 3)
        started_s = [each.started_s for each in target.instances()][-3:]
    listened = sorted(float(file.read_text()) for file in tmp_path.glob("listened-*"))[-3:]
    truth_s = float(np.mean(np.subtract(listened, started_s)))
    starts = drill.starts
    assert starts.count == 3
    assert truth_s > SETUP_S
    assert starts.setup_s.low <= truth_s <= starts.setup_s.high
    assert starts.setup_s.low < starts.setup_s.value < starts.setup_s.high
    assert starts.first_service_s.value == pytest.approx(3 * SERVICE_S, rel=0.5)
    assert starts.first_answer_s.value == pytest.approx(
        starts.setup_s.value + starts.first_service_s.value
    )
    assert starts.waited_s.value >= starts.setup_s.value
    assert drill.latency_s.value >= starts.first_answer_s.value
    assert drill.warm_latency_s.value == pytest.approx(SERVICE_S, rel=0.9)
    assert SETUP_S < drill.penalty_s < drill.latency_s.value


@pytest.mark.alone
def test_what_a_run_from_zero_showed(serverless):
    """Six at once where two may be: two start cold, four are turned away, and all is counted."""
    target = serverless(spec_of(max_concurrency=2, from_zero=True))
    with running(target):
        assert ask(target).status == 200
        with target.under_load() as told:
            assert target.usage().processes == 1  # the gateway
            target.check()
            assert ask_together(target, 6) == [200] * 2 + [429] * 4
            warm = [ask(target).status for _ in range(8)]
        assert warm == [200] * 8
        found = told(None)
        assert ask(target).status == 200  # belongs to no run any more
    assert found.requests.count == 14
    assert (found.requests.cold, found.requests.throttled, found.requests.failed) == (2, 4, 0)
    assert found.requests.throttled_ratio.low < 4 / 14 < found.requests.throttled_ratio.high
    assert found.requests.cold_ratio.value == pytest.approx(2 / 10)
    assert found.starts.count == 2
    assert found.starts.setup_s.value > SETUP_S
    assert found.instances.peak == 2
    assert found.instances.ready[0] == (0.0, 0)
    median = found.requests.warm_service[0].seconds
    assert median.low <= SERVICE_S * 1.9
    assert SERVICE_S <= median.value < 3 * SERVICE_S
    assert found.billed.on_demand_s >= 2 * 3 * SERVICE_S + 8 * SERVICE_S
    assert found.billed.provisioned_s == 0
    assert HELD_BYTES < found.instances.memory_peak_bytes < 2 * HELD_BYTES
    assert found.instances.memory_ratio == pytest.approx(found.instances.memory_peak_bytes / 2**30)
    assert target.measured(Span(0.0, time.perf_counter())).requests.count == 16


def test_who_has_nothing_to_do_is_reclaimed_and_comes_back_when_asked(serverless, eventually):
    target = serverless(spec_of(idle_s=0.4), DemoServer())
    with running(target), ResourceMonitor(target, every_s=0.05) as monitor:
        server = server_of(target)
        assert eventually(lambda: not in_service(target))
        assert eventually(lambda: not server.is_running())
        assert eventually(lambda: target.usage().memory_bytes == 0)
        target.check()
        read = len(monitor.series)
        assert eventually(lambda: len(monitor.series) > read + 1)
        assert ask(target).status == 200
        assert len(target.instances()) == 2
        assert target.cold_starts()[1].waited_s > 0
    series = monitor.series
    assert "target_cpu_s" not in series.notes  # nothing runs, and nothing has ended
    assert series.target_memory_bytes.min() == 0
    assert np.all(np.diff(series.target_cpu_s) >= 0)


@pytest.mark.alone
def test_provisioned_instances_are_there_and_stay(serverless, eventually):
    target = serverless(spec_of(provisioned_concurrency=2, idle_s=0.3), DemoServer())
    with running(target):
        kept = {each.number for each in in_service(target)}
        assert len(kept) == len(target.instances()) == 2
        target.scale_to_zero()
        begun_s = time.perf_counter()
        assert [ask(target).status for _ in range(4)] == [200] * 4
        assert ask_together(target, 3) == [200] * 3
        eventually(lambda: False, within_s=0.6)  # longer than an idle one is kept
        assert eventually(lambda: len(in_service(target)) == 2)
        found = target.measured(Span(begun_s, time.perf_counter()))
        with pytest.raises(UsageError, match="started 0 instances"):
            measure_cold_starts(target, WORKLOAD, 1)
    assert {each.number for each in target.instances()} >= kept
    assert found.billed.provisioned_duration_s > 0
    assert found.billed.provisioned_s == pytest.approx(2 * found.elapsed_s)


def test_starts_that_fail_are_told_to_the_caller_and_end_the_test(serverless, tmp_path):
    target = serverless(spec_of())
    broken = tmp_path / "broken"
    with running(target):
        target.scale_to_zero()
        broken.touch()
        answer = ask(target)
        assert answer.status == 500
        assert b"exit status 3" in answer.body
        target.check()
        broken.unlink()
        assert ask(target).status == 200
        target.scale_to_zero()
        broken.touch()
        assert [ask(target).status for _ in range(3)] == [500] * 3
        with pytest.raises(TargetDied, match="no room for the model"):
            target.check()
        found = target.measured(Span(0.0, time.perf_counter()))
    assert (found.instances.failed_starts, found.requests.failed, found.starts.count) == (4, 4, 2)
    assert found.requests.cold == 1
    assert "no room" in target.instances()[1].failure


def test_what_does_not_start_at_all_is_no_target(serverless, tmp_path):
    (tmp_path / "broken").touch()
    for spec in (spec_of(), spec_of(provisioned_concurrency=2)):
        target = serverless(spec)
        with pytest.raises(TargetExited, match="no room for the model"), running(target):
            pass
        assert not [line for line in target.log_tail() if "room" not in line]


def test_a_size_that_this_machine_cannot_give_is_refused_at_launch(serverless):
    target = serverless(spec_of(memory_gib=6, vcpus_per_gib=100.0), DemoServer())
    with pytest.raises(LimitUnavailable, match="600 vCPUs"):
        target.launch()


def test_an_instance_that_dies_gets_no_more_requests_and_is_told_of(serverless, eventually):
    target = serverless(spec_of(), DemoServer(service="det:0.01"))
    with running(target):
        assert ask(target).status == 200
        server = server_of(target)
        server.kill()
        assert eventually(lambda: not is_living(server.pid))
        assert ask(target).status == 502
        assert eventually(lambda: ask(target).status == 200)  # by another
        with pytest.raises(TargetDied, match="SIGKILL"):
            target.check()


def test_it_stops_though_an_instance_is_still_starting(serverless, journal, eventually):
    target = serverless(spec_of(), DemoServer(setup_s=1.0))
    with running(target):
        target.scale_to_zero()
        with ThreadPoolExecutor(1) as caller:
            waiting = caller.submit(ask, target)
            assert eventually(lambda: len(target.instances()) == 2)
            target.stop()
            assert waiting.result().status == 500
    assert journal.entries() == ()
    assert all(each.ended_s for each in target.instances())


def test_it_can_be_launched_again_and_has_forgotten_what_was(serverless):
    target = serverless(spec_of(), DemoServer())
    with running(target):
        with pytest.raises(LoadTestError, match="already"):
            target.launch()
        assert ask(target).status == 200
    assert len(target.passages()) == 1
    with running(target):
        assert len(target.passages()) == 0
        assert len(target.instances()) == 1


def test_a_payload_beyond_the_platforms_limit_is_refused(serverless):
    target = serverless(spec_of(), DemoServer())
    with running(target):
        assert ask(target, b"x" * (PAYLOAD_LIMIT_BYTES + 1)).status == 413


def test_the_description_is_of_an_instance_and_says_what_is_assumed(serverless):
    target = serverless(spec_of(max_concurrency=2), DemoServer())
    with running(target):
        described = target.describe()
    assert described.kind == "serverless"
    assert (described.sizing.vcpus, described.sizing.memory_gib) == (1.0, 1.0)
    assert described.limits.memory_gib == 1.0
    assert "up to 2 instances" in described.limits.cpu
    assert any("CPU grows with memory" in note for note in described.notes)


OWNER = """
import sys, time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from loadtests.demo_server import DemoServer
from loadtests.journal import Journal
from loadtests.serverless.spec import ServerlessSpec
from loadtests.targets import ProcessSpec, ProcessTarget, exchange
from loadtests.targets.serverless import ServerlessTarget

folder = Path(sys.argv[1])
journal = Journal(folder / "journal")
spec = ServerlessSpec(1, 2, vcpus_per_gib=1.0)

def instance(number, cores):
    (folder / str(number)).mkdir()
    command = ProcessSpec(DemoServer(setup_s=0.1).command())
    return ProcessTarget(command, spec.sizing, folder / str(number), journal, cores)

target = ServerlessTarget(spec, instance, folder, journal)
target.launch()
target.ready()
target.scale_to_zero()
with ThreadPoolExecutor(2) as callers:
    ask = lambda _: exchange(target.describe().base_url + "/invocations", method="POST", body=b"1")
    callers.submit(ask, 0), callers.submit(ask, 1)
    while not target.instances()[1:]:
        pass
    print("asked", flush=True)
    time.sleep(300)
"""


@pytest.mark.parametrize("after_s", [0.0, 0.3])
def test_nothing_outlives_an_owner_killed_while_instances_start(
    tmp_path, journal, repository, eventually, after_s
):
    owner = subprocess.Popen(
        [sys.executable, "-c", OWNER, str(tmp_path)], stdout=subprocess.PIPE, cwd=repository
    )
    try:
        assert owner.stdout.readline() == b"asked\n"
        time.sleep(after_s)
        below = descendants(owner.pid)
        assert below
    finally:
        owner.kill()
        owner.wait()
        owner.stdout.close()
    journal.clean_leftovers()
    assert journal.entries() == ()
    assert eventually(lambda: not any(map(is_living, below)))


@pytest.mark.parametrize(
    "wrong",
    [
        {"memory_gib": 7},
        {"memory_gib": 0},
        {"memory_gib": 1.5},
        {"max_concurrency": 0},
        {"max_concurrency": 201},
        {"provisioned_concurrency": 4},
        {"provisioned_concurrency": -1},
        {"vcpus_per_gib": 0.0},
        {"idle_s": 0.0},
    ],
)
def test_what_the_platform_does_not_offer_is_refused(wrong):
    with pytest.raises(UsageError):
        spec_of(**wrong)


def test_the_cpu_grows_with_the_memory():
    sizes = [ServerlessSpec(memory_gib, 1).vcpus for memory_gib in range(1, 7)]
    assert sizes == pytest.approx([1024 * n / MIB_PER_VCPU for n in range(1, 7)], abs=1e-3)
    assert spec_of(memory_gib=2).sizing.vcpus == 2.0
