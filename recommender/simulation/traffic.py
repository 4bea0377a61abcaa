"""Traffic to be simulated: a mean rate in each of many equal steps, and how sure that is."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal, Self

import numpy as np
from scipy.interpolate import PchipInterpolator
from scipy.stats import norm

from recommender.errors import BadRequest

if TYPE_CHECKING:
    from datetime import datetime

    from numpy.typing import NDArray

    from loadtests.traffic import Traffic
    from recommender.demand import TrafficFacts

    Floats = NDArray[np.float64]

__all__ = [
    "DAY_S",
    "HOUR_S",
    "MINUTE_S",
    "PRESETS",
    "WEEK_S",
    "Preset",
    "TrafficTrace",
    "level_draws",
    "preset",
]

MINUTE_S, HOUR_S, DAY_S, WEEK_S = 60.0, 3600.0, 86400.0, 604800.0
WEEKDAYS = np.array([1.0, 1.0, 1.0, 1.0, 0.95, 0.55, 0.5])
"""Of a Monday's requests, Monday first: an office's week."""
NIGHT_HOUR, PEAK_HOUR = 3.0, 14.0
BURST_EVERY_S, BURST_S = 4 * HOUR_S, 600.0
INTERVAL = 0.8
ROUNDING = 1e-9

Preset = Literal["constant", "diurnal", "weekly", "burst"]
PRESETS: tuple[Preset, ...] = ("constant", "diurnal", "weekly", "burst")


@dataclass(frozen=True, eq=False)
class TrafficTrace:
    """rate_rps: mean requests per second in each step of step_s seconds, shape (steps,).

    start: when the first step begins; None where nobody said, which counts as a Monday midnight.
    Raises ValueError for what is no traffic: no step, a negative or unknown rate, no request.
    """

    step_s: float
    rate_rps: Floats
    start: datetime | None = None

    def __post_init__(self) -> None:
        rates = np.asarray(self.rate_rps, dtype=np.float64)
        if not (math.isfinite(self.step_s) and self.step_s > 0):
            raise ValueError(f"a step of {self.step_s} s")
        if rates.ndim != 1 or len(rates) == 0:
            raise ValueError(f"rates of shape {rates.shape}: one for each step is needed")
        if not np.isfinite(rates).all() or (rates < 0).any():
            bad = int(np.argmax(~np.isfinite(rates) | (rates < 0)))
            raise ValueError(f"step {bad} has a rate of {rates[bad]} rps")
        if not rates.any():
            raise ValueError("it asks nothing: there is no cost per request at a rate of zero")
        if self.start is not None and self.start.tzinfo is None:
            raise ValueError(f"the start {self.start.isoformat()} has no time zone")
        object.__setattr__(self, "rate_rps", rates)

    @classmethod
    def of(cls, traffic: Traffic, duration_s: float, step_s: float = MINUTE_S) -> Self:
        """Any traffic that can be sent, over so long; past its end it begins again."""
        edges_s = step_s * np.arange(max(round(duration_s / step_s), 1) + 1)
        by_then = np.array([traffic.requests_by(float(t_s)) for t_s in edges_s])
        return cls(step_s, np.diff(by_then) / step_s)

    @classmethod
    def of_facts(cls, facts: TrafficFacts) -> Self:
        """What a demand says of its traffic, hour by hour; one day of a steady rate."""
        rates = facts.hours_rps
        return cls(HOUR_S, np.array(rates if len(rates) > 1 else rates * 24))

    @property
    def duration_s(self) -> float:
        return self.step_s * len(self.rate_rps)

    @property
    def mean_rps(self) -> float:
        return float(self.rate_rps.mean())

    @property
    def peak_rps(self) -> float:
        """Of the busiest step."""
        return float(self.rate_rps.max())

    @property
    def requests(self) -> float:
        return float(self.rate_rps.sum()) * self.step_s

    def scaled(self, factor: float) -> Self:
        """Growth: every rate times the factor."""
        return replace(self, rate_rps=self.rate_rps * factor)

    def repeated(self, duration_s: float) -> Self:
        """Over and over until so long is filled; the last time may be cut short."""
        steps = max(round(duration_s / self.step_s), 1)
        return replace(self, rate_rps=np.resize(self.rate_rps, steps))

    def in_steps_of(self, step_s: float) -> Self:
        """The same requests in other steps; a last part of a step is left out.

        Into finer ones the rate goes over smoothly from one old step to the next (a monotone
        cubic through the requests by then), since real traffic does not jump on the hour.
        Raises ValueError where not one step fits.
        """
        steps = math.floor(self.duration_s / step_s * (1 + ROUNDING))
        edges_s = np.minimum(step_s * np.arange(steps + 1), self.duration_s)
        old_s = self.step_s * np.arange(len(self.rate_rps) + 1)
        by_then = np.concatenate(([0.0], np.cumsum(self.rate_rps) * self.step_s))
        if step_s < self.step_s * (1 - ROUNDING) and len(self.rate_rps) > 1:
            reached = PchipInterpolator(old_s, by_then)(edges_s)
        else:
            reached = np.interp(edges_s, old_s, by_then)
        rates = np.maximum(np.diff(reached), 0.0) / step_s
        return replace(self, step_s=step_s, rate_rps=rates)

    @property
    def seconds_of_week(self) -> Floats:
        """When each step begins: seconds after Monday 00:00 on the clock of `start`."""
        first_s = 0.0
        if self.start is not None:
            day, clock = self.start.weekday(), self.start.time()
            first_s = DAY_S * day + HOUR_S * clock.hour + MINUTE_S * clock.minute + clock.second
        return np.asarray((first_s + self.step_s * np.arange(len(self.rate_rps))) % WEEK_S)


def preset(
    kind: Preset, mean_rps: float, *, peak_ratio: float = 2.0, step_s: float = MINUTE_S
) -> TrafficTrace:
    """A week of one shape with this mean. peak_ratio: of the busiest moments over the mean.

    constant: no peak. diurnal: a wave every day. weekly: the same, with fewer requests at the
    weekend. burst: ten minutes at the peak every four hours, quiet between them.
    Raises BadRequest for a peak that the shape cannot have.
    """
    t_s: Floats = step_s * (np.arange(round(WEEK_S / step_s), dtype=np.float64) + 0.5)
    if kind == "constant":
        return TrafficTrace(step_s, np.full(len(t_s), mean_rps))
    if kind == "burst":
        shape = _bursts(t_s, peak_ratio)
    else:
        wave = _daily_wave(t_s, peak_ratio)
        days = WEEKDAYS if kind == "weekly" else np.ones(7)
        shape = wave * days[(t_s // DAY_S).astype(np.int64) % 7]
    return TrafficTrace(step_s, mean_rps * shape / shape.mean())


def level_draws(spread_ratio: float, draws: int, seed: int) -> Floats:
    """How many times the expected traffic really comes, shape (draws,): log-normal, median 1.

    spread_ratio: 0.3 says that with a probability of 80 % it is within a factor of 1.3, up or
    down. Evenly spaced quantiles in random order, so that few draws have the right spread.
    """
    if not 0 <= spread_ratio < math.inf:
        raise BadRequest(f"traffic known within a factor of {1 + spread_ratio:g}: say 0 or more")
    sd = math.log1p(spread_ratio) / float(norm.ppf(0.5 + INTERVAL / 2))
    quantiles = (np.arange(draws) + 0.5) / draws
    rng = np.random.default_rng(np.random.SeedSequence([seed, 0x7EA]))
    return rng.permutation(np.exp(sd * norm.ppf(quantiles)))


def _daily_wave(t_s: Floats, peak_ratio: float) -> Floats:
    """1 + a cos(phase): least at 3 in the morning, most at 14, and straight in phase between."""
    if not 1 <= peak_ratio <= 2:  # noqa: PLR2004 - a wave is never negative
        raise BadRequest(f"a daily wave peaks at once to twice its mean, not {peak_ratio:g} times")
    hours = t_s / HOUR_S % 24
    rise_h = PEAK_HOUR - NIGHT_HOUR
    since_night = (hours - NIGHT_HOUR) % 24
    falling = 0.5 + 0.5 * (since_night - rise_h) / (24 - rise_h)
    phase = np.where(since_night < rise_h, 0.5 * since_night / rise_h, falling)
    return np.asarray(1 - (peak_ratio - 1) * np.cos(2 * np.pi * phase))


def _bursts(t_s: Floats, peak_ratio: float) -> Floats:
    most = BURST_EVERY_S / BURST_S
    if not 1 <= peak_ratio <= most:
        raise BadRequest(f"bursts peak at 1 to {most:g} times the mean, not {peak_ratio:g} times")
    is_burst = t_s % BURST_EVERY_S >= BURST_EVERY_S - BURST_S
    quiet = (most - peak_ratio) / (most - 1)
    return np.where(is_burst, peak_ratio, quiet)
