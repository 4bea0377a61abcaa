from __future__ import annotations

from bisect import bisect_left
from itertools import pairwise
from typing import Annotated, Literal, Self

import numpy as np
from numpy.typing import NDArray  # noqa: TC002 - pydantic reads the annotations
from pydantic import BaseModel, ConfigDict, Field, NonNegativeFloat, model_validator

from loadtests.quantities import rate_text, seconds_text

__all__ = ["Replay"]


class Replay(BaseModel):
    """Requests at exactly these times: no arrival process comes in between.

    at_s: seconds from the start, ascending. speed: 2 plays them in half the time. Played again,
    the first follows the last after the mean gap. Rates are counts in even pieces of about 1 s.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    kind: Literal["replay"] = "replay"
    at_s: tuple[NonNegativeFloat, ...] = Field(min_length=2, repr=False)
    speed: Annotated[float, Field(gt=0)] = 1.0
    name: str = "replay"

    @model_validator(mode="after")
    def _ascends(self) -> Self:
        if any(later < earlier for earlier, later in pairwise(self.at_s)):
            raise ValueError(f"{self.name}: the times do not ascend")
        if self.at_s[-1] == self.at_s[0]:
            raise ValueError(f"{self.name}: all requests come at one time; that is no rate")
        return self

    @property
    def duration_s(self) -> float:
        first_s, last_s = self.at_s[0], self.at_s[-1]
        return (last_s + (last_s - first_s) / (len(self.at_s) - 1)) / self.speed

    @property
    def peak_rps(self) -> float:
        edges = np.arange(self._pieces + 1) * (self.duration_s * self.speed / self._pieces)
        by_then = np.searchsorted(self.at_s, edges)
        return float(np.diff(by_then).max()) * self._pieces / self.duration_s

    @property
    def mean_rps(self) -> float:
        return len(self.at_s) / self.duration_s

    @property
    def text(self) -> str:
        pace = "" if self.speed == 1 else f" at {self.speed:g} times its speed"
        what = f"{len(self.at_s)} requests in {seconds_text(float(f'{self.duration_s:.3g}'))}"
        peak = rate_text(float(f"{self.peak_rps:.3g}"))
        return f"{self.name}{pace} ({what}, peak {peak})"

    def rate_rps(self, t_s: float) -> float:
        place = min(int(t_s % self.duration_s / self.duration_s * self._pieces), self._pieces - 1)
        step = self.duration_s * self.speed / self._pieces
        count = bisect_left(self.at_s, (place + 1) * step) - bisect_left(self.at_s, place * step)
        return count * self._pieces / self.duration_s

    def requests_by(self, t_s: float) -> float:
        rounds, rest_s = divmod(t_s, self.duration_s)
        return rounds * len(self.at_s) + bisect_left(self.at_s, rest_s * self.speed)

    def reached_s(self, requests: NDArray[np.float64]) -> NDArray[np.float64]:
        rounds, rest = np.divmod(requests, len(self.at_s))
        times_s = np.array(self.at_s) / self.speed
        return np.asarray(rounds * self.duration_s + times_s[rest.astype(np.int64)])

    @property
    def _pieces(self) -> int:
        return max(1, round(self.duration_s))
