"""How long forward passes take on a GPU, with the error that was found on devices left out."""

from __future__ import annotations

from dataclasses import dataclass, replace
from importlib.resources import files
from typing import TYPE_CHECKING, Self

import numpy as np
from pydantic import TypeAdapter, ValidationError
from scipy.special import logsumexp, ndtri

from recommender.errors import RecommenderError
from recommender.performance.accelerators.cpu_roofline import (
    CpuRoofline,  # noqa: TC001 - pydantic reads it
)
from recommender.performance.accelerators.terms import (
    TERMS,
    Device,
    HostSpeeds,
    Passes,
    Regime,
    loadings,
    log_seconds,
)
from recommender.performance.speed_prior import Provenance  # noqa: TC001 - pydantic reads it

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pricing import GpuSpec

    Floats = NDArray[np.float64]

__all__ = ["FIRST_WIDE_ROWS", "GpuHoldout", "GpuRoofline", "RegimeFit", "RooflineParameters"]

FORMAT = "inference-recommender/gpu-roofline/1"
FIRST_WIDE_ROWS = 16
"""A pass: the fewest that were measured together."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GpuHoldout:
    """How wrong predictions were of what the fit had not seen.

    error and p90: median and 90th percentile of |predicted / true - 1| of throughput, over all
    measurements; error_by_gpu: mean over GPUs of each one's median. coverage_80: share of truth
    inside the 80 % interval; width_80: median ratio of its ends; None for a baseline.
    """

    kind: str
    left_out: str
    method: str
    error: float
    error_by_gpu: float
    p90: float
    coverage_80: float | None
    width_80: float | None
    n: int
    gpus: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RegimeFit:
    """Logs of coefficients and factors, by name; one that is absent is 0.

    unseen_gpu_sd, unseen_model_sd: what a device, and a model, that was not in the fit adds to
    the log of the time, as a standard deviation.
    """

    coefficients: dict[str, float]
    unseen_gpu_sd: float
    unseen_model_sd: float


@dataclass(frozen=True, slots=True, kw_only=True)
class RooflineParameters:
    """The artefact. gpus: those that were measured."""

    format: str
    regimes: dict[Regime, RegimeFit]
    cpu: CpuRoofline
    hosts: HostSpeeds
    gpus: tuple[str, ...]
    holdout: tuple[GpuHoldout, ...]
    provenance: Provenance


_PARAMETERS: TypeAdapter[RooflineParameters] = TypeAdapter(RooflineParameters)


@dataclass(frozen=True, slots=True)
class GpuRoofline:
    parameters: RooflineParameters

    @classmethod
    def bundled(cls) -> Self:
        artefact = files("recommender.performance") / "artefacts" / "gpu_roofline.json"
        return cls.from_json(artefact.read_text(encoding="utf-8"))

    @classmethod
    def from_json(cls, text: str) -> Self:
        try:
            parameters = _PARAMETERS.validate_json(text)
        except ValidationError as error:
            raise RecommenderError(
                f"the GPU roofline is not readable: {error.errors()[0]['msg']} at "
                f"{'.'.join(map(str, error.errors()[0]['loc']))}",
                hint="refit it, or reinstall the package",
            ) from error
        if parameters.format != FORMAT:
            raise RecommenderError(
                f"the GPU roofline has format {parameters.format!r}; this version reads {FORMAT!r}"
            )
        return cls(parameters)

    def to_json(self) -> str:
        return _PARAMETERS.dump_json(self.parameters, indent=1).decode() + "\n"

    def has_measured(self, spec: GpuSpec) -> bool:
        return spec.name in self.parameters.gpus

    def seconds(self, work: Passes, device: Device) -> Floats:
        """Median, of the shape that the work broadcasts to.

        Passes of several rows take no less than those of one, which read the weights as well.
        Between one row and the fewest that were measured together, by the log of the rows.
        """
        rows = np.maximum(work.rows, 1.0)
        one = self._log_seconds("narrow", replace(work, rows=np.ones_like(rows)), device)
        many = replace(work, rows=np.maximum(rows, FIRST_WIDE_ROWS))
        wide = np.maximum(self._log_seconds("wide", many, device), one)
        towards_wide = np.clip(np.log(rows) / np.log(FIRST_WIDE_ROWS), 0.0, 1.0)
        return np.asarray(np.exp(one + towards_wide * (wide - one)), dtype=np.float64)

    def gpu_error_sd(self, work: Passes) -> float:
        """What a GPU that was not measured adds to the log of a time."""
        return self._fit_of(work).unseen_gpu_sd

    def error_sd(self, work: Passes, spec: GpuSpec) -> float:
        """Of the log of a time, for a model that the fit has not seen."""
        of_gpu = 0.0 if self.has_measured(spec) else self.gpu_error_sd(work)
        return float(np.hypot(self._fit_of(work).unseen_model_sd, of_gpu))

    def interval(
        self, work: Passes, device: Device, level: float = 0.8
    ) -> tuple[Floats, Floats, Floats]:
        """(median, low, high) of the seconds."""
        median = self.seconds(work, device)
        reach = np.exp(ndtri((1 + level) / 2) * self.error_sd(work, device.spec))
        return median, median / reach, median * reach

    def _fit_of(self, work: Passes) -> RegimeFit:
        is_wide = float(np.median(work.rows)) >= FIRST_WIDE_ROWS
        return self.parameters.regimes["wide" if is_wide else "narrow"]

    def _log_seconds(self, regime: Regime, work: Passes, device: Device) -> Floats:
        known = self.parameters.regimes[regime].coefficients
        slowness = self.parameters.hosts.slowness(device.host)
        shifts = [
            sum(known.get(name, 0.0) * by for name, by in named.items())
            for named in (loadings(regime, term, device, slowness) for term in TERMS[regime])
        ]
        seconds = np.broadcast_arrays(*log_seconds(regime, work, device.spec))
        together = logsumexp(np.stack(seconds), axis=0, b=_scales(shifts, seconds[0].ndim))
        return np.asarray(together - np.log(device.fraction), dtype=np.float64)


def _scales(shifts: list[float], ndim: int) -> Floats:
    scales = np.exp(np.array(shifts, dtype=np.float64))
    return np.asarray(scales.reshape(-1, *(1,) * ndim))
