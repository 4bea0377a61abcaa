"""Sleeping to an absolute instant, exact to tens of microseconds."""

from __future__ import annotations

import ctypes
import os
import struct
from typing import Any

__all__ = ["PreciseTimer"]


class PreciseTimer:
    """Sleeps to an absolute time by timerfd: epoll's own time-out counts whole milliseconds."""

    def __init__(self, hub: Any) -> None:  # noqa: ANN401 - gevent's
        self._libc = ctypes.CDLL(None, use_errno=True)
        nonblocking_cloexec = 0o4000 | 0o2000000
        self._fd = self._libc.timerfd_create(1, nonblocking_cloexec)
        if self._fd < 0:
            raise OSError(ctypes.get_errno(), "timerfd_create failed")
        self._hub = hub
        self._watcher = self._hub.loop.io(self._fd, 1)

    def sleep_until(self, monotonic_s: float) -> None:
        self._set(monotonic_s)
        self._hub.wait(self._watcher)
        os.read(self._fd, 8)

    def wake(self) -> None:
        """Whoever sleeps goes on at once."""
        if self._fd >= 0:
            self._set(1e-9)

    def close(self) -> None:
        self._watcher.close()
        os.close(self._fd)
        self._fd = -1

    def _set(self, monotonic_s: float) -> None:
        seconds = int(monotonic_s)
        when = struct.pack("qqqq", 0, 0, seconds, int((monotonic_s - seconds) * 1e9))
        if self._libc.timerfd_settime(self._fd, 1, when, None) != 0:
            raise OSError(ctypes.get_errno(), "timerfd_settime failed")
