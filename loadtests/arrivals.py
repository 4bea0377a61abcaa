"""Due times: a pure function of traffic, process and seed, settled before the first request.

Every schedule is absolute, so a late send never pushes the ones after it, and the same seed gives
the same schedule wherever it runs (common random numbers between the configurations compared).

By time rescaling (Çinlar 1975, Introduction to Stochastic Processes, 4.7; Brown et al. 2002, The
Time-Rescaling Theorem): a process of rate 1 on [0, Λ(T)), where Λ(t) is the traffic's expected
requests by t, is mapped through the inverse of Λ. What holds of the process of rate 1 (no favoured
instant, no gap cut off at the end) then holds at every rate, however it changes.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Annotated, Literal, Self

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, model_validator

from loadtests.errors import UsageError
from loadtests.quantities import seconds_text
from loadtests.traffic import Replay

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from loadtests.traffic import Traffic

__all__ = ["Arrivals", "Process", "due_times", "payload_choices"]

Process = Literal["poisson", "constant", "gamma"]

MOST_REQUESTS = 50_000_000  # 400 MB of due times
LEAST_ROUND = 1024
GOLDEN_RATIO = (math.sqrt(5) - 1) / 2


class Arrivals(BaseModel):
    """cv: of the gaps between requests, deviation over mean. 1 is Poisson, above it bursty."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    process: Process = "poisson"
    cv: Annotated[float, Field(gt=0, le=10)] | None = None

    @model_validator(mode="after")
    def _cv_is_gammas(self) -> Self:
        if self.process == "gamma" and self.cv is None:
            raise ValueError("gamma arrivals need a cv, e.g. cv: 2 for bursts, 0.5 for smooth")
        if self.process != "gamma" and self.cv is not None:
            raise ValueError(f"{self.process} arrivals take no cv; name process: gamma")
        return self

    @property
    def text(self) -> str:
        return self.process if self.cv is None else f"{self.process}, cv {self.cv:g}"


POISSON = Arrivals()


def due_times(
    traffic: Traffic, duration_s: float, *, arrivals: Arrivals = POISSON, seed: int
) -> NDArray[np.float64]:
    """Seconds from the start, ascending, shape (n,), all in [0, duration_s).

    poisson: n ~ Poisson(Λ), then n sorted uniform draws: given their number, the arrivals of a
    Poisson process are independent and uniform.
    constant: one at every 1 of Λ, from a phase drawn by the seed.
    gamma: a stationary renewal process; the seed decides where in a gap it is met.
    Traffic past its end begins again; a replay is due when it says, whatever the process.
    """
    if not (math.isfinite(duration_s) and duration_s > 0):
        raise UsageError(f"a schedule needs a duration above 0, not {duration_s} s")
    expected = traffic.requests_by(duration_s)
    if expected > MOST_REQUESTS:
        raise UsageError(
            f"{traffic.text} for {seconds_text(duration_s)} is a schedule of {expected:.3g} "
            f"requests; it can hold {MOST_REQUESTS:.3g}",
            hint="ask for a shorter test or a lower rate",
        )
    if isinstance(traffic, Replay):
        places = np.arange(expected)
    else:
        rng = np.random.default_rng(np.random.SeedSequence([seed, 0xA221]))
        places = _at_rate_1(arrivals, expected, rng)
    due_s = np.maximum.accumulate(traffic.reached_s(places))
    return np.minimum(due_s, math.nextafter(duration_s, 0))  # the inverse may round up to the end


def _at_rate_1(arrivals: Arrivals, end: float, rng: np.random.Generator) -> NDArray[np.float64]:
    match arrivals.process:
        case "poisson":
            return np.sort(rng.random(rng.poisson(end)) * end)
        case "constant":
            places = np.arange(math.ceil(end) + 1) + rng.random()
            return np.asarray(places[places < end])
        case "gamma":
            return _gamma_renewals(arrivals.cv or 1.0, end, rng)


def _gamma_renewals(cv: float, end: float, rng: np.random.Generator) -> NDArray[np.float64]:
    """Gaps of mean 1, of a gamma of shape k = 1/cv²; stationary (Cox 1962, Renewal Theory, 5.4).

    The first is what is left of the gap in which the start falls: a gap is met in proportion to
    its length, a gamma of shape k seen so has shape k + 1, and each place in it is as likely.
    """
    shape = 1 / cv**2
    places = np.array([rng.gamma(shape + 1, 1 / shape) * rng.random()])
    while places[-1] < end:
        more = int((end - places[-1]) + 4 * cv * math.sqrt(end)) + 16
        gaps = rng.gamma(shape, 1 / shape, more)
        places = np.concatenate((places, places[-1] + np.cumsum(gaps)))
    return np.asarray(places[places < end])


def payload_choices(
    count: int, weights: int | Sequence[float], *, seed: int
) -> NDArray[np.uint16]:
    """Which payload each request sends, shape (count,), each as often as its weight says.

    weights: one for each payload, or how many of equal weight. Requests come in rounds, each in a
    random order and each with every payload's share, as near as whole requests allow.
    """
    shares = np.ones(weights) if isinstance(weights, int) else np.asarray(weights, dtype=float)
    rng = np.random.default_rng(np.random.SeedSequence([seed, 0x9A71]))
    sent = _a_round(shares)
    rounds = -(-max(count, 1) // round(float(sent.sum())))
    counts = _whole(sent, rounds, rng)
    payloads = np.arange(len(shares), dtype=np.uint16)
    choices = np.repeat(np.tile(payloads, rounds), counts.ravel()).reshape(rounds, -1)
    return rng.permuted(choices, axis=1).ravel()[:count]


def _a_round(shares: NDArray[np.float64]) -> NDArray[np.float64]:
    """Of each payload, how many in a round: whole numbers in all, and for each if it can be."""
    in_all = float(shares.sum())
    shortest = math.ceil(in_all / float(shares.min()) - 1e-9)
    length = min(shortest, max(len(shares), LEAST_ROUND))
    return shares * (length / in_all)


def _whole(sent: NDArray[np.float64], rounds: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """Whole numbers of each payload in each round, shape (rounds, payloads).

    What is left of the shares lies end to end on a line, and a round sends one more of each
    payload that a point of its comb, of tooth 1, falls on: in every round with the probability
    that is left. The comb moves on by the golden ratio, so the rounds together stay even.
    """
    least = np.floor(sent + 1e-9)
    left = np.maximum(sent - least, 0.0)
    edges = np.concatenate(([0.0], np.cumsum(left)))
    edges[-1] = round(float(edges[-1]))
    if edges[-1] == 0:
        return np.tile(least.astype(np.int64), (rounds, 1))
    combs = (rng.random() + GOLDEN_RATIO * np.arange(rounds)) % 1.0
    points = np.ceil(edges - combs[:, None])
    return np.asarray(least + np.diff(points, axis=1), dtype=np.int64)
