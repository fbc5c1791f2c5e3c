"""The database under the ledger: SQLite beside the webhook, laid out so that PostgreSQL can take its place."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, create_engine, event, inspect, select, text
from sqlalchemy.exc import DatabaseError
from sqlalchemy.orm import Session

from presagio.webhook import chain
from presagio.webhook.errors import LedgerError
from presagio.webhook.tables import VERSION, Base, Head, Schema

READ = {"presagio_begin": "BEGIN"}
"""Execution options of a transaction that only reads: in WAL it waits for nobody."""

_PRAGMAS = (
    "synchronous=FULL",  # what was answered with 200 survives a power cut
    "foreign_keys=ON",
)


def open_sqlite(path: Path, patience: float = 5.0) -> Engine:
    """Return the database at `path`, made at the first start; a writer waits `patience` seconds for another.

    Raises LedgerError, and writes nothing, if the file is no database, is damaged, or is of another version.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    engine = create_engine(
        f"sqlite:///{path}", json_serializer=chain.canonical, json_deserializer=json.loads,
        connect_args={"timeout": patience},
    )  # fmt: skip
    event.listen(engine, "connect", _on_connect)
    event.listen(engine, "begin", _on_begin)
    try:
        prepare(engine)
        _write_ahead(engine)
    except DatabaseError as error:
        engine.dispose()
        raise LedgerError(f"ledger {str(path)!r} cannot be used: {error.orig}; restore it from a backup") from error
    except LedgerError:
        engine.dispose()
        raise
    return engine


def open_existing(path: Path) -> Engine:
    """Return the database at `path`, which is there. Raises LedgerError if it is not, or as `open_sqlite` does."""
    if not path.exists():
        raise LedgerError(f"there is no ledger {str(path)!r}; --storage.path is the folder of the webhook")
    return open_sqlite(path)


def prepare(engine: Engine) -> None:
    """Make the tables of an empty database; refuse one that is not ours, not whole or not of this version."""
    with Session(engine) as session, session.begin():
        found = set(inspect(session.connection()).get_table_names())
        if not found:
            Base.metadata.create_all(session.connection())
            session.add_all([Schema(version=VERSION), Head(id=1, seq=0, hmac=chain.GENESIS)])
            return
        _check_version(session, found)
        _check_whole(session)


def _write_ahead(engine: Engine) -> None:
    # Only now: a file that is not ours must not even have its header changed.
    raw = engine.raw_connection()
    raw.cursor().execute("PRAGMA journal_mode=WAL")
    raw.close()


def _check_version(session: Session, found: set[str]) -> None:
    if Schema.__tablename__ not in found:
        raise LedgerError(f"the database is no ledger of presagio: it has the tables {', '.join(sorted(found))}")
    version = session.scalar(select(Schema.version))
    if version != VERSION:
        raise LedgerError(
            f"the ledger has version {version}, this is version {VERSION}; run the presagio that wrote it"
        )
    missing = set(Base.metadata.tables) - found
    if missing:
        raise LedgerError(f"the ledger lacks the tables {', '.join(sorted(missing))}; restore it from a backup")


def _check_whole(session: Session) -> None:
    if session.get_bind().dialect.name == "sqlite":
        answer = session.scalar(text("PRAGMA quick_check(1)"))
        if answer != "ok":
            raise LedgerError(f"the ledger is damaged: {answer}; restore it from a backup")


def _on_connect(connection: Any, _: object) -> None:
    connection.isolation_level = None  # we say BEGIN ourselves: Python's own waits until the first write
    cursor = connection.cursor()
    for pragma in _PRAGMAS:
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _on_begin(connection: Any) -> None:
    # A writer takes its place at once: a read that turns into a write would fail when another writer was faster.
    connection.exec_driver_sql(connection.get_execution_options().get("presagio_begin", "BEGIN IMMEDIATE"))
