"""Who meets a cold start: instances that come with the requests and go when they stood idle.

Each instance takes one request at a time. Of the idle ones that which worked last is taken, as
this project's gateway does and as open models of such platforms assume (Mahmoudi & Khazaei 2020,
"Performance Modeling of Serverless Computing Platforms"); AWS says nothing. The idle ones are then
a stack, and its j-th from the bottom has been idle for as long as no more than W - j of the W
instances were busy. So, with T the time after which an idle one is reclaimed,

    W(t) = max of N(u) over u in [t - T, t]

exactly: the pool is the running maximum of the number busy. A request is cold where N(t) is that
maximum. For Poisson arrivals N is a birth-death process, which looks the same backwards in time
(Kelly 1979, "Reversibility and Stochastic Networks"), and arrivals see it as it is on average:

    P(cold) = Σₙ πₙ P(from n busy, more than T pass before n + 1 are)

For one request at a time that is e^(-λT), the share of gaps longer than T.

Symbols
  λ  requests per second            a = λ/μ, busy on average without a limit
  μ  1 / mean time of a request     πₙ  share of time with n busy: Poisson, cut off at the limit
  φₙ(s)  Laplace transform of the time from n to n + 1 busy
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from scipy.optimize import brentq
from scipy.special import gammaln

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

__all__ = ["Survival", "busy_shares", "erlang_b", "largest_rate_rps", "survival"]

TERMS = 11  # of Euler's inversion: six to seven digits
FLOOR = 1e-12
SMALLEST = 1e-280  # share of time that is still told from never


def erlang_b(most: int, offered: Floats) -> Floats:
    """Share of requests refused where `most` may be in progress; offered = a.

    By the recursion 1/Bₙ = 1 + n/(a Bₙ₋₁). True whatever the distribution of the service time.
    """
    inverse = np.ones_like(offered)
    with np.errstate(divide="ignore", over="ignore"):
        for busy in range(1, most + 1):
            inverse = 1 + busy / offered * inverse
    return np.asarray(np.where(offered > 0, 1 / inverse, 0.0))


def largest_rate_rps(most: int, mean_s: float, refused_ratio: float) -> float:
    """Of which that share is refused, where `most` may be in progress; above 0, below 1.

    No more than `most` are ever served at a time, so that B ≥ 1 - most/a: that bounds the search.
    """

    def too_many(offered: float) -> float:
        return float(erlang_b(most, np.array([offered]))[0]) - refused_ratio

    return float(brentq(too_many, 0.0, most / (1 - refused_ratio), xtol=1e-9)) / mean_s


def busy_shares(offered: Floats, most: int, upto: int) -> Floats:
    """πₙ for n = 0 … upto, with at most `most` at a time; shape (upto + 1, levels)."""
    busy = np.arange(most + 1)[:, None]
    weights = busy * np.log(offered) - gammaln(busy + 1)
    shares = np.exp(weights - weights.max(axis=0))
    return np.asarray(shares[: upto + 1] / shares.sum(axis=0))


@dataclass(frozen=True, eq=False)
class Survival:
    """That n busy are not exceeded for a time, for n = 0 … upto and each level of λ.

    from_n: starting from exactly n; mean_from_n: the same for a time that is anything up to that
    one, equally likely. from_below: starting as it is on average, given that no more than n are
    busy. Shape (upto + 1, levels).
    """

    from_n: Floats
    mean_from_n: Floats
    from_below: Floats


def survival(rate_rps: Floats, offered: Floats, most: int, upto: int, time_s: float) -> Survival:
    """By Laplace transforms, level upon level, and Euler's inversion.

    φₙ = λ / (λ + s + nμ(1 - φₙ₋₁)): from n it goes up, or down and has to come back first. The
    inversion is that of Abate & Whitt 2006, "A Unified Framework for Numerically Inverting Laplace
    Transforms", §5. rate_rps, offered: shape (levels,), above 0.
    """
    inversion = _Inversion(TERMS)
    s = inversion.nodes[:, None] / time_s
    weights = inversion.weights / time_s
    mu = rate_rps / offered
    shares = busy_shares(offered, most, upto)
    first = np.zeros((len(s), len(rate_rps)), dtype=complex)  # φₙ
    joined = np.zeros_like(first)  # Σ over k ≤ n of πₖ φₖ … φₙ
    from_n, mean_from_n, from_below = (np.empty_like(shares) for _ in range(3))
    for n, below in enumerate(np.cumsum(shares, axis=0)):
        first = rate_rps / (rate_rps + s + n * mu * (1 - first))
        joined = first * (joined + shares[n])
        stays = (1 - first) / s
        from_n[n] = (weights @ stays).real
        mean_from_n[n] = (weights @ (stays / s)).real / time_s
        known = below > SMALLEST
        stays = np.where(known, (below - joined) / np.where(known, below, 1), stays * s) / s
        from_below[n] = (weights @ stays).real
    return Survival(*(np.clip(each, FLOOR, 1) for each in (from_n, mean_from_n, from_below)))


@dataclass(frozen=True)
class _Inversion:
    """f(t) ≈ Σ Re(weight / t · f̂(node / t))."""

    terms: int

    @cached_property
    def nodes(self) -> NDArray[np.complex128]:
        k = np.arange(2 * self.terms + 1)
        return np.asarray(self.terms * np.log(10) / 3 + 1j * np.pi * k)

    @cached_property
    def weights(self) -> Floats:
        size = self.terms
        k = np.arange(size)
        binomials = np.exp(gammaln(size + 1) - gammaln(k + 1) - gammaln(size - k + 1))
        last = np.cumsum(binomials)[::-1] / 2.0**size
        signs = (-1.0) ** np.arange(2 * size + 1)
        return np.asarray(10 ** (size / 3) * signs * np.r_[0.5, np.ones(size), last])
