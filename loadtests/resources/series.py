"""CPU, memory and GPU over time, of the target, of the load generator and of the cores.

Format history
1 (0.1.0): b"RRES", version; then deflated, the length of the JSON, the JSON with the columns'
  shapes, and the columns in that order.
"""

from __future__ import annotations

import json
import math
import struct
import zlib
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any

import numpy as np
from pydantic import BaseModel, ConfigDict

from loadtests.errors import LoadTestError

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["Level", "ResourceSeries", "ResourceSummary"]

VERSION = 1
MAGIC = b"RRES"
HEADER = struct.Struct("<4sH")
LENGTH = struct.Struct("<I")


class _Figures(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Level(_Figures):
    mean: float
    peak: float


class ResourceSummary(_Figures):
    """None: not known; `notes` say why. vcpus: cores' worth of CPU. core_busy_ratio: by core.

    gpu_*: of the whole board, whoever uses it. gpu_energy_j: over elapsed_s; where the GPU does
    not count it, from its power, and `notes` say so.
    """

    elapsed_s: float
    target_vcpus: Level | None
    target_memory_bytes: Level | None
    generator_vcpus: Level | None
    generator_memory_bytes: Level | None
    core_busy_ratio: dict[int, Level] | None
    gpu_busy_ratio: dict[str, Level] | None
    gpu_memory_bytes: dict[str, Level] | None
    own_cpu_ratio: float
    notes: dict[str, str]
    gpu_power_w: dict[str, Level] | None = None
    gpu_energy_j: dict[str, float] | None = None

    @property
    def energy_j(self) -> float | None:
        """Of all GPUs; None where there is none, or one that does not tell."""
        return None if self.gpu_energy_j is None else math.fsum(self.gpu_energy_j.values())


@dataclass(frozen=True)
class ResourceSeries:
    """Readings at times_s (perf_counter, from the first reading), shape (n,).

    A column may be shorter than times_s: it ended early. None: never known. `notes` hold the
    reason of either, by the column's name.
    *_cpu_s, core_busy_s: used since the first reading. *_memory_bytes: the largest since the
    reading before. gpu_busy_ratio, gpu_power_w: mean since the reading before. gpu_energy_j: used
    since the first reading.
    core_busy_s has a column for each of `cores`, gpu_* for each of `gpus`.
    own_cpu_ratio: of one core, what the monitor itself used.
    """

    times_s: NDArray[np.float64]
    target_cpu_s: NDArray[np.float64] | None
    target_memory_bytes: NDArray[np.float64] | None
    generator_cpu_s: NDArray[np.float64] | None
    generator_memory_bytes: NDArray[np.float64] | None
    core_busy_s: NDArray[np.float64] | None
    gpu_busy_ratio: NDArray[np.float64] | None
    gpu_memory_bytes: NDArray[np.float64] | None
    gpu_power_w: NDArray[np.float64] | None = None
    gpu_energy_j: NDArray[np.float64] | None = None
    cores: tuple[int, ...] = ()
    gpus: tuple[str, ...] = ()
    own_cpu_ratio: float = 0.0
    notes: dict[str, str] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.times_s)

    def rate(self, used_s: NDArray[np.float64]) -> NDArray[np.float64]:
        """Of a column of CPU-seconds: cores' worth between each reading and the one before."""
        spans_s = np.diff(self.times_s[: len(used_s)])
        return np.asarray(np.diff(used_s, axis=0).T / spans_s).T

    def memory_growth(self) -> tuple[NDArray[np.float64], NDArray[np.float64]] | None:
        """Times and the target's bytes at them, to fit a slope to; None where not known."""
        held = self.target_memory_bytes
        return None if held is None else (self.times_s[: len(held)], held)

    def summary(self) -> ResourceSummary:
        busy = None if self.core_busy_s is None else self._by_core(self.core_busy_s)
        energy_j, how = self._energy_j()
        return ResourceSummary(
            elapsed_s=float(self.times_s[-1]) if len(self) else 0.0,
            target_vcpus=self._use(self.target_cpu_s),
            target_memory_bytes=_level(self.target_memory_bytes),
            generator_vcpus=self._use(self.generator_cpu_s),
            generator_memory_bytes=_level(self.generator_memory_bytes),
            core_busy_ratio=busy,
            gpu_busy_ratio=self._by_gpu(self.gpu_busy_ratio),
            gpu_memory_bytes=self._by_gpu(self.gpu_memory_bytes),
            gpu_power_w=self._by_gpu(self.gpu_power_w),
            gpu_energy_j=energy_j,
            own_cpu_ratio=self.own_cpu_ratio,
            notes=self.notes | how,
        )

    def _energy_j(self) -> tuple[dict[str, float] | None, dict[str, str]]:
        """By GPU, and what is to be said of it.

        Counted by the GPU itself, else the integral of its power by the trapezium rule: each
        reading is a mean of the second before it, so the first and the last second are blurred.
        """
        counted, power_w, count = self.gpu_energy_j, self.gpu_power_w, len(self)
        if counted is not None and len(counted) == count:
            return dict(zip(self.gpus, counted[-1].tolist(), strict=True)), {}
        if power_w is None or len(power_w) < count:
            return None, {}
        found = np.asarray(np.trapezoid(power_w, self.times_s, axis=0))
        why = self.notes.get("gpu_energy_j", "not counted")
        told = {"gpu_energy_j": f"from the power, because the GPU does not count it ({why})"}
        return dict(zip(self.gpus, found.tolist(), strict=True)), told

    def _use(self, used_s: NDArray[np.float64] | None) -> Level | None:
        """Mean over the time the column covers, not over its readings."""
        if used_s is None or len(used_s) < 2:  # noqa: PLR2004 - one reading has no rate
            return None
        covered_s = float(self.times_s[len(used_s) - 1] - self.times_s[0])
        return Level(
            mean=float(used_s[-1] - used_s[0]) / covered_s, peak=float(self.rate(used_s).max())
        )

    def _by_core(self, busy_s: NDArray[np.float64]) -> dict[int, Level] | None:
        """A core is never busier than all the time, though clocks that tick may say so."""
        levels = {core: self._use(busy_s[:, n]) for n, core in enumerate(self.cores)}
        return {
            core: Level(mean=min(level.mean, 1.0), peak=min(level.peak, 1.0))
            for core, level in levels.items()
            if level is not None
        } or None

    def _by_gpu(self, values: NDArray[np.float64] | None) -> dict[str, Level] | None:
        if values is None:
            return None
        levels = {name: _level(values[:, n]) for n, name in enumerate(self.gpus)}
        return {name: level for name, level in levels.items() if level is not None} or None

    def encode(self) -> bytes:
        columns = {name: getattr(self, name) for name in _columns()}
        known = {name: values for name, values in columns.items() if values is not None}
        rest = {
            "columns": {name: values.shape for name, values in known.items()},
            "cores": self.cores,
            "gpus": self.gpus,
            "own_cpu_ratio": self.own_cpu_ratio,
            "notes": self.notes,
        }
        words = json.dumps(rest).encode()
        body = b"".join(np.ascontiguousarray(values, "<f8").tobytes() for values in known.values())
        return HEADER.pack(MAGIC, VERSION) + zlib.compress(LENGTH.pack(len(words)) + words + body)

    @classmethod
    def decode(cls, data: bytes) -> ResourceSeries:
        """Raises LoadTestError for damaged bytes and for a version this program does not know."""
        if len(data) < HEADER.size or data[: len(MAGIC)] != MAGIC:
            raise LoadTestError("these bytes are not a resource series")
        _, version = HEADER.unpack_from(data)
        if version != VERSION:
            raise LoadTestError(
                f"the resource series is of format {version}; this version reads up to {VERSION}",
                hint="upgrade inference-recommender",
            )
        try:
            body = zlib.decompress(data[HEADER.size :])
        except zlib.error as error:
            raise LoadTestError(f"the resource series is damaged: {error}") from error
        (length,) = LENGTH.unpack_from(body)
        rest = json.loads(body[LENGTH.size : LENGTH.size + length])
        columns: dict[str, Any] = dict.fromkeys(_columns())
        start = LENGTH.size + length
        for name, shape in rest["columns"].items():
            count = math.prod(shape)
            columns[name] = np.frombuffer(body, "<f8", count, start).reshape(shape)
            start += 8 * count
        return cls(
            **columns,
            cores=tuple(rest["cores"]),
            gpus=tuple(rest["gpus"]),
            own_cpu_ratio=rest["own_cpu_ratio"],
            notes=rest["notes"],
        )


def _columns() -> tuple[str, ...]:
    rest = ("cores", "gpus", "own_cpu_ratio", "notes")
    return tuple(each.name for each in fields(ResourceSeries) if each.name not in rest)


def _level(values: NDArray[np.float64] | None) -> Level | None:
    if values is None or len(values) == 0:
        return None
    return Level(mean=float(values.mean()), peak=float(values.max()))
