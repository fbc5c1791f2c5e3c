"""The ledger's tables: made, recognised, and brought up to date by migrations before anything is written."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import Connection, Engine, insert, inspect, select, text
from sqlalchemy.exc import DatabaseError

from presagio.webhook import chain
from presagio.webhook.errors import LedgerError
from presagio.webhook.tables import EARLIEST, VERSION, Base, Head, Schema

_OURS = 0x70726573  # "pres": what all replicas of all versions lock while they look at the tables


@contextmanager
def trusted(engine: Engine, name: str) -> Iterator[None]:
    """Give up a database that cannot be used. Raises LedgerError for what the driver says of it."""
    try:
        yield
    except DatabaseError as error:
        engine.dispose()
        raise LedgerError(f"ledger {name} cannot be used: {_first_line(error)}; {_remedy(engine)}") from error
    except LedgerError:
        engine.dispose()
        raise


def prepare(engine: Engine) -> None:
    """Make the tables of an empty database, migrate one of an earlier version; refuse one not ours or not whole.

    One transaction: it is done, or nothing was changed.
    """
    with engine.begin() as connection:
        _wait_for_others(connection)
        found = set(inspect(connection).get_table_names())
        if not found:
            _make(connection)
            return
        _migrate(connection, found)
        _check_whole(connection)


def _make(connection: Connection) -> None:
    Base.metadata.create_all(connection)
    connection.execute(insert(Schema).values(version_num=VERSION))
    connection.execute(insert(Head).values(id=1, seq=0, hmac=chain.GENESIS))


def _migrate(connection: Connection, found: set[str]) -> None:
    """Bring the tables to this version. Raises LedgerError if they are not ours, or of a later one."""
    version = _version(connection, found)
    if version == VERSION:
        return
    if version > VERSION:
        raise LedgerError(
            f"the ledger has version {version}, this presagio knows it up to {VERSION}; run the one that wrote it"
        )
    from presagio.webhook.migrations import upgrade  # Alembic is needed only here

    upgrade(connection, version)


def _version(connection: Connection, found: set[str]) -> str:
    if Schema.__tablename__ in found:
        return str(connection.scalar(select(Schema.version_num)))
    if EARLIEST in found:
        return f"{connection.scalar(text(f'SELECT version FROM {EARLIEST}')):04}"  # noqa: S608 # a constant
    raise LedgerError(
        f"the database is no ledger of presagio: it has the tables {', '.join(sorted(found))}; give it one of its own"
    )


def _check_whole(connection: Connection) -> None:
    missing = set(Base.metadata.tables) - set(inspect(connection).get_table_names())
    if missing:
        raise LedgerError(f"the ledger lacks the tables {', '.join(sorted(missing))}; restore it from a backup")
    if connection.dialect.name == "sqlite":
        answer = connection.scalar(text("PRAGMA quick_check(1)"))
        if answer != "ok":
            raise LedgerError(f"the ledger is damaged: {answer}; restore it from a backup")


def _wait_for_others(connection: Connection) -> None:
    """Let one replica after the other look, and migrate; SQLite's transaction does that of itself."""
    if connection.dialect.name != "sqlite":
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _OURS})


def _first_line(error: DatabaseError) -> str:
    return (str(error.orig).splitlines() or [""])[0]


def _remedy(engine: Engine) -> str:
    return "restore it from a backup" if engine.dialect.name == "sqlite" else "see ledger.url of webhook.yml"
