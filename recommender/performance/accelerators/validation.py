"""Say how wrong the roofline is on GPUs, generations and models that its fit has not seen."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from recommender.performance.accelerators.additive import (
    Design,
    Forecast,
    alike,
    fit,
    half_width,
)
from recommender.performance.accelerators.cpu_fit import carried, fit_cpu, read_cpu_rows
from recommender.performance.accelerators.gpu_rows import read_gpu_rows
from recommender.performance.accelerators.roofline import (
    FORMAT,
    GpuHoldout,
    GpuRoofline,
    RooflineParameters,
)
from recommender.performance.accelerators.roofline_fit import fit_regimes, forecasts, of_regime
from recommender.performance.accelerators.terms import REGIMES, Regime, log_seconds
from recommender.performance.scorecard import OUR_METHOD
from recommender.performance.speed_prior import Provenance

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from recommender.performance.accelerators.gpu_rows import GpuRows

    Floats = NDArray[np.float64]

__all__ = ["KIND_OF", "fit_gpus", "validate_gpus"]

KIND_OF: dict[Regime, str] = {"narrow": "decode", "wide": "prefill"}
LEFT_OUT = ("gpu", "generation", "model")
_WEIGHTS, _LAUNCH, _MATRIX, _SCALAR = 0, 1, 3, 4  # of the wide regime's terms
_PLAIN = ("weights", "launch", "matrix", "scalar")


def fit_gpus(data_dir: Path, *, fitted_on: str, command: str, commit: str) -> GpuRoofline:
    """The artefact, with every holdout row in it."""
    gpu_rows, cpu_rows = read_gpu_rows(data_dir), read_cpu_rows(data_dir)
    return GpuRoofline(
        RooflineParameters(
            format=FORMAT,
            regimes=fit_regimes(gpu_rows),
            cpu=fit_cpu(cpu_rows, gpu_rows),
            hosts=gpu_rows.hosts,
            gpus=tuple(sorted(set(gpu_rows.gpu.tolist()))),
            holdout=tuple(validate_gpus(data_dir)),
            provenance=Provenance(
                source="Spare Cores Inspector data, "
                "https://github.com/SpareCores/sc-inspector-data",
                commit=commit,
                licence="CC-BY-SA-4.0",
                fitted_on=fitted_on,
                command=command,
                workloads=tuple(sorted(set(gpu_rows.model.tolist()))),
                machines=len(gpu_rows.devices),
            ),
        )
    )


def validate_gpus(data_dir: Path) -> list[GpuHoldout]:
    """By kind, what was left out, and method; the baselines beside."""
    rows, cpu_rows = read_gpu_rows(data_dir), read_cpu_rows(data_dir)
    found = []
    for regime in REGIMES:
        own, kind = of_regime(rows, regime), KIND_OF[regime]
        for left_out in LEFT_OUT:
            seen = list(forecasts(own, regime, left_out))
            found.append(_holdout((kind, left_out, OUR_METHOD), seen, with_interval=True))
        found += [
            _holdout((kind, "gpu", name), baseline(own), with_interval=False)
            for name, baseline in _BASELINES.items()
        ]
        from_cpu = list(carried(cpu_rows, rows, regime))
        name = (f"{kind} from a CPU time", "model", OUR_METHOD)
        found.append(_holdout(name, from_cpu, with_interval=True))
    return found


def _holdout(
    named: tuple[str, str, str], found: Sequence[Forecast], *, with_interval: bool
) -> GpuHoldout:
    kind, left_out, method = named
    error = np.abs(np.expm1(-np.concatenate([each.error for each in found])))
    gpu = np.concatenate([each.machine for each in found])
    coverage, width = _interval(found) if with_interval else (None, None)
    return GpuHoldout(
        kind=kind,
        left_out=left_out,
        method=method,
        error=round(float(np.median(error)), 4),
        error_by_gpu=round(float(pd.Series(error).groupby(gpu).median().mean()), 4),
        p90=round(float(np.quantile(error, 0.9)), 4),
        coverage_80=coverage,
        width_80=width,
        n=error.size,
        gpus=len(set(gpu.tolist())),
    )


def _interval(found: Sequence[Forecast]) -> tuple[float, float]:
    """Each group's interval is set by the errors of the others (cross-conformal, Vovk 2015).

    Each GPU counts alike.
    """
    inside, widths = [], []
    for own in found:
        half = half_width([each for each in found if each.group != own.group])
        inside.append(np.abs(own.error) <= half)
        widths.append(np.full(own.error.size, np.exp(2 * half)))
    weight = alike(np.concatenate([each.machine for each in found]))
    coverage = float(np.concatenate(inside) @ weight)
    return round(coverage, 4), round(float(np.median(np.concatenate(widths))), 3)


def _datasheet(rows: GpuRows) -> list[Forecast]:
    """The larger of bytes over bandwidth and FLOPs over peak, with nothing fitted."""
    terms = _plain_terms(rows)
    return [_against(rows, np.max(terms[[0, 2]], axis=0))]


def _bandwidth_ratio(rows: GpuRows) -> list[Forecast]:
    """What other GPUs took for the same test, by the ratio of memory bandwidths."""
    bandwidth = np.array([rows.devices[n].spec.bandwidth_gb_s for n in rows.device])
    fraction = np.array([rows.devices[n].fraction for n in rows.device])
    scaled = rows.log_seconds + np.log(bandwidth * fraction)
    table = pd.DataFrame(
        {"test": rows.model, "count": rows.work.count, "rows": rows.work.rows, "value": scaled}
    )
    predicted = np.empty(len(scaled))
    for gpu in sorted(set(rows.gpu.tolist())):
        own = rows.gpu == gpu
        typical = table[~own].groupby(["test", "count", "rows"]).value.median().rename("typical")
        joined = table[own].join(typical, on=["test", "count", "rows"])
        predicted[own] = joined.typical.to_numpy() - np.log(bandwidth * fraction)[own]
    return [_against(rows, predicted)]


def _plain_additive(rows: GpuRows) -> list[Forecast]:
    """Four coefficients, the same for every GPU."""
    shifts = [[{name: 1.0} for name in _PLAIN]]
    machine = np.zeros(len(rows.table), dtype=np.intp)
    terms = _plain_terms(rows)
    predicted = np.empty(len(rows.table))
    for gpu in sorted(set(rows.gpu.tolist())):
        own = rows.gpu == gpu
        known = fit(
            Design.of(shifts, terms[:, ~own], machine[~own]),
            rows.log_seconds[~own],
            alike(rows.gpu[~own]),
            dict.fromkeys(_PLAIN, (0.5, 3.0)),
            departure_sd=1.0,
        )
        predicted[own] = Design.of(shifts, terms[:, own], machine[own]).predict(known)
    return [_against(rows, predicted)]


def _plain_terms(rows: GpuRows) -> Floats:
    terms = np.empty((len(_PLAIN), len(rows.table)))
    for number, device in enumerate(rows.devices):
        own = rows.device == number
        if own.any():
            each = log_seconds("wide", rows.only(own).work, device.spec)
            chosen = [each[term] for term in (_WEIGHTS, _LAUNCH, _MATRIX, _SCALAR)]
            terms[:, own] = np.stack(chosen) - np.log(device.fraction)
    return terms


def _against(rows: GpuRows, predicted: Floats) -> Forecast:
    return Forecast("all", rows.model, rows.gpu, predicted - rows.log_seconds)


_BASELINES: dict[str, Callable[[GpuRows], list[Forecast]]] = {
    "datasheet roofline": _datasheet,
    "bandwidth ratio": _bandwidth_ratio,
    "plain additive roofline": _plain_additive,
}
