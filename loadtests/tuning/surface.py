"""What the trials say about every setting: a Gaussian process with an additive kernel.

  y_i = μ + Σ_v e_v(s_i) + t(s_i) + b(r_i) + u_i + n_i

  y    log of the score, its sign so that more is better
  e_v  worth of the value of variable v       N(0, main²)
  t    what the setting is worth beyond that  N(0, interaction²)
  b    what trials of one length share        N(0, SHARED_SD²)
  u    spread between runs of one setting     N(0, between²)
  n    noise within the trial, from its interval

main, interaction and between are averaged over a small grid, each point weighed by its marginal
likelihood (Rasmussen & Williams 2006, §5.2). Where settings do not differ, the small ones win and
every estimate shrinks to the mean: the luckiest of many equals does not pass for a winner.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

    from loadtests.tuning.spec import Setting

__all__ = ["Belief", "Observation", "Spread", "Surface"]

MAIN_SD = (0.0, 0.01, 0.03, 0.1, 0.3, 1.0)
# Of main, with the odds given to each before a trial: most of what a setting is worth is the sum
# of its values' worths (effect hierarchy; Wu & Hamada 2009, §4.6).
INTERACTION_RATIO = {0.0: 0.5, 0.2: 0.2, 0.5: 0.15, 1.0: 0.1, 2.0: 0.05}
BETWEEN_SD = (0.0, 0.02, 0.05, 0.1)
LEVEL_SD = 3.0
SHARED_SD = 0.2
LEAST_WEIGHT = 0.01  # of a fit, beside the likeliest
# Twice the log likelihood ratio at which additivity is given up: 1 % of χ² with one degree of
# freedom, halved because a spread cannot be negative (Self & Liang 1987).
ADDITIVITY_LOST = 5.41


class Observation(NamedTuple):
    """gain: log score, more is better. sd: its standard deviation within the trial."""

    setting: Setting
    rung: int
    gain: float
    sd: float


class Spread(NamedTuple):
    """Standard deviations of log score; see the module."""

    main: float
    interaction: float
    between: float


@dataclass(frozen=True)
class Belief:
    """Joint normal."""

    mean: NDArray[np.float64]
    covariance: NDArray[np.float64]

    @property
    def sd(self) -> NDArray[np.float64]:
        return np.sqrt(np.maximum(np.diag(self.covariance), 0.0))

    def over(self, index: int) -> Belief:
        """Each less the one at index."""
        shift = self.covariance[:, [index]]
        covariance = self.covariance - shift - shift.T + self.covariance[index, index]
        return Belief(self.mean - self.mean[index], covariance)


@dataclass(frozen=True)
class _Fit:
    """One spread of the grid. factor: of the trials' covariance (Cholesky)."""

    weight: float
    spread: Spread
    factor: NDArray[np.float64]
    solved: NDArray[np.float64]  # covariance⁻¹ (y - level)


class Surface:
    """Fitted to one observation or more. interacts: the values' effects do not just add up."""

    def __init__(self, observations: Sequence[Observation]) -> None:
        self._settings = _table([each.setting for each in observations])
        self._rungs = np.array([each.rung for each in observations])
        self._noise = np.array([each.sd for each in observations]) ** 2
        gains = np.array([each.gain for each in observations])
        self._level = float(gains.mean())
        centred = gains - self._level
        grid = list(itertools.product(MAIN_SD, INTERACTION_RATIO, BETWEEN_SD))
        spreads = [Spread(main, main * ratio, between) for main, ratio, between in grid]
        odds = np.array([INTERACTION_RATIO[ratio] for _, ratio, _ in grid])
        factors = np.linalg.cholesky(np.stack([self._covariance(each) for each in spreads]))
        halves = np.linalg.solve(factors, np.broadcast_to(centred, factors.shape[:2])[..., None])
        likelihoods = -np.log(np.diagonal(factors, axis1=1, axis2=2)).sum(axis=1)
        likelihoods -= (halves[..., 0] ** 2).sum(axis=1) / 2
        weights = odds * np.exp(likelihoods - likelihoods.max())
        weights /= weights.max()
        kept = np.flatnonzero(weights > LEAST_WEIGHT)
        self._fits = [
            _Fit(
                float(weights[index] / weights[kept].sum()),
                spreads[index],
                factors[index],
                np.linalg.solve(factors[index].T, halves[index])[:, 0],
            )
            for index in kept
        ]
        is_additive = np.array([each.interaction == 0 for each in spreads])
        gained = likelihoods.max() - likelihoods[is_additive].max()
        self.interacts = bool(2 * gained > ADDITIVITY_LOST)

    @property
    def interaction_sd(self) -> float:
        return sum(fit.weight * fit.spread.interaction for fit in self._fits)

    def _covariance(self, spread: Spread) -> NDArray[np.float64]:
        shared = self._rungs[:, None] == self._rungs[None, :]
        covariance = _between(self._settings, self._settings, spread) + SHARED_SD**2 * shared
        return np.asarray(covariance + np.diag(self._noise + spread.between**2))

    def gains(self, settings: Sequence[Setting], rung: int) -> Belief:
        """Of trials at that rung, without noise."""
        asked = _table(settings)
        shared = SHARED_SD**2 * (self._rungs == rung)[None, :]
        return self._mixed(
            (
                self._level,
                _between(asked, self._settings, fit.spread) + shared,
                _between(asked, asked, fit.spread) + SHARED_SD**2,
            )
            for fit in self._fits
        )

    def effect(self, column: int, value: str, reference: str) -> Belief:
        """e_v(value) less e_v(reference), one number; column: of the variable v."""
        held = self._settings[:, column]
        differs = ((held == value) * 1.0 - (held == reference))[None, :]
        prior = np.array([[2.0 * (value != reference)]])
        return self._mixed(
            (0.0, fit.spread.main**2 * differs, fit.spread.main**2 * prior) for fit in self._fits
        )

    def _mixed(
        self, questions: Iterable[tuple[float, NDArray[np.float64], NDArray[np.float64]]]
    ) -> Belief:
        """The moments of the mixture of all fits.

        questions: for each fit what is asked: its level, covariance with the trials, and prior.
        """
        means, covariances = [], []
        for fit, (level, towards, prior) in zip(self._fits, questions, strict=True):
            half = np.linalg.solve(fit.factor, towards.T)
            means.append(level + towards @ fit.solved)
            covariances.append(prior - half.T @ half)
        weights = np.array([fit.weight for fit in self._fits])
        mean = weights @ np.array(means)
        off = np.array(means) - mean
        covariance = np.tensordot(weights, np.array(covariances), 1) + (off.T * weights) @ off
        return Belief(mean, covariance)


def _table(settings: Sequence[Setting]) -> NDArray[np.str_]:
    return np.array([tuple(setting) for setting in settings])


def _between(
    one: NDArray[np.str_], other: NDArray[np.str_], spread: Spread
) -> NDArray[np.float64]:
    alike = (one[:, None, :] == other[None, :, :]).sum(axis=2)
    same = alike == one.shape[1]
    return np.asarray(
        LEVEL_SD**2 + spread.main**2 * alike + spread.interaction**2 * same, np.float64
    )
