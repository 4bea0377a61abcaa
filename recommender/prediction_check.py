"""Do predictions from one vCPU hold? Predicted first, measured after, on this machine.

A server is measured at one vCPU, saturated and at part load, and from that alone are predicted:
two vCPUs, two replicas, half a vCPU, another mix of requests, and a size of request that was
never sent. Reference and case take turns, all rounds of the reference count together, and how fast
the host was is told by its own pace (`loadtests.pace`), not by what is predicted.
"""

from __future__ import annotations

import math
from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from loadtests.errors import InvalidMeasurement, LimitUnavailable
from loadtests.monitor import wait_for_quiet
from loadtests.probe import Probe, describe_target
from loadtests.runner import Destination, Engine
from loadtests.steps import ClosedStep, OpenStep
from loadtests.targets.protocol import FrontedTarget, running
from loadtests.targets.replicas import Replicas
from loadtests.validity import Status
from recommender.prediction_cases import CASES, Agreement, Case, Scene, agreement
from recommender.prediction_model import AT_A_TIME, SLO, UNLIMITED, Asked, Expected, Met, Reference
from recommender.starting import Deployment, Site, deployed, generator_cores, prepare

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from pathlib import Path

    from loadtests.journal import Journal
    from loadtests.probe import Measured
    from loadtests.steps import Step
    from loadtests.targets.protocol import Setup, Target
    from recommender.performance.speed_prior import SpeedPrior

__all__ = ["Bench", "check_predictions"]

UTILIZATION = 0.6  # of the predicted throughput, where p95 is compared
TRIES = 3
QUIET_S = 5.0
STARTING_S = 8.0
LEAST_AVAILABLE = 0.4
FIGURES = ("throughput, req/s", "p95, ms")


@dataclass(frozen=True)
class Bench:
    """Everything outside that the check touches. closed_s, open_s: of each run of load."""

    journal: Journal
    cache_folder: Path
    prior: SpeedPrior
    progress: Callable[[str, float | None], None]
    closed_s: float = 2.0
    open_s: float = 8.0


def check_predictions(
    bench: Bench, scene: Scene, cases: Iterable[Case] = CASES, *, rounds: int = 5
) -> tuple[Agreement, ...]:
    """Two figures of each case: throughput at saturation, and p95 at 60 % of it."""
    cases = tuple(cases)
    each_s = rounds * (3 * bench.closed_s + 2 * bench.open_s + 1) + STARTING_S
    found: list[Agreement] = []
    with bench.journal.workspace() as folder, Engine(folder / "engine", bench.journal) as engine:
        prepare(scene.source, bench.cache_folder)
        for number, case in enumerate(cases):
            bench.progress(case.name, each_s * (len(cases) - number))
            found += _Trial(bench, scene, case, engine, folder / f"case-{number}").run(rounds)
    return tuple(found)


@dataclass(frozen=True, slots=True)
class _Taken:
    """available: the share of its CPUs that the target had to itself."""

    measured: Measured
    available: float = 1.0

    def met(self, pace_s: float | None) -> Met:
        return Met.of(self.measured, pace_s, self.available)

    def asked(self, pace_s: float | None) -> Asked:
        return Asked.of(self.measured, pace_s, self.available)


@dataclass(frozen=True, slots=True)
class _Round:
    """alone, full and usual are of the reference, saturated and opened of the case.

    usual, opened: at part load.
    """

    alone: Measured
    full: Measured
    saturated: _Taken
    usual: _Taken
    opened: _Taken


@dataclass(frozen=True, slots=True)
class _Served:
    """One or several servers, at one address."""

    target: Target
    setup: Setup
    vcpus: float


@dataclass(frozen=True)
class _Trial:
    """One case beside its reference."""

    bench: Bench
    scene: Scene
    case: Case
    engine: Engine
    folder: Path

    def run(self, rounds: int) -> list[Agreement]:
        """Nothing predicted, with the reason, of a size that this machine cannot give."""
        try:
            done, faults = self._rounds(rounds)
        except LimitUnavailable as error:
            done, faults = [], [str(error)]
        found = self._compared(done) if done else ([], [])
        return [
            agreement(self.case.name, figure, pairs, faults)
            for figure, pairs in zip(FIGURES, found, strict=True)
        ]

    def _compared(self, done: list[_Round]) -> tuple[list[tuple[float, float]], ...]:
        """Throughputs and p95, each predicted and measured, round by round."""
        as_usual, expected = self._expected(
            tuple(each.alone for each in done), tuple(each.full for each in done)
        )
        pace_s = expected.pace_s
        stretch = as_usual.stretch([each.usual.asked(pace_s) for each in done])
        throughputs, latencies = [], []
        for each in done:
            predicted_rps = expected.throughput_rps(each.saturated.met(pace_s))
            throughputs.append((predicted_rps, each.saturated.measured.measurement.throughput_rps))
            asked = each.opened.asked(pace_s)
            latencies.append((1e3 * expected.p95_s(asked, stretch), 1e3 * asked.p95_s))
        return throughputs, latencies

    def _expected(
        self, alone: tuple[Measured, ...], full: tuple[Measured, ...]
    ) -> tuple[Expected, Expected]:
        """Of the reference itself, and of the case."""
        reference, prior = Reference(self.scene, alone, full), self.bench.prior
        as_usual = Expected.of(Case("one vCPU"), reference, prior)
        return as_usual, Expected.of(self.case, reference, prior)

    def _rounds(self, rounds: int) -> tuple[list[_Round], list[str]]:
        """Those that were measured, and what was wrong with the others."""
        done: list[_Round] = []
        faults: list[str] = []
        with ExitStack() as stack:
            reference = self._serve(stack, "reference", Case("one vCPU"))
            served = reference
            if self.case.mix is None:
                served = self._serve(stack, "case", self.case)
            usual = self._probe(reference, self.scene.mix)
            other = self._probe(served, self.case.mix or self.scene.mix)
            for probe in (usual, other):
                probe.warm_up()
            for number in range(rounds):
                pair = (replace(each, seed=each.seed + number) for each in (usual, other))
                try:
                    done.append(self._round(*pair))
                except InvalidMeasurement as error:
                    faults.append(str(error))
        return done, faults

    def _serve(self, stack: ExitStack, name: str, case: Case) -> _Served:
        """Behind a gateway wherever the case has one, so that its cost is in both."""
        is_fleet = self.case.replicas > 1
        fleet = Replicas(case.replicas, vcpus=case.vcpus) if is_fleet else None
        self.folder.mkdir(exist_ok=True)
        bench = self.bench
        site = Site(self.folder / name, bench.cache_folder, bench.journal, lambda _: None)
        deployment = Deployment(case.vcpus, fleet)
        target = stack.enter_context(deployed(self.scene.source, deployment, site))
        setup = stack.enter_context(running(target))
        return _Served(target, setup, case.vcpus * case.replicas)

    def _probe(self, served: _Served, mix: Mapping[int, float]) -> Probe:
        described = served.target.describe()
        cores = generator_cores(served.target)
        workload = self.scene.workload(mix)
        return Probe(
            engine=self.engine,
            target=served.target,
            record=describe_target(served.target, served.setup, served.vcpus),
            destination=Destination((described.base_url,), workload, cores),
            objectives=SLO.latency,
            seed=20261121,
        )

    def _round(self, usual: Probe, other: Probe) -> _Round:
        closed_s = self.bench.closed_s
        alone, full = (
            _taken(usual, ClosedStep(each, UNLIMITED, closed_s)) for each in (1, AT_A_TIME)
        )
        at_a_time = AT_A_TIME * math.ceil(self.case.vcpus * self.case.replicas)
        saturated = _taken(other, ClosedStep(at_a_time, UNLIMITED, closed_s))
        as_usual, expected = self._expected((alone.measured,), (full.measured,))
        return _Round(
            alone.measured,
            full.measured,
            saturated,
            self._opened(usual, as_usual, full),
            self._opened(other, expected, saturated),
        )

    def _opened(self, probe: Probe, expected: Expected, until_now: _Taken) -> _Taken:
        """At part load, by what was just measured and by what the host was like meanwhile."""
        rate_rps = UTILIZATION * expected.throughput_rps(until_now.met(expected.pace_s))
        opened = _taken(probe, OpenStep(rate_rps, self.bench.open_s, floor=0))
        if not opened.measured.samples.is_success.all():
            raise InvalidMeasurement(f"open loop at {rate_rps:.3g} req/s: some failed")
        return opened


def _taken(probe: Probe, step: Step) -> _Taken:
    """Raises InvalidMeasurement."""
    faults = ""
    for _ in range(TRIES):
        front = probe.target if isinstance(probe.target, FrontedTarget) else None
        front_s = 0.0 if front is None else front.front_cpu_s()
        taken = probe.take(step)
        found = taken.measurement
        front_s = 0.0 if front is None else front.front_cpu_s() - front_s
        if found.validity.status is not Status.INVALID:
            if not found.target.shares_cores:
                return _Taken(taken)
            used = found.generator_cpu_ratio + front_s / found.elapsed_s
            return _Taken(taken, max(1 - used / (found.target.vcpus or 1.0), LEAST_AVAILABLE))
        faults = "; ".join(each.found for each in found.validity.faults)
        limits = probe.target.describe().limits
        wait_for_quiet(() if limits is None else limits.cores, QUIET_S)
    raise InvalidMeasurement(f"{step.text}: {faults}")
