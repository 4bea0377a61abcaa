"""Policies replayed on machines whose throughput is known: regret against measurements.

A workload that the prior has not seen was measured on one small machine. It may be served by any
of twenty others, drawn at random. Each policy measures one after the other, by reading the truth;
after each the machine of least expected cost is compared with the one that is really cheapest.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from recommender.errors import NotMeasured
from recommender.planner.planner import among
from recommender.planner.policies import ERROR_SD, POLICIES, Known
from recommender.planner.serving import ServingCost

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from recommender.performance.joint import LogNormalJoint
    from recommender.planner.ground import Ground

    Floats = NDArray[np.float64]
    Progress = Callable[[str, float | None], None]

__all__ = ["Course", "Settings", "replay", "replayable"]

MINUTES_TO_MEASURE = 15.0  # to start the machine and the server, and to find its capacity


@dataclass(frozen=True, slots=True)
class Settings:
    """demand_ratio: of the fleet, in what the reference serves; None: by the dollar."""

    reference: str = "m7i.2xlarge"
    shortlists: int = 40
    machines: int = 20
    measurements: int = 10
    demand_ratio: float | None = None
    seed: int = 7


@dataclass(frozen=True)
class Course:
    """One policy on one shortlist of one workload.

    regret_ratio, usd: after 0, 1, 2 ... measurements. stopped_at: after how many it would have
    stopped; None: not after any of these.
    """

    policy: str
    workload: str
    kind: str
    regret_ratio: Floats
    usd: Floats
    stopped_at: int | None


def replayable(ground: Ground, settings: Settings) -> Ground:
    """The workloads that were measured on the reference and on machines enough.

    Raises NotMeasured where none was.
    """
    reference = _reference(ground, settings)
    known = np.isfinite(ground.log_throughput)
    fit = known[:, reference] & (known.sum(axis=1) > settings.machines)
    if not fit.any():
        raise NotMeasured(
            f"no workload was measured on {settings.reference} and {settings.machines} others",
            hint="give another --reference",
        )
    return ground.take(np.flatnonzero(fit).tolist())


def replay(
    ground: Ground,
    priors: Sequence[LogNormalJoint],
    settings: Settings,
    progress: Progress,
) -> tuple[Course, ...]:
    """priors: what those believe of each workload's machines who never saw it.

    ground: as `replayable` leaves it.
    """
    reference = _reference(ground, settings)
    courses: list[Course] = []
    for number, (workload, prior) in enumerate(zip(ground.workloads, priors, strict=True)):
        progress(f"replaying {workload} ({number + 1} of {len(priors)})", None)
        courses += _Start(ground, number, reference, settings).courses(prior)
    return tuple(courses)


def _reference(ground: Ground, settings: Settings) -> int:
    if settings.reference not in ground.instances:
        raise NotMeasured(
            f"{settings.reference} is not among the {len(ground.instances)} machines measured",
            hint="give one that is: --reference m7i.xlarge",
        )
    return ground.instances.index(settings.reference)


@dataclass(frozen=True)
class _Start:
    """One workload, measured on the reference."""

    ground: Ground
    workload: int
    reference: int
    settings: Settings

    def courses(self, prior: LogNormalJoint) -> list[Course]:
        seen = np.array([self.reference], dtype=np.intp)
        belief = prior.given(seen, self._truth[seen], ERROR_SD)
        known = np.setdiff1d(np.flatnonzero(np.isfinite(self._truth)), seen)
        rng = np.random.default_rng([self.settings.seed, self.workload])
        found = []
        for _ in range(self.settings.shortlists):
            shortlist = rng.choice(known, self.settings.machines, replace=False)
            start = self._known(among(belief, shortlist), shortlist)
            truth = self._truth[shortlist]
            found += [self._course(policy, start, truth) for policy in POLICIES]
        return found

    @property
    def _truth(self) -> Floats:
        return np.asarray(self.ground.log_throughput[self.workload])

    def _cost(self, machines: NDArray[np.intp]) -> ServingCost:
        ratio = self.settings.demand_ratio
        demand = None if ratio is None else ratio * float(np.exp(self._truth[self.reference]))
        return ServingCost(self.ground.usd_per_hour[machines], demand)

    def _known(self, belief: LogNormalJoint, shortlist: NDArray[np.intp]) -> Known:
        own = np.array([self.reference], dtype=np.intp)
        return Known(
            belief=belief,
            cost=self._cost(shortlist),
            minutes=np.full(len(shortlist), MINUTES_TO_MEASURE),
            usd=self.ground.usd_per_hour[shortlist] * MINUTES_TO_MEASURE / 60,
            features=self.ground.features[shortlist],
            reference=(
                self.ground.features[self.reference],
                float(np.log(self._cost(own).of(self._truth[own]))[0]),
            ),
        )

    def _course(self, policy: str, known: Known, truth: Floats) -> Course:
        costs = known.cost.of(truth)
        rng = np.random.default_rng([self.settings.seed, self.workload])
        regret_ratio, usd, stopped_at = [], [0.0], None
        for count in range(self.settings.measurements + 1):
            decision = POLICIES[policy](known, rng)
            regret_ratio.append(float(costs[decision.choice] / costs.min() - 1))
            if decision.enough and stopped_at is None:
                stopped_at = count
            known = known.after(decision.place, float(truth[decision.place]))
            usd.append(usd[-1] + float(known.usd[decision.place]))
        return Course(
            policy=policy,
            workload=self.ground.workloads[self.workload],
            kind=self.ground.kinds[self.workload],
            regret_ratio=np.array(regret_ratio),
            usd=np.array(usd[:-1]),
            stopped_at=stopped_at,
        )
