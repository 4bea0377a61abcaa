"""What `quick` is told of a model, kept with the run, and told again by `rank`."""

import json

import numpy as np
import onnx
import pytest
from click.testing import CliRunner
from measured_runs import Server, demand, measure
from onnx import TensorProto, helper, numpy_helper

from recommender.cli.model_file import model_facts
from recommender.cli.quick import quick_command
from recommender.cli.rank import rank_command
from recommender.errors import BadRequest
from recommender.request import QuickRequest, Source
from recommender.store import open_store

SLO = "p95<1s, error_rate<1%"


@pytest.fixture(scope="module")
def model_file(tmp_path_factory):
    """A real network of one large matrix, for 64 rows at a time."""
    path = tmp_path_factory.mktemp("model") / "model.onnx"
    weights = numpy_helper.from_array(np.zeros((1024, 1024), np.float32), "weights")
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["rows", "weights"], ["scores"])],
        "matrix",
        [helper.make_tensor_value_info("rows", TensorProto.FLOAT, ["n", 64, 1024])],
        [helper.make_tensor_value_info("scores", TensorProto.FLOAT, ["n", 64, 1024])],
        [weights],
    )
    onnx.save(helper.make_model(graph), path)
    return str(path)


def facts(*arguments):
    return model_facts(dict(quick_command.make_context("quick", list(arguments)).params))


def test_nothing_is_known_of_a_model_nobody_spoke_of():
    assert facts() is None


def test_a_file_is_read_when_it_is_named(model_file):
    found = facts("--model-file", model_file, "--model-items", "2", "--model-batch", "4")
    assert found.profile.parameters == 1024 * 1024
    assert found.profile.flops_per_item == 2 * 64 * 1024 * 1024
    assert (found.items_per_request, found.batch) == (2, 4)


def test_the_artefacts_that_the_server_gets_are_read_too(model_file, tmp_path):
    (tmp_path / "model.joblib").write_bytes(b"\x80\x04N.")
    assert "is a pickle" in facts("--model", str(tmp_path)).unreadable
    assert facts("--model", str(tmp_path), "--model-file", model_file).profile is not None


def test_a_size_given_by_hand_is_a_profile():
    said = ("--model-params", "1.2e9", "--model-bytes", "2.4e9", "--model-layers", "24")
    found = facts(*said, "--model-decoder").profile
    assert (found.parameters, found.weight_bytes, found.layers) == (1_200_000_000, 2.4e9, 24)
    assert (found.kind, found.precision) == ("decoder", "fp16")


def test_half_a_size_by_hand_is_refused_with_what_is_missing():
    with pytest.raises(BadRequest, match="--model-bytes, --model-layers missing"):
        facts("--model-params", "1e9")


def test_a_file_and_a_size_by_hand_contradict_each_other(model_file):
    with pytest.raises(BadRequest, match="give one of them"):
        facts("--model-file", model_file, "--model-params", "1e9")


def test_a_file_that_is_not_there_is_refused_before_anything_is_measured():
    with pytest.raises(BadRequest, match="no such file"):
        facts("--model-file", "absent.onnx")


@pytest.fixture(scope="module")
def simulated():
    return measure(Server(mean_s=0.12), slo=SLO)


@pytest.fixture
def ranked(tmp_path, simulated):
    """`rank` of a stored run that was asked with these facts."""

    def ask(known):
        asked = demand("5rps", SLO, instance_types=("g6.xlarge", "g6f.4xlarge", "c7i.xlarge"))
        request = QuickRequest(
            source=Source(kind="sample"),
            traffic=asked.traffic,
            slo=SLO,
            constraints=asked.constraints,
            model=known,
        )
        url = f"sqlite:///{tmp_path}/store.sqlite3"
        with open_store(url, default_folder=tmp_path) as store:
            run = simulated.keep_in(store, request)
        return CliRunner().invoke(rank_command, [run.id, "--json", "-", "--store", url])

    return ask


def test_rank_tells_of_gpus_by_the_file_that_the_run_was_asked_with(ranked, model_file):
    answer = json.loads(ranked(facts("--model-file", model_file)).stdout)
    types = {each["option"]["instance_type"] for each in answer["ranked"]}
    assert types == {"g6.xlarge", "g6f.4xlarge", "c7i.xlarge"}
    basis = {e["option"]["instance_type"]: e["performance"]["basis"] for e in answer["ranked"]}
    assert basis["g6.xlarge"] == "predicted"
    assert any("model.onnx" in each for each in answer["assumptions"])


def test_rank_refuses_gpus_for_a_model_that_could_not_be_read(ranked, tmp_path):
    (tmp_path / "model.pkl").write_bytes(b"\x80\x04N.")
    answer = json.loads(ranked(facts("--model-file", str(tmp_path / "model.pkl"))).stdout)
    assert {each["option"]["instance_type"] for each in answer["ranked"]} == {"c7i.xlarge"}
    refused = {each["option"]["instance_type"]: each for each in answer["rejected"]}
    assert refused["g6.xlarge"]["reason"] == "needs-measurement"
    assert "model.pkl is a pickle" in refused["g6.xlarge"]["detail"]
    assert "--measured-on g6.xlarge" in refused["g6.xlarge"]["remedy"]
