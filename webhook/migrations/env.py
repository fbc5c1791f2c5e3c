"""What Alembic runs for each command: on the connection it was given, in the transaction that is open there."""

from __future__ import annotations

from alembic import context

from presagio.webhook.tables import Base, Schema

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=Base.metadata,
    version_table=Schema.__tablename__,
    transactional_ddl=True,  # SQLite's too: we begin its transactions ourselves
)
with context.begin_transaction():
    context.run_migrations()
