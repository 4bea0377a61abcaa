"""What follows from one run of the load generator beside the server's own record of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.stats import kstest

from loadtests.validity import Status

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from loadtests.samples import Samples
    from loadtests.validity import Validity

__all__ = ["Run", "gap_cv", "growth_bytes", "ks_distance", "true_latency_s"]

NEIGHBOUR_SHARE = 0.12
PER_REQUESTS = 100_000


@dataclass(frozen=True, slots=True)
class Run:
    """truth: dtype TRUTH, of the same requests. neighbour_share: others' use of the cores."""

    rate_rps: int
    samples: Samples
    truth: NDArray[np.void]
    validity: Validity
    neighbour_share: float

    @property
    def is_invalid(self) -> bool:
        return self.validity.status is Status.INVALID

    @property
    def is_valid(self) -> bool:
        """Every check passed, and the server counts as many requests as were sent."""
        is_same = len(self.truth) == int(self.samples.is_sent.sum())
        return is_same and self.validity.status is Status.VALID

    @property
    def disturbance(self) -> str | None:
        """What, other than the generator, may have cost it a goal."""
        if self.neighbour_share <= NEIGHBOUR_SHARE:
            return None
        return f"other programs used {self.neighbour_share:.0%} of the cores"

    @property
    def faults(self) -> str:
        sent = int(self.samples.is_sent.sum())
        other = () if sent == len(self.truth) else (f"{sent} sent, {len(self.truth)} arrived",)
        return "; ".join((*(fault.found for fault in self.validity.faults), *other))

    def lateness_s(self, quantile: float) -> float:
        return float(np.quantile(self.samples.lateness_s, quantile))

    def gaps_s(self) -> NDArray[np.float64]:
        """Between one send and the next."""
        sent = self.samples.records["sent_us"][self.samples.is_sent]
        return np.diff(np.sort(sent)) / 1e6

    def added_s(self, quantile: float, service_s: float) -> float:
        """Beyond a service time that is always the same; infinite where too many failed."""
        return float(np.quantile(self.samples.latency_s, quantile, method="higher")) - service_s

    def error_ratio(self, quantile: float) -> float:
        """By how much the quantile of the latency is above the server's own, of its own."""
        seen_s = float(np.quantile(self.samples.latency_s, quantile, method="higher"))
        true_s = float(np.quantile(true_latency_s(self.truth), quantile, method="higher"))
        return seen_s / true_s - 1


def true_latency_s(truth: NDArray[np.void]) -> NDArray[np.float64]:
    """From arrival to the instant at which the answer was due to leave."""
    return np.asarray(truth["finish_s"] - truth["arrival_s"], dtype=np.float64)


def ks_distance(gaps_s: NDArray[np.float64], rate_rps: float) -> float:
    """The largest |F_n - F|, F an exponential's of that rate.

    A distance, not a test: with enough gaps any test notices that one thread cannot send twice
    within some microseconds.
    """
    return float(kstest(gaps_s, "expon", args=(0, 1 / rate_rps)).statistic)


def gap_cv(instants_s: NDArray[np.float64]) -> float | None:
    """Deviation over mean of the gaps: 1 for Poisson arrivals, 0 for even ones."""
    gaps_s = np.diff(np.sort(instants_s))
    if len(gaps_s) == 0 or gaps_s.mean() == 0:
        return None
    return float(gaps_s.std() / gaps_s.mean())


def growth_bytes(requests: Sequence[int], held_bytes: Sequence[int]) -> float | None:
    """Memory per PER_REQUESTS requests: the slope over the second half, by least squares.

    The first half fills buffers that are used again. None of fewer than ten readings.
    """
    if len(requests) < 10:  # noqa: PLR2004 - a slope of fewer says nothing
        return None
    half = len(requests) // 2
    asked, held = np.asarray(requests[half:], float), np.asarray(held_bytes[half:], float)
    if np.ptp(asked) == 0:
        return None
    return float(np.polyfit(asked, held, 1)[0]) * PER_REQUESTS
