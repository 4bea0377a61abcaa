"""A task of the ground truth: one workload, measured on a few machines and wanted on all."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from recommender.errors import NotMeasured

if TYPE_CHECKING:
    from collections.abc import Container, Iterator

    import pandas as pd

__all__ = ["ANSWER", "ANY_VENDOR", "Task", "tasks_of"]

ANY_VENDOR = "any"
ANSWER = ("task_id", "vendor", "instance", "pred", "lo", "hi")
_COLUMNS = ("task_id", "vendor", "workload", "kind", "refs", "ref_values")


@dataclass(frozen=True, slots=True)
class Task:
    """`workload` is "benchmark:model:...". `references`: instance and what it measured.

    `parameters` and `weight_bytes` are None where nobody said how large the model is.
    """

    task_id: str
    vendor: str
    workload: str
    kind: str
    references: tuple[tuple[str, float], ...]
    parameters: float | None
    weight_bytes: float | None

    @property
    def model(self) -> str:
        return self.workload.split(":")[1]

    def is_about(self, vendor: str) -> bool:
        return self.vendor in {ANY_VENDOR, vendor}


def tasks_of(table: pd.DataFrame, kinds: Container[str]) -> Iterator[Task]:
    missing = [name for name in _COLUMNS if name not in table]
    if missing:
        raise NotMeasured(f"the table of tasks has no column {', '.join(missing)}")
    for row in table.to_dict("records"):
        if row["kind"] not in kinds:
            continue
        values = [float(value) for value in str(row["ref_values"]).split(";")]
        yield Task(
            task_id=str(row["task_id"]),
            vendor=str(row["vendor"]),
            workload=str(row["workload"]),
            kind=str(row["kind"]),
            references=tuple(zip(str(row["refs"]).split(";"), values, strict=True)),
            parameters=_known(row.get("n_params")),
            weight_bytes=_known(row.get("size_bytes")),
        )


def _known(value: float | None) -> float | None:
    return float(value) if value is not None and np.isfinite(value) and value > 0 else None
