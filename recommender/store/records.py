"""What a store hands out: frozen values, with every time in UTC."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from datetime import datetime

__all__ = [
    "UNDER_WAY",
    "Owner",
    "Progress",
    "Run",
    "RunStatus",
    "StoredMeasurement",
    "StoredRecommendation",
]


class RunStatus(StrEnum):
    CREATED = "CREATED"
    """Asked for; no process has taken it on. One with an owner was left to that process."""
    RUNNING = "RUNNING"
    FINISHED = "FINISHED"
    FAILED = "FAILED"
    STOPPED = "STOPPED"
    """Ended early because somebody asked for it."""
    INTERRUPTED = "INTERRUPTED"
    """Its process is gone without having ended it. Never written: found out on reading."""

    @property
    def is_under_way(self) -> bool:
        """Somebody works on it, or is to: one that is CREATED may yet have to find who does."""
        return self in UNDER_WAY


UNDER_WAY = frozenset({RunStatus.CREATED, RunStatus.RUNNING})


@dataclass(frozen=True, slots=True)
class Owner:
    """The process that works on a run, told apart from every other that had its number.

    `boot_id` is the kernel's boot id and the process's pid namespace, since a pid means nothing
    outside them. `pid_started` is in seconds after that boot.
    """

    host: str
    boot_id: str
    pid: int
    pid_started: float


@dataclass(frozen=True, slots=True)
class Progress:
    """What a run does, and how long it may still take as of `told_at` (None: not known)."""

    doing: str
    left_s: float | None
    told_at: datetime


@dataclass(frozen=True, slots=True)
class Run:
    """One execution of a plan. `tool_version` is None when the program was not installed.

    `progress` is the last its owner told: None until it does, and kept once the run has ended.
    """

    id: str
    kind: str
    label: str | None
    status: RunStatus
    created_at: datetime
    finished_at: datetime | None
    request: dict[str, Any]
    environment: dict[str, Any]
    owner: Owner | None
    heartbeat_at: datetime | None
    error: str | None
    tool_version: str | None
    progress: Progress | None


@dataclass(frozen=True, slots=True)
class StoredMeasurement:
    """`key` is unique in its run; `sequence` counts from 1 in the order they were finished."""

    id: int
    run_id: str
    key: str
    sequence: int
    created_at: datetime
    document: dict[str, Any]
    has_samples: bool
    has_resources: bool


@dataclass(frozen=True, slots=True)
class StoredRecommendation:
    id: int
    run_id: str
    created_at: datetime
    document: dict[str, Any]
