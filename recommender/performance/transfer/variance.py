"""How much each cause of differences matters: variance components by maximum a posteriori.

The log rates of one kind, less what the service law says, are normal with covariance

    sum over q, b of  v[q, b]  W_q (workloads) x M_b (machines)  +  own level  +  noise

and v is the same for all kinds: a fold may hold two workloads of a kind only, too few to tell by
themselves how workloads differ. Fitted by the MM algorithm for variance components (Zhou, Hu,
Qiao, Cho & Zhou 2019, J. Comput. Graph. Stat. 28), whose steps keep v positive and never
go downhill.

The prior: exponential on every v, so that what the data do not ask for fades; and a pull to a
small but positive value on what a workload unlike the known ones could depend on. Without it two
alike workloads would promise that the next one is like them.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from scipy import sparse
from scipy.linalg import cho_factor, cho_solve

from recommender.performance.transfer.kernels import EVERY_WORKLOAD, MACHINE_KERNELS, NEW_WORKLOAD

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from recommender.performance.transfer.catalogue import Indices

    Floats = NDArray[np.float64]

__all__ = ["OWN_LEVEL", "Components", "Residuals", "fit_components"]

OWN_LEVEL = 4.0
_STEPS = 20
_FADING = 4.0
_PULL, _PULLED_TO = 5.0, 0.03
_PULLED = (
    *("size", "size_curve", "architecture", "architecture_curve", "lineage", "threads"),
    *("silicon", "silicon_curve", "amx", "avx512", "i8mm"),
)
_PULLED_WORKLOADS = (EVERY_WORKLOAD, NEW_WORKLOAD)
_START, _START_NOISE = 0.2, 0.02


@dataclass(frozen=True)
class Residuals:
    """Of one kind. `machine` numbers the machines of the fit, `workload` rows of `alike`.

    `machines` counts the alike machines that a value is the middle of.
    """

    value: Floats
    machines: Floats
    workload: Indices
    machine: Indices
    alike: dict[str, Floats]

    def between(self, name: str) -> Floats:
        return self.alike[name][np.ix_(self.workload, self.workload)]


@dataclass(frozen=True)
class Components:
    """`of[q]` is the variance of each of MACHINE_KERNELS; `noise` one variance for each kind."""

    of: dict[str, Floats]
    noise: dict[str, float]


@dataclass
class _Step:
    """What one step needs from one kind: ratios of the MM update."""

    up: dict[str, Floats] = field(default_factory=dict)
    down: dict[str, Floats] = field(default_factory=dict)
    noise_ratio: float = 1.0


def fit_components(kinds: Mapping[str, Residuals], machine_kernels: Floats) -> Components:
    """machine_kernels: stacked as MACHINE_KERNELS, of the machines that `kinds` number."""
    names = sorted({name for residuals in kinds.values() for name in residuals.alike})
    count = len(MACHINE_KERNELS)
    of = {name: np.full(count, _START / len(names) / count) for name in names}
    noise = dict.fromkeys(kinds, _START_NOISE)
    pulled = np.isin(MACHINE_KERNELS, _PULLED).astype(np.float64)
    for _ in range(_STEPS):
        steps = {k: _step(kinds[k], machine_kernels, of, noise[k]) for k in kinds}
        for name in names:
            up = sum(step.up[name] for step in steps.values() if name in step.up)
            down = sum(step.down[name] for step in steps.values() if name in step.down)
            pull = _PULL * pulled * (name in _PULLED_WORKLOADS)
            old = of[name]
            raised = old**2 * np.maximum(up, 1e-12) + pull * _PULLED_TO
            of[name] = np.sqrt(raised / (down + 2 * _FADING + pull / np.maximum(old, 1e-9)))
        noise = {kind: noise[kind] * step.noise_ratio for kind, step in steps.items()}
    return Components(of, noise)


def _step(kind: Residuals, machine_kernels: Floats, of: dict[str, Floats], noise: float) -> _Step:
    used, at = np.unique(kind.machine, return_inverse=True)
    kernels = machine_kernels[:, used[:, None], used[None, :]]
    size = len(kind.value)
    covariance = np.diag(noise / kind.machines)
    covariance += OWN_LEVEL * (kind.workload[:, None] == kind.workload[None, :])
    for name in kind.alike:
        between = np.tensordot(of[name], kernels, 1)[np.ix_(at, at)]
        covariance += kind.between(name) * between
    inverse = cho_solve(cho_factor(covariance, lower=True), np.eye(size))
    weight = inverse @ kind.value
    gather = sparse.csr_matrix((np.ones(size), (np.arange(size), at)), shape=(size, len(used)))
    step = _Step()
    for name in kind.alike:
        alike = kind.between(name)
        fitted = np.outer(weight, weight) * alike
        step.up[name] = np.tensordot(kernels, _gathered(fitted, gather), 2)
        step.down[name] = np.tensordot(kernels, _gathered(inverse * alike, gather), 2)
    step.noise_ratio = float(
        np.sqrt((weight**2 @ (1 / kind.machines)) / (np.diag(inverse) @ (1 / kind.machines)))
    )
    return step


def _gathered(matrix: Floats, gather: sparse.csr_matrix) -> Floats:
    """Summed over the rates of each pair of machines."""
    return np.asarray(gather.T @ (gather.T @ matrix).T, dtype=np.float64)
