"""Writes down what NVML says on this machine: python -m loadtests.accelerators.record FILE.

Reads only: nothing is set, divided or reset. The file holds the UUIDs of the GPUs.
"""

from __future__ import annotations

import argparse
import importlib
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from loadtests.accelerators.devices import describe_accelerators, find_gpus
from loadtests.accelerators.meters import GpuMeters
from loadtests.accelerators.trace import Recording, write_trace
from loadtests.environment import utc_now
from loadtests.errors import LimitUnavailable

if TYPE_CHECKING:
    from loadtests.accelerators.trace import Trace

__all__ = ["main", "record"]

EVERY_S = 0.5


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="record", description="Record what NVML says here.")
    parser.add_argument("file", type=Path)
    parser.add_argument("--seconds", type=float, default=5.0, help="how long to read the meters")
    options = parser.parse_args(arguments)
    try:
        library = importlib.import_module("pynvml")
        write_trace(record(library, options.seconds), options.file)
    except ImportError:
        sys.stderr.write("record: nvidia-ml-py is not installed (the extra 'gpu')\n")
        return 1
    except LimitUnavailable as error:
        sys.stderr.write(f"record: {error}\n")
        return error.exit_code
    sys.stdout.write("\n".join(describe_accelerators()) + "\n")
    return 0


def record(library: Any, seconds: float) -> Trace:  # noqa: ANN401 - pynvml
    """All that this package ever asks, and the meters for so long. Raises LimitUnavailable."""
    recording = Recording(library)
    found = find_gpus(recording)
    if found.missing is not None:
        raise LimitUnavailable(f"no GPU here: {found.missing}")
    meters = GpuMeters()
    meters.open(recording)
    _ = meters.names
    ends_s = time.perf_counter() + seconds
    while True:
        for read in (meters.busy_ratio, meters.memory_bytes, meters.power_w, meters.energy_j):
            with suppress(library.NVMLError):  # written down all the same
                read()
        if time.perf_counter() >= ends_s:
            break
        time.sleep(EVERY_S)
    meters.close()
    stamp = utc_now().isoformat(timespec="seconds")
    return recording.trace(
        f"recorded by loadtests.accelerators.record at {stamp}, driver {found.driver}"
    )


if __name__ == "__main__":
    sys.exit(main())
