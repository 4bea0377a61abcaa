"""Resampling blocks of time: intervals for what depends on its neighbours.

Requests near one another shared a queue; blocks long enough hardly depend on one another, so they
are drawn anew instead of requests (Künsch, Ann. Statist. 17, 1989).
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
from scipy.stats import norm
from scipy.stats import t as student

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["block_weights", "interval", "resampled_quantiles", "resampled_sums"]

GRID = 3000
GRID_TAILS = 8.0  # times as much tail as the quantile leaves


def block_weights(blocks: int, resamples: int, seed: int) -> NDArray[np.float64]:
    """How often each block was drawn; shape (resamples, blocks)."""
    rng = np.random.default_rng(np.random.SeedSequence([seed, blocks]))
    return rng.multinomial(blocks, np.full(blocks, 1 / blocks), resamples).astype(np.float64)


def resampled_sums(
    values: NDArray[np.float64], block: NDArray[np.int64], weights: NDArray[np.float64]
) -> NDArray[np.float64]:
    """block: of each value. Shape (resamples,)."""
    return weights @ np.bincount(block, values, weights.shape[1])


def resampled_quantiles(
    values: NDArray[np.float64],
    block: NDArray[np.int64],
    quantile: float,
    weights: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Shape (resamples,). Read off 3,000 of the values, close to one another near the quantile."""
    lowest = max(1 - GRID_TAILS * (1 - quantile), 0.0)
    ordered, places = np.sort(values), np.linspace(lowest, 1.0, GRID) * (len(values) - 1)
    grid = np.unique(ordered[np.ceil(places).astype(np.int64)])
    blocks = weights.shape[1]
    at = block * len(grid) + np.searchsorted(grid, values)
    counts = np.bincount(at, minlength=blocks * len(grid)).reshape(blocks, len(grid))
    below = counts.cumsum(axis=1).T.astype(np.float64)
    return grid[_first_reached(below, quantile * (weights @ below[-1]), weights)]


def _first_reached(
    below: NDArray[np.float64], wanted: NDArray[np.float64], weights: NDArray[np.float64]
) -> NDArray[np.int64]:
    """Of each resample, the first row of `below` that adds up to what is wanted; by bisection."""
    low = np.zeros(len(weights), np.int64)
    high = np.full(len(weights), len(below) - 1)
    while np.any(low < high):
        middle = (low + high) // 2
        reached = np.einsum("rb,rb->r", weights, below[middle]) >= wanted
        low, high = np.where(reached, low, middle + 1), np.where(reached, middle, high)
    return low


def interval(
    value: float, resampled: NDArray[np.float64], blocks: int, confidence: float
) -> tuple[float, float]:
    """The percentile interval, as much wider as so few blocks ask for.

    By t/z with blocks - 1 degrees of freedom, and by sqrt(blocks/(blocks - 1)), as a resample of
    n varies by (n - 1)/n of what n do (Efron & Tibshirani, An Introduction to the Bootstrap, §12).
    """
    tail = (1 - confidence) / 2
    low, high = np.quantile(resampled, [tail, 1 - tail])
    wider = float(student.ppf(1 - tail, blocks - 1) / norm.ppf(1 - tail))
    wider *= math.sqrt(blocks / (blocks - 1))
    return value - (value - float(low)) * wider, value + (float(high) - value) * wider
