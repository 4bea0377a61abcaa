"""The summary of one run of load against one target: what the store and the models get."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict

from loadtests.goodput import Goodput, goodput, limits_text
from loadtests.host_change import host_change
from loadtests.inside import Inside
from loadtests.intervals import (
    QUANTILES,
    Interval,
    Quantile,
    dependent_quantile,
    plain_quantile,
    quantile_in,
)
from loadtests.resources import ResourceSummary
from loadtests.samples import Samples, ratio_bound
from loadtests.slo import (
    GoodputObjective,
    LatencyObjective,
    claimed_quantile,
    request_limits,
)
from loadtests.steady import achieved_rps, settled, throughput_rps
from loadtests.streaming.figures import TokenFigures, token_figures
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

    from loadtests.host_change import HostChange, Slowdown
    from loadtests.monitor import Neighbours
    from loadtests.pace import Pace
    from loadtests.slo import Limit, Objective, QuantileObjective

__all__ = [
    "QUANTILES",
    "Interval",
    "Load",
    "Measurement",
    "Quantile",
    "TargetRecord",
    "TargetUse",
    "summarise_closed",
    "summarise_open",
    "with_objectives",
]

NOT_STREAMED = "the answers were not streamed"


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


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

    def is_steady(self, starts: int) -> bool:
        """A server that came during the run, from zero or in another's place, is part of it."""
        return self.traffic is None and starts == 0


class TargetRecord(_Frozen):
    """What it was asked of. vcpus: the size as given or enforced; None when nobody said.

    notes: what else a reader of its figures must know, a sentence each.
    """

    kind: str
    label: str
    started_from: str
    vcpus: float | None
    memory_gib: float | None
    limits: str | None
    shares_cores: bool
    setup_s: float | None
    instance_type: str | None = None
    notes: tuple[str, ...] = ()


class TargetUse(_Frozen):
    """What the target used while it was measured; None is not knowable.

    starts: servers that came while it was.
    """

    cpu_s: float | None = None
    memory_peak_bytes: int | None = None
    throttled_s: float | None = None
    starts: int = 0


class Measurement(_Frozen):
    """Figures are of the steady part, after warmup_s; counts are of the whole run.

    latency: due to done, failures counting as infinitely late. service: sent to done, successes
    only. error_ratio: failed, dropped and unfinished over due. in_flight: time average of requests
    in flight. tokens: of streamed answers; no_tokens says why there are none. goodput: of an
    open-loop run, for each set of limits that its objectives come to. inside: what went on behind
    a gateway of ours, None where there was none. starts: servers that came during the run; where
    some did, all of it counts. host_slowdown, host_swing: `host_change.Slowdown`. host_work_s:
    CPU-seconds of a small piece of work meanwhile (`Pace.mean_s`); those of two measurements
    compare how fast the host was.
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
    starts: int = 0
    generator_cpu_ratio: float
    neighbour_cpu_ratio: float | None
    host_slowdown: float | None = None
    host_swing: float | None = None
    host_work_s: float | None = None
    over_saturated: bool
    stop_reason: str | None
    validity: Validity
    resources: ResourceSummary | None = None
    tokens: TokenFigures | None = None
    no_tokens: str | None = NOT_STREAMED
    goodput: tuple[Goodput, ...] = ()
    inside: Inside | None = None

    @property
    def is_evidence(self) -> bool:
        return self.validity.status is not Status.INVALID

    def latency_at(self, quantile: float) -> Interval:
        """Not-known for a quantile that was not summarised."""
        return quantile_in(self.latency, quantile)

    def slowness(self, pace_s: float | None) -> float:
        """Of the host meanwhile, over one of that pace; 1 where either is not known."""
        if pace_s is None or self.host_work_s is None:
            return 1.0
        return self.host_work_s / pace_s

    def at(self, objective: QuantileObjective) -> Interval:
        """Of what the objective is about; not-known where that was not measured or summarised."""
        if isinstance(objective, LatencyObjective):
            return self.latency_at(objective.quantile)
        if self.tokens is None:
            return Interval(value=None)
        return self.tokens.at(objective.figure, objective.quantile)

    def goodput_within(self, limits: Iterable[Limit]) -> Interval:
        """The share of good requests; not-known for limits that were not summarised."""
        within = limits_text(limits)
        found = (each.ratio for each in self.goodput if each.within == within)
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
    neighbours: Neighbours | None = None
    slowdown: Slowdown | None = None
    over_saturated: bool = False
    stop_reason: str | None = None
    resources: ResourceSummary | None = None
    pace: Pace | None = None
    inside: Inside | None = None

    def host_change(self, samples: Samples) -> HostChange | None:
        return host_change(self.slowdown, samples, self.use.cpu_s, self.elapsed_s)


def summarise_open(
    samples: Samples, facts: RunFacts, objectives: Iterable[Objective] = ()
) -> Measurement:
    objectives = tuple(objectives)
    claimed = claimed_quantile(objectives)
    steady = settled(samples, facts.stop_reason, is_steady=facts.load.is_steady(facts.use.starts))
    validity = check_open(
        OpenEvidence(
            samples=samples,
            steady=steady,
            due=facts.due,
            quantile=claimed,
            generator=facts.generator,
            over_saturated=facts.over_saturated,
            stopped_early=facts.stop_reason is not None,
            neighbours=facts.neighbours,
            host=facts.host_change(samples),
        )
    )
    judged = _judged_by(samples, steady, objectives)
    return _summary(samples, steady, facts, judged, validity)


def summarise_closed(samples: Samples, facts: RunFacts) -> Measurement:
    """A closed loop has no latency of its own: nobody was kept waiting to be sent."""
    steady = settled(samples, facts.stop_reason, is_steady=facts.load.is_steady(facts.use.starts))
    host = facts.host_change(samples)
    validity = check_closed(samples, facts.generator, facts.neighbours, host)
    tokens = _tokens(token_figures(samples, steady, ()))
    return _summary(samples, steady, facts, {"latency": (), **tokens}, validity)


def with_objectives(
    measured: Measurement, samples: Samples, objectives: Iterable[Objective]
) -> Measurement:
    """An open-loop run summarised for other objectives; a closed one as it is."""
    if measured.load.loop == "closed":
        return measured
    steady = settled(
        samples, measured.stop_reason, is_steady=measured.load.is_steady(measured.starts)
    )
    return measured.model_copy(update=_judged_by(samples, steady, tuple(objectives)))


def _judged_by(
    samples: Samples, steady: Samples, objectives: tuple[Objective, ...]
) -> dict[str, Any]:
    """The figures of a Measurement that objectives ask for."""
    latency = (each for each in objectives if isinstance(each, LatencyObjective))
    limits = {each.quantile: each.limit_s for each in latency}
    sets = {each.within: None for each in objectives if isinstance(each, GoodputObjective)}
    sets |= {request_limits(objectives): None}
    return {
        "latency": tuple(
            dependent_quantile(steady.latency_s, quantile, limits.get(quantile))
            for quantile in sorted({*QUANTILES, *limits})
        ),
        "goodput": tuple(goodput(steady, limits) for limits in sets if limits),
        **_tokens(token_figures(samples, steady, objectives)),
    }


def _tokens(found: TokenFigures | None) -> dict[str, Any]:
    return {"tokens": found, "no_tokens": NOT_STREAMED if found is None else None}


def _summary(
    samples: Samples,
    steady: Samples,
    facts: RunFacts,
    judged: dict[str, Any],
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
        offered_rps=facts.load.rate_rps,
        in_flight=facts.generator.in_flight_s / facts.elapsed_s,
        generator_cpu_ratio=facts.generator.busy,
        neighbour_cpu_ratio=facts.neighbours and facts.neighbours.share,
        host_slowdown=facts.slowdown and facts.slowdown.nearest,
        host_swing=facts.slowdown and facts.slowdown.swing,
        host_work_s=facts.pace and facts.pace.mean_s,
        over_saturated=facts.over_saturated,
        stop_reason=facts.stop_reason,
        validity=validity,
        resources=facts.resources,
        inside=facts.inside,
        **judged,
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
        "achieved_rps": achieved_rps(samples, facts.elapsed_s),
        "error_ratio": Interval.of(ratio_bound(bad, len(judged))),
        "response_bytes_mean": float(answered.mean()) if len(answered) else None,
    }


def _steady_figures(steady: Samples, facts: RunFacts) -> dict[str, Any]:
    """Of what is left after the warm-up."""
    service, late = steady.service_s, steady.lateness_s
    return {
        "throughput_rps": throughput_rps(steady, facts.elapsed_s),
        "service": tuple(plain_quantile(service, q) for q in QUANTILES) if len(service) else (),
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
        "starts": use.starts,
    }


def _per(amount: float | None, count: float) -> float | None:
    return None if amount is None or count <= 0 else amount / count
