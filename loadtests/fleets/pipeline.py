"""Where the time of a pipeline goes, and which of its stages gives out first.

A line's request passes one stage after the other; a fan-out's is with all at once, and waits for
the last. Of each request the gateway wrote down when it came and went (a, z) and when each stage
k had it (s_k to e_k), so that in a line

    z - a  =  sum over k of (e_k - s_k)  +  the gateway's own time

holds by construction. What the generator saw, sent to done, is longer by what lies outside the
gateway's records: sockets, and the reading and writing of HTTP. That residual is stated.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
from pydantic import Field

from loadtests.fleets.passing import (
    Frozen,
    alone_s,
    busy_ratios,
    is_good,
    quantiles,
    took_s,
)
from loadtests.intervals import Interval, Quantile
from loadtests.modes.bootstrap import block_weights
from loadtests.samples import ratio_bound

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from loadtests.samples import Samples

__all__ = [
    "SHARED_CPU",
    "Bottleneck",
    "PipelineReport",
    "StageFigures",
    "StageUse",
    "pipeline_report",
]

Shape = Literal["line", "fan_out"]

BLOCKS = 20
RESAMPLES = 1000
SURE = 0.95
SHARED_CPU = "the shared CPU"
CPU_EXPLAINS = 0.5  # of a stage's time when it has one request: then its CPU is what gives out


@dataclass(frozen=True, slots=True)
class StageUse:
    """cpu_s: used by the stage's servers during the load; vcpus: what they may use at once."""

    name: str
    cpu_s: float | None = None
    vcpus: float | None = None


class StageFigures(Frozen):
    """service: of one stage, its good answers. time_share: of the time of all stages together.

    failed: answered with an error by this stage; requests: that came as far as it.
    cpu_utilization: CPU-seconds per second and vCPU. busy_ratio: share of the time that it had a
    request at all; what works on one at a time is that much utilised.
    utilization: value by what limits the stage, `limited_by`; low: its CPU's; high: busy_ratio,
    for no server is busier than it has requests.
    limit_rps: the rate at which the utilisation would be 1, if it grows with the rate.
    last_share, waited_s: of a fan-out only: how often this branch answered last; how long its
    answers lay there until the last one came, on average.
    """

    name: str
    requests: int
    failed: int
    service: tuple[Quantile, ...]
    service_mean_s: float | None
    time_share: float | None
    busy_ratio: float
    cpu_utilization: float | None
    limited_by: Literal["cpu", "its requests"]
    utilization: Interval
    limit_rps: Interval
    last_share: Interval | None = None
    waited_s: float | None = None


class Bottleneck(Frozen):
    """The stage with the largest utilisation, which gives out first as the load grows.

    sure_ratio: how often it was that in resampled blocks of the run. certainty: "sure" from 95 %.
    slowest: the stage that takes longest, where a request's time goes.
    """

    stage: str
    sure_ratio: float
    certainty: Literal["sure", "likely"]
    slowest: str


class PipelineReport(Frozen):
    """Means, in seconds, over requests answered well by all stages.

    whole_s: sent to done, as the generator saw it = stages_s + gateway_s + residual_s. stages_s:
    the sum of a line's stages, the last answer's time of a fan-out. residual_ratio: of whole_s.
    limit_rps: the smallest of the stages' limits and, where they share their cores, of the rate at
    which the CPU of all together is used up; limited_by: that stage, or "the shared CPU".
    waiting_cost_s: of a fan-out, how much longer the last answer takes than the slowest branch
    takes by itself, on average.
    """

    kind: Literal["pipeline"] = "pipeline"
    shape: Shape
    stages: tuple[StageFigures, ...] = Field(min_length=1)
    requests: int
    failed: int
    whole_s: float | None
    stages_s: float | None
    gateway_s: float | None
    residual_s: float | None
    residual_ratio: float | None
    bottleneck: Bottleneck | None
    limit_rps: Interval
    limited_by: str | None
    waiting_cost_s: float | None = None


def pipeline_report(
    samples: Samples,
    passages: NDArray[np.void],
    used: Sequence[StageUse],
    shape: Shape,
    *,
    shared_vcpus: float | None = None,
) -> PipelineReport:
    """used: of each stage, in their order. shared_vcpus: that all stages together may use."""
    run = _Run(passages, used, shape)
    whole, stages = run.whole(), run.stages()
    limited_by, limit_rps = _limit(stages, run.cpu_limit_rps(shared_vcpus))
    return PipelineReport(
        shape=shape,
        stages=stages,
        requests=run.requests,
        failed=run.requests - len(whole.left_s),
        **_reconciled(samples, whole),
        bottleneck=run.bottleneck(),
        limit_rps=limit_rps,
        limited_by=limited_by,
        waiting_cost_s=whole.waiting_cost_s if shape == "fan_out" else None,
    )


@dataclass(frozen=True, slots=True)
class _Whole:
    """Of the requests that every stage answered well. took_s: shape (requests, stages)."""

    arrived_s: NDArray[np.float64]
    left_s: NDArray[np.float64]
    sent_s: NDArray[np.float64]
    answered_s: NDArray[np.float64]
    shape: Shape

    @property
    def took_s(self) -> NDArray[np.float64]:
        return np.asarray(self.answered_s - self.sent_s)

    @property
    def stages_s(self) -> NDArray[np.float64]:
        """From the first stage's start, of a fan-out: the branches start one after the other."""
        if self.shape == "line":
            return np.asarray(self.took_s.sum(axis=1))
        return np.asarray(self.answered_s.max(axis=1) - self.sent_s.min(axis=1))

    @property
    def waiting_cost_s(self) -> float | None:
        if len(self.left_s) == 0:
            return None
        return float(self.stages_s.mean() - self.took_s.mean(axis=0).max())


class _Run:
    def __init__(self, passages: NDArray[np.void], used: Sequence[StageUse], shape: Shape) -> None:
        self._used, self._shape = used, shape
        self._passages = np.sort(passages, order=["request", "stage"])
        self.requests = len(np.unique(passages["request"]))
        self._began_s = float(passages["arrived_s"].min()) if len(passages) else 0.0
        self._ended_s = float(passages["left_s"].max()) if len(passages) else 0.0

    @property
    def _span_s(self) -> float:
        return self._ended_s - self._began_s

    def whole(self) -> _Whole:
        passages, stages = self._passages, len(self._used)
        good = passages[is_good(passages)]
        requests, counts = np.unique(good["request"], return_counts=True)
        complete = good[np.isin(good["request"], requests[counts == stages])]
        rows = complete.reshape(-1, stages)
        return _Whole(
            rows["arrived_s"][:, 0],
            rows["left_s"][:, 0],
            rows["sent_s"],
            rows["answered_s"],
            self._shape,
        )

    def stages(self) -> tuple[StageFigures, ...]:
        whole = self.whole()
        totals = whole.took_s.sum(axis=0) if len(whole.left_s) else np.zeros(len(self._used))
        return tuple(
            self._stage(
                number, used, float(totals[number] / totals.sum()) if totals.sum() else None
            )
            for number, used in enumerate(self._used)
        )

    def _stage(self, number: int, used: StageUse, time_share: float | None) -> StageFigures:
        own = self._of(number)
        good = own[is_good(own)]
        taken_s = took_s(good)
        load = self._load(number)
        return StageFigures(
            name=used.name,
            requests=len(own),
            failed=len(own) - len(good),
            service=quantiles(taken_s),
            service_mean_s=float(taken_s.mean()) if len(good) else None,
            time_share=time_share,
            busy_ratio=load.busy_ratio,
            cpu_utilization=load.cpu_utilization,
            limited_by="cpu" if load.is_cpu_bound else "its requests",
            utilization=load.utilization,
            limit_rps=load.limit_rps(len(own) / self._span_s if self._span_s > 0 else 0.0),
            **self._branch(number),
        )

    def _of(self, number: int) -> NDArray[np.void]:
        """A stage's passages, in the order they were sent."""
        return np.sort(self._passages[self._passages["stage"] == number], order="sent_s")

    def _load(self, number: int) -> _StageLoad:
        used, own = self._used[number], self._of(number)
        cpu_utilization = None
        if used.cpu_s is not None and used.vcpus and self._span_s > 0:
            cpu_utilization = min(used.cpu_s / (used.vcpus * self._span_s), 1.0)
        edges_s = np.array([self._began_s, self._ended_s])
        busy = busy_ratios(own, edges_s)
        alone = alone_s(own)
        cpu_each_s = used.cpu_s / len(own) if used.cpu_s is not None and len(own) else None
        return _StageLoad(float(busy[0]) if len(busy) else 0.0, cpu_utilization, alone, cpu_each_s)

    def cpu_limit_rps(self, vcpus: float | None) -> float | None:
        """Requests a second that would use so many vCPUs up, at the CPU that each has cost."""
        spent_s = [each.cpu_s for each in self._used if each.cpu_s is not None]
        if vcpus is None or len(spent_s) < len(self._used) or sum(spent_s) == 0:
            return None
        return vcpus * self.requests / sum(spent_s)

    def bottleneck(self) -> Bottleneck | None:
        if len(self._passages) == 0:
            return None
        loads = [self._load(number) for number in range(len(self._used))]
        blocks = self._utilizations_by_block(loads)
        weights = block_weights(BLOCKS, RESAMPLES, seed=1)
        winners = np.argmax(weights @ blocks.T, axis=1)
        first = int(np.argmax([each.value for each in loads]))
        sure_ratio = float(np.mean(winners == first))
        means = [took_s(self._of(number)).mean() for number in range(len(loads))]
        return Bottleneck(
            stage=self._used[first].name,
            sure_ratio=sure_ratio,
            certainty="sure" if sure_ratio >= SURE else "likely",
            slowest=self._used[int(np.argmax(means))].name,
        )

    def _utilizations_by_block(self, loads: Sequence[_StageLoad]) -> NDArray[np.float64]:
        """Shape (stages, BLOCKS). CPU is counted over the whole run: divided as requests are."""
        edges_s = np.linspace(self._began_s, self._ended_s, BLOCKS + 1)
        rows = []
        for number, load in enumerate(loads):
            own = self._of(number)
            if load.is_cpu_bound and load.cpu_utilization is not None:
                came = np.histogram(own["sent_s"], edges_s)[0]
                rows.append(load.cpu_utilization * came / max(came.mean(), 1e-12))
            else:
                rows.append(busy_ratios(own, edges_s))
        return np.stack(rows)

    def _branch(self, number: int) -> dict[str, object]:
        whole = self.whole()
        if self._shape == "line" or len(whole.left_s) == 0:
            return {}
        last = np.argmax(whole.answered_s, axis=1) == number
        waited_s = whole.answered_s.max(axis=1) - whole.answered_s[:, number]
        return {
            "last_share": Interval.of(ratio_bound(int(np.sum(last)), len(last))),
            "waited_s": float(waited_s.mean()),
        }


@dataclass(frozen=True, slots=True)
class _StageLoad:
    """alone_s: median time of requests that had the stage for themselves, None of too few."""

    busy_ratio: float
    cpu_utilization: float | None
    alone_s: float | None
    cpu_each_s: float | None

    @property
    def is_cpu_bound(self) -> bool:
        if self.cpu_utilization is None or self.cpu_each_s is None or self.alone_s is None:
            return False
        return self.cpu_each_s >= CPU_EXPLAINS * self.alone_s

    @property
    def value(self) -> float:
        if self.is_cpu_bound and self.cpu_utilization is not None:
            return self.cpu_utilization
        return self.busy_ratio

    @property
    def utilization(self) -> Interval:
        low = self.cpu_utilization
        return Interval(
            value=self.value,
            low=None if low is None else min(low, self.value),
            high=max(self.busy_ratio, self.value),
        )

    def limit_rps(self, rate_rps: float) -> Interval:
        def at_full(utilization: float | None) -> float | None:
            return rate_rps / utilization if utilization else None

        found = self.utilization
        return Interval(
            value=at_full(found.value), low=at_full(found.high), high=at_full(found.low)
        )


def _limit(
    stages: Sequence[StageFigures], cpu_limit_rps: float | None
) -> tuple[str | None, Interval]:
    """What gives out first, and when. A limit that is not known limits nothing."""
    limits = {each.name: each.limit_rps for each in stages}
    if cpu_limit_rps is not None:
        limits[SHARED_CPU] = Interval(value=cpu_limit_rps, low=cpu_limit_rps, high=cpu_limit_rps)
    values = {name: each.value for name, each in limits.items() if each.value is not None}
    if not values:
        return None, Interval(value=None)
    first = min(values, key=lambda name: values[name])
    ends = [
        [end for each in limits.values() if (end := getattr(each, name)) is not None]
        for name in ("low", "high")
    ]
    low, high = (min(end, default=None) for end in ends)
    return first, Interval(value=values[first], low=low, high=high)


def _reconciled(samples: Samples, whole: _Whole) -> dict[str, float | None]:
    if len(whole.left_s) == 0 or samples.succeeded == 0:
        names = ("whole_s", "stages_s", "gateway_s", "residual_s", "residual_ratio")
        return dict.fromkeys(names)
    seen_s = float(samples.service_s.mean())
    inside_s = float((whole.left_s - whole.arrived_s).mean())
    stages_s = float(whole.stages_s.mean())
    return {
        "whole_s": seen_s,
        "stages_s": stages_s,
        "gateway_s": inside_s - stages_s,
        "residual_s": seen_s - inside_s,
        "residual_ratio": (seen_s - inside_s) / seen_s,
    }
