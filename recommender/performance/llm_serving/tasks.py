"""Benchmark tasks about serving language models: vLLM on CPUs, and GPUs from a CPU."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from recommender.performance.llm_serving.gpu_tasks import predict_gpu_tasks
from recommender.performance.llm_serving.serving_tasks import predict_serving_tasks

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["predict_tasks"]


def predict_tasks(data_dir: Path, tasks: pd.DataFrame) -> pd.DataFrame:
    """Columns task_id, vendor, instance, pred, lo, hi: median and 80 % interval.

    `tasks`: as tasks.csv lays them out; of other kinds than these nothing is predicted. Every
    machine of the task's vendor ("any": of all) is, whose facts instances.csv holds. Nothing of
    a task's own model is looked at but its reference values.
    """
    found = [predict(data_dir, tasks) for predict in (predict_serving_tasks, predict_gpu_tasks)]
    found = [table for table in found if not table.empty]
    columns = ["task_id", "vendor", "instance", "pred", "lo", "hi"]
    return pd.concat(found, ignore_index=True) if found else pd.DataFrame(columns=columns)
