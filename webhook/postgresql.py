"""The ledger in PostgreSQL, for several replicas of the webhook. The library is imported when it is needed."""

from __future__ import annotations

import time
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Engine, event, make_url
from sqlalchemy.exc import DisconnectionError
from sqlalchemy.pool import ConnectionPoolEntry

from presagio.toolkit.secrets import Secret, SecretError
from presagio.webhook import schema
from presagio.webhook.database import POSTGRESQL, made
from presagio.webhook.errors import LedgerError

_IDLE = 60_000
"""Milliseconds after which the server ends a transaction whose webhook is silent: others may be waiting for it."""

_USED = "presagio_used"
_FRESH = 5.0
"""Seconds for which a connection that worked is taken to work."""

# What was answered with 200 survives a crash of the server, unless the server's own setting is stricter still.
_DURABLE = """
SELECT set_config('synchronous_commit', 'on', false) WHERE current_setting('synchronous_commit') IN ('off', 'local')
"""


def open_postgresql(url: str, password_file: Path | None = None, patience: float = 5.0) -> Engine:
    """Return the database at `url`; its tables are made at the first start, and migrated after an upgrade.

    password_file: read at each connection. patience: seconds to wait for a connection, or for another's lock.
    Raises LedgerError if it cannot be reached, is another application's, or is of a later version.
    """
    if find_spec("psycopg") is None:
        raise LedgerError("a ledger in PostgreSQL needs the library psycopg; pip install presagio[postgres]")
    address = make_url(url).set(drivername=f"{POSTGRESQL}+psycopg")
    engine = made(address, pool_timeout=patience, connect_args=_how(address, patience))
    event.listen(engine, "connect", _on_connect)
    event.listen(engine, "checkin", _on_checkin)
    event.listen(engine, "checkout", _on_checkout)
    if password_file is not None:
        event.listen(engine, "do_connect", _with_password(password_file))
    with schema.trusted(engine, repr(address.render_as_string())):
        schema.prepare(engine)
    return engine


def _how(address: URL, patience: float) -> dict[str, Any]:
    milliseconds = max(1, int(patience * 1000))
    settings = {"lock_timeout": milliseconds, "idle_in_transaction_session_timeout": _IDLE}
    options = [str(address.query.get("options", "")), *(f"-c {name}={value}" for name, value in settings.items())]
    return {
        "connect_timeout": max(2, round(patience)), "tcp_user_timeout": 2 * milliseconds,
        # a server that vanished while its answer was waited for
        "keepalives_idle": max(1, round(patience)), "keepalives_interval": max(1, round(patience)),
        "keepalives_count": 3,
        "application_name": "presagio", "client_encoding": "utf8", "options": " ".join(options).strip(),
    }  # fmt: skip


def _on_connect(connection: Any, _: object) -> None:
    connection.execute(_DURABLE)
    connection.commit()


def _on_checkin(_: object, record: ConnectionPoolEntry) -> None:
    record.info[_USED] = time.monotonic()


def _on_checkout(connection: Any, record: ConnectionPoolEntry, _: object) -> None:
    """Try a connection that was not used for a while: it may have been cut. Trying each would double the journeys."""
    if time.monotonic() - record.info.get(_USED, float("-inf")) < _FRESH:
        return
    try:
        connection.execute("SELECT 1")
        connection.rollback()
    except connection.Error as error:
        raise DisconnectionError(str(error)) from error  # the pool makes another


def _with_password(path: Path) -> Callable[..., None]:
    def read(dialect: Any, _: object, __: object, arguments: dict[str, Any]) -> None:
        try:
            arguments["password"] = Secret(file=path).read()
        except SecretError as error:  # as any other reason why there is no connection
            raise dialect.loaded_dbapi.OperationalError(str(error)) from error

    return read
