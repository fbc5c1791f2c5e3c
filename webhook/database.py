"""The database under the ledger: SQLite beside the webhook, or PostgreSQL for several replicas of it."""

from __future__ import annotations

import json
import threading
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.pool import ConnectionPoolEntry

from presagio.webhook import chain, schema
from presagio.webhook.errors import LedgerError

POSTGRESQL = "postgresql"

_SNAPSHOT = {
    # in WAL it waits for nobody
    "sqlite": {"presagio_begin": "BEGIN"},
    # all that one transaction reads is of one moment
    POSTGRESQL: {"isolation_level": "REPEATABLE READ"},
}

# A statement alone sees one moment by itself, and need not be framed by two more.
_SINGLE = {**_SNAPSHOT, POSTGRESQL: {"isolation_level": "AUTOCOMMIT"}}

_WRITE = "BEGIN IMMEDIATE"
_HOLDS = "presagio_writes"

_PRAGMAS = (
    "synchronous=FULL",  # what was answered with 200 survives a power cut
    "foreign_keys=ON",
)


def reading(engine: Engine) -> Engine:
    """Return an engine for transactions that only read: each sees one moment of the ledger."""
    return engine.execution_options(**_SNAPSHOT[engine.dialect.name])


def single(engine: Engine) -> Engine:
    """Return an engine for reading by one statement at a time."""
    return engine.execution_options(**_SINGLE[engine.dialect.name])


def open_sqlite(path: Path, patience: float = 5.0) -> Engine:
    """Return the database at `path`, made at the first start; a writer waits `patience` seconds for another.

    Raises LedgerError, and writes nothing, if the file is no database, is damaged, or is of a later version.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    engine = made(f"sqlite:///{path}", connect_args={"timeout": patience})
    take_turns(engine, patience)
    with schema.trusted(engine, repr(str(path))):
        schema.prepare(engine)
        _write_ahead(engine)
    return engine


def open_existing(path: Path) -> Engine:
    """Return the database at `path`, which is there. Raises LedgerError if it is not, or as `open_sqlite` does."""
    if not path.exists():
        raise LedgerError(f"there is no ledger {str(path)!r}; --storage.path is the folder of the webhook")
    return open_sqlite(path)


def made(url: Any, **options: Any) -> Engine:
    """Return an engine that writes JSON in the form that the chain seals."""
    return create_engine(url, json_serializer=chain.canonical, json_deserializer=json.loads, **options)


def _write_ahead(engine: Engine) -> None:
    # Only now: a file that is not ours must not even have its header changed.
    raw = engine.raw_connection()
    raw.cursor().execute("PRAGMA journal_mode=WAL")
    raw.close()


def _on_connect(connection: Any, _: object) -> None:
    connection.isolation_level = None  # we say BEGIN ourselves: Python's own waits until the first write
    cursor = connection.cursor()
    for pragma in _PRAGMAS:
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def take_turns(engine: Engine, patience: float) -> None:
    """Let the writers of this process write one after another, each as soon as the one before is done.

    patience: seconds that one waits for the others.
    """
    turns = _Turns(patience)
    event.listen(engine, "connect", _on_connect)
    event.listen(engine, "begin", turns.begin)
    event.listen(engine, "checkin", turns.end)


class _Turns:
    """Who writes. SQLite itself has the others look again after a sleep that grows to 100 ms."""

    def __init__(self, patience: float) -> None:
        self.patience = patience
        self._pen = threading.Lock()

    def begin(self, connection: Connection) -> None:
        """Begin a transaction. A writer takes its place at once: a read that turns into a write may be too late."""
        begin = connection.get_execution_options().get("presagio_begin", _WRITE)
        place = connection.connection.record_info  # in the pool: a connection that is lost takes its own info along
        if begin == _WRITE and place is not None and self._pen.acquire(timeout=self.patience):
            place[_HOLDS] = True
        connection.exec_driver_sql(begin)

    def end(self, _: object, record: ConnectionPoolEntry) -> None:
        """Let the next writer begin: the connection was given back."""
        if record.record_info and record.record_info.pop(_HOLDS, False):
            self._pen.release()
