"""How much of a change in the host's speed a server can have felt."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from loadtests.samples import Samples

__all__ = ["HostChange", "host_change"]

FAST_QUANTILE = 0.1


@dataclass(frozen=True, slots=True)
class HostChange:
    """slowdown: CPU-seconds of a fixed piece of work after the run over those before it.

    working_ratio: at most this share of the server's time is work of a CPU. The rest is spent
    waiting (on a disk, a timer, another service), which takes no longer on a slower host.
    """

    slowdown: float
    working_ratio: float = 1.0

    @property
    def felt(self) -> float:
        """Times of service after the run over those before it, at most."""
        return 1 + (self.slowdown - 1) * self.working_ratio


def host_change(
    slowdown: float | None, samples: Samples, used_s: float | None, elapsed_s: float
) -> HostChange | None:
    """used_s: CPU-seconds of the server over the run. None is not known.

    Requests wait for its CPU in a queue too: what one takes alone is told from the fastest. A
    server that works in a single thread is at its end with one core, however many there are.
    """
    if slowdown is None:
        return None
    if used_s is None or samples.succeeded == 0:
        return HostChange(slowdown)
    fast_s = float(np.quantile(samples.service_s, FAST_QUANTILE))
    each_s = used_s / (len(samples) - samples.dropped)
    working = max(used_s / elapsed_s, each_s / fast_s if fast_s > 0 else 1.0)
    return HostChange(slowdown, min(working, 1.0))
