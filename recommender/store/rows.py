"""Rows of the tables as records, and the other way round."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from recommender.store.owner import is_alive
from recommender.store.records import (
    Owner,
    Progress,
    Run,
    RunStatus,
    StoredMeasurement,
    StoredRecommendation,
)

if TYPE_CHECKING:
    from sqlalchemy.engine import RowMapping

__all__ = [
    "measurement_of",
    "owner_columns",
    "progress_columns",
    "recommendation_of",
    "run_of",
]


def run_of(row: RowMapping, now: datetime) -> Run:
    """The run as it stands `now`: INTERRUPTED once its owner is gone without having ended it."""
    owner = _owner_of(row)
    status = RunStatus(row["status"])
    heartbeat_at = _utc_or_none(row["heartbeat_at"])
    is_left = status is RunStatus.RUNNING or (status is RunStatus.CREATED and owner is not None)
    if is_left and not (owner and is_alive(owner, heartbeat_at, now)):
        status = RunStatus.INTERRUPTED
    return Run(
        id=row["id"],
        kind=row["kind"],
        label=row["label"],
        status=status,
        created_at=_utc(row["created_at"]),
        finished_at=_utc_or_none(row["finished_at"]),
        request=row["request"],
        environment=row["environment"],
        owner=owner,
        heartbeat_at=heartbeat_at,
        error=row["error"],
        tool_version=row["tool_version"],
        progress=_progress_of(row),
    )


def measurement_of(row: RowMapping) -> StoredMeasurement:
    return StoredMeasurement(**{**row, "created_at": _utc(row["created_at"])})


def recommendation_of(row: RowMapping) -> StoredRecommendation:
    return StoredRecommendation(**{**row, "created_at": _utc(row["created_at"])})


def owner_columns(owner: Owner | None) -> dict[str, Any]:
    return {
        "owner_host": owner and owner.host,
        "owner_boot_id": owner and owner.boot_id,
        "owner_pid": owner and owner.pid,
        "owner_pid_started": owner and owner.pid_started,
    }


def progress_columns(progress: Progress | None) -> dict[str, Any]:
    return {
        "doing": progress and progress.doing,
        "left_s": progress and progress.left_s,
        "told_at": progress and progress.told_at,
    }


def _owner_of(row: RowMapping) -> Owner | None:
    if row["owner_pid"] is None:
        return None
    return Owner(
        host=row["owner_host"],
        boot_id=row["owner_boot_id"],
        pid=row["owner_pid"],
        pid_started=row["owner_pid_started"],
    )


def _progress_of(row: RowMapping) -> Progress | None:
    if row["told_at"] is None:
        return None
    return Progress(row["doing"], row["left_s"], _utc(row["told_at"]))


def _utc(time: datetime) -> datetime:
    return time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC)


def _utc_or_none(time: datetime | None) -> datetime | None:
    return None if time is None else _utc(time)
