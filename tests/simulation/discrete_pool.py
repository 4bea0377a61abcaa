"""A pool of instances request by request, written apart from the program.

Each instance takes one request at a time; of the idle ones that which worked last is taken, and
one that stood idle for idle_s is gone. A request that finds none starts one and waits for it; one
that finds the limit reached comes again after its backoff, as often as it may.
"""

import math
from dataclasses import dataclass
from heapq import heappop, heappush

import numpy as np


@dataclass(frozen=True)
class Pool:
    mean_s: float
    setup_s: float = 0.0
    idle_s: float = 300.0
    most: int = 200
    provisioned: int = 0
    retries: int = 0
    backoff_s: float = 2.0


@dataclass(frozen=True)
class Told:
    """Shares of the requests; billed_s: of all."""

    cold: float
    throttled: float
    good: float
    billed_s: float
    requests: int


class Instances:
    """Those idle, the longest first, and until when the others work."""

    def __init__(self, pool):
        self.pool = pool
        self.idle_since = [-math.inf] * pool.provisioned
        self.busy_until = []

    def look(self, now_s):
        while self.busy_until and self.busy_until[0] <= now_s:
            self.idle_since.append(heappop(self.busy_until))
        spare = len(self.idle_since) + len(self.busy_until) - self.pool.provisioned
        while spare > 0 and self.idle_since and now_s - self.idle_since[0] >= self.pool.idle_s:
            self.idle_since.pop(0)
            spare -= 1

    @property
    def is_full(self):
        return len(self.busy_until) >= self.pool.most

    def take(self, now_s, takes_s):
        """When it is answered, and whether a start had to come first."""
        is_cold = not self.idle_since
        if not is_cold:
            self.idle_since.pop()
        done_s = now_s + takes_s + (self.pool.setup_s if is_cold else 0.0)
        heappush(self.busy_until, done_s)
        return done_s, is_cold


def arrivals_s(rates_rps, step_s, rng):
    counts = rng.poisson(np.asarray(rates_rps) * step_s)
    within = rng.random(counts.sum()) * step_s
    return np.sort(np.repeat(np.arange(len(counts)) * step_s, counts) + within)


def run(pool, at_s, service_s, limit_s):
    instances = Instances(pool)
    coming = [(each_s, each_s, 0) for each_s in at_s.tolist()]  # sorted is a heap
    services = iter(service_s.tolist())
    cold = throttled = good = 0
    billed_s = 0.0
    while coming:
        now_s, due_s, tries = heappop(coming)
        instances.look(now_s)
        if not instances.is_full:
            takes_s = next(services)
            done_s, is_cold = instances.take(now_s, takes_s)
            cold += is_cold
            good += done_s - due_s <= limit_s
            billed_s += math.ceil(takes_s * 1e3 - 1e-9) / 1e3
        elif tries < pool.retries:
            heappush(coming, (now_s + pool.backoff_s, due_s, tries + 1))
        else:
            throttled += 1
    size = len(at_s)
    return Told(cold / size, throttled / size, good / size, billed_s, size)


def simulated(pool, rates_rps, step_s, *, seed, unit_service=None, limit_s=math.inf):
    """unit_service: to draw service times from, over their mean; None for exponential ones."""
    rng = np.random.default_rng(seed)
    at_s = arrivals_s(rates_rps, step_s, rng)
    units = rng.exponential(size=len(at_s))
    if unit_service is not None:
        units = rng.choice(unit_service, len(at_s))
    return run(pool, at_s, units * pool.mean_s, limit_s)
