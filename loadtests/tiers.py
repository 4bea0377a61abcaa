"""Capacity under several SLOs at once, for little more than the cost of one.

The ladder is climbed once, and every open-loop run is evidence for every tier: one that confirms a
strict tier shows where a loose one is met, and one that misses a loose tier bounds a strict one.
The measurements must hold the latency quantiles of all tiers (`with_objectives`).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from loadtests import capacity
from loadtests.capacity import Capacity
from loadtests.errors import UsageError

if TYPE_CHECKING:
    from loadtests.capacity import SearchSettings
    from loadtests.ladder import Evidence
    from loadtests.slo import LatencyObjective, Slo
    from loadtests.steps import Step

__all__ = [
    "Tier",
    "TierCapacity",
    "conclude",
    "next_step",
    "objectives_of",
    "watched",
]


@dataclass(frozen=True, slots=True)
class Tier:
    name: str
    slo: Slo


@dataclass(frozen=True, slots=True)
class TierCapacity:
    tier: Tier
    capacity: Capacity

    @property
    def text(self) -> str:
        return f"{self.tier.name}: {self.capacity.text}"


def next_step(
    history: tuple[Evidence, ...], tiers: tuple[Tier, ...], settings: SearchSettings
) -> Step | tuple[TierCapacity, ...]:
    """What the first tier that still wants a run asks for; the answers, in order, when none does.

    Raises InvalidMeasurement as `capacity.next_step` does, UsageError without tiers.
    """
    if not tiers:
        raise UsageError("a capacity search needs an SLO", hint="for example p95<100ms")
    found: list[TierCapacity] = []
    each_has = replace(settings, most_open=settings.most_open * len(tiers))
    for tier in tiers:
        answer = capacity.next_step(history, tier.slo, each_has)
        if not isinstance(answer, Capacity):
            return answer
        found.append(TierCapacity(tier, answer))
    return tuple(found)


def conclude(
    history: tuple[Evidence, ...], tiers: tuple[Tier, ...], settings: SearchSettings
) -> tuple[TierCapacity, ...] | None:
    """From what is there; None without two rungs that were answered."""
    answers = [capacity.conclude(history, tier.slo, settings) for tier in tiers]
    return (
        tuple(
            TierCapacity(tier, answer)
            for tier, answer in zip(tiers, answers, strict=True)
            if answer is not None
        )
        or None
    )


def objectives_of(tiers: tuple[Tier, ...]) -> tuple[LatencyObjective, ...]:
    """What every run is summarised for; where tiers share a quantile, the strictest limit."""
    limits: dict[float, LatencyObjective] = {}
    for objective in (each for tier in tiers for each in tier.slo.latency):
        other = limits.get(objective.quantile)
        if other is None or objective.limit_s < other.limit_s:
            limits[objective.quantile] = objective
    return tuple(limits[quantile] for quantile in sorted(limits))


def watched(tiers: tuple[Tier, ...]) -> tuple[LatencyObjective, ...]:
    """What must be decided before a run may end early."""
    return tuple(dict.fromkeys(capacity.tightest(tier.slo) for tier in tiers))
