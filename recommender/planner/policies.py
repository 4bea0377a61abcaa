"""Ways to choose what to measure next, side by side in the replay.

All but the plain GP believe the same of what they have measured, so that they differ in nothing
but what they measure.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol

import numpy as np
from scipy.special import ndtr
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import ConstantKernel, Matern, WhiteKernel

from recommender.planner.planner import (
    Limits,
    Measurable,
    Question,
    Rule,
    Stop,
    gains,
    most_for_its_cost,
    next_step,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from recommender.performance.joint import LogNormalJoint
    from recommender.planner.serving import ServingCost

    Floats = NDArray[np.float64]

__all__ = ["ERROR_SD", "POLICIES", "Decision", "Known", "Policy"]

CHERRYPICK_IMPROVEMENT = 0.1
CHERRYPICK_FEWEST = 6
SIGNAL_SD, LENGTH = 0.8, 2.0  # of log cost, over facts of spread 1
ERROR_SD = 0.03  # of the log of a measured throughput: the median between two like machines


@dataclass(frozen=True)
class Known:
    """A shortlist in the middle of a replay; arrays are of its machines.

    belief: after the reference and all that was measured. measured: in what order, with their log
    throughputs. features: of the catalogue, scaled; reference: those of the machine measured at
    first, which is none of the shortlist, and the log of what serving costs on it.
    """

    belief: LogNormalJoint
    cost: ServingCost
    minutes: Floats
    usd: Floats
    features: Floats
    reference: tuple[Floats, float]
    measured: tuple[int, ...] = ()
    log_values: tuple[float, ...] = ()

    @property
    def is_left(self) -> NDArray[np.bool_]:
        left = np.ones(len(self.usd), dtype=bool)
        left[list(self.measured)] = False
        return left

    def after(self, place: int, log_value: float) -> Known:
        seen, value = np.array([place], dtype=np.intp), np.array([log_value])
        return replace(
            self,
            belief=self.belief.given(seen, value, ERROR_SD),
            measured=(*self.measured, place),
            log_values=(*self.log_values, log_value),
        )


@dataclass(frozen=True, slots=True)
class Decision:
    """choice: the best so far. place: what to measure next. enough: it would stop here."""

    choice: int
    place: int
    enough: bool


class Policy(Protocol):
    def __call__(self, known: Known, rng: np.random.Generator) -> Decision: ...


def _planned(known: Known, rng: np.random.Generator) -> Decision:  # noqa: ARG001 - as all
    everything = np.arange(len(known.usd))
    question = Question(everything, known.cost)
    measurable = Measurable(everything, known.minutes, known.usd, ERROR_SD)
    measurable = measurable.only(known.is_left)
    step = next_step(known.belief, question, measurable, Limits(), Rule())
    if not isinstance(step, Stop):
        return Decision(step.choice, step.machine, enough=False)
    gain = gains(known.belief, question, measurable)
    further = most_for_its_cost(gain, measurable, Rule())
    return Decision(step.choice, int(measurable.machines[further]), enough=True)


def _random(known: Known, rng: np.random.Generator) -> Decision:
    return Decision(_believed(known), int(rng.choice(np.flatnonzero(known.is_left))), enough=False)


def _by_price(known: Known, rng: np.random.Generator) -> Decision:  # noqa: ARG001 - as all
    price = np.where(known.is_left, known.cost.usd_per_hour, np.inf)
    return Decision(_believed(known), int(price.argmin()), enough=False)


def _believed(known: Known) -> int:
    return int(known.cost.expected(known.belief.mean, known.belief.sd).argmin())


def _plain_gp(known: Known, rng: np.random.Generator) -> Decision:  # noqa: ARG001 - as all
    """CherryPick (Alipourfard et al., NSDI 2017): a GP over catalogue facts, and EI.

    It stops once no machine is expected to improve on the best by a tenth, six or more measured.
    """
    facts, log_cost = known.reference
    places = list(known.measured)
    log_throughput = np.full(len(known.usd), np.nan)
    log_throughput[places] = known.log_values
    x = np.vstack([facts, known.features[places]])
    y = np.append(log_cost, np.log(known.cost.of(log_throughput))[places])
    mean, sd = _kriged(x, y, known.features)
    best = y[1:].min() if places else log_cost
    surely = np.maximum(sd, 1e-9)
    z = (best - mean) / surely
    improvement = (best - mean) * ndtr(z) + surely * np.exp(-(z**2) / 2) / np.sqrt(2 * np.pi)
    improvement = np.where(known.is_left, improvement, -np.inf)
    return Decision(
        choice=int(mean.argmin()),
        place=int(improvement.argmax()),
        enough=len(places) >= CHERRYPICK_FEWEST and improvement.max() < CHERRYPICK_IMPROVEMENT,
    )


def _kriged(x: Floats, y: Floats, at: Floats) -> tuple[Floats, Floats]:
    """The kernel is given: fitted to so few points, it does worse."""
    kernel = ConstantKernel(SIGNAL_SD**2) * Matern(LENGTH, nu=2.5) + WhiteKernel(ERROR_SD**2)
    centre = y.mean()
    surrogate = GaussianProcessRegressor(kernel, optimizer=None).fit(x, y - centre)
    mean, sd = surrogate.predict(at, return_std=True)
    return mean + centre, sd


POLICIES: dict[str, Policy] = {
    "planner": _planned,
    "random": _random,
    "by price": _by_price,
    "plain GP": _plain_gp,
}
