"""Fit the speed prior to a folder of real machines' benchmark results, and say how wrong it is.

The folder holds `instances.csv.gz` (one row per machine: facts and micro-benchmarks) and
`truth.csv.gz` (one row per workload and machine). Only AWS machines that were measured, and are
neither burstable nor bare metal, carry a silicon's level; other clouds say how far a machine of
known silicon may lie from AWS's, and stand in for silicon AWS has not shown.

Which workloads make the prior. A model server behind gunicorn is compiled and interpreted
application code on independent workers. Its relatives are Geekbench's applications and PassMark's
CPU tests. Left out: single-instruction tests (hashes, ciphers: SHA and AES units differ fourfold
between silicons), PassMark's per-ISA tests, and Geekbench's text processing, which is serial.
Geekbench's applications cooperate on one task, so they say nothing of independent workers on a
large machine: they set silicon levels at up to four vCPUs, and PassMark and the web server set the
size curve.
"""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from recommender.errors import NotMeasured
from recommender.performance.scaling import UslPrior, fit_usl
from recommender.performance.silicon import SILICON_FACTS
from recommender.performance.speed_prior import (
    FORMAT,
    Holdout,
    Machine,
    Provenance,
    SiliconSpeed,
    SpeedPrior,
    SpeedPriorParameters,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

__all__ = ["Benchmarks", "calibrate", "fit", "fit_parameters", "read_benchmarks", "validate"]

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
LARGEST_CURVE_VCPUS = 64
FACTORS = 2
_HOME = "aws"
SOURCE_FAMILIES = ("m7i", "m7a", "c6i", "m5", "m6g", "m7g")
HOSTING_FAMILIES = (
    *("c4", "c5", "c5d", "c6i", "c6in", "c6g", "c6gd", "c7g", "c7i", "c8g", "m4", "m5", "m5d"),
    *("m6i", "m6g", "m6gd", "m7g", "m7i", "m8g", "r5", "r5d", "r6i", "r6g", "r6gd", "r7g", "r7i"),
    *("r8g", "m7a", "m8a", "c8i", "m8i", "c6a", "m6a"),
)
WORKLOAD, WORKLOAD_ELSEWHERE = "workload", "workload_measured_elsewhere"
LEFT_OUT = (WORKLOAD, WORKLOAD_ELSEWHERE, "silicon", "family")
SCALES: tuple[float, ...] = tuple(x / 20 for x in range(10, 81))
DRIFTS: tuple[float, ...] = tuple(x / 100 for x in range(51))
_COVERAGE = 0.80
_NOISE = 0.03
_DRAWS = 400
_UNSTATED = Provenance(
    source="", commit="", licence="", fitted_on="", command="", workloads=(), machines=0
)
_FACTS = (
    *("vendor", "instance", "family", "measured", "uarch", "vcpus", "threads_per_core", "arch"),
    *("is_burstable", "is_metal", "is_flex"),
)
_TRUTH = ("vendor", "instance", "workload", "kind", "value")
_FEWEST_MACHINES = 2
_FEWEST_WORKLOADS = 4
_FAMILY = ["silicon", "family"]
_FEWEST_CURVE_SIZES = 5
_SMALLEST_SD = 0.01
_FAINTEST_TREND_SD = 0.1
# Used only for a folder of one cloud; the ground truth's own figures are near these.
_FOREIGN_WITHOUT_DATA = (0.2, 0.1)
_SMT_TESTS = ("clang", "pdf_renderer", "asset_compression", "object_remover", "ray_tracer")


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
    machines = _table(data_dir / "instances.csv.gz", _FACTS)
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
    truth = _table(data_dir / "truth.csv.gz", _TRUTH)
    truth = truth[truth.kind.isin(KIND_OF_TRUTH)]
    truth = truth.assign(kind=truth.kind.map(KIND_OF_TRUTH))
    columns = ["vendor", "instance", "workload", "kind", "value"]
    rates = pd.concat([micro[columns], truth[columns]], ignore_index=True)
    rates = rates[rates.value.gt(0)].join(facts, on=["vendor", "instance"], how="inner")
    rates["arch"] = rates.arch.replace("aarch64", "arm64")
    rates["log_speed"] = np.log(rates.value / rates.vcpus)
    return Benchmarks(machines, rates.drop(columns="value").reset_index(drop=True))


def _table(path: Path, needed: Sequence[str]) -> pd.DataFrame:
    if not path.is_file():
        raise NotMeasured(
            f"{path} is not there", hint="give the folder that holds the benchmark tables"
        )
    table = pd.read_csv(path, low_memory=False)
    missing = [name for name in needed if name not in table]
    if missing:
        raise NotMeasured(f"{path} has no column {', '.join(missing)}")
    return table


def fit(data_dir: Path, *, fitted_on: str, command: str, commit: str) -> SpeedPriorParameters:
    """Parameters calibrated on workloads left out, with every holdout row stored beside them."""
    benchmarks = read_benchmarks(data_dir)
    used = _prior_rates(benchmarks.rates)
    provenance = Provenance(
        source="Spare Cores Inspector data, https://github.com/SpareCores/sc-inspector-data",
        commit=commit,
        licence="CC-BY-SA-4.0",
        fitted_on=fitted_on,
        command=command,
        workloads=tuple(sorted(used.workload.unique())),
        machines=int(used.groupby(["vendor", "instance"]).ngroups),
    )
    return calibrate(fit_parameters(benchmarks, provenance), benchmarks)


def fit_parameters(benchmarks: Benchmarks, provenance: Provenance) -> SpeedPriorParameters:
    """Uncalibrated: `scale` is 1 and the scaling priors have no drift."""
    small = _prior_rates(benchmarks.rates)
    home = small[small.vendor.eq(_HOME)]
    basis = home.groupby("silicon").threads.median().astype(int)
    smt_mean, smt_sd = _smt(benchmarks.machines, basis)
    home_levels, sizes, residual = _levels(home)
    abroad = small[small.vendor.ne(_HOME)]
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


def _prior_rates(rates: pd.DataFrame) -> pd.DataFrame:
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
    two = machines[machines.vcpus.eq(2)].xs(_HOME, level="vendor")
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
    rates = rates[of_kind & rates.vendor.eq(_HOME) & rates.vcpus.le(LARGEST_CURVE_VCPUS)]
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


# --- how wrong it is --------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Forecast:
    """How an experiment came out, by target. All logs; `low` and `high` relative to the truth."""

    kind: str
    left_out: str
    workload: str
    near: NDArray[np.bool_]
    error: Floats
    low: Floats
    high: Floats

    @property
    def inside(self) -> NDArray[np.bool_]:
        return (self.low <= 0) & (self.high >= 0)


@dataclass(frozen=True, slots=True)
class Experiment:
    """Small measurements of one workload on one source, and the truth to be predicted from them.

    `spread` are the draws of everything but between-workload taste and drift; `taste` those of
    taste at scale 1; `drift` one standard normal a draw times doublings past what was measured.
    """

    kind: str
    left_out: str
    workload: str
    near: NDArray[np.bool_]
    truth: Floats
    spread: Floats
    taste: Floats
    drift: Floats

    def forecast(self, scale: float, drift_sd: float) -> Forecast:
        draws = self.spread + scale * self.taste + drift_sd * self.drift
        low, median, high = np.quantile(draws, (0.1, 0.5, 0.9), axis=0)
        return Forecast(
            self.kind,
            self.left_out,
            self.workload,
            self.near,
            *(self.truth - median, low - self.truth, high - self.truth),
        )


def validate(data_dir: Path) -> tuple[Holdout, ...]:
    """Every holdout row; what `fit` stores in the artefact."""
    benchmarks = read_benchmarks(data_dir)
    return calibrate(fit_parameters(benchmarks, _UNSTATED), benchmarks).holdout


def calibrate(parameters: SpeedPriorParameters, benchmarks: Benchmarks) -> SpeedPriorParameters:
    """Set `scale` and `drift_sd` of each kind and store how well they do.

    Chosen so that 80 % intervals hold 80 % of the workloads left out, near and far from the
    measured sizes; every way of leaving out is then scored with them.
    """
    scale, scaling = dict(parameters.scale), dict(parameters.scaling)
    forecasts: list[Forecast] = []
    for kind in KINDS:
        experiments = list(_leaving_workloads_out(benchmarks, kind))
        own = [e for e in experiments if e.left_out == WORKLOAD]
        scale[kind] = _least_scale(own)
        drift = _least_drift(own, scale[kind])
        scaling[kind] = replace(scaling[kind], drift_sd=drift)
        forecasts += [e.forecast(scale[kind], drift) for e in experiments]
    forecasts += [
        e.forecast(scale[e.kind], scaling[e.kind].drift_sd)
        for e in _leaving_machines_out(benchmarks)
    ]
    scored = [
        [f for f in forecasts if f.kind == kind and f.left_out == left_out]
        for kind in KINDS
        for left_out in LEFT_OUT
    ]
    holdout = tuple(_holdout(row) for row in scored if row)
    return replace(parameters, scale=scale, scaling=scaling, holdout=holdout)


def _least_scale(experiments: list[Experiment]) -> float:
    """The narrowest that covers (coverage rises with it); the widest where none does."""

    def coverage(scale: float) -> float:
        return _coverage([e.forecast(scale, 0.0) for e in experiments], near=True)

    return SCALES[min(bisect_left(SCALES, _COVERAGE, key=coverage), len(SCALES) - 1)]


def _least_drift(experiments: list[Experiment], scale: float) -> float:
    def coverage(drift: float) -> float:
        return _coverage([e.forecast(scale, drift) for e in experiments], near=False)

    return DRIFTS[min(bisect_left(DRIFTS, _COVERAGE, key=coverage), len(DRIFTS) - 1)]


def _coverage(forecasts: list[Forecast], *, near: bool) -> float:
    """Each workload counts the same; 1 where nothing was asked."""
    by_workload: dict[str, list[float]] = {}
    for f in forecasts:
        asked = f.near if near else ~f.near
        if asked.any():
            by_workload.setdefault(f.workload, []).append(float(f.inside[asked].mean()))
    return float(np.mean([np.mean(x) for x in by_workload.values()])) if by_workload else 1.0


def _holdout(forecasts: list[Forecast]) -> Holdout:
    error = np.concatenate([f.error for f in forecasts])
    width = np.concatenate([f.high - f.low for f in forecasts])
    return Holdout(
        kind=forecasts[0].kind,
        left_out=forecasts[0].left_out,
        error=round(float(np.median(np.abs(error))), 4),
        coverage_80=round(float(np.concatenate([f.inside for f in forecasts]).mean()), 4),
        width_80=round(float(np.exp(np.median(width))), 3),
        workloads=len({f.workload for f in forecasts}),
        targets=max(f.error.size for f in forecasts),
        predictions=error.size,
    )


def _folds(rates: pd.DataFrame) -> dict[str, list[str]]:
    """Workloads that are left out together: one application, one file size, one language model."""
    folds: dict[str, list[str]] = {}
    for kind, workload in rates[["kind", "workload"]].drop_duplicates().to_numpy():
        together = workload.rpartition(":")[0] if kind in {PREFILL, DECODE} else workload
        folds.setdefault(together, []).append(workload)
    return folds


def _leaving_workloads_out(benchmarks: Benchmarks, kind: str) -> Iterator[Experiment]:
    rates = benchmarks.rates
    abroad = rates[rates.vendor.ne(_HOME) & rates.vcpus.eq(SMALL_VCPUS / 2)]
    foreign = abroad[abroad.silicon.isin(list(SILICON_FACTS))]
    foreign = foreign.drop_duplicates(["vendor", "silicon", "workload"])
    for workloads in _folds(rates[rates.kind.eq(kind)]).values():
        prior = SpeedPrior(
            fit_parameters(benchmarks.only(~rates.workload.isin(workloads)), _UNSTATED)
        )
        for workload in workloads:
            own = rates[rates.workload.eq(workload)]
            targets = _targets(own)
            for source in _sources(own):
                yield from _experiment(prior, source, targets, WORKLOAD)
            for _, source in foreign[foreign.workload.eq(workload)].groupby(["vendor", "silicon"]):
                yield from _experiment(prior, source, targets, WORKLOAD_ELSEWHERE)


def _leaving_machines_out(benchmarks: Benchmarks) -> Iterator[Experiment]:
    """Silicon, or a family, left out together with a third of the workloads."""
    rates = benchmarks.rates
    folds = list(_folds(rates).values())
    home = _targets(rates)
    for third in range(3):
        workloads = [w for fold in folds[third::3] for w in fold]
        for column in ("silicon", "family"):
            for name in sorted(home[column].unique()):
                unseen = rates[column].eq(name)
                kept = benchmarks.only(~rates.workload.isin(workloads) & ~unseen)
                prior = SpeedPrior(fit_parameters(kept, _UNSTATED))
                for workload in workloads:
                    own = rates[rates.workload.eq(workload)]
                    targets = _targets(own)
                    for source in _sources(own[~unseen[own.index]]):
                        yield from _experiment(
                            prior, source, targets[targets[column].eq(name)], column
                        )


def _targets(rates: pd.DataFrame) -> pd.DataFrame:
    """AWS machines that are rented for hosting, current silicon or not.

    Geekbench's applications cooperate on one task: only small machines are fair.
    """
    hosting = rates.vendor.eq(_HOME) & rates.family.isin(HOSTING_FAMILIES)
    fair = ~rates.workload.isin(GEEKBENCH) | rates.vcpus.le(SMALL_VCPUS)
    return rates[hosting & fair]


def _sources(rates: pd.DataFrame) -> Iterator[pd.DataFrame]:
    """What a local test is like: the two smallest sizes of one family."""
    for family in SOURCE_FAMILIES:
        own = rates[rates.vendor.eq(_HOME) & rates.family.eq(family)]
        own = own[own.vcpus.isin([SMALL_VCPUS / 2, SMALL_VCPUS])]
        if not own.empty:
            yield own.sort_values("vcpus")


def _experiment(
    prior: SpeedPrior, source: pd.DataFrame, targets: pd.DataFrame, left_out: str
) -> Iterator[Experiment]:
    targets = targets[~targets.instance.isin(source.instance)]
    if targets.empty:
        return
    kind, workload = source[["kind", "workload"]].iloc[0]
    prior = replace(prior, kind=kind)
    rng = np.random.default_rng([1, *workload.encode(), *source.instance.iloc[0].encode()])
    rate = np.exp(source.log_speed) * source.vcpus
    curves = prior.scaling.posterior_draws(
        source.vcpus.tolist(), rate.tolist(), [_NOISE] * len(source), _DRAWS, rng
    )
    vcpus = targets.vcpus.to_numpy(dtype=float)
    here, there = _machines(source)[-1], _machines(targets)
    with_taste, without = (
        prior.rescaled(x).draw_log_ratio(here, there, _DRAWS, np.random.default_rng(2))
        for x in (1.0, 0.0)
    )
    doublings = np.log2(np.maximum(vcpus / curves.largest_measured_vcpus, 1.0))
    yield Experiment(
        kind=kind,
        left_out=left_out,
        workload=workload,
        near=vcpus <= curves.group_reach_vcpus,
        truth=targets.log_speed.to_numpy() + np.log(vcpus),
        spread=without + np.log(curves.throughput(vcpus, beyond="replicas")),
        taste=with_taste - without,
        drift=rng.standard_normal((_DRAWS, 1)) * doublings,
    )


def _machines(rates: pd.DataFrame) -> list[Machine]:
    columns = ["vcpus", "silicon", "threads", "arch", "vendor", "family"]
    return [
        Machine(
            vcpus=float(vcpus),
            silicon=silicon,
            threads_per_core=int(threads),
            architecture=architecture,
            clock_ghz=None,
            provider=_HOME if vendor == _HOME else None,
            family=family,
        )
        for vcpus, silicon, threads, architecture, vendor, family in rates[columns].to_numpy()
    ]
