"""Ledgers of earlier versions are migrated, with all that is in them; Alembic and the models say the same."""

import shutil
import sqlite3
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Engine, create_engine

from presagio.webhook import migrations
from presagio.webhook.database import open_sqlite
from presagio.webhook.errors import LedgerError
from presagio.webhook.ledger import Ledger, verify
from presagio.webhook.moves import Move
from presagio.webhook.records import Records
from presagio.webhook.states import Outcome, Reason, State
from presagio.webhook.tables import VERSION, Base

FILES = Path(__file__).with_name("files")
KEY = b"k" * 32
EARLIER = ("1", "2", "3")


def earlier(version: str, path: Path) -> Path:
    """Write a ledger as a presagio of that time did: see the comment in the file."""
    connection = sqlite3.connect(path)
    connection.executescript((FILES / f"ledger.v{version}.sql").read_text())
    connection.close()
    return path


def differences(engine: Engine) -> list[object]:
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"version_table": "presagio_version"})
        return [one for one in compare_metadata(context, Base.metadata) if "presagio_version" not in str(one)]


@pytest.mark.parametrize("version", EARLIER)
def test_an_earlier_ledger_keeps_what_it_has_and_goes_on(version: str, tmp_path: Path) -> None:
    engine = open_sqlite(earlier(version, tmp_path / "ledger.db"))
    assert differences(engine) == []
    assert verify(engine, KEY) == 2
    (case,) = Records(engine).due(2e9)
    assert (case.id, case.state, case.service_id, case.worker) == (1, State.EVALUATING, "shop/cart", None)
    closed = Move(State.CLOSED, Reason.SELF_RESOLVED, outcome=Outcome.SELF_RESOLVED)
    assert Ledger(engine, KEY).move(case, closed, 1_780_000_100.0).state is State.CLOSED
    assert verify(engine, KEY) == 3
    engine.dispose()


def test_once_migrated_it_is_opened_as_any_other(tmp_path: Path) -> None:
    path = earlier("1", tmp_path / "ledger.db")
    for _ in range(2):
        engine = open_sqlite(path)
        with engine.begin() as connection:
            found = connection.exec_driver_sql("select version_num from presagio_version").scalars().all()
        engine.dispose()
        assert found == [VERSION]


def test_a_new_ledger_is_what_all_migrations_together_make(tmp_path: Path) -> None:
    migrated = create_engine(f"sqlite:///{tmp_path / 'migrated.db'}")
    with migrated.begin() as connection:
        migrations.upgrade(connection, "base")
    assert differences(migrated) == []
    assert verify(migrated, KEY) == 0


def test_the_version_is_that_of_the_newest_migration() -> None:
    assert ScriptDirectory(str(Path(migrations.__file__).parent)).get_current_head() == VERSION


def test_a_migration_that_fails_leaves_the_ledger_as_it_was(tmp_path: Path) -> None:
    path = earlier("2", tmp_path / "ledger.db")
    with sqlite3.connect(path) as connection:
        connection.execute("create table trials (of_somebody_else)")  # in the way of 0003
    connection.close()
    before = Path(shutil.copy(path, tmp_path / "before.db"))
    with pytest.raises(LedgerError, match="table trials already exists; restore it from a backup"):
        open_sqlite(path)
    assert dump(path) == dump(before)


def dump(path: Path) -> list[str]:
    connection = sqlite3.connect(path)
    try:
        return list(connection.iterdump())
    finally:
        connection.close()
