"""What the user's own measurements teach the speed prior: how their servers scale with size.

The prior of a scalability curve is a normal distribution of (log sigma, log kappa). Each of the
user's workloads is one more draw from it, known as well as its own sizes tell: its posterior under
the shipped prior. The distribution is updated as if the shipped one stood for SHIPPED_CURVES
curves already seen, so that a few runs move it little and a model zoo takes it over.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from recommender.performance.scaling import UslPrior

__all__ = ["SHIPPED_CURVES", "MeasuredCurve", "learnt_from"]

SHIPPED_CURVES = 20.0
_FEWEST_SIZES = 2
_DRAWS, _SEED = 2000, 1


@dataclass(frozen=True, slots=True)
class MeasuredCurve:
    """One workload on one machine: saturated throughput at each size, and its relative error."""

    workload: str
    vcpus: tuple[float, ...]
    throughput_rps: tuple[float, ...]
    error: tuple[float, ...]

    @property
    def tells(self) -> bool:
        """One size says nothing of scaling."""
        return len({each for each in self.vcpus if each >= 1}) >= _FEWEST_SIZES


def learnt_from(curves: Sequence[MeasuredCurve], prior: UslPrior) -> UslPrior:
    """The same prior where no curve tells anything."""
    own = [_log_parameters(curve, prior) for curve in curves if curve.tells]
    if not own:
        return prior
    means = np.array([mean for mean, _ in own])
    variances = np.array([variance for _, variance in own])
    shipped = np.array([prior.log_sigma_mean, prior.log_kappa_mean])
    spread = np.array([prior.log_sigma_sd, prior.log_kappa_sd])
    weight = SHIPPED_CURVES + len(own)
    mean = (SHIPPED_CURVES * shipped + means.sum(axis=0)) / weight
    square = SHIPPED_CURVES * (spread**2 + (shipped - mean) ** 2)
    square = square + (variances + (means - mean) ** 2).sum(axis=0)
    sd = np.sqrt(square / weight)
    return replace(
        prior,
        log_sigma_mean=float(mean[0]),
        log_kappa_mean=float(mean[1]),
        log_sigma_sd=float(sd[0]),
        log_kappa_sd=float(sd[1]),
    )


def _log_parameters(
    curve: MeasuredCurve, prior: UslPrior
) -> tuple[tuple[float, float], tuple[float, float]]:
    """Mean and variance of (log sigma, log kappa) given the curve's own sizes."""
    draws = prior.posterior_draws(
        curve.vcpus, curve.throughput_rps, curve.error, _DRAWS, np.random.default_rng(_SEED)
    )
    sigma, kappa = np.log(draws.sigma), np.log(draws.kappa)
    return (float(sigma.mean()), float(kappa.mean())), (float(sigma.var()), float(kappa.var()))
