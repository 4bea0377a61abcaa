"""What a server measured at one vCPU should do in another case, for `prediction_check`."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Self

import numpy as np
from scipy.optimize import brentq

from loadtests.environment import capture_environment
from loadtests.modes.capacity import Capacity
from loadtests.modes.ladder import Evidence, ServiceModel, throughput_error
from loadtests.pace import middle_pace_s
from loadtests.slo import parse_slo
from loadtests.steps import ClosedStep
from recommender.machines import machine_here
from recommender.performance.measured_size import MeasuredSize
from recommender.performance.model import DRAWS, Host, PerformanceModel
from recommender.performance.service_demand import ServiceDemand, ServiceMix, fit_work

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from loadtests.probe import Measured
    from recommender.performance.model import Prediction
    from recommender.performance.speed_prior import SpeedPrior
    from recommender.prediction_cases import Case, Scene

    Floats = NDArray[np.float64]

__all__ = ["AT_A_TIME", "SLO", "UNLIMITED", "Asked", "Expected", "Met", "Reference"]

QUANTILE = 0.95
AT_A_TIME = 4  # requests for each server, in a closed loop that is to leave none of them idle
UNLIMITED = 10**6
SEED, REPLICATIONS = 20261121, 100
SLO = parse_slo("p95<3600s")  # it names the quantile; its limit decides nothing
STRETCHES = (0.9, 2.0)


@dataclass(frozen=True)
class Reference:
    """One vCPU, measured in closed loops, round after round.

    alone: one request at a time. full: as many as saturate it. Both are brought to one pace of the
    host, and count together.
    """

    scene: Scene
    alone: tuple[Measured, ...]
    full: tuple[Measured, ...]

    @cached_property
    def pace_s(self) -> float | None:
        """Of the host, in the middle of all runs; None is not known."""
        runs = (*self.alone, *self.full)
        return middle_pace_s(each.measurement.host_work_s for each in runs)

    @cached_property
    def alone_s(self) -> Floats:
        """Services of one request at a time, had the host kept that pace all along."""
        return np.concatenate([self._steadied(each) for each in self.alone])

    @cached_property
    def model(self) -> ServiceModel:
        """As a ladder's, but of the mean of all rounds, none of which was the best by luck."""
        full = [_closed(AT_A_TIME, each) for each in self.full]
        rates_rps = [each.measurement.throughput_rps * each.felt(self.pace_s) for each in full]
        error = float(np.mean([throughput_error(each) for each in full])) / math.sqrt(len(full))
        return ServiceModel.of(self.alone_s, float(np.mean(rates_rps)), error, self.pace_s)

    def _steadied(self, measured: Measured) -> Floats:
        samples = measured.samples
        slowness = _slowness(measured, samples.due_s[samples.is_success], self.pace_s)
        working = _closed(1, measured).working_ratio
        felt = ServiceDemand(working).time_ratio(1 / slowness.mean(axis=0))
        return samples.service_s / felt

    def size(self, mix: Mapping[int, float] | None) -> MeasuredSize:
        """As if measured under another mix, where one is named."""
        model, alone_s = self.model, self.alone_s
        usual = _size(model, alone_s, self._cpu_s)
        if mix is None:
            return usual
        other_s = self._times(usual.delay_s).under(mix)
        work = (other_s.mean() - usual.delay_s) / (alone_s.mean() - usual.delay_s)
        saturation_rps = model.saturation_rps / work
        service_s = other_s * (model.servers / (saturation_rps * other_s.mean()))
        cpu_s = usual.cpu_s_per_request
        return _size(
            replace(model, service_s=service_s, saturation_rps=saturation_rps),
            other_s,
            None if cpu_s is None else cpu_s * work,
        )

    def unit_services(self, mix: Mapping[int, float] | None) -> tuple[Floats, ...]:
        """Of each payload of the mix, in its order, over the mean of all; without the delay."""
        mix, delay_s = mix or self.scene.mix, self.size(None).delay_s
        times = self._times(delay_s)
        mean_s = times.mean_s(mix) - delay_s
        return tuple(
            np.maximum(times.times_s[each] - delay_s, 0.0) / mean_s for each in sorted(mix)
        )

    @property
    def _cpu_s(self) -> float | None:
        """Of one request; None where it was not seen in every round."""
        used_s = [
            cpu_s / each.measurement.slowness(self.pace_s)
            for each in self.full
            if (cpu_s := each.measurement.cpu_s_per_request) is not None
        ]
        return float(np.mean(used_s)) if len(used_s) == len(self.full) else None

    def _times(self, delay_s: float) -> ServiceMix:
        """Of every payload of the scene; those never sent by overhead and work of each row."""
        sent = sorted(self.scene.mix)
        samples = [each.samples for each in self.alone]
        payloads = [each.records["payload"][each.is_success] for each in samples]
        by_place = ServiceMix.of(np.concatenate(payloads), self.alone_s)
        seen = {sent[place]: times_s for place, times_s in by_place.times_s.items()}
        rows = [self.scene.rows[each] for each in seen]
        line = fit_work(rows, [float(times_s.mean()) - delay_s for times_s in seen.values()])
        times = dict(seen)
        for number, count in enumerate(self.scene.rows):
            if number not in seen:
                nearest = min(seen, key=lambda each: abs(math.log(self.scene.rows[each] / count)))
                unit = seen[nearest] / seen[nearest].mean()
                times[number] = unit * (line.seconds(count) + delay_s)
        return ServiceMix(times)


def _closed(concurrency: int, measured: Measured) -> Evidence:
    duration_s = measured.measurement.load.duration_s
    return measured.as_evidence(ClosedStep(concurrency, UNLIMITED, duration_s))


def _size(model: ServiceModel, alone_s: Floats, cpu_s: float | None) -> MeasuredSize:
    rate_rps = model.saturation_rps
    best_s = float(np.quantile(alone_s, QUANTILE))
    capacity = Capacity(rate_rps, rate_rps, rate_rps, "model", model, best_s)
    return MeasuredSize(1.0, capacity, cpu_s, None, None, alone_mean_s=float(alone_s.mean()))


def _slowness(measured: Measured, times_s: Floats, pace_s: float | None) -> Floats:
    """Of each core of the target at these instants, shape (cores, n).

    CPU-seconds of the same work over pace_s.
    """
    if measured.pace is None or pace_s is None:
        return np.ones((1, len(times_s)))
    return measured.pace.at(times_s) / pace_s


@dataclass(frozen=True, slots=True)
class Met:
    """What a server met during a run that is none of its own doing.

    available: the share of its CPUs that was its own. slowness: CPU-seconds of the same work over
    what they were for the reference.
    """

    available: float = 1.0
    slowness: float = 1.0

    @classmethod
    def of(cls, measured: Measured, pace_s: float | None, available: float = 1.0) -> Self:
        return cls(available, measured.measurement.slowness(pace_s))


@dataclass(frozen=True, slots=True)
class Asked:
    """Requests of one run of load, and how they fared.

    payloads: of the mix, by their places in it. slowness: of each core when each was due, shape
    (cores, n). available: see `Met`. p95_s: as measured.
    """

    due_s: Floats
    payloads: NDArray[np.uint16]
    slowness: Floats
    available: float
    p95_s: float

    @classmethod
    def of(cls, measured: Measured, pace_s: float | None, available: float) -> Self:
        samples = measured.samples
        slowness = _slowness(measured, samples.due_s, pace_s)
        p95_s = float(np.quantile(samples.latency_s, QUANTILE))
        return cls(samples.due_s, samples.records["payload"], slowness, available, p95_s)


@dataclass(frozen=True)
class Expected:
    """Of every server of the case: the prediction for one of them.

    pace_s: of the host, at which it holds.
    """

    replicas: int
    one: Prediction
    model: PerformanceModel
    unit_services: tuple[Floats, ...]
    pace_s: float | None

    @classmethod
    def of(cls, case: Case, reference: Reference, prior: SpeedPrior) -> Expected:
        """Round-robin hands every n-th of Poisson arrivals to a server: Erlang gaps."""
        source = machine_here(capture_environment())
        size, cv = reference.size(case.mix), 1 / math.sqrt(case.replicas)
        model = PerformanceModel([size], source, prior, arrivals_cv=cv)
        host = Host(replace(source, vcpus=case.vcpus))
        (one,) = model.predict([host], np.ones((DRAWS, 1)), SLO)
        services = reference.unit_services(case.mix)
        return cls(case.replicas, one, model, services, reference.pace_s)

    def throughput_rps(self, met: Met) -> float:
        demand = self.model.demand
        one_rps = float(np.median(self.one.saturation_rps)) * demand.quota_ratio(met.available)
        return self.replicas * one_rps * float(demand.throughput_ratio(1 / met.slowness))

    def p95_s(self, asked: Asked, stretch: float = 1.0) -> float:
        """Of these very requests: a short run of what chance sends is no steady state.

        The model's queue is simulated with each payload's services drawn anew, each server taking
        its turn, on cores as slow at each moment as they were. stretch: of service times, over
        those at saturation.
        """
        demand, queue = self.model.demand, self.one.curve.queue
        mean_s = float(np.median(self.one.service_mean_s) * demand.time_ratio(asked.available))
        one_rps = float(np.median(self.one.saturation_rps)) * demand.quota_ratio(asked.available)
        rng, taken = np.random.default_rng(SEED), []
        for turn in range(self.replicas):
            mine = slice(turn, None, self.replicas)
            gaps = np.diff(asked.due_s[mine], prepend=0.0) * one_rps / queue.capacity / stretch
            services = self._services(asked, mine, rng)
            taken.append(queue.sojourns(np.broadcast_to(gaps[:, None], services.shape), services))
        quantiles = np.quantile(np.concatenate(taken), QUANTILE, axis=0)
        return self.one.delay_s + float(np.median(quantiles)) * mean_s * stretch

    def _services(self, asked: Asked, mine: slice, rng: np.random.Generator) -> Floats:
        """In mean service times, shape (requests, REPLICATIONS), of every `mine` request.

        Any core serves any request, but a replica keeps the core that it has.
        """
        payloads, felt = asked.payloads[mine], self.model.demand.time_ratio(1 / asked.slowness)
        shape = (len(payloads), REPLICATIONS)
        services = np.empty(shape)
        for place, unit in enumerate(self.unit_services):
            of_it = payloads == place
            services[of_it] = rng.choice(unit, (int(of_it.sum()), REPLICATIONS))
        cores = rng.integers(len(felt), size=(1, REPLICATIONS) if self.replicas > 1 else shape)
        return services * np.take_along_axis(
            felt[:, mine].T, np.broadcast_to(cores, shape), axis=1
        )

    def stretch(self, runs: Sequence[Asked]) -> float:
        """Of service times, with which the requests of these runs take what they took.

        A server that rests between requests finds its caches cold and its cores asleep: at part
        load a service takes longer than at saturation.
        """

        def beyond(stretch: float) -> float:
            ratios = [self.p95_s(asked, stretch) / asked.p95_s for asked in runs]
            return float(np.mean(np.log(ratios)))

        low, high = STRETCHES
        if beyond(low) >= 0:
            return low
        return high if beyond(high) <= 0 else float(brentq(beyond, low, high, xtol=1e-2))
