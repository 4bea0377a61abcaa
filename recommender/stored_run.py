"""A run as the store holds it, read back into what a recommendation is made from."""

from __future__ import annotations

from ipaddress import ip_address
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from loadtests.environment import Environment
from loadtests.measurement import Measurement, with_objectives
from loadtests.modes.capacity import Evidence, conclude
from loadtests.probe import Measured
from loadtests.samples import Samples
from loadtests.steps import ClosedStep, OpenStep
from recommender.accelerated import AcceleratedModel
from recommender.demand import slo_to_rank_by
from recommender.machines import likely_machines, machine_here, unseen_machine
from recommender.measured import KeptMeasurement, MeasuredRun
from recommender.performance.accelerators import GpuRoofline
from recommender.performance.measured_size import MeasuredSize, at_one_pace
from recommender.placement.here import Placement
from recommender.request import QuickRequest

if TYPE_CHECKING:
    from loadtests.modes.capacity import Capacity, SearchSettings
    from loadtests.slo import Slo
    from recommender.performance.speed_prior import Machine
    from recommender.request import Source
    from recommender.store import Run, Store

__all__ = [
    "KEY_SEPARATOR",
    "PLACEMENT",
    "kept_measurements",
    "measured_size",
    "read_run",
    "size_label",
    "stored_steps",
]

KEY_SEPARATOR = "/"
PLACEMENT = "placement"  # of this machine, in the environment of a run
INVALID_MARK = "-invalid-"


def size_label(vcpus: float | None) -> str:
    return "as it is" if vcpus is None else f"{vcpus:g} vCPU"


def stored_steps(store: Store, run_id: str) -> dict[str, dict[str, Measured]]:
    """By size label, then by step key. INVALID tries are not among them."""
    found: dict[str, dict[str, Measured]] = {}
    for stored in store.measurements(run_id):
        label, _, key = stored.key.partition(KEY_SEPARATOR)
        if INVALID_MARK in key or not stored.has_samples:
            continue
        measured = Measured(
            Measurement.model_validate(stored.document), Samples.decode(store.samples(stored.id))
        )
        found.setdefault(label, {})[key] = measured
    return found


def read_run(store: Store, run: Run, slo_text: str) -> MeasuredRun:
    """Judged anew under `slo_text`, from the samples, without measuring anything."""
    request = QuickRequest.model_validate(run.request)
    slo = slo_to_rank_by(slo_text)
    environment = Environment.model_validate(run.environment)
    found = (
        _size_of(steps, slo, request.settings, float(environment.cores))
        for steps in stored_steps(store, run.id).values()
    )
    kept = kept_measurements(store, run)
    placement, is_here = _placement(run), _is_here(request.source)
    return MeasuredRun(
        id=run.id,
        sizes=at_one_pace([size for size in found if size is not None]),
        measurements=kept,
        environment=environment,
        source=machine_here(environment, placement) if is_here else unseen_machine(),
        likely=_likely(environment, placement) if is_here else (),
        measured_on=request.measured_on,
        seconds=_seconds(store, run, kept),
        size_known=request.source.kind != "url" or request.vcpus is not None,
        accelerated=None
        if request.model is None
        else AcceleratedModel(request.model, GpuRoofline.bundled()),
    )


def kept_measurements(store: Store, run: Run) -> tuple[KeptMeasurement, ...]:
    """All of them, INVALID tries too."""
    return tuple(
        KeptMeasurement(stored.key, Measurement.model_validate(stored.document))
        for stored in store.measurements(run.id)
    )


def _available_ratio(busiest: Measurement) -> float:
    """A core used by the generator is no core of the target's, where they share them."""
    vcpus = busiest.target.vcpus
    if not busiest.target.shares_cores or vcpus is None:
        return 1.0
    return 1 - min(busiest.generator_cpu_ratio / vcpus, 0.5)


def measured_size(
    capacity: Capacity, history: tuple[Evidence, ...], assumed_vcpus: float = 1.0
) -> MeasuredSize:
    """CPU per request from the run with most throughput: there idle work weighs least.

    All of it at the pace of the host that the capacity's model is for. assumed_vcpus: of a target
    whose size nobody said.
    """
    pace_s = capacity.model.host_work_s
    busiest = max(history, key=lambda each: each.measurement.throughput_rps).measurement
    cpu_s = busiest.cpu_s_per_request
    peaks = [
        each.measurement.memory_peak_bytes
        for each in history
        if each.measurement.memory_peak_bytes is not None
    ]
    return MeasuredSize(
        vcpus=busiest.target.vcpus or assumed_vcpus,
        capacity=capacity,
        cpu_s_per_request=None if cpu_s is None else cpu_s / busiest.slowness(pace_s),
        memory_peak_bytes=max(peaks, default=None),
        setup_s=busiest.target.setup_s,
        available_ratio=_available_ratio(busiest),
        alone_mean_s=_alone_mean_s(history, pace_s),
    )


def _alone_mean_s(history: tuple[Evidence, ...], pace_s: float | None) -> float | None:
    times = [
        each.service_s / each.felt(pace_s)
        for each in history
        if isinstance(each.step, ClosedStep) and each.step.concurrency == 1
    ]
    return float(times[0].mean()) if times and len(times[0]) else None


def _placement(run: Run) -> Placement | None:
    """None where the run was made before machines were placed."""
    found = run.environment.get(PLACEMENT)
    return None if found is None else Placement.model_validate(found)


def _likely(
    environment: Environment, placement: Placement | None
) -> tuple[tuple[Machine, float], ...]:
    return () if placement is None else likely_machines(environment, placement)


def _is_here(source: Source) -> bool:
    """A server at another address runs on hardware that this machine says nothing about."""
    if source.kind != "url":
        return True
    return _is_loopback(urlsplit(source.where or "").hostname or "")


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _size_of(
    steps: dict[str, Measured], slo: Slo, settings: SearchSettings, assumed_vcpus: float
) -> MeasuredSize | None:
    history = tuple(
        Evidence(
            _step(measured),
            with_objectives(measured.measurement, measured.samples, slo.latency),
            measured.samples.service_s,
        )
        for measured in steps.values()
    )
    capacity = conclude(history, slo, settings)
    return None if capacity is None else measured_size(capacity, history, assumed_vcpus)


def _step(measured: Measured) -> ClosedStep | OpenStep:
    load = measured.measurement.load
    if load.loop == "closed":
        return ClosedStep(load.concurrency or 1, measured.measurement.due, load.duration_s)
    return OpenStep(load.rate_rps or 0.0, load.duration_s, 0)


def _seconds(store: Store, run: Run, kept: tuple[KeptMeasurement, ...]) -> float:
    """What measuring took, as the run itself said; else the time under load."""
    stored = store.recommendation(run.id)
    if stored is not None:
        return float(stored.document["cost_of_measuring"]["seconds"])
    return sum(each.measurement.elapsed_s for each in kept)
