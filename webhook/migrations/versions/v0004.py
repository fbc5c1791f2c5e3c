"""Several replicas: which of them is at work on what, and when each was last heard of."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Make version 0004 of 0003."""
    op.add_column("remediations", sa.Column("worker", sa.String(64)))
    op.create_table(
        "replicas",
        sa.Column("name", sa.String(64), primary_key=True),
        sa.Column("seen_at", sa.Double, nullable=False),
    )
