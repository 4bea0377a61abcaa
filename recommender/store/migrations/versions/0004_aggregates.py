"""What was worked out of a run's measurements, so that nobody need do so twice."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    op.create_table(
        "aggregates",
        sa.Column(
            "run_id", sa.String(64), sa.ForeignKey("runs.id", ondelete="CASCADE"), primary_key=True
        ),
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("made_from", sa.Text, nullable=False),
        sa.Column("document", sa.JSON, nullable=False),
    )
