"""Serverless inference: one request to an instance at a time, paid by the millisecond.

AWS states that CPU grows with memory and no figure; Lambda's published one (1 vCPU for each 1,769 MB)
stands in for it, as an assumption that every recommendation names.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING

import numpy as np

from loadtests.slo import ErrorRateObjective, LatencyObjective, Verdict
from recommender.candidates import SERVERLESS_MAX_CONCURRENCY, serverless_option
from recommender.cost import Bill, LineItem, requests_per_month
from recommender.evaluation import Errors, Evaluated, data_items, judge_errors
from recommender.performance.speed_prior import Machine
from recommender.recommendation import (
    Basis,
    LatencySeconds,
    ObjectiveVerdict,
    Performance,
    Range,
    Rejected,
    RejectReason,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from pricing import PriceBook, ServerlessOffer
    from recommender.demand import Demand
    from recommender.performance.model import PerformanceModel

__all__ = ["MIB_PER_VCPU", "evaluate_serverless"]

MIB_PER_VCPU = 1769  # Lambda's; SageMaker publishes none
IDLE_RECLAIM_S = 300.0  # after which an idle instance is assumed to be gone
PAYLOAD_LIMIT_BYTES = 4_000_000


@dataclass(frozen=True)
class ServerlessEvaluation:
    model: PerformanceModel
    demand: Demand
    book: PriceBook
    errors: Errors

    def run(self, offers: Sequence[ServerlessOffer]) -> tuple[list[Evaluated], list[Rejected]]:
        evaluated: list[Evaluated] = []
        rejected: list[Rejected] = []
        for offer in offers:
            found = self.evaluate(offer)
            if isinstance(found, Evaluated):
                evaluated.append(found)
            else:
                reason, detail = found
                rejected.append(
                    Rejected(option=serverless_option(offer), reason=reason, detail=detail)
                )
        return evaluated, rejected

    def evaluate(self, offer: ServerlessOffer) -> Evaluated | tuple[RejectReason, str]:
        obstacle = self._obstacle(offer)
        if obstacle is not None:
            return obstacle
        slowdown = self._slowdown(offer.memory_mib)
        service = self.model.single_request_s()
        verdicts = tuple(self._verdict(objective, service, slowdown) for objective in self.demand.objectives.objectives)
        worst = next((each for each in verdicts if each.verdict is not Verdict.MET), None)
        if worst is not None:
            return self._why_not(worst, slowdown)
        mean_s = float(service.mean()) * slowdown
        concurrency = self._concurrency(mean_s)
        if float(np.quantile(concurrency, 0.8)) > SERVERLESS_MAX_CONCURRENCY:
            return (
                RejectReason.LIMIT,
                f"about {np.median(concurrency):.0f} requests in flight at peak; "
                f"an endpoint takes {SERVERLESS_MAX_CONCURRENCY}",
            )
        return self._priced(offer, slowdown, mean_s, verdicts)

    def _obstacle(self, offer: ServerlessOffer) -> tuple[RejectReason, str] | None:
        largest = self.demand.workload.request_bytes_largest
        if largest > PAYLOAD_LIMIT_BYTES:
            return RejectReason.LIMIT, f"payload of {largest:,} bytes; serverless takes 4 MB"
        memory = self.model.memory_bytes(1.0)
        if memory is not None and memory > 0.9 * offer.memory_mib * 2**20:
            return (
                RejectReason.MEMORY,
                f"one worker needs {memory / 2**30:.2g} GiB of {offer.memory_mib / 1024:g}",
            )
        return None

    def _slowdown(self, memory_mib: int) -> NDArray[np.float64]:
        """Service time there over here, in each draw: its silicon is not known, and one request
        uses one vCPU at most. Shape (draws,).
        """
        share = min(memory_mib / MIB_PER_VCPU, 1.0)
        machine = Machine(
            vcpus=1.0,
            silicon=None,
            threads_per_core=2,
            architecture="x86_64",
            clock_ghz=None,
            provider="aws",
        )
        return np.asarray(1 / (self.model.speed_ratios([machine])[:, 0] * share))

    def _verdict(
        self,
        objective: LatencyObjective | ErrorRateObjective,
        service: NDArray[np.float64],
        slowdown: NDArray[np.float64],
    ) -> ObjectiveVerdict:
        confidence = self.demand.constraints.confidence
        match objective:
            case ErrorRateObjective():
                return ObjectiveVerdict(
                    objective=objective.text,
                    verdict=judge_errors(objective, self.errors, confidence),
                    probability=None,
                    margin_ratio=None,
                )
            case LatencyObjective(quantile, limit_s):
                taken = self._quantile_s(quantile, service, slowdown)
                met = float(np.mean(taken <= limit_s))
                if met >= confidence:
                    verdict = Verdict.MET
                else:
                    verdict = Verdict.MISSED if met <= 1 - confidence else Verdict.UNKNOWN
                return ObjectiveVerdict(
                    objective=objective.text,
                    verdict=verdict,
                    probability=met,
                    margin_ratio=1 - float(np.median(taken)) / limit_s,
                )

    def _quantile_s(
        self, quantile: float, service: NDArray[np.float64], slowdown: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """Of warm and cold requests together; shape (draws,)."""
        cold = self.cold_share()
        setup = self.model.reference.setup_s or 0.0
        if cold > 1 - quantile:
            return setup + float(np.quantile(service, 0.5)) * slowdown
        warm = (quantile - cold) / (1 - cold) if cold < quantile else quantile
        return float(np.quantile(service, min(max(warm, quantile), 1.0))) * slowdown

    def cold_share(self) -> float:
        """Share of requests that find no warm instance: P(gap > reclaim time) = e^(-λT) for Poisson
        arrivals, weighted by each hour's requests.
        """
        rates = self.demand.traffic.hours_rps
        total = sum(rates)
        return sum(rate * math.exp(-rate * IDLE_RECLAIM_S) for rate in rates) / total

    def _concurrency(self, mean_s: NDArray[np.float64]) -> NDArray[np.float64]:
        """Requests in flight at peak, with three standard deviations of a Poisson count to spare."""
        mean = self.demand.traffic.peak_rps * mean_s
        return np.ceil(mean + 3 * np.sqrt(mean))

    def _why_not(
        self, worst: ObjectiveVerdict, slowdown: NDArray[np.float64]
    ) -> tuple[RejectReason, str]:
        if worst.probability is None:
            seen = f"{self.errors.bad} of {self.errors.requests} requests failed"
            inconclusive = worst.verdict is Verdict.UNKNOWN
            reason = RejectReason.INCONCLUSIVE if inconclusive else RejectReason.MISSES_SLO
            return reason, f"{worst.objective}: {seen}"
        cold = self.cold_share()
        setup = self.model.reference.setup_s
        why = f"service takes about {np.median(slowdown):.2g} times as long as measured"
        if cold > 0.001 and setup is not None:
            why += f"; {cold:.1%} of the requests start cold, about {setup:.2g} s each"
        return (
            RejectReason.MISSES_SLO,
            f"{worst.objective} is met with probability {worst.probability:.0%}: {why}",
        )

    def _priced(
        self,
        offer: ServerlessOffer,
        slowdown: NDArray[np.float64],
        mean_s: NDArray[np.float64],
        verdicts: tuple[ObjectiveVerdict, ...],
    ) -> Evaluated:
        requests = requests_per_month(self.demand.traffic)
        billed_s = np.ceil(mean_s * 1e3) / 1e3
        compute = LineItem(
            f"compute at {offer.memory_mib // 1024} GB",
            requests * Decimal(str(round(float(np.median(billed_s)), 6))),
            "second",
            offer.usd_per_second,
        )
        bill = Bill((compute, *data_items(self.book, offer.region, self.demand)))
        extra = float(bill.usd_per_month - compute.usd)
        draws = float(requests) * billed_s * float(offer.usd_per_second) + extra
        concurrency = self._concurrency(mean_s)
        return Evaluated(
            option=serverless_option(offer, int(np.quantile(concurrency, 0.8, method="higher"))),
            bill=bill,
            performance=self._performance(offer, slowdown, mean_s),
            verdicts=verdicts,
            cost_draws=np.where(concurrency <= SERVERLESS_MAX_CONCURRENCY, draws, np.inf),
            notes=("vCPU share by memory is an assumption", "cold starts at rising load not counted"),
        )

    def _performance(
        self, offer: ServerlessOffer, slowdown: NDArray[np.float64], mean_s: NDArray[np.float64]
    ) -> Performance:
        service = self.model.single_request_s()
        taken = {q: self._quantile_s(q, service, slowdown) for q in (0.5, 0.9, 0.95, 0.99)}
        tightest = max(each.quantile for each in self.demand.objectives.latency)
        capacity = SERVERLESS_MAX_CONCURRENCY / mean_s
        return Performance(
            capacity_rps=_range(capacity),
            latency_s=LatencySeconds(
                **{f"p{round(q * 100)}": float(np.median(values)) for q, values in taken.items()}
            ),
            interval=_range(self._quantile_s(tightest, service, slowdown)),
            utilization_ratio=min(
                float(self.demand.traffic.peak_rps / np.median(capacity)), 1.0
            ),
            basis=Basis.PRIOR,
            price_basis=offer.basis.value,
        )


def evaluate_serverless(
    offers: Sequence[ServerlessOffer],
    model: PerformanceModel,
    demand: Demand,
    book: PriceBook,
    errors: Errors,
) -> tuple[list[Evaluated], list[Rejected]]:
    return ServerlessEvaluation(model, demand, book, errors).run(offers)


def _range(draws: NDArray[np.float64]) -> Range:
    low, median, high = (float(value) for value in np.quantile(draws, [0.1, 0.5, 0.9]))
    return Range(low=low, median=median, high=high)
