"""Dry runs are observed: those that are found quickly, and those of before as what they are, not to be observed."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    """Make version 0005 of 0004."""
    op.execute("UPDATE remediations SET deadline = finished_at WHERE outcome = 'dry_run' AND finished_at IS NOT NULL")
    observed = sa.text("outcome = 'dry_run' AND deadline > finished_at")
    op.create_index(
        "remediations_observed", "remediations", ["not_before"], sqlite_where=observed, postgresql_where=observed
    )
