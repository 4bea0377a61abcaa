"""How alike two machines are, and two workloads, before anything was measured.

Each kernel is the covariance of one possible cause of differences in log throughput: something
that depends on the silicon alone, on the size alone, on the size within one silicon, and so on.
How much each matters is fitted (variance.py); a cause that does not matter gets no variance.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from recommender.performance.transfer.rates import WEB

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from recommender.performance.transfer.catalogue import Catalogue
    from recommender.performance.transfer.rates import Workload

    Floats = NDArray[np.float64]
    Kernel = NDArray[np.float32]

__all__ = ["EVERY_WORKLOAD", "MACHINE_KERNELS", "NEW_WORKLOAD", "machine_kernels"]
__all__ += ["workload_kernels"]

_SIZE_REACH = 1.2  # doublings
_YEARS, _MORE_YEARS = 2.5, 4.0
_CACHE_REACH = 1.5
_BYTES_REACH, _LENGTH_REACH = 2.0, 2.0  # e-foldings of bytes, doublings of tokens
_USUAL_LOG_CORES = 3.0
MACHINE_KERNELS = (
    *("size", "size_curve", "vcpu_curve", "architecture", "architecture_curve"),
    *("lineage", "lineage_curve", "threads", "threads_curve", "year", "year_curve"),
    *("age_curve", "silicon", "silicon_curve", "processor", "processor_curve", "flags"),
    *("flags_curve", "amx", "amx_curve", "vnni", "avx512", "i8mm", "clock", "cache"),
    *("cache_per_core", "sockets", "vendor", "vendor_silicon"),
)
EVERY_WORKLOAD, NEW_WORKLOAD = "every", "bytes"


def machine_kernels(a: Catalogue, b: Catalogue) -> Iterator[Kernel]:
    """One of shape (a, b) for each of MACHINE_KERNELS."""

    def near(column: str, reach: float) -> Floats:
        gap = a.numbers(column)[:, None] - b.numbers(column)[None, :]
        return np.asarray(np.exp(-0.5 * (gap / reach) ** 2), dtype=np.float64)

    def both(column: str) -> Floats:
        return np.outer(a.numbers(column), b.numbers(column))

    cores_a, cores_b = np.log2(a.numbers("cores")), np.log2(b.numbers("cores"))
    vcpus_a, vcpus_b = np.log2(a.numbers("vcpus")), np.log2(b.numbers("vcpus"))
    curve = _near(cores_a, cores_b, _SIZE_REACH)
    by_vcpus = _near(vcpus_a, vcpus_b, _SIZE_REACH)
    architecture, lineage, silicon = _same(a, b, "architecture", "lineage", "silicon")
    threads, processor = _same(a, b, "threads", "processor")
    vendor, sockets, numa = _same(a, b, "vendor", "sockets", "numa")
    year, age = near("year", _YEARS) * lineage, near("year", _MORE_YEARS)
    flags, amx = _flags_alike(a, b), both("amx_int8")
    cache_per_core = _near(
        a.numbers("log_l3") - cores_a, b.numbers("log_l3") - cores_b, _CACHE_REACH
    )
    size = np.outer(cores_a - _USUAL_LOG_CORES, cores_b - _USUAL_LOG_CORES) / 9
    for kernel in (
        *(size, curve, by_vcpus, architecture, architecture * curve),
        *(lineage, lineage * curve, threads, threads * by_vcpus, year, year * curve),
        *(age * curve, silicon, silicon * curve, processor, processor * curve, flags),
        *(flags * curve, amx, amx * curve, both("avx512_vnni"), both("avx512f"), both("i8mm")),
        *(10 * both("log_clock"), near("log_l3", _CACHE_REACH), cache_per_core),
        *(sockets * numa * curve, vendor, vendor * silicon),
    ):
        yield kernel.astype(np.float32)


def workload_kernels(workloads: Sequence[Workload]) -> dict[str, Floats]:
    """`every`: what all workloads of the kind share. `bytes`: those that move as much; so on."""
    size = np.log([each.bytes_ratio for each in workloads])
    alike = {
        EVERY_WORKLOAD: np.ones((len(workloads), len(workloads))),
        NEW_WORKLOAD: _near(size, size, _BYTES_REACH),
        "workload": np.eye(len(workloads)),
    }
    if all(each.kind == WEB for each in workloads):
        return alike
    length = np.log2([each.length for each in workloads])
    by_length = _near(length, length, _LENGTH_REACH)
    return {**alike, "length": by_length, "bytes_and_length": alike[NEW_WORKLOAD] * by_length}


def _near(a: Floats, b: Floats, reach: float) -> Floats:
    return np.asarray(np.exp(-0.5 * ((a[:, None] - b[None, :]) / reach) ** 2), dtype=np.float64)


def _same(a: Catalogue, b: Catalogue, *columns: str) -> Iterator[Floats]:
    for column in columns:
        codes = pd.factorize(pd.concat([a.facts[column], b.facts[column]]))[0]
        yield (codes[: len(a), None] == codes[None, len(a) :]).astype(np.float64)


def _flags_alike(a: Catalogue, b: Catalogue) -> Floats:
    names = ("avx512f", "avx512_vnni", "amx_int8", "avx512_bf16", "i8mm", "sve", "avx2")
    differing = sum(np.abs(a.numbers(name)[:, None] - b.numbers(name)[None, :]) for name in names)
    return np.asarray(np.exp(-0.5 * np.asarray(differing)), dtype=np.float64)
