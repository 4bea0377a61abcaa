"""From a few measured sizes of one server to every machine: capacity and latency, as draws.

Symbols
  X(v)  saturated throughput at v vCPUs of the source machine, by the Universal Scalability Law
  S(v)  service time there: of one request alone, scaled to X(v) where it was measured
  r     log of throughput per vCPU, target over source (speed prior)
  c     servers that work side by side: X S, by Little's law at saturation
  u     largest utilisation at which the G/G/c sojourn quantile is within the objective
  k     share of the capacity so modelled that open-loop runs found

capacity = k u X(v) e^r and latency = w(rate / (k X e^r)) S(v) e^-r, with w the sojourn quantile
in mean service times. Every draw holds one value of everything that is not known, the same for all
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
# At 80 % load and 3,000 customers 16 replications are within 5 % of M/M/c; the more servers there
# are, the sooner a queue forgets, and the dearer it is to simulate.
CUSTOMERS, REPLICATIONS, FEW_SERVERS = 3000, 16, 4
# Between two of these the smaller one is used: at one utilisation fewer servers queue more.
SERVER_GRID = (1, 2, 3, 4, 6, 8, 16, 32, 64)


@dataclass(frozen=True)
class MeasuredSize:
    """cpu_s_per_request, memory_peak_bytes: None where the target's use could not be seen.

    available_ratio: share of its vCPUs that the load generator left it at saturation.
    """

    vcpus: float
    capacity: Capacity
    cpu_s_per_request: float | None
    memory_peak_bytes: int | None
    setup_s: float | None
    available_ratio: float = 1.0

    @property
    def saturation_rps(self) -> float:
        """With its cores to itself: what the generator took is given back."""
        return self.capacity.model.saturation_rps / self.available_ratio

    @property
    def service_mean_s(self) -> float:
        return self.capacity.model.mean_s * self.available_ratio


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
        return self.prior.scaling.posterior_draws(
            [size.vcpus for size in self.sizes],
            [size.saturation_rps for size in self.sizes],
            [size.capacity.model.saturation_error for size in self.sizes],
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

        Between measured sizes along a straight line and beyond them as at the nearest, since a
        request gets no faster because more of its kind fit beside it. Nowhere less than its
        CPU-seconds spread over every vCPU; below one vCPU in proportion.
        """
        if vcpus < 1:
            return self.service_mean_s(1.0) / vcpus
        # A size below one vCPU is a whole one that rests in between.
        means = {
            max(size.vcpus, 1.0): size.service_mean_s * min(size.vcpus, 1.0) for size in self.sizes
        }
        at_nearest = float(np.interp(vcpus, list(means), list(means.values())))
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
        servers = {self._servers_at(host, at_source[:, n]) for n, host in enumerate(hosts)}
        curves = self._curves({*servers, _servers_of(self.largest)}, slo)
        return [
            self._prediction(host, (at_source[:, n], speed_ratios[:, n]), curves, slo)
            for n, host in enumerate(hosts)
        ]

    def memory_bytes(self, vcpus: float) -> float | None:
        """Peak memory at a size: a straight line through what was measured, never falling.

        With one size, as if all of it grew with the vCPUs (one more worker for each). None where
        no memory could be seen.
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

    def _prediction(
        self, host: Host, carried: tuple[Floats, Floats], curves: dict[int, LatencyCurve], slo: Slo
    ) -> Prediction:
        """carried: throughput on the source at the host's size, and the host's speed ratio."""
        at_source, ratio = carried
        if host.measured is None:
            saturation, mean_s = at_source * ratio, self.service_mean_s(host.machine.vcpus) / ratio
            size = self.largest
        else:
            size = host.measured
            saturation, mean_s = self._measured_draws(size)
        found = self._queueing_ratio(size, curves[_servers_of(size)], slo)
        curve = curves[self._servers_at(host, at_source)]
        allowed = np.minimum(largest_utilization(curve, mean_s, slo) * found, host.sustained_ratio)
        return Prediction(
            saturation, allowed * saturation, mean_s, found, host.sustained_ratio, curve
        )

    def _measured_draws(self, size: MeasuredSize) -> tuple[Floats, Floats]:
        spread = self._rng(3).standard_normal(DRAWS) * size.capacity.model.saturation_error
        return size.saturation_rps * np.exp(spread), np.full(DRAWS, size.service_mean_s)

    def _servers_at(self, host: Host, at_source: Floats) -> int:
        if host.measured is not None:
            return _servers_of(host.measured)
        return _on_grid(float(np.median(at_source)) * self.service_mean_s(host.machine.vcpus))

    def _queueing_ratio(self, size: MeasuredSize, curve: LatencyCurve, slo: Slo) -> Floats:
        """k: below 1 where open-loop runs missed the SLO at what the model thought would do."""
        capacity, model = size.capacity, size.capacity.model
        boundary = float(
            largest_utilization(curve, np.array([model.mean_s]), slo)[0] * model.saturation_rps
        )
        if capacity.basis != "bisected" or boundary <= 0:
            return np.ones(DRAWS)
        if capacity.low_rps <= 0:  # nothing met it: all that is known is where it was missed
            return np.full(DRAWS, min(capacity.high_rps / boundary, 1.0))
        between = self._rng(4).uniform(capacity.low_rps, capacity.high_rps, DRAWS)
        return np.minimum(between / boundary, 1.0)

    def _curves(self, servers: set[int], slo: Slo) -> dict[int, LatencyCurve]:
        wanted = tuple(sorted({*(each.quantile for each in slo.latency), *REPORTED}))
        return {
            count: latency_curve(
                self.unit_service,
                count,
                wanted,
                seed=self.seed,
                customers=CUSTOMERS,
                replications=REPLICATIONS if count <= FEW_SERVERS else REPLICATIONS // 2,
            )
            for count in sorted(servers)
        }

    def _rng(self, stream: int) -> np.random.Generator:
        return np.random.default_rng(np.random.SeedSequence([self.seed, stream]))


def largest_utilization(curve: LatencyCurve, service_mean_s: Floats, slo: Slo) -> Floats:
    """u, of the shape of service_mean_s; 0 where not even an idle server meets the SLO."""
    allowed = np.full_like(service_mean_s, curve.utilizations[-1])
    for objective in slo.latency:
        column = curve.quantiles.index(objective.quantile)
        rising = curve.sojourns[:, column, :].mean(axis=0)
        limits = objective.limit_s / service_mean_s
        found = np.interp(limits, rising, curve.utilizations)
        allowed = np.minimum(allowed, np.where(limits < rising[0], 0.0, found))
    return allowed


def _servers_of(size: MeasuredSize) -> int:
    return _on_grid(size.capacity.model.servers)


def _on_grid(servers: float) -> int:
    """The next grid point below the nearest whole number."""
    return max((each for each in SERVER_GRID if each <= round(servers)), default=1)
