"""The kinds of traffic that a formula describes. All are values of a plan."""

from __future__ import annotations

import math
from abc import abstractmethod
from typing import Annotated, Literal, Self

import numpy as np
from numpy.typing import NDArray  # noqa: TC002 - pydantic reads the annotations
from pydantic import BaseModel, ConfigDict, Field, NonNegativeFloat, model_validator
from typing_extensions import override

from loadtests.quantities import Rps, Seconds, rate_text, seconds_text
from loadtests.traffic.curve import Curve

__all__ = ["Burst", "Diurnal", "Hourly", "Ramp", "RateStep", "Steady", "Steps"]

HOUR_S = 3600.0
MOST_SAID = 4  # steps named in a text
GRID = 4096  # brackets for the root of a sine's integral
REFINEMENTS = 5

PositiveRps = Annotated[Rps, Field(gt=0)]
PositiveSeconds = Annotated[Seconds, Field(gt=0)]

NOTHING = "it asks nothing: there is no cost per request at a rate of zero"


class _Kind(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class _Pieces(_Kind):
    """A rate made of straight pieces."""

    @property
    @abstractmethod
    def curve(self) -> Curve: ...

    def rate_rps(self, t_s: float) -> float:
        return self.curve.rate_rps(t_s)

    def requests_by(self, t_s: float) -> float:
        return self.curve.requests_by(t_s)

    def reached_s(self, requests: NDArray[np.float64]) -> NDArray[np.float64]:
        return self.curve.reached_s(requests)


class Steady(_Pieces):
    kind: Literal["steady"] = "steady"
    rps: PositiveRps

    @property
    def peak_rps(self) -> float:
        return self.rps

    @property
    def mean_rps(self) -> float:
        return self.rps

    @property
    def duration_s(self) -> None:
        return None

    @property
    def text(self) -> str:
        return rate_text(self.rps)

    @property
    @override
    def curve(self) -> Curve:
        return Curve.of([(math.inf, self.rps, self.rps)])


class Hourly(_Pieces):
    """Requests counted in each hour; within an hour the rate is even.

    hour_s: how long each hour lasts when it is replayed, at the hour's own rate.
    """

    kind: Literal["hourly"] = "hourly"
    requests: tuple[NonNegativeFloat, ...] = Field(min_length=1, repr=False)
    name: str = "hourly"
    hour_s: PositiveSeconds = HOUR_S

    @model_validator(mode="after")
    def _asks_something(self) -> Self:
        if self.peak_rps == 0:
            raise ValueError(f"{self.name}: {NOTHING}")
        return self

    @property
    def peak_rps(self) -> float:
        return max(self.requests) / HOUR_S

    @property
    def mean_rps(self) -> float:
        return sum(self.requests) / (HOUR_S * len(self.requests))

    @property
    def duration_s(self) -> float:
        return self.hour_s * len(self.requests)

    @property
    def text(self) -> str:
        pace = "" if self.hour_s == HOUR_S else f", each hour in {seconds_text(self.hour_s)}"
        return f"{self.name} (mean {self.mean_rps:.3g}rps, peak {self.peak_rps:.3g}rps{pace})"

    @property
    @override
    def curve(self) -> Curve:
        rates_rps = (count / HOUR_S for count in self.requests)
        return Curve.of((self.hour_s, rate_rps, rate_rps) for rate_rps in rates_rps)


class Ramp(_Pieces):
    kind: Literal["ramp"] = "ramp"
    start_rps: Rps
    end_rps: Rps
    duration_s: PositiveSeconds

    @model_validator(mode="after")
    def _asks_something(self) -> Self:
        if self.peak_rps == 0:
            raise ValueError(NOTHING)
        return self

    @property
    def peak_rps(self) -> float:
        return max(self.start_rps, self.end_rps)

    @property
    def mean_rps(self) -> float:
        return (self.start_rps + self.end_rps) / 2

    @property
    def text(self) -> str:
        span = f"{rate_text(self.start_rps)} to {rate_text(self.end_rps)}"
        return f"ramp from {span} in {seconds_text(self.duration_s)}"

    @property
    @override
    def curve(self) -> Curve:
        return Curve.of([(self.duration_s, self.start_rps, self.end_rps)])


class RateStep(_Kind):
    rps: Rps
    duration_s: PositiveSeconds

    @property
    def text(self) -> str:
        return f"{rate_text(self.rps)} for {seconds_text(self.duration_s)}"


class Steps(_Pieces):
    kind: Literal["steps"] = "steps"
    steps: tuple[RateStep, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _asks_something(self) -> Self:
        if self.peak_rps == 0:
            raise ValueError(NOTHING)
        return self

    @property
    def peak_rps(self) -> float:
        return max(step.rps for step in self.steps)

    @property
    def mean_rps(self) -> float:
        return sum(step.rps * step.duration_s for step in self.steps) / self.duration_s

    @property
    def duration_s(self) -> float:
        return sum(step.duration_s for step in self.steps)

    @property
    def text(self) -> str:
        said = ", ".join(step.text for step in self.steps[:MOST_SAID])
        more = len(self.steps) - MOST_SAID
        return f"steps of {said}" + (f" and {more} more" if more > 0 else "")

    @property
    @override
    def curve(self) -> Curve:
        return Curve.of((step.duration_s, step.rps, step.rps) for step in self.steps)


class Burst(_Pieces):
    """A base rate with bursts of for_s seconds.

    every_s: from one burst to the next; None for a single spike. at_s: when the first begins; by
    default as late in its round as it fits, so that quiet comes before it.
    """

    kind: Literal["burst"] = "burst"
    base_rps: Rps
    burst_rps: PositiveRps
    for_s: PositiveSeconds
    every_s: PositiveSeconds | None = None
    at_s: Seconds | None = None

    @model_validator(mode="after")
    def _bursts(self) -> Self:
        if self.burst_rps <= self.base_rps:
            raise ValueError(
                f"burst_rps {self.burst_rps:g} is not above base_rps {self.base_rps:g}"
            )
        return self

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.every_s is None:
            if self.at_s is None:
                raise ValueError("name at_s for a single spike, or every_s for one after another")
            if self.base_rps == 0:
                raise ValueError("a single spike needs a base_rps above 0: after it comes no end")
            return self
        if self.for_s >= self.every_s:
            raise ValueError(f"for_s {self.for_s:g} leaves no quiet in every_s {self.every_s:g}")
        latest_s = self.every_s - self.for_s
        if self.at_s is not None and self.at_s > latest_s:
            raise ValueError(f"at_s {self.at_s:g} is past {latest_s:g}, every_s less for_s")
        return self

    @property
    def starts_s(self) -> float:
        """When the first burst begins."""
        if self.at_s is not None:
            return self.at_s
        return (self.every_s or 0.0) - self.for_s

    @property
    def peak_rps(self) -> float:
        return self.burst_rps

    @property
    def mean_rps(self) -> float:
        if self.every_s is None:
            return self.base_rps
        return self.base_rps + (self.burst_rps - self.base_rps) * self.for_s / self.every_s

    @property
    def duration_s(self) -> None:
        return None

    @property
    def text(self) -> str:
        burst = f"{rate_text(self.burst_rps)} for {seconds_text(self.for_s)}"
        base = rate_text(self.base_rps)
        if self.every_s is None:
            return f"{base} with a spike of {burst} at {seconds_text(self.starts_s)}"
        return f"{base} with bursts of {burst} every {seconds_text(self.every_s)}"

    @property
    @override
    def curve(self) -> Curve:
        round_s = math.inf if self.every_s is None else self.every_s
        pieces = [
            (self.starts_s, self.base_rps, self.base_rps),
            (self.for_s, self.burst_rps, self.burst_rps),
            (round_s - self.starts_s - self.for_s, self.base_rps, self.base_rps),
        ]
        return Curve.of(piece for piece in pieces if piece[0] > 0)


class Diurnal(_Kind):
    """mean + (peak - mean) · cos(2π (t - peak_at_s) / period_s): a day, or another round."""

    kind: Literal["diurnal"] = "diurnal"
    mean_rps: PositiveRps
    peak_rps: PositiveRps
    period_s: PositiveSeconds = 86400.0
    peak_at_s: Seconds = 0.0

    @model_validator(mode="after")
    def _is_never_negative(self) -> Self:
        if not self.mean_rps <= self.peak_rps <= 2 * self.mean_rps:
            raise ValueError(
                f"peak_rps is from once to twice mean_rps, {self.mean_rps:g} to "
                f"{2 * self.mean_rps:g}, not {self.peak_rps:g}: the rate would fall below 0"
            )
        return self

    @property
    def duration_s(self) -> float:
        return self.period_s

    @property
    def text(self) -> str:
        rates = f"mean {rate_text(self.mean_rps)}, peak {rate_text(self.peak_rps)}"
        return f"a wave of {seconds_text(self.period_s)} ({rates})"

    def rate_rps(self, t_s: float) -> float:
        return float(self._rates_rps(np.float64(t_s)))

    def requests_by(self, t_s: float) -> float:
        return float(self._requests(np.float64(t_s)))

    def reached_s(self, requests: NDArray[np.float64]) -> NDArray[np.float64]:
        rounds, rest = np.divmod(requests, self.mean_rps * self.period_s)
        return np.asarray(rounds * self.period_s + self._reached_within_a_period(rest))

    def _rates_rps(self, t_s: NDArray[np.float64] | np.float64) -> NDArray[np.float64]:
        swing_rps = self.peak_rps - self.mean_rps
        turn = 2 * math.pi / self.period_s
        return np.asarray(self.mean_rps + swing_rps * np.cos(turn * (t_s - self.peak_at_s)))

    def _requests(self, t_s: NDArray[np.float64] | np.float64) -> NDArray[np.float64]:
        swing_rps = self.peak_rps - self.mean_rps
        turn = 2 * math.pi / self.period_s
        waves = np.sin(turn * (t_s - self.peak_at_s)) + math.sin(turn * self.peak_at_s)
        return np.asarray(self.mean_rps * t_s + swing_rps / turn * waves)

    def _reached_within_a_period(self, requests: NDArray[np.float64]) -> NDArray[np.float64]:
        """Newton's method, kept between two points of a grid: at a rate of 0 it would run off."""
        grid_s = np.linspace(0.0, self.period_s, GRID + 1)
        by_then = np.maximum.accumulate(self._requests(grid_s))
        place = np.clip(np.searchsorted(by_then, requests, side="right") - 1, 0, GRID - 1)
        low_s, high_s = grid_s[place], grid_s[place + 1]
        t_s = np.interp(requests, by_then, grid_s)
        for _ in range(REFINEMENTS):
            excess, rate_rps = self._requests(t_s) - requests, self._rates_rps(t_s)
            step_s = np.divide(excess, rate_rps, out=np.zeros_like(excess), where=rate_rps > 0)
            t_s = np.clip(t_s - step_s, low_s, high_s)
        return np.asarray(t_s)
