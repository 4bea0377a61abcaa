"""Throughput of one workload on many machines: jointly log-normal, and what a measurement tells.

All in natural logs. A workload's own level is part of the covariance (a large constant), so one
measurement anywhere fixes it, and every other machine by as much as the two are alike.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.linalg import cho_factor, cho_solve
from scipy.special import ndtri

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

__all__ = ["LogNormalJoint"]


@dataclass(frozen=True)
class LogNormalJoint:
    """mean: (machines,). covariance: (machines, machines), without the error of measuring."""

    mean: Floats
    covariance: Floats

    @property
    def sd(self) -> Floats:
        return np.sqrt(np.maximum(np.diag(self.covariance), 0.0))

    def given(
        self, seen: NDArray[np.intp], log_values: Floats, error_sd: Floats | float
    ) -> LogNormalJoint:
        """After `log_values` were measured on machines `seen`, each with its standard error.

        A machine may be seen twice. Conditioning of a normal distribution (Rasmussen & Williams,
        Gaussian Processes for Machine Learning, eq. 2.23-2.24).
        """
        if len(seen) == 0:
            return self
        across = self.covariance[:, seen]
        noise = np.broadcast_to(np.asarray(error_sd, dtype=np.float64) ** 2, len(seen))
        factor = cho_factor(across[seen] + np.diag(noise))
        mean = self.mean + across @ cho_solve(factor, log_values - self.mean[seen])
        return LogNormalJoint(mean, self.covariance - across @ cho_solve(factor, across.T))

    def draw(self, draws: int, rng: np.random.Generator) -> Floats:
        """Equally likely log throughputs, shape (draws, machines)."""
        values, vectors = np.linalg.eigh(self.covariance)
        root = vectors * np.sqrt(np.maximum(values, 0.0))
        return np.asarray(self.mean + rng.standard_normal((draws, len(self.mean))) @ root.T)

    def interval(self, level: float = 0.8) -> tuple[Floats, Floats]:
        """(low, high) of throughput, not its log."""
        reach = float(ndtri((1 + level) / 2)) * self.sd
        return np.exp(self.mean - reach), np.exp(self.mean + reach)
