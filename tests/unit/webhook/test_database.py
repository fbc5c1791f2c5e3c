"""SQLite under the ledger: the writers of one process take turns."""

import sqlite3
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import Engine
from sqlalchemy.exc import OperationalError

from presagio.webhook.database import made, reading, take_turns


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    """Return a database whose writers do not wait for one another by themselves."""
    path = tmp_path / "some.db"
    with closing(sqlite3.connect(path)) as first:
        first.execute("PRAGMA journal_mode=WAL")  # as a ledger is: readers and new connections wait for nobody
    engine = made(f"sqlite:///{path}", connect_args={"timeout": 0})
    take_turns(engine, patience=600.0)
    with engine.begin() as connection:
        connection.exec_driver_sql("CREATE TABLE counter (value INTEGER)")
        connection.exec_driver_sql("INSERT INTO counter VALUES (0)")
    yield engine
    engine.dispose()


def count(engine: Engine, times: int = 1) -> None:
    for _ in range(times):
        with engine.begin() as connection:
            value = connection.exec_driver_sql("SELECT value FROM counter").scalar_one()
            connection.exec_driver_sql("UPDATE counter SET value = ?", (value + 1,))


def fail(engine: Engine) -> None:
    with engine.begin() as connection:
        connection.exec_driver_sql("UPDATE counter SET value = 99")
        connection.exec_driver_sql("SELECT * FROM nothing")


def counted(engine: Engine) -> int:
    with reading(engine).connect() as connection:
        return int(connection.exec_driver_sql("SELECT value FROM counter").scalar_one())


def test_writers_wait_for_one_another(engine: Engine) -> None:
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: count(engine, 25), range(8)))
    assert counted(engine) == 200


def test_who_fails_lets_the_next_one_write(engine: Engine) -> None:
    for _ in range(20):
        with pytest.raises(OperationalError, match="syntax error"):
            fail(engine)
    count(engine)
    assert counted(engine) == 1


def test_a_connection_that_is_lost_lets_the_next_one_write(engine: Engine) -> None:
    connection = engine.connect()
    connection.begin()
    connection.invalidate()
    connection.close()
    count(engine)
    assert counted(engine) == 1


def test_a_reader_waits_for_no_writer(engine: Engine) -> None:
    with engine.begin() as connection:
        connection.exec_driver_sql("UPDATE counter SET value = 7")
        with reading(engine).connect() as other:
            assert other.exec_driver_sql("SELECT value FROM counter").scalar_one() == 0
    assert counted(engine) == 7
