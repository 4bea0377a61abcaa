"""Capacity under several SLOs at once, for little more than the cost of one.

The ladder is climbed once, and every open-loop run is evidence for every tier: one that confirms a
strict tier shows where a loose one is met, and one that misses a loose tier bounds a strict one.
The measurements must hold the latency quantiles of all tiers (`with_objectives`).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from loadtests.errors import UsageError
from loadtests.modes import capacity
from loadtests.modes.capacity import Capacity
from loadtests.slo import decisive

if TYPE_CHECKING:
    from loadtests.modes.capacity import SearchSettings
    from loadtests.modes.ladder import Evidence
    from loadtests.slo import Objective, QuantileObjective, Slo
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


def objectives_of(tiers: tuple[Tier, ...]) -> tuple[Objective, ...]:
    """What every run is summarised for; where tiers share a quantile, the strictest limit."""
    strictest: dict[str, QuantileObjective] = {}
    for objective in (each for tier in tiers for each in tier.slo.quantiles):
        about = objective.text.partition("<")[0]
        other = strictest.get(about)
        if other is None or objective.limit_s < other.limit_s:
            strictest[about] = objective
    goodputs = (tier.slo.goodput for tier in tiers)
    return (
        *sorted(strictest.values(), key=lambda each: each.quantile),
        *dict.fromkeys(each for each in goodputs if each is not None),
    )


def watched(tiers: tuple[Tier, ...]) -> tuple[QuantileObjective, ...]:
    """What must be decided before a run may end early."""
    return tuple(dict.fromkeys(each for tier in tiers for each in decisive(tier.slo)))
