"""A model server in a container of its own, called as SageMaker calls it."""

from __future__ import annotations

import math
import time
from dataclasses import replace
from typing import TYPE_CHECKING

from loadtests.errors import LoadTestError, TargetDied, TargetExited, TargetNotReady
from loadtests.ports import free_port
from loadtests.targets.container_creation import (
    LOOPBACK,
    container_environment,
    container_limits,
    host_settings,
    route_to,
)
from loadtests.targets.container_diagnosis import advice, advice_on_refusal, not_ready
from loadtests.targets.container_engine import asking, explanation, open_engine
from loadtests.targets.container_image import provide
from loadtests.targets.container_removal import removed_by
from loadtests.targets.container_running import KEPT_LINES, RunningContainer
from loadtests.targets.control_groups import PREFIX
from loadtests.targets.diagnosis import Evidence, quoted, what_happened
from loadtests.targets.limits import capabilities
from loadtests.targets.process_spec import OPT_ML, with_port
from loadtests.targets.protocol import Setup, TargetDescription, Timeouts, Waiting
from loadtests.targets.readiness import Ping, wait_for_ping
from loadtests.targets.usage import NOT_LAUNCHED, used

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from loadtests.journal import Entry, Journal
    from loadtests.targets.container_creation import Route
    from loadtests.targets.container_engine import Engine
    from loadtests.targets.container_image import Image
    from loadtests.targets.container_spec import ContainerSpec
    from loadtests.targets.protocol import Limits, Sizing, Usage

__all__ = ["ContainerTarget"]

LOG_LINES = 20


def _to_nobody(_words: str) -> None:
    return


class ContainerTarget:
    """See `Target`. What it hands into the container lies in `workspace`, the caller's to remove.

    told: what is done before the start that may take long (an image pulled or built), in words.
    """

    def __init__(
        self,
        spec: ContainerSpec,
        sizing: Sizing,
        workspace: Path,
        journal: Journal,
        cores: tuple[int, ...] | None = None,
        told: Callable[[str], None] = _to_nobody,
    ) -> None:
        self._spec = spec
        self._sizing = sizing
        self._workspace = workspace
        self._journal = journal
        self._cores = cores
        self._told = told
        self._entries: list[Entry] = []
        self._engine: Engine | None = None
        self._container: RunningContainer | None = None
        self._route: Route | None = None
        self._description: TargetDescription | None = None
        self._stopped_with: Evidence | None = None
        self._started_s = 0.0
        self._last = NOT_LAUNCHED

    def launch(self) -> None:
        if self._engine is not None:
            raise LoadTestError("the target was launched already; stop it first")
        self._stopped_with = None
        self._last = NOT_LAUNCHED
        try:
            self._launch()
        except BaseException:
            self.stop()
            raise

    def _launch(self) -> None:
        self._engine = engine = open_engine(self._journal)
        limits = container_limits(self._sizing, capabilities(), self._cores, engine)
        image = provide(engine, self._spec.image, self._told)
        self._lay_out()
        self._route = route_to(image, engine, self._spec, free_port())
        self._description = self._described(image, limits, engine, self._route)
        self._container = container = self._created(image, limits, engine, self._route)
        self._started_s = time.perf_counter()
        try:
            container.start()
        except OSError as problem:
            words = explanation(problem)
            raise TargetExited(
                f"the container could not be started: {words}", hint=advice_on_refusal(words)
            ) from problem

    def _lay_out(self) -> None:
        for folder in ("input/config", "output"):
            (self._workspace / OPT_ML / folder).mkdir(parents=True, exist_ok=True)
        # The image's user, whoever that is, may write its output.
        (self._workspace / OPT_ML / "output").chmod(0o777)

    def _created(
        self, image: Image, limits: Limits, engine: Engine, route: Route
    ) -> RunningContainer:
        spec, client = self._spec, engine.client
        settings = host_settings(spec, limits, route, engine, self._workspace)
        cpus = len(limits.cores) if self._sizing.vcpus is None else math.ceil(self._sizing.vcpus)
        entry = self._journal.container(f"container of {image.name}", engine.socket)
        self._entries.append(entry)
        with asking(f"the container of {image.name} could not be created"):
            created = client.create_container(
                image.id,
                [with_port(word, route.port_inside) for word in spec.command],
                name=PREFIX + entry.id,
                environment=container_environment(spec, route, cpus),
                ports=[route.port_inside] if route.is_published else None,
                stop_signal="SIGTERM",  # SageMaker's, whatever the image would like better
                host_config=client.create_host_config(**settings),
            )
        return RunningContainer(engine, created["Id"])

    def ready(self, progress: Callable[[Waiting], None] | None = None) -> Setup:
        ping = Ping(
            self.describe().base_url + self._spec.ping_path,
            self._spec.startup_timeout_s,
            self._spec.ping_timeout_s,
        )
        pinged = wait_for_ping(ping, self._fail_if_ended, progress)
        if pinged.ready:
            return Setup(ready_s=time.perf_counter() - self._started_s)
        container, route = self._launched()
        message, hint = not_ready(pinged, route, container.ports())
        evidence = self._evidence()
        raise TargetNotReady(
            f"the container is not ready: {message}{quoted(evidence.log)}",
            hint=advice(evidence) or hint,
        )

    def _fail_if_ended(self) -> None:
        if self._is_well():
            return
        evidence = self._evidence()
        after_s = time.perf_counter() - self._started_s
        raise TargetExited(
            f"the container failed after {after_s:.1f} s, before it answered "
            f"{self._spec.ping_path}: {what_happened(evidence)}",
            hint=advice(evidence),
        )

    def check(self) -> None:
        if self._is_well():
            return
        evidence = self._evidence()
        raise TargetDied(
            f"the container died during the test: {what_happened(evidence)}",
            hint=advice(evidence),
        )

    def _is_well(self) -> bool:
        """Asked often: its log, which is the engine's to read, is not looked at."""
        if self._stopped_with is not None:
            return False
        container, _ = self._launched()
        ended = container.exit()
        return ended is None and not container.oom_kills(ended)

    def describe(self) -> TargetDescription:
        if self._description is None:
            raise LoadTestError("the target was not launched yet: its address is not known")
        return self._description

    def _described(
        self, image: Image, limits: Limits, engine: Engine, route: Route
    ) -> TargetDescription:
        spec = self._spec
        return TargetDescription(
            kind="container",
            label=image.label,
            base_url=f"http://{LOOPBACK}:{route.port}",
            started_from=spec.command_line(image.name),
            sizing=self._sizing,
            limits=limits,
            timeouts=Timeouts(
                startup_s=spec.startup_timeout_s,
                ping_s=spec.ping_timeout_s,
                stop_grace_s=spec.stop_grace_s,
            ),
            ping_path=spec.ping_path,
            notes=(f"run by {engine.name}", route.words),
        )

    def usage(self) -> Usage:
        container = self._container
        if container is not None and self._stopped_with is None:
            counted = container.counters()
            if counted.cpu_s is not None and counted.memory_bytes is not None:
                source = "the engine" if container.group is None else "control group"
                self._last = used(counted, container.pids(), self._last, source)
        return self._last

    def log_tail(self, lines: int = LOG_LINES) -> tuple[str, ...]:
        if self._stopped_with is not None:
            return self._stopped_with.log[-lines:]
        return () if self._container is None else self._container.log(lines)

    def interrupt(self, *, at_once: bool) -> None:
        """See `InterruptibleTarget`."""
        if self._container is not None and self._stopped_with is None:
            self._container.kill("SIGKILL" if at_once else "SIGTERM")

    def stop(self) -> None:
        if self._container is not None and self._stopped_with is None:
            self.usage()
            seen = self._evidence()
            self._container.stop(self._spec.stop_grace_s)
            log = self._container.log(KEPT_LINES)
            self._stopped_with = replace(seen, ended=self._container.exit(), log=log)
        self._container = None
        try:
            while self._entries:
                self._remove(self._entries[-1])
                self._entries.pop()
        finally:
            if self._engine is not None:
                self._engine.close()
                self._engine = None

    def _remove(self, entry: Entry) -> None:
        try:
            if self._engine is not None:
                removed_by(self._engine, PREFIX + entry.id)
        except OSError:  # a dead service: the journal knows another way
            self._journal.clean(entry)
        else:
            self._journal.done(entry)

    def _launched(self) -> tuple[RunningContainer, Route]:
        if self._container is None or self._route is None:
            raise LoadTestError("the target was not launched yet")
        return self._container, self._route

    def _evidence(self) -> Evidence:
        if self._stopped_with is not None:
            return self._stopped_with
        container, _ = self._launched()
        ended = container.exit()
        return Evidence(
            ended=ended,
            memory_gib=self._sizing.memory_gib,
            oom_kills=container.oom_kills(ended),
            watched_bytes=None,
            log=container.log(LOG_LINES),
        )
