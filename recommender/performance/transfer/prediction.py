"""Predictions for every task of a file: by this model, and by that of language-model serving."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from recommender.errors import OutOfRange
from recommender.performance.ground_truth import read_table
from recommender.performance.transfer.catalogue import read_catalogue
from recommender.performance.transfer.fitting import at_home
from recommender.performance.transfer.forecasts import forecast_folds, questions_of
from recommender.performance.transfer.rates import KINDS, read_rates

if TYPE_CHECKING:
    from pathlib import Path

    from recommender.performance.transfer.forecasts import Said

__all__ = ["COLUMNS", "predict_tasks", "read_tasks"]

COLUMNS = ("task_id", "vendor", "instance", "pred", "lo", "hi")
_NEEDED = ("task_id", "vendor", "workload", "kind", "refs", "ref_values")
_SERVING = ("gpullm", "vllm")


def read_tasks(file: Path) -> pd.DataFrame:
    tasks = read_table(file, _NEEDED)
    known = tasks.kind.isin(KINDS) | tasks.kind.str.startswith(_SERVING)
    if not known.all():
        strange = ", ".join(sorted(tasks.kind[~known].unique()))
        raise OutOfRange(
            f"{file} asks about workloads of kind {strange}",
            hint=f"known: {', '.join(KINDS)}, and kinds that begin with gpullm or vllm",
        )
    return tasks


def predict_tasks(data_dir: Path, tasks: pd.DataFrame, said: Said) -> pd.DataFrame:
    """COLUMNS, for every machine of the task's vendor; nothing of its own fold is looked at."""
    catalogue = read_catalogue(data_dir)
    rates = read_rates(data_dir, catalogue, tasks)
    parts = []
    for vendor, asked in tasks[tasks.kind.isin(KINDS)].groupby("vendor"):
        own_rates, machines = at_home(rates, catalogue, str(vendor))
        questions = questions_of(asked, own_rates)
        found = forecast_folds(own_rates, machines, questions, said).with_intervals()
        parts.append(found[found.vendor.eq(vendor)])
    serving = tasks[tasks.kind.str.startswith(_SERVING)]
    if not serving.empty:
        from recommender.performance.llm_serving import tasks as llm_serving  # noqa: PLC0415

        said(f"{len(serving)} tasks of language-model serving", None)
        parts.append(llm_serving.predict_tasks(data_dir, serving)[list(COLUMNS)])
    return pd.concat(parts, ignore_index=True)
