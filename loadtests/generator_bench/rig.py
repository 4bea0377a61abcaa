"""The load generator on a stand: runs whose every request the server recorded as well."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import psutil

from loadtests.arrivals import due_times
from loadtests.demo_server.truth import forget_truth, read_truth
from loadtests.generator_bench.evidence import Run
from loadtests.generator_bench.stand import GENERATOR, Watch, processes
from loadtests.generator_bench.trials import FLOOD_USERS
from loadtests.runner import ClosedJob, Destination, OpenJob
from loadtests.traffic import Steady
from loadtests.validity import OpenEvidence, check_open
from loadtests.workload import Payload, Workload

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from loadtests.generator_bench.stand import Stand
    from loadtests.runner import Engine, EngineRun, Progress

__all__ = ["WORKLOAD", "Flood", "Loss", "flood", "lose_a_worker", "open_run", "unrecorded_s"]

WORKLOAD = Workload((Payload("a list", b"[1]"),), "application/json")
CONNECTIONS = 1024  # a stall of 1 s at 200/s holds more than the usual 256
CLAIMED = 0.99
WARM_UP_S, WARM_UP_REQUESTS, WARM_UP_USERS = 0.5, 2000, 4
UNLIMITED = 10**9
CHOICES = 64
ROUNDING_US = 2


class Flood(NamedTuple):
    """As fast as it goes. held_bytes: memory of the generator, after so many requests each."""

    rate_rps: float
    requests: list[int]
    held_bytes: list[int]


class Loss(NamedTuple):
    """run: of a job in which a worker was killed. lost_s: of its samples, before it was."""

    run: EngineRun
    noticed_s: float | None
    lost_s: float
    is_invalid: bool


def open_run(engine: Engine, stand: Stand, rate_rps: int, duration_s: float, seed: int) -> Run:
    """Poisson arrivals. The warm-up before them leaves no trace in the server's record."""
    destination = _destination(stand)
    engine.run(destination, _closed(WARM_UP_USERS, WARM_UP_REQUESTS, WARM_UP_S))
    forget_truth(stand.base_url)
    due_s = due_times(Steady(rps=rate_rps), duration_s, seed=seed)
    watch = Watch(stand)
    run = engine.run(destination, OpenJob(due_s, _only_payload(len(due_s))))
    return Run(
        rate_rps,
        run.samples,
        read_truth(stand.base_url),
        check_open(_evidence(run, len(due_s))),
        watch.neighbour_share(run.generator.cpu_s),
    )


def flood(engine: Engine, stand: Stand, duration_s: float) -> Flood:
    """Closed loop; the generator's memory is read four times a second."""
    requests: list[int] = []
    held_bytes: list[int] = []
    generators = processes(GENERATOR)

    def look(progress: Progress) -> None:
        requests.append(progress.recorded)
        held_bytes.append(sum(_held_bytes(each) for each in generators))

    run = engine.run(_destination(stand), _closed(FLOOD_USERS, UNLIMITED, duration_s), look)
    return Flood(len(run.samples) / run.elapsed_s, requests, held_bytes)


def lose_a_worker(
    engine: Engine, stand: Stand, rate_rps: int, duration_s: float, kill_after_s: float
) -> Loss:
    """engine: of two workers, of which one is killed in the middle."""
    due_s = due_times(Steady(rps=rate_rps), duration_s, seed=1)
    killed_s: list[float] = []

    def kill(progress: Progress) -> None:
        if progress.elapsed_s < kill_after_s or killed_s:
            return
        asked_s = time.perf_counter()
        worker = next(each for each in processes(GENERATOR) if "worker" in each.cmdline())
        worker.kill()
        killed_s.append(progress.elapsed_s + time.perf_counter() - asked_s)

    run = engine.run(_destination(stand), OpenJob(due_s, _only_payload(len(due_s))), kill)
    losses = [each.lost_after_s for each in run.generator.workers if each.lost_after_s is not None]
    noticed_s = losses[0] - killed_s[0] if losses and killed_s else None
    validity = check_open(_evidence(run, len(due_s)))
    return Loss(
        run,
        noticed_s,
        unrecorded_s(
            due_s, run.samples.records["due_us"], killed_s[0] if killed_s else duration_s
        ),
        any(fault.check == "workers" for fault in validity.faults),
    )


def unrecorded_s(
    due_s: NDArray[np.float64], recorded_us: NDArray[np.int64], until_s: float
) -> float:
    """From the first due request without a sample up to the instant given; 0 where all have one.

    due_s, recorded_us: from the start of the schedule, which rounds to the microsecond.
    """
    asked_us = np.rint(due_s[due_s < until_s] * 1e6)
    missing_us = asked_us[~_are_near(asked_us, np.unique(recorded_us))]
    return until_s - float(missing_us[0]) / 1e6 if len(missing_us) else 0.0


def _are_near(instants_us: NDArray[np.float64], others_us: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Which have another within ROUNDING_US. others_us: ascending."""
    after = np.searchsorted(others_us, instants_us - ROUNDING_US)
    ends = np.searchsorted(others_us, instants_us + ROUNDING_US, side="right")
    return np.asarray(ends > after)


def _destination(stand: Stand) -> Destination:
    return Destination(
        (stand.base_url,), WORKLOAD, (stand.generator_core,), connections=CONNECTIONS
    )


def _closed(users: int, most: int, duration_s: float) -> ClosedJob:
    return ClosedJob.constant(users, most, duration_s, _only_payload(CHOICES))


def _only_payload(count: int) -> NDArray[np.uint16]:
    return np.zeros(count, np.uint16)


def _held_bytes(process: psutil.Process) -> int:
    try:
        return int(process.memory_info().rss)
    except psutil.NoSuchProcess:
        return 0


def _evidence(run: EngineRun, due: int) -> OpenEvidence:
    return OpenEvidence(
        samples=run.samples,
        steady=run.samples,
        due=due,
        quantile=CLAIMED,
        generator=run.generator,
        over_saturated=False,
        stopped_early=False,
    )
