"""One measurement of a run, looked into: what was asked, how it went, what spoils it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from dashboard import format as fmt
from dashboard.evidence import INVALID_TRY
from loadtests.fleets.spot import SpotReport
from loadtests.serverless.report import ServerlessMeasured
from loadtests.validity import HOST_SLOWDOWN
from recommender.loadtest.kept import step_key
from recommender.loadtest.words import between, percent, rounded

if TYPE_CHECKING:
    from loadtests.fleets.spot import InterruptionCost
    from loadtests.measurement import Load, Measurement
    from loadtests.outline import ErrorKind, Outline
    from recommender.loadtest.report import LoadTestReport
    from recommender.measured import KeptMeasurement

__all__ = [
    "Choice",
    "ColdStartView",
    "ErrorLine",
    "InterruptionLine",
    "LookedInto",
    "QuantileLine",
    "choices_of",
    "choices_of_quick",
    "looked_into",
]

MIB = 2**20
NO_LATENCY = "–"  # noqa: RUF001 - in a table, of a closed loop
SAID = {
    "refused": "answered with an error",
    "broken": "no answer: the connection was refused, reset or ended early",
    "timed out": "no answer in time",
    "dropped": "never sent: every connection was taken",
    "unfinished": "unanswered when the run was stopped",
}


class Choice(NamedTuple):
    """key: of the measurement in the store. group: the test it belongs to."""

    key: str
    label: str
    group: str
    measurement: Measurement


class QuantileLine(NamedTuple):
    quantile: str
    latency: str
    service: str


class ErrorLine(NamedTuple):
    kind: str
    requests: str
    share: str
    when: str


class InterruptionLine(NamedTuple):
    noticed: str
    lost: str
    missing: str
    recovered: str
    remark: str


@dataclass(frozen=True, slots=True)
class ColdStartView:
    """facts: of starts and of the requests that waited for one. notes: what else to know."""

    facts: tuple[tuple[str, str], ...]
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class LookedInto:
    """faults: what is in doubt, and what to do about it. no_errors: said where there are none.

    interruptions: None where the target was not to be interrupted. cold: None where servers do
    not come and go.
    """

    validity: str
    said: str
    faults: tuple[tuple[str, str, str], ...]
    facts: tuple[tuple[str, str], ...]
    quantiles: tuple[QuantileLine, ...]
    errors: tuple[ErrorLine, ...]
    no_errors: str
    interruptions: tuple[InterruptionLine, ...] | None
    cold: ColdStartView | None


def choices_of(report: LoadTestReport) -> tuple[Choice, ...]:
    """Everything a load test measured, test by test."""
    return tuple(
        Choice(
            step_key(run.configuration, test.scenario, run.key),
            _label(run.key, run.measurement),
            f"{run.configuration}: {test.scenario}",
            run.measurement,
        )
        for test in report.tests
        for run in (*test.runs, *test.invalid)
    )


def choices_of_quick(measured: tuple[KeptMeasurement, ...]) -> tuple[Choice, ...]:
    """By the size they were taken at."""
    return tuple(
        Choice(each.key, _label(step, each.measurement), size, each.measurement)
        for each in measured
        for size, _, step in [each.key.partition("/")]
    )


def looked_into(found: Measurement, outline: Outline | None) -> LookedInto:
    """outline: None where no samples were kept."""
    status = found.validity.status.value
    return LookedInto(
        validity=status,
        said=_stopped(found),
        faults=tuple(
            (each.status.value, each.found, each.advice) for each in found.validity.faults
        ),
        facts=_facts(found),
        quantiles=_quantiles(found),
        errors=() if outline is None else tuple(_error(e, found.due) for e in outline.errors),
        no_errors=_no_errors(found, outline),
        interruptions=tuple(map(_interruption, found.inside.interruptions))
        if isinstance(found.inside, SpotReport)
        else None,
        cold=_cold(found.inside) if isinstance(found.inside, ServerlessMeasured) else None,
    )


def _label(step: str, found: Measurement) -> str:
    trial, is_trial, _ = step.rpartition(": ")
    named = f"{trial.partition(' ')[2]}: " if is_trial else ""
    status = found.validity.status.value
    tried = " (a try that was INVALID)" if INVALID_TRY in step else ""
    return f"{named}{_asked(found.load)}, {status}{tried}"


def _asked(load: Load) -> str:
    if load.traffic is not None:
        return load.traffic
    if load.loop == "closed":
        return f"closed loop, {load.concurrency} at a time"
    rate = "rate not known" if load.rate_rps is None else f"{rounded(load.rate_rps, 4)} req/s"
    return f"open loop, {rate}, {load.process or 'arrivals not known'}"


def _stopped(found: Measurement) -> str:
    if found.over_saturated:
        return "The server fell behind for good: it was offered more than it can serve."
    if found.stop_reason is None:
        return "It ran to its end."
    return f"It was ended early: {found.stop_reason}."


def _facts(found: Measurement) -> tuple[tuple[str, str], ...]:
    unseen = fmt.not_measured("the server's processes could not be seen")
    cpu = found.cpu_busy_vcpus
    memory = found.memory_peak_bytes
    late = found.lateness_p99_s
    return (
        ("asked", _asked(found.load)),
        ("took", fmt.took(found.elapsed_s)),
        ("due", fmt.count(found.due)),
        ("sent", f"{rounded(found.achieved_rps, 4)} req/s"),
        ("answered well", f"{rounded(found.throughput_rps, 4)} req/s"),
        ("lost", percent(found.error_ratio)),
        ("in flight", f"{found.in_flight:.3g} on average"),
        ("CPU", unseen if cpu is None else f"{cpu:.2f} vCPU"),
        ("memory at peak", unseen if memory is None else fmt.mebibytes(memory)),
        ("sent late by", "nothing was sent" if late is None else f"{fmt.duration(late)} (p99)"),
        ("measured on", found.target.label),
        *_speed(found.host_swing),
    )


def _speed(swing: float | None) -> tuple[tuple[str, str], ...]:
    """Only where it tells something: of a machine that was fast and slow by turns."""
    if swing is None or swing <= HOST_SLOWDOWN:
        return ()
    return (("speed of the machine", f"up and down by {rounded(swing, 2)} times after the run"),)


def _quantiles(found: Measurement) -> tuple[QuantileLine, ...]:
    latency = {each.quantile: each.seconds for each in found.latency}
    service = {each.quantile: each.seconds for each in found.service}
    return tuple(
        QuantileLine(
            f"p{quantile * 100:g}",
            between(latency[quantile], 1e3) if quantile in latency else NO_LATENCY,
            between(service[quantile], 1e3) if quantile in service else NO_LATENCY,
        )
        for quantile in sorted({*latency, *service})
    )


def _error(found: ErrorKind, due: int) -> ErrorLine:
    answered = "" if found.status is None else f" ({found.status})"
    when = f"at {found.first_s:.1f} s"
    if found.count > 1:
        when = f"{found.first_s:.1f}{fmt.TO}{found.last_s:.1f} s"
    return ErrorLine(
        SAID[found.kind] + answered,
        fmt.count(found.count),
        fmt.percent(found.count / due) if due else "not known",
        when,
    )


def _no_errors(found: Measurement, outline: Outline | None) -> str:
    if outline is None:
        return fmt.not_measured("this run kept no samples")
    return f"None of {fmt.count(found.due)} requests failed, and none was left unsent."


def _interruption(cost: InterruptionCost) -> InterruptionLine:
    """Times of the drill's own length, as the chart has them."""
    return InterruptionLine(
        f"{cost.noticed_s:.1f} s",
        fmt.count(cost.lost),
        "not known" if cost.missing_s is None else fmt.duration(cost.missing_s),
        "not known"
        if cost.recovered_s.value is None
        else f"{between(cost.recovered_s, digits=2)} s",
        cost.reason or "",
    )


def _cold(found: ServerlessMeasured) -> ColdStartView:
    starts, requests, instances = found.starts, found.requests, found.instances
    facts = [
        ("starts", fmt.count(starts.count)),
        ("instances at most", fmt.count(instances.peak)),
        ("waited for one", percent(requests.cold_ratio)),
        ("throttled (429)", percent(requests.throttled_ratio)),
    ]
    if starts.count:
        facts += [
            ("start to ready", f"{between(starts.setup_s)} s"),
            ("start to first answer", f"{between(starts.first_answer_s)} s"),
            ("those who waited", f"{between(starts.waited_s)} s"),
        ]
    if instances.failed_starts:
        facts.append(("failed to start", fmt.count(instances.failed_starts)))
    return ColdStartView(tuple(facts), found.notes)
