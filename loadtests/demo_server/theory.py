# ruff: noqa: RUF002 - the field's own symbols
"""The largest Poisson rate at which a demo server keeps a latency limit, by queueing theory.

Symbols as in `loadtests.queueing`; D is the service time where every one is the same.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
from scipy.optimize import brentq

from loadtests.demo_server.service_times import Law
from loadtests.errors import UsageError
from loadtests.queueing import Queue, latency_curve, mmc_sojourn_tail

if TYPE_CHECKING:
    from collections.abc import Callable

    from loadtests.demo_server import DemoServer

__all__ = ["capacity_rps", "md1_sojourn_tail"]

MOST_SERVICES = 20  # in M/D/1's sum: beyond, terms of either sign leave no digits
NEARLY_SATURATED = 1 - 1e-6
DRAWS, CUSTOMERS, REPLICATIONS = 50_000, 20_000, 16


def capacity_rps(server: DemoServer, quantile: float, limit_s: float) -> float:
    """Largest rate at which `quantile` of all requests are answered well within `limit_s`.

    0 where not even an idle server does. An answer of 500 is not answered well, so with a share e
    of them the quantile asked of the others is quantile/(1 - e). Exact for M/M/c and M/D/1;
    otherwise M/G/c is simulated (Kiefer & Wolfowitz 1955), which scatters by about 1 %. Raises
    UsageError for a server that changes over time or turns requests away: there is no such rate.
    """
    if any((server.stall, server.cliff, server.drift_per_hour, server.error_burst)):
        raise UsageError("the capacity of a server that changes over time is not one figure")
    if server.queue_limit is not None:
        raise UsageError("the capacity of a server that turns requests away is not known here")
    asked = quantile / (1 - server.error_rate) if server.error_rate < 1 else math.inf
    if asked >= 1:
        return 0.0
    service = server.service_time
    if service.law is Law.EXPONENTIAL:
        mmc = lambda rps: mmc_sojourn_tail(limit_s, rps, service.mean_s, server.servers)  # noqa: E731
        return _largest(mmc, asked, server.stable_rps)
    is_near = limit_s <= service.mean_s * MOST_SERVICES
    if service.law is Law.DETERMINISTIC and server.servers == 1 and is_near:
        md1 = lambda rps: md1_sojourn_tail(limit_s, rps, service.mean_s)  # noqa: E731
        return _largest(md1, asked, server.stable_rps)
    return _simulated(server, asked, limit_s)


def md1_sojourn_tail(t_s: float, rate_rps: float, service_s: float) -> float:
    """P(W > t) in M/D/1, by Erlang (1909); for t below 20 services.

    P(wait ≤ x) = (1-ρ) Σ_(k=0..⌊x/D⌋) (λ(kD - x))^k/k! e^(-λ(kD - x)), and W is wait + D.
    """
    wait_s = t_s - service_s
    if wait_s < 0:
        return 1.0
    if wait_s >= MOST_SERVICES * service_s:
        raise ValueError(f"{t_s} s is beyond {MOST_SERVICES} services of {service_s} s")
    steps = (
        rate_rps * (index * service_s - wait_s) for index in range(int(wait_s / service_s) + 1)
    )
    terms = (
        step**index / math.factorial(index) * math.exp(-step) for index, step in enumerate(steps)
    )
    return 1 - (1 - rate_rps * service_s) * math.fsum(terms)


def _largest(tail: Callable[[float], float], quantile: float, stable_rps: float) -> float:
    """The rate at which the tail grows beyond what the quantile leaves; it never falls."""

    def excess(rate_rps: float) -> float:
        return tail(rate_rps) - (1 - quantile)

    low, high = 1e-9 * stable_rps, NEARLY_SATURATED * stable_rps
    if excess(low) > 0:
        return 0.0
    if excess(high) <= 0:
        return stable_rps
    return float(brentq(excess, low, high, rtol=1e-9))


def _simulated(server: DemoServer, quantile: float, limit_s: float) -> float:
    service = server.service_time
    drawn_s = service.draws_s(np.random.default_rng(20261121), DRAWS)
    curve = latency_curve(
        drawn_s,
        Queue(server.servers),
        (quantile,),
        seed=20261121,
        customers=CUSTOMERS,
        replications=REPLICATIONS,
    )
    found = curve.largest_utilization(quantile, limit_s / service.mean_s)
    return float(found.mean()) * server.stable_rps
