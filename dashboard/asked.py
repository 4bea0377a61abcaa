"""What a person asks otherwise than the run did, and how an address says it.

An address names only what differs, so that it stays short, and everything that does, so that
another person who opens it sees the same.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Self

from pydantic import ValidationError

from dashboard.address import (
    as_query,
    given_in,
    read_words,
    refuse_unknown,
    said_otherwise,
    unpacked,
)
from recommender.demand import Constraints, Demand, TrafficFacts, slo_to_rank_by
from recommender.errors import BadRequest

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = [
    "HINT",
    "LONGEST_HOURS",
    "Asked",
    "read_rate",
    "read_whole",
    "traffic_of",
]

LONGEST_HOURS = 31 * 24
MOST_TEXT = 16_000  # of the counts of a month, in full
LEAST_RPS, MOST_RPS = 1e-3, 1e6
HINT = "correct the address, or begin anew from the run's own page"


@dataclass(frozen=True, slots=True)
class Asked:
    """rate_rps: the mean. hours: requests in each hour, for their shape; None is steady.

    headroom_percent: whole percents, as the control has them.
    """

    rate_rps: float
    hours: tuple[int, ...] | None
    slo: str
    region: str
    platforms: tuple[str, ...]
    purchases: tuple[str, ...]
    headroom_percent: int
    zones: int
    book: str

    @classmethod
    def of(cls, demand: Demand, book: str) -> Self:
        constraints, hourly = demand.constraints, demand.traffic.hourly
        return cls(
            rate_rps=demand.traffic.mean_rps,
            hours=None if hourly is None else tuple(round(each) for each in hourly),
            slo=demand.slo,
            region=constraints.region,
            platforms=constraints.platforms,
            purchases=constraints.purchases,
            headroom_percent=round(constraints.headroom_ratio * 100),
            zones=constraints.zones,
            book=book,
        )

    def query(self, before: Asked) -> str:
        """Of an address, where this differs from `before`; the same for the same question."""
        return as_query(said_otherwise(self, before))

    def changed_by(self, query: str) -> Asked:
        """Raises BadRequest for what an address cannot say, or says wrongly."""
        return self.changed_to(given_in(query))

    def changed_to(self, given: Mapping[str, str]) -> Asked:
        """given: texts of an address, by name. Raises as `changed_by` does."""
        refuse_unknown(given, _READ, HINT)
        return replace(self, **{name: _READ[name](text) for name, text in given.items()})

    def demand(self, before: Demand) -> Demand:
        """Raises UsageError for an SLO that is not understood, BadRequest for what cannot be."""
        constraints = before.constraints.model_dump() | {
            "region": self.region,
            "platforms": self.platforms,
            "purchases": self.purchases,
            "headroom_ratio": self.headroom_percent / 100,
            "zones": self.zones,
        }
        try:
            checked = Constraints.model_validate(constraints)
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(map(str, first["loc"]))
            raise BadRequest(f"{where}: {first['msg']}", hint=HINT) from error
        return before.model_copy(
            update={
                "traffic": self._traffic(before),
                "slo": slo_to_rank_by(self.slo).text,
                "constraints": checked,
            }
        )

    def _traffic(self, before: Demand) -> TrafficFacts:
        asked = Asked.of(before, self.book)
        if (self.rate_rps, self.hours) == (asked.rate_rps, asked.hours):
            return before.traffic
        return traffic_of(self.rate_rps, self.hours, before.traffic.arrivals_cv)


def traffic_of(rate_rps: float, hours: tuple[int, ...] | None, arrivals_cv: float) -> TrafficFacts:
    """The shape of the hours at another mean rate; a steady rate where there are none."""
    if not LEAST_RPS <= rate_rps <= MOST_RPS:
        raise BadRequest(
            f"{rate_rps:g} requests a second is not between {LEAST_RPS:g} and {MOST_RPS:g}",
            hint="ask for a rate in between",
        )
    burst = "" if arrivals_cv == 1 else f", cv {arrivals_cv:g}"
    if hours is None:
        text = f"{rate_rps:g}rps{burst}"
        return TrafficFacts(
            text=text, peak_rps=rate_rps, mean_rps=rate_rps, arrivals_cv=arrivals_cv
        )
    factor = rate_rps * 3600 * len(hours) / sum(hours)
    counts = tuple(each * factor for each in hours)
    peak_rps = max(counts) / 3600
    return TrafficFacts(
        text=f"mean {rate_rps:g}rps, peak {peak_rps:.3g}rps over {len(hours)} hours{burst}",
        peak_rps=peak_rps,
        mean_rps=rate_rps,
        hourly=counts,
        arrivals_cv=arrivals_cv,
    )


def read_rate(text: str) -> float:
    try:
        return float(text)
    except ValueError as error:
        raise BadRequest(f"a rate of {text!r} is no number", hint=HINT) from error


def _hours(text: str) -> tuple[int, ...] | None:
    if not text:
        return None
    try:
        counts = tuple(map(int, unpacked(text, MOST_TEXT).split(",")))
    except (ValueError, zlib.error) as error:
        raise BadRequest("the hours in the address are not readable", hint=HINT) from error
    if not 0 < len(counts) <= LONGEST_HOURS or min(counts) < 0 or not any(counts):
        raise BadRequest(
            f"the hours in the address are {len(counts)}, or hold no requests", hint=HINT
        )
    return counts


def read_whole(text: str) -> int:
    try:
        return int(text)
    except ValueError as error:
        raise BadRequest(f"{text!r} is no whole number", hint=HINT) from error


_READ: Mapping[str, Any] = {
    "rate_rps": read_rate,
    "hours": _hours,
    "slo": str,
    "region": str,
    "platforms": read_words,
    "purchases": read_words,
    "headroom_percent": read_whole,
    "zones": read_whole,
    "book": str,
}
