"""Is the rate at which an SLO is missed an edge to fall off, or a slope?"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from loadtests.modes.placement import rate_of

if TYPE_CHECKING:
    from loadtests.modes.ladder import Evidence
    from loadtests.slo import QuantileObjective

__all__ = ["Cliff", "cliff_at"]

CLIFF_FROM = 0.9  # of the saturated throughput
STEEP = CLIFF_FROM / (1 - CLIFF_FROM)


@dataclass(frozen=True, slots=True)
class Cliff:
    """Beyond the boundary the queue grows for good, rather than merely a little.

    kind: "saturation" where the SLO is still met at 90 % of the saturated throughput, "overload"
    where a backlog grew to the end of a run at most a ninth above one that met it, or below 90 %
    of the throughput that users who wait were given, "jump"
    where the latency between two such runs rose with an elasticity d ln L / d ln rate of 9 or
    more. In M/M/1 L = 1/(mu - rate), its elasticity is u/(1-u), and that is 9 at u = 0.9: the
    three say the same of different evidence. at_rps: the rate that is too much.
    """

    kind: Literal["saturation", "overload", "jump"]
    at_rps: float

    @property
    def text(self) -> str:
        return f"{self.kind} at {self.at_rps:.3g} rps"


def cliff_at(
    rate_rps: float,
    saturation_rps: float,
    around: tuple[Evidence | None, Evidence | None],
    objective: QuantileObjective,
) -> Cliff | None:
    """around: the fastest run that met the SLO and the slowest that missed it."""
    met, missed = around
    if rate_rps >= CLIFF_FROM * saturation_rps:
        return Cliff("saturation", saturation_rps)
    if met is None or missed is None or rate_of(missed) <= rate_of(met):
        return None
    if missed.measurement.over_saturated:
        is_near = rate_of(met) >= CLIFF_FROM * rate_of(missed)
        is_early = rate_of(missed) < CLIFF_FROM * saturation_rps
        return Cliff("overload", rate_of(missed)) if is_near or is_early else None
    before, after = (each.measurement.at(objective).value for each in (met, missed))
    if before is None or after is None or not 0 < before < after:
        return None
    elasticity = math.log(after / before) / math.log(rate_of(missed) / rate_of(met))
    return Cliff("jump", rate_of(missed)) if elasticity >= STEEP else None
