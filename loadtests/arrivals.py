"""Due times: a pure function of traffic, process and seed, settled before the first request.

Every schedule is absolute, so a late send never pushes the ones after it, and the same seed gives
the same schedule wherever it runs (common random numbers between the configurations compared).
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Literal

import numpy as np

from loadtests.errors import UsageError

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["Process", "due_times", "payload_choices"]

Process = Literal["poisson", "constant"]


def due_times(
    rate_rps: float, duration_s: float, *, process: Process = "poisson", seed: int
) -> NDArray[np.float64]:
    """Seconds from the start, ascending, shape (n,), all in [0, duration_s).

    poisson: n ~ Poisson(rate · duration), then n sorted uniform draws: given their number, the
    arrivals of a Poisson process are independent and uniform, so no instant is favoured and no
    gap is cut off at the end.
    constant: one every 1/rate, from a phase drawn by the seed.
    """
    if not all(math.isfinite(each) and each > 0 for each in (rate_rps, duration_s)):
        raise UsageError(
            f"a schedule needs a rate and a duration above 0, not {rate_rps} for {duration_s} s"
        )
    rng = np.random.default_rng(np.random.SeedSequence([seed, 0xA221]))
    match process:
        case "poisson":
            count = rng.poisson(rate_rps * duration_s)
            return np.sort(rng.random(count) * duration_s)
        case "constant":
            phase_s = rng.random() / rate_rps
            steps = np.arange(int(np.ceil(rate_rps * duration_s)) + 1) / rate_rps + phase_s
            return np.asarray(steps[steps < duration_s], dtype=np.float64)


def payload_choices(count: int, payloads: int, *, seed: int) -> NDArray[np.uint16]:
    """Which payload each request sends, shape (count,): equally often each, in random order."""
    rng = np.random.default_rng(np.random.SeedSequence([seed, 0x9A71]))
    rounds = -(-max(count, 1) // payloads)
    choices = np.tile(np.arange(payloads, dtype=np.uint16), (rounds, 1))
    return rng.permuted(choices, axis=1).ravel()[:count]
