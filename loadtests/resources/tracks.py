"""A resource series for the eye: few spans, each with what was used in all of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from pydantic import BaseModel, ConfigDict

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

    from loadtests.resources.series import ResourceSeries

__all__ = ["Track", "Tracks", "tracks_of"]

MOST_SPANS = 160
DIGITS = 6


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Track(_Frozen):
    """values: of each span; fewer than there are spans where it ended early."""

    name: str
    values: tuple[float, ...]


class Tracks(_Frozen):
    """ends_s: where each span ends; the first begins at 0, when watching began.

    vcpus: cores' worth of CPU, mean of the span. memory_bytes: the largest in it. Of the target
    and of the generator. machine: share of all cores that was busy, mean. gpus: their names, where
    there are any; gpu_*: by GPU, of its memory the largest, else means. notes: why a column is
    missing or ended early, by its name in the series.
    """

    ends_s: tuple[float, ...]
    vcpus: tuple[Track, ...]
    memory_bytes: tuple[Track, ...]
    machine_busy_ratio: tuple[float, ...] | None
    gpus: tuple[str, ...]
    gpu_busy_ratio: tuple[Track, ...]
    gpu_memory_bytes: tuple[Track, ...]
    gpu_power_w: tuple[Track, ...]
    notes: dict[str, str]


def tracks_of(series: ResourceSeries) -> Tracks | None:
    """None of a series with fewer than two readings: nothing lies between them."""
    if len(series) < 2:  # noqa: PLR2004
        return None
    edges = np.unique(
        np.linspace(0, len(series) - 1, min(len(series), MOST_SPANS + 1)).astype(int)
    )
    thin = _Thinner(series, edges)
    cores = series.core_busy_s
    return Tracks(
        ends_s=_rounded(series.times_s[edges[1:]] - series.times_s[0]),
        vcpus=_tracks(
            ("server", thin.rate(series.target_cpu_s)),
            ("load generator", thin.rate(series.generator_cpu_s)),
        ),
        memory_bytes=_tracks(
            ("server", thin.largest(series.target_memory_bytes)),
            ("load generator", thin.largest(series.generator_memory_bytes)),
        ),
        machine_busy_ratio=None
        if cores is None
        else tuple(min(each, 1.0) for each in thin.rate(cores.mean(axis=1)) or ()),
        gpus=series.gpus,
        gpu_busy_ratio=thin.by_gpu(series.gpu_busy_ratio, peaks=False),
        gpu_memory_bytes=thin.by_gpu(series.gpu_memory_bytes, peaks=True),
        gpu_power_w=thin.by_gpu(series.gpu_power_w, peaks=False),
        notes=series.notes,
    )


class _Thinner:
    """edges: of the spans, as places among the readings."""

    def __init__(self, series: ResourceSeries, edges: NDArray[np.int64]) -> None:
        self._series, self._edges = series, edges

    def rate(self, used_s: NDArray[np.float64] | None) -> tuple[float, ...] | None:
        """Of what is counted since the first reading."""
        if used_s is None:
            return None
        edges = self._edges[self._edges < len(used_s)]
        return _rounded(np.diff(used_s[edges]) / np.diff(self._series.times_s[edges]))

    def largest(self, values: NDArray[np.float64] | None) -> tuple[float, ...] | None:
        """A reading is of the time since the one before."""
        if values is None:
            return None
        edges = self._edges[self._edges < len(values)]
        if len(edges) < 2:  # noqa: PLR2004 - no span is whole
            return ()
        return _rounded(np.maximum.reduceat(values[: edges[-1] + 1], edges[:-1] + 1))

    def by_gpu(self, values: NDArray[np.float64] | None, *, peaks: bool) -> tuple[Track, ...]:
        if values is None:
            return ()
        columns = ((name, values[:, n]) for n, name in enumerate(self._series.gpus))
        fold = self.largest if peaks else self._mean
        return _tracks(*((name, fold(column)) for name, column in columns))

    def _mean(self, values: NDArray[np.float64]) -> tuple[float, ...]:
        """Weighted by the time that each reading is of."""
        spans_s = np.diff(self._series.times_s[: len(values)])
        used = np.append(0.0, np.cumsum(values[1:] * spans_s))
        return self.rate(used) or ()


def _tracks(*found: tuple[str, tuple[float, ...] | None]) -> tuple[Track, ...]:
    return tuple(Track(name=name, values=values) for name, values in found if values)


def _rounded(values: Iterable[float]) -> tuple[float, ...]:
    return tuple(round(float(each), DIGITS) for each in values)
