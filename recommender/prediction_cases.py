"""What is predicted of a server from one vCPU alone: cases, and how predictions turn out."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from scipy.optimize import brentq

from loadtests import sample_container
from loadtests.environment import capture_environment
from loadtests.modes.capacity import Capacity
from loadtests.modes.ladder import Evidence, ServiceModel, service_model
from loadtests.slo import parse_slo
from loadtests.steps import ClosedStep
from loadtests.workload import Payload, Workload
from recommender.machines import machine_here
from recommender.performance.model import DRAWS, Host, MeasuredSize, PerformanceModel
from recommender.performance.service_demand import ServiceMix, fit_work
from recommender.request import Source

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from loadtests.probe import Measured
    from recommender.performance.model import Prediction
    from recommender.performance.speed_prior import SpeedPrior

    Floats = NDArray[np.float64]

__all__ = [
    "AT_A_TIME",
    "CASES",
    "QUANTILE",
    "SLO",
    "UNLIMITED",
    "Agreement",
    "Asked",
    "Case",
    "Expected",
    "Reference",
    "Scene",
    "agreement",
    "sample_scene",
]

TOLERANCE = 0.10
QUANTILE = 0.95
AT_A_TIME = 4  # requests for each server, in a closed loop that is to leave none of them idle
UNLIMITED = 10**6
SEED, REPLICATIONS = 20261121, 100
SLO = parse_slo("p95<3600s")  # it names the quantile; its limit decides nothing
ROWS = (1, 128, 512)
STRETCHES = (0.9, 2.0)


@dataclass(frozen=True, slots=True)
class Case:
    """What is predicted from one vCPU. mix: payload number to weight; None: as the reference."""

    name: str
    vcpus: float = 1.0
    replicas: int = 1
    mix: Mapping[int, float] | None = None


CASES = (
    Case("2 vCPUs", vcpus=2.0),
    Case("2 replicas", replicas=2),
    Case("half a vCPU", vcpus=0.5),
    Case("another mix", mix={0: 0.4, 2: 0.6}),
    Case("a size never sent", mix={1: 1.0}),
)


@dataclass(frozen=True)
class Scene:
    """What is served, and with what the reference is asked. rows: records in each payload."""

    source: Source
    payloads: tuple[bytes, ...]
    rows: tuple[int, ...]
    mix: Mapping[int, float]
    content_type: str

    def workload(self, mix: Mapping[int, float]) -> Workload:
        sent = (
            Payload(f"{self.rows[each]} rows", self.payloads[each], mix[each])
            for each in sorted(mix)
        )
        return Workload(tuple(sent), self.content_type)


def sample_scene() -> Scene:
    """Each request on a connection of its own, as behind nginx: any free worker takes it.

    A kept connection stays with its worker; the few of an open loop then load two workers far from
    evenly, which nothing at one vCPU could foretell.
    """
    digits = [body[len(b'{"instances":[') : -2] for body in sample_container.payloads()]
    payloads = tuple(
        b'{"instances":[' + b",".join(digits[n % len(digits)] for n in range(rows)) + b"]}"
        for rows in ROWS
    )
    mix = {0: 0.8, 2: 0.2}
    source = Source(kind="sample", environment={"GUNICORN_CMD_ARGS": "--keep-alive 0"})
    return Scene(source, payloads, ROWS, mix, sample_container.CONTENT_TYPE)


@dataclass(frozen=True, slots=True)
class Agreement:
    """One figure of one case. ratio: predicted over measured, the median of the rounds.

    low, high: the rounds' extremes. None, with faults, where no round was VALID.
    """

    case: str
    figure: str
    predicted: float | None
    measured: float | None
    ratio: float | None
    low: float | None
    high: float | None
    faults: tuple[str, ...] = ()

    @property
    def is_right(self) -> bool:
        return self.ratio is not None and abs(self.ratio - 1) <= TOLERANCE


@dataclass(frozen=True)
class Reference:
    """One vCPU, measured in closed loops: one request at a time, and as many as saturate it."""

    scene: Scene
    alone: Measured
    full: Measured

    def size(self, mix: Mapping[int, float] | None) -> MeasuredSize:
        """As if measured under another mix, where one is named."""
        steps = (_closed(1, self.alone), _closed(AT_A_TIME, self.full))
        model = service_model(steps)
        alone_s = self.alone.samples.service_s
        usual = _size(model, alone_s, self.full.measurement.cpu_s_per_request)
        if mix is None:
            return usual
        other_s = self._times(usual.delay_s).under(mix)
        work = (other_s.mean() - usual.delay_s) / (alone_s.mean() - usual.delay_s)
        saturation_rps = model.saturation_rps / work
        service_s = other_s * (model.servers / (saturation_rps * other_s.mean()))
        cpu_s = usual.cpu_s_per_request
        return _size(
            ServiceModel(model.servers, service_s, saturation_rps, model.saturation_error),
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

    def _times(self, delay_s: float) -> ServiceMix:
        """Of every payload of the scene; those never sent by overhead and work of each row."""
        sent = sorted(self.scene.mix)
        samples = self.alone.samples
        by_place = ServiceMix.of(samples.records["payload"][samples.is_success], samples.service_s)
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


@dataclass(frozen=True, slots=True)
class Asked:
    """Requests of one run of load. payloads: of the mix, by their places in it."""

    due_s: Floats
    payloads: NDArray[np.uint16]


@dataclass(frozen=True)
class Expected:
    """Of every server of the case: the prediction for one of them."""

    replicas: int
    one: Prediction
    model: PerformanceModel
    unit_services: tuple[Floats, ...]

    @classmethod
    def of(cls, case: Case, reference: Reference, prior: SpeedPrior) -> Expected:
        """Round-robin hands every n-th of Poisson arrivals to a server: Erlang gaps."""
        source = machine_here(capture_environment())
        size, cv = reference.size(case.mix), 1 / math.sqrt(case.replicas)
        model = PerformanceModel([size], source, prior, arrivals_cv=cv)
        host = Host(replace(source, vcpus=case.vcpus))
        (one,) = model.predict([host], np.ones((DRAWS, 1)), SLO)
        return cls(case.replicas, one, model, reference.unit_services(case.mix))

    def throughput_rps(self, available: float) -> float:
        """available: the share of its CPUs that is the server's own."""
        one_rps = float(np.median(self.one.saturation_rps))
        return self.replicas * one_rps * self.model.demand.quota_ratio(available)

    def p95_s(self, asked: Asked, available: float, stretch: float = 1.0) -> float:
        """Of these very requests: a short run of what chance sends is no steady state.

        The model's queue is simulated with each payload's services drawn anew, each server taking
        its turn. stretch: of service times, over those at saturation.
        """
        demand, queue = self.model.demand, self.one.curve.queue
        mean_s = float(np.median(self.one.service_mean_s) * demand.time_ratio(available))
        one_rps = float(np.median(self.one.saturation_rps)) * demand.quota_ratio(available)
        rng, taken = np.random.default_rng(SEED), []
        for turn in range(self.replicas):
            payloads = asked.payloads[turn :: self.replicas]
            due_s = asked.due_s[turn :: self.replicas]
            gaps = np.diff(due_s, prepend=0.0) * one_rps / queue.capacity / stretch
            shape = (len(gaps), REPLICATIONS)
            services = np.empty(shape)
            for place, unit in enumerate(self.unit_services):
                services[payloads == place] = rng.choice(
                    unit, ((payloads == place).sum(), shape[1])
                )
            taken.append(queue.sojourns(np.broadcast_to(gaps[:, None], shape), services))
        quantiles = np.quantile(np.concatenate(taken), QUANTILE, axis=0)
        return self.one.delay_s + float(np.median(quantiles)) * mean_s * stretch

    def stretch(self, asked: Asked, p95_s: float, available: float) -> float:
        """Of service times, with which these very requests take p95_s.

        A server that rests between requests finds its caches cold and its cores asleep: at part
        load a service takes longer than at saturation.
        """

        def beyond(stretch: float) -> float:
            return self.p95_s(asked, available, stretch) - p95_s

        low, high = STRETCHES
        if beyond(low) >= 0:
            return low
        return high if beyond(high) <= 0 else float(brentq(beyond, low, high, xtol=1e-3))


def agreement(
    case: str, figure: str, pairs: list[tuple[float, float]], faults: list[str]
) -> Agreement:
    if not pairs:
        return Agreement(case, figure, None, None, None, None, None, tuple(faults))
    predicted, measured = np.array(pairs).T
    ratios = predicted / measured
    middles = [float(np.median(each)) for each in (predicted, measured, ratios)]
    return Agreement(
        case=case,
        figure=figure,
        predicted=middles[0],
        measured=middles[1],
        ratio=middles[2],
        low=float(ratios.min()),
        high=float(ratios.max()),
        faults=tuple(faults),
    )
