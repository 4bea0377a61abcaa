"""Measured throughputs, and what is known of the workloads they are of before measuring them.

A workload's `bytes_ratio` is what one call of it moves, relative to its kind's unit: the weights
of a language model in GB, the page of a web server in units of 64 KiB. `tokens` are those of one
call of a prefill, 1 elsewhere. Workloads of one `fold` are left out together: all lengths of one
language model, or one page size.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from recommender.errors import OutOfRange
from recommender.performance.ground_truth import read_table

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from recommender.performance.transfer.catalogue import Catalogue

__all__ = ["DECODE", "KINDS", "PREFILL", "WEB", "Rates", "Workload", "read_rates", "workload_of"]

PREFILL, DECODE, WEB = "llm_pp", "llm_tg", "web"
KINDS = (PREFILL, DECODE, WEB)
_PAGE_KIB = 64.0
_LLM = re.compile(r"llm:(?P<model>[^:]+):(?P<what>pp|tg)(?P<tokens>\d+)$")
_WEB = re.compile(r"web:(?P<kib>[\d.]+)k$")
_TRUTH = ("vendor", "instance", "workload", "kind", "value")


@dataclass(frozen=True, slots=True)
class Workload:
    name: str
    kind: str
    fold: str
    bytes_ratio: float
    length: float

    @property
    def tokens(self) -> float:
        """Answered by one pass through the model."""
        return self.length if self.kind == PREFILL else 1.0


@dataclass(frozen=True)
class Rates:
    """`table`: columns machine (row of the catalogue), workload, kind, fold, log_rate."""

    table: pd.DataFrame
    workloads: Mapping[str, Workload]

    def without(self, folds: Iterable[str], machines: Iterable[int] = ()) -> Rates:
        kept = ~self.table.fold.isin(list(folds)) & ~self.table.machine.isin(list(machines))
        return Rates(self.table[kept], self.workloads)

    def of(self, kind: str) -> pd.DataFrame:
        return self.table[self.table.kind.eq(kind)]

    @property
    def folds(self) -> tuple[str, ...]:
        return tuple(sorted(self.table.fold.unique()))


def workload_of(name: str, model_bytes: Mapping[str, float]) -> Workload:
    llm, web = _LLM.match(name), _WEB.match(name)
    if llm is not None:
        model, kind = llm["model"], PREFILL if llm["what"] == "pp" else DECODE
        if model not in model_bytes:
            raise OutOfRange(
                f"how large the model of {name!r} is, nobody says",
                hint="tasks.csv or llm.csv.gz must give its size_bytes",
            )
        size_gb = model_bytes[model] / 1e9
        return Workload(name, kind, f"llm:{model}", size_gb, float(llm["tokens"]))
    if web is not None:
        return Workload(name, WEB, name, float(web["kib"]) / _PAGE_KIB, 1.0)
    raise OutOfRange(
        f"a workload named {name!r} is of no known kind",
        hint="known: llm:MODEL:ppN, llm:MODEL:tgN and web:Nk",
    )


def read_rates(data_dir: Path, catalogue: Catalogue, tasks: pd.DataFrame) -> Rates:
    """The scored rows of truth.csv.gz, of machines that the catalogue describes.

    `tasks` may name workloads and sizes of models that the folder has not seen.
    """
    truth = read_table(data_dir / "truth.csv.gz", _TRUTH)
    truth = truth[truth.kind.isin(KINDS) & truth.value.gt(0)]
    if "scored" in truth:
        truth = truth[truth.scored.eq(1)]
    sizes = {**_sizes_of_folder(data_dir), **_sizes_of_tasks(tasks)}
    names = {*truth.workload, *tasks.workload[tasks.kind.isin(KINDS)]}
    workloads = {name: workload_of(name, sizes) for name in sorted(names)}
    positions = catalogue.positions()
    machine = positions.reindex(pd.MultiIndex.from_frame(truth[["vendor", "instance"]]))
    table = pd.DataFrame(
        {
            "machine": machine.to_numpy(),
            "workload": truth.workload.to_numpy(),
            "kind": truth.kind.to_numpy(),
            "fold": [workloads[name].fold for name in truth.workload],
            "log_rate": np.log(truth.value.to_numpy(dtype=float)),
        }
    ).dropna(subset="machine")
    table["machine"] = table.machine.astype(np.intp)
    return Rates(table.sort_values(["kind", "workload", "machine"], ignore_index=True), workloads)


def _sizes_of_folder(data_dir: Path) -> dict[str, float]:
    if not (data_dir / "llm.csv.gz").is_file():
        return {}
    table = read_table(data_dir / "llm.csv.gz", ("model_short", "size_bytes"))
    return dict(table.groupby("model_short").size_bytes.first())


def _sizes_of_tasks(tasks: pd.DataFrame) -> dict[str, float]:
    if "size_bytes" not in tasks:
        return {}
    known = tasks[tasks.size_bytes.notna() & tasks.workload.str.startswith("llm:")]
    models = known.workload.str.split(":").str[1]
    return dict(known.size_bytes.astype(float).groupby(models).first())
