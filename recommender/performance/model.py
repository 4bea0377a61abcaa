"""From a few measured sizes of one server to every machine: capacity and latency, as draws.

Symbols
  X(v)  saturated throughput at v vCPUs of the source machine, by the Universal Scalability Law
  S(v)  service time there: of one request alone, scaled to X(v) where it was measured
  d     what one request alone took longer than S: the way there and back, which holds no server
  r     log of throughput per vCPU, target over source (speed prior)
  f, u  computing share of S, use of the CPUs at saturation (service_demand)
  c     servers that work side by side: X S, by Little's law at saturation
  k     share of the capacity so modelled that open-loop runs found

With X' and S' being X(v) and S(v) carried over at speed e^r, which leaves what only waits as it
was, capacity = k a X' and latency = d + w(rate / (k X')) S': w is the sojourn quantile in mean
service times, a the largest utilisation at which that is within the objective. Every draw holds
one value of everything that is not known, the same for all machines, so that differences between
machines are not blurred by what they share.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Literal

import numpy as np

from loadtests.queueing import Queue, Quota, latency_curve
from loadtests.targets.control_groups import quota_us
from recommender.performance.service_demand import memory_traffic

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from loadtests.queueing import LatencyCurve
    from loadtests.slo import Slo
    from recommender.performance.measured_size import MeasuredSize
    from recommender.performance.scaling import UslDraws
    from recommender.performance.service_demand import ServiceDemand
    from recommender.performance.speed_prior import Machine, SpeedPrior

    Floats = NDArray[np.float64]

__all__ = ["DRAWS", "Host", "PerformanceModel", "Prediction"]

DRAWS = 400
REPORTED = (0.5, 0.9, 0.95, 0.99)
# At 80 % load and 3,000 customers 16 replications are within 5 % of M/M/c; the more servers there
# are, the sooner a queue forgets, and the dearer it is to simulate.
CUSTOMERS, REPLICATIONS, FEW_SERVERS = 3000, 16, 4
MOST_BURSTY = 8.0  # times as many customers: a queue of bursts forgets later
# Between two of these the smaller one is used: at one utilisation fewer servers queue more.
SERVER_GRID = (1, 2, 3, 4, 6, 8, 16, 32, 64)


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
    delay_s: float
    curve: LatencyCurve

    def latency_s(self, rate_rps: float) -> dict[float, Floats]:
        """Sojourn quantiles at a rate; infinite in draws where it saturates the machine."""
        utilization = rate_rps / (self.saturation_rps * self.queueing_ratio)
        return {
            quantile: self.delay_s + self.curve.at(utilization, quantile) * self.service_mean_s
            for quantile in self.curve.quantiles
        }

    def idle_latency_s(self, quantile: float) -> Floats:
        """At the lowest utilisation simulated: as near as this machine comes."""
        return self.delay_s + self.curve.at(np.zeros(1), quantile) * self.service_mean_s


class PerformanceModel:
    """Fitted to the sizes measured on `source`. Raises ValueError without any size.

    arrivals_cv: of the demand's gaps between requests; what was measured was Poisson. likely: what
    the source may be, with probabilities, where that is not sure.
    """

    def __init__(
        self,
        sizes: Sequence[MeasuredSize],
        source: Machine,
        prior: SpeedPrior,
        *,
        arrivals_cv: float = 1.0,
        likely: Sequence[tuple[Machine, float]] = (),
        seed: int = 1,
    ) -> None:
        if not sizes:
            raise ValueError("a performance model needs at least one measured size")
        self.sizes = tuple(sorted(sizes, key=lambda size: size.vcpus))
        self.source, self.prior, self.seed = source, prior, seed
        self.arrivals_cv, self.likely = arrivals_cv, tuple(likely) or ((source, 1.0),)
        self._simulated: dict[tuple[Queue, tuple[float, ...]], LatencyCurve] = {}

    @property
    def largest(self) -> MeasuredSize:
        return self.sizes[-1]

    @cached_property
    def reference(self) -> MeasuredSize:
        """The size whose service times give their shape: the smallest with a whole vCPU."""
        whole = [size for size in self.sizes if size.vcpus >= 1]
        return whole[0] if whole else self.largest

    @cached_property
    def demand(self) -> ServiceDemand:
        return self.reference.demand

    @cached_property
    def memory_traffic(self) -> Literal["light", "shared", "heavy", "unknown"]:
        seen = [
            (s.vcpus, s.cpu_s_per_request) for s in self.sizes if s.cpu_s_per_request is not None
        ]
        return memory_traffic([v for v, _ in seen], [cpu_s for _, cpu_s in seen])

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
        """Service times over their mean, shape (n,), without the way there and back."""
        size = self.reference
        service = size.capacity.model.service_s
        if size.delay_s > 0:
            as_seen = service * (1 + size.delay_s / service.mean())
            service = np.maximum(as_seen - size.delay_s, as_seen.min() / 10)
        return np.asarray(service / service.mean())

    def service_mean_s(self, vcpus: float) -> float:
        """S on the source.

        Between measured sizes along a straight line and beyond them as at the nearest, since a
        request gets no faster because more of its kind fit beside it. Nowhere less than its
        CPU-seconds spread over every vCPU. Below one vCPU under a load that uses up the quota,
        which stretches computing and not waiting.
        """
        if vcpus < 1:
            return self.service_mean_s(1.0) * float(self.demand.time_ratio(vcpus))
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
        rng, shares = self._rng(2), np.array([share for _, share in self.likely])
        counts = np.diff(np.round(np.cumsum(shares) * DRAWS), prepend=0).astype(int)
        drawn = [
            self.prior.draw_log_ratio(source, machines, count, rng)
            for (source, _), count in zip(self.likely, counts, strict=True)
        ]
        return np.exp(np.concatenate(drawn))

    def predict(self, hosts: Sequence[Host], speed_ratios: Floats, slo: Slo) -> list[Prediction]:
        """speed_ratios: of the hosts' machines, shape (draws, hosts)."""
        if not hosts:
            return []
        at_source = self._throughput_at_source(hosts)
        queues = [self._queue_at(host, at_source[:, n]) for n, host in enumerate(hosts)]
        as_measured = {_queue_of(host.measured or self.largest) for host in hosts}
        curves = self._curves({*queues, *as_measured}, slo)
        return [
            self._prediction(host, (at_source[:, n], speed_ratios[:, n]), (curves, queue), slo)
            for n, (host, queue) in enumerate(zip(hosts, queues, strict=True))
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

    def _throughput_at_source(self, hosts: Sequence[Host]) -> Floats:
        """X at each host's size, shape (draws, hosts)."""
        vcpus = np.array([host.machine.vcpus for host in hosts])
        whole = self.scaling.throughput(np.maximum(vcpus, 1.0), beyond="replicas")
        quotas = [self.demand.quota_ratio(min(v, 1.0)) for v in vcpus]
        return np.asarray(whole * np.array(quotas))

    def _prediction(
        self,
        host: Host,
        carried: tuple[Floats, Floats],
        queueing: tuple[dict[Queue, LatencyCurve], Queue],
        slo: Slo,
    ) -> Prediction:
        """carried: throughput on the source at the host's size, and the host's speed ratio."""
        at_source, speed = carried
        curves, queue = queueing
        if host.measured is None:
            saturation = at_source * self.demand.throughput_ratio(speed)
            # Below one vCPU at full speed: what its quota costs is in the curve.
            at_full_speed_s = self.service_mean_s(max(host.machine.vcpus, 1.0))
            mean_s = at_full_speed_s * self.demand.time_ratio(speed)
            size = self.largest
        else:
            size = host.measured
            saturation, mean_s = self._measured_draws(size)
        found = self._queueing_ratio(size, curves[_queue_of(size)], slo)
        curve, delay_s = curves[queue], size.delay_s
        allowed = largest_utilization(curve, mean_s, delay_s, slo)
        allowed = np.minimum(allowed * found, host.sustained_ratio)
        return Prediction(
            saturation, allowed * saturation, mean_s, found, host.sustained_ratio, delay_s, curve
        )

    def _measured_draws(self, size: MeasuredSize) -> tuple[Floats, Floats]:
        spread = self._rng(3).standard_normal(DRAWS) * size.capacity.model.saturation_error
        return size.saturation_rps * np.exp(spread), np.full(DRAWS, size.service_mean_s)

    def _queue_at(self, host: Host, at_source: Floats) -> Queue:
        if host.measured is not None:
            return Queue(_queue_of(host.measured).servers, self.arrivals_cv)
        vcpus = host.machine.vcpus
        quota = self.demand.quota_ratio(min(vcpus, 1.0))
        if quota < 1:
            period_s = quota_us(vcpus)[1] / 1e6
            period = period_s / self.service_mean_s(1.0)
            return Queue(1, self.arrivals_cv, Quota(quota, period))
        servers = _on_grid(float(np.median(at_source)) * self.service_mean_s(vcpus))
        return Queue(servers, self.arrivals_cv)

    def _queueing_ratio(self, size: MeasuredSize, curve: LatencyCurve, slo: Slo) -> Floats:
        """k: below 1 where open-loop runs missed the SLO at what the model thought would do."""
        capacity, model = size.capacity, size.capacity.model
        mean_s = np.array([model.mean_s])
        allowed = float(largest_utilization(curve, mean_s, size.delay_s, slo)[0])
        boundary = allowed * model.saturation_rps
        if capacity.basis != "bisected" or boundary <= 0:
            return np.ones(DRAWS)
        if capacity.low_rps <= 0:  # nothing met it: all that is known is where it was missed
            return np.full(DRAWS, min(capacity.high_rps / boundary, 1.0))
        between = self._rng(4).uniform(capacity.low_rps, capacity.high_rps, DRAWS)
        return np.minimum(between / boundary, 1.0)

    def _curves(self, queues: set[Queue], slo: Slo) -> dict[Queue, LatencyCurve]:
        """Each is simulated once for a model: it depends on what was measured alone."""
        wanted = tuple(sorted({*(each.quantile for each in slo.latency), *REPORTED}))
        for queue in queues:
            if (queue, wanted) not in self._simulated:
                self._simulated[queue, wanted] = latency_curve(
                    self.unit_service,
                    queue,
                    wanted,
                    seed=self.seed,
                    customers=round(
                        CUSTOMERS * min(max(queue.arrivals_cv, 1.0) ** 2, MOST_BURSTY)
                    ),
                    replications=REPLICATIONS
                    if queue.servers <= FEW_SERVERS
                    else REPLICATIONS // 2,
                )
        return {queue: self._simulated[queue, wanted] for queue in queues}

    def _rng(self, stream: int) -> np.random.Generator:
        return np.random.default_rng(np.random.SeedSequence([self.seed, stream]))


def largest_utilization(
    curve: LatencyCurve, service_mean_s: Floats, delay_s: float, slo: Slo
) -> Floats:
    """a, of the shape of service_mean_s; 0 where not even an idle server meets the SLO."""
    allowed = np.full_like(service_mean_s, curve.utilizations[-1])
    for objective in slo.latency:
        rising = curve.mean_sojourns[objective.quantile]
        limits = (objective.limit_s - delay_s) / service_mean_s
        found = np.interp(limits, rising, curve.utilizations)
        allowed = np.minimum(allowed, np.where(limits < rising[0], 0.0, found))
    return allowed


def _queue_of(size: MeasuredSize) -> Queue:
    """As it was measured: Poisson arrivals."""
    return Queue(_on_grid(size.capacity.model.servers))


def _on_grid(servers: float) -> int:
    """The next grid point below the nearest whole number."""
    return max((each for each in SERVER_GRID if each <= round(servers)), default=1)
