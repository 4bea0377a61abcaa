"""The sample image as its Dockerfile builds it, under the size and the contract it will have."""

import json

import joblib
import numpy as np
import pytest

from loadtests import sample_container
from loadtests.errors import TargetExited
from loadtests.journal import Journal
from loadtests.targets import (
    ContainerSpec,
    ContainerTarget,
    Sizing,
    exchange,
    running,
    try_payload,
)

pytestmark = [pytest.mark.podman, pytest.mark.slow, pytest.mark.usefixtures("engine")]


@pytest.fixture
def make(sample_build, model_dir, tmp_path):
    made = []

    def target(sizing):
        spec = ContainerSpec(sample_build, model_dir=model_dir, startup_timeout_s=120.0)
        made.append(ContainerTarget(spec, sizing, tmp_path, Journal(tmp_path / "journal")))
        return made[-1]

    yield target
    for each in made:
        each.stop()


def test_it_serves_the_model_behind_nginx(make, model_dir):
    model = joblib.load(model_dir / "model.joblib")
    with running(target := make(Sizing(vcpus=1, memory_gib=1))) as setup:
        assert setup.ready_s > 0
        description = target.describe()
        assert exchange(f"{description.base_url}/elsewhere").headers["server"].startswith("nginx")
        assert description.label == "digits"
        for payload in sample_container.payloads():
            answer = try_payload(target, payload, content_type=sample_container.CONTENT_TYPE)
            rows = np.asarray(json.loads(payload)["instances"])
            assert json.loads(answer.body)["predictions"] == model.predict(rows).tolist()
        usage = target.usage()
        assert usage.source == "control group"
        assert 2**26 < usage.memory_bytes < 2**30
        assert usage.processes >= 4  # serve, nginx and its worker, gunicorn and its worker
        target.check()
    assert any("Shutting down" in line for line in target.log_tail(50))  # SIGTERM reached it


def test_too_little_memory_is_named_as_what_it_is(make):
    """gunicorn starts one worker after another, each killed: the container itself runs on."""
    target = make(Sizing(vcpus=1, memory_gib=0.06))
    with (
        pytest.raises(TargetExited, match=r"memory limit of 0\.06 GiB") as caught,
        running(target),
    ):
        pass
    assert "--memory-gib" in caught.value.hint
