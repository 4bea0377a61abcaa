"""Throughput against vCPUs: Gunther's Universal Scalability Law, and what is known of its numbers.

X(v) = gamma v / (1 + sigma (v - 1) + kappa v (v - 1))    (Gunther, Guerrilla Capacity Planning)

gamma: throughput of one vCPU; sigma: contention, the share of the work that queues for something
shared; kappa: coherency, the cost of every pair of workers agreeing.

Two rules of ours around it:
- Below one vCPU there is nobody to contend with: X(v) = gamma v.
- Past the size where X peaks, the peak is held: nobody has to start the workers that slow it down.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
from scipy.optimize import nnls

from recommender.errors import OutOfRange

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike, NDArray

    Floats = NDArray[np.float64]

__all__ = ["GROUP_REACH_RATIO", "UslDraws", "UslPrior", "fit_usl", "relative_efficiency"]

GROUP_REACH_RATIO = 4.0
"""One group of processes is not extrapolated past this multiple of the largest measured size.

In the ground truth (independent threads and a web server on AWS families) the curve fitted to the
smallest sizes is off by a few percent up to here and by several times that at 8x and 16x.
"""

_PROPOSALS = 8192
_WIDE_SHARE = 0.3
_WIDE_LOG_SIGMA = (np.log(1e-5), np.log(0.95))
_WIDE_LOG_KAPPA = (np.log(1e-8), np.log(0.05))
_LARGEST_SIGMA = 0.95
_FEWEST_FOR_A_CURVE = 3
# Below these a curve loses under 3 % at 64 vCPUs; smaller estimates are noise about zero.
_SIGMA_FLOOR, _KAPPA_FLOOR = 5e-4, 1e-6


def relative_efficiency(vcpus: ArrayLike, sigma: ArrayLike, kappa: ArrayLike) -> Floats:
    """X(v) / (gamma v), with v at most the peak's; broadcasts."""
    v, s, k = (np.asarray(x, dtype=np.float64) for x in (vcpus, sigma, kappa))
    peak = np.sqrt((1 - s) / np.maximum(k, 1e-12))
    reached = np.clip(v, 1.0, np.maximum(peak, 1.0))
    efficiency = 1 / (1 + s * (reached - 1) + k * reached * (reached - 1))
    return np.asarray(efficiency * reached / np.maximum(v, 1.0), dtype=np.float64)


def fit_usl(vcpus: Sequence[float], throughputs: Sequence[float]) -> tuple[float, float, float]:
    """(gamma, sigma, kappa), none negative, of least squared relative error.

    v/X is linear in (1, v - 1, v (v - 1)) / gamma, so no search is needed.
    """
    if len(vcpus) < _FEWEST_FOR_A_CURVE:
        raise OutOfRange(
            f"a scalability curve has three unknowns, and {len(vcpus)} sizes were given",
            hint="measure at least three sizes, or use UslPrior.posterior_draws",
        )
    v = np.asarray(vcpus, dtype=np.float64)
    inverse = np.asarray(throughputs, dtype=np.float64) / v
    design = np.column_stack([np.ones_like(v), v - 1, v * (v - 1)]) * inverse[:, None]
    (base, contention, coherency), _ = nnls(design, np.ones_like(v))
    base = max(float(base), 1e-300)
    return 1 / base, float(contention) / base, float(coherency) / base


@dataclass(frozen=True, slots=True)
class UslDraws:
    """Equally likely scalability curves of one server, one per draw.

    `host_sigma` and `host_kappa` are what a machine costs workers that share nothing but the
    machine. `drift` is, per draw, the log error gained with each doubling past what was measured.
    """

    gamma: Floats
    sigma: Floats
    kappa: Floats
    host_sigma: Floats
    host_kappa: Floats
    drift: Floats
    largest_measured_vcpus: float

    @property
    def group_reach_vcpus(self) -> float:
        return GROUP_REACH_RATIO * self.largest_measured_vcpus

    def throughput(
        self, vcpus: ArrayLike, *, beyond: Literal["refuse", "replicas"] = "refuse"
    ) -> Floats:
        """Requests per second at each size, shape (draws, sizes).

        Past `group_reach_vcpus`, "replicas" means: as many groups of that size as fit, worth as
        much as independent workers on machines of that size were in the ground truth.
        """
        v = np.atleast_1d(np.asarray(vcpus, dtype=np.float64))
        _require_positive("vcpus", v)
        reach = self.group_reach_vcpus
        if beyond == "refuse" and v.max() > reach:
            raise OutOfRange(
                f"asked for the throughput at {v.max():g} vCPUs; the largest measured size is "
                f"{self.largest_measured_vcpus:g}, and one group of processes is not "
                f"extrapolated past {reach:g}",
                hint="measure a larger size, or ask for replicas of the group",
            )
        within = np.minimum(v, reach)
        group = within * relative_efficiency(within, self.sigma[:, None], self.kappa[:, None])
        host = relative_efficiency(v, self.host_sigma[:, None], self.host_kappa[:, None])
        host_at_reach = relative_efficiency(
            within, self.host_sigma[:, None], self.host_kappa[:, None]
        )
        doublings = np.log2(np.maximum(v / self.largest_measured_vcpus, 1.0))
        rate = self.gamma[:, None] * group * (v / within) * (host / host_at_reach)
        return np.asarray(rate * np.exp(self.drift[:, None] * doublings), dtype=np.float64)


@dataclass(frozen=True, slots=True)
class UslPrior:
    """How (sigma, kappa) vary over servers of independent workers: jointly log-normal.

    `misfit_sd` is the log scatter of a measured size about its own curve; `drift_sd` the log
    error that each doubling past the measured sizes adds to what the curves themselves spread.
    """

    log_sigma_mean: float
    log_sigma_sd: float
    log_kappa_mean: float
    log_kappa_sd: float
    correlation: float
    misfit_sd: float
    drift_sd: float

    @classmethod
    def of_curves(cls, curves: Floats) -> UslPrior:
        """From rows of (sigma, kappa, misfit), one for each server and kind of machine."""
        sigma, kappa, misfit = curves.T
        log_sigma = np.log(np.maximum(sigma, _SIGMA_FLOOR))
        log_kappa = np.log(np.maximum(kappa, _KAPPA_FLOOR))
        together = np.cov(log_sigma, log_kappa)
        sd_sigma, sd_kappa = np.maximum(np.sqrt(np.diag(together)), 0.1)
        return cls(
            log_sigma_mean=float(log_sigma.mean()),
            log_sigma_sd=float(sd_sigma),
            log_kappa_mean=float(log_kappa.mean()),
            log_kappa_sd=float(sd_kappa),
            correlation=float(np.clip(together[0, 1] / sd_sigma / sd_kappa, -0.9, 0.9)),
            misfit_sd=float(np.median(misfit)),
            drift_sd=0.0,
        )

    def draw(self, draws: int, rng: np.random.Generator) -> tuple[Floats, Floats]:
        """(sigma, kappa)."""
        first, second = rng.standard_normal((2, draws))
        second = self.correlation * first + np.sqrt(1 - self.correlation**2) * second
        sigma = np.exp(self.log_sigma_mean + self.log_sigma_sd * first)
        kappa = np.exp(self.log_kappa_mean + self.log_kappa_sd * second)
        return np.minimum(sigma, _LARGEST_SIGMA), kappa

    def posterior_draws(
        self,
        vcpus: Sequence[float],
        throughputs_rps: Sequence[float],
        relative_errors: Sequence[float],
        draws: int,
        rng: np.random.Generator,
    ) -> UslDraws:
        """Curves in proportion to how well they explain the measured sizes.

        `relative_errors` are standard errors as a share of the throughput. One size leaves the
        prior's curves and places their level; each further size weighs them. Importance
        sampling from the prior mixed with a wide proposal, so a server unlike any in the ground
        truth is still found; log gamma is integrated out in closed form under a flat prior.
        """
        v, x, error = _measurements(vcpus, throughputs_rps, relative_errors)
        sigma, kappa, log_weight = self._proposals(rng)
        gap = np.log(x / v) - np.log(relative_efficiency(v, sigma[:, None], kappa[:, None]))
        precision = 1 / (error**2 + self.misfit_sd**2 * (v.size > 1))
        log_gamma = gap @ precision / precision.sum()
        log_weight -= 0.5 * ((gap - log_gamma[:, None]) ** 2 @ precision)
        weight = np.exp(log_weight - log_weight.max())
        chosen = rng.choice(sigma.size, size=draws, p=weight / weight.sum())
        level = log_gamma[chosen] + rng.standard_normal(draws) / np.sqrt(precision.sum())
        host_sigma, host_kappa = self.draw(draws, rng)
        return UslDraws(
            gamma=np.exp(level),
            sigma=sigma[chosen],
            kappa=kappa[chosen],
            host_sigma=host_sigma,
            host_kappa=host_kappa,
            drift=self.drift_sd * rng.standard_normal(draws),
            largest_measured_vcpus=float(v.max()),
        )

    def _proposals(self, rng: np.random.Generator) -> tuple[Floats, Floats, Floats]:
        """(sigma, kappa, log of prior over proposal density)."""
        wide = int(_WIDE_SHARE * _PROPOSALS)
        sigma, kappa = self.draw(_PROPOSALS - wide, rng)
        sigma = np.append(sigma, np.exp(rng.uniform(*_WIDE_LOG_SIGMA, wide)))
        kappa = np.append(kappa, np.exp(rng.uniform(*_WIDE_LOG_KAPPA, wide)))
        density = self._log_density(np.log(sigma), np.log(kappa))
        area = np.ptp(_WIDE_LOG_SIGMA) * np.ptp(_WIDE_LOG_KAPPA)
        mixture = np.logaddexp(density + np.log(1 - _WIDE_SHARE), np.log(_WIDE_SHARE / area))
        return sigma, kappa, density - mixture

    def _log_density(self, log_sigma: Floats, log_kappa: Floats) -> Floats:
        a = (log_sigma - self.log_sigma_mean) / self.log_sigma_sd
        b = (log_kappa - self.log_kappa_mean) / self.log_kappa_sd
        rest = 1 - self.correlation**2
        square = (a**2 - 2 * self.correlation * a * b + b**2) / rest
        scale = 2 * np.pi * self.log_sigma_sd * self.log_kappa_sd * np.sqrt(rest)
        return np.asarray(-0.5 * square - np.log(scale), dtype=np.float64)


def _measurements(
    vcpus: Sequence[float], throughputs_rps: Sequence[float], relative_errors: Sequence[float]
) -> tuple[Floats, Floats, Floats]:
    if not len(vcpus) == len(throughputs_rps) == len(relative_errors) > 0:
        raise OutOfRange(
            f"a scalability curve needs a throughput and its error at each size; got "
            f"{len(vcpus)} sizes, {len(throughputs_rps)} throughputs and "
            f"{len(relative_errors)} errors"
        )
    v, x, error = (
        np.asarray(a, dtype=np.float64) for a in (vcpus, throughputs_rps, relative_errors)
    )
    _require_positive("vcpus", v)
    _require_positive("throughput", x)
    # Two runs of one program on one machine differ by more than a tenth of a percent.
    return v, x, np.maximum(error, 1e-3)


def _require_positive(name: str, values: Floats) -> None:
    if values.size == 0 or not (np.isfinite(values).all() and (values > 0).all()):
        raise OutOfRange(f"{name} is {values.tolist()}; each must be finite and more than zero")
