"""What one request asks of a machine: how long it computes, how long it only waits.

Symbols
  S  service time of a request alone, wall-clock       D  CPU-seconds of a request
  X  throughput at saturation                          v  vCPUs
  f  D / S, at most 1: the computing share of S        u  X D / v, at most 1: the CPUs' busy share

On CPUs r times as fast a request takes S (f/r + 1 - f): what waits for a timer, a disk or another
service waits as long as before. Throughput is bounded by the CPUs, at X r/u, and where they had
time to spare (u < 1) by the requests that the server takes on at once, X S of them by Little's
law: at X / (f/r + 1 - f). (Asymptotic bounds: Denning & Buzen 1978, The Operational Analysis of
Queueing Network Models.)
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Self

import numpy as np
from scipy.optimize import nnls

from recommender.errors import OutOfRange

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import ArrayLike, NDArray

    Floats = NDArray[np.float64]

__all__ = ["ServiceDemand", "ServiceMix", "WorkPerItem", "fit_work", "memory_traffic"]

BUSY = 0.85
"""Measured use of the CPUs from which they count as all used.

The kernel works for a server's connections outside its account, and a closed loop leaves gaps.
"""
_HEAVIER, _LIGHT = 1.15, 1.05
_SIZES_FOR_A_LINE = 2


@dataclass(frozen=True, slots=True)
class ServiceDemand:
    """computing_ratio: f. busy_ratio: u. Both 1 where the server's CPU use could not be seen."""

    computing_ratio: float = 1.0
    busy_ratio: float = 1.0

    @classmethod
    def of(
        cls, *, vcpus: float, saturation_rps: float, service_mean_s: float, cpu_s: float | None
    ) -> Self:
        """Of one measured size, with its cores to itself."""
        if cpu_s is None:
            return cls()
        return cls(
            computing_ratio=min(cpu_s / service_mean_s / BUSY, 1.0),
            busy_ratio=min(saturation_rps * cpu_s / vcpus / BUSY, 1.0),
        )

    @property
    def bound_by(self) -> Literal["CPU", "waiting"]:
        """What a faster machine would have to shorten."""
        is_waiting = self.busy_ratio < 1 and self.computing_ratio < 1
        return "waiting" if is_waiting else "CPU"

    def time_ratio(self, speed: ArrayLike) -> Floats:
        """Service time over S, on CPUs `speed` times as fast."""
        return np.asarray(self.computing_ratio / np.asarray(speed) + 1 - self.computing_ratio)

    def throughput_ratio(self, speed: ArrayLike) -> Floats:
        """Throughput over X, on as many CPUs `speed` times as fast."""
        by_cpus = np.asarray(speed) / self.busy_ratio
        if self.busy_ratio >= 1:
            return by_cpus
        return np.minimum(by_cpus, 1 / self.time_ratio(speed))

    def quota_ratio(self, share: float) -> float:
        """Throughput over X on `share` of the CPUs' time: none is lost that was not used."""
        return min(share / self.busy_ratio, 1.0)


@dataclass(frozen=True, slots=True)
class WorkPerItem:
    """seconds = fixed_s + per_item_s x items; errors: relative, of each seen time about it."""

    fixed_s: float
    per_item_s: float
    errors: tuple[float, ...]
    most_items: float

    def seconds(self, items: float) -> float:
        """Raises OutOfRange past twice what was measured."""
        if items > 2 * self.most_items:
            raise OutOfRange(
                f"asked for the time of {items:g} items; the most measured is "
                f"{self.most_items:g}, and a line is not drawn past twice that",
                hint="measure a request as large as that",
            )
        return self.fixed_s + self.per_item_s * items


def fit_work(items: Sequence[float], seconds: Sequence[float]) -> WorkPerItem:
    """Overhead of a request and work of each item in it; neither negative, relative squares least.

    items: rows, tokens, pixels or bytes, of two sizes or more.
    """
    x, y = np.asarray(items, dtype=np.float64), np.asarray(seconds, dtype=np.float64)
    if len(np.unique(x)) < _SIZES_FOR_A_LINE:
        raise OutOfRange(
            f"overhead and work were to be told apart from requests of one size, {x.tolist()}",
            hint="measure requests of at least two sizes",
        )
    (fixed, per_item), _ = nnls(np.column_stack([1 / y, x / y]), np.ones_like(y))
    errors = tuple(float(each) for each in (fixed + per_item * x) / y - 1)
    return WorkPerItem(float(fixed), float(per_item), errors, float(x.max()))


@dataclass(frozen=True)
class ServiceMix:
    """Service times of one request alone, by what it asked: payload number to shape (n,)."""

    times_s: Mapping[int, Floats]

    @classmethod
    def of(cls, payloads: NDArray[np.uint16], times_s: Floats) -> Self:
        return cls({int(each): times_s[payloads == each] for each in np.unique(payloads)})

    def mean_s(self, weights: Mapping[int, float]) -> float:
        shares = self._shares(weights)
        return sum(share * float(self.times_s[each].mean()) for each, share in shares.items())

    def under(self, weights: Mapping[int, float], count: int = 4000) -> Floats:
        """Quantiles of the times under another mix, evenly spaced, shape (about count,)."""
        parts = [
            np.quantile(self.times_s[each], (np.arange(n) + 0.5) / n)
            for each, share in self._shares(weights).items()
            if (n := round(count * share)) > 0
        ]
        return np.concatenate(parts)

    def _shares(self, weights: Mapping[int, float]) -> dict[int, float]:
        unseen = sorted(set(weights) - set(self.times_s))
        if unseen:
            raise OutOfRange(
                f"payloads {unseen} are in the mix asked for, and were never measured",
                hint="measure each payload at least once, or fit its size: fit_work",
            )
        total = sum(weights.values())
        return {each: weight / total for each, weight in weights.items()}


def memory_traffic(
    vcpus: Sequence[float], cpu_s_per_request: Sequence[float]
) -> Literal["light", "shared", "heavy", "unknown"]:
    """Do workers side by side slow each other down, by what each request costs in CPU-seconds?

    A core that waits for memory counts as busy, so CPU-seconds grow with the traffic beside it.
    Hardware threads that share a core show the same. unknown: fewer than two whole sizes.
    """
    seen = sorted(
        (v, cpu) for v, cpu in zip(vcpus, cpu_s_per_request, strict=True) if v >= 1 and cpu > 0
    )
    if len({v for v, _ in seen}) < _SIZES_FOR_A_LINE:
        return "unknown"
    growth = (seen[-1][1] / seen[0][1]) ** (1 / np.log2(seen[-1][0] / seen[0][0]))
    if growth >= _HEAVIER:
        return "heavy"
    return "light" if growth < _LIGHT else "shared"
