"""What a run does, as its process tells it."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    op.add_column("runs", sa.Column("doing", sa.Text))
    op.add_column("runs", sa.Column("left_s", sa.Float(53)))
    op.add_column("runs", sa.Column("told_at", sa.DateTime(timezone=True)))
