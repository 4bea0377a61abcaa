"""How capacity grows with replicas, where configurations of a plan differ in nothing else."""

from __future__ import annotations

from typing import TYPE_CHECKING

from loadtests.fleets.scaling import CapacityOf, scaling_efficiency
from recommender.loadtest.report import CapacityAnswer
from recommender.loadtest.words import between, rounded

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from loadtests.fleets.scaling import ScalingEfficiency
    from recommender.loadtest.report import TestReport, TierAnswer
    from recommender.loadtest.subject import Configuration

__all__ = ["scaling_findings"]


def scaling_findings(
    configurations: Iterable[Configuration], tests: Iterable[TestReport], cores: int
) -> tuple[str, ...]:
    """A sentence for each SLO tier of each such group that has one replica among them.

    cores: of this machine. Those that ask for more of them together say nothing of a fleet.
    """
    named = {each.name: each for each in configurations}
    groups: dict[tuple[str, str, str], dict[int, CapacityOf]] = {}
    for test in tests:
        configuration = named.get(test.configurations[0])
        if configuration is None or not isinstance(test.answer, CapacityAnswer):
            continue
        count = 1 if configuration.replicas is None else configuration.replicas.count
        for tier in test.answer.tiers:
            found = _capacity(tier, is_crowded=_is_crowded(configuration, count, cores))
            if found is not None:
                alike = _but_for_replicas(configuration)
                groups.setdefault((test.scenario, tier.tier, alike), {}).setdefault(count, found)
    return tuple(_said(groups))


def _but_for_replicas(configuration: Configuration) -> str:
    return configuration.model_copy(
        update={"name": "", "replicas": None, "instance_type": None, "usd_per_hour": None}
    ).model_dump_json()


def _is_crowded(configuration: Configuration, count: int, cores: int) -> bool:
    """One without a size may use every core."""
    return count > 1 and (configuration.vcpus is None or count * configuration.vcpus > cores)


def _capacity(tier: TierAnswer, *, is_crowded: bool) -> CapacityOf | None:
    found = tier.capacity_rps
    if found.value is None:
        return None
    low = found.value if found.low is None else found.low
    high = found.value if found.high is None else found.high
    return CapacityOf(found.value, low, high, cores_shared=is_crowded)


def _said(groups: Mapping[tuple[str, str, str], Mapping[int, CapacityOf]]) -> Iterator[str]:
    for (scenario, tier, _), capacities in groups.items():
        if 1 in capacities and len(capacities) > 1:
            each = "; ".join(_one(found) for found in scaling_efficiency(capacities))
            yield f"Capacity by replicas ({scenario}, {tier}): {each}."


def _one(found: ScalingEfficiency) -> str:
    said = f"{found.replicas} serve {rounded(found.capacity_rps, 3)} req/s"
    if found.replicas == 1:
        return said
    if found.efficiency.value is None:
        return f"{said} ({found.reason})"
    return f"{said}, {between(found.efficiency)} of {found.replicas} times one"
