"""Say how wrong the speed prior is, and set its intervals by what it gets wrong.

A workload, a silicon or a family is left out of the fit and predicted from small measurements on
one machine, as a local test would be.
"""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from recommender.performance.ground_truth import (
    DECODE,
    GEEKBENCH,
    HOME,
    KINDS,
    PREFILL,
    SMALL_VCPUS,
    read_benchmarks,
)
from recommender.performance.prior_fit import fit_parameters, prior_rates
from recommender.performance.silicon import SILICON_FACTS
from recommender.performance.speed_prior import (
    Holdout,
    Machine,
    Provenance,
    SpeedPrior,
    SpeedPriorParameters,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import pandas as pd
    from numpy.typing import NDArray

    from recommender.performance.ground_truth import Benchmarks

    Floats = NDArray[np.float64]

__all__ = ["Experiment", "Forecast", "calibrate", "fit", "validate"]

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


def fit(data_dir: Path, *, fitted_on: str, command: str, commit: str) -> SpeedPriorParameters:
    """Parameters calibrated on workloads left out, with every holdout row stored beside them."""
    benchmarks = read_benchmarks(data_dir)
    used = prior_rates(benchmarks.rates)
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
    abroad = rates[rates.vendor.ne(HOME) & rates.vcpus.eq(SMALL_VCPUS / 2)]
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
    hosting = rates.vendor.eq(HOME) & rates.family.isin(HOSTING_FAMILIES)
    fair = ~rates.workload.isin(GEEKBENCH) | rates.vcpus.le(SMALL_VCPUS)
    return rates[hosting & fair]


def _sources(rates: pd.DataFrame) -> Iterator[pd.DataFrame]:
    """What a local test is like: the two smallest sizes of one family."""
    for family in SOURCE_FAMILIES:
        own = rates[rates.vendor.eq(HOME) & rates.family.eq(family)]
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
            provider=HOME if vendor == HOME else None,
            family=family,
        )
        for vcpus, silicon, threads, architecture, vendor, family in rates[columns].to_numpy()
    ]
