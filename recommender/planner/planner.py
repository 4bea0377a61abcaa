"""What to measure next: the largest expected fall of regret for the dollars and minutes it takes.

The choice is the option of least expected cost. Regret is what it costs more than the cheapest,
as a share of the cheapest. Measuring machine m shows y, and then the choice may be another one, so
the expected regret falls by

    gain_m = E_y[ E[c_choice | y] - min_o E[c_o | y] ] / E[min_o c_o]

This is the knowledge gradient for correlated beliefs (Frazier, Powell & Dayanik, INFORMS Journal
on Computing 21, 2009), here of a cost that is not linear in what is measured. It is never below
zero. What is measured next has the largest gain for usd + minutes x usd_per_minute.

It is one step ahead: a gain that needs two measurements to show is not seen.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

import numpy as np

from recommender.planner.serving import ServingCost, normal_nodes

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from recommender.performance.joint import LogNormalJoint

    Floats = NDArray[np.float64]
    Places = NDArray[np.intp]

__all__ = [
    "Limits",
    "Measurable",
    "Proposal",
    "Question",
    "Rule",
    "Stop",
    "StopReason",
    "among",
    "expected_regret_ratio",
    "gains",
    "most_for_its_cost",
    "next_step",
    "order_of_measuring",
]

OUTCOMES = 64
REGRET_DRAWS = 1024
FREE_USD = 1e-6  # what costs nothing is measured first


@dataclass(frozen=True, slots=True)
class Question:
    """Which of `options` (columns of the belief) serves at least `cost`, whose order is theirs."""

    options: Places
    cost: ServingCost

    def only(self, keep: Places) -> Question:
        cost = ServingCost(self.cost.usd_per_hour[keep], self.cost.demand)
        return Question(self.options[keep], cost)


@dataclass(frozen=True, slots=True)
class Measurable:
    """Machines that can be measured: columns of the belief, and what each takes.

    error_sd: standard error of the log throughput that a measurement gives.
    """

    machines: Places
    minutes: Floats
    usd: Floats
    error_sd: float = 0.03

    def only(self, keep: NDArray[np.bool_]) -> Measurable:
        return Measurable(self.machines[keep], self.minutes[keep], self.usd[keep], self.error_sd)


@dataclass(frozen=True, slots=True)
class Limits:
    """What may still be spent; None: as much as it takes."""

    usd: float | None = None
    minutes: float | None = None

    def allow(self, minutes: Floats, usd: Floats) -> NDArray[np.bool_]:
        allowed = np.ones(len(usd), dtype=bool)
        if self.usd is not None:
            allowed &= usd <= self.usd
        if self.minutes is not None:
            allowed &= minutes <= self.minutes
        return allowed

    def less(self, minutes: float, usd: float) -> Limits:
        return Limits(
            None if self.usd is None else self.usd - usd,
            None if self.minutes is None else self.minutes - minutes,
        )


@dataclass(frozen=True, slots=True)
class Rule:
    """When to stop, and what a minute is worth.

    regret_ratio: enough is known once the choice is expected to cost no more than this share above
    the cheapest. least_gain_ratio: what lowers that share by less is not measured.
    """

    regret_ratio: float = 0.02
    least_gain_ratio: float = 0.0005
    usd_per_minute: float = 0.05


class StopReason(StrEnum):
    SURE_ENOUGH = "the choice is sure enough"
    NOTHING_AFFORDABLE = "what would tell more costs more than is left"
    NOTHING_TELLS = "no measurement is expected to change the choice"


@dataclass(frozen=True, slots=True)
class Proposal:
    """machine: the column to measure. choice: the option so far, its place in the question."""

    machine: int
    minutes: float
    usd: float
    gain_ratio: float
    regret_ratio: float
    choice: int


@dataclass(frozen=True, slots=True)
class Stop:
    reason: StopReason
    regret_ratio: float
    choice: int


def next_step(
    belief: LogNormalJoint,
    question: Question,
    measurable: Measurable,
    left: Limits,
    rule: Rule,
) -> Proposal | Stop:
    regret, choice, contenders = _outlook(belief, question)
    if regret <= rule.regret_ratio:
        return Stop(StopReason.SURE_ENOUGH, regret, choice)
    affordable = measurable.only(left.allow(measurable.minutes, measurable.usd))
    if len(affordable.machines) == 0:
        return Stop(StopReason.NOTHING_AFFORDABLE, regret, choice)
    gain = gains(belief, contenders, affordable)
    told = gain >= rule.least_gain_ratio
    if not told.any():
        return Stop(StopReason.NOTHING_TELLS, regret, choice)
    affordable, gain = affordable.only(told), gain[told]
    best = most_for_its_cost(gain, affordable, rule)
    return Proposal(
        machine=int(affordable.machines[best]),
        minutes=float(affordable.minutes[best]),
        usd=float(affordable.usd[best]),
        gain_ratio=float(gain[best]),
        regret_ratio=regret,
        choice=choice,
    )


def most_for_its_cost(gain: Floats, measurable: Measurable, rule: Rule) -> int:
    """Place of the largest gain for what it takes."""
    spent = measurable.usd + measurable.minutes * rule.usd_per_minute
    return int((gain / np.maximum(spent, FREE_USD)).argmax())


def order_of_measuring(
    belief: LogNormalJoint,
    question: Question,
    measurable: Measurable,
    left: Limits,
    rule: Rule,
) -> tuple[int, ...]:
    """Columns to measure, first things first, where nothing can be decided in between.

    Each is chosen as if those before it had shown what is expected of them (Ginsbourger et al.,
    Kriging is well-suited to parallelize optimization, 2010: the kriging believer).
    """
    order: list[int] = []
    while len(measurable.machines):
        step = next_step(belief, question, measurable, left, rule)
        if isinstance(step, Stop):
            break
        order.append(step.machine)
        left = left.less(step.minutes, step.usd)
        measurable = measurable.only(measurable.machines != step.machine)
        seen = np.array([step.machine], dtype=np.intp)
        belief = belief.given(seen, belief.mean[seen], measurable.error_sd)
    return tuple(order)


def expected_regret_ratio(belief: LogNormalJoint, question: Question) -> float:
    """E[cost of the choice] / E[least cost] - 1, by draws that are the same in every call."""
    return _outlook(belief, question)[0]


def _outlook(belief: LogNormalJoint, question: Question) -> tuple[float, int, Question]:
    """(regret ratio, choice, question among the options that are cheapest in some draw)."""
    own = among(belief, question.options)
    costs = question.cost.of(own.draw(REGRET_DRAWS, np.random.default_rng(0)))
    choice = _choice(belief, question)
    regret = float(costs[:, choice].mean() / costs.min(axis=1).mean() - 1)
    contenders = np.union1d(costs.argmin(axis=1), [choice])
    return regret, choice, question.only(contenders)


def gains(belief: LogNormalJoint, question: Question, measurable: Measurable) -> Floats:
    """By how much measuring each machine is expected to lower the regret ratio; (machines,)."""
    options, seen = question.options, measurable.machines
    variance = belief.covariance[seen, seen] + measurable.error_sd**2
    # How the mean of each option moves for one standard deviation of what is measured.
    shift = belief.covariance[np.ix_(seen, options)] / np.sqrt(variance)[:, None]
    left_sd = np.sqrt(np.maximum(np.diag(belief.covariance)[options] - shift**2, 0.0))
    outcomes = normal_nodes(OUTCOMES)
    mean = belief.mean[options] + shift[:, None, :] * outcomes[:, None]
    cost = question.cost.expected(mean, left_sd[:, None, :])
    least = cost.min(axis=2)
    saved = cost[:, :, _choice(belief, question)] - least
    return np.asarray(saved.mean(axis=1) / least.mean(axis=1), dtype=np.float64)


def _choice(belief: LogNormalJoint, question: Question) -> int:
    options = question.options
    return int(question.cost.expected(belief.mean[options], belief.sd[options]).argmin())


def among(belief: LogNormalJoint, machines: Places) -> LogNormalJoint:
    """What is believed of those machines alone."""
    return type(belief)(belief.mean[machines], belief.covariance[np.ix_(machines, machines)])
