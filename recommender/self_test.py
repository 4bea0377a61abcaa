"""Is the instrument right? The built-in server's latencies are known by theory."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from loadtests.demo_server import DemoServer, ServiceTime
from loadtests.demo_server.truth import forget_truth, read_truth
from loadtests.monitor import wait_for_quiet
from loadtests.probe import Probe, describe_target
from loadtests.queueing import mmc_sojourn_quantile, sojourns
from loadtests.runner import Destination, Engine
from loadtests.slo import LatencyObjective
from loadtests.steps import OpenStep
from loadtests.targets.process import ProcessTarget
from loadtests.targets.process_spec import ProcessSpec
from loadtests.targets.protocol import Sizing, running
from loadtests.validity import Status
from loadtests.workload import Payload, Workload
from recommender.starting import generator_cores

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from numpy.typing import NDArray

    from loadtests.journal import Journal
    from loadtests.probe import Measured

__all__ = ["CASES", "Case", "Comparison", "run_self_test"]

QUANTILES = (0.5, 0.95, 0.99)
TOLERANCE = 0.10
TRIES = 3
WAIT_FOR_QUIET_S = 10.0
UNREACHABLE_S = 3600.0  # these objectives name quantiles; their limits decide nothing


@dataclass(frozen=True)
class Case:
    """A queue with Poisson arrivals.

    service: as the demo server takes it. duration_ratio: how much longer than the shortest case.
    """

    name: str
    servers: int
    service: str
    utilization: float
    duration_ratio: float

    @property
    def rate_rps(self) -> float:
        return self.utilization * self.servers / ServiceTime.parse(self.service).mean_s

    def theory_s(self, ran: Ran) -> dict[float, float]:
        """Closed form for exponential service, else simulated with two million customers."""
        if self.service.startswith("exp"):
            return {
                q: mmc_sojourn_quantile(q, ran.rate_rps, ran.service_mean_s, self.servers)
                for q in QUANTILES
            }
        service, rng = ServiceTime.parse(self.service), np.random.default_rng(20261121)
        shape = (20_000, 100)
        gaps = rng.exponential(1 / ran.rate_rps, shape)
        drawn = service.draws_s(rng, shape[0] * shape[1]).reshape(shape)
        drawn *= ran.service_mean_s / service.mean_s
        taken = sojourns(gaps, drawn, self.servers)[2000:]
        return dict(zip(QUANTILES, np.quantile(taken, QUANTILES).tolist(), strict=True))


@dataclass(frozen=True, slots=True)
class Ran:
    """The queue as it was run: chance draws a few more requests, or longer ones, than on average.

    latency_s: by the server's own log, shape (n,).
    """

    rate_rps: float
    service_mean_s: float
    latency_s: NDArray[np.float64]


# Chance, in p50: 3 % after 60,000 requests of M/M/1 at 80 % load and 7,500 at 50 % (simulated).
# What a client adds, up to 1 ms where cores sleep between requests, weighs less on a slow service.
CASES = (
    Case("M/M/1 at 50 %", 1, "exp:0.02", 0.5, 5),
    Case("M/M/1 at 80 %", 1, "exp:0.002", 0.8, 2.5),
    Case("M/G/2 at 50 %", 2, "lognormal:0.02:0.5", 0.5, 1),
    Case("M/G/2 at 80 %", 2, "lognormal:0.01:0.5", 0.8, 2.5),
)


@dataclass(frozen=True, slots=True)
class Comparison:
    """One quantile of one case: theory beside what was measured, with its stated interval.

    truth_s: theory, at the rate that was offered and the mean service time the server drew.

    added_s: measured less what the server itself logged of the very same requests, warm-up
    included: the instrument's own error, in which chance has no part.
    """

    case: str
    quantile: float
    truth_s: float
    measured_s: float | None
    low_s: float | None
    high_s: float | None
    added_s: float
    status: Status
    faults: tuple[str, ...]

    @property
    def error_ratio(self) -> float | None:
        return None if self.measured_s is None else self.measured_s / self.truth_s - 1

    @property
    def is_right(self) -> bool:
        """Within 10 % of theory, or theory within the stated interval; never when INVALID."""
        if self.measured_s is None or self.status is Status.INVALID:
            return False
        if abs(self.measured_s / self.truth_s - 1) <= TOLERANCE:
            return True
        low = self.measured_s if self.low_s is None else self.low_s
        return low <= self.truth_s and (self.high_s is None or self.truth_s <= self.high_s)


def run_self_test(
    journal: Journal, duration_s: float, progress: Callable[[str, float | None], None]
) -> tuple[Comparison, ...]:
    """Through the real engine, one case after the other."""
    found: list[Comparison] = []
    left_s = sum(duration_s * case.duration_ratio for case in CASES)
    with journal.workspace() as folder, Engine(folder / "engine", journal) as engine:
        for number, case in enumerate(CASES):
            progress(f"{case.name}: {case.rate_rps:.0f} req/s", left_s)
            place = folder / f"case-{number}"
            place.mkdir()
            target = _target(case, place, journal)
            with running(target) as setup:
                url = target.describe().base_url
                workload = Workload((Payload("empty object", b"{}"),), "application/json")
                destination = Destination((url,), workload, generator_cores(target))
                sought = tuple(LatencyObjective(q, UNREACHABLE_S) for q in QUANTILES)
                record = describe_target(target, setup, 1.0)
                seed = 20261121 + number
                probe = Probe(engine, target, record, destination, sought, seed)
                probe.warm_up()
                taken_s = duration_s * case.duration_ratio
                measured = _measured(probe, case, taken_s)
                found += _compare(case, measured, _ran(measured, read_truth(url)))
                left_s -= taken_s
    return tuple(found)


def _target(case: Case, place: Path, journal: Journal) -> ProcessTarget:
    server = DemoServer(servers=case.servers, service=case.service, seed=7)
    return ProcessTarget(ProcessSpec(server.command()), Sizing(vcpus=1), place, journal)


def _measured(probe: Probe, case: Case, duration_s: float) -> Measured:
    """Still INVALID after the last try, it is told as it is."""
    step = OpenStep(case.rate_rps, duration_s, floor=0)
    measured = _alone(probe, step)
    limits = probe.target.describe().limits
    for _ in range(TRIES - 1):
        if measured.measurement.validity.status is not Status.INVALID:
            break
        wait_for_quiet(() if limits is None else limits.cores, WAIT_FOR_QUIET_S)
        measured = _alone(probe, step)
    return measured


def _alone(probe: Probe, step: OpenStep) -> Measured:
    """The server's log holds this run's requests only."""
    forget_truth(probe.target.describe().base_url)
    return probe.take(step)


def _ran(measured: Measured, truth: NDArray[np.void]) -> Ran:
    return Ran(
        rate_rps=measured.measurement.due / measured.measurement.load.duration_s,
        service_mean_s=float(np.mean(truth["finish_s"] - truth["start_s"])),
        latency_s=np.asarray(truth["finish_s"] - truth["arrival_s"]),
    )


def _compare(case: Case, taken: Measured, ran: Ran) -> list[Comparison]:
    rows = []
    measured, theory_s = taken.measurement, case.theory_s(ran)
    for quantile in QUANTILES:
        seconds = measured.latency_at(quantile)
        seen_s, true_s = (
            np.quantile(each, quantile) for each in (taken.samples.latency_s, ran.latency_s)
        )
        rows.append(
            Comparison(
                case.name,
                quantile,
                theory_s[quantile],
                seconds.value,
                seconds.low,
                seconds.high,
                float(seen_s - true_s),
                measured.validity.status,
                tuple(fault.found for fault in measured.validity.faults),
            )
        )
    return rows
