"""Fit the roofline of CPUs, and find how far GPU times go wrong that rest on CPU times."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from recommender.performance.accelerators.additive import (
    Design,
    Forecast,
    alike,
    fit,
    half_width,
    sd_of,
)
from recommender.performance.accelerators.cpu_roofline import (
    CPU_PRIOR,
    CpuRoofline,
    cpu_loadings,
    cpu_log_seconds,
)
from recommender.performance.accelerators.llm_tests import passes_of, read_machines, read_tests
from recommender.performance.accelerators.roofline_fit import forecasts, of_regime
from recommender.performance.accelerators.terms import REGIMES

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from numpy.typing import NDArray

    from recommender.performance.accelerators.gpu_rows import GpuRows
    from recommender.performance.accelerators.terms import Regime

    Floats = NDArray[np.float64]

__all__ = ["carried", "cpu_forecasts", "fit_cpu", "read_cpu_rows"]

LARGEST_VCPUS = 8
"""A local measurement is made on a few vCPUs; on large machines one process stops scaling."""
SILICON_SD = 0.4
_TEST = ["uarch", "model_short", "regime", "tokens"]


@dataclass(frozen=True)
class CpuRows:
    """table: silicon, model, regime and log_seconds (of CPU time), one row for each test."""

    table: pd.DataFrame
    design: Design

    @property
    def log_seconds(self) -> Floats:
        return np.asarray(self.table.log_seconds, dtype=np.float64)

    def only(self, keep: NDArray[np.bool_]) -> CpuRows:
        design = self.design
        return CpuRows(
            self.table[keep],
            Design(design.names, design.shifts, design.log_seconds[:, keep], design.machine[keep]),
        )

    def column(self, name: str) -> NDArray[np.str_]:
        return self.table[name].to_numpy(dtype=str)


def read_cpu_rows(data_dir: Path) -> CpuRows:
    """Of each silicon the median over its machines."""
    rows = read_tests(data_dir, read_machines(data_dir))
    rows = rows[rows.effective_backend.eq("CPU") & rows.uarch.notna()]
    rows = rows[rows.vcpus.le(LARGEST_VCPUS) & rows.is_burstable.fillna(0).ne(1)]
    rows = rows.assign(log_seconds=rows.log_seconds + np.log(rows.n_threads))
    keys = [*_TEST, "n_params", "size_bytes"]
    rows = rows.groupby(keys)[["log_seconds"]].median().reset_index()
    silicon = sorted(rows.uarch.unique())
    design = Design.of(
        [cpu_loadings(name) for name in silicon],
        np.stack(np.broadcast_arrays(*cpu_log_seconds(passes_of(rows)))),
        rows.uarch.map({name: n for n, name in enumerate(silicon)}).to_numpy(dtype=np.intp),
    )
    named = rows.rename(columns={"uarch": "silicon", "model_short": "model"})
    return CpuRows(named[["silicon", "model", "regime", "log_seconds"]], design)


def fit_cpu(rows: CpuRows, gpu_rows: GpuRows) -> CpuRoofline:
    return CpuRoofline(
        coefficients=_fit(rows),
        unseen_sd={
            regime: sd_of(half_width(list(cpu_forecasts(rows, regime, "model"))))
            for regime in REGIMES
        },
        carried_sd={
            regime: sd_of(half_width(list(carried(rows, gpu_rows, regime)))) for regime in REGIMES
        },
    )


def cpu_forecasts(rows: CpuRows, regime: Regime, left_out: str) -> Iterator[Forecast]:
    """left_out: the column whose values are left out in turn, of both regimes; told of one."""
    groups = rows.column(left_out)
    for group in sorted(set(groups.tolist())):
        unseen = groups == group
        target = rows.only(unseen & (rows.column("regime") == regime))
        error = target.design.predict(_fit(rows.only(~unseen))) - target.log_seconds
        yield Forecast(group, target.column("model"), target.column("silicon"), error)


def carried(rows: CpuRows, gpu_rows: GpuRows, regime: Regime) -> Iterator[Forecast]:
    """Times on each GPU from times on each silicon, of a model that no fit has seen.

    What the CPU's roofline errs in the work, the GPU's time errs too: the errors subtract.
    """
    on_cpu = {each.group: each for each in cpu_forecasts(rows, regime, "model")}
    for on_gpu in forecasts(of_regime(gpu_rows, regime), regime, "model"):
        cpu = on_cpu[on_gpu.group]
        here = pd.Series(cpu.error).groupby(cpu.machine).median()
        there = pd.Series(on_gpu.error).groupby(on_gpu.machine).median()
        error = there.to_numpy()[:, None] - here.to_numpy()[None, :]
        gpus = np.repeat(there.index.to_numpy(dtype=str), len(here))
        yield Forecast(on_gpu.group, np.full(error.size, on_gpu.group), gpus, error.ravel())


def _fit(rows: CpuRows) -> dict[str, float]:
    weight = alike(rows.column("silicon"))
    return fit(rows.design, rows.log_seconds, weight, CPU_PRIOR, departure_sd=SILICON_SD)
