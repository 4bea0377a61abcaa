"""Fit the speed prior to benchmark results of real machines.

Only AWS machines carry a silicon's level; other clouds say how far a machine of known silicon may
lie from AWS's, and stand in for silicon AWS has not shown.

Geekbench's applications cooperate on one task, so they say nothing of independent workers on a
large machine: they set silicon levels at up to four vCPUs, and PassMark and the web server set the
size curve.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from recommender.errors import NotMeasured
from recommender.performance.ground_truth import HOME, KINDS, PASSMARK, SMALL_VCPUS, WEB
from recommender.performance.scaling import UslPrior, fit_usl
from recommender.performance.silicon import SILICON_FACTS
from recommender.performance.speed_prior import (
    FORMAT,
    Provenance,
    SiliconSpeed,
    SpeedPriorParameters,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from recommender.performance.ground_truth import Benchmarks

    Floats = NDArray[np.float64]

__all__ = ["fit_parameters", "prior_rates"]

LARGEST_CURVE_VCPUS = 64
FACTORS = 2
_FEWEST_MACHINES = 2
_FEWEST_WORKLOADS = 4
_FAMILY = ["silicon", "family"]
_FEWEST_CURVE_SIZES = 5
_SMALLEST_SD = 0.01
_FAINTEST_TREND_SD = 0.1
# Used only for a folder of one cloud; the ground truth's own figures are near these.
_FOREIGN_WITHOUT_DATA = (0.2, 0.1)
_SMT_TESTS = ("clang", "pdf_renderer", "asset_compression", "object_remover", "ray_tracer")


def fit_parameters(benchmarks: Benchmarks, provenance: Provenance) -> SpeedPriorParameters:
    """Uncalibrated: `scale` is 1 and the scaling priors have no drift."""
    small = prior_rates(benchmarks.rates)
    home = small[small.vendor.eq(HOME)]
    basis = home.groupby("silicon").threads.median().astype(int)
    smt_mean, smt_sd = _smt(benchmarks.machines, basis)
    home_levels, sizes, residual = _levels(home)
    abroad = small[small.vendor.ne(HOME)]
    foreign = _foreign_gaps(abroad, home_levels, sizes, basis)
    level_sd, specific_sd = _foreign_spread(foreign)
    adopted, adopted_basis = _adopt(abroad, home_levels, sizes)
    levels = pd.concat([home_levels, adopted], axis=1)
    basis = pd.concat([basis, adopted_basis])
    family = _family_offsets(residual)
    speeds = _speeds(levels, basis, dict.fromkeys(adopted.columns, level_sd))
    unseen = {n: _unseen(n, speeds, smt_mean) for n in SILICON_FACTS if n not in speeds}
    architectures = sorted({s.architecture for s in speeds.values()})
    return SpeedPriorParameters(
        format=FORMAT,
        silicon={**speeds, **unseen},
        unknown={a: _unknown(a, speeds, smt_mean) for a in architectures},
        scale=dict.fromkeys(KINDS, 1.0),
        **family,
        smt_mean=smt_mean,
        smt_sd=smt_sd,
        foreign_sd=level_sd,
        foreign_specific_sd=specific_sd,
        scaling={kind: _scaling(benchmarks.rates, kind) for kind in KINDS},
        holdout=(),
        provenance=provenance,
    )


def prior_rates(rates: pd.DataFrame) -> pd.DataFrame:
    """The rates that set silicon levels."""
    return rates[
        rates.kind.eq("application")
        & rates.vcpus.le(SMALL_VCPUS)
        & rates.silicon.isin(list(SILICON_FACTS))
    ]


def _levels(home: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """Per workload, least squares of log speed on silicon and size, the smallest common size at 0.

    Returns levels (workload x silicon), size effects (workload x vcpus) and the rates with their
    residual.
    """
    levels, sizes, residuals = {}, {}, []
    reference = home.groupby("vcpus").silicon.nunique().idxmax()
    for workload, rates in home.groupby("workload"):
        silicon = pd.get_dummies(rates.silicon, dtype=float)
        size = pd.get_dummies(rates.vcpus, dtype=float).drop(columns=reference)
        design = np.hstack([silicon.to_numpy(), size.to_numpy()])
        effects = np.linalg.lstsq(design, rates.log_speed.to_numpy(), rcond=None)[0]
        levels[workload] = pd.Series(effects[: silicon.shape[1]], silicon.columns)
        sizes[workload] = pd.Series(effects[silicon.shape[1] :], size.columns)
        residuals.append(rates.assign(residual=rates.log_speed - design @ effects))
    table = pd.DataFrame(sizes).T
    table[reference] = 0.0
    return pd.DataFrame(levels).T, table, pd.concat(residuals)


def _smt(machines: pd.DataFrame, basis: pd.Series) -> tuple[float, float]:
    """ln(speed of a thread with its core to itself / sharing it), mean and spread over tests.

    Two threads over one, on two-vCPU machines: what a pair of threads on one core falls short of
    a pair of whole cores.
    """
    two = machines[machines.vcpus.eq(2)].xs(HOME, level="vendor")
    shared = two.uarch.map(basis).eq(2)
    gaps = []
    for test in _SMT_TESTS:
        if f"gb_mc_{test}" not in two or f"gb_sc_{test}" not in two:
            continue
        pair = pd.Series(np.log(two[f"gb_mc_{test}"] / two[f"gb_sc_{test}"]))
        gaps.append((pair[~shared].median() - pair[shared].groupby(two.uarch).median()).dropna())
    gap = pd.concat(gaps) if gaps else pd.Series(dtype=float)
    if len(gap) < _FEWEST_MACHINES:
        raise NotMeasured(
            "the folder has no two-vCPU machines both with and without hyperthreads",
            hint="Geekbench single- and multi-core columns of both kinds are needed",
        )
    return float(gap.mean()), float(max(gap.std(), _SMALLEST_SD))


def _foreign_gaps(
    abroad: pd.DataFrame, levels: pd.DataFrame, sizes: pd.DataFrame, basis: pd.Series
) -> pd.DataFrame:
    """ln(another cloud's machine / AWS's of the same silicon), workload x (vendor, silicon)."""
    alike = abroad[abroad.silicon.isin(levels.columns) & abroad.vcpus.isin(sizes.columns)]
    alike = alike[alike.threads.eq(alike.silicon.map(basis)) & alike.workload.isin(levels.index)]
    level = alike.join(_by_pair(levels, "level"), on=["workload", "silicon"]).level
    gaps = alike.assign(gap=_without_size(alike, sizes) - level)
    return gaps.pivot_table(index="workload", columns=["vendor", "silicon"], values="gap")


def _foreign_spread(gaps: pd.DataFrame) -> tuple[float, float]:
    """(shared by all workloads, specific to one)."""
    if gaps.empty:
        return _FOREIGN_WITHOUT_DATA
    shared = gaps.mean()
    specific = gaps - shared
    return (
        float(max(np.sqrt((shared**2).mean()), _SMALLEST_SD)),
        float(max(np.nanstd(specific.to_numpy()), _SMALLEST_SD)),
    )


def _adopt(
    abroad: pd.DataFrame, levels: pd.DataFrame, sizes: pd.DataFrame
) -> tuple[pd.DataFrame, pd.Series]:
    """Levels and thread basis of silicon that only other clouds have shown."""
    new = abroad[~abroad.silicon.isin(levels.columns) & abroad.vcpus.isin(sizes.columns)]
    new = new[new.workload.isin(levels.index)]
    basis = new.groupby("silicon").threads.agg(lambda threads: int(threads.mode().iloc[0]))
    new = new[new.threads.eq(new.silicon.map(basis))]
    table = new.assign(level=_without_size(new, sizes)).pivot_table(
        index="workload", columns="silicon", values="level"
    )
    return table.reindex(levels.index), basis[basis.index.isin(table.columns)]


def _by_pair(table: pd.DataFrame, name: str) -> pd.Series:
    stacked = pd.Series(table.stack())  # noqa: PD013 - melt would drop the index joined on
    return stacked.rename(name)


def _without_size(rates: pd.DataFrame, sizes: pd.DataFrame) -> pd.Series:
    effect = rates.join(_by_pair(sizes, "effect"), on=["workload", "vcpus"]).effect
    return rates.log_speed - effect


def _family_offsets(residual: pd.DataFrame) -> dict[str, Any]:
    """Families shrunk towards their silicon as far as their scatter over machines demands."""
    machine = residual.groupby([*_FAMILY, "instance"]).residual.mean()
    family = machine.groupby(_FAMILY).agg(["mean", "size"])
    between = _spread(family["mean"])
    within = _spread(machine - machine.groupby(_FAMILY).transform("mean"))
    kept = between**2 / (between**2 + within**2 / family["size"])
    unexplained = np.sqrt((between**2 * (1 - kept)).mean())
    taste = residual.groupby([*_FAMILY, "workload"]).residual
    own_taste = _spread(taste.mean() - family["mean"])
    return {
        "family_offset": {
            f"{name}/{silicon}": round(float(value), 4)
            for silicon, name, value in (family["mean"] * kept).reset_index().to_numpy()
        },
        "group_sd": float(np.hypot(between, own_taste)),
        "family_sd": float(np.hypot(unexplained, own_taste)),
        "instance_sd": _spread(residual.residual - taste.transform("mean")),
    }


def _speeds(
    levels: pd.DataFrame, basis: pd.Series, level_sd: dict[str, float]
) -> dict[str, SiliconSpeed]:
    """Mean level per silicon, and the covariance over silicons of how workloads depart from it.

    Geekbench and PassMark weigh the same, however many tests each has. The covariance is FACTORS
    principal components plus what they leave of each silicon's own variance.
    """
    share = pd.Series(levels.index.str.startswith("gb_"), levels.index)
    weight = 1 / share.map(share.value_counts()) / share.nunique()
    contrast = levels.sub(levels.mean(axis=1), axis=0)
    mean = contrast.mul(weight, axis=0).sum()
    taste = (contrast - mean).fillna(0.0).mul(np.sqrt(weight), axis=0)
    _, strength, direction = np.linalg.svd(taste.to_numpy(), full_matrices=False)
    loadings = (strength[:FACTORS, None] * direction[:FACTORS]).T
    left = (taste**2).sum().to_numpy() - (loadings**2).sum(axis=1)
    specific = np.sqrt(np.maximum(left, _SMALLEST_SD**2))
    return {
        name: SiliconSpeed(
            architecture=SILICON_FACTS[name].architecture,
            threads_per_core=int(basis[name]),
            level=round(float(mean[name]), 4),
            level_sd=level_sd.get(name, 0.0),
            loadings=tuple(round(float(x), 4) for x in loadings[i]),
            specific_sd=round(float(specific[i]), 4),
            benchmarked=True,
        )
        for i, name in enumerate(levels.columns)
    }


def _whole_core_level(speed: SiliconSpeed, smt: float) -> float:
    return speed.level + (smt if speed.threads_per_core > 1 else 0.0)


def _unseen(name: str, speeds: dict[str, SiliconSpeed], smt: float) -> SiliconSpeed:
    """A named silicon without a benchmark: its lineage's trend over the years, per whole core.

    The slope over years is common to all lineages, so two generations are enough to place one.
    What workloads favour is taken from its nearest relative.
    """
    facts = SILICON_FACTS[name]
    years = {n: SILICON_FACTS[n].year for n in speeds}
    family = [n for n in speeds if SILICON_FACTS[n].lineage == facts.lineage]
    if not family:
        return _unknown(facts.architecture, speeds, smt)
    lines: dict[str, list[str]] = {}
    for n in speeds:
        lines.setdefault(SILICON_FACTS[n].lineage, []).append(n)
    x = np.concatenate([_centred([years[n] for n in line]) for line in lines.values()])
    y = np.concatenate(
        [_centred([_whole_core_level(speeds[n], smt) for n in line]) for line in lines.values()]
    )
    slope = float(x @ y / max(x @ x, 1e-9))
    spread = float(np.sqrt(np.sum((y - slope * x) ** 2) / max(len(y) - len(lines) - 1, 1)))
    nearest = sorted(family, key=lambda n: abs(years[n] - facts.year))[:2]
    level = np.mean(
        [_whole_core_level(speeds[n], smt) + slope * (facts.year - years[n]) for n in nearest]
    )
    return SiliconSpeed(
        architecture=facts.architecture,
        threads_per_core=1,
        level=round(float(level), 4),
        level_sd=round(max(spread, _FAINTEST_TREND_SD), 4),
        loadings=speeds[nearest[0]].loadings,
        specific_sd=speeds[nearest[0]].specific_sd,
        benchmarked=False,
    )


def _unknown(architecture: str, speeds: dict[str, SiliconSpeed], smt: float) -> SiliconSpeed:
    """Any silicon of the architecture, per whole core."""
    alike = [s for s in speeds.values() if s.architecture == architecture] or [*speeds.values()]
    levels = np.array([_whole_core_level(s, smt) for s in alike])
    loadings = np.array([s.loadings for s in alike])
    return SiliconSpeed(
        architecture=architecture,
        threads_per_core=1,
        level=round(float(levels.mean()), 4),
        level_sd=round(float(np.hypot(levels.std(), _FAINTEST_TREND_SD)), 4),
        loadings=tuple(round(float(x), 4) for x in loadings.mean(axis=0)),
        specific_sd=round(
            float(np.hypot(np.mean([s.specific_sd for s in alike]), loadings.std(axis=0).max())), 4
        ),
        benchmarked=False,
    )


def _centred(values: Sequence[float]) -> Floats:
    array = np.asarray(values, dtype=np.float64)
    return np.asarray(array - array.mean(), dtype=np.float64)


def _spread(values: pd.Series) -> float:
    """Standard deviation with the outer 2 % drawn in: a few odd machines are not the rule."""
    low, high = values.quantile([0.02, 0.98])
    return float(max(values.clip(low, high).std(), _SMALLEST_SD))


def _scaling(rates: pd.DataFrame, kind: str) -> UslPrior:
    """Log-normal over the curves fitted to each workload and family."""
    independent = rates.workload.isin(PASSMARK) | rates.kind.eq(WEB)
    of_kind = independent if kind == "application" else rates.kind.eq(kind)
    rates = rates[of_kind & rates.vendor.eq(HOME) & rates.vcpus.le(LARGEST_CURVE_VCPUS)]
    curves = []
    for _, family in rates.groupby(["workload", *_FAMILY]):
        speed = family.groupby("vcpus").log_speed.mean()
        if len(speed) < _FEWEST_CURVE_SIZES:
            continue
        v = speed.index.to_numpy(dtype=float)
        rate = np.exp(speed.to_numpy()) * v
        gamma, sigma, kappa = fit_usl(v.tolist(), rate.tolist())
        misfit = np.log(gamma / (1 + sigma * (v - 1) + kappa * v * (v - 1)) * v / rate)
        curves.append((sigma, kappa, np.std(misfit)))
    if len(curves) < _FEWEST_WORKLOADS:
        raise NotMeasured(
            f"the folder has {len(curves)} size curves of kind {kind!r} to learn scaling from",
            hint=f"{_FEWEST_WORKLOADS} families of {_FEWEST_CURVE_SIZES} sizes are the least",
        )
    return UslPrior.of_curves(np.array(curves))
