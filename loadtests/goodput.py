"""Goodput: what was answered well and within every limit an SLO sets for one request."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from pydantic import BaseModel, ConfigDict

from loadtests.intervals import Interval, dependent_share
from loadtests.streaming.taken import taken_s

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

    from loadtests.samples import Samples
    from loadtests.slo import Limit

__all__ = ["Goodput", "goodput", "limits_text", "within_limits"]


class Goodput(BaseModel):
    """within: the limits, in words. ratio: of the requests due. rate_rps: good ones a second.

    Requests of which a limit's figure cannot be said are left out of the ratio. None for both
    where it cannot be said of any.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    within: str
    ratio: Interval
    rate_rps: float | None


def limits_text(limits: Iterable[Limit]) -> str:
    return ", ".join(each.text for each in limits)


def within_limits(
    samples: Samples, limits: tuple[Limit, ...]
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Of every sample: is it good, and can that be said?

    A time per token is no matter of an answer with a single one; a first token that nobody saw is.
    """
    is_good, is_known = samples.is_success.copy(), np.ones(len(samples), np.bool_)
    for limit in limits:
        taken = taken_s(samples, limit.figure)
        if taken is None:
            return np.zeros(len(samples), np.bool_), np.zeros(len(samples), np.bool_)
        is_good &= (taken.seconds <= limit.limit_s) | ~taken.is_known
        if limit.figure == "ttft":
            is_known &= taken.is_known
    return is_good, is_known


def goodput(samples: Samples, limits: tuple[Limit, ...]) -> Goodput:
    """Of the steady part of a run; good answers are counted as throughput counts them."""
    is_good, is_known = within_limits(samples, limits)
    due_us, done_us = samples.records["due_us"], samples.records["done_us"]
    span_us = int(due_us[-1] - due_us[0]) if len(due_us) else 0
    rate_rps = None
    if span_us > 0 and is_known.any():
        rate_rps = int(np.sum(is_good & is_known & (done_us <= due_us[-1]))) / span_us * 1e6
    ratio = dependent_share(is_good[is_known])
    return Goodput(within=limits_text(limits), ratio=ratio, rate_rps=rate_rps)
