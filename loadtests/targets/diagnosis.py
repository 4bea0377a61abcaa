"""Why a target did not come up, or went down: what was seen, its last lines, what to do."""

from __future__ import annotations

import signal
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from loadtests.targets.readiness import Pinged
    from loadtests.targets.supervised import Exit

__all__ = ["Evidence", "advice", "not_ready", "what_happened"]

GIB = 1024**3
KILLED_BY_SHELL = 128 + signal.SIGKILL
CAUSES = (
    ("address already in use", "another program holds a port that the command wants; use {port}"),
    ("modulenotfounderror", "a Python module is missing: is this the right environment?"),
    ("no module named", "a Python module is missing: is this the right environment?"),
    ("exec format error", "the program is built for another processor architecture"),
    ("permission denied", "the command may not read or execute something it needs"),
    ("no such file or directory", "a file is missing; the command runs in the current directory"),
    ("cannot allocate memory", "it ran out of memory: give it more (--memory-gib)"),
    ("memoryerror", "it ran out of memory: give it more (--memory-gib)"),
)


@dataclass(frozen=True, slots=True)
class Evidence:
    """oom_kills: processes the kernel killed at the limit. watched_bytes: seen by our watch."""

    ended: Exit | None
    memory_gib: float | None
    oom_kills: int
    watched_bytes: int | None
    log: tuple[str, ...]

    @property
    def hit_memory_limit(self) -> bool:
        return self.oom_kills > 0 or self.watched_bytes is not None


def what_happened(evidence: Evidence) -> str:
    """One clause, "exit status 3", and the tail of the log below it."""
    return _cause(evidence) + quoted(evidence.log)


def _cause(evidence: Evidence) -> str:
    ended = evidence.ended
    limit = f"its memory limit of {evidence.memory_gib or 0:g} GiB"
    if evidence.watched_bytes is not None:
        return f"it passed {limit} (at {evidence.watched_bytes / GIB:.3g} GiB) and was killed"
    if evidence.oom_kills:
        part = "it was" if ended is not None else f"{evidence.oom_kills} of its processes were"
        return f"{part} killed at {limit} (out of memory)"
    return "it still runs" if ended is None else _end(ended)


def _end(ended: Exit) -> str:
    left = f"; it left running, and we stopped: {', '.join(ended.left)}" if ended.left else ""
    if ended.signal is not None:
        return f"signal {ended.signal} ({_signal_name(ended.signal)}){left}"
    if ended.status is not None:
        return f"exit status {ended.status}{left}"
    return "its supervisor was killed from outside"


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return "unnamed"


def advice(evidence: Evidence) -> str | None:
    """The likely cause; None where nothing points to one."""
    if evidence.hit_memory_limit:
        return "give it more memory (--memory-gib), or fewer workers"
    text = "\n".join(evidence.log).lower()
    for sign, cause in CAUSES:
        if sign in text:
            return cause
    return None if evidence.ended is None else _advice_on_end(evidence.ended)


def _advice_on_end(ended: Exit) -> str | None:
    if ended.signal == signal.SIGKILL or ended.status == KILLED_BY_SHELL:
        return "signal 9 without our doing is most often the machine running out of memory"
    if ended.status == 0 or ended.left:
        return "the command must stay in the foreground, as `serve` does in a container"
    return None


def not_ready(pinged: Pinged, asked_port: int, ports: tuple[int, ...]) -> tuple[str, str]:
    """Message and hint for a target that runs and never said 200."""
    others = [port for port in ports if port != asked_port]
    waited = f"after {pinged.waited_s:.0f} s"
    if asked_port not in ports and others:
        listed = ", ".join(map(str, others))
        return (
            f"it was asked to listen on port {asked_port} and listens on {listed} ({waited})",
            "put {port} into the command where its port goes, or read SAGEMAKER_BIND_TO_PORT",
        )
    if not ports:
        return (
            f"it listens on no port {waited}; port {asked_port} was asked for",
            "a slow start needs a longer --startup-timeout-s; else see its log",
        )
    if pinged.status is not None:
        return (
            f"it answers {pinged.last} to the ping, not 200 ({waited})",
            "give the path that says 200 when the model is loaded (--ping-path)",
        )
    return (
        f"it listens on port {asked_port} and answered no ping {waited}: {pinged.last}",
        "a slow start needs a longer --startup-timeout-s; else see its log",
    )


def quoted(lines: tuple[str, ...]) -> str:
    if not lines:
        return "; it wrote nothing"
    return "; its last lines:" + "".join(f"\n  | {line}" for line in lines)
