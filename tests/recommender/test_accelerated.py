"""Machines with GPUs: ranked where the model's file tells, and refused where it does not."""

from dataclasses import replace

import numpy as np
import pytest
from measured_runs import NOW, Server, demand, measure

from pricing import gpu_spec
from recommender.accelerated import AcceleratedModel
from recommender.candidates import find_candidates
from recommender.model_files import ModelFacts, ModelProfile
from recommender.performance.accelerators import Device, GpuRoofline
from recommender.performance.accelerators.request_work import passes_of
from recommender.recommend import fit, recommend
from recommender.recommendation import Basis, RejectReason

SLO = "p95<1s, error_rate<1%"
GPUS = ("g6.xlarge", "g6f.large", "g6f.2xlarge", "g6f.4xlarge", "g5.xlarge", "g4dn.xlarge")
ROOFLINE = GpuRoofline.bundled()


def profile(**changes):
    """A convolutional network of ResNet-50's size."""
    facts = {
        "format": "onnx",
        "source": "resnet.onnx",
        "precision": "fp32",
        "parameters": 25_500_000,
        "weight_bytes": 102_000_000,
        "layers": 8,
        "flops_per_item": 8.2e9,
    }
    return ModelProfile(**(facts | changes))


def decoder(**changes):
    facts = {
        "format": "gguf",
        "kind": "decoder",
        "precision": "4-bit",
        "parameters": 135_000_000,
        "weight_bytes": 104_000_000,
        "layers": 30,
        "flops_per_item": 2.7e8,
        "kv_bytes_per_token": 23_040,
    }
    return profile(**(facts | changes))


@pytest.fixture(scope="module")
def measured():
    """One request takes 120 ms of a CPU."""
    return measure(Server(mean_s=0.12), slo=SLO).run


@pytest.fixture(scope="module")
def ask(measured, book, prior):
    def asked(facts, run=measured, types=GPUS, traffic="5rps", **constraints):
        known = AcceleratedModel(facts, ROOFLINE)
        wanted = demand(traffic, SLO, instance_types=types, **constraints)
        return recommend(replace(run, accelerated=known), wanted, book, prior, NOW)

    return asked


def fastest(found):
    """Median throughput of one replica, by type."""
    return {
        each.option.instance_type: each.performance.capacity_rps.median / each.option.replicas
        for each in found.ranked
    }


def test_a_model_whose_file_was_read_is_ranked_on_gpus_and_their_shares(ask):
    found = ask(ModelFacts(profile=profile(), items_per_request=1))
    assert {each.option.instance_type for each in found.ranked} == set(GPUS)
    assert {each.performance.basis for each in found.ranked} == {Basis.PREDICTED}
    assert any("the image must have a GPU build" in each for each in found.assumptions)
    assert all(any("GPU build" in note for note in each.notes) for each in found.ranked)


def test_a_model_whose_file_was_not_read_is_refused_with_the_reason_and_the_command(ask):
    found = ask(ModelFacts(unreadable="model.joblib is a pickle"))
    assert not found.ranked
    for each in found.rejected:
        assert each.reason is RejectReason.NEEDS_MEASUREMENT
        assert each.detail.endswith("model.joblib is a pickle")
        assert "--measured-on" in each.remedy


def test_what_no_ground_tells_of_still_needs_a_measurement(ask):
    found = ask(
        ModelFacts(profile=profile()), types=("inf2.xlarge", "p2.xlarge", "p6-b300.48xlarge")
    )
    assert not found.ranked
    assert {each.reason for each in found.rejected} <= {
        RejectReason.NEEDS_MEASUREMENT,
        RejectReason.NO_PRICE,
    }
    assert any("no model was benchmarked on its kind" in each.detail for each in found.rejected)


def test_a_model_that_is_larger_than_the_memory_is_refused_with_what_it_needs(ask):
    found = ask(ModelFacts(profile=decoder(weight_bytes=10 * 2**30, parameters=20 * 10**9)))
    refused = {each.option.instance_type: each for each in found.rejected}
    assert refused["g6f.large"].reason is RejectReason.MEMORY
    assert "weights 10" in refused["g6f.large"].detail
    assert refused["g6f.2xlarge"].reason is RejectReason.MEMORY
    assert "g6.xlarge" not in refused or refused["g6.xlarge"].reason is not RejectReason.MEMORY


def test_half_a_gpu_carries_at_most_half_as_much_beside_the_same_cpus(ask):
    facts = ModelFacts(profile=decoder(), items_per_request=16)
    carried = fastest(ask(facts, traffic="1rps", types=("gr6f.4xlarge", "gr6.4xlarge")))
    assert carried["gr6f.4xlarge"] < carried["gr6.4xlarge"] / 2


def test_a_request_of_more_tokens_is_carried_less_often(ask):
    few, many = (
        fastest(ask(ModelFacts(profile=decoder(), items_per_request=count), traffic="1rps"))
        for count in (4, 64)
    )
    assert all(many[name] < few[name] for name in many)


def test_requests_answered_together_are_carried_more_often(ask):
    alone, together = (
        fastest(
            ask(
                ModelFacts(profile=decoder(), items_per_request=64, batch=batch),
                traffic="1rps",
                types=("g6.4xlarge",),
            )
        )["g6.4xlarge"]
        for batch in (1, 8)
    )
    assert together > 1.5 * alone


def test_work_that_only_the_cpu_time_tells_is_less_certain_than_work_that_was_said(ask):
    def width(facts):
        (each,) = ask(facts, types=("g6.4xlarge",), purchases=("on-demand",)).ranked
        capacity = each.performance.capacity_rps
        return capacity.high / capacity.low

    said = width(ModelFacts(profile=decoder(), items_per_request=64))
    told_by_time = width(ModelFacts(profile=decoder()))
    assert told_by_time > said > 1.5


def test_what_was_measured_on_a_gpu_tells_of_no_other(book):
    known = AcceleratedModel(ModelFacts(profile=profile()), ROOFLINE)
    found = find_candidates(
        book,
        demand(instance_types=("g5.xlarge", "g6.xlarge")).constraints,
        book.instance("g5.xlarge"),
        known,
    )
    assert {each.name for each in found.machines} == {"g5.xlarge"}
    assert {each.option.instance_type for each in found.rejected} == {"g6.xlarge"}


def test_cpus_are_ranked_the_same_whatever_is_said_of_the_model(ask, measured, book, prior):
    wanted = demand("5rps", SLO, instance_types=("c7i.xlarge", "m6i.large"))
    plain = recommend(measured, wanted, book, prior, NOW)
    with_model = ask(ModelFacts(profile=profile()), types=("c7i.xlarge", "m6i.large"))
    assert [(e.option, e.performance) for e in plain.ranked] == [
        (e.option, e.performance) for e in with_model.ranked
    ]


def test_the_time_of_a_gpu_lies_within_the_draws_of_its_prediction(measured, book, prior):
    """The roofline's own figure for 64 tokens, and what the machine is said to take for them."""
    known = AcceleratedModel(ModelFacts(profile=decoder(), items_per_request=64), ROOFLINE)
    model = fit(measured, demand("1rps", SLO), prior)
    carried = known.carried(model, demand("1rps", SLO).objectives)
    instance = book.instance("g6.4xlarge")
    found = carried.predict(instance, np.full(400, 1.0))
    alone_s = ROOFLINE.seconds(
        passes_of(decoder(), np.array([64.0])),
        Device(gpu_spec("NVIDIA L4", 24), host=instance.cpu.silicon),
    )[0]
    low, high = np.quantile(found.service_mean_s, (0.1, 0.9))
    assert low < alone_s < high
    assert np.all(found.capacity_rps <= found.saturation_rps)


@pytest.mark.parametrize(("name", "is_told"), [("g6.xlarge", True), ("inf2.xlarge", False)])
def test_where_a_models_file_would_tell_it_is_asked_for(book, name, is_told):
    (refused, *_) = find_candidates(
        book, demand(instance_types=(name,)).constraints, None
    ).rejected
    assert refused.reason is RejectReason.NEEDS_MEASUREMENT
    assert ("--model-file" in refused.remedy) is is_told
    assert f"--measured-on {name}" in refused.remedy
