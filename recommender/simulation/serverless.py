"""Serverless inference under a day, a week or a month of traffic.

Each instance takes one request at a time; pool_course.py has who starts cold and who is refused.
What is paid for is the time that requests take, each rounded up to a millisecond, the data, and
for provisioned concurrency the time that it stands ready; the time to start is not billed. Mean
values over chance: a month has too many requests for their number to be chance.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NamedTuple, Self

import numpy as np

from loadtests.serverless.spec import IDLE_RECLAIM_S, MIB_PER_VCPU
from pricing import NoPrice, ServerlessComponent, UnitItem
from recommender.errors import NotMeasured
from recommender.limits import ANSWER_LIMIT_S
from recommender.simulation.outcome import Outcome, Requests, Timeline, Usage
from recommender.simulation.pool_course import PoolTerms, pool_course
from recommender.simulation.warm_pool import erlang_b

if TYPE_CHECKING:
    from collections.abc import Mapping
    from decimal import Decimal

    from numpy.typing import NDArray

    from pricing import PriceBook
    from recommender.demand import WorkloadFacts
    from recommender.performance.model import PerformanceModel
    from recommender.simulation.pool_course import PoolCourse
    from recommender.simulation.provisioned import ProvisionedScaling
    from recommender.simulation.replica import LatencyLimit
    from recommender.simulation.traffic import TrafficTrace

    Floats = NDArray[np.float64]

__all__ = [
    "COMPUTE",
    "DATA_IN",
    "DATA_OUT",
    "PROVISIONED",
    "PROVISIONED_COMPUTE",
    "ServerlessScenario",
    "ServerlessTerms",
    "ServerlessWork",
    "serverless_prices",
    "simulate_serverless",
]

COMPUTE, PROVISIONED, PROVISIONED_COMPUTE = "compute", "provisioned", "provisioned compute"
DATA_IN, DATA_OUT = "data in", "data out"
BYTES_PER_GB = 1e9


@dataclass(frozen=True, eq=False)
class ServerlessWork:
    """mean_s: of a warm request; setup_s: what a cold one waits first; both of shape (draws,).

    unit_service: service times over their mean, shape (samples,). Mean bytes of a request and of
    its answer: 0 where data is not to be charged.
    """

    mean_s: Floats
    setup_s: Floats
    unit_service: Floats
    request_bytes: float = 0.0
    response_bytes: float = 0.0

    @classmethod
    def of(
        cls, model: PerformanceModel, memory_mib: int, speed_ratio: Floats, workload: WorkloadFacts
    ) -> Self:
        """speed_ratio: of a serverless vCPU over the source's, in each draw.

        A request uses one vCPU at most, however large the instance; the start is the container's
        alone. Raises NotMeasured where none was timed.
        """
        setup_s = model.reference.setup_s
        if setup_s is None:
            raise NotMeasured(
                "how long the container takes to start was not measured: every cold start waits "
                "for it",
                hint="load-test a container of its own: recommender loadtest",
            )
        share = min(memory_mib / MIB_PER_VCPU, 1.0)
        return cls(
            mean_s=model.service_mean_s(share) * model.demand.time_ratio(speed_ratio),
            setup_s=setup_s / share / speed_ratio,
            unit_service=np.asarray(model.unit_service),
            request_bytes=workload.request_bytes_mean,
            response_bytes=workload.response_bytes_mean or 0.0,
        )

    def of_draws(self, draws: int) -> Self:
        """So many of them, evenly spaced by the time of a request; each is simulated alone."""
        order = np.argsort(self.mean_s, kind="stable")
        chosen = order[((np.arange(draws) + 0.5) / draws * len(order)).astype(np.intp)]
        return replace(self, mean_s=self.mean_s[chosen], setup_s=self.setup_s[chosen])


@dataclass(frozen=True, slots=True)
class ServerlessTerms:
    """most: concurrency limit. idle_s: an assumption; AWS says that idle instances go, not when.

    retries: by the client, of what is refused, each after backoff_s.
    """

    most: int
    provisioned: int | ProvisionedScaling = 0
    idle_s: float = IDLE_RECLAIM_S
    retries: int = 0
    backoff_s: float = 1.0


@dataclass(frozen=True, eq=False)
class ServerlessScenario:
    """levels: how many times the trace really comes, shape (draws,), as of the work."""

    trace: TrafficTrace
    work: ServerlessWork
    limit: LatencyLimit
    levels: Floats

    def __post_init__(self) -> None:
        work = self.work
        if not self.levels.shape == work.mean_s.shape == work.setup_s.shape:
            raise ValueError(f"{self.levels.shape} levels for {work.mean_s.shape} draws")


def simulate_serverless(
    scenario: ServerlessScenario, terms: ServerlessTerms, *, with_timeline: bool = True
) -> Outcome:
    """Raises ValueError where more is provisioned than may be in progress."""
    if isinstance(terms.provisioned, int) and not 0 <= terms.provisioned <= terms.most:
        raise ValueError(f"{terms.provisioned} of {terms.most} instances always ready")
    courses = [_draw(scenario, terms, draw) for draw in range(len(scenario.levels))]
    names = _Totals._fields
    totals = {name: np.array([getattr(each.totals, name) for each in courses]) for name in names}
    requests = Requests(
        arrivals=totals["arrivals"],
        served=totals["arrivals"] - totals["throttled"] - totals["failed"],
        good=totals["good"],
        failed=totals["failed"],
        throttled=totals["throttled"],
        queued=np.zeros(len(courses)),
    )
    timeline = None
    if with_timeline:
        middle = int(np.argsort(totals["seconds"])[len(courses) // 2])
        timeline = courses[middle].timeline(scenario, terms)
    return Outcome(scenario.trace.duration_s, requests, _usage(scenario, terms, totals), timeline)


def serverless_prices(book: PriceBook, region: str, memory_mib: int) -> dict[str, Decimal]:
    """USD per unit of what the book knows there, by the name of the usage."""
    names = {
        ServerlessComponent.ON_DEMAND: COMPUTE,
        ServerlessComponent.PROVISIONED_USAGE: PROVISIONED,
        ServerlessComponent.PROVISIONED_DURATION: PROVISIONED_COMPUTE,
    }
    prices = {
        names[offer.component]: offer.usd_per_second
        for offer in book.serverless(region, None)
        if offer.memory_mib == memory_mib
    }
    for name, item in ((DATA_IN, UnitItem.DATA_IN), (DATA_OUT, UnitItem.DATA_OUT)):
        with suppress(NoPrice):
            prices[name] = book.unit_price(item, region).usd
    return prices


class _Totals(NamedTuple):
    """Of one draw. seconds: in which requests are served, on whatever kind of instance.

    provisioned_seconds: of these on provisioned concurrency, which stands for ready_s in all.
    """

    arrivals: float
    good: float
    failed: float
    throttled: float
    seconds: float
    provisioned_seconds: float
    ready_s: float


@dataclass(frozen=True, eq=False)
class _Course:
    """One draw; arrivals, good: shape (steps,)."""

    draw: int
    pool: PoolCourse
    arrivals: Floats
    good: Floats
    totals: _Totals

    def timeline(self, scenario: ServerlessScenario, terms: ServerlessTerms) -> Timeline:
        service = _Service.of(scenario.work, self.draw)
        return Timeline(
            step_s=scenario.trace.step_s,
            arrivals=self.arrivals,
            replicas=self.pool.warm,
            utilization_ratio=self.pool.busy / (1 - self.pool.refused) / terms.most,
            latency_s=service.quantile_s(scenario.limit.quantile, self.pool.cold_of_served),
            good_ratio=np.divide(
                self.good, self.arrivals, out=np.ones_like(self.good), where=self.arrivals > 0
            ),
            queued=np.zeros_like(self.arrivals),
        )


def _draw(scenario: ServerlessScenario, terms: ServerlessTerms, draw: int) -> _Course:
    trace, service = scenario.trace, _Service.of(scenario.work, draw)
    rate_rps = trace.rate_rps * scenario.levels[draw]
    provisioned = _provisioned(rate_rps * service.mean_s, trace.step_s, terms)
    pool_terms = PoolTerms(terms.most, provisioned, terms.idle_s, terms.retries)
    pool = pool_course(rate_rps, trace.step_s, service.mean_s, service.setup_s, pool_terms)
    arrivals = rate_rps * trace.step_s
    throttled = arrivals * pool.throttled
    answered = arrivals - throttled
    cold = pool.cold_of_served
    slow = service.late_ratio(ANSWER_LIMIT_S, 0.0, cold)
    good = answered * _good_ratio(service, scenario.limit.limit_s, pool, terms)
    seconds = answered * service.billed_s
    kept = _kept_ratio(rate_rps * service.mean_s, provisioned, pool.refused)
    totals = _Totals(
        arrivals=float(arrivals.sum()),
        good=float(np.minimum(good, answered * (1 - slow)).sum()),
        failed=float((answered * slow).sum()),
        throttled=float(throttled.sum()),
        seconds=float(seconds.sum()),
        provisioned_seconds=float((seconds * kept).sum()),
        ready_s=float(provisioned.sum() * trace.step_s),
    )
    return _Course(draw, pool, arrivals, good, totals)


def _usage(
    scenario: ServerlessScenario, terms: ServerlessTerms, totals: Mapping[str, Floats]
) -> tuple[Usage, ...]:
    """Only what can appear on the bill at all."""
    work, kept = scenario.work, totals["provisioned_seconds"]
    usage = [Usage(COMPUTE, "second", totals["seconds"] - kept)]
    if terms.provisioned:
        usage.append(Usage(PROVISIONED, "second", totals["ready_s"]))
        usage.append(Usage(PROVISIONED_COMPUTE, "second", kept))
    answered = totals["arrivals"] - totals["throttled"]
    for name, size in ((DATA_IN, work.request_bytes), (DATA_OUT, work.response_bytes)):
        if size > 0:
            usage.append(Usage(name, "GB", answered * size / BYTES_PER_GB))
    return tuple(usage)


def _good_ratio(
    service: _Service, limit_s: float, pool: PoolCourse, terms: ServerlessTerms
) -> Floats:
    """Of what is answered in each step, what is in time: the n-th try has waited n backoffs."""
    good, weights = np.zeros_like(pool.refused), np.zeros_like(pool.refused)
    for retry in range(terms.retries + 1):
        share = pool.refused**retry
        waited_s = retry * terms.backoff_s
        good += share * (1 - service.late_ratio(limit_s, waited_s, pool.cold_of_served))
        weights += share
    return np.asarray(good / weights)


def _kept_ratio(offered: Floats, provisioned: NDArray[np.int64], refused: Floats) -> Floats:
    """Share of what is answered that provisioned instances answer, which are asked first.

    Erlang's formula for these alone: what they refuse goes on to the others.
    """
    passed_on = np.ones_like(offered)
    for number in np.unique(provisioned[provisioned > 0]):
        here = provisioned == number
        passed_on[here] = erlang_b(int(number), offered[here])
    return np.minimum((1 - passed_on) / (1 - refused), 1.0)


@dataclass(frozen=True, eq=False)
class _Service:
    """Of one draw; times_s: of warm requests, rising."""

    mean_s: float
    setup_s: float
    times_s: Floats

    @classmethod
    def of(cls, work: ServerlessWork, draw: int) -> _Service:
        mean_s = float(work.mean_s[draw])
        return cls(mean_s, float(work.setup_s[draw]), np.sort(work.unit_service * mean_s))

    @property
    def billed_s(self) -> float:
        return float(np.ceil(self.times_s * 1e3 - 1e-9).mean() / 1e3)

    def late_ratio(self, limit_s: float, waited_s: float, cold: Floats) -> Floats:
        """Share of answers that take longer; cold: share of them that start so."""
        warm_late = self._beyond(limit_s - waited_s)
        cold_late = self._beyond(limit_s - waited_s - self.setup_s)
        return (1 - cold) * warm_late + cold * cold_late

    def _beyond(self, time_s: float) -> float:
        return 1 - float(np.searchsorted(self.times_s, time_s, side="right")) / len(self.times_s)

    def quantile_s(self, quantile: float, cold: Floats) -> Floats:
        """Of answers, the cold ones being slower than every warm one."""
        warm = np.clip(quantile / np.maximum(1 - cold, 1e-9), 0.0, 1.0)
        late = np.clip((quantile - (1 - cold)) / np.maximum(cold, 1e-9), 0.0, 1.0)
        is_cold = cold > 1 - quantile
        found = np.quantile(self.times_s, np.where(is_cold, late, warm))
        return np.asarray(found + np.where(is_cold, self.setup_s, 0.0))


def _provisioned(busy: Floats, step_s: float, terms: ServerlessTerms) -> NDArray[np.int64]:
    if isinstance(terms.provisioned, int):
        return np.full(len(busy), terms.provisioned, dtype=np.int64)
    return np.minimum(terms.provisioned.course(busy, step_s), terms.most)
