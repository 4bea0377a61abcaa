"""What each of several equal servers did of one run of load."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np

from loadtests.fleets.passing import Frozen, is_good, is_placed, quantiles, took_s
from loadtests.intervals import Interval, Quantile
from loadtests.samples import ratio_bound

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["ReplicaFigures", "ReplicasReport", "replicas_report"]


class ReplicaFigures(Frozen):
    """service: sent to the replica until its answer was whole, successes only.

    in_flight: time average of the requests it had, over the run.
    """

    member: int
    requests: int
    failed: int
    share: Interval
    service: tuple[Quantile, ...]
    in_flight: float

    @property
    def median_s(self) -> float | None:
        return self.service[0].seconds.value


class ReplicasReport(Frozen):
    """turned_away: no replica was in service. imbalance_ratio: see `imbalance_ratio`.

    slowest_ratio: the largest median service time over the smallest; None with fewer than two
    replicas that answered.
    """

    kind: Literal["replicas"] = "replicas"
    members: tuple[ReplicaFigures, ...]
    requests: int
    failed: int
    turned_away: int
    imbalance_ratio: float | None
    slowest_ratio: float | None


def replicas_report(passages: NDArray[np.void]) -> ReplicasReport:
    placed = passages[is_placed(passages)]
    span_s = _span_s(passages)
    numbers = np.unique(placed["member"]).tolist()
    members = tuple(_figures(placed, number, span_s) for number in numbers)
    medians = [each.median_s for each in members if each.median_s]
    return ReplicasReport(
        members=members,
        requests=len(passages),
        failed=int(np.sum(~is_good(passages))),
        turned_away=len(passages) - len(placed),
        imbalance_ratio=imbalance_ratio([each.requests for each in members]),
        slowest_ratio=max(medians) / min(medians) if len(medians) > 1 else None,
    )


def imbalance_ratio(requests: list[int]) -> float | None:
    """The busiest one's requests over an even share: 1 when all had as many."""
    return max(requests) * len(requests) / sum(requests) if requests else None


def _figures(placed: NDArray[np.void], number: int, span_s: float) -> ReplicaFigures:
    own = np.sort(placed[placed["member"] == number], order="sent_s")
    good = is_good(own)
    taken_s = took_s(own)
    return ReplicaFigures(
        member=number,
        requests=len(own),
        failed=int(np.sum(~good)),
        share=Interval.of(ratio_bound(len(own), len(placed))),
        service=quantiles(taken_s[good]),
        in_flight=float(taken_s.sum()) / span_s if span_s > 0 else 0.0,
    )


def _span_s(passages: NDArray[np.void]) -> float:
    if len(passages) == 0:
        return 0.0
    return float(passages["left_s"].max() - passages["arrived_s"].min())
