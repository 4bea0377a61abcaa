"""A run measured on a server that exists only here: c servers, gamma service times, no I/O."""

import heapq
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

import numpy as np

from loadtests.arrivals import due_times
from loadtests.environment import Environment
from loadtests.measurement import (
    Load,
    Measurement,
    RunFacts,
    TargetRecord,
    TargetUse,
    summarise_closed,
    summarise_open,
)
from loadtests.modes.capacity import Capacity, Evidence, SearchSettings, next_step
from loadtests.queueing import sojourns
from loadtests.samples import RECORD, Outcome, Samples
from loadtests.slo import parse_slo
from loadtests.steps import ClosedStep
from loadtests.traffic import Steady
from loadtests.validity import GeneratorFacts
from recommender.demand import Constraints, Demand, TrafficFacts, WorkloadFacts
from recommender.machines import machine_here
from recommender.measured import KeptMeasurement, MeasuredRun
from recommender.performance.measured_size import MeasuredSize  # noqa: TC001 - as plain an import as the rest
from recommender.request import QuickRequest, traffic_facts
from recommender.store import Run, Store, this_process
from recommender.stored_run import KEY_SEPARATOR, measured_size, size_label

SLO = "p95<100ms, error_rate<1%"
MIB = 2**20
NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)

ENVIRONMENT = Environment(
    host="lab",
    kernel="6.1.0",
    architecture="x86_64",
    cpu_vendor="GenuineIntel",
    cpu_name="Intel(R) Xeon(R) Platinum 8375C CPU @ 2.90GHz",
    cpu_family=6,
    cpu_model_number=106,
    cpu_stepping=6,
    cpu_flags=("avx2", "avx512f"),
    cores=2,
    threads_per_core=2,
    memory_gib=8.0,
    python="3.11.9",
    locust="2.47.0",
    tool="0.1.0",
)


@dataclass(frozen=True)
class Server:
    """One request alone takes mean_s; at v vCPUs v of them run side by side.

    error_ratio: of the answers, wrong; every so many-th.
    """

    mean_s: float = 0.008
    cv: float = 0.5
    error_every: int = 0
    memory_mib: float = 150.0
    setup_s: float | None = 1.5
    vcpus: tuple[float | None, ...] = (1.0, 2.0)
    true_vcpus: float = 2.0
    instance_type: str | None = None
    closed_requests: int = 400
    measure_s: float = 10.0

    def service_s(self, count: int, seed: int) -> np.ndarray:
        shape = 1 / self.cv**2
        return np.random.default_rng(seed).gamma(shape, self.mean_s / shape, count)


@dataclass(frozen=True)
class SimulatedRun:
    """documents: what a store would keep, by key: the measurement and its samples."""

    run: MeasuredRun
    documents: Mapping[str, tuple[Measurement, Samples]] = field(repr=False)

    def keep_in(self, store: Store, request: QuickRequest, **environment: object) -> Run:
        """As a run that goes on. environment: what is known of the machine besides."""
        known = ENVIRONMENT.model_dump(mode="json") | environment
        asked = request.model_dump(mode="json")
        run = store.create_run("quick", "simulated", asked, known, this_process())
        for key, (measurement, samples) in self.documents.items():
            document = measurement.model_dump(mode="json")
            store.add_measurement(run.id, key, document, samples.encode())
        return run


def measure(server: Server, slo: str = SLO, seed: int = 1) -> SimulatedRun:
    """The search of a real run, answered by simulation."""
    objectives = parse_slo(slo)
    settings = SearchSettings(
        seed=seed, closed_requests=server.closed_requests, confirm_s=server.measure_s
    )
    documents: dict[str, tuple[Measurement, Samples]] = {}
    sizes: list[MeasuredSize] = []
    for size in server.vcpus:
        history: tuple[Evidence, ...] = ()
        while not isinstance(step := next_step(history, objectives, settings), Capacity):
            samples = _samples(server, size or server.true_vcpus, step)
            measured = _measurement(server, size, step, samples, objectives)
            documents[f"{size_label(size)}{KEY_SEPARATOR}{step.key}"] = (measured, samples)
            history += (Evidence(step, measured, samples.service_s),)
        sizes.append(measured_size(step, history, server.true_vcpus))
    kept = tuple(KeptMeasurement(key, measured) for key, (measured, _) in documents.items())
    run = MeasuredRun(
        id="q20261121-060000-test",
        sizes=tuple(sizes),
        measurements=kept,
        environment=ENVIRONMENT,
        source=machine_here(ENVIRONMENT),
        measured_on=server.instance_type,
        seconds=30.0,
        size_known=None not in server.vcpus,
    )
    return SimulatedRun(run, documents)


WORKLOAD = WorkloadFacts(
    digest="0123456789abcdef",
    content_type="application/json",
    payloads=10,
    request_bytes_mean=300.0,
    request_bytes_largest=400,
    response_bytes_mean=60.0,
)


def demand(
    traffic: str | TrafficFacts = "100rps",
    slo: str = SLO,
    workload: Mapping[str, object] | None = None,
    **constraints: object,
) -> Demand:
    """workload: what differs from WORKLOAD."""
    return Demand(
        workload=WORKLOAD.model_copy(update=dict(workload or {})),
        traffic=traffic_facts(traffic) if isinstance(traffic, str) else traffic,
        slo=parse_slo(slo).text,
        constraints=Constraints.model_validate(
            {"architectures": ("x86_64", "arm64")} | constraints
        ),
    )


def _samples(server: Server, vcpus: float, step) -> Samples:
    workers = max(round(vcpus), 1)
    if isinstance(step, ClosedStep):
        service_s = server.service_s(step.max_requests, seed=step.concurrency)
        sent_s, done_s = _closed(service_s, step.concurrency, workers)
        return _records(server, sent_s, sent_s, done_s)
    due_s = due_times(Steady(rps=step.rate_rps), step.duration_s, seed=3)
    service_s = server.service_s(len(due_s), seed=4)
    taken_s = sojourns(np.diff(due_s, prepend=0.0)[:, None], service_s[:, None], workers)[:, 0]
    return _records(server, due_s, due_s + 1e-4, due_s + 1e-4 + taken_s)


def _closed(service_s, concurrency: int, workers: int):
    """Each of `concurrency` clients sends again as soon as it is answered."""
    ready = [0.0] * concurrency
    free = [0.0] * workers
    sent_s, done_s = np.empty(len(service_s)), np.empty(len(service_s))
    for number, service in enumerate(service_s):
        sent_s[number] = heapq.heappop(ready)
        done_s[number] = max(sent_s[number], heapq.heappop(free)) + service
        heapq.heappush(free, done_s[number])
        heapq.heappush(ready, done_s[number])
    return sent_s, done_s


def _records(server: Server, due_s, sent_s, done_s) -> Samples:
    records = np.zeros(len(due_s), RECORD)
    for name, values in (
        ("due_us", due_s),
        ("sent_us", sent_s),
        ("first_byte_us", done_s),
        ("done_us", done_s),
    ):
        records[name] = np.round(values * 1e6)
    records["status"], records["bytes"] = 200, 60
    if server.error_every:
        records["status"][:: server.error_every] = 500
        records["outcome"][:: server.error_every] = Outcome.REFUSED
    return Samples(records)


def _measurement(server: Server, size, step, samples: Samples, objectives) -> Measurement:
    is_closed = isinstance(step, ClosedStep)
    records = samples.records
    elapsed_s = float(records["done_us"].max()) / 1e6
    busy_s = float(np.sum(records["done_us"] - records["sent_us"])) / 1e6
    facts = RunFacts(
        target=TargetRecord(
            kind="process",
            label="simulated",
            started_from="a test",
            vcpus=size,
            memory_gib=None,
            limits=None,
            shares_cores=False,
            setup_s=server.setup_s,
            instance_type=server.instance_type,
        ),
        use=TargetUse(
            cpu_s=len(samples) * server.mean_s,
            memory_peak_bytes=round(server.memory_mib * MIB * max(size or server.true_vcpus, 1)),
        ),
        workload="0123456789abcdef",
        load=Load(
            loop="closed" if is_closed else "open",
            rate_rps=None if is_closed else step.rate_rps,
            concurrency=step.concurrency if is_closed else None,
            process=None if is_closed else "poisson",
            duration_s=step.max_s if is_closed else step.duration_s,
            seed=1,
        ),
        started_at="2026-11-21T06:00:00+00:00",
        elapsed_s=elapsed_s,
        generator=GeneratorFacts(0.2 * elapsed_s, elapsed_s, busy_s),
        due=len(samples),
    )
    if is_closed:
        return summarise_closed(samples, facts)
    return summarise_open(samples, facts, objectives.latency)
