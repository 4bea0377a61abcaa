"""Intervals that hold what they say: the model's own, stretched by what leaving out has shown.

The model says how far the truth may lie from its median, as a standard deviation of log
throughput. Leaving workloads out says how far it really lay, in those units: the share of 80 % of
that is what the standard deviation is to be multiplied by, as in split conformal prediction (Vovk,
Gammerman & Shafer 2005; Lei et al. 2018, JASA 113), for each kind of workload, size band, set of
reference machines and distance. A workload's own fold never sets its own intervals.

Predictions of one workload err together, so a workload counts as one; on machines that no workload
was measured on, each silicon of it does. The log of the stretch is normal over them (a two-stage
hierarchy: Gelman et al., Bayesian Data Analysis, 3rd ed., ch. 5). Few of them narrow an interval
part of the way only; and as the next workload has a stretch of its own, intervals are wider than
the mean stretch, by what holds 80 % on average over it.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from scipy.optimize import brentq
from scipy.special import ndtr, ndtri

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

__all__ = ["BANDS", "DISTANCES", "LEVEL", "REACH_80", "Calibration", "size_band"]

LEVEL = 0.8
BANDS = ("up to 16", "17 to 64", "over 64")
DISTANCES = ("measured", "family", "silicon")
"""Of a machine: others' workloads were measured on it, on its silicon only, or not even there."""

REACH_80 = float(ndtri((1 + LEVEL) / 2))
_FEWEST = 8
_CREDIBLE = (0.05, 20.0)
_NARROWEST, _WIDEST = 0.2, 4.0
# Standard deviations of log stretch: of the next workload's about the mean, and of the mean about
# the model's own word, before anything was left out. The first counts as one workload seen.
_NEXT, _MEAN = 0.4, 0.7
_NODES, _WIDENED = 15, (0.5, 100.0)


def size_band(vcpus: Floats) -> NDArray[np.intp]:
    return np.asarray(np.searchsorted([16, 64], vcpus), dtype=np.intp)


@dataclass(frozen=True)
class Calibration:
    """`left`: columns design, kind, fold, silicon, band, distance, score (|log error| over sd)."""

    left: pd.DataFrame

    def stretch(self, design: str, kind: str, fold: str) -> Floats:
        """What to multiply standard deviations by, shape (bands, distances)."""
        rows = self._units[self._units.fold.ne(fold)]
        for column, value in (("design", design), ("kind", kind)):
            same = rows[rows[column].eq(value)]
            rows = rows if same.empty else same
        found = np.ones((len(BANDS), len(DISTANCES)))
        for band in range(len(BANDS)):
            for distance in range(len(DISTANCES)):
                found[band, distance] = _stretch(rows, band, distance)
        return found

    @cached_property
    def _units(self) -> pd.DataFrame:
        """Log stretch of each workload or silicon that would have held its own 80 %."""
        left = self.left
        unit = left.silicon.where(left.distance.gt(0), "")
        each = left.groupby(["design", "kind", "fold", "distance", "band", unit]).score
        found = pd.DataFrame({"reached": each.quantile(LEVEL), "count": each.size()})
        found = found[found["count"].ge(_FEWEST)].reset_index()
        stretch = (found.reached / REACH_80).clip(*_CREDIBLE)
        return found.assign(log_stretch=np.log(stretch))


def _stretch(rows: pd.DataFrame, band: int, distance: int) -> float:
    """Of the nearest cell that holds any: every band of a distance, then every distance."""
    at_distance, at_band = rows[rows.distance.eq(distance)], rows[rows.band.eq(band)]
    for cell in (at_distance[at_distance.band.eq(band)], at_distance, at_band):
        if not cell.empty:
            return float(np.clip(_next_stretch(cell), _NARROWEST, _WIDEST))
    return 1.0


def _next_stretch(cell: pd.DataFrame) -> float:
    about = cell.log_stretch - cell.log_stretch.mean()
    variance = (float(np.sum(about**2)) + _NEXT**2) / len(cell)
    folds = cell.groupby("fold").log_stretch.mean().to_numpy(dtype=np.float64)
    middle = float(folds.mean())
    if middle < 0:
        middle *= len(folds) / (len(folds) + variance / _MEAN**2)
    return float(np.exp(middle)) * _widened(np.sqrt(variance * (1 + 1 / len(folds))))


def _widened(spread: float) -> float:
    """The factor that holds LEVEL on average, where log stretch is normal with that spread."""
    nodes, weights = np.polynomial.hermite_e.hermegauss(_NODES)
    reach, weights = REACH_80 * np.exp(spread * nodes), weights / weights.sum()

    def surplus(factor: float) -> float:
        return float(weights @ (2 * ndtr(factor * reach) - 1)) - LEVEL

    return float(brentq(surplus, *_WIDENED))
