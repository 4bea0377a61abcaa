"""What a simulation comes to: what became of the requests, what was used, and what that costs.

Every figure is an array over draws: one value for each way in which what is not known may be.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from pricing import HOURS_PER_MONTH
from recommender.cost import Bill, LineItem, to_billionths
from recommender.verdicts import median_of, range_of

if TYPE_CHECKING:
    from collections.abc import Mapping
    from decimal import Decimal

    from numpy.typing import NDArray

    from recommender.recommendation import Range

    Floats = NDArray[np.float64]

__all__ = ["FleetTimeline", "Outcome", "Requests", "Timeline", "Usage"]

MONTH_S = HOURS_PER_MONTH * 3600.0
HOUR_S = 3600.0
ROUNDING = 1e-9


@dataclass(frozen=True, eq=False)
class Requests:
    """Counts, each of shape (draws,): arrivals = served + failed + throttled + queued.

    good: of those served, within the latency limit. queued: still waiting at the end.
    Raises ValueError where they do not add up.
    """

    arrivals: Floats
    served: Floats
    good: Floats
    failed: Floats
    throttled: Floats
    queued: Floats

    def __post_init__(self) -> None:
        parts = (self.served, self.failed, self.throttled, self.queued)
        slack = ROUNDING * np.maximum(self.arrivals, 1.0)
        for name, counts in vars(self).items():
            if counts.shape != self.arrivals.shape or not (counts >= -slack).all():
                raise ValueError(f"{name}: {counts} of {self.arrivals} requests")
        if not (np.abs(sum(parts) - self.arrivals) <= slack).all():
            raise ValueError(f"{self.arrivals} requests came, {sum(parts)} are accounted for")
        if not (self.good <= self.served + slack).all():
            raise ValueError(f"{self.good} of {self.served} requests served were good")

    @property
    def attainment(self) -> Floats:
        """Share of all that came; 1 where nothing came."""
        return np.divide(
            self.good, self.arrivals, out=np.ones_like(self.good), where=self.arrivals > 0
        )


@dataclass(frozen=True, eq=False)
class Usage:
    """What is paid for over the time simulated: `amount` of `unit`s, shape (draws,).

    name: of the line on the bill. unit: as a price book has it: instance-hour, second, GB, ….
    """

    name: str
    unit: str
    amount: Floats


@dataclass(frozen=True, eq=False)
class FleetTimeline:
    """What machines have besides. paid: with those still starting. p50_s, p99_s: of latency."""

    paid: Floats
    p50_s: Floats
    p99_s: Floats


@dataclass(frozen=True, eq=False)
class Timeline:
    """The course of one draw, each array of shape (steps,).

    replicas: in service. utilization_ratio: of what they can serve, above 1 where more came.
    latency_s: at the objective's quantile. good_ratio: of the step's arrivals.
    fleet: None where no machines serve.
    """

    step_s: float
    arrivals: Floats
    replicas: Floats
    utilization_ratio: Floats
    latency_s: Floats
    good_ratio: Floats
    queued: Floats
    fleet: FleetTimeline | None = None

    def worst_hour(self) -> tuple[float, float]:
        """When the hour with the least share of good requests begins, and that share.

        Of hours in which something came; all of the time where it is no longer than an hour.
        """
        steps = min(max(round(HOUR_S / self.step_s), 1), len(self.arrivals))
        came = _sums(self.arrivals, steps)
        good = _sums(self.arrivals * self.good_ratio, steps)
        share = np.divide(good, came, out=np.ones_like(good), where=came > 0)
        worst = int(np.argmin(share))
        return worst * self.step_s, float(share[worst])


@dataclass(frozen=True, eq=False)
class Outcome:
    """most_replicas: in service at once, shape (draws,); None where there are none to count."""

    duration_s: float
    requests: Requests
    usage: tuple[Usage, ...]
    timeline: Timeline | None = None
    most_replicas: Floats | None = None

    def per_month(self, usage: Usage) -> Floats:
        """Units in a month of 730 hours, were it all like the time simulated; shape (draws,)."""
        return usage.amount * (MONTH_S / self.duration_s)

    def usd_per_month(self, prices: Mapping[str, Decimal]) -> Floats:
        """prices: USD per unit, by the name of the usage. Shape (draws,)."""
        lines = [self.per_month(each) * float(prices[each.name]) for each in self.usage]
        return np.asarray(np.sum(lines, axis=0))

    def bill(self, prices: Mapping[str, Decimal]) -> Bill:
        """Of the draw in the middle of each usage; in Decimal from there on."""
        return Bill(
            tuple(
                LineItem(
                    each.name,
                    to_billionths(median_of(self.per_month(each))),
                    each.unit,
                    prices[each.name],
                )
                for each in self.usage
            )
        )

    def usd_per_million(self, prices: Mapping[str, Decimal], *, only_good: bool) -> Floats:
        """Of all requests, or of those that met the objective; infinite where none did."""
        counted = self.requests.good if only_good else self.requests.arrivals
        million = counted * (MONTH_S / self.duration_s) / 1e6
        usd = self.usd_per_month(prices)
        return np.divide(usd, million, out=np.full_like(usd, np.inf), where=million > 0)

    @cached_property
    def attainment(self) -> Range:
        return range_of(self.requests.attainment)


def _sums(values: Floats, steps: int) -> Floats:
    """Of every so many steps in a row."""
    until = np.concatenate(([0.0], np.cumsum(values)))
    return np.asarray(until[steps:] - until[:-steps])
