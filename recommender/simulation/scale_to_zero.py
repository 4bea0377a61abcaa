"""One machine that stops when nothing has come for a while, and starts with the next request.

With Poisson arrivals, Λ requests expected in the last idle_s, λ a second now and a start of u
seconds, a cycle is one gap of 1/λ without a machine, u to start, and then the time until a gap of
idle_s comes, (e^Λ - 1)/λ at an even rate (Ross, Introduction to Probability Models, §3.5). So the
share of time without a machine is 1/(λu + e^Λ); the request that ends it waits for u, and those
that come meanwhile, λu of them, for what is left of it. For u = 0 that is e^-Λ, the probability
that nothing came, which is exact at any rate that changes; in between it is taken as it stands.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from recommender.simulation.outcome import Outcome, Requests, Usage
from recommender.simulation.traffic import HOUR_S

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from recommender.simulation.traffic import TrafficTrace

    Floats = NDArray[np.float64]

__all__ = ["INSTANCES", "ScaleToZero", "simulate_scale_to_zero"]

INSTANCES = "instances"
PER_IDLE = 4  # steps in the time after which it stops, at least
LARGEST = 700.0  # exponent that is still a number


@dataclass(frozen=True, eq=False)
class ScaleToZero:
    """capacity_rps: within the SLO; mean_s: of a request; setup_s: from stopped to ready.

    levels: how many times the trace really comes; these four of shape (draws,). waits: requests
    wait for the start, as those of asynchronous inference do; else they fail, as with inference
    components.
    """

    capacity_rps: Floats
    mean_s: Floats
    setup_s: Floats
    levels: Floats
    idle_s: float
    limit_s: float
    waits: bool = True


def simulate_scale_to_zero(trace: TrafficTrace, terms: ScaleToZero) -> Outcome:
    """The trace goes round: its first step comes after its last. Mean values over chance."""
    trace = trace.in_steps_of(min(trace.step_s, terms.idle_s / PER_IDLE))
    levels, setup_s = terms.levels[:, None], terms.setup_s[:, None]
    rate_rps = levels * trace.rate_rps
    recent = np.minimum(levels * _recent(trace, terms.idle_s), LARGEST)
    starting = rate_rps * setup_s
    stopped_ratio = 1 / (starting + np.exp(recent))
    in_time = np.where(rate_rps <= terms.capacity_rps[:, None], 1.0, 0.0)
    first_good = (setup_s + terms.mean_s[:, None] <= terms.limit_s) * in_time
    next_good = _share_in_time(terms) * in_time
    cold = stopped_ratio * (1 + starting)
    good = (1 - cold) * in_time
    if terms.waits:
        good = good + stopped_ratio * (first_good + starting * next_good)
    arrivals = (rate_rps * trace.step_s).sum(axis=1)
    failed = np.zeros_like(arrivals)
    if not terms.waits:
        failed = (rate_rps * cold * trace.step_s).sum(axis=1)
    zero = np.zeros_like(arrivals)
    requests = Requests(
        arrivals=arrivals,
        served=arrivals - failed,
        good=(rate_rps * good * trace.step_s).sum(axis=1),
        failed=failed,
        throttled=zero,
        queued=zero,
    )
    hours = (1 - stopped_ratio).sum(axis=1) * trace.step_s / HOUR_S
    return Outcome(trace.duration_s, requests, (Usage(INSTANCES, "instance-hour", hours),))


def _recent(trace: TrafficTrace, idle_s: float) -> Floats:
    """Requests expected in the last idle_s, at the middle of each step."""
    by_then = np.concatenate([[0.0], np.cumsum(trace.rate_rps) * trace.step_s])
    edges_s = trace.step_s * np.arange(len(by_then))
    middle_s = edges_s[:-1] + trace.step_s / 2
    rounds, before_s = np.divmod(middle_s - idle_s, trace.duration_s)
    before = np.interp(before_s, edges_s, by_then) + rounds * by_then[-1]
    return np.asarray(np.interp(middle_s, edges_s, by_then) - before)


def _share_in_time(terms: ScaleToZero) -> Floats:
    """Of those that come during a start, at any moment of it alike; shape (draws, 1)."""
    allowed_s = np.clip(terms.limit_s - terms.mean_s, 0.0, terms.setup_s)
    share = np.ones_like(allowed_s)
    np.divide(allowed_s, terms.setup_s, out=share, where=terms.setup_s > 0)
    return share[:, None]
