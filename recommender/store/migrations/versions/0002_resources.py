"""A resource series beside the samples of a measurement."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    # With its default a process of revision 0001 that is still at work can go on.
    op.add_column(
        "measurements",
        sa.Column("has_resources", sa.Boolean, nullable=False, server_default=sa.false()),
    )
    op.create_table(
        "resources",
        sa.Column(
            "measurement_id",
            sa.Integer,
            sa.ForeignKey("measurements.id", ondelete="CASCADE"),
            primary_key=True,
            autoincrement=False,
        ),
        sa.Column("content", sa.LargeBinary, nullable=False),
    )
