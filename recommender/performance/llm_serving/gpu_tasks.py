"""Tasks about GPUs: one model measured on a CPU, wanted on every machine with a GPU.

Times follow from the roofline, fitted without the model. The model's size is given; its shape is
not, and follows from the size. What the CPU measured is left out of account: to read the work off
it errs twice as much as to reckon it from the size (CpuRoofline.carried_sd).
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from itertools import groupby
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from scipy.special import ndtri

from pricing import GPU_SPECS, gpu_reported_as
from recommender.errors import NotMeasured
from recommender.performance.accelerators import Device, GpuRoofline, Passes, RooflineParameters
from recommender.performance.accelerators.cpu_fit import fit_cpu, read_cpu_rows
from recommender.performance.accelerators.gpu_rows import SLICES, read_gpu_rows
from recommender.performance.accelerators.llm_tests import MICRO_BATCH, Transformer
from recommender.performance.accelerators.roofline import FORMAT
from recommender.performance.accelerators.roofline_fit import fit_regimes
from recommender.performance.ground_truth import read_table
from recommender.performance.llm_serving.benchmark_tasks import ANSWER, Task, tasks_of
from recommender.performance.speed_prior import Provenance

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from pricing import GpuSpec
    from recommender.performance.accelerators.terms import Regime

__all__ = ["GPU_KINDS", "predict_gpu_tasks", "usual_shape"]

GPU_KINDS = ("gpullm_pp", "gpullm_tg")
UNKNOWN_SHARE_LOG_SD = 0.5
"""Of virtual GPUs that do not say how much of the device's time they get: all, to a share."""

UNSEEN_MODEL_LOG_SD: dict[Regime, float] = {"narrow": 0.3, "wide": 0.22}
"""Of a model that the fit has not seen, and whose shape was guessed from its size: what three
models, each left out, had. Fewer models than that cannot say it of themselves."""

_HOST = ("vendor", "instance", "uarch", "gpu_model", "gpu_count")
_VIRTUAL = re.compile(r"-\d+Q$")
_TEST = re.compile(r":(pp|tg)(\d+)$")
_FEWEST_LAYERS = 24
_WIDTH_PER_LAYER = 128
_HEADS_PER_KEY_HEAD = 4


def usual_shape(parameters: float) -> Transformer:
    """Of a decoder of that size: 12 L w^2 parameters, as wide as 128 a layer, never shallow."""
    layers = max(_FEWEST_LAYERS, round((parameters / 12 / _WIDTH_PER_LAYER**2) ** (1 / 3)))
    width = round(float(np.sqrt(parameters / 12 / layers)))
    return Transformer(layers, width, width // _HEADS_PER_KEY_HEAD)


def predict_gpu_tasks(data_dir: Path, tasks: pd.DataFrame) -> pd.DataFrame:
    """Of tasks about GPUs; no row of a task's own model is looked at."""
    wanted = sorted(tasks_of(tasks, GPU_KINDS), key=lambda task: task.model)
    answers: list[dict[str, object]] = []
    hosts = list(_hosts(data_dir)) if wanted else []
    for model, of_model in groupby(wanted, lambda task: task.model):
        roofline = _fit_without(data_dir, model)
        for task in of_model:
            answers += _answers(roofline, hosts, task)
    return pd.DataFrame(answers, columns=list(ANSWER))


@dataclass(frozen=True, slots=True)
class _Host:
    vendor: str
    instance: str
    device: Device
    share_is_known: bool


def _fit_without(data_dir: Path, model: str) -> GpuRoofline:
    gpu_rows, cpu_rows = read_gpu_rows(data_dir), read_cpu_rows(data_dir)
    gpu_rows = gpu_rows.only(gpu_rows.model != model)
    cpu_rows = cpu_rows.only(cpu_rows.column("model") != model)
    regimes = {
        regime: replace(fit, unseen_model_sd=UNSEEN_MODEL_LOG_SD[regime])
        for regime, fit in fit_regimes(gpu_rows).items()
    }
    return GpuRoofline(
        RooflineParameters(
            format=FORMAT,
            regimes=regimes,
            cpu=fit_cpu(cpu_rows, gpu_rows),
            hosts=gpu_rows.hosts,
            gpus=tuple(sorted(set(gpu_rows.gpu.tolist()))),
            holdout=(),
            provenance=_of_folder(data_dir),
        )
    )


def _of_folder(data_dir: Path) -> Provenance:
    return Provenance(
        source=str(data_dir),
        commit="",
        licence="",
        fitted_on="",
        command="",
        workloads=(),
        machines=0,
    )


def _hosts(data_dir: Path) -> Iterator[_Host]:
    machines = read_table(data_dir / "instances.csv.gz", _HOST)[list(_HOST)]
    for row in machines[machines.gpu_count.gt(0)].to_dict("records"):
        name = str(row["gpu_model"])
        spec = _spec_of(name)
        if spec is None:
            continue
        device = Device(spec, SLICES.get(name, 1.0), int(row["gpu_count"]), str(row["uarch"]))
        known = gpu_reported_as(name) is not None or name in SLICES
        yield _Host(str(row["vendor"]), str(row["instance"]), device, known)


def _spec_of(name: str) -> GpuSpec | None:
    exact = gpu_reported_as(name)
    if exact is not None:
        return exact
    base = _VIRTUAL.sub("", name)
    alike = (
        spec
        for spec in GPU_SPECS
        if any(_VIRTUAL.sub("", each) == base for each in spec.reported_as)
    )
    return next(alike, None)


def _answers(roofline: GpuRoofline, hosts: list[_Host], task: Task) -> Iterator[dict[str, object]]:
    work, tokens = _work(task)
    for host in hosts:
        if not task.is_about(host.vendor):
            continue
        rate = tokens / float(roofline.seconds(work, host.device))
        share_sd = 0.0 if host.share_is_known else UNKNOWN_SHARE_LOG_SD
        sd = np.hypot(roofline.error_sd(work, host.device.spec), share_sd)
        reach = float(np.exp(ndtri(0.9) * sd))
        values = (task.task_id, host.vendor, host.instance, rate, rate / reach, rate * reach)
        yield dict(zip(ANSWER, values, strict=True))


def _work(task: Task) -> tuple[Passes, float]:
    """(work, tokens) of a llama-bench test such as "llm:gemma2b:tg128"."""
    test = _TEST.search(task.workload)
    if test is None or task.parameters is None or task.weight_bytes is None:
        raise NotMeasured(
            f"{task.workload!r} needs a test like tg128, and its model's size",
            hint="give n_params and size_bytes in the table of tasks",
        )
    tokens, shape = float(test[2]), usual_shape(task.parameters)
    is_decode = test[1] == "tg"
    pairs = tokens * tokens / 2
    work = Passes(
        count=np.asarray(tokens if is_decode else np.ceil(tokens / MICRO_BATCH)),
        rows=np.asarray(1.0 if is_decode else min(tokens, MICRO_BATCH)),
        parameters=np.asarray(task.parameters),
        weight_bytes=np.asarray(task.weight_bytes),
        layers=np.asarray(float(shape.layers)),
        context_bytes=np.asarray(shape.kv_bytes_per_token * pairs),
        attention_flops=np.asarray(shape.attention_flops_per_pair * pairs),
    )
    return work, tokens
