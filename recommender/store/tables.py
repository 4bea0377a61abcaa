"""The tables of the newest schema. How a store gets there is in `migrations`."""

from __future__ import annotations

from sqlalchemy import (
    JSON,
    Boolean,
    Column,
    DateTime,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
    false,
)

__all__ = [
    "AGGREGATES",
    "MEASUREMENTS",
    "METADATA",
    "RECOMMENDATIONS",
    "RESOURCES",
    "RUNS",
    "SAMPLES",
]


METADATA = MetaData()

_TIME = DateTime(timezone=True)  # SQLite drops the zone; `rows` puts it back

RUNS = Table(
    "runs",
    METADATA,
    Column("id", String(64), primary_key=True),
    Column("kind", String(64), nullable=False),
    Column("label", Text),
    Column("status", String(16), nullable=False),
    Column("created_at", _TIME, nullable=False),
    Column("finished_at", _TIME),
    Column("request", JSON, nullable=False),
    Column("environment", JSON, nullable=False),
    Column("owner_host", Text),
    Column("owner_boot_id", Text),
    Column("owner_pid", Integer),
    Column("owner_pid_started", Float(53)),
    Column("heartbeat_at", _TIME),
    Column("error", Text),
    Column("tool_version", String(64)),
    Column("doing", Text),
    Column("left_s", Float(53)),
    Column("told_at", _TIME),
    Index("runs_by_age", "created_at", "id"),
    Index("runs_by_kind", "kind", "created_at", "id"),
    Index("runs_by_status", "status", "created_at", "id"),
)

_RUN_ID = ("run_id", String(64))

MEASUREMENTS = Table(
    "measurements",
    METADATA,
    Column("id", Integer, primary_key=True),
    Column(*_RUN_ID, ForeignKey("runs.id", ondelete="CASCADE"), nullable=False),
    Column("key", Text, nullable=False),
    Column("sequence", Integer, nullable=False),
    Column("created_at", _TIME, nullable=False),
    Column("document", JSON, nullable=False),
    Column("has_samples", Boolean, nullable=False),
    Column("has_resources", Boolean, nullable=False, server_default=false()),
    UniqueConstraint("run_id", "key", name="measurements_key"),
    UniqueConstraint("run_id", "sequence", name="measurements_sequence"),
)


def _beside_a_measurement(name: str) -> Table:
    """Content too large to be read with every list of measurements."""
    return Table(
        name,
        METADATA,
        Column(
            "measurement_id",
            Integer,
            ForeignKey("measurements.id", ondelete="CASCADE"),
            primary_key=True,
            autoincrement=False,
        ),
        Column("content", LargeBinary, nullable=False),
    )


SAMPLES = _beside_a_measurement("samples")
RESOURCES = _beside_a_measurement("resources")

RECOMMENDATIONS = Table(
    "recommendations",
    METADATA,
    Column("id", Integer, primary_key=True),
    Column(*_RUN_ID, ForeignKey("runs.id", ondelete="CASCADE"), nullable=False),
    Column("created_at", _TIME, nullable=False),
    Column("document", JSON, nullable=False),
    Index("recommendations_by_age", "run_id", "id"),
)

AGGREGATES = Table(
    "aggregates",
    METADATA,
    Column(*_RUN_ID, ForeignKey("runs.id", ondelete="CASCADE"), primary_key=True),
    Column("name", Text, primary_key=True),
    Column("made_from", Text, nullable=False),
    Column("document", JSON, nullable=False),
)
