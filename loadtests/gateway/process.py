"""A gateway as a process of its own, for as long as it is wanted: our end of it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from itertools import count
from typing import TYPE_CHECKING, Any

from loadtests.errors import LoadTestError, TargetDied
from loadtests.gateway.passages import read_passages
from loadtests.targets.processes import cpu_s

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    from loadtests.gateway.settings import GatewaySettings
    from loadtests.journal import Entry, Journal

__all__ = ["Gateway"]

LOOPBACK = "127.0.0.1"
RECORDS = "passages.bin"
LISTENS_WITHIN_S = 30.0
OBEYS_WITHIN_S = 10.0
ENDS_WITHIN_S = 5.0


class Gateway:
    """Started by `start`, ended by `stop`, which may be called at any time and again.

    `on_event` is told, in a thread of its own and one after the other, what the gateway asks for
    or has seen: {"event": "wanted", "stage", "count"}, {"event": "idle", "stage", "member"} (it
    was removed already), {"event": "failed", "stage", "member", "why"}. It may give orders.
    """

    def __init__(
        self,
        settings: GatewaySettings,
        folder: Path,
        journal: Journal,
        on_event: Callable[[Mapping[str, Any]], None] = lambda _: None,
    ) -> None:
        self._settings = settings
        self._records = folder / RECORDS
        self._journal = journal
        self._on_event = on_event
        self._entry: Entry | None = None
        self._process: subprocess.Popen[str] | None = None
        self._port: int | None = None
        self._listens = threading.Event()
        self._numbers = count(1)
        self._done = self._came = 0
        self._order_done = threading.Condition()
        self._writing = threading.Lock()
        self._cpu_s = 0.0
        self._threads: list[threading.Thread] = []
        self._events: list[Mapping[str, Any]] = []
        self._has_event = threading.Condition()
        self._ended = False

    @property
    def _log(self) -> Path:
        return self._records.parent / "gateway.log"

    @property
    def base_url(self) -> str:
        if self._port is None:
            raise LoadTestError("the gateway was not started yet: its address is not known")
        return f"http://{LOOPBACK}:{self._port}"

    @property
    def pid(self) -> int | None:
        return None if self._process is None else self._process.pid

    def start(self, cores: tuple[int, ...] | None = None) -> None:
        """Raises LoadTestError when it does not begin to listen. cores: it keeps to these."""
        self._records.parent.mkdir(parents=True, exist_ok=True)
        self._entry = entry = self._journal.process("gateway")
        with self._log.open("w") as log:
            self._process = subprocess.Popen(  # noqa: S603 - our own program
                [
                    *(sys.executable, "-m", "loadtests.gateway"),
                    *(self._settings.to_json(), str(self._records)),
                ],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                start_new_session=True,  # Ctrl-C is ours to handle
                env={
                    **os.environ,
                    "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
                    **entry.token,
                },
            )
        if cores is not None:
            os.sched_setaffinity(self._process.pid, cores)
        for work in (self._read, self._pass_on):
            thread = threading.Thread(target=work, name="gateway", daemon=True)
            thread.start()
            self._threads.append(thread)
        if not self._listens.wait(LISTENS_WITHIN_S) or self._port is None:
            self.stop()
            said = self._log.read_text().strip()[-500:]
            raise LoadTestError(f"the gateway did not begin to listen: {said}")

    def add(self, member: int, base_url: str, stage: int = 0) -> None:
        """It gets requests from now on."""
        self._order({"do": "add", "stage": stage, "member": member, "url": base_url})

    def remove(self, member: int, stage: int = 0) -> None:
        """It gets no more, once this returns; what it works on it may finish."""
        self._order({"do": "remove", "stage": stage, "member": member})

    def start_failed(self, why: str, stage: int = 0) -> None:
        """A member that was wanted will not come; the request that waited for it fails."""
        self._order({"do": "start_failed", "stage": stage, "why": why})

    def came(self) -> int:
        """Requests that came so far, answered or not."""
        self._order({"do": "count"})
        return self._came

    def passages(self, first: int = 0) -> NDArray[np.void]:
        """What passed so far: PASSAGE records, from the given one on; after `stop` as well."""
        if not self._ended and self._process is not None:
            self._order({"do": "flush"})
        return read_passages(self._records, first)

    def cpu_s(self) -> float:
        """Used so far: the platform's, not the model's."""
        if self._process is not None and not self._ended:
            self._cpu_s = max(self._cpu_s, cpu_s([self._process.pid]))
        return self._cpu_s

    def check(self) -> None:
        """Raises TargetDied if it no longer runs."""
        if self._process is not None and self._process.poll() is not None and not self._ended:
            raise TargetDied(f"the gateway ended with status {self._process.returncode}")

    def kill(self) -> None:
        """At once, as when its machine is gone; `stop` is still to be called."""
        if self._process is not None:
            self._process.kill()

    def stop(self) -> None:
        process, entry = self._process, self._entry
        if process is None or entry is None or self._ended:
            return
        self.cpu_s()
        self._ended = True
        with self._writing:
            if process.stdin is not None:
                process.stdin.close()
        try:
            process.wait(ENDS_WITHIN_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        with self._has_event:
            self._has_event.notify_all()
        me = threading.current_thread()
        for thread in self._threads:
            if thread is not me:
                thread.join(ENDS_WITHIN_S)
        if process.stdout is not None:
            process.stdout.close()
        self._journal.done(entry)

    def _order(self, order: Mapping[str, object]) -> None:
        process = self._process
        if process is None or process.stdin is None or self._ended:
            return
        with self._writing:
            number = next(self._numbers)
            try:
                process.stdin.write(json.dumps({**order, "number": number}) + "\n")
                process.stdin.flush()
            except (BrokenPipeError, ValueError):
                return  # it has ended: `check` says so
        with self._order_done:
            self._order_done.wait_for(
                lambda: self._done >= number or self._ended or process.poll() is not None,
                OBEYS_WITHIN_S,
            )

    def _read(self) -> None:
        stdout = None if self._process is None else self._process.stdout
        for line in stdout or ():
            event = json.loads(line)
            match event["event"]:
                case "listening":
                    self._port = event["port"]
                    self._listens.set()
                case "done":
                    with self._order_done:
                        self._done, self._came = event["number"], event["came"]
                        self._order_done.notify_all()
                case _:
                    with self._has_event:
                        self._events.append(event)
                        self._has_event.notify()
        self._listens.set()
        with self._order_done:
            self._order_done.notify_all()

    def _pass_on(self) -> None:
        """Apart from the reading, so that whoever is told may give orders and wait for them."""
        while True:
            with self._has_event:
                self._has_event.wait_for(lambda: self._events or self._ended)
                if self._ended:
                    return
                event = self._events.pop(0)
            self._on_event(event)
