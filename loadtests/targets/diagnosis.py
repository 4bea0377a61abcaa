"""Why a target did not come up, or went down: what was seen, its last lines, what to do."""

from __future__ import annotations

import re
import signal
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from loadtests.targets.readiness import Pinged
    from loadtests.targets.supervised import Exit

__all__ = ["Evidence", "advice", "last_lines", "not_ready", "quoted", "what_happened"]

GIB = 1024**3
KILLED_BY = 128
UNNAMED = "unnamed"
COLOUR = re.compile(r"\x1b\[[0-9;]*m")
PROCESS_CAUSES = (
    ("address already in use", "another program holds a port that the command wants; use {port}"),
    ("modulenotfounderror", "a Python module is missing: is this the right environment?"),
    ("no module named", "a Python module is missing: is this the right environment?"),
    ("exec format error", "the program is built for another processor architecture"),
    ("permission denied", "the command may not read or execute something it needs"),
    ("no such file or directory", "a file is missing; the command runs in the current directory"),
)
SHORT_OF_MEMORY = (
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
    if evidence.watched_bytes is not None:
        at_gib = evidence.watched_bytes / GIB
        return f"it passed {_limit(evidence)} (at {at_gib:.3g} GiB) and was killed"
    if evidence.oom_kills:
        return f"{_whom(evidence)} killed at {_limit(evidence)} (out of memory)"
    return "it still runs" if ended is None else _end(ended)


def _limit(evidence: Evidence) -> str:
    if evidence.memory_gib is None:
        return "the limit of the whole machine"
    return f"its memory limit of {evidence.memory_gib:g} GiB"


def _whom(evidence: Evidence) -> str:
    if evidence.ended is not None:
        return "it was"
    many = evidence.oom_kills > 1
    return f"{evidence.oom_kills} of its processes {'were' if many else 'was'}"


def _end(ended: Exit) -> str:
    left = f"; it left running, and we stopped: {', '.join(ended.left)}" if ended.left else ""
    if ended.signal is not None:
        return f"signal {ended.signal} ({_signal_name(ended.signal)}){left}"
    if ended.status is not None:
        return f"exit status {ended.status}{_of_a_signal(ended.status)}{left}"
    return ended.unseen


def _of_a_signal(status: int) -> str:
    """A shell, and a container engine, add 128 to the signal that ended the program."""
    name = _signal_name(status - KILLED_BY)
    return "" if name == UNNAMED else f" (128 + {status - KILLED_BY}, {name})"


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return UNNAMED


def advice(evidence: Evidence, causes: tuple[tuple[str, str], ...] = PROCESS_CAUSES) -> str | None:
    """The likely cause; None where nothing points to one. causes: of what its log may show."""
    if evidence.hit_memory_limit:
        return "give it more memory (--memory-gib), or fewer workers"
    text = "\n".join(evidence.log).lower()
    for sign, cause in (*causes, *SHORT_OF_MEMORY):
        if sign in text:
            return cause
    return None if evidence.ended is None else _advice_on_end(evidence.ended)


def _advice_on_end(ended: Exit) -> str | None:
    if ended.signal == signal.SIGKILL or ended.status == KILLED_BY + signal.SIGKILL:
        return "signal 9 without our doing is most often the machine running out of memory"
    if ended.status == 0 or ended.left:
        return "the command must stay in the foreground, as `serve` does in a container"
    return None


def not_ready(
    pinged: Pinged, asked_port: int, ports: tuple[int, ...] | None, on_another_port: str
) -> tuple[str, str]:
    """Message and hint for a target that runs and never said 200. ports: None where not seen."""
    if ports is None:
        ports = (asked_port,)
    others = [port for port in ports if port != asked_port]
    waited = f"after {pinged.waited_s:.0f} s"
    if asked_port not in ports and others:
        listed = ", ".join(map(str, others))
        return (
            f"it was asked to listen on port {asked_port} and listens on {listed} ({waited})",
            on_another_port,
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


def last_lines(text: str, count: int = 20) -> tuple[str, ...]:
    """What a person can read of a log's end: no blank lines, no colours, no control characters."""
    printable = (
        "".join(c for c in line if c.isprintable() or c == "\t")
        for line in COLOUR.sub("", text).splitlines()
    )
    return tuple(line.rstrip() for line in printable if line.strip())[-count:]


def quoted(lines: tuple[str, ...]) -> str:
    if not lines:
        return "; it wrote nothing"
    return "; its last lines:" + "".join(f"\n  | {line}" for line in lines)
