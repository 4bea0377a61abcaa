"""How a pool of instances fares while the traffic changes: cold starts and refusals, step by step.

Within a step the pool is as `warm_pool` has it at that rate. Its memory reaches further back: what
keeps instances warm is the busiest moment of the last `idle_s`, so that after a quiet hour the
first busy minute starts cold. The probability that no earlier moment was as busy is multiplied up
from step to step, which is right where requests are short beside a step.

Where the rate jumps and starting takes long, requests come faster than instances get ready: each
of them starts one of its own until the first are there, or is refused once the limit is reached.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from scipy.special import gammaincc, gammaln

from recommender.simulation.warm_pool import busy_shares, erlang_b, survival

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

__all__ = ["PoolCourse", "PoolTerms", "pool_course"]

LEVELS = 96
PARTS_OF_IDLE = 4  # a step is no longer than that part of idle_s, unless it is far longer
MOST_PARTS = 16
SMALLEST = 1e-200  # of Erlang's B, whose logarithm is still exact
QUIETEST = 1e-4  # of the peak: below that a rate counts as this one
ROUNDS, TURNS = 3, 30  # of cold starts and the load they make; of refusals and theirs


@dataclass(frozen=True, eq=False)
class PoolTerms:
    """most: requests in progress, and so instances. provisioned: always ready, shape (steps,).

    idle_s: after which an idle instance is reclaimed. retries: so often at most is a refused
    request sent again. It is taken to meet the pool as it is on average; one that comes back
    within a few service times meets it fuller, and more is throttled in the end.
    """

    most: int
    provisioned: NDArray[np.int64]
    idle_s: float
    retries: int = 0


@dataclass(frozen=True, eq=False)
class PoolCourse:
    """Shares of what comes in each step, shape (steps,).

    cold: answered after a start. refused: of each try. throttled: of the requests, after all
    tries. busy: requests in progress, on average. warm: instances there when the step begins.
    """

    cold: Floats
    refused: Floats
    throttled: Floats
    busy: Floats
    warm: Floats

    @property
    def cold_of_served(self) -> Floats:
        """Share of what is answered, in each step."""
        served = 1 - self.throttled
        return np.divide(self.cold, served, out=np.zeros_like(served), where=served > 0)


def pool_course(
    rate_rps: Floats, step_s: float, mean_s: float, setup_s: float, terms: PoolTerms
) -> PoolCourse:
    """Before the first step the traffic is taken to have been as it is in that step.

    A step about as long as idle_s is worked out in parts, in each of which what came before it in
    the last idle_s hardly changes.
    """
    parts = math.ceil(PARTS_OF_IDLE * step_s / terms.idle_s)
    if parts > MOST_PARTS:
        parts = 1
    kept = np.repeat(terms.provisioned, parts)
    found = _course(
        np.repeat(rate_rps, parts),
        step_s / parts,
        mean_s,
        setup_s,
        replace(terms, provisioned=kept),
    )
    of_step = {name: each.reshape(-1, parts) for name, each in vars(found).items()}
    means = {name: each.mean(axis=1) for name, each in of_step.items()}
    return PoolCourse(**means | {"warm": of_step["warm"][:, 0]})


def _course(
    rate_rps: Floats, step_s: float, mean_s: float, setup_s: float, terms: PoolTerms
) -> PoolCourse:
    levels = _Levels.of(rate_rps)
    steady = _steady(levels.rates, mean_s, setup_s, terms)
    tried_rps = levels.tried_rps(steady.tries)
    offered = levels.at(steady.offered)
    refused = np.where(levels.asked, levels.at(steady.refused), 0.0)
    cold, risen, warm = _remembered(levels, steady, offered, step_s, terms)
    late = _late(tried_rps, step_s, mean_s, setup_s, (warm, terms.most))
    again = terms.retries + 1
    throttled = refused**again
    throttled += late.share * (np.minimum(refused + late.refused, 1.0) ** again - throttled)
    per_request = levels.at(steady.tries)
    cold = np.minimum(cold * per_request + np.maximum(risen, late.cold), 1 - throttled)
    busy = np.minimum(offered * (1 - refused), terms.most)
    return PoolCourse(
        cold=np.where(levels.asked, cold, 0.0),
        refused=refused,
        throttled=throttled,
        busy=np.where(levels.asked, busy, 0.0),
        warm=warm,
    )


@dataclass(frozen=True, eq=False)
class _Levels:
    """Rates at which the pool is worked out, and between which two of them each step lies."""

    rates: Floats
    low: NDArray[np.intp]
    share: Floats
    asked: NDArray[np.bool_]
    rate_rps: Floats

    @classmethod
    def of(cls, rate_rps: Floats) -> _Levels:
        peak = float(rate_rps.max())
        asked = rate_rps > 0
        clipped = np.maximum(rate_rps, QUIETEST * peak)
        rates = np.unique(clipped)
        if len(rates) > LEVELS:
            rates = np.geomspace(rates[0], rates[-1], LEVELS)
        if len(rates) == 1:
            rates = np.repeat(rates, 2) * [1.0, 2.0]
        place = np.interp(np.log(clipped), np.log(rates), np.arange(len(rates)))
        low = np.minimum(place.astype(np.intp), len(rates) - 2)
        return cls(rates, low, place - low, asked, rate_rps)

    def at(self, table: Floats) -> Floats:
        """table: shape (levels,)."""
        below, above = table[self.low], table[self.low + 1]
        return np.asarray(below + self.share * (above - below))

    def unless_idle(self, log_table: Floats) -> Floats:
        """The same, and 0 in steps in which nothing is asked: nothing is exceeded then."""
        return np.where(self.asked, self.at(log_table), 0.0)

    def tried_rps(self, tries: Floats) -> Floats:
        return self.rate_rps * self.at(tries)


@dataclass(frozen=True, eq=False)
class _Steady:
    """Of each level: tries for each request, what they offer, and how many are refused."""

    tries: Floats
    offered: Floats
    refused: Floats


def _steady(rates: Floats, mean_s: float, setup_s: float, terms: PoolTerms) -> _Steady:
    """Tries make load, load makes refusals and cold starts, and these make load and tries."""
    tries, offered = np.ones_like(rates), rates * mean_s
    refused = erlang_b(terms.most, offered)
    for _ in range(ROUNDS):
        cold = np.zeros_like(rates)
        if setup_s > 0:
            upto = _upto(offered, terms.most)
            first = int(terms.provisioned.min())
            shares = busy_shares(offered, terms.most, upto)
            stays = survival(rates * tries, offered, terms.most, upto, terms.idle_s).from_n
            cold = (shares * stays)[first:].sum(axis=0) / (1 - refused)
        for _ in range(TURNS if terms.retries else 1):
            tries = np.sum([refused**again for again in range(terms.retries + 1)], axis=0)
            offered = rates * tries * (mean_s + cold * setup_s)
            refused = erlang_b(terms.most, offered)
    return _Steady(tries, offered, refused)


def _upto(offered: Floats, most: int) -> int:
    """The most that may be busy and not refuse, as far as that ever happens."""
    peak = float(offered.max())
    return min(most - 1, math.ceil(peak + 8 * math.sqrt(peak) + 8))


def _remembered(
    levels: _Levels, steady: _Steady, offered: Floats, step_s: float, terms: PoolTerms
) -> tuple[Floats, Floats, Floats]:
    """Share of tries that start cold; as many again at a rise; the pool as each step begins.

    A rise: were starts instant, the pool would go up with the number busy from one step's to the
    next one's.
    """
    upto = _upto(steady.offered, terms.most)
    times = _Times.of(terms.idle_s, step_s)
    found = [
        survival(levels.rates * steady.tries, steady.offered, terms.most, upto, time_s)
        for time_s in (times.reach_s, terms.idle_s, step_s, times.rest_s)
    ]
    here, inside = np.log(found[0].mean_from_n), np.log(found[1].from_n)
    step_below, rest_below = np.log(found[2].from_below), np.log(found[3].from_below)
    shares = _Shares.of(offered, terms.most)
    cold, risen, warm, at_most = (np.zeros_like(offered) for _ in range(4))
    for n in range(upto + 1):
        calm = np.exp(
            times.back(levels.unless_idle(step_below[n]), levels.unless_idle(rest_below[n]))
        )
        share = np.where(levels.asked, shares.of_n(n), float(n == 0))
        at_most = np.minimum(at_most + share, 1.0)
        before = np.concatenate([at_most[:1], at_most[:-1]])
        edge = np.exp(levels.at(here[n])) * calm
        stays = times.edge_ratio * edge + (1 - times.edge_ratio) * np.exp(levels.at(inside[n]))
        counts = n >= terms.provisioned
        cold += np.where(counts, share * stays, 0.0)
        risen += np.where(counts, np.maximum(before - at_most, 0.0) * calm, 0.0)
        warm += 1 - before * calm
    arrivals = np.maximum(levels.rate_rps * step_s, np.finfo(float).tiny)
    return cold, risen / arrivals, np.maximum(warm, terms.provisioned)


@dataclass(frozen=True)
class _Times:
    """The last idle_s seen from within a step: part of the step, whole ones, and a rest.

    edge_ratio: share of the step in which they reach back beyond its beginning; up to reach_s of
    them then lies in the step, half of it on average.
    """

    edge_ratio: float
    reach_s: float
    whole: int
    rest_s: float

    @classmethod
    def of(cls, idle_s: float, step_s: float) -> _Times:
        reach_s = min(idle_s, step_s)
        beyond_s = idle_s - reach_s / 2
        whole = math.floor(beyond_s / step_s)
        rest_s = max(beyond_s - whole * step_s, 1e-3 * idle_s)
        return cls(min(idle_s / step_s, 1.0), reach_s, whole, rest_s)

    def back(self, step: Floats, rest: Floats) -> Floats:
        """Sum over the whole steps before each, and the rest before these."""
        padded = np.concatenate([np.full(self.whole + 1, step[0]), step])
        sums = np.concatenate([[0.0], np.cumsum(padded)])
        size = len(step)
        whole = sums[self.whole + 1 : self.whole + 1 + size] - sums[1 : 1 + size]
        before = np.concatenate([np.full(self.whole + 1, rest[0]), rest])[:size]
        return np.asarray(whole + before)


@dataclass(frozen=True, eq=False)
class _Shares:
    """π of each step, one n after another."""

    log_offered: Floats
    log_scale: Floats

    @classmethod
    def of(cls, offered: Floats, most: int) -> _Shares:
        """The scale comes from π at the most, which is Erlang's B, or else is e^(-a)."""
        log_a = np.log(offered)
        refused = erlang_b(most, offered)
        with np.errstate(divide="ignore"):
            last = np.log(refused) - most * log_a + gammaln(most + 1)
        return cls(log_a, np.where(refused > SMALLEST, last, -offered))

    def of_n(self, n: int) -> Floats:
        return np.asarray(np.exp(n * self.log_offered - gammaln(n + 1) + self.log_scale))


@dataclass(frozen=True, eq=False)
class _Late:
    """cold: of a step's requests. share: of a step, in which `refused` more of them are refused.

    Tries that follow one another closely meet the same pool, so that retries help less than they
    would if these were spread over the step.
    """

    cold: Floats
    share: float
    refused: Floats


def _late(
    rate_rps: Floats, step_s: float, mean_s: float, setup_s: float, pool: tuple[Floats, int]
) -> _Late:
    """Of a step's requests, those that come before the instances which the first of them started.

    Ready is what was there setup_s ago. What that cannot take starts instances, as long as those
    that are ready and those that start stay within the limit.
    """
    warm, most = pool
    ago, part = divmod(setup_s / step_s, 1.0)
    lag = int(ago)
    offered = rate_rps * mean_s
    ready = _steps_ago(warm, lag)
    too_many = part * _too_many(offered, ready, most)
    if lag > 0:
        too_many += (1 - part) * _too_many(offered, _steps_ago(warm, lag - 1), most)
    came = too_many * rate_rps * step_s
    started = _started(came, np.maximum(most - ready, 0.0), lag)
    share = min(setup_s / step_s, 1.0)
    arrivals = np.maximum(rate_rps * step_s, np.finfo(float).tiny)
    refused = (came - started) / arrivals / share if share > 0 else np.zeros_like(came)
    return _Late(started / arrivals, share, refused)


def _started(came: Floats, room: Floats, lag: int) -> Floats:
    """In each step; those of the last `lag` steps are still starting."""
    started = np.zeros_like(came)
    for step in np.flatnonzero(came):
        starting = float(started[max(step - lag, 0) : step].sum())
        started[step] = min(float(came[step]), max(float(room[step]) - starting, 0.0))
    return started


def _steps_ago(values: Floats, lag: int) -> Floats:
    """What they were then; before the first step as in it."""
    return values[np.maximum(np.arange(len(values)) - lag, 0)]


def _too_many(offered: Floats, ready: Floats, most: int) -> Floats:
    """Share of requests that the ready ones refuse, over what the limit refuses anyway.

    Erlang's B of any real number of servers, e^-a a^c / Γ(c + 1, a); its limit 1 - c/a where both
    are too small to be told from 0. Only where on average more come than are ready: else the
    starts are those of an even rate.
    """
    offered = np.maximum(offered, np.finfo(float).tiny)
    at_once = np.minimum(ready, most)
    below = gammaincc(at_once + 1, offered)
    last = np.exp(at_once * np.log(offered) - offered - gammaln(at_once + 1))
    fluid = np.maximum(offered - at_once, 0.0) / offered
    refused = np.divide(last, below, out=fluid.copy(), where=below > SMALLEST)
    anyway = erlang_b(most, offered)
    return np.asarray(np.where(offered > at_once, np.maximum(refused - anyway, 0.0), 0.0))
