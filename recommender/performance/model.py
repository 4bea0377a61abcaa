"""From a few measured sizes of one server to every machine: capacity and latency, as draws.

Symbols
  X(v)  saturated throughput at v vCPUs of the source machine, by the Universal Scalability Law
  S(v)  service time there: of one request alone, scaled to X(v) where it was measured
  r     log of throughput per vCPU, target over source (speed prior)
  c     servers that work side by side: X S, by Little's law at saturation
  ρ*    largest utilisation at which the G/G/c sojourn quantile is within the objective
  k     share of the capacity so modelled that open-loop runs found

capacity = k ρ* X(v) e^r and latency = w(rate / (k X e^r)) S(v) e^-r, with w the sojourn quantile in
mean service times. Every draw holds one value of everything that is not known, the same for all
machines, so that differences between machines are not blurred by what they share.
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

    Floats = NDArray[np.float64]

__all__ = ["DRAWS", "Host", "MeasuredSize", "PerformanceModel", "Prediction"]

DRAWS = 400
REPORTED = (0.5, 0.9, 0.95, 0.99)
# Between two of these the smaller one's curve is used: at one utilisation fewer servers queue more.
SERVER_GRID = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64)


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
    """A machine to predict for.

    sustained_ratio: share of its throughput that can be used for ever (burstable machines).
    measured: the size measured on this very machine; it takes the place of what would be carried
    over.
    """

    machine: Machine
    sustained_ratio: float = 1.0
    measured: MeasuredSize | None = None


@dataclass(frozen=True)
class Prediction:
    """Of one replica on one machine; each array of shape (draws,).

    saturation_rps: with every vCPU busy, bursts included. capacity_rps: at the SLO, for ever; 0
    where not even an idle machine meets it.
    """

    saturation_rps: Floats
    capacity_rps: Floats
    service_mean_s: Floats
    queueing_ratio: Floats
    sustained_ratio: float
    curve: LatencyCurve

    def latency_s(self, rate_rps: float) -> dict[float, Floats]:
        """Sojourn quantiles at a rate; infinite in draws where it saturates the machine."""
        utilization = rate_rps / (self.saturation_rps * self.queueing_ratio)
        return {
            quantile: self.curve.at(utilization, quantile) * self.service_mean_s
            for quantile in self.curve.quantiles
        }

    def idle_latency_s(self, quantile: float) -> Floats:
        """At the lowest utilisation simulated: as near as this machine comes."""
        return self.curve.at(np.zeros(1), quantile) * self.service_mean_s


class PerformanceModel:
    """Fitted to the sizes measured on `source`. Raises ValueError without any size."""

    def __init__(
        self, sizes: Sequence[MeasuredSize], source: Machine, prior: SpeedPrior, *, seed: int = 1
    ) -> None:
        if not sizes:
            raise ValueError("a performance model needs at least one measured size")
        self.sizes = tuple(sorted(sizes, key=lambda size: size.vcpus))
        self.source, self.prior, self.seed = source, prior, seed

    @property
    def largest(self) -> MeasuredSize:
        return self.sizes[-1]

    @cached_property
    def reference(self) -> MeasuredSize:
        """The size whose service times give their shape: the smallest with a whole vCPU."""
        whole = [size for size in self.sizes if size.vcpus >= 1]
        return whole[0] if whole else self.largest

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
    def unit_service(self) -> Floats:
        """Service times over their mean, shape (n,)."""
        service = self.reference.capacity.model.service_s
        return np.asarray(service / service.mean())

    def service_mean_s(self, vcpus: float) -> float:
        """S on the source.

        Between measured sizes along a straight line and outside them as at the nearest: a request
        does not get faster because more of its kind fit beside it. Nowhere less than its CPU-seconds
        spread over every vCPU; below one vCPU in proportion.
        """
        if vcpus < 1:
            return self.service_mean_s(1.0) / vcpus
        # A size below one vCPU stands for a whole one that is idle for the rest of the time.
        seen = {max(size.vcpus, 1.0): size.capacity.model.mean_s * min(size.vcpus, 1.0) for size in self.sizes}  # fmt: skip
        at_nearest = float(np.interp(vcpus, list(seen), list(seen.values())))
        cpu_s = self.reference.cpu_s_per_request
        return at_nearest if cpu_s is None else max(at_nearest, cpu_s / vcpus)

    def speed_ratios(self, machines: Sequence[Machine]) -> Floats:
        """e^r, throughput per vCPU of each machine over the source's; shape (draws, machines).

        Draws are shared among the machines of one call, not between calls.
        """
        return np.exp(self.prior.draw_log_ratio(self.source, machines, DRAWS, self._rng(2)))

    def predict(self, hosts: Sequence[Host], speed_ratios: Floats, slo: Slo) -> list[Prediction]:
        """speed_ratios: of the hosts' machines, shape (draws, hosts)."""
        if not hosts:
            return []
        vcpus = np.array([host.machine.vcpus for host in hosts])
        at_source = self.scaling.throughput(vcpus, beyond="replicas")
        servers = [self._servers(host, at_source[:, n]) for n, host in enumerate(hosts)]
        curves = self._curves({*servers, self._servers_of(self.largest)}, slo)
        ratio = self._queueing_ratio(curves[self._servers_of(self.largest)], slo)
        return [
            self._prediction(
                host, at_source[:, n] * speed_ratios[:, n], speed_ratios[:, n],
                curves[servers[n]], ratio, slo,
            )
            for n, host in enumerate(hosts)
        ]  # fmt: skip

    def memory_bytes(self, vcpus: float) -> float | None:
        """Peak memory at a size: a straight line through what was measured, never falling.

        With one size, as if all of it grew with the vCPUs (one more worker for each). None where no
        memory could be seen.
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
