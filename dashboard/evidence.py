"""What a recommendation rests on, as its page shows it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from dashboard import format as fmt

if TYPE_CHECKING:
    from loadtests.environment import Environment
    from recommender.recommendation import Evidence, MeasurementSummary, SizeFacts

__all__ = [
    "INVALID_TRY",
    "EvidenceView",
    "MeasurementLine",
    "SizeLine",
    "evidence_view",
    "machine_facts",
    "measurement_line",
]

INVALID_TRY = "-invalid-"  # with what comes behind it tells tries apart; `validity` says the rest
UNSEEN = fmt.not_measured("the server's processes could not be seen")


class SizeLine(NamedTuple):
    size: str
    capacity: str
    basis: str
    saturation: str
    service_mean: str
    cpu: str
    memory: str
    setup: str


class MeasurementLine(NamedTuple):
    key: str
    load: str
    requests: str
    throughput: str
    service_mean: str
    latency_p95: str
    cpu: str
    validity: str
    faults: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class EvidenceView:
    sizes: tuple[SizeLine, ...]
    measurements: tuple[MeasurementLine, ...]
    counts: str
    facts: tuple[tuple[str, str], ...]


def evidence_view(evidence: Evidence) -> EvidenceView:
    validities = [each.validity for each in evidence.measurements]
    counts = ", ".join(
        f"{fmt.count(validities.count(each))} {each}" for each in dict.fromkeys(validities)
    )
    return EvidenceView(
        sizes=tuple(map(_size, evidence.sizes)),
        measurements=tuple(map(measurement_line, evidence.measurements)),
        counts=counts or "none",
        facts=_facts(evidence),
    )


def _size(size: SizeFacts) -> SizeLine:
    capacity = fmt.rate_range(size.capacity_low_rps, size.capacity_high_rps)
    return SizeLine(
        size=f"{size.vcpus:g} vCPU",
        capacity=f"{fmt.rate(size.capacity_rps)} ({capacity})",
        basis=size.basis,
        saturation=fmt.rate(size.saturation_rps),
        service_mean=fmt.duration(size.service_mean_s),
        cpu=_cpu(size.cpu_s_per_request),
        memory=UNSEEN if size.memory_peak_bytes is None else fmt.mebibytes(size.memory_peak_bytes),
        setup=fmt.not_measured("it was running already")
        if size.setup_s is None
        else fmt.duration(size.setup_s),
    )


def measurement_line(found: MeasurementSummary) -> MeasurementLine:
    return MeasurementLine(
        key=found.key.partition(INVALID_TRY)[0],
        load=found.load,
        requests=fmt.count(found.requests),
        throughput=fmt.rate(found.throughput_rps),
        service_mean=fmt.not_measured("nothing was answered")
        if found.service_mean_s is None
        else fmt.duration(found.service_mean_s),
        latency_p95=_latency(found),
        cpu=_cpu(found.cpu_s_per_request),
        validity=found.validity,
        faults=found.faults,
    )


def _latency(found: MeasurementSummary) -> str:
    low_s, high_s = found.latency_p95_low_s, found.latency_p95_high_s
    if found.latency_p95_s is not None:
        bounds = "" if low_s is None else f" ({fmt.duration_range(low_s, high_s)})"
        return fmt.duration(found.latency_p95_s) + bounds
    if found.load.startswith("closed"):
        return fmt.not_measured("a closed loop has no due times")
    return fmt.not_measured("too few requests were answered")


def _cpu(seconds: float | None) -> str:
    return UNSEEN if seconds is None else fmt.duration(seconds)


def _facts(evidence: Evidence) -> tuple[tuple[str, str], ...]:
    book, model = evidence.price_book, evidence.model
    error = (
        fmt.not_measured("nobody has tested it on machines held out")
        if model.holdout_error is None
        else f"{fmt.percent(model.holdout_error)} median, on machines held out"
    )
    coverage = (
        fmt.not_measured("nobody has tested it on machines held out")
        if model.holdout_coverage is None
        else f"{fmt.percent(model.holdout_coverage)} of them inside the {fmt.INTERVAL}"
    )
    return (
        ("price book", f"{book.name}, published {book.published_on}, {book.age_days} days old"),
        ("model", model.name),
        ("its error", error),
        ("its intervals", coverage),
        *machine_facts(evidence.environment),
        ("silicon", model.source_silicon or "not recognised"),
    )


def machine_facts(machine: Environment) -> tuple[tuple[str, str], ...]:
    hardware = (
        f"{machine.cpu_name or 'a CPU without a name'}, {machine.cores} cores, "
        f"{machine.memory_gib:.3g} GiB, {machine.architecture}"
    )
    software = (
        f"Linux {machine.kernel}, Python {machine.python}, Locust {machine.locust}, "
        f"recommender {machine.tool}"
    )
    return ("measured on", hardware), ("software", software)
