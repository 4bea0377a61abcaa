"""What is measured first where a plan's limits do not allow for all.

That which tells most about what is cheapest, for the time and money it takes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from recommender.loadtest.agenda import estimate_of, served_together
from recommender.loadtest.scenario import CapacityScenario, OfflineScenario
from recommender.performance.joint import LogNormalJoint
from recommender.performance.scaling import relative_efficiency
from recommender.planner.planner import Limits, Measurable, Question, Rule, order_of_measuring
from recommender.planner.serving import ServingCost

if TYPE_CHECKING:
    from collections.abc import Mapping
    from decimal import Decimal

    from numpy.typing import NDArray

    from recommender.loadtest.agenda import Test
    from recommender.loadtest.plan import Plan
    from recommender.loadtest.subject import Configuration
    from recommender.performance.scaling import UslPrior

    Floats = NDArray[np.float64]
    Group = tuple[Test, ...]

__all__ = ["Priorities"]

SHOWS_THROUGHPUT = CapacityScenario | OfflineScenario
DRAWS = 1000
OWN_SD = 0.3  # of the log throughput: what settings and kinds of deployment make of one size
EVERYTHING = Rule(regret_ratio=0.0, least_gain_ratio=0.0)  # the limits end it, nothing else
MINUTE_S, HOUR_S = 60.0, 3600.0


@dataclass(frozen=True)
class Priorities:
    """usd_per_hour: by configuration, where a price is known. paid: where it is paid meanwhile.

    scaling: how servers grow with vCPUs.
    """

    plan: Plan
    usd_per_hour: Mapping[str, Decimal]
    paid: Mapping[str, Decimal]
    scaling: UslPrior

    def ordered(self, tests: tuple[Test, ...], cores: int) -> tuple[Group, ...]:
        """Groups that one start serves, each whole; in the plan's order where all fit.

        Only what shows the throughput of one configuration with a price is moved, among its own
        places: of anything else nothing tells how much it would tell.
        """
        groups = served_together(tests)
        if self._are_within_limits(groups):
            return groups
        places = [n for n, group in enumerate(groups) if self._shows_throughput(group)]
        movable = [groups[n] for n in places]
        # What can be afforded, then what could be with more, then what would tell nothing.
        phases = (self._limits, Limits())
        wanted = [place for left in phases for place in self._first(movable, left, cores)]
        moved = [places[n] for n in dict.fromkeys([*wanted, *range(len(places))])]
        order = dict(zip(places, moved, strict=True))
        return tuple(groups[order.get(n, n)] for n in range(len(groups)))

    def _are_within_limits(self, groups: tuple[Group, ...]) -> bool:
        minutes = sum(self._minutes(group) for group in groups)
        usd = sum(self._usd(group) for group in groups)
        return bool(self._limits.allow(np.array([minutes]), np.array([usd])).all())

    @property
    def _limits(self) -> Limits:
        limits = self.plan.limits
        return Limits(
            usd=None if limits.usd is None else float(limits.usd),
            minutes=None if limits.time_s is None else limits.time_s / MINUTE_S,
        )

    def _minutes(self, group: Group) -> float:
        tiers = len(self.plan.tiers)
        return sum(estimate_of(test, tiers).seconds for test in group) / MINUTE_S

    def _usd(self, group: Group) -> float:
        hours = self._minutes(group) * MINUTE_S / HOUR_S
        return hours * sum(float(self.paid.get(e.name, 0)) for e in group[0].configurations)

    def _shows_throughput(self, group: Group) -> bool:
        return (
            len(group[0].configurations) == 1
            and group[0].configurations[0].name in self.usd_per_hour
            and any(
                isinstance(each.scenario, CapacityScenario | OfflineScenario) for each in group
            )
        )

    def _first(self, groups: list[Group], left: Limits, cores: int) -> tuple[int, ...]:
        configurations = [group[0].configurations[0] for group in groups]
        prices = np.array([float(self.usd_per_hour[each.name]) for each in configurations])
        every = np.arange(len(groups))
        return order_of_measuring(
            self._belief([_vcpus(each, cores) for each in configurations]),
            Question(every, ServingCost(prices)),
            Measurable(
                every,
                np.array([self._minutes(group) for group in groups]),
                np.array([self._usd(group) for group in groups]),
            ),
            left,
            EVERYTHING,
        )

    def _belief(self, vcpus: list[float]) -> LogNormalJoint:
        """Throughput grows with the vCPUs as servers do; beyond that each is its own."""
        sigma, kappa = self.scaling.draw(DRAWS, np.random.default_rng(0))
        sizes = np.array(vcpus)
        log_rates = np.log(sizes * relative_efficiency(sizes, sigma[:, None], kappa[:, None]))
        covariance = np.atleast_2d(np.cov(log_rates.T)) + OWN_SD**2 * np.eye(len(sizes))
        return LogNormalJoint(log_rates.mean(axis=0), covariance)


def _vcpus(configuration: Configuration, cores: int) -> float:
    count = 1 if configuration.replicas is None else configuration.replicas.count
    return count * (configuration.vcpus or float(cores))
