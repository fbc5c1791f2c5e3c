"""The ledger in a real PostgreSQL: as durable and exact as in SQLite, and shared by several webhooks."""

import json
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from fake_world import KEY, START, World, policy
from servers import PostgresBinaries, PostgreSQL
from sqlalchemy import Engine, make_url
from sqlalchemy.exc import SQLAlchemyError

from presagio.toolkit.log import get_log
from presagio.webhook import migrations
from presagio.webhook.acts import KEPT, NEWEST, acts
from presagio.webhook.database import made
from presagio.webhook.errors import ConflictError, LedgerError
from presagio.webhook.inbox import Inbox
from presagio.webhook.ledger import Ledger, verify
from presagio.webhook.moves import Arrival, Move
from presagio.webhook.postgresql import open_postgresql
from presagio.webhook.records import Records
from presagio.webhook.replica import Replica
from presagio.webhook.states import Reason, State
from presagio.webhook.tables import Base

Database = Callable[[], str]


@pytest.fixture(scope="module")
def server(postgres_binaries: PostgresBinaries, tmp_path_factory: pytest.TempPathFactory) -> Iterator[PostgreSQL]:
    with PostgreSQL(postgres_binaries, tmp_path_factory.mktemp("postgresql") / "server") as started:
        yield started


@pytest.fixture(scope="module")
def database(server: PostgreSQL) -> Database:
    """Return how to get the address of an empty database."""
    numbers = count()

    def make() -> str:
        name = f"ledger{next(numbers)}"
        server.sql(f"create database {name}")
        return str(make_url(server.url).set(database=name))

    return make


@pytest.fixture
def engine(database: Database) -> Iterator[Engine]:
    engine = open_postgresql(database())
    yield engine
    engine.dispose()


def arrive(engine: Engine, *names: str, now: float = 1000.0) -> None:
    inbox = Inbox(engine)
    inbox.store(",".join(names), len(names), "alertmanager", now)
    arrivals = [Arrival(name, 990.0, {"labels": {"alertname": name}}) for name in names]
    Ledger(engine, KEY).open([(inbox.waiting()[0], arrivals)], now)


def replica(engine: Engine, name: str, silence: float = 60.0) -> Replica:
    made = Replica(engine, name, get_log("test"), silence)
    made.beat()
    return made


class TestTables:
    def test_all_migrations_together_make_what_the_models_say(self, database: Database) -> None:
        engine = made(
            make_url(database()).set(drivername="postgresql+psycopg"), connect_args={"client_encoding": "utf8"}
        )
        with engine.begin() as connection:
            migrations.upgrade(connection, "base")
            context = MigrationContext.configure(connection, opts={"version_table": "presagio_version"})
            found = compare_metadata(context, Base.metadata)
        engine.dispose()
        assert [one for one in found if "presagio_version" not in str(one)] == []

    def test_ten_replicas_that_start_at_once_make_them_once(self, database: Database) -> None:
        address = database()
        with ThreadPoolExecutor(10) as pool:
            engines = list(pool.map(lambda _: open_postgresql(address), range(10)))
        assert [verify(engine, KEY) for engine in engines] == [0] * 10
        for engine in engines:
            engine.dispose()

    def test_a_database_of_others_is_refused_and_left_alone(self, server: PostgreSQL) -> None:
        server.sql("create table songs (name text)")
        with pytest.raises(LedgerError, match="it has the tables songs; give it one of its own"):
            open_postgresql(server.url)
        assert server.sql("select string_agg(relname, ',') from pg_stat_user_tables").strip() == "songs"
        server.sql("drop table songs")

    def test_a_schema_of_its_own_may_be_named_in_the_address(self, database: Database) -> None:
        address = database()
        engine = open_postgresql(address)
        with engine.begin() as connection:
            connection.exec_driver_sql("create schema second")
        other = open_postgresql(f"{address}&options=-csearch_path%3Dsecond")
        arrive(other, "f")
        assert (verify(engine, KEY), verify(other, KEY)) == (0, 1)
        for one in (engine, other):
            one.dispose()

    def test_a_server_that_is_not_there_is_named_without_its_password(self, tmp_path: Path) -> None:
        secret = tmp_path / "password"
        secret.write_text("hunter2\n")
        with pytest.raises(
            LedgerError, match=r"'postgresql\+psycopg://me@127.0.0.1:1/db' cannot be used: .*refused"
        ) as told:
            open_postgresql("postgresql://me@127.0.0.1:1/db", secret, patience=2.0)
        assert "hunter2" not in str(told.value)

    def test_a_password_file_that_is_missing_is_named(self, database: Database, tmp_path: Path) -> None:
        with pytest.raises(LedgerError, match=r"secret file '.*/nowhere' cannot be read: No such file"):
            open_postgresql(database(), tmp_path / "nowhere")


class TestLedger:
    def test_a_remediation_lives_there_as_it_does_in_sqlite(self, database: Database, tmp_path: Path) -> None:
        address = database()
        world = World(tmp_path, database=lambda: open_postgresql(address))
        world.prometheus.good = True
        world.fire(service_id="shop/cart", odd="nul \0 and ünïcode \u2028")
        world.run(3600.0)
        assert world.trail().endswith("verifying verified holddown closed")
        assert world.verified_chain() == len(world.records.audit(1000))
        world.engine.dispose()

    def test_is_durable_even_if_the_server_is_set_to_be_quick(self, server: PostgreSQL, database: Database) -> None:
        address = database()
        server.sql(f"alter database {make_url(address).database} set synchronous_commit = off")
        engine = open_postgresql(address)
        with engine.connect() as connection:
            assert connection.exec_driver_sql("show synchronous_commit").scalar() == "on"
        engine.dispose()

    def test_the_same_body_at_the_same_time_is_stored_once(self, engine: Engine) -> None:
        inbox = Inbox(engine)
        with ThreadPoolExecutor(8) as pool:
            found = list(pool.map(lambda _: inbox.store("{}", 1, "alertmanager", 1.0), range(40)))
        assert len(inbox.waiting()) == 1
        assert sum(not one.duplicate for one in found) == 1

    def test_of_many_who_move_the_same_remediation_one_does(self, engine: Engine) -> None:
        arrive(engine, "f")
        ledger, (case,) = Ledger(engine, KEY), Records(engine).due(2000.0)

        def drop(_: int) -> bool:
            try:
                ledger.move(case, Move(State.DROPPED, Reason.NO_POLICY), 1001.0)
            except ConflictError:
                return False
            return True

        with ThreadPoolExecutor(8) as pool:
            assert sum(pool.map(drop, range(16))) == 1
        assert verify(engine, KEY) == 2

    def test_several_are_written_together_or_not_at_all(self, engine: Engine) -> None:
        arrive(engine, "f", "g", "h")
        ledger, cases = Ledger(engine, KEY), Records(engine).due(2000.0)
        ledger.move(cases[1], Move(State.DROPPED, Reason.NO_POLICY), 1001.0)
        drops = [(case, Move(State.DROPPED, Reason.NO_POLICY)) for case in cases]
        with pytest.raises(ConflictError, match="has left 'received' meanwhile"):
            ledger.write(drops, 1002.0)
        assert [case.id for case in Records(engine).due(2000.0)] == [cases[0].id, cases[2].id]
        assert [case.state for case in ledger.write([drops[0], drops[2]], 1003.0)] == [State.DROPPED] * 2
        assert verify(engine, KEY) == 6

    def test_of_several_who_want_a_target_none_gets_it_together(self, engine: Engine) -> None:
        arrive(engine, "f", "g")
        ledger, cases = Ledger(engine, KEY), Records(engine).due(2000.0)
        begin = Move(State.EVALUATING, Reason.MATCHED, {}, {"owns": "shop"})
        with pytest.raises(ConflictError, match="another remediation owns the target 'shop'"):
            ledger.write([(case, begin) for case in cases], 1001.0)
        assert len(Records(engine).due(2000.0)) == 2
        assert ledger.move(cases[0], begin, 1002.0).owns == "shop"

    def test_a_ledger_that_goes_away_and_comes_back_is_found_again(
        self, postgres_binaries: PostgresBinaries, tmp_path: Path
    ) -> None:
        with PostgreSQL(postgres_binaries, tmp_path / "server") as server:
            engine = open_postgresql(server.url, patience=2.0)
            inbox = Inbox(engine)
            inbox.store("{}", 1, "alertmanager", 1.0)
            server.kill9()
            with pytest.raises(SQLAlchemyError):
                inbox.store("{1}", 1, "alertmanager", 1.0)
            server.start()
            server.wait_ready()
            inbox.store("{2}", 1, "alertmanager", 1.0)
            assert [one.payload for one in inbox.waiting()] == ["{}", "{2}"]
            engine.dispose()


class TestMetrics:
    def test_acts_and_budgets_are_told_as_with_sqlite(self, database: Database, tmp_path: Path) -> None:
        address = database()
        world = World(tmp_path, policy(), database=lambda: open_postgresql(address))
        world.prometheus.good = True
        world.fire(service_id="shop/cart")
        world.run(600.0)
        labels = {"service_id": "shop/cart", "policy": "restart", "action": "fix"}
        assert world.metric("remediation_last_action_timestamp_seconds", **labels) == START
        verified = world.metric("remediation_last_outcome_timestamp_seconds", **labels, outcome="verified")
        assert verified is not None
        assert verified > START
        assert world.metric("remediation_budget_remaining", policy="restart") == 5
        assert world.metric("remediation_fleet_budget_remaining") == 29
        world.clock.now = START + KEPT
        assert acts(world.engine, world.clock.now) == {}
        world.engine.dispose()

    def test_acts_are_found_by_their_index_among_many_rows(self, engine: Engine) -> None:
        """Rows as wide as real ones: those of narrow ones are sooner read one and all."""
        number, alert = "from generate_series(1, 20000) n", json.dumps({"labels": "as wide as they are" * 50})
        with engine.begin() as connection:
            connection.exec_driver_sql(
                "insert into remediations (id, state, reason, revision, created_at, entered_at, not_before, deadline,"
                " fingerprint, starts_at, alert, rung, attempts, acted_at)"
                f" select n, 'closed', 'hold_over', 1, n, n, n, n, 'f', n, '{alert}', 0, 1, n {number}"
            )
            for place, target in enumerate(("planned", "intent", "settling", "verified"), 1):
                connection.exec_driver_sql(
                    "insert into audit (seq, time, remediation_id, source, target, reason, who, facts, previous,"
                    f" hmac) select 4 * n + {place}, n, n, '', '{target}', '', '', '{{}}', '', '' {number}"
                )
            connection.exec_driver_sql("analyze")
            known = {"since": 19_900.0, "most": 2000}
            plan = connection.exec_driver_sql(f"explain {NEWEST.compile(engine)}", known).scalars().all()
        assert any("audit_acts" in line for line in plan), plan
        assert not any("Seq Scan" in line for line in plan), plan


class TestReplicas:
    def test_no_two_claim_the_same(self, engine: Engine) -> None:
        arrive(engine, *map(str, range(500)))
        replicas = [replica(engine, f"replica-{number}") for number in range(4)]
        with ThreadPoolExecutor(4) as pool:
            claimed = list(pool.map(lambda one: [case.id for _ in range(2) for case in one.due(2000.0)], replicas))
        sets = [set(ids) for ids in claimed]
        assert sum(map(len, sets)) == len(set.union(*sets)) >= 100

    def test_what_one_has_is_nothing_to_wait_for_for_the_others(self, engine: Engine) -> None:
        arrive(engine, "f")
        first, second = replica(engine, "first"), replica(engine, "second")
        assert len(first.due(2000.0)) == 1
        assert (second.due(2000.0), second.next_due()) == ([], None)
        assert first.next_due() == 1000.0

    def test_the_work_of_a_silent_one_is_taken_over_and_its_own_write_changes_nothing(self, engine: Engine) -> None:
        arrive(engine, "f")
        silent, other = replica(engine, "silent", silence=0.2), replica(engine, "other", silence=0.2)
        (had,) = silent.due(2000.0)
        threading.Event().wait(0.3)
        other.beat()
        (has,) = other.due(2000.0)
        assert not silent.holds()
        ledger = Ledger(engine, KEY)
        with pytest.raises(ConflictError):
            ledger.move(had, Move(State.DROPPED, Reason.NO_POLICY), 1001.0)
        assert ledger.move(has, Move(State.DROPPED, Reason.NO_POLICY), 1001.0).worker is None

    def test_who_says_good_bye_leaves_everything_to_the_others_at_once(self, engine: Engine) -> None:
        arrive(engine, "f")
        leaving, staying = replica(engine, "leaving"), replica(engine, "staying")
        leaving.due(2000.0)
        leaving.stop()
        assert len(staying.due(2000.0)) == 1

    def test_who_has_not_reached_the_ledger_begins_nothing(self, engine: Engine, tmp_path: Path) -> None:
        world = World(tmp_path, policy(), database=lambda: engine)
        now = [0.0]
        lonely = Replica(engine, "lonely", get_log("test"), elapsed=lambda: now[0])
        lonely.beat()
        world.claims = lonely
        world.use(policy())
        world.fire(service_id="shop/cart")
        world.machine.stretch = 1
        while State.READY not in world.states():
            world.machine.step(world.clock.now)
        now[0] = 31.0
        world.run()
        assert (world.case().state, world.fix.effects) == (State.READY, [])
        lonely.beat()
        world.run()
        assert len(world.fix.effects) == 1
