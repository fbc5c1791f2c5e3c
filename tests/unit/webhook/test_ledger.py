"""The store: durable, one transition one transaction, a chain that tells what was done to it."""

import sqlite3
import stat
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from sqlalchemy import Engine, text
from sqlalchemy.exc import OperationalError

from presagio.webhook import chain
from presagio.webhook.database import open_sqlite
from presagio.webhook.errors import ConflictError, LedgerError
from presagio.webhook.inbox import Inbox
from presagio.webhook.ledger import Ledger, verify
from presagio.webhook.moves import Arrival, Move, Stay
from presagio.webhook.records import Records
from presagio.webhook.statements import Without
from presagio.webhook.states import Outcome, Reason, State
from presagio.webhook.tables import VERSION, Remediation

KEY = b"k" * 32


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "ledger.db"


@pytest.fixture
def engine(path: Path) -> Iterator[Engine]:
    engine = open_sqlite(path)
    yield engine
    engine.dispose()


@pytest.fixture
def ledger(engine: Engine) -> Ledger:
    return Ledger(engine, KEY)


@pytest.fixture
def records(engine: Engine) -> Records:
    return Records(engine)


@pytest.fixture
def inbox(engine: Engine) -> Inbox:
    return Inbox(engine)


def arrive(ledger: Ledger, *fingerprints: str, now: float = 1000.0) -> list[Remediation]:
    inbox = Inbox(ledger.engine)
    inbox.store("{}" + ",".join(fingerprints), len(fingerprints), "alertmanager", now)
    arrivals = [Arrival(name, 990.0, {"labels": {"alertname": name}}) for name in fingerprints]
    ledger.open([(inbox.waiting()[0], arrivals)], now)
    return Records(ledger.engine).due(now)


def evaluating(target: str = "shop") -> Move:
    return Move(State.EVALUATING, Reason.MATCHED, changes={"owns": target, "service_id": target, "mode": "auto"})


def walk(ledger: Ledger, case: Remediation, *states: State, now: float = 1001.0) -> Remediation:
    for state in states:
        case = ledger.move(case, evaluating() if state is State.EVALUATING else Move(state, Reason.TIMER), now)
    return case


def counted(engine: Engine) -> int:
    with engine.connect() as connection:
        return int(connection.scalar(text("select count(*) from audit")) or 0)


class TestInbox:
    def test_a_notification_survives_the_process(self, path: Path, engine: Engine, inbox: Inbox) -> None:
        inbox.store("payload", 1, "alertmanager", 5.0)
        engine.dispose()
        (found,) = Inbox(open_sqlite(path)).waiting()
        assert (found.payload, found.sender, found.received_at) == ("payload", "alertmanager", 5.0)

    def test_the_same_body_is_stored_once_while_it_waits(self, inbox: Inbox, ledger: Ledger) -> None:
        first, again = inbox.store("x", 1, "a", 1.0), inbox.store("x", 1, "b", 2.0)
        assert again == type(first)(first.id, duplicate=True)
        ledger.open([(inbox.waiting()[0], [])], 3.0)
        assert inbox.store("x", 1, "a", 4.0).duplicate is False

    def test_the_listener_hears_of_news_only(self, engine: Engine) -> None:
        heard: list[int] = []
        inbox = Inbox(engine, on_arrival=lambda: heard.append(1))
        inbox.store("x", 1, "a", 1.0)
        inbox.store("x", 1, "a", 1.0)
        assert heard == [1]

    def test_the_backlog_counts_alerts_that_nobody_looked_at(self, inbox: Inbox, ledger: Ledger) -> None:
        inbox.store("x", 7, "a", 1.0)
        assert inbox.backlog() == 7
        ledger.open([(inbox.waiting()[0], [Arrival("f", 0.0, {})])], 2.0)
        assert inbox.backlog() == 1

    def test_there_is_room_as_far_as_is_known(self, inbox: Inbox, ledger: Ledger) -> None:
        assert inbox.has_room(5, most=5, now=1.0)
        inbox.store("x", 3, "a", 1.0)
        assert inbox.has_room(2, most=5, now=1.5)
        assert not inbox.has_room(3, most=5, now=1.5)

    def test_nobody_is_turned_away_before_all_are_counted_anew(self, inbox: Inbox, ledger: Ledger) -> None:
        assert inbox.has_room(1, most=5, now=1.0)
        inbox.store("x", 3, "a", 1.0)
        ledger.open([(inbox.waiting()[0], [])], 1.0)
        assert inbox.has_room(5, most=5, now=1.5)

    @pytest.mark.parametrize("later", [2.5, -3600.0])
    def test_what_another_replica_stored_is_known_after_a_second(self, engine: Engine, later: float) -> None:
        ours, theirs = Inbox(engine), Inbox(engine)
        assert ours.has_room(1, most=5, now=1.0)
        theirs.store("x", 5, "a", 1.0)
        assert not ours.has_room(1, most=5, now=later)

    def test_a_notification_is_opened_once(self, inbox: Inbox, ledger: Ledger) -> None:
        inbox.store("x", 1, "a", 1.0)
        waiting = inbox.waiting()[0]
        opened = [ledger.open([(waiting, [Arrival("f", 0.0, {})])], 2.0) for _ in range(2)]
        assert (opened, len(Records(ledger.engine).audit())) == ([1, 0], 1)

    def test_many_at_once_are_each_stored_and_told_their_own(self, inbox: Inbox) -> None:
        bodies = [f"body {number % 30}" for number in range(60)]
        with ThreadPoolExecutor(12) as pool:
            receipts = list(pool.map(lambda body: inbox.store(body, 1, "a", 1.0), bodies))
        stored = {one.id: one.payload for one in inbox.waiting(limit=100)}
        assert sorted(stored.values()) == sorted({*bodies})
        assert [stored[receipt.id] for receipt in receipts] == bodies
        assert sum(not receipt.duplicate for receipt in receipts) == 30

    def test_a_full_disk_is_an_error_and_never_silence(self, engine: Engine, inbox: Inbox) -> None:
        with engine.connect() as connection:
            pages = connection.exec_driver_sql("pragma page_count").scalar()
            connection.exec_driver_sql(f"pragma max_page_count = {pages}")
        with pytest.raises(OperationalError, match="full"):
            inbox.store("x" * 1_000_000, 1, "a", 1.0)
        assert inbox.waiting() == []


class TestMove:
    def test_writes_state_row_and_timers_together(self, ledger: Ledger, records: Records) -> None:
        (case,) = arrive(ledger, "f")
        move = Move(State.EVALUATING, Reason.MATCHED, {"policy": "p"}, {"owns": "shop"}, not_before=7.0, deadline=9.0)
        moved = ledger.move(case, move, 1001.0)
        assert (moved.state, moved.revision, moved.not_before, moved.deadline) == (State.EVALUATING, 2, 7.0, 9.0)
        row = records.story(case.id)[-1]
        assert (row.source, row.target, row.reason, row.who) == ("received", "evaluating", "matched", "orchestrator")
        assert (row.facts, row.time) == ('{"policy":"p"}', 1001.0)

    def test_a_second_move_from_the_same_revision_writes_nothing(self, ledger: Ledger, engine: Engine) -> None:
        (case,) = arrive(ledger, "f")
        ledger.move(case, evaluating(), 1001.0)
        before = counted(engine)
        with pytest.raises(ConflictError, match="remediation 1 has left 'received' meanwhile"):
            ledger.move(case, Move(State.DROPPED, Reason.GHOST), 1001.0)
        assert counted(engine) == before

    def test_what_a_move_returns_is_what_the_ledger_has(self, ledger: Ledger, records: Records) -> None:
        (case,) = arrive(ledger, "f")
        changes = {"owns": "shop", "labels": {"a": "ä"}, "samples": [{"value": float("nan")}], "plan": None}
        moved = ledger.move(case, Move(State.EVALUATING, Reason.MATCHED, {}, changes, deadline=9.0), 1001.0)
        (read,) = records.due(2000.0)
        names = [column.name for column in Remediation.__table__.columns]
        assert [getattr(moved, name) for name in names] == [getattr(read, name) for name in names]

    def test_several_are_written_together_or_not_at_all(self, ledger: Ledger, engine: Engine) -> None:
        first, second, third = arrive(ledger, "f", "g", "h")
        before = counted(engine)
        with pytest.raises(ConflictError, match="'shop'"):
            ledger.write([(first, evaluating("shop")), (second, evaluating("shop"))], 1001.0)
        assert counted(engine) == before
        after = ledger.write([(first, evaluating("shop")), (second, Stay(7.0)), (third, evaluating("till"))], 1001.0)
        assert [(one.state, one.revision) for one in after] == [
            (State.EVALUATING, 2), (State.RECEIVED, 2), (State.EVALUATING, 2),
        ]  # fmt: skip
        assert verify(engine, KEY) == 5

    def test_a_stay_counts_as_a_revision(self, ledger: Ledger, engine: Engine) -> None:
        (case,) = arrive(ledger, "f")
        case = ledger.move(case, evaluating(), 1001.0)
        (stayed,) = ledger.write([(case, Stay(1031.0, {"samples": [{"value": float("nan")}]}))], 1000.0)
        assert (stayed.revision, stayed.not_before, stayed.samples) == (3, 1031.0, [{"value": "nan"}])
        with pytest.raises(ConflictError):
            ledger.move(case, Move(State.PLANNED, Reason.CLEARED), 1002.0)

    def test_no_way_that_the_table_does_not_have(self, ledger: Ledger) -> None:
        (case,) = arrive(ledger, "f")
        with pytest.raises(LedgerError, match="no way from 'received' to 'intent'"):
            ledger.move(case, Move(State.INTENT, Reason.ATTEMPT), 1001.0)

    def test_one_live_remediation_per_target(self, ledger: Ledger) -> None:
        first, second = arrive(ledger, "f", "g")
        ledger.move(first, evaluating("shop"), 1001.0)
        with pytest.raises(ConflictError, match="'shop'"):
            ledger.move(second, evaluating("shop"), 1001.0)

    def test_a_lease_lasts_from_ready_to_the_hold(self, ledger: Ledger, records: Records) -> None:
        (case,) = arrive(ledger, "f")
        case = walk(ledger, case, State.EVALUATING, State.PLANNED, State.READY)
        assert [(lease.target, lease.remediation_id) for lease in records.leases()] == [("shop", case.id)]
        case = walk(ledger, case, State.INTENT, State.APPLIED, State.SETTLING, State.VERIFYING, State.VERIFIED)
        assert len(records.leases()) == 1
        walk(ledger, case, State.HOLDDOWN)
        assert records.leases() == []

    def test_an_end_lets_go_of_target_and_lease(self, ledger: Ledger, records: Records) -> None:
        (case,) = arrive(ledger, "f")
        case = walk(ledger, case, State.EVALUATING, State.PLANNED, State.READY, State.ESCALATED)
        assert (case.owns, case.finished_at, records.leases(), records.due(1e9)) == (None, 1001.0, [], [])

    def test_an_escalation_is_in_the_outbox(self, ledger: Ledger, records: Records) -> None:
        (case,) = arrive(ledger, "f")
        ledger.move(case, Move(State.ESCALATED, Reason.DEADLINE, {"note": "x"}, outcome=Outcome.ESCALATED), 1001.0)
        (message,) = records.unsent()
        assert (message.subject, message.body) == (
            "escalated",
            {"reason": "deadline", "from": "received", "note": "x"},
        )
        ledger.delivered([message], 1002.0)
        assert records.unsent() == []

    def test_attaching_joins_and_wakes(self, ledger: Ledger, records: Records) -> None:
        first, second = arrive(ledger, "f", "g")
        first = ledger.move(first, evaluating(), 1001.0)
        ledger.move(first, Move(State.BLOCKED, Reason.COOLDOWN, not_before=9999.0), 1001.0)
        ledger.move(second, Move(State.ATTACHED, Reason.OWNED, concerns=first.id), 1005.0)
        assert [member.fingerprint for member in records.members(first.id)] == ["f", "g"]
        assert [case.id for case in records.due(1005.0)] == [first.id]
        assert records.joined_since(first.id, 1004.0) == second.id
        assert records.joined_since(first.id, 1005.0) is None

    def test_threads_race_and_one_wins(self, ledger: Ledger, records: Records) -> None:
        cases = arrive(ledger, *map(str, range(20)))
        wins: list[int] = []
        barrier = threading.Barrier(4)

        def drop_all() -> None:
            barrier.wait()
            for case in cases:
                try:
                    ledger.move(case, Move(State.DROPPED, Reason.GHOST), 1001.0)
                    wins.append(case.id)
                except ConflictError:
                    pass

        with ThreadPoolExecutor(4) as pool:
            for future in [pool.submit(drop_all) for _ in range(4)]:
                future.result()
        assert sorted(wins) == [case.id for case in cases]
        assert verify(ledger.engine, KEY) == 40


class TestChain:
    @pytest.fixture
    def story(self, ledger: Ledger, engine: Engine) -> Engine:
        (case,) = arrive(ledger, "f")
        walk(ledger, case, State.EVALUATING, State.PLANNED, State.READY, State.INTENT)
        return engine

    @pytest.mark.parametrize(
        ("harm", "message"),
        [
            ("update audit set facts = '{}' where seq = 1", "audit row 1 was changed"),
            ("update audit set reason = 'auto' where seq = 3", "audit row 3 was changed"),
            ("update audit set time = time + 1 where seq = 4", "audit row 4 was changed"),
            ("update audit set who = 'nobody' where seq = 5", "audit row 5 was changed"),
            ("delete from audit where seq = 1", "audit rows up to 1 are missing"),
            ("delete from audit where seq = 3", "audit row 3 is missing: row 2 is followed by row 4"),
            ("delete from audit where seq = 5", "audit row 5 is missing: the ledger ended at row 5"),
            ("update audit set seq = 6 - seq where seq in (2, 4)", "audit row 2 does not follow row 1"),
            ("update audit set previous = 'x' where seq = 2", "audit row 2 does not follow row 1"),
            ("update ledger_head set seq = 4", "says row 4, its last row is 5"),
        ],
    )
    def test_verify_names_the_first_broken_row(self, story: Engine, harm: str, message: str) -> None:
        if "6 - seq" in harm:
            harm = (
                "update audit set seq = -4 where seq = 2; update audit set seq = 2 where seq = 4; "
                "update audit set seq = 4 where seq = -4"
            )
        with story.begin() as connection:
            for statement in harm.split("; "):
                connection.exec_driver_sql(statement)
        with pytest.raises(LedgerError, match=message):
            verify(story, KEY)

    def test_an_untouched_chain_verifies_with_its_key_alone(self, story: Engine) -> None:
        assert verify(story, KEY) == 5
        with pytest.raises(LedgerError, match="audit row 1 was changed"):
            verify(story, b"x" * 32)

    def test_canonical_is_the_same_for_the_same_facts(self) -> None:
        facts = {"b": [1, 2.5, float("nan")], "a": {"ü": None, 1: float("inf")}}
        assert chain.canonical(facts) == '{"a":{"1":"inf","ü":null},"b":[1,2.5,"nan"]}'


class TestKey:
    def test_is_made_once_and_is_ours_alone(self, tmp_path: Path) -> None:
        path = tmp_path / "sub" / "ledger.key"
        key = chain.make_key(path)
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert chain.make_key(path) == key == chain.read_key(path)
        assert len(key) == 32

    @pytest.mark.parametrize(
        ("text", "message"), [("xyz", "is not hexadecimal"), ("abcd", "has 2 bytes, at least 32")]
    )
    def test_one_that_is_none_is_refused(self, tmp_path: Path, text: str, message: str) -> None:
        path = tmp_path / "ledger.key"
        path.write_text(text)
        with pytest.raises(LedgerError, match=message):
            chain.read_key(path)

    def test_a_missing_one_is_named(self, tmp_path: Path) -> None:
        with pytest.raises(LedgerError, match=r"ledger\.key' cannot be read: No such file"):
            chain.read_key(tmp_path / "ledger.key")


class TestDatabase:
    def test_is_as_durable_as_sqlite_can_be(self, engine: Engine) -> None:
        with engine.connect() as connection:
            names = ("journal_mode", "synchronous", "foreign_keys", "busy_timeout")
            found = [connection.exec_driver_sql(f"pragma {name}").scalar() for name in names]
            assert found == ["wal", 2, 1, 5000]

    def test_a_file_that_is_no_database_is_refused_and_left_alone(self, path: Path) -> None:
        path.write_bytes(b"not a database" * 500)
        with pytest.raises(LedgerError, match=r"ledger\.db' cannot be used: file is not a database; restore it"):
            open_sqlite(path)
        assert path.read_bytes() == b"not a database" * 500

    def test_a_database_of_others_is_refused_and_left_alone(self, path: Path) -> None:
        with sqlite3.connect(path) as other:
            other.execute("create table songs (name)")
        other.close()
        before = path.read_bytes()
        with pytest.raises(LedgerError, match="no ledger of presagio: it has the tables songs"):
            open_sqlite(path)
        assert path.read_bytes() == before

    def test_a_later_version_is_refused(self, path: Path, engine: Engine) -> None:
        with engine.begin() as connection:
            connection.execute(text("update presagio_version set version_num = '0099'"))
        engine.dispose()
        with pytest.raises(
            LedgerError, match=f"has version 0099, this presagio knows it up to {VERSION}; run the one that wrote it"
        ):
            open_sqlite(path)

    def test_a_damaged_page_is_noticed_at_the_start(self, path: Path, engine: Engine) -> None:
        with engine.begin() as connection:
            connection.exec_driver_sql("drop table outbox")
        engine.dispose()
        with pytest.raises(LedgerError, match="lacks the tables outbox"):
            open_sqlite(path)

    def test_a_torn_file_is_refused(self, path: Path, ledger: Ledger, engine: Engine) -> None:
        arrive(ledger, *map(str, range(200)))
        with engine.connect() as connection:
            connection.exec_driver_sql("commit")
            connection.exec_driver_sql("pragma wal_checkpoint(truncate)")
            connection.exec_driver_sql("begin")
        engine.dispose()
        data = bytearray(path.read_bytes())
        data[len(data) // 2 :] = b"\xff" * (len(data) - len(data) // 2)
        path.write_bytes(bytes(data))
        with pytest.raises(LedgerError, match=r"damaged|cannot be used"):
            open_sqlite(path)

    def test_a_reader_waits_for_no_writer(self, ledger: Ledger, records: Records, engine: Engine) -> None:
        arrive(ledger, "f")
        with engine.begin() as connection:
            connection.execute(text("update remediations set rung = 1"))
            assert records.recent()[0].rung == 0

    def test_a_busy_database_is_an_error_for_the_caller(self, path: Path, engine: Engine) -> None:
        impatient = open_sqlite(path, patience=0.05)
        with engine.begin(), pytest.raises(OperationalError, match="database is locked"):
            Inbox(impatient).store("x", 1, "a", 1.0)
        impatient.dispose()
        assert Inbox(engine).waiting() == []


class TestRecords:
    def test_next_due_is_the_nearest_timer_or_deadline(self, ledger: Ledger, records: Records) -> None:
        assert records.next_due() is None
        first, second = arrive(ledger, "f", "g")
        ledger.write([(first, Stay(5000.0)), (second, Stay(9000.0))], 1000.0)
        assert records.next_due() == first.deadline == 4600.0
        assert records.next_due(Without([first.id, second.id])) is None

    def test_work_in_flight_goes_before_news(self, ledger: Ledger, records: Records) -> None:
        first, second = arrive(ledger, "f", "g")
        ledger.move(second, evaluating(), 1001.0)
        assert [case.id for case in records.due(1001.0)] == [second.id, first.id]
        assert [case.id for case in records.due(1001.0, Without(states=[State.EVALUATING]))] == [first.id]

    def test_counts_have_every_live_state(self, ledger: Ledger, records: Records) -> None:
        arrive(ledger, "f", "g")
        counts = records.counts()
        assert counts[State.RECEIVED] == 2
        assert counts[State.HOLDDOWN] == 0
        assert State.CLOSED not in counts

    def test_the_last_act_on_a_target_is_that_of_others(self, ledger: Ledger, records: Records) -> None:
        first, second = arrive(ledger, "f", "g")
        first = walk(ledger, first, State.EVALUATING, State.PLANNED)
        ledger.move(
            first, Move(State.CLOSED, Reason.DRY_RUN, changes={"acted_at": 1002.0, "mode": "dry-run"}), 1002.0
        )
        second = ledger.move(second, evaluating(), 1003.0)
        assert records.last_acted(second, dry_run=False) is None
        assert records.last_acted(second, dry_run=True) == 1002.0
        assert records.last_acted(first, dry_run=True) is None

    def test_pages_follow_one_another(self, ledger: Ledger, records: Records) -> None:
        arrive(ledger, *"abcde")
        newest = records.recent(2)
        assert [case.id for case in newest] == [5, 4]
        assert [case.id for case in records.recent(2, before=4)] == [3, 2]
        assert records.recent(states=[State.CLOSED]) == []
