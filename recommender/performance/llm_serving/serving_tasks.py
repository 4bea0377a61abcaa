"""Tasks about vLLM: one model measured on a few machines, wanted on all."""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from recommender.errors import NotMeasured
from recommender.performance.joint import LogNormalJoint
from recommender.performance.llm_serving.benchmark_tasks import ANSWER, Task, tasks_of
from recommender.performance.llm_serving.prior import ServingPrior, fit_serving_prior
from recommender.performance.llm_serving.workloads import (
    SERVING_KINDS,
    ServingResults,
    parameters_in_name,
    read_serving_results,
)

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

__all__ = [
    "REFERENCE_ERROR",
    "answer_serving_task",
    "predict_serving_tasks",
    "reference_rows",
]

REFERENCE_ERROR = 0.05
_SIZES_TRIED = np.geomspace(1e8, 1e11, 13)


def predict_serving_tasks(data_dir: Path, tasks: pd.DataFrame) -> pd.DataFrame:
    """Of tasks about vLLM; no run of a task's own model is looked at."""
    wanted = sorted(tasks_of(tasks, SERVING_KINDS), key=lambda task: task.model)
    if not wanted:
        return pd.DataFrame(columns=list(ANSWER))
    results = read_serving_results(data_dir)
    tables = []
    for model, of_model in groupby(wanted, lambda task: task.model):
        prior = fit_serving_prior(results.facts, results.runs_of(results.runs.model.ne(model)))
        for task in of_model:
            rows = _rows_of(results, task)
            tables.append(
                _table(results, task, rows, answer_serving_task(results, prior, task, rows))
            )
    return pd.concat(tables, ignore_index=True)


def answer_serving_task(
    results: ServingResults, prior: ServingPrior, task: Task, rows: NDArray[np.intp]
) -> LogNormalJoint:
    """Of the machines at `rows` of the facts, in their order."""
    seen = reference_rows(results, task)
    values = np.log([value for _, value in task.references])
    parameters = task.parameters or parameters_in_name(task.model)
    if parameters is None:
        parameters = _likeliest_size(results, prior, task, seen, values)
    question = results.question(task.workload, task.kind, parameters)
    joint = prior.joint(question, np.concatenate([seen, rows]))
    after = joint.given(np.arange(len(seen)), values, REFERENCE_ERROR)
    kept = slice(len(seen), None)
    return LogNormalJoint(after.mean[kept], after.covariance[kept, kept])


def _rows_of(results: ServingResults, task: Task) -> NDArray[np.intp]:
    vendors = results.facts.machines.get_level_values(0)
    return np.flatnonzero([task.is_about(vendor) for vendor in vendors])


def reference_rows(results: ServingResults, task: Task) -> NDArray[np.intp]:
    vendors, instances = (results.facts.machines.get_level_values(level) for level in (0, 1))
    allowed = np.array([task.is_about(vendor) for vendor in vendors])
    rows = []
    for name, _ in task.references:
        found = np.flatnonzero(allowed & (instances == name))
        if len(found) == 0:
            raise NotMeasured(
                f"nothing is known of {name!r}, on which {task.workload!r} was measured",
                hint="instances.csv.gz holds the facts of machines",
            )
        rows.append(found[0])
    return np.array(rows, dtype=np.intp)


def _likeliest_size(
    results: ServingResults,
    prior: ServingPrior,
    task: Task,
    seen: NDArray[np.intp],
    values: Floats,
) -> float:
    """Of a model of unknown size: the one under which what it measured is least surprising."""

    def surprise(parameters: float) -> float:
        joint = prior.joint(results.question(task.workload, task.kind, parameters), seen)
        gap = values - joint.mean
        noisy = joint.covariance + REFERENCE_ERROR**2 * np.eye(len(gap))
        _, log_volume = np.linalg.slogdet(noisy)
        return float(gap @ np.linalg.solve(noisy, gap) + log_volume)

    return float(min(_SIZES_TRIED, key=surprise))


def _table(
    results: ServingResults, task: Task, rows: NDArray[np.intp], joint: LogNormalJoint
) -> pd.DataFrame:
    machines = results.facts.machines[rows]
    low, high = joint.interval()
    return pd.DataFrame(
        {
            "task_id": task.task_id,
            "vendor": machines.get_level_values(0),
            "instance": machines.get_level_values(1),
            "pred": np.exp(joint.mean),
            "lo": low,
            "hi": high,
        }
    )
