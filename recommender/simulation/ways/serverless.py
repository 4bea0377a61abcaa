"""SageMaker serverless inference: the cheapest memory size, and with instances always ready.

Everything is looked at in the middle draw, and what looks best simulated by the minute in more.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from loadtests.slo import tightest
from pricing import Platform, ServerlessComponent, ServerlessOffer
from recommender.limits import (
    SERVERLESS_MAX_CONCURRENCY,
    SERVERLESS_PAYLOAD_BYTES,
    payload_obstacle,
)
from recommender.recommendation import RejectReason
from recommender.simulation.provisioned import ProvisionedScaling
from recommender.simulation.serverless import (
    DATA_IN,
    DATA_OUT,
    PROVISIONED,
    ServerlessScenario,
    ServerlessTerms,
    ServerlessWork,
    serverless_prices,
    simulate_serverless,
)
from recommender.simulation.traffic import MINUTE_S
from recommender.simulation.warm_pool import largest_rate_rps
from recommender.simulation.ways.found import Found, NoGround
from recommender.verdicts import median_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from decimal import Decimal

    from numpy.typing import NDArray

    from recommender.simulation.market import Market
    from recommender.simulation.outcome import Outcome

    Floats = NDArray[np.float64]

__all__ = ["Size", "best_size", "provisioned", "provisioned_scaled", "serverless"]

DRAWS = 9  # odd, so that one is in the middle
FINALISTS = 2
BUSY_QUANTILES = (0.0, 0.5, 0.9, 1.0)
TARGETS = (0.5, 0.7, 0.9)
SPARE = 1.25
REFUSED_RATIO = 0.001
UNFIT = (RejectReason.MEMORY, RejectReason.INCONCLUSIVE)


@dataclass(frozen=True, eq=False)
class Size:
    """One memory size; work in all draws of the model."""

    market: Market
    memory_mib: int
    work: ServerlessWork
    prices: Mapping[str, Decimal]

    @property
    def name(self) -> str:
        return f"serverless {self.memory_mib // 1024} GB"

    @property
    def most_rps(self) -> float:
        """Of which the concurrency limit refuses next to none, as slow as it may well be."""
        mean_s = float(np.quantile(self.work.mean_s, self.market.confidence))
        return largest_rate_rps(SERVERLESS_MAX_CONCURRENCY, mean_s, REFUSED_RATIO)

    def outcome(self, terms: ServerlessTerms, draws: int, *, by_minute: bool) -> Outcome:
        """by_minute: what scales within minutes has to be looked at so."""
        trace = self.market.terms.trace
        scenario = ServerlessScenario(
            trace=trace.in_steps_of(MINUTE_S) if by_minute and trace.step_s > MINUTE_S else trace,
            work=self.work.of_draws(draws),
            limit=self.market.limit,
            levels=self.market.terms.levels(draws),
        )
        return simulate_serverless(scenario, terms, with_timeline=draws == DRAWS)

    def usd(self, outcome: Outcome) -> float:
        return median_of(outcome.usd_per_month(self.prices))

    def is_met(self, outcome: Outcome) -> bool:
        return bool((outcome.requests.attainment >= self.market.quantile).all())


def serverless(market: Market) -> Found:
    return _best("serverless", [(size, ON_DEMAND) for size in _sizes(market)], market)


def best_size(market: Market) -> Size:
    """The cheapest whose warm requests meet the objective with the confidence asked for.

    Raises NoGround where none does.
    """
    limit = market.limit
    for size in sorted(_sizes(market), key=_usd_per_request):
        warm_s = size.work.mean_s * float(np.quantile(size.work.unit_service, limit.quantile))
        if float(np.mean(warm_s <= limit.limit_s)) >= market.confidence:
            return size
    raise NoGround(
        f"at no memory size do warm requests surely meet {tightest(market.demand.objectives).text}"
    )


def provisioned(market: Market) -> Found:
    """A number that is always ready: what keeps cold starts out, or is cheaper by the second."""
    size = _with_provisioned(market)
    busy = _busy(size)
    numbers = {max(int(np.ceil(each)), 1) for each in np.quantile(busy, BUSY_QUANTILES)}
    kept = sorted({min(each, SERVERLESS_MAX_CONCURRENCY) for each in numbers})
    return _best("provisioned", [(size, _terms(number)) for number in kept], market)


def provisioned_scaled(market: Market) -> Found:
    size = _with_provisioned(market)
    busy = _busy(size)
    policies = [
        ProvisionedScaling(
            target,
            least=_bounded(float(busy.min()) / target),
            most=_bounded(SPARE * float(busy.max()) / target),
        )
        for target in TARGETS
    ]
    return _best("provisioned-scaled", [(size, _terms(each)) for each in policies], market)


def _terms(kept: int | ProvisionedScaling) -> ServerlessTerms:
    return ServerlessTerms(SERVERLESS_MAX_CONCURRENCY, provisioned=kept)


ON_DEMAND = ServerlessTerms(SERVERLESS_MAX_CONCURRENCY)


def _bounded(number: float) -> int:
    return min(max(int(np.ceil(number)), 1), SERVERLESS_MAX_CONCURRENCY)


def _busy(size: Size) -> Floats:
    """Requests in progress in each minute, in the middle draw."""
    trace = size.market.terms.trace
    fine = trace.in_steps_of(MINUTE_S) if trace.step_s > MINUTE_S else trace
    return fine.rate_rps * median_of(size.work.mean_s)


def _with_provisioned(market: Market) -> Size:
    size = best_size(market)
    if PROVISIONED not in size.prices:
        region = market.demand.constraints.region
        raise NoGround(f"no price of provisioned concurrency is known in {region}")
    return size


def _usd_per_request(size: Size) -> float:
    return median_of(size.work.mean_s) * float(size.prices["compute"])


def _sizes(market: Market) -> list[Size]:
    """Raises NoGround where serverless is not to be had, NotMeasured where a start is unknown."""
    constraints, demand = market.demand.constraints, market.demand
    if Platform.SERVERLESS.value not in constraints.platforms:
        raise NoGround(
            "serverless is not among the platforms asked for", hint="--platform serverless"
        )
    obstacle = payload_obstacle(demand.workload, SERVERLESS_PAYLOAD_BYTES)
    if obstacle is not None:
        raise NoGround(obstacle.detail)
    offers = market.book.serverless(constraints.region, ServerlessComponent.ON_DEMAND)
    if not offers:
        raise NoGround(f"no serverless price is known in {constraints.region}")
    unfit = {
        each.offer.memory_mib: each.refusal.obstacle.detail
        for each in market.judged.refused
        if isinstance(each.offer, ServerlessOffer) and each.refusal.obstacle.reason in UNFIT
    }
    fit = sorted(each.memory_mib for each in offers if each.memory_mib not in unfit)
    if not fit:
        raise NoGround(next(iter(unfit.values())))
    return _worth_trying([_size(market, memory_mib) for memory_mib in fit])


def _worth_trying(sizes: Sequence[Size]) -> list[Size]:
    """Smallest first, without those that are dearer and no faster: a request uses one vCPU."""
    kept = [sizes[0]]
    for size in sizes[1:]:
        if (size.work.mean_s < kept[-1].work.mean_s).any():
            kept.append(size)
    return kept


def _size(market: Market, memory_mib: int) -> Size:
    """What has no price is not charged: the report's assumptions say so."""
    prices = serverless_prices(market.book, market.demand.constraints.region, memory_mib)
    speed, workload = market.serverless_speed_ratio, market.demand.workload
    work = ServerlessWork.of(market.model, memory_mib, speed, workload)
    return Size(
        market,
        memory_mib,
        replace(
            work,
            request_bytes=work.request_bytes if DATA_IN in prices else 0.0,
            response_bytes=work.response_bytes if DATA_OUT in prices else 0.0,
        ),
        prices,
    )


def _best(name: str, asked: Sequence[tuple[Size, ServerlessTerms]], market: Market) -> Found:
    """The cheapest that meets the objective surely enough; else the one that most surely does."""
    by_minute = name == "provisioned-scaled"
    first = []
    for size, terms in asked:
        outcome = size.outcome(terms, 1, by_minute=by_minute)
        first.append((not size.is_met(outcome), size.usd(outcome), size, terms))
    first.sort(key=lambda each: each[:2])
    best: tuple[float, Found] | None = None
    for _, _, size, terms in first[:FINALISTS]:
        found = _found(name, size, terms)
        probability = found.probability(market.quantile)
        if best is None or probability > best[0]:
            best = probability, found
        if probability >= market.confidence:
            break
    if best is None:
        raise NoGround("no serverless terms were tried")
    return best[1]


def _found(name: str, size: Size, terms: ServerlessTerms) -> Found:
    outcome = size.outcome(terms, DRAWS, by_minute=True)
    text = _text(terms)
    return Found(name, size.name, text, outcome, size.prices, most_rps=size.most_rps)


def _text(terms: ServerlessTerms) -> str:
    kept = terms.provisioned
    if isinstance(kept, ProvisionedScaling):
        return f"{kept.least} to {kept.most} always ready, {kept.target_ratio:.0%} of them in use"
    return f"{kept} always ready" if kept else f"{terms.most} at a time at most"
