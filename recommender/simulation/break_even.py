"""From how many requests a month one way to serve is cheaper than another: exactly.

What a month costs is a piecewise linear function of its requests, the traffic's shape being the
same: a fleet climbs by a step for each machine more, serverless by a line. Two such functions can
only change places at a step or where two lines meet, and each of these points is computed; nothing
is read off a grid.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from pricing import HOURS_PER_MONTH
from recommender.sizing import with_zones

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

__all__ = [
    "BreakEven",
    "CostCurve",
    "Crossing",
    "FleetTerms",
    "Stretch",
    "break_even",
    "fleet_curve",
    "per_request_curve",
]

MONTH_S = HOURS_PER_MONTH * 3600.0
SAME = 1e-12  # of the amounts compared: rounding, not a difference


@dataclass(frozen=True, slots=True, eq=False)
class CostCurve:
    """Dollars a month against requests a month.

    Above starts[k], up to and including starts[k + 1], a month costs levels_usd[k] and
    slopes_usd[k] for each request above starts[k]; starts[0] is 0. until: more requests than that
    it cannot serve, or were not looked at.
    """

    name: str
    starts: Floats
    levels_usd: Floats
    slopes_usd: Floats
    until: float

    def usd(self, requests: Floats) -> Floats:
        """Infinite beyond `until`."""
        piece = np.maximum(np.searchsorted(self.starts, requests, side="left") - 1, 0)
        return self._on(piece, requests)

    def usd_just_above(self, requests: Floats) -> Floats:
        """The limit from above, which differs at a step. Infinite from `until` on."""
        piece = np.searchsorted(self.starts, requests, side="right") - 1
        beyond = np.asarray(requests) >= self.until
        return np.where(beyond, np.inf, self._on(piece, requests))

    def _on(self, piece: NDArray[np.intp], requests: Floats) -> Floats:
        above = np.asarray(requests) - self.starts[piece]
        usd = self.levels_usd[piece] + self.slopes_usd[piece] * above
        return np.where(np.asarray(requests) > self.until, np.inf, usd)

    def vertices(self) -> tuple[Floats, Floats]:
        """To be joined by straight lines in a chart: requests, dollars; a step is two points."""
        inner = self.starts[self.starts < self.until]
        ends = np.append(inner[1:], self.until)
        requests = np.column_stack([inner, ends]).ravel()
        usd = np.column_stack([self.usd_just_above(inner), self.usd(ends)]).ravel()
        return requests, usd


@dataclass(frozen=True, slots=True)
class FleetTerms:
    """capacity_rps: of one machine, with its headroom taken off. zones: losing one is borne."""

    usd_per_hour: float
    capacity_rps: float
    least: int = 1
    zones: int = 1


def fleet_curve(
    name: str,
    terms: FleetTerms,
    shape: Floats,
    until: float,
    usd_per_request: float = 0.0,
    *,
    usd_per_month: float = 0.0,
) -> CostCurve:
    """Of as many machines as each step of the traffic needs.

    shape: the rate in each of equal steps over the mean rate. (peak / mean,) alone is a fleet of
    one size that stands all month; the whole shape, one that follows it at once. until: as far as
    its steps are computed. usd_per_month: besides the machines, whatever is asked.
    """
    ratios, counts = np.unique(np.asarray(shape, dtype=float), return_counts=True)
    parts = [
        _steps(terms, ratio, count / counts.sum(), until)
        for ratio, count in zip(ratios, counts, strict=True)
    ]
    starts = np.concatenate([part[0] for part in parts])
    rises = np.concatenate([part[1] for part in parts])
    at, place = np.unique(starts, return_inverse=True)
    machines_usd = np.cumsum(np.bincount(place, rises)).astype(np.float64)
    slopes = np.full(len(at), usd_per_request)
    return CostCurve(name, at, machines_usd + usd_per_month + usd_per_request * at, slopes, until)


def _steps(terms: FleetTerms, ratio: float, weight: float, until: float) -> tuple[Floats, Floats]:
    """Where a machine more is needed in the steps of that rate, and what it adds to the month.

    k machines carry up to k * capacity / (ratio / month) requests a month.
    """
    each = math.inf if ratio == 0 else terms.capacity_rps * MONTH_S / ratio
    most = 0 if ratio == 0 else math.ceil(until / each)
    carried = np.arange(terms.least, max(most, terms.least))
    wanted = np.append(float(terms.least), carried + 1.0)
    machines = np.asarray(with_zones(wanted, terms.zones))
    usd = weight * HOURS_PER_MONTH * terms.usd_per_hour * machines
    # a scale-to-zero fleet of least = 0 has its first machine from the first request on
    starts = np.append(0.0, carried * each if len(carried) else [])
    return starts, np.diff(usd, prepend=0.0)


def per_request_curve(
    name: str, usd_per_request: float, until: float, usd_per_month: float = 0.0
) -> CostCurve:
    """Of what is paid by the request, serverless for one. usd_per_month: whatever is asked."""
    return CostCurve(
        name, np.zeros(1), np.array([usd_per_month]), np.array([usd_per_request]), until
    )


@dataclass(frozen=True, slots=True)
class Crossing:
    """usd_per_month: of the one cheaper just below. at_a_step: not where two lines meet."""

    requests_per_month: float
    usd_per_month: float
    cheaper_below: str
    cheaper_above: str
    at_a_step: bool


@dataclass(frozen=True, slots=True)
class Stretch:
    """Above from_requests, up to to_requests a month. cheapest: None where none can serve."""

    from_requests: float
    to_requests: float
    cheapest: str | None


@dataclass(frozen=True, slots=True, eq=False)
class BreakEven:
    """crossings: of every two, in order of the requests; stretches: who is cheapest of all."""

    curves: tuple[CostCurve, ...]
    crossings: tuple[Crossing, ...]
    stretches: tuple[Stretch, ...]


def break_even(curves: Sequence[CostCurve]) -> BreakEven:
    """Names must differ."""
    pairs = itertools.combinations(curves, 2)
    crossings = [each for one, other in pairs for each in _crossings(one, other)]
    crossings.sort(key=lambda each: each.requests_per_month)
    return BreakEven(tuple(curves), tuple(crossings), _stretches(curves, crossings))


def _crossings(one: CostCurve, other: CostCurve) -> list[Crossing]:
    """Both ends of every piece are looked at in order; what changes places does so between two."""
    until = min(one.until, other.until)
    bounds = np.union1d(one.starts, other.starts)
    bounds = np.append(bounds[bounds < until], until)
    low, high = bounds[:-1], bounds[1:]
    at = np.column_stack([low, high]).ravel()
    mine = np.column_stack([one.usd_just_above(low), one.usd(high)]).ravel()
    others = np.column_stack([other.usd_just_above(low), other.usd(high)]).ravel()
    more = mine - others
    more[np.abs(more) <= SAME * np.maximum(np.abs(mine), np.abs(others))] = 0.0
    told = np.flatnonzero(more)
    turns = np.flatnonzero(np.sign(more[told[:-1]]) != np.sign(more[told[1:]]))
    found = []
    for before, after in zip(told[turns], told[turns + 1], strict=True):
        requests, at_a_step = _where(at, more, before, after)
        names = (one.name, other.name) if more[before] < 0 else (other.name, one.name)
        usd = min(float(curve.usd(np.array(requests))) for curve in (one, other))
        found.append(Crossing(requests, usd, *names, at_a_step=at_a_step))
    return found


def _where(at: Floats, more: Floats, before: int, after: int) -> tuple[float, bool]:
    """After equal stretches, at their end."""
    if after > before + 1:
        return float(at[after - 1]), bool(at[after - 1] == at[after])
    if at[before] == at[after]:
        return float(at[after]), True
    share = more[before] / (more[before] - more[after])
    return float(at[before] + share * (at[after] - at[before])), False


def _stretches(curves: Sequence[CostCurve], crossings: Sequence[Crossing]) -> tuple[Stretch, ...]:
    """Between neighbouring points none changes places, so that the middle speaks for all."""
    if not curves:
        return ()
    until = max(curve.until for curve in curves)
    points = np.concatenate(
        [
            [0.0, until],
            *(np.append(curve.starts, curve.until) for curve in curves),
            [each.requests_per_month for each in crossings],
        ]
    )
    points = np.unique(points[points <= until])
    apart = np.diff(points, prepend=-until) > SAME * until
    points = points[apart]
    middles = (points[:-1] + points[1:]) / 2
    usd = np.stack([curve.usd(middles) for curve in curves])
    best = np.where(np.isfinite(usd.min(axis=0)), usd.argmin(axis=0), -1)
    changes = np.flatnonzero(np.diff(best, prepend=-2))
    ends = np.append(points[changes[1:]], until)
    return tuple(
        Stretch(float(points[k]), float(end), None if best[k] < 0 else curves[best[k]].name)
        for k, end in zip(changes, ends, strict=True)
    )
