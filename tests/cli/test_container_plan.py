"""The plan of the documentation, six deployments of the sample, each server in a container."""

import json
from importlib.resources import files
from pathlib import Path

import pytest
import yaml

from loadtests import sample_container
from recommender.loadtest.report import LoadTestReport

pytestmark = [pytest.mark.podman, pytest.mark.locust, pytest.mark.slow]

ENVIRONMENTS = {
    f"MODEL_SERVER_WORKERS={workers} OMP_NUM_THREADS={threads}"
    for workers in (1, 2)
    for threads in (1, 2)
}
DOCUMENTED = Path(str(files("recommender") / "docs" / "targets.yaml"))
SHORTER = {"fixed": 7, "from zero": 10, "interrupted": 12}  # seconds; by name, else mode


def in_containers(model, build, artefacts):
    """The same model, served by the sample's image."""
    match model:
        case "sample":
            return {"build": build, "artefacts": str(artefacts)}
        case {"folder": folder}:
            stage = (DOCUMENTED.parent / folder).resolve()
            return {"build": build, "artefacts": str(stage)}
        case {"pipeline": stages}:
            contained = {
                name: in_containers(each, build, artefacts) for name, each in stages.items()
            }
            return {"pipeline": contained}
    raise AssertionError(model)


@pytest.fixture(scope="module")
def tests(loadtested, sample_build, model_dir, shared_engine):
    """Of the report, by configuration, each of the first time that it came to its end."""
    build = {"folder": str(sample_build.folder), "arguments": dict(sample_build.arguments)}
    plan = yaml.safe_load(DOCUMENTED.read_text())
    plan["model"] = in_containers(plan["model"], build, model_dir)
    image = json.loads(sample_container.payloads()[0])
    plan["payloads"] = {"count": 1, "json": image}
    for each in plan["configurations"]:
        if "model" in each:
            each["model"] = in_containers(each["model"], build, model_dir)
    for each in plan["scenarios"]:
        name = each.setdefault("name", each["mode"])
        each.update(
            {"duration": SHORTER[name]} if name in SHORTER else {"budget_s": 13, "trial_s": 3}
        )
    before = shared_engine.client.containers(all=True)
    program, _, reports = loadtested(yaml.safe_dump(plan, sort_keys=False), whole=False)
    found = {}
    for report in map(LoadTestReport.model_validate_json, reports):
        for test in report.tests:
            (name,) = test.configurations
            if name not in found or found[name].state != "finished":
                found[name] = test
    assert program.nothing_left()
    assert shared_engine.client.containers(all=True) == before
    return found


def inside(tests, name):
    return tests[name].runs[-1].measurement.inside


def test_all_six_are_measured(tests):
    assert len(tests) == 6
    assert {name: test.state for name, test in tests.items()} == dict.fromkeys(tests, "finished")
    for name in ("1 vCPU", "half a vCPU"):
        (run,) = tests[name].runs
        assert run.measurement.target.kind == "container"
        assert run.measurement.failed == 0


def test_half_a_vcpu_is_held_back_and_takes_longer_for_the_same_work(tests):
    """By the CPU time of a request, since the host may be faster during one of the two.

    That a request costs as much at any size: test_throughput_follows_the_cpu_quota.
    """
    whole, half = (tests[name].runs[-1].measurement for name in ("1 vCPU", "half a vCPU"))
    assert half.throttled_ratio > whole.throttled_ratio
    waited = [each.latency_at(0.95).value / each.cpu_s_per_request for each in (whole, half)]
    assert waited[1] > waited[0]


def test_from_zero_the_cold_start_is_measured(tests):
    found = inside(tests, "serverless 2 GB from zero")
    assert found.starts.count >= 1
    assert 0 < found.starts.setup_s.value < found.starts.first_answer_s.value
    assert found.requests.throttled > 0
    assert found.instances.peak <= 4


def test_the_replica_taken_away_is_replaced_and_nothing_is_lost(tests):
    (cost,) = inside(tests, "three replicas, one taken away").interruptions
    assert cost.lost == 0
    assert cost.replacement is not None
    assert cost.missing_s > 0.6


def test_the_pipeline_names_the_model_as_its_bottleneck(tests):
    found = inside(tests, "a pipeline of three")
    assert found.bottleneck.stage == "predict"
    assert found.stages_s + found.gateway_s + found.residual_s == pytest.approx(found.whole_s)


def test_the_environments_are_tried(tests):
    test = tests["which environment"]
    assert test.answer is not None
    tried = {run.key.partition(" ")[2].partition(":")[0] for run in test.runs}
    assert tried == ENVIRONMENTS
