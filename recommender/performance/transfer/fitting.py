"""The transfer model of one folder: what is known of a workload nobody has measured yet.

A service law says how log throughput goes with size, silicon and work (laws.py); a Gaussian
process over (workload, machine) says how the truth departs from it (kernels.py, variance.py).
Both are learnt from other workloads. What comes out is a joint normal distribution of the log
throughput on every machine, to be conditioned on what was measured (joint.py).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from scipy.linalg import cho_factor, cho_solve, solve_triangular
from scipy.optimize import nnls

from recommender.errors import NotMeasured
from recommender.performance.joint import LogNormalJoint
from recommender.performance.transfer.kernels import (
    machine_kernels,
    workload_kernels,
)
from recommender.performance.transfer.laws import fit_llm_law, fit_web_law
from recommender.performance.transfer.rates import KINDS, WEB
from recommender.performance.transfer.variance import OWN_LEVEL, Residuals, fit_components

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from recommender.performance.transfer.catalogue import Catalogue, Indices
    from recommender.performance.transfer.laws import ServiceLaw
    from recommender.performance.transfer.rates import Rates, Workload
    from recommender.performance.transfer.variance import Components

    Floats = NDArray[np.float64]

__all__ = ["TransferFit", "at_home", "fit_transfer"]

_SCARCE, _FOREIGN = 25, 40
_VARIANCE_ROWS, _FEWEST = 700, 60
_ODD, _WILD, _LEAST_VARIANCE = 0.5, 1.5, 1e-4
_SEED = 1


@dataclass(frozen=True)
class TransferFit:
    """What was learnt from the workloads shown.

    `twins`: number of the kind of machine of each machine of the catalogue; machines of one kind
    differ in no fact. `residuals`: the middle of each kind of machine about the law. `own`: what
    is known of how a machine departs from its kind, by kind of workload.
    """

    catalogue: Catalogue
    twins: Indices
    workloads: Mapping[str, Workload]
    residuals: pd.DataFrame
    laws: dict[str, ServiceLaw]
    components: Components
    alike: dict[str, Floats]
    own: dict[str, OwnDeparture]

    def joints(self, workloads: tuple[Workload, ...]) -> dict[str, LogNormalJoint]:
        """By name: of the log rate on every machine of the catalogue.

        What sets machines of one kind apart and measuring noise are included. The workloads are
        of one kind, and of no fold that was fitted to.
        """
        kind = workloads[0].kind
        rows, law, own = self.residuals, self.laws[kind], self.own[kind]
        rows = rows[rows.kind.eq(kind)]
        names = list(pd.unique(rows.workload))
        every = workload_kernels([*(self.workloads[name] for name in names), *workloads])
        at = rows.machine.to_numpy(dtype=np.intp)
        of = np.asarray(pd.Index(names).get_indexer(rows.workload), dtype=np.intp)
        between = self._between(every, of, at, (of, at))
        between[np.diag_indices(len(rows))] += self.components.noise[kind] / rows.machines
        factor = cho_factor(between, lower=True, overwrite_a=True)
        weight = cho_solve(factor, rows.residual.to_numpy(dtype=np.float64))
        found = {}
        told = np.arange(self.twins.max() + 1)
        for i, workload in enumerate(workloads, start=len(names)):
            asked = np.full(len(told), i)
            across = self._between(every, asked, told, (of, at))
            root = solve_triangular(factor[0], across.T, lower=True)
            left = self._between(every, asked, told, (asked, told)) - root.T @ root
            mean = law.log_rate(workload) + (across @ weight)[self.twins] + own.mean
            covariance = left[np.ix_(self.twins, self.twins)] + law.doubt(workload)
            scatter = own.variance + own.by_waiting * law.waiting(workload) ** 2
            covariance[np.diag_indices(len(self.twins))] += scatter
            found[workload.name] = LogNormalJoint(mean, covariance)
        return found

    def _between(
        self, every: dict[str, Floats], of: Indices, at: Indices, other: tuple[Indices, Indices]
    ) -> Floats:
        of_b, at_b = other
        total = OWN_LEVEL * (of[:, None] == of_b[None, :]).astype(np.float64)
        for name, alike in every.items():
            total += alike[np.ix_(of, of_b)] * self.alike[name][np.ix_(at, at_b)]
        return np.asarray(total, dtype=np.float64)


@dataclass(frozen=True)
class OwnDeparture:
    """Of each machine from its kind: mean, and variance of what no other workload told.

    by_waiting: that much more of variance for a call that is all waiting. What cores wait for is
    the neighbours and the scheduler's doing, so it differs from run to run.
    """

    mean: Floats
    variance: Floats
    by_waiting: float

    @classmethod
    def of(cls, rows: pd.DataFrame, middle: pd.Series, machines: int) -> OwnDeparture:
        """Shrunk by what the scatter between workloads of one machine leaves of it."""
        apart = (rows.residual - middle.loc[rows.index]).clip(-_ODD, _ODD)
        each = apart.groupby(rows.machine).agg(["mean", "var", "count"])
        within = each["var"].mean()
        if np.isnan(within):  # one workload: what is the machine's own cannot be told
            scatter, between = float(np.nan_to_num(apart.var())), 0.0
        else:
            scatter = float(within)
            chance = scatter * float((1 / each["count"]).mean())
            between = max(float(each["mean"].var()) - chance, 0.0)
        kept = between / np.maximum(between + scatter / each["count"].to_numpy(), 1e-12)
        at = each.index.to_numpy(dtype=np.intp)
        mean, variance = np.zeros(machines), np.full(machines, between + scatter)
        mean[at] = kept * each["mean"]
        variance[at] = between * (1 - kept) + scatter
        return cls(mean, np.maximum(variance, _LEAST_VARIANCE), _by_waiting(rows, middle))


def _by_waiting(rows: pd.DataFrame, middle: pd.Series) -> float:
    """Variance between alike machines, as a constant and a part that goes with waiting squared."""
    count = rows.groupby(["workload", "kind_of"]).residual.transform("size")
    several = rows[count.gt(1)].assign(count=count)
    if several.empty:
        return 0.0
    apart = (several.residual - middle.loc[several.index]).clip(-_WILD, _WILD)
    variance = (apart**2 * several["count"] / (several["count"] - 1)).to_numpy()
    waiting = several.waiting.to_numpy()
    parts, _ = nnls(np.stack([np.ones_like(waiting), waiting**2], axis=1), variance)
    return float(parts[1])


def fit_transfer(
    rates: Rates, catalogue: Catalogue, components: Components | None = None
) -> TransferFit:
    """`catalogue` describes the machines that are asked about and those that `rates` number.

    `components`: of an earlier fit, instead of fitting them anew.
    """
    twins = catalogue.twins()
    apart = catalogue.take(np.unique(twins, return_index=True)[1])
    kinds = [kind for kind in KINDS if not rates.of(kind).empty]
    if not kinds:
        raise NotMeasured(
            "no workload but those left out was measured on these machines",
            hint="a folder with more workloads is needed to learn from",
        )
    laws: dict[str, ServiceLaw] = {}
    if WEB in kinds:
        laws[WEB] = fit_web_law(rates, catalogue)
    if any(kind != WEB for kind in kinds):
        laws |= dict.fromkeys([k for k in kinds if k != WEB], fit_llm_law(rates, catalogue))
    rows = _about_the_laws(rates, laws).assign(kind_of=lambda rows: twins[rows.machine])
    told = rows.groupby(["kind", "workload", "kind_of"])
    middle = told.residual.transform("median")
    own = {
        kind: OwnDeparture.of(rows[rows.kind.eq(kind)], middle, len(catalogue)) for kind in kinds
    }
    residuals = told.residual.agg(residual="median", machines="count").reset_index()
    residuals = residuals.rename(columns={"kind_of": "machine"})
    components = components or _components(residuals, rates.workloads, apart)
    alike = {name: np.zeros((len(apart), len(apart))) for name in components.of}
    for b, kernel in enumerate(machine_kernels(apart, apart)):
        for name, variance in components.of.items():
            alike[name] += variance[b] * kernel
    return TransferFit(catalogue, twins, rates.workloads, residuals, laws, components, alike, own)


def _about_the_laws(rates: Rates, laws: dict[str, ServiceLaw]) -> pd.DataFrame:
    """Log rate less the law's; each workload about its own middle, where its level lies.

    And the share of waiting that the law sees in each.
    """
    said = pd.Series(0.0, index=rates.table.index)
    waiting = said.copy()
    for name, group in rates.table.groupby("workload"):
        workload = rates.workloads[str(name)]
        law = laws[workload.kind]
        said[group.index] = law.log_rate(workload)[group.machine]
        waiting[group.index] = law.waiting(workload)[group.machine]
    left = rates.table.log_rate - said
    return rates.table.assign(
        waiting=waiting, residual=left - left.groupby(rates.table.workload).transform("median")
    )


def _components(
    residuals: pd.DataFrame, workloads: Mapping[str, Workload], apart: Catalogue
) -> Components:
    chosen = [_spread_out(rows, apart) for _, rows in residuals.groupby("kind", sort=False)]
    together = np.unique(np.concatenate([rows.machine for rows in chosen]))
    few = apart.take(together)
    kernels = np.stack([k.astype(np.float64) for k in machine_kernels(few, few)])
    return fit_components(
        {str(rows.kind.iloc[0]): _residuals(rows, workloads, together) for rows in chosen}, kernels
    )


def at_home(rates: Rates, catalogue: Catalogue, home: str) -> tuple[Rates, Catalogue]:
    """Machines of the vendor, and a few of others whose silicon it has, but little measured."""
    at_home = catalogue.facts.vendor.eq(home).to_numpy()
    silicon = catalogue.facts.silicon
    measured = np.zeros(len(catalogue), dtype=bool)
    measured[np.unique(rates.table.machine)] = True
    count = silicon.map(silicon[at_home & measured].value_counts()).fillna(0)
    scarce = count.lt(_SCARCE).to_numpy() & silicon.isin(silicon[at_home].unique()).to_numpy()
    order = np.random.default_rng(_SEED).permutation(len(catalogue))
    foreign = order[(scarce & measured & ~at_home)[order]]
    turn = silicon.iloc[foreign].groupby(silicon.iloc[foreign].to_numpy()).cumcount().to_numpy()
    kept = np.sort(np.concatenate([np.flatnonzero(at_home), foreign[turn < _FOREIGN]]))
    table = rates.table[rates.table.machine.isin(kept)]
    table = table.assign(machine=np.searchsorted(kept, table.machine))
    return type(rates)(table, rates.workloads), catalogue.take(kept)


def _spread_out(rows: pd.DataFrame, apart: Catalogue) -> pd.DataFrame:
    """The rows of machines that stand for all silicon and sizes: the variances need no more."""
    machines = np.unique(rows.machine)
    facts = apart.facts.iloc[machines]
    like = facts.silicon + "/" + facts.threads.astype(str) + "/"
    like += np.log2(facts.vcpus).round().astype(str)
    order = np.random.default_rng(_SEED).permutation(len(machines))
    turn = like.iloc[order].groupby(like.iloc[order].to_numpy()).cumcount()
    first = machines[order][np.argsort(turn.to_numpy(), kind="stable")]
    keep = first[: max(_VARIANCE_ROWS // rows.workload.nunique(), _FEWEST)]
    return rows[rows.machine.isin(keep)]


def _residuals(
    rows: pd.DataFrame, workloads: Mapping[str, Workload], together: Indices
) -> Residuals:
    names = list(pd.unique(rows.workload))
    return Residuals(
        value=rows.residual.to_numpy(dtype=np.float64),
        machines=rows.machines.to_numpy(dtype=np.float64),
        workload=np.asarray(pd.Index(names).get_indexer(rows.workload), dtype=np.intp),
        machine=np.searchsorted(together, rows.machine.to_numpy(dtype=np.intp)),
        alike=workload_kernels([workloads[name] for name in names]),
    )
