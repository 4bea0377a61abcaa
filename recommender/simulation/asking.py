"""What a person says of traffic and of a policy, made into what is simulated."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from loadtests.quantities import seconds_text
from recommender.errors import BadRequest
from recommender.simulation.scaling_policy import COOLDOWN_S, FixedSize, Policy, TargetTracking
from recommender.simulation.served import INSTANCE_START_S, Terms
from recommender.simulation.traffic import DAY_S, MINUTE_S

if TYPE_CHECKING:
    from recommender.simulation.scaling_policy import AlarmTiming, Metric
    from recommender.simulation.traffic import TrafficTrace

__all__ = ["NO_LIMIT", "Playing", "Tracking", "fixed_size"]

LONGEST_S = 100 * DAY_S
NO_LIMIT = 10_000  # instances


@dataclass(frozen=True)
class Playing:
    """How traffic is played. growth: times it. duration_s: over and over for so long; None: once.

    spread_ratio: as in `level_draws`.
    """

    timing: AlarmTiming
    growth: float = 1.0
    duration_s: float | None = None
    instance_start_s: float = INSTANCE_START_S
    spread_ratio: float = 0.0

    def terms(self, trace: TrafficTrace, text: str) -> Terms:
        """Raises BadRequest for what is too short or too long to be simulated."""
        grown = trace if self.growth == 1 else trace.scaled(self.growth)
        played = grown if self.duration_s is None else grown.repeated(self.duration_s)
        if not MINUTE_S <= played.duration_s <= LONGEST_S:
            raise BadRequest(
                f"traffic of {seconds_text(played.duration_s)}; a minute to "
                f"{seconds_text(LONGEST_S)} can be simulated",
                hint="play it for longer or shorter: --for 7day",
            )
        return Terms(
            trace=played,
            traffic_text=text if self.growth == 1 else f"{text} x {self.growth:g}",
            timing=self.timing,
            instance_start_s=self.instance_start_s,
            spread_ratio=self.spread_ratio,
        )


@dataclass(frozen=True, slots=True)
class Tracking:
    """Target tracking, as it is asked for. most: None for no limit."""

    target: float
    metric: Metric = "invocations"
    least: int = 1
    most: int | None = None
    scale_out_cooldown_s: float = COOLDOWN_S
    scale_in_cooldown_s: float = COOLDOWN_S
    can_scale_in: bool = True

    @property
    def policy(self) -> Policy:
        """Raises BadRequest for a target or bounds that there cannot be."""
        tracking = TargetTracking(
            self.metric,
            self.target,
            self.scale_out_cooldown_s,
            self.scale_in_cooldown_s,
            can_scale_in=self.can_scale_in,
        )
        return Policy(self.least, self.most or NO_LIMIT, tracking)


def fixed_size(replicas: int) -> Policy:
    return Policy(replicas, replicas, FixedSize())
