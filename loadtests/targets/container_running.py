"""One container from its creation to its end: what the engine and the kernel say of it."""

from __future__ import annotations

import math
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from loadtests.errors import TargetError
from loadtests.targets.container_diagnosis import says_out_of_memory
from loadtests.targets.container_engine import explanation, is_not_found
from loadtests.targets.container_groups import container_group, oom_kills_on_this_machine
from loadtests.targets.control_groups import Counters, members
from loadtests.targets.diagnosis import last_lines
from loadtests.targets.processes import ProcessIdentity, listening_ports
from loadtests.targets.supervised import Exit

if TYPE_CHECKING:
    from collections.abc import Mapping

    from loadtests.targets.container_engine import Engine
    from loadtests.targets.control_groups import ControlGroup

__all__ = ["KEPT_LINES", "RunningContainer"]

KEPT_LINES = 200
KILLED = 137  # 128 + SIGKILL
NS_PER_S = 1e9
END_REPORTED_WITHIN_S = 2.0  # engines hear of it a moment after the kernel
LOOK_EVERY_S = 0.02
NOTHING_COUNTED = Counters(None, None, None, None, None, None, None)


class RunningContainer:
    """Created, not yet started. `group` is None where the container's processes are not seen."""

    def __init__(self, engine: Engine, container_id: str) -> None:
        self.id = container_id
        self._engine = engine
        self.group: ControlGroup | None = None
        self._first_process: ProcessIdentity | None = None
        self._oom_kills = 0
        self._oom_kills_before = 0
        self._killed_by_us = False

    def start(self) -> None:
        """OSError in the engine's words where it does not start."""
        self._oom_kills_before = oom_kills_on_this_machine()
        self._engine.client.start(self.id)
        pid = int(self._state().get("Pid") or 0)
        self.group = container_group(pid, self.id) if pid else None
        self._first_process = None if self.group is None else ProcessIdentity.of(pid)

    def exit(self) -> Exit | None:
        """None while it runs."""
        is_seen = self._first_process is not None
        if self._first_process is not None and not self._first_process.is_gone():
            return None  # the engine need not be asked, at the cost of its CPU
        given_up_s = time.perf_counter() + END_REPORTED_WITHIN_S
        while True:
            try:
                state = self._state()
            except OSError as problem:
                if is_not_found(problem):
                    return Exit(None, None, unseen="it was removed from outside")
                words = explanation(problem)
                raise TargetError(f"the container engine does not answer: {words}") from problem
            if not state.get("Running"):
                return Exit(int(state["ExitCode"]), None)
            if not is_seen:
                return None
            if time.perf_counter() > given_up_s:  # the process is gone, whatever the engine says
                return Exit(None, None, unseen="the engine did not notice its end")
            time.sleep(LOOK_EVERY_S)

    def _state(self) -> Mapping[str, Any]:
        found: Mapping[str, Any] = self._engine.client.inspect_container(self.id)["State"]
        return found

    def counters(self) -> Counters:
        """Nothing counted once it has ended: the kernel's figures go with it."""
        if self.group is None:
            return self._engines_counters()
        counted = self.group.read()
        self._oom_kills = max(self._oom_kills, counted.oom_kills or 0)
        return counted

    def _engines_counters(self) -> Counters:
        """For a container in a virtual machine. Podman's count of throttling is always 0."""
        try:
            figures = self._engine.client.stats(self.id, stream=False, one_shot=True)
        except OSError:
            return NOTHING_COUNTED
        cpu, memory = figures.get("cpu_stats") or {}, figures.get("memory_stats") or {}
        if not memory.get("usage"):
            return NOTHING_COUNTED
        cache = (memory.get("stats") or {}).get("inactive_file", 0)
        throttled_ns = (cpu.get("throttling_data") or {}).get("throttled_time")
        return Counters(
            cpu_s=cpu["cpu_usage"]["total_usage"] / NS_PER_S,
            throttled_s=None if self._engine.is_podman else (throttled_ns or 0) / NS_PER_S,
            memory_bytes=max(memory["usage"] - cache, 0),
            peak_bytes=None,
            anonymous_bytes=None,
            oom_kills=None,
            processes=None,  # what the engine calls so are threads
        )

    def pids(self) -> list[int]:
        return [] if self.group is None else members(self.group.paths[0])

    def ports(self) -> tuple[int, ...] | None:
        """That its processes listen on, inside; None where they are not seen."""
        return None if self.group is None else listening_ports(self.pids())

    def oom_kills(self, ended: Exit | None) -> int:
        """Of its processes, by the kernel, for want of memory.

        With its last process its group goes, and the count in it; the engine's own flag was seen
        to be wrong (Podman 4.3 says no where the first process was killed). Then a kill that is
        not ours, or the server's own words, tell, where the machine's count rose meanwhile.
        """
        if ended is None and self.group is not None:
            self.counters()
            return self._oom_kills
        if not self._oom_kills and not self._killed_by_us and self._looks_killed(ended):
            self._oom_kills = 1
        return self._oom_kills

    def _looks_killed(self, ended: Exit | None) -> bool:
        says_so = says_out_of_memory(self.log(KEPT_LINES))
        if self.group is None:  # nothing of it is in this machine's count
            return says_so or self._says_the_engine()
        was_killed = says_so or (ended is not None and ended.status == KILLED)
        rose = oom_kills_on_this_machine() > self._oom_kills_before
        return self._says_the_engine() or (was_killed and rose)

    def _says_the_engine(self) -> bool:
        try:
            return bool(self._state().get("OOMKilled"))
        except OSError:
            return False

    def log(self, lines: int) -> tuple[str, ...]:
        try:
            written = self._engine.client.logs(self.id, tail=KEPT_LINES)
        except OSError:
            return ()
        return last_lines(written.decode(errors="replace"), lines)

    def kill(self, signal_name: str) -> None:
        self._killed_by_us = True
        with suppress(OSError):  # it ended before
            self._engine.client.kill(self.id, signal_name)

    def stop(self, grace_s: float) -> None:
        """SIGTERM, and SIGKILL after the grace, which engines take in whole seconds."""
        self._killed_by_us = True
        with suppress(OSError):  # it ended before, or others removed it
            self._engine.client.stop(self.id, timeout=math.ceil(grace_s))
