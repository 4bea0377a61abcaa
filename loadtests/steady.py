"""The part of a run that counts, and how much was sent and answered in it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from loadtests.queueing import warmup_length

if TYPE_CHECKING:
    from loadtests.samples import Samples

__all__ = ["achieved_rps", "settled", "throughput_rps"]


def settled(samples: Samples, stop_reason: str | None, *, is_steady: bool) -> Samples:
    """After the warm-up, and before our own stop cut off what was in flight.

    Load that changes never settles, and counts from its first request. Failures are infinite, so
    the cut is sought in the order of finite times.
    """
    if stop_reason is not None:
        samples = samples.not_cut_off()
    if not is_steady:
        return samples
    taken = np.where(np.isfinite(samples.latency_s), samples.latency_s, 0.0)
    return samples.take(slice(warmup_length(taken), None))


def throughput_rps(steady: Samples, elapsed_s: float) -> float:
    """Good answers that came while requests were still being sent, over that time.

    What comes after the last send comes from a load that is no longer there, and one request that
    hangs would count for all the rest.
    """
    if len(steady) == 0:
        return 0.0
    first_us, last_us = int(steady.records["due_us"][0]), int(steady.records["due_us"][-1])
    if last_us <= first_us:
        return steady.succeeded / elapsed_s
    came = steady.is_success & (steady.records["done_us"] <= last_us)
    return float(np.sum(came)) / (last_us - first_us) * 1e6


def achieved_rps(samples: Samples, elapsed_s: float) -> float:
    """Over the time of sending, not of waiting for the last answers."""
    sent_us = samples.records["sent_us"][samples.is_sent]
    span_us = int(sent_us.max() - sent_us.min()) if len(sent_us) else 0
    return (len(sent_us) - 1) / span_us * 1e6 if span_us > 0 else len(sent_us) / elapsed_s
