"""Fit the kinds of machine to benchmark results of real ones.

    python -m recommender.placement.fit FOLDER FILE

The folder holds `instances.csv.gz`, one row per machine. Machines of one family on one cloud
differ in size alone, so a family's median is one observation, and what is within a kind is how
such medians scatter.
"""

from __future__ import annotations

import sys
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from recommender.errors import NotMeasured
from recommender.performance.ground_truth import read_table
from recommender.performance.silicon import SILICON_FACTS
from recommender.placement.likeness import FLAGS, FORMAT, Kind, Kinds, Provenance

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

__all__ = ["COUNTERPARTS", "fit_kinds", "read_machines"]

HOME = "aws"
MIB = 1e6
# Ours to its column and the unit of that. All are of every vCPU at once.
COUNTERPARTS = {
    "sha256": ("ossl_sha256_16k", 1.0),
    "sha512": ("ossl_sha512_16k", 1.0),
    "blake2b": ("ossl_blake2b512_16k", 1.0),
    "sha3": ("ossl_sha3_256_16k", 1.0),
    "compression": ("pm_CPU_COMPRESSION", 1.0),
    "product": ("pm_CPU_MATRIX_MULT_SSE", 1.0),
    "cache": ("bw_rd_256k", MIB),
    "memory": ("bw_rd_64m", MIB),
}
# Logs of ours over theirs, and how sure: hashes are the same program (versions of OpenSSL differ);
# the others' means were measured on one machine of known silicon (Zen 4, whole cores), so that
# what differs from one silicon to another is in the spread.
OFFSETS = {
    **dict.fromkeys(("sha256", "sha512", "blake2b", "sha3"), (0.0, 0.06)),
    "compression": (7.0, 0.25),
    "product": (17.0, 0.35),
    "cache": (-0.4, 0.35),
    "memory": (0.5, 0.5),
}
_ARCHITECTURE = {"arm64": "arm64", "aarch64": "arm64", "x86_64": "x86_64"}
GENERAL = "cmr"  # families for general use
SHARING = "x86_64"  # where a core may have two hardware threads
_MOST_FAMILIES = 4
_NEEDED = (
    *("uarch", "threads_per_core", "vcpus", "is_burstable", "is_flex", "is_metal"),
    *(column for column, _ in COUNTERPARTS.values()),
)
_FEWEST_GROUPS = 2
_FEWEST_FOR_SPREAD = 3


def read_machines(folder: Path) -> pd.DataFrame:
    """Logs of each machine's rates per vCPU, beside what it is."""
    frame = read_table(folder / "instances.csv.gz", _NEEDED)
    named = frame["uarch"].notna() & frame["threads_per_core"].notna()
    steady = ~(frame["is_burstable"].eq(1) | frame["is_flex"].eq(1) | frame["is_metal"].eq(1))
    frame = frame[named & steady & ~frame["uarch"].astype(str).str.contains("/")].copy()
    for name, (column, unit) in COUNTERPARTS.items():
        rate = frame[column] * unit / frame["vcpus"]
        frame[name] = np.log(rate.where(rate > 0))
    frame = frame.dropna(subset=list(COUNTERPARTS))
    if frame.empty:
        raise NotMeasured(f"{folder} holds no benchmarked machine that could be placed")
    return frame


def fit_kinds(machines: pd.DataFrame, provenance: Provenance) -> Kinds:
    names = list(COUNTERPARTS)
    key = ["uarch", "threads_per_core", "arch"]
    medians = machines.groupby([*key, "vendor", "family"])[names].median()
    counts = medians.groupby(level=key).size()
    counts = counts[counts >= _FEWEST_GROUPS]
    means = medians.groupby(level=key).mean().loc[counts.index]
    flags = machines.groupby(key)[[f"flag_{flag}" for flag in FLAGS]].mean().fillna(0.0)
    flags = flags.loc[counts.index]
    kinds = tuple(
        Kind(
            silicon=str(silicon),
            architecture=_architecture(str(silicon), str(arch)),
            threads_per_core=int(threads),
            groups=int(count),
            means=_rounded(mean),
            flags=_rounded(shown),
            families=_families(machines, str(silicon), int(threads)),
        )
        for (silicon, threads, arch), mean, shown, count in zip(
            means.index, means.to_numpy(), flags.to_numpy(), counts, strict=True
        )
    )
    kinds = (*kinds, *_twins(kinds))
    within = _within(medians, counts, key)
    between = np.cov(means.to_numpy().T)
    return Kinds(
        format=FORMAT,
        benchmarks=tuple(names),
        kinds=kinds,
        covariance=_matrix(within),
        unseen_covariance=_matrix(between + within),
        offsets=OFFSETS,
        provenance=provenance,
    )


def _twins(kinds: tuple[Kind, ...]) -> list[Kind]:
    """Of silicon benchmarked only with, or only without, threads that share a core: the other.

    By what sharing costs on silicon benchmarked both ways.
    """
    by_key = {(each.silicon, each.threads_per_core): each for each in kinds}
    both = [name for name, threads in by_key if threads == 1 and (name, 2) in by_key]
    gained = np.mean(
        [np.subtract(by_key[name, 1].means, by_key[name, 2].means) for name in both], axis=0
    )
    return [
        replace(
            each,
            threads_per_core=3 - each.threads_per_core,
            groups=1,
            means=_rounded(each.means + gained * (2 * each.threads_per_core - 3)),
            families=(),
        )
        for each in kinds
        if each.architecture == SHARING and (each.silicon, 3 - each.threads_per_core) not in by_key
    ]


def _within(medians: pd.DataFrame, counts: pd.Series[int], key: list[str]) -> Floats:
    """Covariance of families about their kind's mean, pooled; outliers at three deviations."""
    several = counts.index[counts >= _FEWEST_FOR_SPREAD]
    own = medians[
        pd.MultiIndex.from_tuples([each[: len(key)] for each in medians.index]).isin(several)
    ]
    away = own - own.groupby(level=list(range(len(key)))).transform("mean")
    bound = 3 * 1.4826 * away.abs().median()
    away = away.clip(-bound, bound, axis=1)
    return np.asarray(away.T @ away) / (len(away) - len(several)) + 1e-4 * np.eye(len(bound))


def _architecture(silicon: str, arch: str) -> str:
    known = SILICON_FACTS.get(silicon)
    return _ARCHITECTURE.get(arch, arch) if known is None else known.architecture


def _families(machines: pd.DataFrame, silicon: str, threads: int) -> tuple[str, ...]:
    """The catalogue's, plain ones first: what a longer name adds is a disk or a network."""
    own = machines[
        machines["vendor"].eq(HOME)
        & machines["uarch"].eq(silicon)
        & machines["threads_per_core"].eq(threads)
    ]
    names = map(str, own["family"].unique().tolist())
    plain_first = sorted(names, key=lambda name: (name[0] not in GENERAL, len(name), name))
    return tuple(plain_first[:_MOST_FAMILIES])


def _rounded(values: Floats) -> tuple[float, ...]:
    return tuple(round(float(each), 3) for each in values)


def _matrix(values: Floats) -> tuple[tuple[float, ...], ...]:
    return tuple(tuple(round(float(each), 5) for each in row) for row in values)


def main(folder: str, file: str) -> None:
    provenance = Provenance(
        source="Spare Cores Inspector data, https://github.com/SpareCores/sc-inspector-data",
        commit="804d3c71",
        licence="CC BY-SA 4.0",
        fitted_on=datetime.now(UTC).date().isoformat(),
        command="python -m recommender.placement.fit FOLDER FILE",
    )
    kinds = fit_kinds(read_machines(Path(folder)), provenance)
    Path(file).write_text(kinds.to_json(), encoding="utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])
