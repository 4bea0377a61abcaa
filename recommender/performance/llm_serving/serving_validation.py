"""How wrong the serving prior is on models, silicon and families that its fit has not seen.

A task's own model is always left out. "model and silicon" leaves out every run on the silicon
that is judged, "model and family" every run on its family.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
import pandas as pd
from scipy.stats import spearmanr

from recommender.performance.ground_truth import read_table
from recommender.performance.llm_serving.benchmark_tasks import Task, tasks_of
from recommender.performance.llm_serving.prior import fit_serving_prior
from recommender.performance.llm_serving.serving_tasks import (
    answer_serving_task,
    reference_rows,
)
from recommender.performance.llm_serving.workloads import (
    SERVING_KINDS,
    ServingResults,
    read_serving_results,
)
from recommender.performance.scorecard import OUR_METHOD, MethodScore

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

__all__ = ["LEFT_OUT", "validate_serving"]

LeftOut = Literal["model", "model and silicon", "model and family"]
LEFT_OUT: tuple[LeftOut, ...] = ("model", "model and silicon", "model and family")
VCPU_RATIO, STRESS_RATIO, OTHER_MODELS = (
    "vCPU ratio",
    "stress ratio",
    "other models' ratio",
)
_FAMILY_FOLDS = 8
_FEWEST_TARGETS = 3


@dataclass(frozen=True)
class _Answers:
    """Of one task and method: `low` and `high` are NaN of a method without an interval."""

    task: Task
    method: str
    true: Floats
    predicted: Floats
    low: Floats
    high: Floats


def validate_serving(
    data_dir: Path, tasks: pd.DataFrame, left_out: tuple[LeftOut, ...] = LEFT_OUT
) -> list[MethodScore]:
    """By kind, what was left out, and method; baselines beside where only the model was."""
    results = read_serving_results(data_dir)
    wanted = list(tasks_of(tasks, SERVING_KINDS))
    machines = read_table(data_dir / "instances.csv.gz", ("vendor", "instance", "vcpus"))
    machines = machines.set_index(["vendor", "instance"])
    scores: list[MethodScore] = []
    for each in left_out:
        answers = list(_ours(results, wanted, each))
        if each == "model":
            answers += _baselines(results, wanted, machines)
        scores += _scores(answers, each)
    return scores


def _ours(results: ServingResults, tasks: list[Task], left_out: LeftOut) -> Iterator[_Answers]:
    groups = _groups(results, left_out)
    for model in sorted({task.model for task in tasks}):
        of_model = [task for task in tasks if task.model == model]
        parts: dict[str, list[_Answers]] = {task.task_id: [] for task in of_model}
        for group in sorted(set(groups.tolist())):
            unseen = groups == group
            fitted_to = results.runs.model.ne(model)
            if left_out != "model":
                fitted_to &= ~unseen
            prior = fit_serving_prior(results.facts, results.runs_of(fitted_to))
            for task in of_model:
                rows, true = _targets(results, task, unseen)
                joint = answer_serving_task(results, prior, task, rows)
                low, high = joint.interval()
                parts[task.task_id].append(
                    _Answers(task, OUR_METHOD, true, np.exp(joint.mean), low, high)
                )
        yield from (_joined(found) for found in parts.values())


def _groups(results: ServingResults, left_out: LeftOut) -> NDArray[np.str_]:
    """Of each run, the group it is left out with."""
    runs = results.runs
    match left_out:
        case "model":
            return np.full(len(runs), "all")
        case "model and silicon":
            return runs.silicon.to_numpy(dtype=str)
        case "model and family":
            number = pd.factorize(runs.family, sort=True)[0] % _FAMILY_FOLDS
            return number.astype(str)


def _targets(
    results: ServingResults, task: Task, unseen: NDArray[np.bool_]
) -> tuple[NDArray[np.intp], Floats]:
    """(rows of the facts, true rates): of the group's machines but the references."""
    runs = results.runs[unseen & results.runs.workload.eq(task.workload).to_numpy()]
    runs = runs[~runs.row.isin(reference_rows(results, task))]
    return runs.row.to_numpy(dtype=np.intp), np.exp(runs.log_rate.to_numpy(dtype=np.float64))


def _joined(parts: list[_Answers]) -> _Answers:
    first = parts[0]
    columns = ("true", "predicted", "low", "high")
    together = {name: np.concatenate([getattr(part, name) for part in parts]) for name in columns}
    return _Answers(first.task, first.method, **together)


def _baselines(
    results: ServingResults, tasks: list[Task], machines: pd.DataFrame
) -> Iterator[_Answers]:
    everything = np.ones(len(results.runs), dtype=np.bool_)
    facts = machines.reindex(results.facts.machines)
    fixed = {VCPU_RATIO: np.log(facts.vcpus.to_numpy(dtype=np.float64))}
    if "sngf_n" in facts:
        fixed[STRESS_RATIO] = np.log(facts.sngf_n.to_numpy(dtype=np.float64))
    for task in tasks:
        rows, true = _targets(results, task, everything)
        seen = reference_rows(results, task)
        values = np.log([value for _, value in task.references])
        other = {OTHER_MODELS: _under_other_models(results, task)}
        for method, log_speed in {**fixed, **other}.items():
            level = (
                np.nanmean(values - log_speed[seen]) if np.isfinite(log_speed[seen]).any() else 0
            )
            predicted = np.exp(level + log_speed[rows])
            nothing = np.full(len(rows), np.nan)
            yield _Answers(task, method, true, predicted, nothing, nothing)


def _under_other_models(results: ServingResults, task: Task) -> Floats:
    """Mean ln rate of the same kind and prompt; NaN where no other model ran."""
    prompt = task.workload.split(":")[2]
    alike = results.runs.kind.eq(task.kind) & results.runs.model.ne(task.model)
    alike &= results.runs.workload.str.split(":").str[2].eq(prompt)
    found = np.full(len(results.facts.columns), np.nan)
    mean = results.runs[alike].groupby("row").log_rate.mean()
    found[mean.index] = mean
    return found


def _scores(answers: list[_Answers], left_out: str) -> Iterator[MethodScore]:
    table = pd.DataFrame([_figures(each) for each in answers if _has_targets(each)])
    for (kind, method), rows in table.groupby(["kind", "method"], sort=False):
        mean = rows.drop(columns=["kind", "method"]).mean()
        has_interval = bool(np.isfinite(mean.coverage_80))
        yield MethodScore(
            kind=str(kind),
            left_out=left_out,
            method=str(method),
            error=mean.error,
            p90_error=mean.p90_error,
            spearman=mean.spearman,
            regret=None,
            coverage_80=mean.coverage_80 if has_interval else None,
            width_80=mean.width_80 if has_interval else None,
            tasks=len(rows),
            predictions=int(rows.predictions.sum()),
        )


def _has_targets(answers: _Answers) -> bool:
    return int(np.isfinite(answers.predicted).sum()) >= _FEWEST_TARGETS


def _figures(answers: _Answers) -> dict[str, object]:
    known = np.isfinite(answers.predicted)
    true, predicted = answers.true[known], answers.predicted[known]
    low, high = answers.low[known], answers.high[known]
    error = np.abs(predicted / true - 1)
    has_interval = bool(np.isfinite(low).all())
    inside = np.mean((low <= true) & (true <= high))
    return {
        "kind": answers.task.kind,
        "method": answers.method,
        "error": np.median(error),
        "p90_error": np.quantile(error, 0.9),
        "spearman": spearmanr(predicted, true).statistic,
        "coverage_80": inside if has_interval else np.nan,
        "width_80": np.median(high / low) if has_interval else np.nan,
        "predictions": int(known.sum()),
    }
