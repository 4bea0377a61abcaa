"""One worker of several: does its share of each job and ships its samples to the master.

Runs in the generator's process, on Locust's WorkerRunner; knows neither, and is given both.
loadtests.generator.crew lists the messages.
"""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, Any, Protocol

from loadtests.generator.crew import PROTOCOL, boot_id
from loadtests.generator.shares import Share

if TYPE_CHECKING:
    from collections.abc import Callable

    from loadtests.generator.generating import Generator

__all__ = ["Worker"]


class Runner(Protocol):
    """Of Locust's, what is used of it."""

    def register_message(self, message: str, listener: Callable[..., None], /) -> None: ...

    def send_message(self, message: str, /, data: dict[str, Any] | None = None) -> None: ...

    def quit(self) -> None: ...


class Worker:
    REPORT_EVERY_S = 0.5
    HEARTBEAT_EVERY_S = 0.5
    MASTER_SILENT_S = 10

    def __init__(
        self,
        runner: Runner,
        generator: Generator,
        name: str,
        say: Callable[[dict[str, Any]], None],
    ) -> None:
        self._runner, self._generator, self._name, self._say = runner, generator, name, say
        self._bodies: tuple[bytes, ...] = ()
        self._digest: str | None = None
        self._blocks: list[tuple[bytes, bytes]] = []
        self._job = self._sequence = 0
        self._begun = self._is_welcome = False
        self.failed: str | None = None
        for message, listener in (
            ("load_welcome", self._welcomed),
            ("load_refused", self._refused),
            ("load_ping", self._ping),
            ("load_bodies", self._take_bodies),
            ("load_take", self._take),
            ("load_begin", self._begin),
            ("load_halt", self._halt),
        ):
            runner.register_message(message, _given_data(listener))

    def greet(self) -> None:
        self._runner.send_message(
            "load_hello",
            {"protocol": PROTOCOL, "name": self._name, "machine": boot_id(), "pid": os.getpid()},
        )

    def fail(self, message: str) -> None:
        self._runner.send_message("load_failed", {"message": message})

    def expect_welcome(self) -> None:
        """By now: stock Locust understands no greeting, and would leave it waiting for ever."""
        if not self._is_welcome and self.failed is None:
            self.failed = "what listens there is no load test of this program"
            self._runner.quit()

    def progress(self, figures: dict[str, Any]) -> None:
        records = b"".join(records for records, _ in self._blocks)
        streams = b"".join(streams for _, streams in self._blocks)
        self._blocks.clear()
        self._runner.send_message(
            "load_samples",
            {
                "job": self._job,
                "sequence": self._sequence,
                "records": records,
                "streams": streams,
                "figures": figures,
            },
        )
        self._sequence += 1

    def finished(self, figures: dict[str, Any]) -> None:
        self.progress(figures)
        self._runner.send_message(
            "load_done",
            {
                "job": self._job,
                "sequence": self._sequence,
                "recorded": figures["recorded"],
                "figures": figures,
            },
        )
        self._say({"event": "idle", "sent": figures["sent"]})

    def _welcomed(self, data: dict[str, Any]) -> None:
        self._is_welcome = True
        self._say({"event": "joined", "protocol": data["protocol"]})

    def _refused(self, data: dict[str, Any]) -> None:
        self.failed = data["message"]
        self._runner.quit()

    def _ping(self, data: dict[str, Any]) -> None:
        self._runner.send_message(
            "load_pong", {"asked_s": data["asked_s"], "clock_s": time.perf_counter()}
        )

    def _take_bodies(self, data: dict[str, Any]) -> None:
        self._digest, self._bodies = data["digest"], tuple(data["bodies"])

    def _take(self, data: dict[str, Any]) -> None:
        self._job, self._sequence, self._begun = data["job"], 0, False
        self._blocks.clear()
        if data["digest"] != self._digest:
            self.fail("the request bodies of the job have not arrived")
            return
        try:
            share = Share.of_message(data["share"], self._bodies)
            self._generator.prepare(share, self._keep, self)
        except (OSError, ValueError) as error:
            self.fail(f"{type(error).__name__}: {error}")
        else:
            self._runner.send_message("load_prepared", {"job": self._job})

    def _keep(self, records: bytes, streams: bytes = b"") -> None:
        self._blocks.append((records, streams))

    def _begin(self, data: dict[str, Any]) -> None:
        if data["job"] == self._job and not self._begun:
            self._begun = True
            self._say({"event": "working", "job": self._job})
            self._generator.begin(data["start_s"])

    def _halt(self, data: dict[str, Any]) -> None:
        """A job that has not begun is begun, and over at once."""
        if data["job"] == self._job:
            self._generator.halt(data["within_s"])
            self._begin({"job": self._job, "start_s": time.perf_counter()})


def _given_data(listener: Callable[[dict[str, Any]], None]) -> Callable[..., None]:
    return lambda environment, msg: listener(msg.data)  # noqa: ARG005 - Locust's names
