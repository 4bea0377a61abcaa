"""What one way to serve comes to, whatever it is made of."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from recommender.errors import RecommenderError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from decimal import Decimal

    from recommender.simulation.outcome import Outcome
    from recommender.simulation.scaling_policy import Policy
    from recommender.simulation.served import Machine

__all__ = ["WAYS", "Found", "Missing", "NoGround"]

WAYS = {
    "fixed": "a fixed fleet for the peak",
    "formula": "a fleet scaled by AWS's formula",
    "scaled": "a fleet scaled by the policy searched for",
    "serverless": "serverless, the cheapest memory size",
    "provisioned": "serverless with a fixed number always ready",
    "provisioned-scaled": "the same, with a number that follows the traffic",
    "spot": "EC2 spot with on-demand to fall back on, the best split",
    "layers": "a base, on-demand above it, serverless for bursts",
    "two-types": "a fixed fleet of two instance types",
    "scale-to-zero": "one machine that stops when nothing comes",
}
"""By name; what each is, for people."""


class NoGround(RecommenderError):  # noqa: N818 - as the other errors are named
    """Something that a way needs is not known, or not there."""


@dataclass(frozen=True, eq=False)
class Found:
    """name: of WAYS, or the user's own. option: what is bought; text: how much of it, and when.

    machine: of a fleet, the first of its types. most_rps: what its limits let through. at_best:
    part of it was idealised, so that it may cost more and attain less.
    """

    name: str
    option: str
    text: str
    outcome: Outcome
    prices: Mapping[str, Decimal]
    machine: Machine | None = None
    policy: Policy | None = None
    most_rps: float = math.inf
    at_best: bool = False
    notes: tuple[str, ...] = ()

    def probability(self, quantile: float) -> float:
        """That the share of good requests reaches the objective's quantile, from the draws."""
        return float(np.mean(self.outcome.requests.attainment >= quantile))


@dataclass(frozen=True, slots=True)
class Missing:
    """A way that could not be simulated, and why."""

    name: str
    reason: str
    hint: str | None = None
