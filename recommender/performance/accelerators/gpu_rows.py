"""Language models measured on GPUs, as the roofline is fitted to them.

Read are rows that ran on the GPU alone, of devices with a datasheet here; slices are read where
the cloud says how large a share they are.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from pricing import gpu_reported_as
from recommender.errors import NotMeasured
from recommender.performance.accelerators.llm_tests import passes_of, read_machines, read_tests
from recommender.performance.accelerators.terms import Device, HostSpeeds

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from pricing import GpuSpec
    from recommender.performance.accelerators.terms import Passes

    Floats = NDArray[np.float64]

__all__ = ["GpuRows", "read_gpu_rows"]

SLICES = {"NVIDIA L4-3Q": 0.125, "NVIDIA L4-6Q": 0.25, "NVIDIA L4-12Q": 0.5}
"""Shares of an L4, by the name that the driver gives them (AWS g6f, gr6f)."""


@dataclass(frozen=True)
class GpuRows:
    """table: model, regime, gpu, generation and log_seconds of the whole test, one row each.

    devices: distinct ones; device: each row's, by number.
    """

    table: pd.DataFrame
    work: Passes
    devices: tuple[Device, ...]
    device: NDArray[np.intp]
    hosts: HostSpeeds

    @property
    def log_seconds(self) -> Floats:
        return np.asarray(self.table.log_seconds, dtype=np.float64)

    def only(self, keep: NDArray[np.bool_]) -> GpuRows:
        return GpuRows(
            self.table[keep],
            self.work.only(keep),
            self.devices,
            self.device[keep],
            self.hosts,
        )

    @property
    def gpu(self) -> NDArray[np.str_]:
        return self.table.gpu.to_numpy(dtype=str)

    @property
    def model(self) -> NDArray[np.str_]:
        return self.table.model.to_numpy(dtype=str)


def read_gpu_rows(data_dir: Path) -> GpuRows:
    machines = read_machines(data_dir)
    points = machines.groupby("uarch").pm_CPU_SINGLETHREAD.median().dropna().round()
    hosts = HostSpeeds({str(k): float(v) for k, v in points.items()}, float(points.median()))
    rows = read_tests(data_dir, machines)
    rows = rows[rows.effective_backend.eq("GPU")]
    named = {name: _spec_of(name) for name in rows.gpu_name.dropna().unique()}
    specs = {name: spec for name, spec in named.items() if spec is not None}
    rows = rows[rows.gpu_name.isin(list(specs))].reset_index(drop=True)
    if rows.empty:
        raise NotMeasured(f"{data_dir} holds no model measured on a GPU that is known here")
    keys = list(zip(rows.gpu_name, rows.n_gpus.astype(int), rows.uarch.fillna(""), strict=True))
    distinct = {key: number for number, key in enumerate(dict.fromkeys(keys))}
    devices = tuple(
        Device(specs[name], SLICES.get(name, 1.0), split, host or None)
        for name, split, host in distinct
    )
    device = np.array([distinct[key] for key in keys], dtype=np.intp)
    table = pd.DataFrame(
        {
            "model": rows.model_short,
            "regime": rows.regime,
            "gpu": [devices[number].spec.name for number in device],
            "generation": [devices[number].spec.generation for number in device],
            "log_seconds": rows.log_seconds,
        }
    )
    return GpuRows(table, passes_of(rows), devices, device, hosts)


def _spec_of(name: str) -> GpuSpec | None:
    return gpu_reported_as("NVIDIA L4" if name in SLICES else name)
