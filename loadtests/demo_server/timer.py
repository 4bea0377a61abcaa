"""An alarm on the monotonic clock, exact to tens of microseconds.

asyncio's own timers wait in epoll, whose time-outs are whole milliseconds: far too coarse for a
server that must answer at a computed instant. A timerfd becomes readable at the instant itself.
"""

from __future__ import annotations

import ctypes
import math
import os
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable

__all__ = ["Alarm"]

TFD_TIMER_ABSTIME = 1
TFD_FLAGS = os.O_NONBLOCK | os.O_CLOEXEC
EXPIRATIONS_BYTES = 8


class _Timespec(ctypes.Structure):
    _fields_ = (("tv_sec", ctypes.c_long), ("tv_nsec", ctypes.c_long))


class _Itimerspec(ctypes.Structure):
    _fields_ = (("it_interval", _Timespec), ("it_value", _Timespec))


class Alarm:
    """Calls back once the monotonic clock has passed the instant it was last set to.

    os.timerfd_create exists from Python 3.13 on; until then it is the C library's.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, ring: Callable[[], None]) -> None:
        self._loop = loop
        self._ring = ring
        self._libc = ctypes.CDLL(None, use_errno=True)
        self._descriptor = self._call("timerfd_create", time.CLOCK_MONOTONIC, TFD_FLAGS)
        loop.add_reader(self._descriptor, self._expired)

    def set(self, instant_s: float) -> None:
        """Replaces the instant set before; one in the past rings at once."""
        nanoseconds = max(math.ceil(instant_s * 1e9), 1)  # all zero would switch it off
        seconds, rest = divmod(nanoseconds, 1_000_000_000)
        value = _Itimerspec(_Timespec(0, 0), _Timespec(seconds, rest))
        self._call(
            "timerfd_settime", self._descriptor, TFD_TIMER_ABSTIME, ctypes.byref(value), None
        )

    def close(self) -> None:
        self._loop.remove_reader(self._descriptor)
        os.close(self._descriptor)

    def _expired(self) -> None:
        try:
            os.read(self._descriptor, EXPIRATIONS_BYTES)
        except BlockingIOError:  # set anew between becoming readable and being read
            return
        self._ring()

    def _call(self, name: str, *arguments: object) -> int:
        result: int = getattr(self._libc, name)(*arguments)
        if result < 0:
            error = ctypes.get_errno()
            raise OSError(error, f"{name}: {os.strerror(error)}")
        return result
