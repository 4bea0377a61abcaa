"""What a catalogue says of its machines: the only facts the transfer model looks at.

No benchmark result is among them, so a machine that nobody measured is described as well as one
that everybody did. What a catalogue leaves blank is taken from machines of the same family, then
of the same silicon.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from recommender.performance.ground_truth import read_table
from recommender.performance.silicon import SILICON_FACTS, SiliconFacts

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Indices = NDArray[np.intp]

__all__ = ["FLAGS", "LINEAGES", "Catalogue", "facts_of_silicon", "read_catalogue"]

FLAGS = ("avx512f", "avx512_vnni", "amx_int8", "avx512_bf16", "i8mm", "sve", "avx2")
LINEAGES = ("intel", "amd", "neoverse")
_NEEDED = ("vendor", "instance", "family", "arch", "uarch", "vcpus", "physical_cores")
_FAMILY_SAYS = ("arch", "uarch", "threads_per_core", "max_mhz", "cpu_model", "is_burstable")
_SIZE = ("vcpus", "physical_cores", "mem_gib", "sockets", "numa_nodes")
_TOLD_APART = (
    *("vendor", "processor", "vcpus", "cores", "threads", "log_clock", "log_l3"),
    *("log_l2_core", "sockets", "numa"),
)
_OLD = SiliconFacts("intel", "x86_64", 2012.0)
_EARLIER_AND_FOREIGN = {
    "SandyBridge": SiliconFacts("intel", "x86_64", 2012.0),
    "CooperLake": SiliconFacts("intel", "x86_64", 2020.5),
    "Cortex-A72": SiliconFacts("neoverse", "arm64", 2018.9),
    "Neoverse-N2": SiliconFacts("neoverse", "arm64", 2023.0),
    "Neoverse-N3": SiliconFacts("neoverse", "arm64", 2025.5),
}


@dataclass(frozen=True)
class Catalogue:
    """One row per machine, numbered from 0.

    Text columns: vendor, instance, family, architecture, lineage, silicon, processor. Numbers:
    vcpus, cores, threads (per core), year, log_clock (of 3 GHz), log_l3 and log_l2_core (binary
    logs of MB), sockets, numa, and one column per ISA flag.
    """

    facts: pd.DataFrame

    def __len__(self) -> int:
        return len(self.facts)

    def numbers(self, column: str) -> Floats:
        return self.facts[column].to_numpy(dtype=np.float64)

    def codes(self, column: str, among: Sequence[str]) -> Indices:
        return np.asarray(pd.Index(among).get_indexer(pd.Index(self.facts[column])), dtype=np.intp)

    def take(self, rows: Indices) -> Catalogue:
        return Catalogue(self.facts.iloc[rows].reset_index(drop=True))

    def twins(self) -> Indices:
        """Machines of one number differ in nothing that this catalogue tells apart."""
        told = self.facts[[*_TOLD_APART]].round(2).astype(str).agg("|".join, axis=1)
        return np.asarray(pd.factorize(told)[0], dtype=np.intp)

    def positions(self) -> pd.Series:
        """Row number by (vendor, instance)."""
        index = pd.MultiIndex.from_frame(self.facts[["vendor", "instance"]])
        return pd.Series(np.arange(len(self)), index=index)


def facts_of_silicon(name: str, architecture: str = "x86_64") -> SiliconFacts:
    known = SILICON_FACTS.get(name) or _EARLIER_AND_FOREIGN.get(name)
    if known is not None:
        return known
    lineage = "neoverse" if architecture != "x86_64" else "amd" if "amd" in name else "intel"
    return SiliconFacts(lineage, architecture, _OLD.year + 6)


def read_catalogue(data_dir: Path) -> Catalogue:
    """Every machine of instances.csv.gz whose size is told or can be inferred.

    One of untold silicon is of a silicon of its own kind, that nobody measured.
    """
    table = read_table(data_dir / "instances.csv.gz", _NEEDED)
    table = _told_by_relatives(table)
    table = table[table.vcpus.gt(0)].reset_index(drop=True)
    table["uarch"] = table.uarch.fillna("of unknown silicon, " + table.arch.fillna("x86_64"))
    silicon = [
        facts_of_silicon(name, arch)
        for name, arch in zip(table.uarch, table.arch.fillna("x86_64"), strict=True)
    ]
    threads = _column(table, "threads_per_core", 1.0).clip(lower=1.0)
    cores = table.physical_cores.fillna(table.vcpus / threads).clip(lower=0.5)
    l2 = _column(table, "l2_bytes_total", np.nan) / cores / 1e6
    facts = {
        "vendor": table.vendor,
        "instance": table.instance,
        "family": table.vendor + "/" + table.family.fillna(table.instance),
        "architecture": table.arch.replace("aarch64", "arm64"),
        "lineage": [each.lineage for each in silicon],
        "silicon": table.uarch,
        "processor": table.uarch + "/" + table.get("cpu_model", table.uarch).fillna("unknown"),
        "vcpus": table.vcpus.astype(float),
        "cores": cores,
        "threads": threads,
        "year": [each.year for each in silicon],
        "log_clock": np.log(_like_its_silicon(table, "max_mhz", 3000.0) / 3000.0),
        "log_l3": np.log2((_like_its_silicon(table, "l3_bytes_total", 3e7) / 1e6).clip(lower=1)),
        "log_l2_core": np.log2(l2.fillna(1.0).clip(lower=0.1)),
        "sockets": _column(table, "sockets", 1.0),
        "numa": _column(table, "numa_nodes", 1.0),
        **{flag: _flag(table, flag) for flag in FLAGS},
    }
    return Catalogue(pd.DataFrame(facts).reset_index(drop=True))


def _column(table: pd.DataFrame, name: str, otherwise: float) -> pd.Series:
    if name not in table:
        return pd.Series(otherwise, index=table.index)
    return pd.to_numeric(table[name], errors="coerce").fillna(otherwise)


def _like_its_silicon(table: pd.DataFrame, name: str, otherwise: float) -> pd.Series:
    values = _column(table, name, np.nan)
    return values.fillna(values.groupby(table.uarch).transform("median")).fillna(otherwise)


def _flag(table: pd.DataFrame, flag: str) -> pd.Series:
    values = _column(table, f"flag_{flag}", np.nan)
    return values.fillna(values.groupby(table.uarch).transform("median")).fillna(0.0)


def _told_by_relatives(table: pd.DataFrame) -> pd.DataFrame:
    """A size of a family is like its namesake without the "metal-", then like its largest."""
    table = table.copy()
    group = table.groupby(["vendor", "family"])
    for column in _FAMILY_SAYS:
        if column in table:
            table[column] = table[column].fillna(group[column].transform("first"))
    sizes = [column for column in _SIZE if column in table]
    size = table.instance.str.rpartition(".")[2].str.replace("metal-", "", regex=False)
    namesake = table.groupby(["vendor", "family", size])
    for column in sizes:
        table[column] = table[column].fillna(namesake[column].transform("max"))
        table[column] = table[column].fillna(group[column].transform("max"))
    return table
