"""What the recommender chose, and what came of it."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Make version 0003 of 0002."""
    op.add_column("remediations", sa.Column("choice", sa.JSON))
    op.create_table(
        "trials",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("remediation_id", sa.Integer, sa.ForeignKey("remediations.id"), nullable=False),
        sa.Column("rung", sa.Integer, nullable=False),
        sa.Column("judged_at", sa.Double, nullable=False),
        sa.Column("policy", sa.String(200), nullable=False),
        sa.Column("arm", sa.String(250), nullable=False),
        sa.Column("reward", sa.Double),
        sa.Column("choice", sa.JSON, nullable=False),
    )
    for column in ("remediation_id", "arm"):
        op.create_index(f"ix_trials_{column}", "trials", [column])
