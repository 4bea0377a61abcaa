"""Do predictions from one vCPU hold? Predicted first, measured after, on this machine.

A server is measured at one vCPU, saturated and at part load, and from that alone are predicted:
two vCPUs, two replicas, half a vCPU, another mix of requests, and a size of request that was
never sent. Reference and case take turns, and each round is judged by its own reference, so what
a noisy host does to both cancels.
"""

from __future__ import annotations

import math
from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from loadtests.errors import InvalidMeasurement, LimitUnavailable
from loadtests.monitor import wait_for_quiet
from loadtests.probe import Probe, describe_target
from loadtests.runner import Destination, Engine
from loadtests.steps import ClosedStep, OpenStep
from loadtests.targets.protocol import FrontedTarget, running
from loadtests.targets.replicas import Replicas
from loadtests.validity import Status
from recommender.prediction_cases import (
    AT_A_TIME,
    CASES,
    QUANTILE,
    SLO,
    UNLIMITED,
    Agreement,
    Asked,
    Case,
    Expected,
    Reference,
    Scene,
    agreement,
)
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
class _Round:
    """Each pair: predicted, measured."""

    throughput_rps: tuple[float, float]
    p95_s: tuple[float, float]


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
        found = {
            "throughput, req/s": [each.throughput_rps for each in done],
            "p95, ms": [(1e3 * each.p95_s[0], 1e3 * each.p95_s[1]) for each in done],
        }
        return [
            agreement(self.case.name, figure, pairs, faults) for figure, pairs in found.items()
        ]

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
        alone, _ = _taken(usual, ClosedStep(1, UNLIMITED, closed_s))
        full, _ = _taken(usual, ClosedStep(AT_A_TIME, UNLIMITED, closed_s))
        vcpus = self.case.vcpus * self.case.replicas
        at_a_time = AT_A_TIME * math.ceil(vcpus)
        measured, available = _taken(other, ClosedStep(at_a_time, UNLIMITED, closed_s))
        reference = Reference(self.scene, alone, full)
        as_usual = Expected.of(Case("one vCPU"), reference, self.bench.prior)
        expected = Expected.of(self.case, reference, self.bench.prior)
        stretch = as_usual.stretch(*self._opened(usual, as_usual, 1.0))
        throughput_rps = expected.throughput_rps(available)
        asked, p95_s, available = self._opened(other, expected, available)
        return _Round(
            (throughput_rps, measured.measurement.throughput_rps),
            (expected.p95_s(asked, available, stretch), p95_s),
        )

    def _opened(
        self, probe: Probe, expected: Expected, available: float
    ) -> tuple[Asked, float, float]:
        """At part load: what was asked, its p95, and the share of its CPUs that the target had."""
        rate_rps = UTILIZATION * expected.throughput_rps(available)
        opened, available = _taken(probe, OpenStep(rate_rps, self.bench.open_s, floor=0))
        samples = opened.samples
        if not samples.is_success.all():
            raise InvalidMeasurement(f"open loop at {rate_rps:.3g} req/s: some failed")
        p95_s = float(np.quantile(samples.latency_s, QUANTILE))
        return Asked(samples.due_s, samples.records["payload"]), p95_s, available


def _taken(probe: Probe, step: Step) -> tuple[Measured, float]:
    """With the share of its CPUs that the target had to itself. Raises InvalidMeasurement."""
    faults = ""
    for _ in range(TRIES):
        front = probe.target if isinstance(probe.target, FrontedTarget) else None
        front_s = 0.0 if front is None else front.front_cpu_s()
        taken = probe.take(step)
        found = taken.measurement
        front_s = 0.0 if front is None else front.front_cpu_s() - front_s
        if found.validity.status is not Status.INVALID:
            if not found.target.shares_cores:
                return taken, 1.0
            used = found.generator_cpu_ratio + front_s / found.elapsed_s
            return taken, max(1 - used / (found.target.vcpus or 1.0), LEAST_AVAILABLE)
        faults = "; ".join(each.found for each in found.validity.faults)
        limits = probe.target.describe().limits
        wait_for_quiet(() if limits is None else limits.cores, QUIET_S)
    raise InvalidMeasurement(f"{step.text}: {faults}")
