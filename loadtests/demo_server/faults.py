"""What is planted besides the queue: services that drift, memory that leaks, answers of 500."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from loadtests.demo_server.service_times import endless_draws

if TYPE_CHECKING:
    from loadtests.demo_server import DemoServer

__all__ = ["INJECTED", "OK", "Faults"]

OK, INJECTED = 200, 500
LEAK_BLOCK_BYTES = 64 * 1024
HOUR_S = 3600.0


class Faults:
    """Instants are seconds since the server's start."""

    def __init__(self, settings: DemoServer) -> None:
        services, errors = np.random.SeedSequence(settings.seed).spawn(2)
        self._drawn_s = endless_draws(settings.service_time, np.random.default_rng(services))
        self._errors = np.random.default_rng(errors)
        self._error_rate = settings.error_rate
        self._bursts = settings.error_bursts
        self._drift_per_s = settings.drift_per_hour / HOUR_S
        self._drifts_from_s = 0.0
        self._leak_bytes = settings.leak_bytes
        self._owed_bytes = 0
        self._leaked: list[bytes] = []

    def begin_again(self, now_s: float) -> None:
        """What has drifted comes back; what has leaked does not."""
        self._drifts_from_s = now_s

    def service_s(self, arrival_s: float) -> float:
        return self.drifted_s(next(self._drawn_s), arrival_s)

    def drifted_s(self, drawn_s: float, arrival_s: float) -> float:
        return drawn_s * (1 + self._drift_per_s * (arrival_s - self._drifts_from_s))

    def status(self, arrival_s: float) -> int:
        if self._bursts is not None and self._bursts.holds(arrival_s):
            return INJECTED
        if self._error_rate > 0 and self._errors.random() < self._error_rate:
            return INJECTED
        return OK

    def leak(self) -> None:
        self._owed_bytes += self._leak_bytes
        while self._owed_bytes >= LEAK_BLOCK_BYTES:
            self._owed_bytes -= LEAK_BLOCK_BYTES
            self._leaked.append(b"\x01" * LEAK_BLOCK_BYTES)  # zeros might never be touched
