"""The scaling policy to deploy: the cheapest of many that meets the objective, by simulation.

Candidates are target tracking on invocations per instance, with every target, least size and pair
of cooldowns of a grid, what AWS's formula gives, and fleets of a fixed size. All of them are tried
on a few draws, the cheapest that pass there on all draws. Beside the winner stand the formula's
policy and the smallest fixed fleet, simulated alike.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from itertools import product
from typing import TYPE_CHECKING

import numpy as np

from recommender.simulation.fleet import simulate_fleet
from recommender.simulation.replica import ReplicaQueue
from recommender.simulation.scaling_policy import FixedSize, Policy, TargetTracking
from recommender.simulation.traffic import MINUTE_S

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from recommender.simulation.fleet import FleetScenario
    from recommender.simulation.outcome import Outcome

    Floats = NDArray[np.float64]

__all__ = [
    "ScalingAdvice",
    "Tried",
    "formula_policy",
    "recommend_policy",
    "slo_load_rps",
    "try_policies",
]

TARGETS = tuple(np.linspace(0.35, 1.25, 16))
"""Of the load that one replica takes at the objective."""
LEAST = (0.0, 0.5, 1.0)
"""Least size: from what the quietest step needs (0) to what the mean needs (1)."""
OUT_COOLDOWNS_S, IN_COOLDOWNS_S = (60.0, 300.0), (300.0, 900.0)
FIXED, FINALISTS = 24, 12
ABOUT, HALF = (-0.1, 0.0, 0.1), 0.5
"""A first look: at draws about as hard as the confidence asks for, half of them passed."""
SPARE = 1.25
"""Largest size allowed, over the largest that any draw used."""
TARGET_CPU = 0.5
"""TargetCpuUtilizationPerCore of GetScalingConfigurationRecommendation, unless told otherwise."""


@dataclass(frozen=True, eq=False)
class Tried:
    """probability: that the objective is met over the time simulated, from the draws."""

    policy: Policy
    outcome: Outcome
    probability: float

    @property
    def is_fixed(self) -> bool:
        return isinstance(self.policy.scaling, FixedSize)

    @property
    def hours(self) -> float:
        """Instance-hours, in the mean over draws."""
        return float(self.outcome.usage[0].amount.mean())


@dataclass(frozen=True, eq=False)
class ScalingAdvice:
    """meets: whether the best policy meets the objective with the confidence asked for.

    slo_rpm: invocations a minute that one replica takes at the objective, in the cautious draw.
    fixed: the smallest fixed fleet that meets it; None where none that was tried does. nearest:
    what costs a little less and does not. tried: how many policies.
    """

    best: Tried
    meets: bool
    fixed: Tried | None
    formula: Tried
    nearest: Tried | None
    tried: int
    slo_rpm: float
    confidence: float


def slo_load_rps(scenario: FleetScenario) -> Floats:
    """The largest steady load of one replica that meets the objective, shape (draws,)."""
    queue = ReplicaQueue(scenario.replica, scenario.limit, scenario.step_s)
    allowed = 1 - scenario.limit.quantile
    tails = queue.steady_tail
    grid = np.linspace(0.0, 1.0, tails.shape[1])
    largest = [np.interp(allowed, tail, grid) if tail[0] <= allowed else 0.0 for tail in tails]
    return np.array(largest) * scenario.replica.saturation_rps


def formula_policy(scenario: FleetScenario, *, target_cpu: float = TARGET_CPU) -> Policy:
    """As GetScalingConfigurationRecommendation: throughput is proportional to the use of the CPU.

    The target is what a replica takes while its CPUs are used as asked; the bounds are what least
    and most traffic need at that target; cooldowns are the default.
    """
    replica = scenario.replica
    saturation_rpm = float(np.median(replica.saturation_rps)) * MINUTE_S
    target = float(f"{saturation_rpm * min(target_cpu / replica.busy_ratio, 1.0):.3g}")
    rates = scenario.trace.rate_rps * MINUTE_S
    least, most = (max(math.ceil(float(rate) / target), 1) for rate in (rates.min(), rates.max()))
    return Policy(least, most, TargetTracking("invocations", target))


def recommend_policy(scenario: FleetScenario, confidence: float) -> ScalingAdvice:
    """confidence: with which the share of good requests must reach the objective's quantile."""
    load_rps = slo_load_rps(scenario)
    cautious_rps = float(np.quantile(load_rps, 1 - confidence, method="lower"))
    # Where not even an idle replica meets the objective no policy will: the least bad is found.
    base_rps = cautious_rps or 0.5 * float(np.median(scenario.replica.saturation_rps))
    candidates = _candidates(scenario, base_rps)
    first = _try(_few_draws(scenario, load_rps, confidence), candidates)
    final = _finals(scenario, first, confidence)
    good = sorted((each for each in final if each.probability >= confidence), key=_cost)
    best = good[0] if good else min(final, key=_merit)
    formula = formula_policy(scenario)
    bounded, by_formula = try_policies(scenario, [_bounded(best), formula])
    cheaper = [each for each in final if each.probability < confidence and each.hours < best.hours]
    return ScalingAdvice(
        best=bounded,
        meets=bounded.probability >= confidence,
        fixed=next((each for each in good if each.is_fixed), None),
        formula=by_formula,
        nearest=max(cheaper, key=_cost, default=None),
        tried=len(candidates),
        slo_rpm=cautious_rps * MINUTE_S,
        confidence=confidence,
    )


def _candidates(scenario: FleetScenario, base_rps: float) -> list[Policy]:
    """base_rps: what one replica takes at the objective."""
    rates = scenario.trace.rate_rps
    mean, peak = float(rates.mean()), float(rates.max())
    quiet, most = float(rates.min()), peak * float(scenario.levels.max())
    found = [formula_policy(scenario)]
    for share, at in product(TARGETS, LEAST):
        load_rps = share * base_rps
        least = max(math.ceil((quiet + at * (mean - quiet)) / load_rps), 1)
        bounds = least, max(math.ceil(SPARE * most / load_rps), least)
        target = float(f"{load_rps * MINUTE_S:.3g}")
        found += [
            Policy(*bounds, TargetTracking("invocations", target, out_s, in_s))
            for out_s, in_s in product(OUT_COOLDOWNS_S, IN_COOLDOWNS_S)
        ]
    sizes = np.linspace(mean / base_rps, SPARE * most / base_rps, FIXED)
    whole = sorted({max(math.ceil(size), 1) for size in sizes})
    return [*dict.fromkeys(found), *(Policy(size, size, FixedSize()) for size in whole)]


def _few_draws(scenario: FleetScenario, load_rps: Floats, confidence: float) -> FleetScenario:
    """Those about as hard as the confidence asks for: by traffic over what a replica takes."""
    with np.errstate(divide="ignore"):
        order = np.argsort(scenario.levels / load_rps)
    ranks = np.clip(confidence + np.array(ABOUT), 0, 1) * (len(order) - 1)
    chosen = order[np.unique(np.ceil(ranks).astype(np.intp))]
    return replace(
        scenario, replica=scenario.replica.of_draws(chosen), levels=scenario.levels[chosen]
    )


def try_policies(scenario: FleetScenario, policies: Sequence[Policy]) -> list[Tried]:
    """Each simulated, with its course."""
    return _try(scenario, policies, with_timeline=True)


def _try(
    scenario: FleetScenario, policies: Sequence[Policy], *, with_timeline: bool = False
) -> list[Tried]:
    outcomes = simulate_fleet(scenario, policies, with_timeline=with_timeline)
    return [
        Tried(policy, outcome, _probability(scenario, outcome))
        for policy, outcome in zip(policies, outcomes, strict=True)
    ]


def _probability(scenario: FleetScenario, outcome: Outcome) -> float:
    return float(np.mean(outcome.requests.attainment >= scenario.limit.quantile))


def _finals(scenario: FleetScenario, first: Sequence[Tried], confidence: float) -> list[Tried]:
    """On all draws: the smallest fixed fleets, and the cheapest others until one passes."""
    promising = sorted((each for each in first if each.probability >= HALF), key=_cost)
    if not promising:
        nearest = sorted(first, key=_merit)[:FINALISTS]
        return _try(scenario, [each.policy for each in nearest])
    fixed = [each.policy for each in promising if each.is_fixed]
    tried = _try(scenario, fixed[:3])
    scaled = [each.policy for each in promising if not each.is_fixed]
    for start in range(0, len(scaled), FINALISTS):
        batch = _try(scenario, scaled[start : start + FINALISTS])
        tried += batch
        if any(each.probability >= confidence for each in batch):
            break
    return tried


def _bounded(tried: Tried) -> Policy:
    """With no more replicas allowed than any draw used, and some to spare."""
    policy, most = tried.policy, tried.outcome.most_replicas
    if tried.is_fixed or most is None:
        return policy
    return replace(policy, max_replicas=math.ceil(SPARE * float(most.max())))


def _cost(tried: Tried) -> float:
    return tried.hours


def _merit(tried: Tried) -> tuple[float, float, float]:
    """The least is the nearest to the objective."""
    return -tried.probability, -float(tried.outcome.requests.attainment.mean()), tried.hours
