"""What the GPUs of this machine are doing, for as long as they are watched."""

from __future__ import annotations

from typing import Any

from loadtests.accelerators.nvml import Nvml, Untold, open_nvml

__all__ = ["GpuMeters"]

MILLI = 1e-3


class GpuMeters:
    """Between open and close. `missing`: why there are none.

    A reading has one figure for each GPU. It raises NVMLError for a GPU that went away, or that
    does not tell (one divided by MIG has no utilisation of its own, an old one no energy).
    """

    def __init__(self) -> None:
        self._nvml: Nvml | None = None
        self.missing: str | None = None

    def open(self, library: Any | None = None) -> None:  # noqa: ANN401 - pynvml
        """library: in place of it."""
        found = open_nvml(library)
        if isinstance(found, Untold):
            self.missing = found.why
        else:
            self._nvml = found

    @property
    def names(self) -> tuple[str, ...]:
        """Numbered: two of one kind are two columns."""
        return tuple(f"{n} {name}" for n, name in enumerate(self._each("nvmlDeviceGetName")))

    def busy_ratio(self) -> tuple[float, ...]:
        """Share of NVML's last sample period (1/6 s to 1 s) in which a kernel ran."""
        return tuple(each.gpu / 100 for each in self._each("nvmlDeviceGetUtilizationRates"))

    def memory_bytes(self) -> tuple[float, ...]:
        """What all programs hold."""
        return tuple(float(each.used) for each in self._each("nvmlDeviceGetMemoryInfo"))

    def power_w(self) -> tuple[float, ...]:
        """Of the whole board, the mean of the last second (since Ampere; before it, just now)."""
        return tuple(each * MILLI for each in self._each("nvmlDeviceGetPowerUsage"))

    def energy_j(self) -> tuple[float, ...]:
        """Of the whole board since its driver was loaded; Volta or later."""
        return tuple(each * MILLI for each in self._each("nvmlDeviceGetTotalEnergyConsumption"))

    def close(self) -> None:
        if self._nvml is not None:
            self._nvml.close()
            self._nvml = None

    def _each(self, question: str) -> tuple[Any, ...]:
        nvml = self._nvml
        return () if nvml is None else tuple(nvml.ask(question, each) for each in nvml.handles)
