"""What happens to the machines of a spot fleet, drawn at random: one history for each draw."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Counts = NDArray[np.int64]

__all__ = [
    "SpotFleet",
    "SpotHistory",
    "SpotMarket",
    "interruption_rates",
    "interruptions_per_hour",
    "spot_history",
]

HOUR_S, HOURS_PER_MONTH = 3600.0, 730.0
NOTICE_S = 120.0  # EC2's
MOST_TAKEN_RATIO = 0.4  # in a month: where Spot Advisor says no more than "over 20 %"; assumed


def interruptions_per_hour(taken_ratio_per_month: float) -> float:
    """Of one machine, as a Poisson process. The ratio is Spot Advisor's: 1 - e^(-730 rate)."""
    if not 0 <= taken_ratio_per_month < 1:
        raise ValueError(f"a share of {taken_ratio_per_month:g} of the machines in a month")
    return -math.log1p(-taken_ratio_per_month) / HOURS_PER_MONTH


def interruption_rates(taken_ratios: tuple[float, float], draws: int, seed: int) -> Floats:
    """Per hour, anywhere within a band of Spot Advisor's alike; shape (draws,).

    Evenly spaced in random order, so that few draws fill the band. taken_ratios: as
    `Offer.interruption_ratio_per_month` has them.
    """
    low, high = taken_ratios
    shares = (np.random.default_rng([seed, 0x5B0]).permutation(draws) + 0.5) / draws
    taken = low + shares * (min(high, MOST_TAKEN_RATIO) - low)
    return np.array([interruptions_per_hour(float(each)) for each in taken])


@dataclass(frozen=True, slots=True, eq=False)
class SpotMarket:
    """per_hour: interruptions of one machine, one number or one for each draw.

    What follows it but the notice AWS does not state.

    shared_ratio: of them, what comes in shocks of a whole pool. together_ratio: of a pool's
    machines, what one shock takes. unavailable_ratio: how often spot cannot replace a machine at
    once, but only after drought_s on average; after a shock it never can. on_demand_short_ratio:
    how often there is no machine on demand either.
    """

    per_hour: float | Floats
    shared_ratio: float = 0.5
    together_ratio: float = 0.5
    notice_s: float = NOTICE_S
    unavailable_ratio: float = 0.1
    drought_s: float = HOUR_S
    on_demand_short_ratio: float = 0.0

    def __post_init__(self) -> None:
        ratios = (self.shared_ratio, self.unavailable_ratio, self.on_demand_short_ratio)
        if not (all(0 <= each <= 1 for each in ratios) and 0 < self.together_ratio <= 1):
            raise ValueError(f"a share lies between 0 and 1: {self}")
        if min(float(np.min(self.per_hour)), self.notice_s, self.drought_s) < 0:
            raise ValueError(f"a rate or a time below 0: {self}")


@dataclass(frozen=True, slots=True)
class SpotFleet:
    """spot machines spread evenly over the pools, and on_demand ones that nobody takes.

    A pool is an instance type in a zone. start_s: from being asked for to being in service; the
    next machine is asked for at the notice. drain_s: before its end a machine gets no more
    requests, so that it can answer those it has. falls_back: to machines on demand while spot is
    not to be had. broken_each: requests that an interruption breaks all the same; a drill
    (`recommender loadtest`, target spot) measures it.
    """

    spot: int
    on_demand: int = 0
    pools: int = 1
    start_s: float = 180.0
    drain_s: float = 30.0
    falls_back: bool = True
    broken_each: float = 0.0

    def __post_init__(self) -> None:
        if min(self.spot, self.on_demand) < 0 or self.pools < 1:
            raise ValueError(f"no such fleet: {self}")


@dataclass(frozen=True, eq=False)
class SpotHistory:
    """Each interruption: the draw it belongs to, and when its machine is missing; shape (events,).

    from_s = to_s where the next one was there in time. spot_s, on_demand_s: instance-seconds paid
    in each draw, shape (draws,), those that are always on demand among them.
    """

    draw: Counts
    from_s: Floats
    to_s: Floats
    spot_s: Floats
    on_demand_s: Floats


def spot_history(
    fleet: SpotFleet, market: SpotMarket, duration_s: float, draws: int, rng: np.random.Generator
) -> SpotHistory:
    place, at_s, is_shock = _threats(fleet, market, duration_s, draws, rng)
    size = len(place)
    unavailable = is_shock | (rng.random(size) < market.unavailable_ratio)
    drought_s = np.where(unavailable, rng.exponential(market.drought_s, size), 0.0)
    short = rng.random(size) < market.on_demand_short_ratio
    falls_back = unavailable & ~short & fleet.falls_back
    back_s = at_s + drought_s + fleet.start_s
    real = _met(place, at_s, back_s)
    place, at_s, drought_s = place[real], at_s[real], drought_s[real]
    falls_back, back_s = falls_back[real], back_s[real]
    end_s = np.minimum(at_s + market.notice_s, duration_s)
    gone_s = np.minimum(at_s + max(market.notice_s - fleet.drain_s, 0.0), duration_s)
    served_s = np.minimum(np.where(falls_back, at_s + fleet.start_s, back_s), duration_s)
    draw = place // max(fleet.spot, 1)
    # the old machine is paid until it goes, the next from when it is asked for
    overlap_s = end_s - np.minimum(at_s + drought_s, duration_s)
    fallen_back_s = np.where(falls_back, np.minimum(back_s, duration_s) - at_s, 0.0)
    return SpotHistory(
        draw=draw,
        from_s=gone_s,
        to_s=np.maximum(served_s, gone_s),
        spot_s=_sums(draw, overlap_s, draws) + fleet.spot * duration_s,
        on_demand_s=_sums(draw, fallen_back_s, draws) + fleet.on_demand * duration_s,
    )


def _sums(draw: Counts, values: Floats, draws: int) -> Floats:
    return np.bincount(draw, values, draws).astype(np.float64)


def _threats(
    fleet: SpotFleet, market: SpotMarket, duration_s: float, draws: int, rng: np.random.Generator
) -> tuple[Counts, Floats, NDArray[np.bool_]]:
    """When a machine would be taken, if it were on spot then: place, time, whether by a shock.

    Places are numbered through all draws. In order of place and time.
    """
    each = np.broadcast_to(market.per_hour, draws) * (duration_s / HOUR_S)
    alone = rng.poisson(np.repeat(each * (1 - market.shared_ratio), fleet.spot))
    own = np.repeat(np.arange(len(alone)), alone)
    by_shocks = each * market.shared_ratio / market.together_ratio
    shocks = rng.poisson(by_shocks[:, None], (draws, fleet.pools))
    draw, pool = np.divmod(np.repeat(np.arange(shocks.size), shocks.ravel()), fleet.pools)
    shock_s = rng.random(len(draw)) * duration_s
    is_in = np.arange(fleet.spot)[None, :] % fleet.pools == pool[:, None]
    hit = is_in & (rng.random(is_in.shape) < market.together_ratio)
    shock, machine = np.nonzero(hit)
    place = np.concatenate([own, draw[shock] * fleet.spot + machine])
    at_s = np.concatenate([rng.random(len(own)) * duration_s, shock_s[shock]])
    is_shock = np.arange(len(place)) >= len(own)
    order = np.lexsort((at_s, place))
    return place[order], at_s[order], is_shock[order]


def _met(place: Counts, at_s: Floats, back_s: Floats) -> NDArray[np.bool_]:
    """Which of them find a machine on spot in their place; an earlier one may have emptied it.

    Place by place in order of time, all places at once.
    """
    real = np.zeros(len(place), dtype=bool)
    first = np.flatnonzero(np.diff(place, prepend=-1))
    counts = np.diff(np.append(first, len(place)))
    there_from_s = np.zeros(len(first))
    for turn in range(int(counts.max(initial=0))):
        left = np.flatnonzero(counts > turn)
        now = first[left] + turn
        meets = at_s[now] >= there_from_s[left]
        real[now] = meets
        there_from_s[left] = np.where(meets, back_s[now], there_from_s[left])
    return real
