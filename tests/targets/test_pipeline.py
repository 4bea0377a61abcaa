"""Pipelines and fan-outs of real processes, their slowest stage planted."""

import json
import sys

import pytest
from fleets import demo, maker
from sending import send

from loadtests.errors import TargetDied, UsageError
from loadtests.fleets.interruptions import Interruptions
from loadtests.targets import capabilities, exchange, running, try_payload
from loadtests.targets.pipeline import Pipeline, PipelineTarget
from loadtests.targets.replicas import Replicas
from loadtests.targets.spot import SpotTarget

pytestmark = pytest.mark.beside

STAGE = """
import http.server, sys

mark, kind = sys.argv[1], sys.argv[2]


class Stage(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def answer(self, status, body, content_type):
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        self.answer(200, b"", "text/plain")

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        came_as = self.headers["Content-Type"]
        if mark.encode() in body.split(b" "):
            return self.answer(400, b"not twice", "text/plain")
        self.answer(200, body + f" {mark}({came_as})".encode(), kind)


http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[3])), Stage).serve_forever()
"""
MANY = 200


@pytest.fixture
def pipeline(tmp_path, journal):
    """stages: commands by name."""
    targets = []

    def start(stages, shape="line", **more):
        makes = {name: maker(tmp_path, journal, command) for name, command in stages.items()}
        folder = tmp_path / f"pipeline-{len(targets)}"
        target = PipelineTarget(Pipeline(makes, shape, **more), folder, journal)
        targets.append(target)
        return target

    yield start
    for target in targets:
        target.stop()


@pytest.fixture
def marking(tmp_path):
    script = tmp_path / "stage.py"
    script.write_text(STAGE)

    def command(mark, kind):
        return (sys.executable, str(script), mark, kind, "{port}")

    return command


def test_each_answer_is_the_next_ones_request_with_its_content_type(pipeline, marking):
    target = pipeline({"a": marking("a", "text/csv"), "b": marking("b", "text/x-b")})
    with running(target):
        answer = try_payload(target, b"in", content_type="text/plain")
    assert answer.body == b"in a(text/plain) b(text/csv)"
    assert answer.headers["content-type"] == "text/x-b"


def test_a_stage_that_fails_ends_it_and_is_named(pipeline, marking):
    stages = {name: marking(name, "text/plain") for name in ("a", "b", "c")}
    target = pipeline(stages)
    with running(target):
        for body in (b"b now", b"x"):
            url = target.describe().base_url + "/invocations"
            exchange(url, method="POST", body=body, headers={"Content-Type": "text/plain"})
        passages = target.fleet.gateway.passages()
    assert passages["status"][passages["request"] == 0].tolist() == [200, 400]
    assert passages["status"][passages["request"] == 1].tolist() == [200, 200, 200]


@pytest.mark.alone
def test_the_slowest_stage_is_found_and_the_sum_is_the_whole(pipeline):
    planted_s = {"prepare": 0.005, "predict": 0.04, "finish": 0.01}
    target = pipeline({name: demo(service=f"det:{s}") for name, s in planted_s.items()})
    with running(target):
        send(target.describe().base_url, 10, 0.5)  # connections
        with target.under_load() as inside:
            samples = send(target.describe().base_url, 12, 3.0)
        report = inside(samples)
    assert report.bottleneck.stage == report.bottleneck.slowest == "predict"
    assert report.bottleneck.certainty == "sure"
    for stage in report.stages:
        assert stage.service[0].seconds.value == pytest.approx(planted_s[stage.name], abs=0.005)
        assert stage.failed == 0
        assert stage.cpu_utilization is not None
    parts = report.stages_s + report.gateway_s + report.residual_s
    assert parts == pytest.approx(report.whole_s, abs=1e-9)
    assert 0 < report.residual_s < 0.05
    assert 0 < report.gateway_s < 0.05
    predict = report.stages[1]
    assert predict.limit_rps.value == pytest.approx(1 / planted_s["predict"], rel=0.25)
    assert predict.utilization.high >= predict.utilization.value >= predict.utilization.low


@pytest.mark.alone
def test_a_fan_out_answers_with_all_and_waits_for_the_last(pipeline):
    stages = {
        "quick": demo(service="det:0.005", servers=MANY),
        "slow": demo(service="det:0.05", servers=MANY),
    }
    target = pipeline(stages, "fan_out")
    with running(target):
        answer = try_payload(target, b"[1]", content_type="application/json")
        with target.under_load() as inside:
            samples = send(target.describe().base_url, 20, 2.0)
    report = inside(samples)
    assert set(json.loads(answer.body)) == {"quick", "slow"}
    quick, slow = report.stages
    assert slow.last_share.value == 1
    assert quick.last_share.value == 0
    assert quick.waited_s == pytest.approx(0.045, abs=0.01)
    assert slow.waited_s == 0
    assert report.waiting_cost_s == pytest.approx(0, abs=0.005)
    assert report.stages_s == pytest.approx(0.05, abs=0.01)


def test_the_stages_of_one_instance_share_its_cores(pipeline):
    target = pipeline({"a": demo(), "b": demo()}, vcpus=1)
    with running(target):
        described = target.describe()
    assert described.kind == "pipeline"
    assert described.label == "a > b"
    assert described.sizing.vcpus == 1
    assert len(described.limits.cores) == 1
    assert described.notes == ()


def test_stages_apart_have_cores_of_their_own(pipeline):
    target = pipeline({"a": demo(), "b": demo()}, vcpus=1, together=False)
    with running(target):
        described = target.describe()
    assert len(described.limits.cores) == min(2, len(capabilities().cores))


def test_a_stage_that_dies_is_the_death_of_all(pipeline, eventually):
    target = pipeline({"a": demo(), "b": demo()})
    with running(target):
        target.fleet.members.target(1).interrupt(at_once=True)

        def is_noticed():
            try:
                target.check()
            except TargetDied:
                return True
            return False

        assert eventually(is_noticed)


@pytest.mark.alone
def test_a_pipeline_is_a_replica_like_any_other(tmp_path, journal):
    """All of its stages go when its machine does, and come again elsewhere."""
    makes = {name: maker(tmp_path, journal, demo(service="det:0.002")) for name in ("a", "b")}

    def make(number, cores):
        pipeline = Pipeline(makes, cores=cores)
        return PipelineTarget(pipeline, tmp_path / f"pipeline-{number}", journal)

    asked = Interruptions(at=(0.5,), notice_s=0, drains=False, start_up_delay_s=0)
    target = SpotTarget(make, (Replicas(2), asked), tmp_path / "fleet", journal)
    with running(target):
        with target.under_load() as inside:
            samples = send(target.describe().base_url, 20, 2.5)
        target.check()
        assert target.front_cpu_s() > target.fleet.gateway.cpu_s()
    report = inside(samples)
    (cost,) = report.interruptions
    assert cost.replacement == 2
    assert cost.lost == len(samples) - samples.succeeded <= 4  # one or two find it dead
    assert journal.entries() == ()


def test_one_of_several_pipelines_keeps_to_its_instances_cores():
    last = capabilities().cores[-1:]
    assert Pipeline({"a": print, "b": print}, vcpus=1, cores=last).shares() == (last, last)


@pytest.mark.parametrize("count", [1, 16])
def test_sagemakers_limits_hold(count):
    with pytest.raises(UsageError, match="2 to 15"):
        Pipeline({f"stage {number}": print for number in range(count)})
