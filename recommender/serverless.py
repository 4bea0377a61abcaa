"""Serverless inference: one request to an instance at a time, paid by the millisecond.

AWS states that CPU grows with memory and no figure; Lambda's published one (1 vCPU for each
1,769 MB) stands in for it, as an assumption that every recommendation names.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from loadtests.serverless.spec import IDLE_RECLAIM_S, MIB_PER_VCPU
from loadtests.slo import tightest
from pricing import Platform
from recommender.cost import requests_per_month, to_billionths
from recommender.evaluation import MEMORY_SHARE
from recommender.fleets import Evaluated, Fleet, Options, Refusal, Refused
from recommender.limits import (
    SERVERLESS_MAX_CONCURRENCY,
    SERVERLESS_PAYLOAD_BYTES,
    answer_obstacle,
    payload_obstacle,
)
from recommender.performance.model import REPORTED
from recommender.recommendation import Basis, Performance, RejectReason
from recommender.verdicts import Rejection, latency_of, range_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from pricing import ServerlessOffer
    from recommender.evaluation import Question
    from recommender.performance.model import PerformanceModel
    from recommender.recommendation import LatencySeconds, ObjectiveVerdict

    Floats = NDArray[np.float64]

__all__ = ["ServerlessEvaluation"]

COLD_SHARE_WORTH_SAYING = 0.001


@dataclass(frozen=True)
class ServerlessEvaluation:
    """speed_ratio: of a serverless vCPU over the source's, in each draw."""

    model: PerformanceModel
    question: Question
    speed_ratio: Floats

    def run(self, offers: Sequence[ServerlessOffer]) -> tuple[Options, list[Refused]]:
        evaluated: list[Evaluated] = []
        refused: list[Refused] = []
        for offer in offers:
            found = self._judge(offer)
            if isinstance(found, Rejection):
                refused.append(Refused(Refusal(found), offer))
            else:
                evaluated.append(Evaluated(found, offer))
        return Options.of(evaluated), refused

    def _judge(self, offer: ServerlessOffer) -> Fleet | Rejection:
        obstacle = self._unfit(offer)
        if obstacle is not None:
            return obstacle
        served = self._served(offer)
        verdicts, obstacle = self.question.judge.judge(
            {
                each.quantile: served.judged_s(each.quantile, each.limit_s)
                for each in self.question.slo.latency
            }
        )
        if obstacle is not None:
            return self._explained(obstacle, served)
        obstacle = self._over_limits(served)
        return self._fleet(offer, served, verdicts) if obstacle is None else obstacle

    def _unfit(self, offer: ServerlessOffer) -> Rejection | None:
        obstacle = payload_obstacle(self.question.demand.workload, SERVERLESS_PAYLOAD_BYTES)
        if obstacle is not None:
            return obstacle
        memory = self.model.memory_bytes(1.0)
        if memory is None or memory <= MEMORY_SHARE * offer.memory_mib * 2**20:
            return None
        return Rejection(
            RejectReason.MEMORY,
            f"one worker needs {memory / 2**30:.2g} GiB of {offer.memory_mib / 1024:g}",
        )

    def _served(self, offer: ServerlessOffer) -> _Served:
        """A request uses one vCPU at most, however large the instance."""
        share = min(offer.memory_mib / MIB_PER_VCPU, 1.0)
        slowdown = 1 / self.speed_ratio
        return _Served(
            unit_service=self.model.unit_service,
            mean_s=self.model.service_mean_s(share)
            * self.model.demand.time_ratio(self.speed_ratio),
            cold_ratio=self.cold_ratio,
            setup_s=self._setup_s(share, slowdown),
        )

    def _setup_s(self, share: float, slowdown: Floats) -> Floats | None:
        """A start of the container alone: what SageMaker adds to it is not known."""
        setup_s = self.model.reference.setup_s
        return None if setup_s is None else np.asarray(setup_s * slowdown / share)

    @cached_property
    def cold_ratio(self) -> float:
        """Share of requests that find no warm instance.

        P(gap > T) = e^(-λT) for Poisson arrivals, weighted by each hour's requests; T is the time
        after which an idle instance is reclaimed.
        """
        rates = self.question.demand.traffic.hours_rps
        return sum(rate * math.exp(-rate * IDLE_RECLAIM_S) for rate in rates) / sum(rates)

    def _over_limits(self, served: _Served) -> Rejection | None:
        in_flight = self._in_flight(served)
        confidence = self.question.demand.constraints.confidence
        if float(np.quantile(in_flight, confidence)) > SERVERLESS_MAX_CONCURRENCY:
            return Rejection(
                RejectReason.LIMIT,
                f"about {np.median(in_flight):.0f} requests in flight at peak; an endpoint takes "
                f"{SERVERLESS_MAX_CONCURRENCY}",
            )
        return answer_obstacle(served.latency.p99)

    def _in_flight(self, served: _Served) -> Floats:
        """At peak, with three standard deviations to spare.

        The variance over the mean is z = 1 + (cv² - 1) E[min(S, S')] / E[S], with cv of the gaps
        between requests and S, S' two service times: 1 for Poisson arrivals (Whitt 1984,
        "Heavy-Traffic Approximations for Service Systems with Blocking").
        """
        traffic = self.question.demand.traffic
        mean = traffic.peak_rps * served.mean_s
        excess = (traffic.arrivals_cv**2 - 1) * served.least_of_two
        return np.asarray(np.ceil(mean + 3 * np.sqrt(mean * (1 + excess))))

    def _explained(self, obstacle: Rejection, served: _Served) -> Rejection:
        if obstacle.reason is RejectReason.INCONCLUSIVE:
            return obstacle
        service = self.model.service_mean_s(1.0)
        why = [f"a request takes about {np.median(served.mean_s) / service:.2g} times as long"]
        if self.cold_ratio > COLD_SHARE_WORTH_SAYING:
            setup = (
                ""
                if served.setup_s is None
                else f", {np.median(served.setup_s):.2g} s or more each"
            )
            why.append(f"{self.cold_ratio:.1%} of the requests start cold{setup}")
        return obstacle.because("; ".join(why))

    def _fleet(
        self, offer: ServerlessOffer, served: _Served, verdicts: tuple[ObjectiveVerdict, ...]
    ) -> Fleet:
        requests = requests_per_month(self.question.demand.traffic)
        billed_s = served.billed_s
        in_flight = self._in_flight(served)
        confidence = self.question.demand.constraints.confidence
        return Fleet(
            machine=None,
            replicas=int(np.quantile(in_flight, confidence, method="higher")),
            unit="second",
            quantity=to_billionths(requests * to_billionths(float(np.median(billed_s)))),
            quantity_draws=np.where(
                self._is_met(served, in_flight), float(requests) * billed_s, np.inf
            ),
            performance=self._performance(offer, served),
            verdicts=verdicts,
            items=self.question.items[Platform.SERVERLESS],
            notes=self._notes(served),
        )

    def _is_met(self, served: _Served, in_flight: Floats) -> NDArray[np.bool_]:
        """In each draw: the latency objectives and the limit on requests in flight."""
        met = in_flight <= SERVERLESS_MAX_CONCURRENCY
        for each in self.question.slo.latency:
            met &= served.warm_s(each.quantile) <= each.limit_s
        return np.asarray(met)

    def _performance(self, offer: ServerlessOffer, served: _Served) -> Performance:
        claimed = tightest(self.question.slo).quantile
        capacity = SERVERLESS_MAX_CONCURRENCY / served.mean_s
        return Performance(
            capacity_rps=range_of(capacity),
            latency_s=served.latency,
            interval=range_of(served.warm_s(claimed)),
            interval_quantile=claimed,
            utilization_ratio=float(self.question.demand.traffic.peak_rps / np.median(capacity)),
            basis=Basis.PRIOR,
            price_basis=offer.basis.value,
        )

    def _notes(self, served: _Served) -> tuple[str, ...]:
        notes = [
            "vCPU share by memory is an assumption",
            "cold starts at rising load are counted by `recommender simulate`",
        ]
        if served.cold_ratio > COLD_SHARE_WORTH_SAYING:
            notes.append(f"{served.cold_ratio:.1%} of the requests start cold")
        return tuple(notes)


@dataclass(frozen=True)
class _Served:
    """Requests at one memory size. mean_s: of the service; setup_s: of a start. Shape (draws,)."""

    unit_service: Floats
    mean_s: Floats
    cold_ratio: float
    setup_s: Floats | None

    @property
    def least_of_two(self) -> float:
        """E[min(S, S')] / E[S] of service times: the n-th of N is it in 2 (N - n) + 1 pairs."""
        times = np.sort(self.unit_service)
        pairs = 2 * np.arange(len(times), 0, -1) - 1
        return float((times * pairs).sum() / len(times) ** 2 / times.mean())

    def is_cold(self, quantile: float) -> bool:
        """Do cold starts reach into the quantile?"""
        return self.cold_ratio >= 1 - quantile

    def warm_s(self, quantile: float) -> Floats:
        """The quantile of all requests, cold ones being slower than every warm one.

        The q-quantile of all is the q / (1 - cold)-quantile of the warm.
        """
        of_warm = min(quantile / (1 - self.cold_ratio), 1.0) if self.cold_ratio < 1 else 1.0
        return float(np.quantile(self.unit_service, of_warm)) * self.mean_s

    def judged_s(self, quantile: float, limit_s: float) -> Floats | None:
        """None where a cold start decides, unless the container's own is too long already."""
        if not self.is_cold(quantile):
            return self.warm_s(quantile)
        if self.setup_s is None or float(np.median(self.setup_s)) <= limit_s:
            return None
        return self.setup_s + self.mean_s

    @property
    def latency(self) -> LatencySeconds:
        return latency_of({q: None if self.is_cold(q) else self.warm_s(q) for q in REPORTED})

    @cached_property
    def billed_s(self) -> Floats:
        """Mean over requests, each rounded up to a millisecond; time to start not counted."""
        each_s = np.multiply.outer(self.mean_s, self.unit_service)
        return np.asarray(np.ceil(each_s * 1e3).mean(axis=1) / 1e3)
