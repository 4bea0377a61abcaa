"""A server that already runs: measured as it is, neither started nor stopped by us."""

from __future__ import annotations

import ipaddress
import socket
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import psutil

from loadtests.errors import TargetDied, TargetUnreachable, UsageError
from loadtests.targets.processes import cpu_s, descendants, memory_bytes, name
from loadtests.targets.protocol import Setup, Sizing, TargetDescription, Timeouts, Usage, Waiting
from loadtests.targets.readiness import OK, Ping, wait_for_ping

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["UrlTarget"]

DEFAULT_PORTS = {"http": 80, "https": 443}
REACHABLE_WITHIN_S = 5.0
# These listen for a server that is elsewhere: their CPU-seconds are not the model's.
FORWARDERS = frozenset(
    {"conmon", "docker-proxy", "kubectl", "rootlessport", "slirp4netns", "socat", "ssh", "sshd"}
)


class UrlTarget:
    """See `Target`. `sizing`: what the user says it runs on; nothing is limited."""

    def __init__(
        self,
        url: str,
        sizing: Sizing | None = None,
        *,
        ping_path: str = "/ping",
        ping_timeout_s: float = 2.0,
    ) -> None:
        self._url = url
        self._base_url, self._host, self._port = _address(url)
        self._sizing = Sizing() if sizing is None else sizing
        self._ping_path = ping_path
        self._ping_timeout_s = ping_timeout_s
        self._listener: int | None = None
        self._why_unknown = "not launched"
        self._last = Usage(None, None, None, None, None, self._why_unknown)

    def launch(self) -> None:
        """Starts nothing; finds the process behind a loopback address."""
        self._listener, self._why_unknown = _listener(self._host, self._port)
        self._last = Usage(None, None, None, None, None, self._why_unknown)

    def ready(self, progress: Callable[[Waiting], None] | None = None) -> Setup:
        """Any HTTP answer will do, since it is the user who says that it serves."""
        ping = Ping(
            self._base_url + self._ping_path,
            startup_timeout_s=REACHABLE_WITHIN_S,
            ping_timeout_s=self._ping_timeout_s,
            refused_for_s=0.0,
        )
        pinged = wait_for_ping(ping, lambda: None, progress)
        if pinged.status is None:
            raise TargetUnreachable(
                f"nothing answers at {self._url}: {pinged.last} (GET {ping.url}, tried for "
                f"{pinged.waited_s:.0f} s)",
                hint="is it running, and is this its address? To have it started, use --command",
            )
        said = None if pinged.status == OK else f"answers {pinged.last} to GET {self._ping_path}"
        return Setup(ready_s=None, ping=said)

    def describe(self) -> TargetDescription:
        return TargetDescription(
            kind="url",
            label=f"{self._host}:{self._port}",
            base_url=self._base_url,
            started_from=self._url,
            sizing=self._sizing,
            limits=None,
            timeouts=Timeouts(startup_s=REACHABLE_WITHIN_S, ping_s=self._ping_timeout_s),
            ping_path=self._ping_path,
        )

    def usage(self) -> Usage:
        if self._listener is None or not psutil.pid_exists(self._listener):
            return self._last
        tree = [self._listener, *descendants(self._listener)]
        memory = memory_bytes(tree)
        self._last = Usage(
            cpu_s=max(cpu_s(tree), self._last.cpu_s or 0.0),
            memory_bytes=memory,
            memory_peak_bytes=max(memory, self._last.memory_peak_bytes or 0),
            processes=len(tree),
            throttled_s=None,
            source=f"process tree of the listener, {name(self._listener)} ({self._listener})",
        )
        return self._last

    def check(self) -> None:
        """Only a refusal means dead: a server under load may well be slow to accept."""
        try:
            socket.create_connection((self._host, self._port), timeout=0.25).close()
        except ConnectionRefusedError:
            raise TargetDied(f"{self._url} refuses connections: the server ended") from None
        except OSError:
            return

    def log_tail(self, lines: int = 20) -> tuple[str, ...]:  # noqa: ARG002 - the protocol's
        return ()

    def stop(self) -> None:
        """It was there before us and stays."""
        self.usage()
        self._listener = None


def _address(url: str) -> tuple[str, str, int]:
    """Base URL, host, port; a URL of /ping or /invocations itself is taken for its base."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as problem:
        raise UsageError(f"{url!r} is no URL: {problem}") from None
    if parts.scheme not in DEFAULT_PORTS or not parts.hostname:
        raise UsageError(
            f"{url!r} is no http:// or https:// URL", hint="for example http://127.0.0.1:8080"
        )
    path = parts.path.rstrip("/").removesuffix("/invocations").removesuffix("/ping")
    base = f"{parts.scheme}://{parts.netloc}{path}"
    return base, parts.hostname, port or DEFAULT_PORTS[parts.scheme]


def _listener(host: str, port: int) -> tuple[int | None, str]:
    """The process that listens there, else why it is not known."""
    if not _is_loopback(host):
        return None, f"{host} is another machine: its CPU and memory are not seen from here"
    pids = set()
    for process in psutil.process_iter():
        try:
            connections = process.net_connections(kind="tcp")
        except psutil.Error:
            continue
        if any(c.status == psutil.CONN_LISTEN and c.laddr.port == port for c in connections):
            pids.add(process.pid)
    if not pids:
        return None, f"no process that this user may look at listens on port {port}"
    top = _topmost(pids)
    if name(top) in FORWARDERS:
        return None, f"{name(top)} listens on port {port} for a server that is elsewhere"
    return top, ""


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _topmost(pids: set[int]) -> int:
    """Workers inherit the listening socket from the one that opened it."""
    below = {child for pid in pids for child in descendants(pid)}
    return min(pids - below or pids)
