"""Times that are sums of terms, each with a coefficient whose log is linear in the parameters.

    t = sum over terms of exp(shift . parameters) x

fitted by maximum a posteriori of log times under independent normal priors, with a robust loss
(pseudo-Huber). Kinds of machine depart from what is common by parameters of their own, as far as
the rows insist: partial pooling (Gelman & Hill 2007, Data Analysis Using Regression and
Multilevel/Hierarchical Models, ch. 12).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from scipy.optimize import least_squares
from scipy.special import logsumexp, ndtri, stdtrit

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Shifts = Mapping[str, float]

__all__ = ["LEVEL", "Design", "Forecast", "alike", "fit", "half_width", "sd_of"]

NOISE_SD = 0.15
# Lengths of one test on sizes of one machine say little more than one of them.
WORTH_ROWS = 400
DIGITS = 4
LEVEL = 0.8
UPPER = (1 + LEVEL) / 2


@dataclass(frozen=True)
class Design:
    """names: of the parameters. shifts: (machines, terms, parameters). machine: of each row.

    log_seconds: (terms, rows), with every parameter 0.
    """

    names: tuple[str, ...]
    shifts: Floats
    log_seconds: Floats
    machine: NDArray[np.intp]

    @classmethod
    def of(
        cls,
        named: Sequence[Sequence[Shifts]],
        log_seconds: Floats,
        machine: NDArray[np.intp],
    ) -> Design:
        """named: for each machine and term, by which parameters it is shifted and how far."""
        names = tuple(dict.fromkeys(name for terms in named for term in terms for name in term))
        number = {name: n for n, name in enumerate(names)}
        shifts = np.zeros((len(named), len(named[0]), len(names)))
        for at, terms in enumerate(named):
            for term, each in enumerate(terms):
                for name, by in each.items():
                    shifts[at, term, number[name]] = by
        return cls(names, shifts, log_seconds, machine)

    def predict(self, parameters: Shifts) -> Floats:
        """Log seconds of each row; a parameter that is absent is 0."""
        return self.terms(np.array([parameters.get(name, 0.0) for name in self.names]))[0]

    def terms(self, parameters: Floats) -> tuple[Floats, Floats]:
        """Log seconds of each row, and the share of each term in it: (terms, rows)."""
        terms = self.log_seconds + (self.shifts @ parameters)[self.machine].T
        total = logsumexp(terms, axis=0)
        return total, np.exp(terms - total)


def fit(
    design: Design,
    truth: Floats,
    weight: Floats,
    prior: Mapping[str, tuple[float, float]],
    *,
    departure_sd: float,
) -> dict[str, float]:
    """truth: log seconds of each row. weight: sums to 1.

    prior: mean and deviation of parameters; one that it does not name is a departure.
    """
    known = [prior.get(name, (0.0, departure_sd)) for name in design.names]
    mean, deviation = np.array(known).T
    root = np.sqrt(weight * min(WORTH_ROWS, len(truth))) / NOISE_SD

    def residual(parameters: Floats) -> Floats:
        misfit = design.terms(parameters)[0] - truth
        return np.concatenate([root * misfit, (parameters - mean) / deviation])

    def jacobian(parameters: Floats) -> Floats:
        shares = design.terms(parameters)[1]
        slope = np.einsum("kn,nkp->np", shares, design.shifts[design.machine])
        return np.vstack([root[:, None] * slope, np.diag(1 / deviation)])

    found = least_squares(residual, mean, jacobian, loss="soft_l1", max_nfev=100)
    return {
        name: round(float(value), DIGITS)
        for name, value in zip(design.names, found.x, strict=True)
    }


@dataclass(frozen=True)
class Forecast:
    """Of one group left out, row by row. error: ln(predicted / true) of the time."""

    group: str
    model: NDArray[np.str_]
    machine: NDArray[np.str_]
    error: Floats


def half_width(found: Sequence[Forecast]) -> float:
    """Of the log error, such that LEVEL of what another group would show lies within.

    Each machine counts alike. Few groups say little of the next one: the interval is as much wider
    as Student's is than the normal one (n - 1 degrees of freedom).
    """
    error = np.abs(np.concatenate([each.error for each in found]))
    order = np.argsort(error)
    weight = np.cumsum(alike(np.concatenate([each.machine for each in found]))[order])
    seen = float(np.interp(LEVEL, weight / weight[-1], error[order]))
    return seen * float(stdtrit(len(found) - 1, UPPER) / ndtri(UPPER))


def sd_of(half: float) -> float:
    """The normal deviation whose interval at LEVEL has this half-width."""
    return round(half / float(ndtri(UPPER)), DIGITS)


def alike(machine: NDArray[np.str_]) -> Floats:
    """Weights that sum to 1, and to as much for each machine."""
    kinds = pd.Series(machine)
    counts = kinds.map(kinds.value_counts()).to_numpy(dtype=np.float64)
    return np.asarray(1 / counts / kinds.nunique(), dtype=np.float64)
