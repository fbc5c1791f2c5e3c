"""docs/operations.md: its commands back up, restore and verify a real ledger, in SQLite and in PostgreSQL."""

import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from packages import locate
from servers import PostgresBinaries, PostgreSQL
from shell_blocks import ROOT, blocks
from sqlalchemy import Engine, make_url

from presagio.webhook.chain import make_key
from presagio.webhook.database import open_sqlite
from presagio.webhook.inbox import Inbox
from presagio.webhook.ledger import Ledger
from presagio.webhook.moves import Arrival
from presagio.webhook.postgresql import open_postgresql

PAGE = ROOT / "docs" / "operations.md"
BIN = Path(sys.executable).parent


def block(begin: str) -> str:
    """Return the block of the page that begins so."""
    [found] = [text for text in blocks(PAGE) if text.startswith(begin)]
    return found


def run(script: str, folder: Path, **more: str) -> subprocess.CompletedProcess[str]:
    """Run a block as it stands, but with the machine's folders inside of `folder`."""
    for path in ("/var/lib/presagio", "/etc/presagio"):
        script = script.replace(path, f"{folder}{path}")
    environment = {**os.environ, "PATH": f"{BIN}:{os.environ['PATH']}", **more}
    words = ("bash", "-euo", "pipefail", "-c", script)
    return subprocess.run(words, cwd=folder, env=environment, capture_output=True, text=True, check=False)


def done(script: str, folder: Path, **more: str) -> str:
    answer = run(script, folder, **more)
    assert answer.returncode == 0, answer.stdout + answer.stderr
    return answer.stdout


def arrive(engine: Engine, key: bytes, name: str) -> None:
    inbox = Inbox(engine)
    inbox.store(name, 1, "alertmanager", 1000.0)
    arrivals = [Arrival(name, 990.0, {"labels": {"alertname": name}})]
    Ledger(engine, key).open([(inbox.waiting()[0], arrivals)], 1000.0)


class TestSqlite:
    @pytest.fixture
    def folder(self, tmp_path: Path) -> Path:
        return tmp_path / "var" / "lib" / "presagio" / "webhook"

    @pytest.fixture
    def engine(self, folder: Path) -> Iterator[Engine]:
        """Return a ledger that stays open, as that of a webhook that runs."""
        engine = open_sqlite(folder / "ledger.db")
        arrive(engine, make_key(folder / "ledger.key"), "First")
        yield engine
        engine.dispose()

    def test_it_is_backed_up_while_it_is_written_tried_and_restored(
        self, engine: Engine, folder: Path, tmp_path: Path
    ) -> None:
        assert (folder / "ledger.db-wal").stat().st_size > 0
        done(block("python3 -c"), tmp_path)
        assert "1 row" in done(block("mkdir tried"), tmp_path)
        arrive(engine, make_key(folder / "ledger.key"), "Second")
        engine.dispose()
        (folder / "ledger.db").write_bytes(b"what a broken disk leaves")
        assert run("presagio audit verify --storage.path=/var/lib/presagio/webhook", tmp_path).returncode == 1
        assert "1 row" in done(block("rm -f /var/lib/presagio/webhook/ledger.db"), tmp_path)
        restored = open_sqlite(folder / "ledger.db")
        arrive(restored, make_key(folder / "ledger.key"), "Third")
        restored.dispose()
        assert "2 rows" in done("presagio audit verify --storage.path=/var/lib/presagio/webhook", tmp_path)

    def test_a_copy_that_was_changed_does_not_verify(self, engine: Engine, tmp_path: Path) -> None:
        del engine
        done(block("python3 -c"), tmp_path)
        with sqlite3.connect(tmp_path / "ledger-backup.db") as copy:
            copy.execute("update audit set who = 'nobody'")
        copy.close()
        answer = run(block("mkdir tried"), tmp_path)
        assert answer.returncode == 1
        assert "was changed" in answer.stderr


class TestPostgresql:
    @pytest.fixture
    def server(self, postgres_binaries: PostgresBinaries, tmp_path: Path) -> Iterator[PostgreSQL]:
        with PostgreSQL(postgres_binaries, tmp_path / "server") as server:
            yield server

    @pytest.fixture
    def programs(self, tmp_path: Path) -> str:
        """Return a PATH that begins with PostgreSQL's own tools, wherever they are."""
        folder = tmp_path / "tools"
        folder.mkdir()
        for name in ("pg_dump", "pg_restore"):
            place = locate(name, "databases")
            assert place, f"{name} is not there, but the server is; run: make servers"
            (folder / name).symlink_to(place)
        return f"{folder}:{BIN}:{os.environ['PATH']}"

    def test_it_is_dumped_and_restored_into_an_empty_database(
        self, server: PostgreSQL, programs: str, tmp_path: Path
    ) -> None:
        server.sql("create database first", "create database second")
        first, second = (make_url(server.url).set(database=name) for name in ("first", "second"))
        etc = tmp_path / "etc" / "presagio"
        key = make_key(etc / "ledger.key")
        engine = open_postgresql(str(first))
        arrive(engine, key, "First")
        engine.dispose()
        done(block("pg_dump"), tmp_path, LEDGER=first.render_as_string(), PATH=programs)
        ledger = f"ledger: {{url: '{second.render_as_string()}', key_file: {etc}/ledger.key}}"
        (etc / "webhook.yml").write_text(f"{ledger}\napi: {{authentication: none}}\n")
        assert "1 row" in done(block("pg_restore"), tmp_path, LEDGER=second.render_as_string(), PATH=programs)
        engine = open_postgresql(str(second))
        arrive(engine, key, "Second")
        engine.dispose()
        assert "2 rows" in done(
            "presagio audit verify --config.file=/etc/presagio/webhook.yml", tmp_path, PATH=programs
        )


class TestExporter:
    def test_its_folder_is_put_away_and_back(self, tmp_path: Path) -> None:
        folder = tmp_path / "var" / "lib" / "presagio" / "exporter"
        (folder / "models").mkdir(parents=True)
        (folder / "feedback.snapshot").write_bytes(b"what people said")
        done(block("tar -C /var/lib/presagio -czf"), tmp_path)
        shutil.rmtree(folder)
        folder.mkdir()
        (folder / "profiles.snapshot").write_bytes(b"of later")
        done(block("rm -rf /var/lib/presagio/exporter"), tmp_path)
        assert (folder / "feedback.snapshot").read_bytes() == b"what people said"
        assert not (folder / "profiles.snapshot").exists()
