"""Fit the roofline of GPUs to language models that were measured on them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from recommender.performance.accelerators.additive import (
    Design,
    Forecast,
    alike,
    fit,
    half_width,
    sd_of,
)
from recommender.performance.accelerators.roofline import RegimeFit
from recommender.performance.accelerators.terms import (
    REGIMES,
    TERMS,
    TRAITS,
    Regime,
    loadings,
    log_seconds,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from recommender.performance.accelerators.gpu_rows import GpuRows

__all__ = ["fit_regimes", "forecasts", "of_regime"]

# Logs. host: exponent of the host's slowness in launches, between no matter and in proportion.
DEPARTURE_SD = 0.1
SHARED_PRIOR = {"host": (0.6, 0.15), "slice": (0.2, 0.15), "split": (0.2, 0.2)}


def fit_regimes(rows: GpuRows) -> dict[Regime, RegimeFit]:
    """With the errors of GPUs, and of models, that were left out."""
    found = {}
    for regime in REGIMES:
        own = of_regime(rows, regime)
        unseen = {by: list(forecasts(own, regime, by)) for by in ("gpu", "model")}
        found[regime] = RegimeFit(
            coefficients=_fit(own, regime),
            unseen_gpu_sd=sd_of(half_width(unseen["gpu"])),
            unseen_model_sd=sd_of(half_width(unseen["model"])),
        )
    return found


def of_regime(rows: GpuRows, regime: Regime) -> GpuRows:
    return rows.only(rows.table.regime.eq(regime).to_numpy())


def forecasts(rows: GpuRows, regime: Regime, left_out: str) -> Iterator[Forecast]:
    """left_out: the column whose values are left out in turn, of rows of one regime."""
    groups = rows.table[left_out].to_numpy(dtype=str)
    for group in sorted(set(groups.tolist())):
        target = rows.only(groups == group)
        coefficients = _fit(rows.only(groups != group), regime)
        error = _design(target, regime).predict(coefficients) - target.log_seconds
        yield Forecast(group, target.model, target.gpu, error)


def _fit(rows: GpuRows, regime: Regime) -> dict[str, float]:
    prior = {term.name: term.prior for term in TERMS[regime]} | TRAITS[regime] | SHARED_PRIOR
    return fit(
        _design(rows, regime), rows.log_seconds, alike(rows.gpu), prior, departure_sd=DEPARTURE_SD
    )


def _design(rows: GpuRows, regime: Regime) -> Design:
    named = [
        [
            loadings(regime, term, device, rows.hosts.slowness(device.host))
            for term in TERMS[regime]
        ]
        for device in rows.devices
    ]
    seconds = np.empty((len(TERMS[regime]), len(rows.table)))
    for number, device in enumerate(rows.devices):
        own = rows.device == number
        if own.any():
            seconds[:, own] = log_seconds(regime, rows.only(own).work, device.spec)
            seconds[:, own] -= np.log(device.fraction)
    return Design.of(named, seconds, rows.device)
