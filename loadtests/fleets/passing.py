"""Passages of one run of load, in columns."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from pydantic import BaseModel, ConfigDict

from loadtests.gateway.passages import NO_MEMBER
from loadtests.intervals import dependent_quantile

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from loadtests.intervals import Quantile
    from loadtests.samples import Samples

__all__ = [
    "QUANTILES",
    "Frozen",
    "alone_s",
    "busy_ratios",
    "is_good",
    "is_placed",
    "load_began_s",
    "quantiles",
    "took_s",
]

QUANTILES = (0.5, 0.95, 0.99)
GOOD = 300


class Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


def is_good(passages: NDArray[np.void]) -> NDArray[np.bool_]:
    return np.asarray(passages["status"] < GOOD)


def is_placed(passages: NDArray[np.void]) -> NDArray[np.bool_]:
    """It was sent to a member, rather than turned away."""
    return np.asarray(passages["member"] != NO_MEMBER)


def took_s(passages: NDArray[np.void]) -> NDArray[np.float64]:
    """At the member."""
    return np.asarray(passages["answered_s"] - passages["sent_s"])


def quantiles(values_s: NDArray[np.float64]) -> tuple[Quantile, ...]:
    """In the order of time, so that what one request did to the next widens the intervals."""
    return tuple(dependent_quantile(values_s, quantile) for quantile in QUANTILES)


def load_began_s(samples: Samples, passages: NDArray[np.void]) -> float | None:
    """When the samples' clock read 0, on the clock of the passages.

    The first request is sent alone and comes to the gateway at once; what is left is what the
    connection took, about a millisecond. None when no request came.
    """
    sent_us = samples.records["sent_us"][samples.is_sent]
    if len(sent_us) == 0 or len(passages) == 0:
        return None
    return float(passages["arrived_s"].min()) - int(sent_us.min()) / 1e6


def busy_ratios(own: NDArray[np.void], edges_s: NDArray[np.float64]) -> NDArray[np.float64]:
    """Share of each stretch in which the stage had a request; own: in the order of sending."""
    if len(own) == 0:
        return np.zeros(len(edges_s) - 1)
    ends_s = np.maximum.accumulate(own["answered_s"])
    begins_s = np.maximum(own["sent_s"], np.concatenate([[-np.inf], ends_s[:-1]]))
    busy_s = np.maximum(ends_s - begins_s, 0.0)
    # Busy time until each edge: of all that began before it, less what of the last is still to be.
    totals_s = np.concatenate([[0.0], np.cumsum(busy_s)])
    before = np.searchsorted(begins_s, edges_s, side="left")
    still_s = np.where(
        before > 0, np.maximum(ends_s[np.maximum(before - 1, 0)] - edges_s, 0.0), 0.0
    )
    return np.asarray(np.diff(totals_s[before] - still_s) / np.diff(edges_s))


def alone_s(own: NDArray[np.void]) -> float | None:
    """Median of those that found the stage empty and had it until they were answered."""
    if len(own) == 0:
        return None
    ends_s = np.maximum.accumulate(own["answered_s"])
    found_empty = own["sent_s"] >= np.concatenate([[-np.inf], ends_s[:-1]])
    next_s = np.concatenate([own["sent_s"][1:], [np.inf]])
    alone = found_empty & (next_s >= own["answered_s"])
    return float(np.median(took_s(own[alone]))) if alone.any() else None
