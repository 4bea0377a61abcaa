"""A model server as plain processes here, in the environment a SageMaker container has."""

from __future__ import annotations

import math
import os
import time
from typing import TYPE_CHECKING

from loadtests.errors import (
    LimitUnavailable,
    LoadTestError,
    TargetDied,
    TargetExited,
    TargetNotReady,
)
from loadtests.ports import free_port
from loadtests.targets.control_groups import PREFIX, Counters
from loadtests.targets.diagnosis import (
    Evidence,
    advice,
    last_lines,
    not_ready,
    quoted,
    what_happened,
)
from loadtests.targets.limits import WATCH_EVERY_S, capabilities, enforcement
from loadtests.targets.memory_watch import MemoryWatch
from loadtests.targets.process_spec import OPT_ML, contract_environment
from loadtests.targets.processes import (
    cpu_s,
    descendants,
    listening_ports,
    memory_bytes,
)
from loadtests.targets.protocol import (
    Setup,
    TargetDescription,
    Timeouts,
    Waiting,
)
from loadtests.targets.readiness import Ping, wait_for_ping
from loadtests.targets.supervised import Supervised
from loadtests.targets.usage import NOT_LAUNCHED, used

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from loadtests.journal import Entry, Journal
    from loadtests.targets.control_groups import ControlGroup
    from loadtests.targets.limits import Enforcement
    from loadtests.targets.process_spec import ProcessSpec
    from loadtests.targets.protocol import Limits, Sizing, Usage

__all__ = ["ProcessTarget"]

LOOPBACK = "127.0.0.1"
LOG = "container.log"
TAIL_BYTES = 65536
NOTHING_COUNTED = Counters(None, None, None, None, None, None, None)
ON_ANOTHER_PORT = "put {port} into the command where its port goes, or read SAGEMAKER_BIND_TO_PORT"


class ProcessTarget:
    """See `Target`. Everything it writes is in `workspace`, which the caller owns and removes."""

    def __init__(
        self,
        spec: ProcessSpec,
        sizing: Sizing,
        workspace: Path,
        journal: Journal,
        cores: tuple[int, ...] | None = None,
    ) -> None:
        self._spec = spec
        self._sizing = sizing
        self._workspace = workspace
        self._journal = journal
        self._cores = cores
        self._entries: list[Entry] = []
        self._port: int | None = None
        self._enforced: Enforcement | None = None
        self._group: ControlGroup | None = None
        self._supervised: Supervised | None = None
        self._watch: MemoryWatch | None = None
        self._stopped_with: Evidence | None = None
        self._started_s = 0.0
        self._log_start = 0
        self._last = NOT_LAUNCHED

    def launch(self) -> None:
        if self._supervised is not None and self._stopped_with is None:
            raise LoadTestError("the target was launched already; stop it first")
        self._stopped_with = None
        self._last = NOT_LAUNCHED
        try:
            self._launch()
        except BaseException:
            self.stop()
            raise

    def _launch(self) -> None:
        self._lay_out()
        self._port = free_port()
        self._enforced = self._enforce()
        limits, bounds = self._enforced.limits, self._enforced.bounds
        environment = contract_environment(
            self._spec, self._port, max(1, math.ceil(_cpus(self._sizing, limits))), self._workspace
        )
        entry = self._journal.process(self._spec.command_line)
        self._entries.append(entry)
        self._started_s = time.perf_counter()
        self._supervised = Supervised(
            {
                "arguments": self._spec.arguments(self._port),
                "environment": environment | entry.token,
                "directory": None if self._spec.cwd is None else str(self._spec.cwd),
                "log": str(self._workspace / LOG),
                "join": [str(path) for path in self._group.joining] if self._group else [],
                "cores": list(limits.cores),
                "niceness": bounds.niceness,
                "grace_s": self._spec.stop_grace_s,
            },
            os.environ | entry.token,
        )
        self._entries[-1] = self._journal.supervised_by(entry, self._supervised.pid)
        self._supervised.start()
        if self._enforced.watched_bytes is not None:
            self._watch = MemoryWatch(
                self._supervised.pid, self._enforced.watched_bytes, WATCH_EVERY_S
            )
            self._watch.start()

    def _lay_out(self) -> None:
        opt_ml = self._workspace / OPT_ML
        for folder in ("input/config", "output"):
            (opt_ml / folder).mkdir(parents=True, exist_ok=True)
        model = opt_ml / "model"
        if self._spec.model_dir is None:
            model.mkdir(exist_ok=True)
        elif not model.is_symlink():
            model.symlink_to(self._spec.model_dir.absolute(), target_is_directory=True)
        log = self._workspace / LOG
        self._log_start = log.stat().st_size if log.exists() else 0

    def _enforce(self) -> Enforcement:
        machine = capabilities()
        planned = enforcement(self._sizing, machine, self._cores)
        if planned.groups is None:
            return planned
        named = planned.groups.paths(PREFIX + "{id}")
        entry = self._journal.cgroup(named)
        self._entries.append(entry)
        group = planned.groups.group(PREFIX + entry.id)
        try:
            group.create(planned.bounds)
        except OSError as problem:
            if planned.bounds.quota_ratio is not None:
                raise LimitUnavailable(
                    f"the control group for {self._sizing.vcpus:g} vCPUs was refused: {problem}",
                    hint="use whole vCPUs",
                ) from problem
            return enforcement(self._sizing, machine.without_groups(), self._cores)
        self._group = group
        return planned

    def ready(self, progress: Callable[[Waiting], None] | None = None) -> Setup:
        description = self.describe()
        ping = Ping(
            description.base_url + self._spec.ping_path,
            self._spec.startup_timeout_s,
            self._spec.ping_timeout_s,
        )
        pinged = wait_for_ping(ping, self._fail_if_ended, progress)
        if pinged.ready:
            return Setup(ready_s=time.perf_counter() - self._started_s)
        evidence = self._evidence()
        supervised, port = self._launched()
        ports = listening_ports(descendants(supervised.pid))
        message, hint = not_ready(pinged, port, ports, ON_ANOTHER_PORT)
        raise TargetNotReady(
            f"the target is not ready: {message}{quoted(evidence.log)}",
            hint=advice(evidence) or hint,
        )

    def _fail_if_ended(self) -> None:
        evidence = self._evidence()
        if evidence.ended is not None or evidence.hit_memory_limit:
            after_s = time.perf_counter() - self._started_s
            raise TargetExited(
                f"the command ended after {after_s:.1f} s, before it answered "
                f"{self._spec.ping_path}: {what_happened(evidence)}",
                hint=advice(evidence),
            )

    def describe(self) -> TargetDescription:
        if self._enforced is None or self._port is None:
            raise LoadTestError("the target was not launched yet: its address is not known")
        spec = self._spec
        return TargetDescription(
            kind="process",
            label=spec.arguments(self._port)[0].rsplit("/", 1)[-1],
            base_url=f"http://{LOOPBACK}:{self._port}",
            started_from=spec.command_line,
            sizing=self._sizing,
            limits=self._enforced.limits,
            timeouts=Timeouts(
                startup_s=spec.startup_timeout_s,
                ping_s=spec.ping_timeout_s,
                stop_grace_s=spec.stop_grace_s,
            ),
            ping_path=spec.ping_path,
        )

    def usage(self) -> Usage:
        if self._supervised is not None and self._stopped_with is None:
            self._last = self._used(self._supervised.pid)
        return self._last

    def _used(self, supervisor: int) -> Usage:
        tree = descendants(supervisor)
        group = self._group  # stop() may let go of it meanwhile, in another thread
        counted = (NOTHING_COUNTED if group is None else group.read())._replace(
            processes=len(tree)
        )
        source = "control group"
        if counted.cpu_s is None:
            counted = counted._replace(cpu_s=cpu_s(tree, reaper=supervisor))
            source = "process tree"
        if counted.memory_bytes is None or counted.anonymous_bytes is None:
            counted = counted._replace(memory_bytes=memory_bytes(tree), anonymous_bytes=None)
            source = "process tree"
        return used(counted, tree, self._last, source)

    def check(self) -> None:
        evidence = self._evidence()
        if evidence.ended is not None or evidence.hit_memory_limit:
            raise TargetDied(
                f"the target died during the test: {what_happened(evidence)}",
                hint=advice(evidence),
            )

    def log_tail(self, lines: int = 20) -> tuple[str, ...]:
        return _tail(self._workspace / LOG, self._log_start, lines)

    def interrupt(self, *, at_once: bool) -> None:
        """See `InterruptibleTarget`."""
        if self._supervised is not None and self._stopped_with is None:
            self._supervised.interrupt(at_once=at_once)

    def stop(self) -> None:
        if self._supervised is not None and self._stopped_with is None:
            self.usage()
            if self._watch is not None:
                self._watch.stop()
            self._supervised.stop(self._spec.stop_grace_s)
            self._stopped_with = self._evidence()
        while self._entries:
            self._journal.clean(self._entries[-1])
            self._entries.pop()
        self._group = None

    def _launched(self) -> tuple[Supervised, int]:
        if self._supervised is None or self._port is None:
            raise LoadTestError("the target was not launched yet")
        return self._supervised, self._port

    def _evidence(self) -> Evidence:
        if self._stopped_with is not None:
            return self._stopped_with
        supervised, _ = self._launched()
        ended = supervised.exit()
        oom_kills = 0 if self._group is None else self._group.read().oom_kills or 0
        watched = None if self._watch is None else self._watch.reached_bytes
        return Evidence(ended, self._sizing.memory_gib, oom_kills, watched, self.log_tail())


def _cpus(sizing: Sizing, limits: Limits) -> float:
    return len(limits.cores) if sizing.vcpus is None else sizing.vcpus


def _tail(path: Path, start: int, lines: int) -> tuple[str, ...]:
    try:
        with path.open("rb") as log:
            end = log.seek(0, os.SEEK_END)
            log.seek(max(start, end - TAIL_BYTES))
            text = log.read().decode(errors="replace")
    except FileNotFoundError:
        return ()
    return last_lines(text, lines)
