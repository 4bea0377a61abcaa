"""Runs, their measurements with samples, and their recommendations."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

_TIME = sa.DateTime(timezone=True)


def upgrade() -> None:
    _create_runs()
    _create_measurements()
    op.create_table(
        "samples",
        sa.Column(
            "measurement_id",
            sa.Integer,
            sa.ForeignKey("measurements.id", ondelete="CASCADE"),
            primary_key=True,
            autoincrement=False,
        ),
        sa.Column("content", sa.LargeBinary, nullable=False),
    )
    op.create_table(
        "recommendations",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column(
            "run_id", sa.String(64), sa.ForeignKey("runs.id", ondelete="CASCADE"), nullable=False
        ),
        sa.Column("created_at", _TIME, nullable=False),
        sa.Column("document", sa.JSON, nullable=False),
        sqlite_autoincrement=True,
    )
    op.create_index("recommendations_by_age", "recommendations", ["run_id", "id"])


def _create_runs() -> None:
    op.create_table(
        "runs",
        sa.Column("id", sa.String(64), primary_key=True),
        sa.Column("kind", sa.String(64), nullable=False),
        sa.Column("label", sa.Text),
        sa.Column("status", sa.String(16), nullable=False),
        sa.Column("created_at", _TIME, nullable=False),
        sa.Column("finished_at", _TIME),
        sa.Column("request", sa.JSON, nullable=False),
        sa.Column("environment", sa.JSON, nullable=False),
        sa.Column("owner_host", sa.Text),
        sa.Column("owner_boot_id", sa.Text),
        sa.Column("owner_pid", sa.Integer),
        sa.Column("owner_pid_started", sa.Float(53)),
        sa.Column("heartbeat_at", _TIME),
        sa.Column("error", sa.Text),
        sa.Column("tool_version", sa.String(64)),
    )
    op.create_index("runs_by_age", "runs", ["created_at", "id"])
    op.create_index("runs_by_kind", "runs", ["kind", "created_at", "id"])
    op.create_index("runs_by_status", "runs", ["status", "created_at", "id"])


def _create_measurements() -> None:
    op.create_table(
        "measurements",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column(
            "run_id", sa.String(64), sa.ForeignKey("runs.id", ondelete="CASCADE"), nullable=False
        ),
        sa.Column("key", sa.Text, nullable=False),
        sa.Column("sequence", sa.Integer, nullable=False),
        sa.Column("created_at", _TIME, nullable=False),
        sa.Column("document", sa.JSON, nullable=False),
        sa.Column("has_samples", sa.Boolean, nullable=False),
        sa.UniqueConstraint("run_id", "key", name="measurements_key"),
        sa.UniqueConstraint("run_id", "sequence", name="measurements_sequence"),
        sqlite_autoincrement=True,  # the id of a deleted measurement is not given to another
    )
