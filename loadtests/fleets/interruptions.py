"""When machines are taken away, with what warning, and what became of each."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Annotated, Literal, Self

import numpy as np
from pydantic import ConfigDict, Field, field_validator, model_validator

from loadtests.fleets.passing import Frozen
from loadtests.quantities import Seconds

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["Interruption", "Interruptions"]

HOUR_S = 3600.0
SPOT_NOTICE_S = 120.0  # EC2 warns two minutes ahead
START_UP_DELAY_S = 60.0  # assumed: a machine is found, boots, and has the image


class Interruptions(Frozen):
    """Give at_s or per_hour.

    at_s: seconds into the load. per_hour: of each replica, by a Poisson process of that rate.
    notice_s: from the warning to the end; 0 for none.
    drains: on the warning the replica gets no more requests; else it gets them until one breaks.
    signals: on the warning the server gets SIGTERM, as a machine that shuts down sends it; what a
    server does with the requests it has then is its own matter.
    start_up_delay_s: from when a replacement is asked for until its machine is there; the server's
    own start comes on top and is the real one.
    replaced_from: "notice", as Auto Scaling's capacity rebalancing does, or "kill".
    time_scale: of the platform's times, so that a drill takes seconds: at 1/60 the two minutes
    of notice are two seconds, the start-up delay is a sixtieth, and an hour of per_hour a minute.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)

    at_s: tuple[Seconds, ...] = Field(default=(), alias="at")
    per_hour: float | None = Field(default=None, gt=0)
    notice_s: Seconds = Field(default=SPOT_NOTICE_S, alias="notice")
    drains: bool = True
    signals: bool = True
    start_up_delay_s: Seconds = Field(default=START_UP_DELAY_S, alias="start_up_delay")
    replaced_from: Literal["notice", "kill"] = "notice"
    victim: Literal["oldest", "random"] = "oldest"
    time_scale: float = Field(default=1.0, gt=0)
    seed: int = 1

    @field_validator("at_s")
    @classmethod
    def _in_order(cls, given: tuple[float, ...]) -> tuple[float, ...]:
        return tuple(sorted(given))

    @model_validator(mode="after")
    def _one_of_two(self) -> Self:
        if bool(self.at_s) == (self.per_hour is not None):
            raise ValueError("give the interruptions' times (at) or their rate (per_hour)")
        return self

    @property
    def notice_here_s(self) -> float:
        """As long as it is in the drill."""
        return self.notice_s * self.time_scale

    @property
    def start_up_delay_here_s(self) -> float:
        """As long as it is in the drill."""
        return self.start_up_delay_s * self.time_scale

    def instants_s(self, replicas: int) -> Iterator[float]:
        """Seconds into the load, rising; without end where a rate was given."""
        if self.per_hour is None:
            return iter(self.at_s)
        gap_s = HOUR_S * self.time_scale / (self.per_hour * replicas)
        rng = np.random.default_rng(self.seed)
        return itertools.accumulate(iter(lambda: float(rng.exponential(gap_s)), None))

    def expected(self, duration_s: float, replicas: int) -> float:
        """So many in a run of that length, on average."""
        if self.per_hour is None:
            return float(sum(at_s < duration_s for at_s in self.at_s))
        return self.per_hour * replicas * duration_s / (HOUR_S * self.time_scale)


class Interruption(Frozen):
    """What was done, on the clock of perf_counter. None: was not done.

    drained_s: it got no more requests. start_s: how long the replacement's server took to start.
    trouble: why something was not done.
    """

    member: Annotated[int, Field(ge=0)] | None
    noticed_s: float
    drained_s: float | None = None
    signalled_s: float | None = None
    killed_s: float | None = None
    replacement: int | None = None
    replaced_s: float | None = None
    start_s: float | None = None
    trouble: str | None = None

    @property
    def gone_s(self) -> float | None:
        """It was no longer to be counted on."""
        known = [self.drained_s, self.signalled_s, self.killed_s]
        return min((each for each in known if each is not None), default=None)

    def since(self, began_s: float) -> Self:
        """The same in seconds from then."""
        names = ("noticed_s", "drained_s", "signalled_s", "killed_s", "replaced_s")
        moved = {
            name: at_s - began_s for name in names if (at_s := getattr(self, name)) is not None
        }
        return self.model_copy(update=moved)
