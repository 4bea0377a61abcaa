"""What serving costs on a machine of some throughput: what a choice is made by."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.special import ndtri

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

__all__ = ["ServingCost", "normal_nodes"]

NODES = 32


def normal_nodes(count: int) -> Floats:
    """Standard normal values, each as likely as the others: the middles of equal shares."""
    return np.asarray(ndtri((np.arange(count) + 0.5) / count), dtype=np.float64)


@dataclass(frozen=True, slots=True)
class ServingCost:
    """usd_per_hour: (options,), of one machine.

    demand: to be served by a fleet of whole machines, in the unit of throughput; None: by the
    dollar, as where a fleet is large or grows with its traffic.
    """

    usd_per_hour: Floats
    demand: float | None = None

    def of(self, log_throughput: Floats) -> Floats:
        """USD an hour of the fleet, or USD for a unit of throughput an hour; (..., options)."""
        if self.demand is None:
            return np.asarray(self.usd_per_hour * np.exp(-log_throughput), dtype=np.float64)
        return self._fleet(self.demand * np.exp(-log_throughput))

    def expected(self, mean: Floats, sd: Floats) -> Floats:
        """Of log throughputs that are normal; (..., options)."""
        if self.demand is None:
            return self.of(mean - sd**2 / 2)
        machines = self.demand * np.exp(-mean)
        total = np.zeros(np.broadcast_shapes(mean.shape, sd.shape))
        for node in normal_nodes(NODES):
            total += self._fleet(machines * np.exp(sd * node))
        return total / NODES

    def _fleet(self, machines: Floats) -> Floats:
        whole = np.maximum(np.ceil(machines), 1.0)
        return np.asarray(self.usd_per_hour * whole, dtype=np.float64)
