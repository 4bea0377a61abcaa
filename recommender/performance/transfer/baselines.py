"""Simpler ways to the same predictions, given the same machines, workloads and references.

Each says how log throughput differs between machines; the references set the level. A benchmark
that a machine lacks (one kept aside) is taken in proportion to its vCPUs.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.exceptions import ConvergenceWarning
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import RBF, ConstantKernel, WhiteKernel
from sklearn.linear_model import Ridge
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

from recommender.performance.ground_truth import read_table
from recommender.performance.transfer.catalogue import FLAGS, LINEAGES

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from recommender.performance.transfer.catalogue import Catalogue

    Floats = NDArray[np.float64]

__all__ = ["BASELINES", "Benchmarked", "baseline_shapes", "read_benchmarked"]

BASELINES = ("vCPU ratio", "stress ratio", "roofline", "ridge", "boosting", "plain GP")
_STRESS, _BANDWIDTH = "sngf_n", "bw_rd_largest"
_GP_ROWS, _SEED = 300, 1


@dataclass(frozen=True)
class Benchmarked:
    """What each machine measured of itself; NaN where nobody did."""

    stress: Floats
    bandwidth: Floats

    def without(self, machines: NDArray[np.intp]) -> Benchmarked:
        stress, bandwidth = self.stress.copy(), self.bandwidth.copy()
        stress[machines] = bandwidth[machines] = np.nan
        return Benchmarked(stress, bandwidth)


def read_benchmarked(data_dir: Path, catalogue: Catalogue) -> Benchmarked:
    table = read_table(data_dir / "instances.csv.gz", ("vendor", "instance", _STRESS, _BANDWIDTH))
    table = table.drop_duplicates(["vendor", "instance"]).set_index(["vendor", "instance"])
    of = pd.MultiIndex.from_frame(catalogue.facts[["vendor", "instance"]])
    values = table[[_STRESS, _BANDWIDTH]].apply(pd.to_numeric, errors="coerce").reindex(of)
    return Benchmarked(values[_STRESS].to_numpy(), values[_BANDWIDTH].to_numpy())


def baseline_shapes(
    rows: pd.DataFrame, catalogue: Catalogue, benchmarked: Benchmarked
) -> dict[str, Floats]:
    """By name: log throughput of every machine, up to a constant.

    `rows`: machine, workload and log_rate of the kind's other workloads.
    """
    vcpus = catalogue.numbers("vcpus")
    level = rows.log_rate - rows.groupby("workload").log_rate.transform("mean")
    features = _features(catalogue)
    at = rows.machine.to_numpy(dtype=np.intp)
    shapes = {
        "vCPU ratio": np.log(vcpus),
        "stress ratio": np.log(_filled(benchmarked.stress, vcpus)),
        "roofline": _roofline(rows, catalogue, _filled(benchmarked.bandwidth, vcpus)),
    }
    some = np.random.default_rng(_SEED).permutation(len(rows))[:_GP_ROWS]
    for name, learner, chosen in (
        ("ridge", make_pipeline(StandardScaler(), Ridge(10.0)), np.arange(len(rows))),
        ("boosting", HistGradientBoostingRegressor(random_state=_SEED), np.arange(len(rows))),
        ("plain GP", _plain_gp(features.shape[1]), some),
    ):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            learner.fit(features[at[chosen]], level.to_numpy()[chosen])
        shapes[name] = np.asarray(learner.predict(features), dtype=np.float64)
    return shapes


def _plain_gp(features: int) -> Pipeline:
    kernel = ConstantKernel(1.0) * RBF(np.sqrt(features)) + WhiteKernel(0.1)
    return make_pipeline(
        StandardScaler(), GaussianProcessRegressor(kernel, normalize_y=True, random_state=_SEED)
    )


def _filled(values: Floats, vcpus: Floats) -> Floats:
    per_vcpu = np.nanmedian(values / vcpus)
    return np.where(np.isfinite(values) & (values > 0), values, per_vcpu * vcpus)


def _roofline(rows: pd.DataFrame, catalogue: Catalogue, bandwidth: Floats) -> Floats:
    """-ln(a / (cores x clock) + b / bandwidth), a and b by least squares over the workloads."""
    compute = 1 / (catalogue.numbers("cores") * np.exp(catalogue.numbers("log_clock")))
    memory = np.median(bandwidth) / bandwidth
    at = rows.machine.to_numpy(dtype=np.intp)
    best, shape = np.inf, -np.log(compute)
    for share in np.linspace(0, 1, 21):
        candidate = -np.log((1 - share) * compute / compute.mean() + share * memory)
        gap = rows.log_rate - candidate[at]
        spread = float((gap - gap.groupby(rows.workload).transform("median")).abs().mean())
        if spread < best:
            best, shape = spread, candidate
    return np.asarray(shape, dtype=np.float64)


def _features(catalogue: Catalogue) -> Floats:
    numbers = ["year", "log_clock", "log_l3", "log_l2_core", "threads", "sockets", "numa", *FLAGS]
    cores = np.log2(catalogue.numbers("cores"))
    columns = [catalogue.numbers(name) for name in numbers]
    columns += [cores, cores**2, np.log2(catalogue.numbers("vcpus"))]
    lineage = catalogue.codes("lineage", LINEAGES)
    columns += [(lineage == number).astype(float) for number in range(len(LINEAGES))]
    columns += [(lineage == number) * cores for number in range(len(LINEAGES))]
    silicon = pd.get_dummies(catalogue.facts.silicon, dtype=float).to_numpy()
    return np.column_stack([*columns, silicon])
