"""Benchmark results of real machines, as the speed prior is fitted to them.

The folder holds `instances.csv.gz` (one row per machine: facts and micro-benchmarks) and
`truth.csv.gz` (one row per workload and machine). Only machines that were measured, and are
neither burstable, flexible nor bare metal, are read.

Which workloads make the prior. A model server behind gunicorn is compiled and interpreted
application code on independent workers. Its relatives are Geekbench's applications and PassMark's
CPU tests. Left out: single-instruction tests (hashes, ciphers: SHA and AES units differ fourfold
between silicons), PassMark's per-ISA tests, and Geekbench's text processing, which is serial.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from recommender.errors import NotMeasured

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

__all__ = [
    "DECODE",
    "GEEKBENCH",
    "HOME",
    "KINDS",
    "PASSMARK",
    "PREFILL",
    "SMALL_VCPUS",
    "WEB",
    "Benchmarks",
    "read_benchmarks",
    "read_table",
]

GEEKBENCH = tuple(
    f"gb_mc_{name}"
    for name in (
        *("file_compression", "navigation", "html5_browser", "pdf_renderer", "clang"),
        *("asset_compression", "horizon_detection", "object_remover", "hdr", "photo_filter"),
        *("ray_tracer", "structure_from_motion"),
    )
)
PASSMARK = tuple(
    f"pm_CPU_{name}"
    for name in (
        *("INTEGER_MATH", "FLOATINGPOINT_MATH", "PRIME", "SORTING", "ENCRYPTION"),
        *("COMPRESSION", "PHYSICS", "MATRIX_MULT_SSE"),
    )
)
APPLICATION = (*GEEKBENCH, *PASSMARK)
WEB, PREFILL, DECODE = "web", "llm_prefill", "llm_decode"
KIND_OF_TRUTH = {"web": WEB, "llm_pp": PREFILL, "llm_tg": DECODE}
KINDS = ("application", WEB, PREFILL, DECODE)

SMALL_VCPUS = 4
HOME = "aws"
_FACTS = (
    *("vendor", "instance", "family", "measured", "uarch", "vcpus", "threads_per_core", "arch"),
    *("is_burstable", "is_metal", "is_flex"),
)
_TRUTH = ("vendor", "instance", "workload", "kind", "value")


@dataclass(frozen=True, slots=True)
class Benchmarks:
    """What machines measured.

    `machines`: one row per machine, indexed (vendor, instance). `rates`: columns workload, kind,
    vendor, instance, family, silicon, vcpus, threads, arch and `log_speed`, the natural log of
    throughput per vCPU.
    """

    machines: pd.DataFrame
    rates: pd.DataFrame

    def only(self, keep: pd.Series) -> Benchmarks:
        return Benchmarks(self.machines, self.rates[keep])


def read_benchmarks(data_dir: Path) -> Benchmarks:
    machines = read_table(data_dir / "instances.csv.gz", _FACTS)
    fit_for_use = machines.measured.eq(1) & machines.uarch.notna() & machines.vcpus.gt(0)
    for flaw in ("is_burstable", "is_metal", "is_flex"):
        fit_for_use &= machines[flaw].fillna(0).ne(1)
    if "split" in machines:
        fit_for_use &= machines.split.eq("dev")
    machines = machines[fit_for_use].set_index(["vendor", "instance"])
    facts = machines[["family", "uarch", "vcpus", "threads_per_core", "arch"]].rename(
        columns={"uarch": "silicon", "threads_per_core": "threads"}
    )
    tests = [name for name in APPLICATION if name in machines]
    micro = (
        machines[tests]
        .melt(ignore_index=False, var_name="workload")
        .dropna(subset="value")
        .reset_index()
        .assign(kind="application")
    )
    truth = read_table(data_dir / "truth.csv.gz", _TRUTH)
    truth = truth[truth.kind.isin(KIND_OF_TRUTH)]
    truth = truth.assign(kind=truth.kind.map(KIND_OF_TRUTH))
    columns = ["vendor", "instance", "workload", "kind", "value"]
    rates = pd.concat([micro[columns], truth[columns]], ignore_index=True)
    rates = rates[rates.value.gt(0)].join(facts, on=["vendor", "instance"], how="inner")
    rates["arch"] = rates.arch.replace("aarch64", "arm64")
    rates["log_speed"] = np.log(rates.value / rates.vcpus)
    return Benchmarks(machines, rates.drop(columns="value").reset_index(drop=True))


def read_table(path: Path, needed: Sequence[str]) -> pd.DataFrame:
    """Of a folder of benchmarks. Raises NotMeasured without it, or without a column needed."""
    if not path.is_file():
        raise NotMeasured(
            f"{path} is not there", hint="give the folder that holds the benchmark tables"
        )
    table = pd.read_csv(path, low_memory=False)
    missing = [name for name in needed if name not in table]
    if missing:
        raise NotMeasured(f"{path} has no column {', '.join(missing)}")
    return table
