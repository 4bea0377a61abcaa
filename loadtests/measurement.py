"""The summary of one run of load against one target: what the store and the models get."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict

from loadtests.queueing import tail_inflation, warmup_length
from loadtests.resources import ResourceSummary
from loadtests.samples import Samples, quantile_bound, ratio_bound
from loadtests.slo import Bound, ErrorRateObjective, LatencyObjective, Verdict, judge
from loadtests.validity import (
    GeneratorFacts,
    OpenEvidence,
    Status,
    Validity,
    check_closed,
    check_open,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

    from loadtests.slo import Objective

__all__ = [
    "QUANTILES",
    "Interval",
    "Load",
    "Measurement",
    "Quantile",
    "TargetRecord",
    "TargetUse",
    "judge_measurement",
    "summarise_closed",
    "summarise_open",
    "with_objectives",
]

QUANTILES = (0.5, 0.9, 0.95, 0.99)
# Simulated, an interval of 95 % so widened holds the truth in 95 % of runs of M/M/1 at half load,
# and at 80 % load in 92 % for p95 and 95 % for p50 (24,000 requests); by 20 batches alone in 90 %.
BATCHES = (20, 10)


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Interval(_Frozen):
    """value with a 95 % interval; None is not known, never zero or infinite."""

    value: float | None
    low: float | None = None
    high: float | None = None

    @classmethod
    def of(cls, bound: Bound) -> Interval:
        return cls(value=_finite(bound.value), low=_finite(bound.low), high=_finite(bound.high))


class Quantile(_Frozen):
    quantile: float
    seconds: Interval


class Load(_Frozen):
    """What was asked. Open loop: rate_rps, its mean, and process; closed loop: concurrency.

    traffic: in words, where the rate or the number of users changed during the run.
    """

    loop: Literal["open", "closed"]
    rate_rps: float | None = None
    concurrency: int | None = None
    process: str | None = None
    traffic: str | None = None
    duration_s: float
    seed: int

    @property
    def is_steady(self) -> bool:
        return self.traffic is None


class TargetRecord(_Frozen):
    """What it was asked of. vcpus: the size as given or enforced; None when nobody said."""

    kind: str
    label: str
    started_from: str
    vcpus: float | None
    memory_gib: float | None
    limits: str | None
    shares_cores: bool
    setup_s: float | None
    instance_type: str | None = None


class TargetUse(_Frozen):
    """What the target used while it was measured; None is not knowable."""

    cpu_s: float | None = None
    memory_peak_bytes: int | None = None
    throttled_s: float | None = None


class Measurement(_Frozen):
    """Figures are of the steady part, after warmup_s; counts are of the whole run.

    latency: due to done, failures counting as infinitely late. service: sent to done, successes
    only. error_ratio: failed, dropped and unfinished over due. in_flight: time average of requests
    in flight.
    """

    target: TargetRecord
    workload: str
    load: Load
    started_at: str
    elapsed_s: float
    warmup_s: float
    due: int
    succeeded: int
    failed: int
    dropped: int
    unfinished: int
    statuses: dict[int, int]
    offered_rps: float | None
    achieved_rps: float
    throughput_rps: float
    latency: tuple[Quantile, ...]
    service: tuple[Quantile, ...]
    service_mean_s: float | None
    service_cv: float | None
    lateness_p99_s: float | None
    error_ratio: Interval
    in_flight: float
    response_bytes_mean: float | None
    cpu_s_per_request: float | None
    cpu_busy_vcpus: float | None
    memory_peak_bytes: int | None
    throttled_ratio: float | None
    generator_cpu_ratio: float
    neighbour_cpu_ratio: float | None
    host_slowdown: float | None = None
    over_saturated: bool
    stop_reason: str | None
    validity: Validity
    resources: ResourceSummary | None = None

    @property
    def is_evidence(self) -> bool:
        return self.validity.status is not Status.INVALID

    def latency_at(self, quantile: float) -> Interval:
        """Not-known for a quantile that was not summarised."""
        found = (each.seconds for each in self.latency if each.quantile == quantile)
        return next(found, Interval(value=None))


@dataclass(frozen=True, slots=True)
class RunFacts:
    """What the runner knows besides the samples."""

    target: TargetRecord
    use: TargetUse
    workload: str
    load: Load
    started_at: str
    elapsed_s: float
    generator: GeneratorFacts
    due: int
    neighbour_share: float | None = None
    host_slowdown: float | None = None
    over_saturated: bool = False
    stop_reason: str | None = None
    resources: ResourceSummary | None = None


def summarise_open(
    samples: Samples, facts: RunFacts, objectives: Iterable[LatencyObjective] = ()
) -> Measurement:
    objectives = tuple(objectives)
    claimed = max((each.quantile for each in objectives), default=0.95)
    steady = _settled(samples, facts.load, facts.stop_reason)
    validity = check_open(
        OpenEvidence(
            samples=samples,
            steady=steady,
            due=facts.due,
            quantile=claimed,
            generator=facts.generator,
            over_saturated=facts.over_saturated,
            stopped_early=facts.stop_reason is not None,
            neighbour_share=facts.neighbour_share,
            host_slowdown=facts.host_slowdown,
        )
    )
    return _summary(samples, steady, facts, _latencies(steady, objectives), validity)


def summarise_closed(samples: Samples, facts: RunFacts) -> Measurement:
    """A closed loop has no latency of its own: nobody was kept waiting to be sent."""
    steady = _settled(samples, facts.load, facts.stop_reason)
    validity = check_closed(samples, facts.generator, facts.neighbour_share, facts.host_slowdown)
    return _summary(samples, steady, facts, (), validity)


def with_objectives(
    measured: Measurement, samples: Samples, objectives: Iterable[LatencyObjective]
) -> Measurement:
    """An open-loop run with its latency summarised for other objectives; a closed one as it is."""
    if measured.load.loop == "closed":
        return measured
    steady = _settled(samples, measured.load, measured.stop_reason)
    return measured.model_copy(update={"latency": _latencies(steady, objectives)})


def _latencies(steady: Samples, objectives: Iterable[LatencyObjective]) -> tuple[Quantile, ...]:
    limits = {each.quantile: each.limit_s for each in objectives}
    wanted = sorted({*QUANTILES, *limits})
    return tuple(_latency(steady.latency_s, quantile, limits.get(quantile)) for quantile in wanted)


def judge_measurement(measured: Measurement, objective: Objective) -> Verdict:
    if not measured.is_evidence:
        return Verdict.UNKNOWN
    match objective:
        case LatencyObjective():
            return _judge_latency(measured, objective)
        case ErrorRateObjective(limit_ratio):
            return judge(_bound(measured.error_ratio), limit_ratio)


def _judge_latency(measured: Measurement, objective: LatencyObjective) -> Verdict:
    """A backlog that grows for good misses every objective, however short the run was.

    Where failures reach into the quantile its value is infinite, stored as None: missed when there
    are surely more of them than the quantile leaves room for, else not decided.
    """
    if measured.over_saturated:
        return Verdict.MISSED
    found = measured.latency_at(objective.quantile)
    if found.value is not None:
        return judge(_bound(found), objective.limit_s)
    if found.low is not None and found.low > objective.limit_s:
        return Verdict.MISSED
    surely_bad = measured.error_ratio.low
    if surely_bad is not None and surely_bad > 1 - objective.quantile:
        return Verdict.MISSED
    return Verdict.UNKNOWN


def _summary(
    samples: Samples,
    steady: Samples,
    facts: RunFacts,
    latency: tuple[Quantile, ...],
    validity: Validity,
) -> Measurement:
    warmup_s = float(steady.due_s[0]) if len(steady) < len(samples) and len(steady) else 0.0
    return Measurement(
        target=facts.target,
        workload=facts.workload,
        load=facts.load,
        started_at=facts.started_at,
        elapsed_s=facts.elapsed_s,
        warmup_s=warmup_s,
        latency=latency,
        offered_rps=facts.load.rate_rps,
        in_flight=facts.generator.in_flight_s / facts.elapsed_s,
        generator_cpu_ratio=facts.generator.busy,
        neighbour_cpu_ratio=facts.neighbour_share,
        host_slowdown=facts.host_slowdown,
        over_saturated=facts.over_saturated,
        stop_reason=facts.stop_reason,
        validity=validity,
        resources=facts.resources,
        **_counts(samples, facts),
        **_steady_figures(steady, facts),
        **_use(len(samples) - samples.dropped, facts),
    )


def _counts(samples: Samples, facts: RunFacts) -> dict[str, Any]:
    """Of the whole run; the share of errors without those that our own stop cut off."""
    judged = samples if facts.stop_reason is None else samples.not_cut_off()
    bad = judged.failed + judged.dropped + judged.unfinished
    answered = samples.records["bytes"][samples.is_success]
    return {
        "due": facts.due,
        "succeeded": samples.succeeded,
        "failed": samples.failed,
        "dropped": samples.dropped,
        "unfinished": samples.unfinished,
        "statuses": samples.status_counts(),
        "achieved_rps": _achieved_rps(samples, facts),
        "error_ratio": Interval.of(ratio_bound(bad, len(judged))),
        "response_bytes_mean": float(answered.mean()) if len(answered) else None,
    }


def _steady_figures(steady: Samples, facts: RunFacts) -> dict[str, Any]:
    """Of what is left after the warm-up."""
    service, late = steady.service_s, steady.lateness_s
    return {
        "throughput_rps": _throughput_rps(steady, facts),
        "service": tuple(_quantile(service, q) for q in QUANTILES) if len(service) else (),
        "service_mean_s": float(service.mean()) if len(service) else None,
        "service_cv": float(service.std() / service.mean()) if len(service) else None,
        "lateness_p99_s": float(np.quantile(late, 0.99)) if len(late) else None,
    }


def _use(sent: int, facts: RunFacts) -> dict[str, Any]:
    use = facts.use
    return {
        "cpu_s_per_request": _per(use.cpu_s, sent),
        "cpu_busy_vcpus": _per(use.cpu_s, facts.elapsed_s),
        "memory_peak_bytes": use.memory_peak_bytes,
        "throttled_ratio": _per(use.throttled_s, facts.elapsed_s),
    }


def _settled(samples: Samples, load: Load, stop_reason: str | None) -> Samples:
    """After the warm-up, and before our own stop cut off what was in flight.

    Load that changes never settles, and counts from its first request. Failures are infinite, so
    the cut is sought in the order of finite times.
    """
    if stop_reason is not None:
        samples = samples.not_cut_off()
    if not load.is_steady:
        return samples
    taken = np.where(np.isfinite(samples.latency_s), samples.latency_s, 0.0)
    return Samples(samples.records[warmup_length(taken) :])


def _latency(values: NDArray[np.float64], quantile: float, limit_s: float | None) -> Quantile:
    if len(values) == 0:
        return Quantile(quantile=quantile, seconds=Interval(value=None))
    threshold = limit_s
    if threshold is None or not 0 < np.mean(values > threshold) < 1:
        threshold = float(np.quantile(values, quantile, method="higher"))
    inflation = tail_inflation(values > threshold, batches=BATCHES)
    return Quantile(
        quantile=quantile,
        seconds=Interval.of(quantile_bound(values, quantile, inflation=inflation)),
    )


def _quantile(values: NDArray[np.float64], quantile: float) -> Quantile:
    return Quantile(quantile=quantile, seconds=Interval.of(quantile_bound(values, quantile)))


def _throughput_rps(steady: Samples, facts: RunFacts) -> float:
    """Good answers that came while requests were still being sent, over that time.

    What comes after the last send comes from a load that is no longer there, and one request that
    hangs would count for all the rest.
    """
    if len(steady) == 0:
        return 0.0
    first_us, last_us = int(steady.records["due_us"][0]), int(steady.records["due_us"][-1])
    if last_us <= first_us:
        return steady.succeeded / facts.elapsed_s
    came = steady.is_success & (steady.records["done_us"] <= last_us)
    return float(np.sum(came)) / (last_us - first_us) * 1e6


def _achieved_rps(samples: Samples, facts: RunFacts) -> float:
    """Over the time of sending, not of waiting for the last answers."""
    sent_us = samples.records["sent_us"][samples.is_sent]
    span_us = int(sent_us.max() - sent_us.min()) if len(sent_us) else 0
    return (len(sent_us) - 1) / span_us * 1e6 if span_us > 0 else len(sent_us) / facts.elapsed_s


def _per(amount: float | None, count: float) -> float | None:
    return None if amount is None or count <= 0 else amount / count


def _finite(value: float | None) -> float | None:
    return None if value is None or not np.isfinite(value) else value


def _bound(interval: Interval) -> Bound:
    return Bound(interval.value, interval.low, interval.high)
