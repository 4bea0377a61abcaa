"""The roofline of GPUs: its laws, its fit to a truth that was planted, and its artefact."""

import dataclasses
import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pricing import GPU_SPECS, GpuSpec, gpu_spec, load_book
from recommender.errors import RecommenderError
from recommender.model_files import ModelProfile
from recommender.performance.accelerators import Device, GpuRoofline, HostSpeeds, Passes
from recommender.performance.accelerators.additive import half_width
from recommender.performance.accelerators.gpu_rows import GpuRows
from recommender.performance.accelerators.memory import DeviceMemory
from recommender.performance.accelerators.roofline_fit import fit_regimes, forecasts
from recommender.performance.accelerators.terms import TERMS, loadings, log_seconds
from recommender.performance.accelerators.validation import validate_gpus
from recommender.performance.scorecard import OUR_METHOD

GROUND_TRUTH = os.environ.get("RECOMMENDER_GROUNDTRUTH")
L4 = gpu_spec("NVIDIA L4", 24)
NEW = GpuSpec("NVIDIA L4 next", 24, 300, 121.0, 30.3, 72, 8.9)


@pytest.fixture(scope="module")
def roofline():
    return GpuRoofline.bundled()


def work(rows=1.0, parameters=1e9, count=1.0, layers=24.0, context_bytes=0.0):
    return Passes(
        *(np.array([value]) for value in (count, rows, parameters, 2 * parameters, layers)),
        np.array([context_bytes]),
        np.zeros(1),
    )


def seconds(roofline, device, **asked):
    return float(roofline.seconds(work(**asked), device)[0])


ROWS = st.floats(1, 4096)
SIZES = st.floats(1e6, 7e10)
TIMES = st.floats(1, 20)


@settings(max_examples=60)
@given(rows=ROWS, parameters=SIZES, faster=st.tuples(TIMES, TIMES, TIMES, TIMES))
def test_a_gpu_that_is_better_in_everything_is_never_predicted_slower(rows, parameters, faster):
    better = dataclasses.replace(
        NEW,
        bandwidth_gb_s=NEW.bandwidth_gb_s * faster[0],
        fp16_tflops=NEW.fp16_tflops * faster[1],
        fp32_tflops=NEW.fp32_tflops * faster[2],
        board_w=NEW.board_w * faster[3],
    )
    known = GpuRoofline.bundled()
    asked = {"rows": rows, "parameters": parameters}
    assert seconds(known, Device(better), **asked) <= seconds(known, Device(NEW), **asked)


@given(rows=ROWS, parameters=SIZES, more=TIMES)
@settings(max_examples=40)
def test_more_work_never_takes_less_time(rows, parameters, more):
    known, device = GpuRoofline.bundled(), Device(L4)
    least = seconds(known, device, rows=rows, parameters=parameters)
    assert seconds(known, device, rows=rows, parameters=parameters * more) >= least * 0.999999
    assert seconds(known, device, rows=rows, parameters=parameters, count=more) >= least
    assert seconds(known, device, rows=rows * more, parameters=parameters) >= least * 0.999999


@given(rows=ROWS, parameters=SIZES)
@settings(max_examples=40)
def test_half_a_slice_takes_twice_the_time_launches_included(rows, parameters):
    known = GpuRoofline.bundled()
    whole, half, quarter = (
        seconds(known, Device(L4, share), rows=rows, parameters=parameters)
        for share in (1.0, 0.5, 0.25)
    )
    assert quarter == pytest.approx(2 * half)
    assert half >= 2 * whole  # slicing itself costs something


def test_a_slower_host_launches_kernels_no_faster(roofline):
    slow, fast = (
        seconds(roofline, Device(L4, host=host), parameters=1e7) for host in ("Skylake", "Zen4")
    )
    assert slow > fast


def test_rows_answered_together_cost_less_than_one_by_one(roofline):
    together = seconds(roofline, Device(L4), rows=32)
    assert together < 32 * seconds(roofline, Device(L4), rows=1) / 4


def test_numbers_of_full_precision_do_without_tensor_cores(roofline):
    half = work(rows=512.0)
    full = dataclasses.replace(half, full_precision=True)
    assert roofline.seconds(full, Device(L4)) > roofline.seconds(half, Device(L4))


def test_a_gpu_nobody_measured_is_less_certain(roofline):
    assert not roofline.has_measured(NEW)
    measured, new = (roofline.interval(work(), Device(spec)) for spec in (L4, NEW))
    assert new[2] / new[1] > measured[2] / measured[1]


def test_every_gpu_of_the_price_book_has_a_datasheet_or_is_known_not_to():
    models = {
        (each.accelerator.model, each.accelerator.memory_gib / each.accelerator.count)
        for each in load_book("2026-11-21").instances
        if each.accelerator is not None and each.accelerator.kind == "gpu"
    }
    without = {model for model, memory_gib in models if gpu_spec(model, memory_gib) is None}
    assert without == {"NVIDIA K80", "NVIDIA B300", "NVIDIA GB200", "NVIDIA RTX PRO 4500"}


def test_the_memory_of_a_device_tells_its_two_kinds_apart():
    small, large = (gpu_spec("NVIDIA A100", memory_gib) for memory_gib in (40, 80))
    assert (small.bandwidth_gb_s, large.bandwidth_gb_s) == (1555, 2039)


GIB = 2**30


def model(weight_bytes, kv_bytes_per_token, context_tokens=2048):
    return ModelProfile(
        format="gguf",
        source="a test",
        kind="decoder",
        precision="4-bit",
        parameters=2 * weight_bytes,
        weight_bytes=weight_bytes,
        layers=32,
        kv_bytes_per_token=kv_bytes_per_token,
        context_tokens=context_tokens,
    )


# Where the ground truth's models ran, and where they did not.
GEMMA, LLAMA = model(1_489_055_744, 18_432), model(4_080_263_168, 524_288, 1024)


@pytest.mark.parametrize(
    ("profile", "memory_gib", "fits"),
    [(GEMMA, 2.79, True), (GEMMA, 2.0, False), (LLAMA, 5.59, True), (LLAMA, 4.0, False)],
)
def test_a_model_fits_where_it_ran_and_not_where_it_did_not(profile, memory_gib, fits):
    assert (DeviceMemory.of(profile, batch=1).total_bytes <= memory_gib * GIB) is fits


def test_a_batch_takes_a_cache_for_each_request():
    one, four = (DeviceMemory.of(LLAMA, batch=batch) for batch in (1, 4))
    assert four.cache_bytes == 4 * one.cache_bytes
    assert four.weights_bytes == one.weights_bytes


PLANTED = {"wide": {"matrix": 0.5, "power": -0.8, "launch": 2.5}, "narrow": {"weights": 0.3}}


def planted_rows(regime, noise_sd=0.05, departure_sd=0.1, seed=3):
    """Tests of three models on every GPU, by coefficients that are planted, each GPU's its own."""
    rng = np.random.default_rng(seed)
    devices = tuple(Device(spec, host="Zen3") for spec in GPU_SPECS if spec.fp32_tflops > 6)
    truth = {term.name: term.prior[0] for term in TERMS[regime]} | PLANTED[regime]
    found = []
    for number, device in enumerate(devices):
        own = departure_sd * rng.standard_normal()
        for name, size in (("small", 1e8), ("middle", 2e9), ("large", 7e9)):
            for rows in (16.0, 128.0, 512.0) if regime == "wide" else (1.0,):
                one = work(rows, size)
                shifts = [
                    sum(truth.get(each, 0.0) * by for each, by in named.items())
                    for named in (loadings(regime, term, device, 0.0) for term in TERMS[regime])
                ]
                terms = np.array(log_seconds(regime, one, device.spec))[:, 0] + shifts
                taken = np.logaddexp.reduce(terms) + own + noise_sd * rng.standard_normal()
                found.append((number, name, rows, size, taken))
    number, names, rows, size, taken = map(np.array, zip(*found, strict=True))
    ones = np.ones(len(found))
    table = pd.DataFrame(
        {
            "model": names,
            "regime": regime,
            "gpu": [f"{n}" for n in number],
            "log_seconds": taken,
        }
    )
    work_done = Passes(ones, rows, size, 2 * size, 24 * ones, 0 * ones, 0 * ones)
    return GpuRows(table, work_done, devices, number, HostSpeeds({"Zen3": 2400.0}, 2400.0))


@pytest.mark.parametrize("regime", ["narrow", "wide"])
def test_gpus_left_out_of_a_planted_roofline_are_found_within_its_interval(regime):
    found = list(forecasts(planted_rows(regime), regime, "gpu"))
    error = np.concatenate([each.error for each in found])
    assert np.median(np.abs(error)) < 0.15  # 0.1 of each GPU's own was planted
    inside = [
        np.abs(own.error) <= half_width([each for each in found if each.group != own.group])
        for own in found
    ]
    assert 0.7 <= np.mean(np.concatenate(inside)) <= 0.92


def test_what_a_fit_has_not_seen_it_is_as_unsure_of_as_was_planted():
    calm, wild = (
        half_width(list(forecasts(planted_rows("narrow", departure_sd=sd), "narrow", "gpu")))
        for sd in (0.02, 0.4)
    )
    assert wild > 3 * calm


def test_the_artefact_survives_its_own_format(roofline):
    assert GpuRoofline.from_json(roofline.to_json()) == roofline


def test_an_artefact_of_another_format_is_refused(roofline):
    text = roofline.to_json()
    with pytest.raises(RecommenderError, match="roofline has format"):
        GpuRoofline.from_json(text.replace("gpu-roofline/1", "gpu-roofline/9"))
    with pytest.raises(RecommenderError, match="not readable"):
        GpuRoofline.from_json(text[:-20])


def holdout(roofline, **named):
    return [
        each
        for each in roofline.parameters.holdout
        if all(getattr(each, name) == value for name, value in named.items())
    ]


@pytest.mark.parametrize(("kind", "bar"), [("decode", 0.12), ("prefill", 0.15)])
def test_gpus_left_out_are_predicted_within_the_bar_and_better_than_the_baselines(
    roofline, kind, bar
):
    rows = {each.method: each for each in holdout(roofline, kind=kind, left_out="gpu")}
    own = rows.pop(OUR_METHOD)
    assert own.error <= bar
    assert 0.75 <= own.coverage_80 <= 0.88
    assert len(rows) == 3
    assert all(own.error < each.error for each in rows.values())


@pytest.mark.skipif(GROUND_TRUTH is None, reason="RECOMMENDER_GROUNDTRUTH names no folder")
def test_the_artefact_tells_what_validation_finds(roofline):
    assert tuple(validate_gpus(Path(GROUND_TRUTH))) == roofline.parameters.holdout


def test_a_regime_is_fitted_with_what_both_kinds_of_leaving_out_show():
    wide, narrow = planted_rows("wide"), planted_rows("narrow")
    joined = GpuRows(
        pd.concat([wide.table, narrow.table], ignore_index=True),
        Passes(
            *(
                np.concatenate([getattr(wide.work, name), getattr(narrow.work, name)])
                for name in (
                    *("count", "rows", "parameters", "weight_bytes", "layers"),
                    *("context_bytes", "attention_flops"),
                )
            )
        ),
        wide.devices,
        np.concatenate([wide.device, narrow.device]),
        wide.hosts,
    )
    found = fit_regimes(joined)
    assert set(found) == {"narrow", "wide"}
    assert all(0 < each.unseen_gpu_sd < 1 for each in found.values())
    assert found["narrow"].coefficients["weights"] == pytest.approx(0.3, abs=0.25)
