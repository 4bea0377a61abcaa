"""What a target used, from what the kernel counts for its group and shows of its processes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from loadtests.targets.processes import file_backed_bytes
from loadtests.targets.protocol import Usage

if TYPE_CHECKING:
    from loadtests.targets.control_groups import Counters

__all__ = ["NOT_LAUNCHED", "used"]

NOT_LAUNCHED = Usage(None, None, None, None, None, "not launched", starts=0)


def used(counted: Counters, tree: list[int], last: Usage, source: str) -> Usage:
    """counted: with its CPU-seconds and memory at least. last: the figures before these."""
    memory = _memory_bytes(counted, tree)
    return Usage(
        cpu_s=max(counted.cpu_s or 0.0, last.cpu_s or 0.0),
        memory_bytes=memory,
        memory_peak_bytes=max(memory, counted.peak_bytes or 0, last.memory_peak_bytes or 0),
        processes=counted.processes,
        throttled_s=counted.throttled_s,
        source=source,
    )


def _memory_bytes(counted: Counters, tree: list[int]) -> int:
    """What it would need alone on its machine.

    A group is charged for a file's pages only if it read them first: libraries that another
    program, or another container of the same image, had in memory already would look free.
    """
    memory = counted.memory_bytes or 0
    if counted.anonymous_bytes is None:
        return memory
    return max(memory, counted.anonymous_bytes + file_backed_bytes(tree))
