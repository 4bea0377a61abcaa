"""Fleets of one type of machine, of a fixed size or scaled: simulated queue by queue."""

from __future__ import annotations

from typing import TYPE_CHECKING

from recommender.simulation.policy_facts import facts_of
from recommender.simulation.policy_search import formula_policy, recommend_policy, try_policies
from recommender.simulation.scaling_policy import FixedSize, Policy
from recommender.simulation.ways.found import Found

if TYPE_CHECKING:
    from recommender.simulation.market import Market
    from recommender.simulation.policy_search import Tried
    from recommender.simulation.served import Served

__all__ = ["fixed", "fleet_found", "formula", "scaled", "yours"]


def fixed(market: Market) -> Found:
    replicas = market.steady.machine.fleet.replicas
    return _tried("fixed", Policy(replicas, replicas, FixedSize()), market.steady)


def formula(market: Market) -> Found:
    return _tried("formula", formula_policy(market.following.scenario), market.following)


def scaled(market: Market) -> Found:
    served = market.following
    return fleet_found("scaled", recommend_policy(served.scenario, market.confidence).best, served)


def yours(market: Market, policy: Policy) -> Found:
    is_fixed = isinstance(policy.scaling, FixedSize) and not policy.schedule
    return _tried("yours", policy, market.steady if is_fixed else market.following)


def _tried(name: str, policy: Policy, served: Served) -> Found:
    return fleet_found(name, try_policies(served.scenario, [policy])[0], served)


def fleet_found(name: str, tried: Tried, served: Served) -> Found:
    return Found(
        name,
        option=f"{served.offer.name} {served.offer.purchase.value}",
        text=facts_of(tried.policy).text,
        outcome=served.billed(tried.outcome),
        prices=served.prices,
        machine=served.machine,
        policy=tried.policy,
    )
