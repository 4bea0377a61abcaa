"""The trials so far, and what they say."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from scipy.stats import norm

from loadtests.tuning.surface import Belief, Observation, Surface

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from loadtests.tuning.spec import Setting, TrialResult, TuningSpec

__all__ = [
    "Departure",
    "Trials",
    "Z",
    "better_than",
    "expected_improvement",
    "most_different",
    "probability_best",
]

CONFIDENCE = 0.95
Z = float(norm.ppf(0.5 + CONFIDENCE / 2))
LEAST_SD = 1e-3  # an interval without width is rounding, not certainty
UNBOUNDED_SD = 1.0  # neither end known: right within a factor of e
DRAWS = 20_000


@dataclass(frozen=True, slots=True)
class Departure:
    """Left the search at that rung, for that reason."""

    setting: Setting
    rung: int
    reason: str


@dataclass
class Trials:
    spec: TuningSpec
    results: list[TrialResult] = field(default_factory=list)
    departures: list[Departure] = field(default_factory=list)

    @property
    def load_s(self) -> float:
        return math.fsum(each.load_s for each in self.results)

    def setting(self, result: TrialResult) -> Setting:
        return self.spec.unnamed(result.trial.setting)

    def tried(self) -> tuple[Setting, ...]:
        return tuple(dict.fromkeys(self.setting(each) for each in self.results))

    def scored(self, rung: int | None = None) -> tuple[Setting, ...]:
        """With a score, at that rung or at any; not those that failed once."""
        failed = {self.setting(each) for each in self.results if each.failed_reason is not None}
        found = (
            self.setting(each) for each in self.results if rung is None or each.trial.rung == rung
        )
        return tuple(dict.fromkeys(each for each in found if each not in failed))

    def runs(self, setting: Setting, rung: int) -> int:
        return sum(
            self.setting(each) == setting and each.trial.rung == rung for each in self.results
        )

    @property
    def top_rung(self) -> int:
        """The highest with a score."""
        return max((each.trial.rung for each in self.results if each.score is not None), default=0)

    @property
    def sign(self) -> int:
        return -1 if self.spec.objective == "latency" else 1

    def surface(self) -> Surface:
        """Raises ValueError without one score."""
        return Surface(
            [
                Observation(
                    self.setting(each),
                    each.trial.rung,
                    self.sign * math.log(each.score),
                    _sd(each),
                )
                for each in self.results
                if each.score is not None
            ]
        )


def _sd(result: TrialResult) -> float:
    """Of the log score, from the wider side of its interval."""
    score = result.score
    if score is None:
        raise ValueError("a failed trial has no spread")
    sides = []
    if result.low > 0:
        sides.append(math.log(score / result.low))
    if result.high is not None:
        sides.append(math.log(result.high / score))
    return max(max(sides) / Z, LEAST_SD) if sides else UNBOUNDED_SD


def better_than(belief: Belief, index: int) -> NDArray[np.float64]:
    """Of each, the probability to be better than the one at index; of that itself one half."""
    over = belief.over(index)
    with np.errstate(divide="ignore", invalid="ignore"):
        distance = np.where(over.sd > 0, over.mean / over.sd, np.sign(over.mean) * np.inf)
    return np.asarray(norm.cdf(np.where(over.mean == 0, 0.0, distance)))


def probability_best(belief: Belief, seed: int) -> NDArray[np.float64]:
    """Of each to be the best of them, by drawing from their joint distribution."""
    rng = np.random.default_rng(seed)
    drawn = rng.multivariate_normal(belief.mean, belief.covariance, DRAWS, method="eigh")
    winners = np.bincount(drawn.argmax(axis=1), minlength=len(belief.mean))
    return np.asarray(winners / DRAWS)


def expected_improvement(belief: Belief, best: float) -> NDArray[np.float64]:
    """E max(gain - best, 0) of each (Jones, Schonlau & Welch 1998)."""
    sd = np.maximum(belief.sd, LEAST_SD)
    distance = (belief.mean - best) / sd
    return np.asarray(sd * (distance * norm.cdf(distance) + norm.pdf(distance)))


def most_different(
    tried: Sequence[Setting], candidates: Sequence[Setting], rng: np.random.Generator
) -> Setting:
    """The candidate that brings most unseen values, then lies furthest from those tried.

    Distance: variables that differ. Then the one whose values were tried least; then by chance.
    """
    seen, asked = np.array(tried), np.array(candidates)
    held = asked[:, None, :] == seen[None, :, :]
    times = held.sum(axis=1)  # candidate, variable
    unseen = (times == 0).sum(axis=1)
    nearest = (~held).sum(axis=2).min(axis=1)
    order = np.lexsort((rng.random(len(asked)), times.sum(axis=1), -nearest, -unseen))
    return candidates[int(order[0])]
