"""Budgets, switches, and requests for approval."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Make version 0002 of 0001."""
    op.execute("ALTER TABLE remediations RENAME COLUMN updated_at TO entered_at")
    op.add_column("remediations", sa.Column("request", sa.JSON))
    op.create_table(
        "spending",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("remediation_id", sa.Integer, sa.ForeignKey("remediations.id"), nullable=False),
        sa.Column("policy", sa.String(200), nullable=False),
        sa.Column("spent_at", sa.Double, nullable=False),
    )
    op.create_index("ix_spending_spent_at", "spending", ["spent_at"])
    op.create_table(
        "switches",
        sa.Column("name", sa.String(32), primary_key=True),
        sa.Column("on", sa.Boolean, nullable=False),
        sa.Column("since", sa.Double, nullable=False),
        sa.Column("who", sa.String(200), nullable=False),
        sa.Column("note", sa.String(1000), nullable=False),
    )
