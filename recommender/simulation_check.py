"""Does a fleet that really scales cost and attain what its simulation says? Simulated first.

One replica is measured. From that alone a day's wave of traffic is simulated under a policy of
target tracking, minute by minute; then the wave is sent, the same policy decides from the requests
that really came, by the code of the simulation, and replicas are started and stopped.
Time is squeezed: an hour passes in about a minute. Only service times stay as they are.
"""

from __future__ import annotations

import math
import time
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Self

import numpy as np

from loadtests.arrivals import Arrivals
from loadtests.environment import capture_environment
from loadtests.errors import InvalidMeasurement, LimitUnavailable
from loadtests.fleets.lives import paid_s
from loadtests.modes.capacity import SearchSettings
from loadtests.monitor import CoreClock, Neighbours
from loadtests.probe import Hooks, Measured, Probe, carry_out, describe_target, search_capacity
from loadtests.runner import Destination, Engine
from loadtests.slo import parse_slo, tightest
from loadtests.steps import ClosedStep, TrafficStep
from loadtests.stopping import StopRules
from loadtests.targets.limits import capabilities
from loadtests.targets.protocol import FrontedTarget, running
from loadtests.targets.replicas import Replicas
from loadtests.targets.scaled import ScaledTarget, Scaling
from loadtests.traffic import Diurnal
from loadtests.validity import NEIGHBOUR_SHARE, Status
from recommender.machines import machine_here
from recommender.performance.model import DRAWS, Host, PerformanceModel
from recommender.simulation.autoscaling import Scaler
from recommender.simulation.fleet import FleetScenario, simulate_fleet
from recommender.simulation.replica import LatencyLimit, LongCurves, Replica
from recommender.simulation.scaling_policy import AlarmTiming, Policy, TargetTracking
from recommender.simulation.traffic import TrafficTrace
from recommender.simulation_cases import Course, Figure, figures
from recommender.starting import Deployment, Site, deployed, generator_cores, prepare
from recommender.stored_run import measured_size

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from loadtests.journal import Journal
    from loadtests.slo import Slo
    from loadtests.targets.protocol import Target
    from recommender.performance.measured_size import MeasuredSize
    from recommender.performance.speed_prior import SpeedPrior
    from recommender.simulation_cases import Stage

__all__ = ["Bench", "Decider", "Planned", "check_simulation", "planned"]

LOAD = 0.85  # of a replica's capacity, at the policy's target
PEAK, QUIET = 4.0, 0.8  # replicas at the target
MOST = 16
LIMIT_SERVICES = 5.0
QUANTILE = 0.95
START_MINUTES, DELAY_MINUTES, COOLDOWN_MINUTES = 4, 1, 5  # as on AWS
SLOWER = 1.5  # a server starts beside others that work
SIMULATED_DRAWS = 200
SEARCH_S = 60.0
SEED = 20261122


@dataclass(frozen=True)
class Bench:
    """Everything outside that the check touches.

    settings: of the search for the one replica's capacity. minutes: of the policy, in the whole
    wave.
    """

    journal: Journal
    cache_folder: Path
    prior: SpeedPrior
    progress: Callable[[str, float | None], None]
    settings: SearchSettings = field(default_factory=SearchSettings)
    minutes: int = 100


def check_simulation(
    bench: Bench, stages: Iterable[Stage], duration_s: float, seed: int = SEED
) -> tuple[Figure, ...]:
    """duration_s: of the wave that each stage is sent."""
    stages = tuple(stages)
    each_s = duration_s + SEARCH_S
    found: list[Figure] = []
    with bench.journal.workspace() as folder, Engine(folder / "engine", bench.journal) as engine:
        for number, stage in enumerate(stages):
            prepare(stage.scene.source, bench.cache_folder)
            bench.progress(stage.name, each_s * (len(stages) - number))
            trial = _Trial(bench, stage, engine, folder / f"stage-{number}", seed)
            found += trial.run(duration_s)
    return tuple(found)


@dataclass(frozen=True)
class Planned:
    """What is simulated, and then done."""

    scenario: FleetScenario
    policy: Policy
    traffic: Diurnal
    slo: Slo

    @property
    def minute_s(self) -> float:
        return self.scenario.step_s


def planned(size: MeasuredSize, slo: Slo, duration_s: float, bench: Bench) -> Planned:
    """Traffic and target by the capacity of the one replica, and how long its start takes."""
    source = machine_here(capture_environment())
    model = PerformanceModel([size], source, bench.prior)
    hosts = [Host(source, measured=size)]
    (prediction,) = model.predict(hosts, np.ones((DRAWS, 1)), slo)
    minute_s = duration_s / bench.minutes
    start_minutes = max(START_MINUTES, math.ceil(SLOWER * (size.setup_s or 0.0) / minute_s))
    replica = Replica.of(
        prediction,
        LongCurves(model.unit_service),
        start_s=start_minutes * minute_s,
        draws=SIMULATED_DRAWS,
    )
    target_rps = LOAD * size.capacity.rate_rps
    traffic = Diurnal(
        mean_rps=(PEAK + QUIET) / 2 * target_rps,
        peak_rps=PEAK * target_rps,
        period_s=duration_s,
        peak_at_s=duration_s / 2,
    )
    scenario = FleetScenario(
        trace=TrafficTrace.of(traffic, duration_s, minute_s),
        replica=replace(replica, busy_ratio=model.demand.busy_ratio),
        limit=LatencyLimit(QUANTILE, slo.latency[0].limit_s),
        levels=np.ones(SIMULATED_DRAWS),
        step_s=minute_s,
        timing=AlarmTiming(DELAY_MINUTES * minute_s),
    )
    cooldown_s = COOLDOWN_MINUTES * minute_s
    tracking = TargetTracking("invocations", 60 * target_rps, cooldown_s, cooldown_s)
    return Planned(scenario, Policy(1, MOST, tracking), traffic, slo)


class Decider:
    """The simulation's scaler, told minute by minute what really came.

    first: replicas for the first minute, of which its mean rate is known.
    """

    def __init__(self, scenario: FleetScenario, policy: Policy) -> None:
        trace = scenario.trace
        self._minutes = len(trace.rate_rps)
        arrivals = np.zeros((self._minutes, 1))
        arrivals[0] = trace.rate_rps[0] * scenario.step_s
        clock = (scenario.step_s, trace.seconds_of_week)
        one = scenario.replica.of_draws(np.zeros(1, dtype=np.intp))
        self._scaler = Scaler([policy], one, arrivals, clock, scenario.timing)
        self.first = self._wanted = self._decided(0)

    def __call__(self, minute: int, came: int) -> int:
        """Replicas there are to be; came: in the minute before. After the last, as in the last."""
        if minute < self._minutes:
            self._scaler.rate_rps[minute - 1] = came / self._scaler.step_s
            self._wanted = self._decided(minute)
        return self._wanted

    def _decided(self, minute: int) -> int:
        return int(self._scaler.run(minute, minute + 1).paid[0, 0, 0])


@dataclass(frozen=True)
class _Trial:
    bench: Bench
    stage: Stage
    engine: Engine
    folder: Path
    seed: int

    def run(self, duration_s: float) -> list[Figure]:
        """Nothing measured, with the reason, of what this machine cannot give or measure."""
        self.folder.mkdir()
        try:
            plan = planned(*self._measured(), duration_s, self.bench)
        except (LimitUnavailable, InvalidMeasurement) as error:
            return figures(self.stage.name, None, None, (str(error),))
        outcome = simulate_fleet(plan.scenario, [plan.policy], with_timeline=False)[0]
        course, faults = self._played(plan, duration_s)
        return figures(self.stage.name, outcome, course, faults)

    def _measured(self) -> tuple[MeasuredSize, Slo]:
        """One replica, as a quick run measures it, for a limit of so many of its services."""
        settings, stored = self.bench.settings, dict[str, Measured]()
        hooks = Hooks(stored, stored.__setitem__)
        first = ClosedStep(1, settings.closed_requests, settings.closed_s)
        with ExitStack() as stack:
            target = self._deployed(stack, "one", Deployment(self.stage.vcpus, self._replicas(1)))
            probe = self._probe(stack, target)
            alone, _ = carry_out(probe, lambda history: history[0] if history else first, hooks)
            limit_s = LIMIT_SERVICES * float(alone.service_s.mean())
            slo = parse_slo(f"p{100 * QUANTILE:g}<{limit_s:.4f}s")
            judging = replace(probe, objectives=slo.latency, decided_by=(tightest(slo),))
            capacity, history = search_capacity(judging, slo, settings, hooks)
        return measured_size(capacity, history), slo

    def _played(self, plan: Planned, duration_s: float) -> tuple[Course, tuple[str, ...]]:
        decider = Decider(plan.scenario, plan.policy)
        scaling = Scaling(
            decide=decider,
            first=decider.first,
            minute_s=plan.minute_s,
            start_s=plan.scenario.replica.start_s,
        )
        deployment = Deployment(self.stage.vcpus, self._replicas(MOST), scaling=scaling)
        rules = StopRules(over_saturation=False)
        with ExitStack() as stack:
            target = self._deployed(stack, "fleet", deployment)
            probe = replace(self._probe(stack, target), objectives=plan.slo.latency)
            probe.warm_up()
            before = _Used.until_now(target)
            taken = probe.take(TrafficStep(plan.traffic, Arrivals(), duration_s, rules))
            others_ratio = _Used.until_now(target).by_others(before, taken)
            course = _course(plan, taken, target, duration_s)
        validity = taken.measurement.validity
        faults = [each.found for each in validity.faults if each.status is Status.INVALID]
        if others_ratio > NEIGHBOUR_SHARE:
            faults.append(f"other programs used {others_ratio:.0%} of this machine's cores")
        return course, tuple(faults)

    def _replicas(self, count: int) -> Replicas:
        """Routed as the simulation has it, and SageMaker."""
        return Replicas(count, "random", self.stage.vcpus)

    def _deployed(self, stack: ExitStack, name: str, deployment: Deployment) -> Target:
        bench = self.bench
        site = Site(self.folder / name, bench.cache_folder, bench.journal, lambda _: None)
        return stack.enter_context(deployed(self.stage.scene.source, deployment, site))

    def _probe(self, stack: ExitStack, target: Target) -> Probe:
        setup = stack.enter_context(running(target))
        scene = self.stage.scene
        workload, cores = scene.workload(scene.mix), generator_cores(target)
        return Probe(
            engine=self.engine,
            target=target,
            record=describe_target(target, setup, self.stage.vcpus),
            destination=Destination((target.describe().base_url,), workload, cores),
            objectives=(),
            seed=self.seed,
        )


@dataclass(frozen=True, slots=True)
class _Used:
    """CPU-seconds so far, of all cores; ours: of the fleet, its gateway and this process.

    A measurement that starts servers tells nothing of neighbours: here all that starts is ours.
    """

    at_s: float
    cores: int
    busy_s: float
    ours_s: float

    @classmethod
    def until_now(cls, target: Target) -> Self:
        cores = capabilities().cores
        clock, front_s = CoreClock.read(cores), 0.0
        if isinstance(target, FrontedTarget):
            front_s = target.front_cpu_s()
        ours_s = clock.own_s + front_s + (target.usage().cpu_s or 0.0)
        return cls(time.perf_counter(), len(cores), clock.busy_s, ours_s)

    def by_others(self, before: _Used, taken: Measured) -> float:
        """Share of the cores since then, the load generator left out as well."""
        found = taken.measurement
        ours_s = self.ours_s - before.ours_s + found.generator_cpu_ratio * found.elapsed_s
        others_s = self.busy_s - before.busy_s - ours_s
        return Neighbours(others_s, self.cores, self.at_s - before.at_s).share


def _course(plan: Planned, taken: Measured, target: Target, duration_s: float) -> Course:
    if not isinstance(target, ScaledTarget) or target.began_s is None:
        raise TypeError(f"{target} did not scale")
    samples = taken.samples
    lives, began_s = target.lives(), target.began_s
    return Course(
        came=len(samples),
        served=samples.succeeded,
        good=int(np.sum(samples.latency_s <= plan.scenario.limit.limit_s)),
        replica_s=paid_s(lives, began_s, began_s + duration_s),
        started=len(lives),
    )
