"""NVIDIA's accelerators by their own library, where there are any."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from types import ModuleType

__all__ = ["Gpus"]


class Gpus:
    """Between open and close. `missing`: why there are none."""

    def __init__(self) -> None:
        self._nvml: ModuleType | None = None
        self._handles: list[Any] = []
        self.missing: str | None = None

    def open(self) -> None:
        try:
            nvml = importlib.import_module("pynvml")
        except ImportError:
            self.missing = "nvidia-ml-py is not installed (the extra 'gpu')"
            return
        try:
            nvml.nvmlInit()
            count = nvml.nvmlDeviceGetCount()
            self._handles = [nvml.nvmlDeviceGetHandleByIndex(index) for index in range(count)]
        except nvml.NVMLError as error:
            self.missing = f"NVML found no GPU: {error}"
            return
        self._nvml = nvml
        if not count:
            self.missing = "this machine has no NVIDIA GPU"

    @property
    def names(self) -> tuple[str, ...]:
        """Numbered: two of one kind are two columns."""
        nvml = self._nvml
        if nvml is None:
            return ()
        return tuple(
            f"{index} {nvml.nvmlDeviceGetName(handle)}"
            for index, handle in enumerate(self._handles)
        )

    def busy_ratio(self) -> tuple[float, ...]:
        """Of each: share of NVML's last sample period (1/6 s to 1 s) in which a kernel ran.

        Raises NVMLError for a GPU that went away or that does not tell (one split by MIG).
        """
        nvml = self._nvml
        if nvml is None:
            return ()
        return tuple(nvml.nvmlDeviceGetUtilizationRates(each).gpu / 100 for each in self._handles)

    def memory_bytes(self) -> tuple[float, ...]:
        """Of each, what all programs hold. Raises NVMLError for a GPU that went away."""
        nvml = self._nvml
        if nvml is None:
            return ()
        return tuple(float(nvml.nvmlDeviceGetMemoryInfo(each).used) for each in self._handles)

    def close(self) -> None:
        if self._nvml is not None:
            self._nvml.nvmlShutdown()
            self._nvml = None
