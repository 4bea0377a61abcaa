"""From a few measured sizes of one server to every machine: capacity and latency, as draws.

Symbols
  X(v)  saturated throughput at v vCPUs of the source machine, by the Universal Scalability Law
  r     log of throughput per vCPU, target over source (speed prior)
  c     servers that work side by side; proportional to vCPUs
  S     service time, mean c / X

capacity = ρ* · X(v) · e^r, ρ* the largest utilisation at which the G/G/c sojourn quantile is within
the objective. Every draw holds one value of everything that is not known, the same for all machines,
so that differences between machines are not blurred by what they share.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from loadtests.queueing import latency_curve

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from loadtests.capacity import Capacity
    from loadtests.queueing import LatencyCurve
    from loadtests.slo import Slo
    from recommender.performance.scaling import UslDraws
    from recommender.performance.speed_prior import Machine, SpeedPrior

__all__ = ["Host", "MeasuredSize", "PerformanceModel", "Predictions"]

SERVER_GRID = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64)
DRAWS = 400
REPORTED = (0.5, 0.9, 0.95, 0.99)


@dataclass(frozen=True)
class MeasuredSize:
    """cpu_s_per_request, memory_peak_bytes: None where the target's use could not be seen."""

    vcpus: float
    capacity: Capacity
    cpu_s_per_request: float | None
    memory_peak_bytes: int | None
    setup_s: float | None


@dataclass(frozen=True, slots=True)
class Host:
    """A machine to predict for. speed_ratio: share of it that can be used for ever (burstable)."""

    machine: Machine
    speed_ratio: float = 1.0


@dataclass(frozen=True)
class Predictions:
    """Draws for some machines. saturation_rps, capacity_rps: shape (draws, machines), per replica.
    servers: shape (machines,).
    """

    saturation_rps: NDArray[np.float64]
    capacity_rps: NDArray[np.float64]
    servers: NDArray[np.int64]


class PerformanceModel:
    """Fitted to the sizes measured on `source`.

    The largest whole size gives servers per vCPU and the shape of the service times; all sizes give
    the scaling. Raises ValueError without any size.
    """

    def __init__(
        self, sizes: Sequence[MeasuredSize], source: Machine, prior: SpeedPrior, *, seed: int = 1
    ) -> None:
        if not sizes:
            raise ValueError("a performance model needs at least one measured size")
        self.sizes = tuple(sorted(sizes, key=lambda size: size.vcpus))
        self.source, self.prior, self.seed = source, prior, seed

    @cached_property
    def reference(self) -> MeasuredSize:
        """The size whose service times stand for the server: the smallest with a whole vCPU."""
        whole = [size for size in self.sizes if size.vcpus >= 1]
        return whole[0] if whole else self.sizes[-1]

    @cached_property
    def scaling(self) -> UslDraws:
        models = [size.capacity.model for size in self.sizes]
        return self.prior.scaling.posterior_draws(
            [size.vcpus for size in self.sizes],
            [model.saturation_rps for model in models],
            [model.saturation_error for model in models],
            DRAWS,
            self._rng(1),
        )

    @cached_property
    def unit_service(self) -> NDArray[np.float64]:
        """Service times over their mean, shape (n,)."""
        service = self.reference.capacity.model.service_s
        return np.asarray(service / service.mean())

    @cached_property
    def servers_per_vcpu(self) -> float:
        """1 per vCPU for a server with a worker for each; less for one that cannot use them all."""
        largest = self.sizes[-1]
        return largest.capacity.model.servers / max(largest.vcpus, 1.0)

    def servers_at(self, vcpus: NDArray[np.float64]) -> NDArray[np.int64]:
        wanted = np.maximum(np.round(self.servers_per_vcpu * vcpus), 1)
        grid = np.array(SERVER_GRID)
        return np.asarray(
            grid[np.searchsorted(grid, np.minimum(wanted, grid[-1]), side="right") - 1]
        )

    def curves(
        self, servers: Sequence[int], quantiles: tuple[float, ...]
    ) -> dict[int, LatencyCurve]:
        wanted = tuple(sorted({*quantiles, *REPORTED}))
        return {
            count: latency_curve(
                self.unit_service,
                count,
                wanted,
                seed=self.seed,
                customers=2500 + 60 * count,
                replications=4,
            )
            for count in sorted(set(servers))
        }

    def speed_ratios(self, machines: Sequence[Machine]) -> NDArray[np.float64]:
        """e^r, throughput per vCPU of each machine over the source's; shape (draws, machines)."""
        return np.exp(self.prior.draw_log_ratio(self.source, machines, DRAWS, self._rng(2)))

    def predict(
        self, hosts: Sequence[Host], slo: Slo, curves: dict[int, LatencyCurve]
    ) -> Predictions:
        vcpus = np.array([host.machine.vcpus for host in hosts])
        usable = np.array([host.speed_ratio for host in hosts])
        at_source = self.scaling.throughput(vcpus, beyond="replicas")
        saturation = at_source * self.speed_ratios([host.machine for host in hosts]) * usable
        servers = self.servers_at(vcpus)
        capacity = np.empty_like(saturation)
        for count in np.unique(servers):
            columns = servers == count
            allowed = self._allowed(saturation[:, columns], curves[int(count)], slo)
            capacity[:, columns] = allowed * saturation[:, columns]
        return Predictions(saturation, capacity, servers)

    def _allowed(
        self, saturation_rps: NDArray[np.float64], curve: LatencyCurve, slo: Slo
    ) -> NDArray[np.float64]:
        """ρ*, same shape; 0 where one request alone takes too long."""
        mean_s = curve.servers / saturation_rps
        allowed = np.full_like(saturation_rps, np.inf)
        for objective in slo.latency:
            column = curve.quantiles.index(objective.quantile)
            rising = curve.sojourns[:, column, :].mean(axis=0)
            limits = objective.limit_s / mean_s
            found = np.interp(limits, rising, curve.utilizations)
            allowed = np.minimum(allowed, np.where(limits < rising[0], 0.0, found))
        return allowed

    def latency_draws(
        self, predictions: Predictions, column: int, rate_rps: float, curve: LatencyCurve
    ) -> dict[float, NDArray[np.float64]]:
        """Sojourn quantiles on machine `column` at `rate_rps` a replica; each of shape (draws,)."""
        saturation = predictions.saturation_rps[:, column]
        mean_s = curve.servers / saturation
        return {
            quantile: curve.at(rate_rps / saturation, quantile) * mean_s
            for quantile in curve.quantiles
        }

    def single_request_s(self) -> NDArray[np.float64]:
        """Service times of one request alone at the reference size, on the source; shape (n,)."""
        return self.reference.capacity.model.service_s

    def memory_bytes(self, vcpus: float) -> float | None:
        """Peak memory at a size: a straight line through what was measured, never falling; with one
        size, as if all of it grew with the vCPUs (one more worker for each).
        """
        seen = [
            (s.vcpus, s.memory_peak_bytes) for s in self.sizes if s.memory_peak_bytes is not None
        ]
        if not seen:
            return None
        low_v, low_b = seen[0]
        high_v, high_b = seen[-1]
        if high_v == low_v:
            return low_b * max(vcpus / low_v, 1.0)
        slope = max((high_b - low_b) / (high_v - low_v), 0.0)
        return max(high_b + slope * (vcpus - high_v), low_b)

    def _rng(self, stream: int) -> np.random.Generator:
        return np.random.default_rng(np.random.SeedSequence([self.seed, stream]))
