"""A rate made of straight pieces, its exact integral and the inverse of that."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

__all__ = ["Curve"]


@dataclass(frozen=True, slots=True, eq=False)
class Curve:
    """Piece i starts at starts_s[i] with rates_rps[i] and changes by slopes[i] a second.

    By then requests[i] have come. It begins again at end_s, after requests_a_round; a last piece
    without end has end_s infinite.

    Within a piece, x seconds after its start, rate a and slope b: the requests are
    y = a·x + b·x²/2, so x = 2y / (a + √(a² + 2·b·y)), the form that loses no digits near b = 0.
    """

    starts_s: NDArray[np.float64]
    rates_rps: NDArray[np.float64]
    slopes: NDArray[np.float64]
    requests: NDArray[np.float64]
    end_s: float
    requests_a_round: float

    @classmethod
    def of(cls, pieces: Iterable[tuple[float, float, float]]) -> Self:
        """Each piece as its duration, its rate at the start and its rate at the end."""
        durations_s, rates_rps, ends_rps = np.array(list(pieces), dtype=np.float64).T
        times_s = np.concatenate(([0.0], np.cumsum(durations_s)))
        requests = np.concatenate(([0.0], np.cumsum(durations_s * (rates_rps + ends_rps) / 2)))
        return cls(
            starts_s=times_s[:-1],
            rates_rps=rates_rps,
            slopes=(ends_rps - rates_rps) / durations_s,
            requests=requests[:-1],
            end_s=float(times_s[-1]),
            requests_a_round=float(requests[-1]),
        )

    def rate_rps(self, t_s: float) -> float:
        _, piece, into_s = self._at(t_s)
        return float(self.rates_rps[piece] + self.slopes[piece] * into_s)

    def requests_by(self, t_s: float) -> float:
        rounds, piece, into_s = self._at(t_s)
        inside = (self.rates_rps[piece] + self.slopes[piece] * into_s / 2) * into_s
        whole = rounds * self.requests_a_round if rounds else 0.0
        return whole + float(self.requests[piece] + inside)

    def reached_s(self, requests: NDArray[np.float64]) -> NDArray[np.float64]:
        if math.isinf(self.end_s):
            return self._reached_within_a_round(requests)
        rounds, rest = np.divmod(requests, self.requests_a_round)
        return np.asarray(rounds * self.end_s + self._reached_within_a_round(rest))

    def _reached_within_a_round(self, requests: NDArray[np.float64]) -> NDArray[np.float64]:
        # Pieces at rate 0 share their count with the piece after them: the last of them is taken.
        piece = np.searchsorted(self.requests, requests, side="right") - 1
        inside = requests - self.requests[piece]
        rate, slope = self.rates_rps[piece], self.slopes[piece]
        root = np.sqrt(np.maximum(rate * rate + 2 * slope * inside, 0.0))
        into_s = np.divide(2 * inside, rate + root, out=np.zeros_like(inside), where=inside > 0)
        return np.asarray(self.starts_s[piece] + into_s)

    def _at(self, t_s: float) -> tuple[float, int, float]:
        """Rounds done, the piece, and seconds into it."""
        rounds, rest_s = (0.0, t_s) if math.isinf(self.end_s) else divmod(t_s, self.end_s)
        piece = int(np.searchsorted(self.starts_s, rest_s, side="right")) - 1
        return rounds, piece, rest_s - float(self.starts_s[piece])
