"""A few seconds of small benchmarks, comparable with what was measured on catalogue machines.

Every core works at once, as it did there, and the rate of one is what counts: hardware threads
that share a core show. Hashes are OpenSSL's on both sides; the rest is a relative of its
counterpart, by an offset that is only roughly known (`likeness`). They run in a process of their
own, where the matrix product keeps to the thread that asked for it.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import time
import zlib
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from threading import Barrier
from typing import TYPE_CHECKING

import numpy as np
import psutil
from pydantic import BaseModel, ConfigDict, ValidationError

from recommender.errors import NotMeasured

if TYPE_CHECKING:
    from collections.abc import Callable

    Work = Callable[[], object]

__all__ = ["BENCHMARKS", "Rate", "Rates", "measure_rates", "run_benchmarks"]

BLOCK_BYTES = 2**18  # in a second-level cache; long enough that Python's part of a call is nothing
COMPRESSED_BYTES, PROSE_SEED = 2**17, 20261121
CACHE_BYTES, MEMORY_BYTES = 2**18, 2**26
MATRIX = 192
SLICE_S, TRIES = 0.015, 4
LONGEST = 3.0  # times slice_s, on a busy machine
MEMORY_SHARE = 0.125  # of what is free, for buffers
TOLD_BY_CROWDING = ("sha512", "product")  # arithmetic: they share a core, and no memory
TIMEOUT_S = 60.0
ALONE = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True)


class Rate(_Frozen):
    """per_s: of one core while all work, best of the tries. noise_ratio: how far they differ."""

    per_s: float
    noise_ratio: float


class Rates(_Frozen):
    """by_name: see BENCHMARKS; what could not be run is not among them.

    crowding_ratio: a core's rate while all work, over its rate alone; None with one core.
    """

    by_name: dict[str, Rate]
    cores: int
    crowding_ratio: float | None
    seconds: float


def _hash(name: str) -> tuple[Work, float]:
    digest, block = hashlib.new(name, usedforsecurity=False), os.urandom(BLOCK_BYTES)
    return partial(digest.update, block), BLOCK_BYTES


def _compression() -> tuple[Work, float]:
    """Of text-like bytes: few letters, unevenly often."""
    rng = np.random.default_rng(PROSE_SEED)
    prose = (rng.geometric(0.12, COMPRESSED_BYTES) % 64 + 32).astype(np.uint8).tobytes()
    return partial(zlib.compress, prose, 6), COMPRESSED_BYTES


def _product() -> tuple[Work, float]:
    """Multiply-adds: small enough that BLAS keeps to the thread that asked."""
    rng = np.random.default_rng(PROSE_SEED)
    left, right = rng.random((2, MATRIX, MATRIX), dtype=np.float32)
    out = np.empty_like(left)
    return partial(np.matmul, left, right, out=out), float(MATRIX**3)


def _reading(size: int) -> tuple[Work, float]:
    values = np.ones(size // 8, dtype=np.int64)
    return partial(np.bitwise_or.reduce, values), float(size)


def _copying(size: int) -> tuple[Work, float]:
    values = np.ones(size // 8, dtype=np.int64)
    return partial(np.copyto, np.empty_like(values), values), float(size)


BENCHMARKS: dict[str, Callable[[], tuple[Work, float]]] = {
    "sha256": partial(_hash, "sha256"),
    "sha512": partial(_hash, "sha512"),
    "blake2b": partial(_hash, "blake2b512"),
    "sha3": partial(_hash, "sha3_256"),
    "compression": _compression,
    "product": _product,
    "cache": partial(_reading, CACHE_BYTES),
    "memory": partial(_copying, MEMORY_BYTES),
}


def run_benchmarks() -> Rates:
    """In a process of its own; about two seconds. Raises NotMeasured."""
    command = (sys.executable, "-m", "recommender.placement.benchmarks")
    try:
        done = subprocess.run(  # noqa: S603 - this module
            command, env={**os.environ, **ALONE}, capture_output=True, check=True,
            timeout=TIMEOUT_S,
        )  # fmt: skip
        return Rates.model_validate_json(done.stdout)
    except (subprocess.SubprocessError, ValidationError, OSError) as error:
        raise NotMeasured(
            f"the benchmarks of this machine failed: {error}",
            hint="nothing else needs them: the machine is placed by its CPU's name alone",
        ) from error


def measure_rates(
    names: tuple[str, ...] = tuple(BENCHMARKS), slice_s: float = SLICE_S, tries: int = TRIES
) -> Rates:
    """In this process, on every core it may use."""
    begun_s = time.perf_counter()
    cores = len(os.sched_getaffinity(0))
    with ThreadPoolExecutor(cores) as threads:
        run = partial(_rate, threads, slice_s, tries)
        found = {name: run(BENCHMARKS[name], cores) for name in names if _fits(name, cores)}
        alone = {
            name: run(BENCHMARKS[name], 1)
            for name in TOLD_BY_CROWDING
            if name in found and cores > 1
        }
    crowding = [found[name].per_s / rate.per_s for name, rate in alone.items()]
    return Rates(
        by_name=found,
        cores=cores,
        crowding_ratio=float(np.mean(crowding)) if crowding else None,
        seconds=time.perf_counter() - begun_s,
    )


def _fits(name: str, cores: int) -> bool:
    free_bytes = psutil.virtual_memory().available
    return name != "memory" or 2 * MEMORY_BYTES * cores <= MEMORY_SHARE * free_bytes


def _rate(
    threads: ThreadPoolExecutor,
    slice_s: float,
    tries: int,
    make: Callable[[], tuple[Work, float]],
    cores: int,
) -> Rate:
    start = Barrier(cores)

    def each() -> list[float]:
        work, amount = make()
        work()
        return [_one_try(work, amount, slice_s, start) for _ in range(tries)]

    parts = [threads.submit(each) for _ in range(cores)]
    rates = np.mean([part.result() for part in parts], axis=0)
    best = float(rates.max())
    return Rate(per_s=best, noise_ratio=float(1 - np.median(rates) / best))


def _one_try(work: Work, amount: float, slice_s: float, start: Barrier) -> float:
    """Per CPU-second: whoever else wants the core makes it last longer, and no slower."""
    start.wait()
    begun_s, ends_s = time.thread_time(), time.perf_counter() + LONGEST * slice_s
    count, used_s = 0, 0.0
    while used_s < slice_s and time.perf_counter() < ends_s:
        work()
        count += 1
        used_s = time.thread_time() - begun_s
    return count * amount / used_s


if __name__ == "__main__":
    sys.stdout.write(json.dumps(measure_rates().model_dump()))
