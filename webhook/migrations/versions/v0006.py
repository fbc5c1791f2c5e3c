"""What was done to services of late is found quickly among all that the ledger tells."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    """Make version 0006 of 0005."""
    acts = sa.text("target IN ('intent', 'verified', 'rolled_back', 'superseded', 'escalated')")
    op.create_index("audit_acts", "audit", ["time"], sqlite_where=acts, postgresql_where=acts)
