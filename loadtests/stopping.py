"""The user's limits on a run: time, requests, latency, errors, and knowing enough.

Requests that ended since the last look are looked at once, so that a watch over a million requests
costs no more for each than one over a thousand.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, field_validator

from loadtests.errors import UsageError
from loadtests.quantities import Seconds
from loadtests.queueing import tail_inflation
from loadtests.samples import Outcome, quantile_bound
from loadtests.slo import parse_slo
from loadtests.watch import (
    Backlog,
    Watch,
    floor_requests,
    settling,
    share_beyond,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

    from loadtests.runner import Progress
    from loadtests.slo import LatencyObjective
    from loadtests.watch import Part

__all__ = ["StopRules"]

RECENT_S = 60.0  # CloudWatch's period, over which SageMaker judges a latency
MINUTE_S = 60.0
FEWEST_RECENT = 200
NEWS_SHARE, NEWS_FEWEST = 0.01, 50  # requests ended since the last look, to look again
FLAT = 1.05  # throughput gained while the requests in flight doubled, below which it is flat
FLAT_AT_MOST = 1.15  # the most that gain may really have been
FLAT_SPAN_S = 5.0
FLAT_IN_FLIGHT = 4.0
FLAT_Z = 1.65
ASSUMED_UTILIZATION = 0.8
TWICE = 2
GROWTH_BETWEEN_CHECKS = 1.25


class StopRules(BaseModel):
    """When to end a run before its traffic does; what is not given does not apply.

    max_duration_s, max_requests, max_invocations_per_minute, error_rate and latency apply to open
    and closed loops. latency and error_rate judge the last minute: stopped when the share beyond
    the limit is surely, at 99 %, above what the quantile or the rate allows. An invocation is an
    answered request; SageMaker's MaxInvocations is per minute too.
    flat_throughput: closed loop only, "stop" ends the run when the users have doubled and the
    throughput has not grown (SageMaker's FlatInvocations, which stops unless told to continue).
    over_saturation: open loop only, ends the run when requests fall due faster than they are
    answered, and stay so; users who wait for their answers make no such backlog.
    confidence: ends the run when the claimed quantile's 95 % interval reaches no further than this
    share of the quantile to either side.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)

    max_duration_s: Annotated[Seconds, Field(gt=0)] | None = Field(
        default=None, alias="max_duration"
    )
    max_requests: int | None = Field(default=None, gt=0)
    max_invocations_per_minute: int | None = Field(default=None, gt=0)
    latency: str | None = None
    flat_throughput: Literal["stop", "continue"] = "continue"
    error_rate: float | None = Field(default=None, gt=0, lt=1)
    over_saturation: bool = True
    confidence: float | None = Field(default=None, gt=0, lt=1)

    @field_validator("latency")
    @classmethod
    def _is_latency(cls, text: str | None) -> str | None:
        if text is None:
            return None
        try:
            found = parse_slo(text)
        except UsageError as error:
            raise ValueError(f"{error}; {error.hint}") from error
        if found.error_rate is not None:
            raise ValueError(
                f"{text!r} limits latencies and errors in one: give error_rate a line"
            )
        return text

    @field_validator("error_rate", mode="before")
    @classmethod
    def _as_ratio(cls, given: object) -> object:
        """A share, or a percentage as text."""
        if isinstance(given, str) and given.strip().endswith("%"):
            return float(given.strip()[:-1]) / 100
        return given

    @property
    def latency_objectives(self) -> tuple[LatencyObjective, ...]:
        return () if self.latency is None else parse_slo(self.latency).latency

    def watch(
        self,
        loop: Literal["open", "closed"],
        *,
        claimed_quantile: float = 0.95,
        utilization: float | None = None,
    ) -> Watch:
        """To be used for one run only.

        utilization: of the server, as far as it is known; the floor of the confidence rule grows
        with it.
        """
        return Watch(tuple(self._parts(loop, claimed_quantile, utilization)))

    def _parts(
        self, loop: Literal["open", "closed"], quantile: float, utilization: float | None
    ) -> Iterable[Part]:
        if loop == "open" and self.over_saturation:
            yield Backlog()
        yield from self._limits()
        if self.latency is not None or self.error_rate is not None:
            yield _Recent(self.latency_objectives, self.error_rate)
        if loop == "closed" and self.flat_throughput == "stop":
            yield _Flat()
        if self.confidence is not None:
            rho = ASSUMED_UTILIZATION if utilization is None else utilization
            yield _Confidence(self.confidence, quantile, rho)

    def _limits(self) -> Iterable[Part]:
        if self.max_duration_s is not None:
            yield _Duration(self.max_duration_s)
        if self.max_requests is not None:
            yield _Requests(self.max_requests)
        if self.max_invocations_per_minute is not None:
            yield _Invocations(self.max_invocations_per_minute)


@dataclass(slots=True)
class _News:
    """Has enough happened since the last look? Whoever looks at all samples looks ever less."""

    share: float = NEWS_SHARE
    seen: int = 0

    def __call__(self, recorded: int) -> bool:
        if recorded - self.seen < max(NEWS_FEWEST, self.share * self.seen):
            return False
        self.seen = recorded
        return True


@dataclass(frozen=True, slots=True)
class _Duration:
    limit_s: float

    def __call__(self, progress: Progress) -> str | None:
        if progress.elapsed_s < self.limit_s:
            return None
        return f"max-duration: {self.limit_s:g} s were allowed"


@dataclass(frozen=True, slots=True)
class _Requests:
    limit: int

    def __call__(self, progress: Progress) -> str | None:
        sent = progress.recorded + progress.in_flight - progress.dropped
        if sent < self.limit:
            return None
        return f"max-requests: {sent} requests were sent, {self.limit} were allowed"


@dataclass(slots=True)
class _Invocations:
    """Answers in the last minute; in a first, unfinished minute, those so far."""

    limit: int
    counts: list[tuple[float, int]] = field(default_factory=lambda: [(0.0, 0)])

    def __call__(self, progress: Progress) -> str | None:
        answered = progress.recorded - progress.dropped
        self.counts.append((progress.elapsed_s, answered))
        while len(self.counts) > 1 and self.counts[1][0] <= progress.elapsed_s - MINUTE_S:
            self.counts.pop(0)
        in_minute = answered - self.counts[0][1]
        if in_minute < self.limit:
            return None
        return f"max-invocations: {in_minute} answers within a minute, the limit is {self.limit}"


@dataclass(slots=True)
class _Recent:
    """Latencies and errors of the requests that ended in the last minute."""

    objectives: tuple[LatencyObjective, ...]
    error_rate: float | None
    news: _News = field(default_factory=_News)
    read: int = 0
    ended_s: NDArray[np.float64] = field(default_factory=lambda: np.empty(0))
    latency_s: NDArray[np.float64] = field(default_factory=lambda: np.empty(0))

    def __call__(self, progress: Progress) -> str | None:
        if not self.news(progress.recorded):
            return None
        self._take(progress)
        if len(self.latency_s) < FEWEST_RECENT:
            return None
        for objective in self.objectives:
            bound = share_beyond(self.latency_s > objective.limit_s)
            if bound is not None and bound[0] > 1 - objective.quantile:
                return self._too_slow(objective)
        return None if self.error_rate is None else self._errors(self.error_rate)

    def _take(self, progress: Progress) -> None:
        records = progress.read()[self.read :]
        self.read += len(records)
        good = records["outcome"] == Outcome.SUCCEEDED
        took_s = np.where(good, (records["done_us"] - records["due_us"]) / 1e6, np.inf)
        ended_s = np.concatenate([self.ended_s, records["done_us"] / 1e6])
        is_recent = ended_s > progress.elapsed_s - RECENT_S
        self.ended_s = ended_s[is_recent]
        self.latency_s = np.concatenate([self.latency_s, took_s])[is_recent]

    def _too_slow(self, objective: LatencyObjective) -> str:
        found_s = float(np.quantile(self.latency_s, objective.quantile, method="higher"))
        found = f"{found_s * 1e3:.3g} ms" if math.isfinite(found_s) else "no answer at all"
        return f"latency: {objective.text} is broken, the last minute's is {found}"

    def _errors(self, limit: float) -> str | None:
        bad = ~np.isfinite(self.latency_s)
        bound = share_beyond(bad)
        if bound is None or bound[0] <= limit:
            return None
        return f"error-rate: {bad.mean():.3g} of the last minute's requests failed, over {limit:g}"


@dataclass(slots=True)
class _Flat:
    """Twice the requests in flight, and no more answers per second.

    Spans of five seconds are compared: the last one with the last of those that had at most half
    as many requests in flight. Counts of answers are taken to be no noisier than Poisson's.
    """

    spans: list[tuple[float, float]] = field(default_factory=list)  # answers, mean in flight
    began_s: float = 0.0
    before: int = 0
    in_flight: list[int] = field(default_factory=list)

    def __call__(self, progress: Progress) -> str | None:
        self.in_flight.append(progress.in_flight)
        span_s = progress.elapsed_s - self.began_s
        if span_s < FLAT_SPAN_S:
            return None
        answered = progress.recorded - progress.dropped
        rate_rps = (answered - self.before) / span_s
        busy = float(np.mean(self.in_flight))
        earlier = [rate for rate, level in self.spans if self._is_half(level, busy)]
        self.spans.append((rate_rps, busy))
        self.began_s, self.before, self.in_flight = progress.elapsed_s, answered, []
        if not earlier or not _is_flat(rate_rps, earlier[-1], span_s):
            return None
        return (
            f"flat-throughput: {rate_rps:.3g} answers/s with {busy:.3g} requests in flight, "
            f"{earlier[-1]:.3g} with half as many"
        )

    @staticmethod
    def _is_half(level: float, busy: float) -> bool:
        return level <= busy / 2 and busy - level >= FLAT_IN_FLIGHT


def _is_flat(rate_rps: float, earlier_rps: float, span_s: float) -> bool:
    if earlier_rps <= 0 or rate_rps <= 0:
        return False
    ratio = rate_rps / earlier_rps
    noise = math.sqrt(1 / (rate_rps * span_s) + 1 / (earlier_rps * span_s))
    return ratio <= FLAT and ratio * math.exp(FLAT_Z * noise) <= FLAT_AT_MOST


@dataclass(slots=True)
class _Confidence:
    """The interval of one quantile is narrow enough, twice in a row.

    Looked at when a quarter more requests have ended than last time, from 300/(1-u)² on:
    near the knee an interval that looks narrow earlier is wrong more often than right.
    """

    within: float
    quantile: float
    utilization: float
    hits: int = 0
    checked: int = 0

    def __call__(self, progress: Progress) -> str | None:
        due = max(3 * floor_requests(self.utilization), self.checked * GROWTH_BETWEEN_CHECKS)
        if progress.recorded < due:
            return None
        self.checked = progress.recorded
        latency_s = progress.samples().latency_s
        half = _relative_half_width(latency_s[settling(latency_s) :], self.quantile)
        self.hits = self.hits + 1 if half is not None and half <= self.within else 0
        if self.hits < TWICE:
            return None
        return f"confidence: p{self.quantile * 100:g} is known to {half:.1%}"


def _relative_half_width(latency_s: NDArray[np.float64], quantile: float) -> float | None:
    if len(latency_s) == 0:
        return None
    middle = float(np.quantile(latency_s, quantile, method="higher"))
    inflation = tail_inflation(latency_s > middle, batches=(20, 10))
    bound = quantile_bound(latency_s, quantile, inflation=inflation)
    if bound.value is None or bound.low is None or bound.high is None:
        return None
    reach = max(bound.high - bound.value, bound.value - bound.low)
    return reach / bound.value if math.isfinite(reach) and bound.value > 0 else None
