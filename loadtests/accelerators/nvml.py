"""NVIDIA's management library: opened where it is there, and why not where it is not."""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Nvml", "Untold", "known", "open_nvml"]

Told = TypeVar("Told")
NOT_INSTALLED = "nvidia-ml-py is not installed (the extra 'gpu')"


@dataclass(frozen=True, slots=True)
class Untold:
    """What NVML does not tell of a device, and why."""

    why: str


@dataclass(frozen=True, slots=True)
class Nvml:
    """An open library. handles: of its GPUs, by index."""

    library: Any
    handles: tuple[Any, ...]

    def ask(self, question: str, *arguments: object) -> Any:  # noqa: ANN401 - NVML's own
        """Raises NVMLError."""
        return getattr(self.library, question)(*arguments)

    def told(self, question: str, *arguments: object) -> Any | Untold:  # noqa: ANN401
        """What a device may not know, or this version of the library not ask."""
        try:
            return self.ask(question, *arguments)
        except AttributeError:
            return Untold(f"this nvidia-ml-py has no {question}")
        except self.library.NVMLError as error:
            return Untold(str(error))

    def close(self) -> None:
        self.library.nvmlShutdown()


def open_nvml(library: Any | None = None) -> Nvml | Untold:  # noqa: ANN401 - pynvml
    """To be closed; why there is no GPU where there is none. library: in place of pynvml."""
    try:
        library = library or importlib.import_module("pynvml")
    except ImportError:
        return Untold(NOT_INSTALLED)
    try:
        library.nvmlInit()
    except library.NVMLError as error:
        return Untold(f"NVML found no GPU: {error}")
    try:
        count = library.nvmlDeviceGetCount()
        handles = tuple(library.nvmlDeviceGetHandleByIndex(index) for index in range(count))
    except library.NVMLError as error:
        library.nvmlShutdown()
        return Untold(f"NVML found no GPU: {error}")
    if not handles:
        library.nvmlShutdown()
        return Untold("this machine has no NVIDIA GPU")
    return Nvml(library, handles)


def known(answer: Any | Untold, read: Callable[[Any], Told]) -> Told | None:  # noqa: ANN401
    return None if isinstance(answer, Untold) else read(answer)
