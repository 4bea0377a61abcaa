"""How many CPU-seconds forward passes take: what a measurement on a CPU says of a request's work.

An additive roofline as on GPUs, of CPU-seconds: t = a B n + c 2 N m n + b L n + d attention, with
silicon departing from the common coefficients. Fitted to machines of a few vCPUs, where a local
measurement is made.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.special import logsumexp

from recommender.performance.accelerators.terms import Regime  # noqa: TC001 - pydantic reads it

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from recommender.performance.accelerators.terms import Passes

    Floats = NDArray[np.float64]

__all__ = ["CPU_PRIOR", "CpuRoofline", "cpu_loadings", "cpu_log_seconds"]

# A core's order of magnitude; sets the scale of the coefficients.
BYTES_PER_S, FLOPS, LAYER_S = 5e9, 4e10, 1e-4
_NOTHING_S = 1e-15
_COMPONENTS = ("memory", "compute", "launch", "compute")
_TERMS = ("weights", "matrix", "layers", "attention")
CPU_PRIOR = dict.fromkeys(_TERMS, (0.0, 2.0))


def cpu_log_seconds(work: Passes) -> list[Floats]:
    """Of each term, with every coefficient 1."""
    seconds = (
        work.count * work.weight_bytes / BYTES_PER_S,
        work.flops / FLOPS,
        work.count * work.layers * LAYER_S,
        work.attention_flops / FLOPS,
    )
    return [np.log(np.maximum(each, _NOTHING_S)) for each in seconds]


def cpu_loadings(silicon: str | None) -> list[dict[str, float]]:
    """By which parameters each term is shifted."""
    return [
        {term: 1.0, f"{component}/{silicon}": 1.0}
        for term, component in zip(_TERMS, _COMPONENTS, strict=True)
    ]


@dataclass(frozen=True, slots=True, kw_only=True)
class CpuRoofline:
    """coefficients: logs, by name; one that is absent is 0.

    unseen_sd: of the log of a time here, and carried_sd: of the log of a GPU's time where the work
    was read off a time here; by regime, of a model that no fit has seen.
    """

    coefficients: dict[str, float]
    unseen_sd: dict[Regime, float]
    carried_sd: dict[Regime, float]

    def seconds(self, work: Passes, silicon: str | None) -> Floats:
        """CPU-seconds, of the shape that the work broadcasts to."""
        terms = np.stack(np.broadcast_arrays(*cpu_log_seconds(work)))
        scale = [
            np.exp(sum(self.coefficients.get(name, 0.0) * by for name, by in each.items()))
            for each in cpu_loadings(silicon)
        ]
        shape = (-1, *(1,) * (terms.ndim - 1))
        together = logsumexp(terms, axis=0, b=np.array(scale).reshape(shape))
        return np.asarray(np.exp(together), dtype=np.float64)
