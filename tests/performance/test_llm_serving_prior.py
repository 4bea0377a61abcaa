"""vLLM carried from machine to machine: planted worlds, and the real one where there is one."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from recommender.errors import NotMeasured, OutOfRange
from recommender.performance.llm_serving.batching_validation import validate_batching
from recommender.performance.llm_serving.benchmark_tasks import Task
from recommender.performance.llm_serving.gpu_tasks import _spec_of, _work, usual_shape
from recommender.performance.llm_serving.serving_tasks import predict_serving_tasks
from recommender.performance.llm_serving.serving_validation import (
    LEFT_OUT,
    OTHER_MODELS,
    VCPU_RATIO,
    validate_serving,
)
from recommender.performance.llm_serving.step_time import (
    SATURATED,
    SINGLE_USER,
    TTFT,
    Question,
    log_rates,
)
from recommender.performance.llm_serving.tasks import predict_tasks
from recommender.performance.llm_serving.workloads import parameters_in_name
from recommender.performance.scorecard import OUR_METHOD

SILICON = {
    # arch, bf16, amx, log factors of (step_s, weight_bytes_s, prefill_flops, sequence_s)
    "IceLake": ("x86_64", 0, 0, (0.2, -0.2, -2.0, 0.1)),
    "SapphireRapids": ("x86_64", 1, 1, (0.0, 0.2, 1.0, 0.0)),
    "Zen3": ("x86_64", 0, 0, (-0.1, 0.0, -1.2, 0.0)),
    "Zen4": ("x86_64", 1, 0, (-0.2, 0.3, 0.4, -0.1)),
    "Neoverse-N2": ("aarch64", 1, 0, (0.5, 0.6, 0.0, 0.1)),
}
FIELDS_OF_FOUR_CORES = np.log([4e-3, 3e10, 5e11, 9e-4])
BY_CORES = np.array([0.0, 0.5, 0.8, -0.6])
VCPUS = (2, 4, 8, 16, 32, 64)
MODELS = {"tiny-200m": 2e8, "big-3b": 3e9}
TOKENS = {"chat": (256, 128), "rag": (1024, 256)}
RATES = {SATURATED: "sat_tok_s", SINGLE_USER: "sync_tok_s", TTFT: "ttft_inv"}
NOISE = 0.05
ALONE = dict.fromkeys(("flag_avx512f", "numa_nodes"), 1)


def machines():
    for silicon, (arch, bf16, amx, _) in SILICON.items():
        for family in ("general", "memory"):
            for vcpus in VCPUS:
                yield {
                    **ALONE,
                    "vendor": "cloud",
                    "instance": f"{silicon}.{family}.{vcpus}",
                    "family": f"{silicon}.{family}",
                    "uarch": silicon,
                    "arch": arch,
                    "vcpus": vcpus,
                    "physical_cores": vcpus / 2,
                    "threads_per_core": 2,
                    "l3_bytes_total": vcpus * 2**20,
                    "flag_avx512_bf16": bf16 if arch == "x86_64" else 0,
                    "flag_i8mm": bf16 if arch == "aarch64" else 0,
                    "flag_amx_int8": amx,
                }


def true_rate(machine, question):
    cores = np.log(machine["physical_cores"] / 4)
    factor = SILICON[machine["uarch"]][3]
    fields = FIELDS_OF_FOUR_CORES + BY_CORES * cores + factor
    return float(log_rates(question, fields[None, :], np.log(2.0))[0][0])


def truth(rng):
    for model, parameters in MODELS.items():
        for prompt, tokens in TOKENS.items():
            for kind, name in RATES.items():
                question = Question(kind, parameters, *tokens)
                for machine in machines():
                    yield {
                        **{key: machine[key] for key in ("vendor", "instance", "family", "uarch")},
                        "workload": f"vllm:{model}:{prompt}:{name}",
                        "kind": kind,
                        "scored": 1,
                        "value": np.exp(true_rate(machine, question) + rng.normal(0, NOISE)),
                    }


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    folder = tmp_path_factory.mktemp("planted")
    pd.DataFrame(machines()).to_csv(folder / "instances.csv.gz", index=False)
    pd.DataFrame(truth(np.random.default_rng(3))).to_csv(folder / "truth.csv.gz", index=False)
    pd.DataFrame(
        [
            {"workload": name, "prompt_tokens": prompt, "output_tokens": output}
            for name, (prompt, output) in TOKENS.items()
        ]
    ).to_csv(folder / "vllm.csv.gz", index=False)
    return folder


def task(folder, workload, references):
    values = pd.read_csv(folder / "truth.csv.gz").set_index(["workload", "instance"]).value
    kind = next(kind for kind, name in RATES.items() if workload.endswith(name))
    return pd.DataFrame(
        [
            {
                "task_id": workload,
                "vendor": "cloud",
                "workload": workload,
                "kind": kind,
                "refs": ";".join(references),
                "ref_values": ";".join(str(values[workload, name]) for name in references),
            }
        ]
    )


def against_truth(folder, workload, answers):
    table = pd.read_csv(folder / "truth.csv.gz")
    return answers.merge(table[table.workload.eq(workload)], on=["vendor", "instance"])


REFERENCE = ("SapphireRapids.general.8",)


@pytest.mark.parametrize("name", RATES.values())
def test_a_model_larger_than_any_seen_is_carried_from_one_machine(world, name):
    workload = f"vllm:big-3b:chat:{name}"
    answers = predict_serving_tasks(world, task(world, workload, REFERENCE))
    found = against_truth(world, workload, answers)
    assert len(found) == len(list(machines()))
    assert np.median(np.abs(found.pred / found.value - 1)) < 0.2
    assert found.value.between(found.lo, found.hi).mean() >= 0.7


def test_more_references_narrow_the_answer(world):
    workload = "vllm:tiny-200m:rag:ttft_inv"
    one = predict_serving_tasks(world, task(world, workload, REFERENCE))
    three = (*REFERENCE, "Zen4.general.8", "Neoverse-N2.general.8")
    more = predict_serving_tasks(world, task(world, workload, three))
    assert (more.hi / more.lo).median() < (one.hi / one.lo).median()


def test_what_was_measured_is_answered_with_itself(world):
    asked = task(world, "vllm:big-3b:chat:sync_tok_s", REFERENCE)
    answers = predict_serving_tasks(world, asked).set_index("instance")
    measured = float(asked.ref_values[0])
    assert answers.pred[REFERENCE[0]] == pytest.approx(measured, rel=0.05)


def test_runs_of_a_tasks_own_model_are_not_looked_at(world, tmp_path):
    asked = task(world, "vllm:big-3b:chat:sat_tok_s", REFERENCE)
    before = predict_serving_tasks(world, asked)
    table = pd.read_csv(world / "truth.csv.gz")
    own = table.workload.str.contains("big-3b")
    for name in ("instances.csv.gz", "vllm.csv.gz"):
        (tmp_path / name).write_bytes((world / name).read_bytes())
    table.assign(value=table.value.where(~own, 1e6)).to_csv(tmp_path / "truth.csv.gz", index=False)
    pd.testing.assert_frame_equal(before, predict_serving_tasks(tmp_path, asked))


def test_silicon_that_no_run_has_shown_comes_out_wide_and_near(world, tmp_path):
    workload = "vllm:big-3b:chat:ttft_inv"
    asked = task(world, workload, REFERENCE)
    table = pd.read_csv(world / "truth.csv.gz")
    for name in ("instances.csv.gz", "vllm.csv.gz"):
        (tmp_path / name).write_bytes((world / name).read_bytes())
    table[table.uarch.ne("Zen4")].to_csv(tmp_path / "truth.csv.gz", index=False)
    unseen, seen = (
        against_truth(world, workload, predict_serving_tasks(folder, asked))
        for folder in (tmp_path, world)
    )
    zen4 = unseen.uarch.eq("Zen4")
    width = unseen.hi / unseen.lo
    assert width[zen4].median() > 1.5 * width[~zen4].median()
    assert width[zen4].median() > 1.5 * (seen.hi / seen.lo)[seen.uarch.eq("Zen4")].median()
    assert unseen.value.between(unseen.lo, unseen.hi)[zen4].mean() > 0.7


def test_a_model_whose_name_does_not_say_its_size_is_sized_by_what_it_measured(world):
    workload = "vllm:big-3b:chat:sat_tok_s"
    named = task(world, workload, REFERENCE)
    nameless = named.assign(workload="vllm:nobody-knows:chat:sat_tok_s")
    found = against_truth(world, workload, predict_serving_tasks(world, nameless))
    assert np.median(np.abs(found.pred / found.value - 1)) < 0.25


def test_a_folder_of_one_model_has_nothing_to_carry_it_with(world, tmp_path):
    table = pd.read_csv(world / "truth.csv.gz")
    for name in ("instances.csv.gz", "vllm.csv.gz"):
        (tmp_path / name).write_bytes((world / name).read_bytes())
    table[table.workload.str.contains("big-3b")].to_csv(tmp_path / "truth.csv.gz", index=False)
    with pytest.raises(NotMeasured, match="another model"):
        predict_serving_tasks(tmp_path, task(world, "vllm:big-3b:chat:sat_tok_s", REFERENCE))


def test_a_reference_without_facts_is_refused(world):
    asked = task(world, "vllm:big-3b:chat:sat_tok_s", REFERENCE).assign(refs="nobody knows")
    with pytest.raises(NotMeasured, match="of 'nobody knows'"):
        predict_serving_tasks(world, asked)


def test_tasks_of_other_kinds_are_left_alone(world):
    asked = task(world, "vllm:big-3b:chat:sat_tok_s", REFERENCE).assign(kind="web")
    assert predict_tasks(world, asked).empty


def test_the_prior_beats_ratios_on_models_and_silicon_it_has_not_seen(world):
    workload = "vllm:big-3b:chat:ttft_inv"
    scores = validate_serving(world, task(world, workload, REFERENCE))
    error = {(score.left_out, score.method): score.error for score in scores}
    ours = {left_out: error[left_out, OUR_METHOD] for left_out in LEFT_OUT}
    assert ours["model"] < 0.5 * error["model", VCPU_RATIO]
    assert ours["model"] < error["model", OTHER_MODELS]
    assert ours["model"] < ours["model and silicon"] < error["model", VCPU_RATIO]
    for score in scores:
        assert (score.coverage_80 is None) == (score.method != OUR_METHOD)
        assert score.predictions == len(list(machines())) - len(REFERENCE)


def test_a_table_that_is_none_of_tasks_says_what_it_lacks(world):
    with pytest.raises(NotMeasured, match="ref_values"):
        predict_serving_tasks(world, pd.DataFrame({"task_id": ["a"], "refs": ["b"]}))


FIELDS = np.log([[4e-3, 3e10, 5e11, 9e-4], [8e-3, 1e10, 5e10, 3e-3], [2e-3, 2e11, 4e12, 4e-4]])


@pytest.mark.parametrize("kind", RATES)
@pytest.mark.parametrize("parameters", [1e8, 2e9, 7e10])
def test_slopes_are_those_of_the_rates(kind, parameters):
    question = Question(kind, parameters, 256, 128)
    _, slopes = log_rates(question, FIELDS, 0.7)
    small = 1e-6
    for i in range(4):
        nudged = FIELDS + small * np.eye(4)[i]
        by = (log_rates(question, nudged, 0.7)[0] - log_rates(question, FIELDS, 0.7)[0]) / small
        assert slopes[:, i] == pytest.approx(by, abs=1e-4)
    by = (
        log_rates(question, FIELDS, 0.7 + small)[0] - log_rates(question, FIELDS, 0.7)[0]
    ) / small
    assert slopes[:, -1] == pytest.approx(by, abs=1e-4)


@pytest.mark.parametrize("kind", RATES)
def test_a_larger_model_is_never_served_faster(kind):
    rates = [log_rates(Question(kind, n, 256, 128), FIELDS, 0.7)[0] for n in (1e8, 1e9, 1e10)]
    assert (np.diff(rates, axis=0) < 0).all()


def test_all_users_together_are_served_no_slower_than_one():
    for parameters in (1e8, 2e9, 7e10):
        one, all_users = (
            log_rates(Question(kind, parameters, 256, 128), FIELDS, 0.7)[0]
            for kind in (SINGLE_USER, SATURATED)
        )
        assert (all_users >= one).all()


def test_a_question_of_no_kind_is_refused():
    with pytest.raises(OutOfRange, match="none of"):
        Question("vllm_speed", 1e9, 256, 128)


@pytest.mark.parametrize(
    ("name", "size"),
    [
        ("gemma-2b", 2e9),
        ("smol-135m", 1.35e8),
        ("qwen3-0.6b", 6e8),
        ("phi-4", None),
        ("x8b", None),
    ],
)
def test_the_size_in_a_name_is_read_or_not_known(name, size):
    assert parameters_in_name(name) == (None if size is None else pytest.approx(size))


def test_the_usual_shape_of_a_model_has_its_size():
    for parameters in (1e8, 7e9, 7e10):
        shape = usual_shape(parameters)
        held = 12 * shape.layers * shape.attention_width**2
        assert held == pytest.approx(parameters, rel=0.05)


def gpu_task(workload, parameters):
    return Task("a", "any", workload, "gpullm_tg", (("cpu", 1.0),), parameters, parameters)


def test_a_test_on_gpus_is_so_many_passes_over_so_many_tokens():
    decode, tokens = _work(gpu_task("gpullm:big:tg128", 1e9))
    assert (decode.count, decode.rows, tokens) == (128, 1, 128)
    prompt, tokens = _work(gpu_task("gpullm:big:pp1024", 1e9))
    assert (prompt.count, prompt.rows, tokens) == (2, 512, 1024)


@pytest.mark.parametrize(("workload", "size"), [("gpullm:big:tg128", None), ("gpullm:big", 1e9)])
def test_a_test_on_gpus_of_unknown_work_is_refused(workload, size):
    with pytest.raises(NotMeasured, match="size"):
        _work(gpu_task(workload, size))


def test_virtual_gpus_have_the_datasheet_of_their_device():
    assert _spec_of("NVIDIA A40-2Q").name == "NVIDIA A40"
    assert _spec_of("NVIDIA L4-3Q").name == "NVIDIA L4"
    assert _spec_of("Somebody's GPU") is None


def test_the_laws_of_batching_are_found_in_runs_that_obey_them(tmp_path):
    alone_s, slope_s, most = 2.0, 0.1, 40.0
    rows = []
    for strategy, load in (("synchronous", 1.0), ("throughput", most), ("constant", 12.0)):
        latency_s = alone_s + slope_s * (load - 1)
        rows.append(
            {
                **dict.fromkeys(("vendor", "instance", "model", "workload", "mode"), "x"),
                "tensor_parallel": 0,
                "valid": 1,
                "strategy": strategy,
                "output_tokens": 101,
                "request_throughput": load / latency_s,
                "e2el_mean": 1e3 * latency_s,
                "ttft_mean": 100.0,
                "tpot_mean": 1e3 * (latency_s - 0.1) / 100,
            }
        )
    pd.DataFrame(rows).to_csv(tmp_path / "vllm.csv.gz", index=False)
    for row in validate_batching(tmp_path, bands=((0.0, 1.0),)):
        if row.method in {"line in concurrency", "line, rate evenly spaced"}:
            assert row.error < 1e-6
        if row.method == "M/M/1-PS":
            assert row.error > 0.2


GROUND_TRUTH = os.environ.get("RECOMMENDER_GROUNDTRUTH")
needs_ground_truth = pytest.mark.skipif(
    GROUND_TRUTH is None,
    reason="the raw ground truth is not part of this repository",
)


@pytest.mark.slow
@needs_ground_truth
def test_real_vllm_is_within_the_bars():
    folder = Path(GROUND_TRUTH)
    tasks = pd.read_csv(folder / "tasks.csv.gz")
    tasks = tasks[tasks.design.eq("R1") & tasks.kind.str.startswith("vllm")]
    answers = predict_serving_tasks(folder, tasks).merge(tasks, on="task_id")
    answers = answers.drop(columns=["vendor_y", "kind"]).rename(columns={"vendor_x": "vendor"})
    values = pd.read_csv(folder / "truth.csv.gz", low_memory=False)
    values = values[values.scored.eq(1)][["vendor", "instance", "workload", "kind", "value"]]
    found = answers.merge(values, on=["vendor", "instance", "workload"])
    error = (found.pred / found.value - 1).abs().groupby(found.kind).median()
    assert error[SATURATED] <= 0.40
    assert error[TTFT] <= 0.45
    inside = found.value.between(found.lo, found.hi).groupby(found.kind).mean()
    assert inside.between(0.75, 0.88).all(), inside


@needs_ground_truth
def test_real_vllm_latency_is_a_line_in_concurrency():
    rows = validate_batching(Path(GROUND_TRUTH))
    by_concurrency = next(row for row in rows if row.method == "line in concurrency")
    assert by_concurrency.error <= 0.10
    assert 0.75 <= by_concurrency.coverage_80 <= 0.88
