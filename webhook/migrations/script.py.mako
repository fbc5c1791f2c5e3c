"""${message}"""

import sqlalchemy as sa
from alembic import op

revision = ${repr(up_revision)}
down_revision = ${repr(down_revision)}


def upgrade() -> None:
    """Make version ${up_revision} of ${down_revision}."""
    ${upgrades if upgrades else "pass"}
