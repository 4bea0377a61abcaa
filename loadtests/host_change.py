"""Whether the host changed its speed over a run, and how much of it a server can have felt."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from loadtests.validity import HOST_SLOWDOWN

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from loadtests.monitor import HostSpeed
    from loadtests.samples import Samples

__all__ = ["HostChange", "Slowdown", "host_change", "slowdown_seen", "working_ratio"]

FAST_QUANTILE = 0.1
# A flickering host forgets within 0.2 s how fast it was (autocorrelation of its speed on a core of
# an AMD EPYC shared with another guest). One whose two cores are each fast half of the time still
# looks changed at all sixteen looks after one run of a hundred.
LOOKS, LOOK_APART_S = 16, 0.05


@dataclass(frozen=True, slots=True)
class Slowdown:
    """Of looks after a run: CPU-seconds of the same work over those before it.

    nearest: the one nearest to 1. swing: the largest over the least, 1 of a single look.
    """

    nearest: float
    swing: float


def slowdown_seen(before: HostSpeed, after: HostSpeed, look: Callable[[], HostSpeed]) -> Slowdown:
    """What looks changed is looked at again, until it looks as before, or often enough.

    A core that has just woken is slow once. And a core that shares its arithmetic with another
    guest's is fast and slow by turns, many times in a second: one look before a run and one after
    it differ by half, while the run itself met both as often as any other would.
    """
    seen = [after.slower_than(before)]
    while abs(math.log(seen[-1])) > math.log(HOST_SLOWDOWN) and len(seen) < LOOKS:
        time.sleep(LOOK_APART_S)
        seen.append(look().slower_than(before))
    return Slowdown(min(seen, key=lambda ratio: abs(math.log(ratio))), max(seen) / min(seen))


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
    slowdown: Slowdown | None, samples: Samples, used_s: float | None, elapsed_s: float
) -> HostChange | None:
    """used_s: CPU-seconds of the server over the run. None is not known."""
    if slowdown is None:
        return None
    if used_s is None or samples.succeeded == 0:
        return HostChange(slowdown.nearest)
    each_s = used_s / (len(samples) - samples.dropped)
    return HostChange(
        slowdown.nearest, working_ratio(samples.service_s, each_s, used_s / elapsed_s)
    )


def working_ratio(service_s: NDArray[np.float64], each_s: float, busy_vcpus: float) -> float:
    """The share of a server's time that is work of a CPU, at most; see `HostChange`.

    each_s: CPU-seconds of a request. Requests wait for the CPU in a queue too: what one takes
    alone is told from the fastest. A server that works in a single thread is at its end with one
    core, however many there are.
    """
    fast_s = float(np.quantile(service_s, FAST_QUANTILE))
    return min(max(busy_vcpus, each_s / fast_s if fast_s > 0 else 1.0), 1.0)
