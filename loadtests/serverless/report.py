"""What a run of load against a serverless configuration showed. Pure.

Billed as SageMaker bills: the time to process a request, rounded up to a millisecond; time to
start, and requests turned away, cost nothing.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict

from loadtests.gateway.passages import NO_MEMBER
from loadtests.gateway.pools import THROTTLED
from loadtests.intervals import (
    Interval,
    Quantile,
    dependent_quantile,
    dependent_share,
    mean_of_batches,
)
from loadtests.serverless.spec import STARTUP_LIMIT_S
from loadtests.serverless.starts import REFUSALS, cold_starts, first_passages
from loadtests.targets.readiness import LONGEST_PAUSE_S

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

    from loadtests.serverless.spec import ServerlessSpec
    from loadtests.serverless.starts import ColdStart, Instance

__all__ = [
    "BilledTime",
    "ColdStartFigures",
    "InstanceFigures",
    "RequestFigures",
    "ServerlessMeasured",
    "Span",
    "cold_start_figures",
    "mean_interval",
    "serverless_report",
]

WARM_QUANTILES = (0.5, 0.95, 0.99)
NOTICED_WITHIN_S = LONGEST_PAUSE_S  # of an instance's being ready: pings are so far apart
GIB = 1024**3
ROUNDING_MS = 1e-6  # what floating point adds to a whole number of milliseconds is not billed


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class ColdStartFigures(_Frozen):
    """Means with 95 % intervals; without a second start there is none.

    setup: start to /ping (SageMaker's ModelSetupTime, less what AWS adds). first_service: of the
    first request on an instance. first_answer: the two together. waited: of requests that waited
    for an instance just started. Setup is noticed up to 0.1 s late; the interval reaches down by
    as much.
    """

    count: int
    setup_s: Interval
    setup_longest_s: float | None
    first_service_s: Interval
    first_answer_s: Interval
    waited_s: Interval


class RequestFigures(_Frozen):
    """Of the requests that arrived in the span: throttled, failed or answered.

    cold: found no free instance when they came, and waited; its ratio is of those that were sent
    on. failed: answered with 4xx or 5xx by the model, or for want of it. warm_service: sent to
    answered, of requests that did not wait, the first of each instance left out.
    """

    count: int
    throttled: int
    throttled_ratio: Interval
    failed: int
    cold: int
    cold_ratio: Interval
    warm_service: tuple[Quantile, ...]
    warm_service_mean_s: float | None


class InstanceFigures(_Frozen):
    """Of the instances alive in the span.

    ready: (seconds since the span's start, how many were), at each change. memory_ratio: largest
    instance over what it may have (SageMaker's MemoryUtilization). cpu_s: over their whole lives.
    """

    ready: tuple[tuple[float, int], ...]
    peak: int
    mean: float
    failed_starts: int
    memory_peak_bytes: int | None
    memory_ratio: float | None
    cpu_s: float | None


class BilledTime(_Frozen):
    """Instance-seconds.

    on_demand_s: of requests; provisioned_duration_s: of those that provisioned instances could
    take; provisioned_s: that those instances are there for, whether or not they work.
    """

    on_demand_s: float
    provisioned_duration_s: float
    provisioned_s: float


class ServerlessMeasured(_Frozen):
    """notes: what of this run a reader must know; what is assumed stands with the target."""

    kind: Literal["serverless"] = "serverless"
    memory_gib: int
    vcpus: float
    max_concurrency: int
    provisioned_concurrency: int
    idle_s: float | None
    elapsed_s: float
    requests: RequestFigures
    starts: ColdStartFigures
    instances: InstanceFigures
    billed: BilledTime
    notes: tuple[str, ...]

    @property
    def billed_gib_s(self) -> float:
        """On demand."""
        return self.billed.on_demand_s * self.memory_gib

    @property
    def provisioned_gib_s(self) -> float:
        return self.billed.provisioned_s * self.memory_gib


@dataclass(frozen=True, slots=True)
class Span:
    """Of perf_counter; from the first instant on, up to the last."""

    from_s: float
    to_s: float

    @property
    def elapsed_s(self) -> float:
        return self.to_s - self.from_s

    def holds(self, instants_s: NDArray[np.float64]) -> NDArray[np.bool_]:
        return np.asarray((instants_s >= self.from_s) & (instants_s < self.to_s))


def serverless_report(
    passages: NDArray[np.void],
    instances: Sequence[Instance],
    spec: ServerlessSpec,
    span: Span,
) -> ServerlessMeasured:
    """passages, instances: all since the target's launch, so that first requests are known."""
    passages = passages[np.argsort(passages["arrived_s"], kind="stable")]
    alive = [each for each in instances if _is_inside(each, span)]
    return ServerlessMeasured(
        memory_gib=spec.memory_gib,
        vcpus=spec.vcpus,
        max_concurrency=spec.max_concurrency,
        provisioned_concurrency=spec.provisioned_concurrency,
        idle_s=spec.idle_s,
        elapsed_s=span.elapsed_s,
        requests=_requests(passages, span),
        starts=cold_start_figures(
            each for each in cold_starts(passages, alive) if each.started_s >= span.from_s
        ),
        instances=_instances(alive, spec, span),
        billed=_billed(passages, spec, span),
        notes=_notes(alive),
    )


def _requests(passages: NDArray[np.void], span: Span) -> RequestFigures:
    inside = span.holds(passages["arrived_s"])
    seen, is_first = passages[inside], first_passages(passages)[inside]
    served = seen["member"] != NO_MEMBER
    cold = served & (seen["waited"] != 0)
    throttled = ~served & (seen["status"] == THROTTLED)
    refused = seen["status"] >= REFUSALS
    warm_s = _service_s(seen[served & ~cold & ~is_first & ~refused])
    return RequestFigures(
        count=len(seen),
        throttled=int(throttled.sum()),
        throttled_ratio=dependent_share(throttled),
        failed=int((refused & ~throttled).sum()),
        cold=int(cold.sum()),
        cold_ratio=dependent_share(cold[served]),
        warm_service=tuple(dependent_quantile(warm_s, each) for each in WARM_QUANTILES),
        warm_service_mean_s=float(warm_s.mean()) if len(warm_s) else None,
    )


def _instances(alive: Sequence[Instance], spec: ServerlessSpec, span: Span) -> InstanceFigures:
    ready = _ready_counts(alive, span)
    peak_bytes = max(_known(each.memory_peak_bytes for each in alive), default=None)
    return InstanceFigures(
        ready=ready,
        peak=max(count for _, count in ready),
        mean=_time_mean(ready, span),
        failed_starts=sum(each.failure is not None for each in alive),
        memory_peak_bytes=None if peak_bytes is None else int(peak_bytes),
        memory_ratio=None if peak_bytes is None else peak_bytes / (spec.memory_gib * GIB),
        cpu_s=_summed([each.cpu_s for each in alive]),
    )


def _billed(passages: NDArray[np.void], spec: ServerlessSpec, span: Span) -> BilledTime:
    """Each request's time rounded up to a millisecond."""
    served = span.holds(passages["arrived_s"]) & (passages["member"] != NO_MEMBER)
    has_room = _has_room(passages, spec.provisioned_concurrency)
    billed_s = np.ceil(_service_s(passages) * 1e3 - ROUNDING_MS) / 1e3
    return BilledTime(
        on_demand_s=float(billed_s[served & ~has_room].sum()),
        provisioned_duration_s=float(billed_s[served & has_room].sum()),
        provisioned_s=spec.provisioned_concurrency * span.elapsed_s,
    )


def _notes(instances: Iterable[Instance]) -> tuple[str, ...]:
    setups_s = (each.ready_s - each.started_s for each in instances if each.ready_s is not None)
    longest_s = max(setups_s, default=0.0)
    if longest_s <= STARTUP_LIMIT_S:
        return ()
    return (f"a start took {longest_s:.0f} s: SageMaker waits for {STARTUP_LIMIT_S:.0f} s",)


def cold_start_figures(starts: Iterable[ColdStart]) -> ColdStartFigures:
    starts = tuple(starts)
    setup_s = [each.setup_s for each in starts]
    return ColdStartFigures(
        count=len(starts),
        setup_s=mean_interval(setup_s, NOTICED_WITHIN_S),
        setup_longest_s=max(setup_s, default=None),
        first_service_s=mean_interval(_known(each.first_service_s for each in starts)),
        first_answer_s=mean_interval(
            _known(each.first_answer_s for each in starts), NOTICED_WITHIN_S
        ),
        waited_s=mean_interval(_known(each.waited_s for each in starts)),
    )


def mean_interval(durations_s: Sequence[float], late_s: float = 0.0) -> Interval:
    """late_s: by which each may have been noticed too late."""
    if not durations_s:
        return Interval(value=None)
    found = mean_of_batches(np.array(durations_s, np.float64))
    if found.low is None:
        return found
    return found.model_copy(update={"low": max(found.low - late_s, 0.0)})


def _known(values: Iterable[float | None]) -> list[float]:
    return [each for each in values if each is not None]


def _summed(values: Sequence[float | None]) -> float | None:
    known = _known(values)
    return math.fsum(known) if len(known) == len(values) else None


def _service_s(passages: NDArray[np.void]) -> NDArray[np.float64]:
    return np.asarray(passages["answered_s"] - passages["sent_s"], np.float64)


def _is_inside(instance: Instance, span: Span) -> bool:
    return instance.started_s < span.to_s and (
        instance.ended_s is None or instance.ended_s > span.from_s
    )


def _ready_counts(instances: Iterable[Instance], span: Span) -> tuple[tuple[float, int], ...]:
    """At the span's start, and at each change in it."""
    steps: dict[float, int] = {0.0: 0}
    for each in instances:
        if each.ready_s is None or each.ready_s >= span.to_s:
            continue
        since_s = max(each.ready_s - span.from_s, 0.0)
        steps[since_s] = steps.get(since_s, 0) + 1
        if each.ended_s is not None and each.ended_s < span.to_s:
            until_s = max(each.ended_s - span.from_s, 0.0)
            steps[until_s] = steps.get(until_s, 0) - 1
    counts, ready = [], 0
    for at_s in sorted(steps):
        ready += steps[at_s]
        counts.append((at_s, ready))
    return tuple(counts)


def _time_mean(counts: Sequence[tuple[float, int]], span: Span) -> float:
    if span.elapsed_s <= 0:
        return float(counts[-1][1])
    lasting = pairwise((*counts, (span.elapsed_s, 0)))
    return math.fsum(count * (to_s - from_s) for (from_s, count), (to_s, _) in lasting) / (
        span.elapsed_s
    )


def _has_room(passages: NDArray[np.void], provisioned: int) -> NDArray[np.bool_]:
    """Of each: was it, when it was sent, one of as many as are always ready?"""
    served = passages["member"] != NO_MEMBER
    sent_s, ended_s = passages["sent_s"], passages["answered_s"]
    begun = np.searchsorted(np.sort(sent_s[served]), sent_s, side="left")
    ended = np.searchsorted(np.sort(ended_s[served]), sent_s, side="right")
    return np.asarray(begun - ended < provisioned)
