"""The history of the ledger's tables, as Alembic runs it: one file in versions/ for each version, never changed."""

from __future__ import annotations

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection, inspect, text

from presagio.toolkit.log import get_log
from presagio.webhook.tables import EARLIEST

_LOCATION = "presagio.webhook:migrations"


def configuration(connection: Connection) -> Config:
    """Return Alembic's configuration for a connection whose transaction is open."""
    config = Config()
    config.set_main_option("script_location", _LOCATION)
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    return config


def upgrade(connection: Connection, version: str, to: str = "head") -> None:
    """Migrate tables of `version`, in the transaction that is open."""
    config = configuration(connection)
    if inspect(connection).has_table(EARLIEST):
        command.stamp(config, version)
        connection.execute(text(f"DROP TABLE {EARLIEST}"))
    command.upgrade(config, to)
    get_log("ledger").info("tables migrated", since=version)
