"""The actions on PostgreSQL, on a real server, as a role that may do no more than they say."""

import json
from collections.abc import Iterator
from contextlib import closing
from dataclasses import asdict
from typing import Any

import psycopg
import pytest
from pydantic import ValidationError
from servers import PostgresBinaries, PostgreSQL, wait_until

from presagio.actions import base
from presagio.actions.base import NotAppliedError, Plan, PlanError, Probe, Target

CART = Target("cart", {"instance": "postgres-1:9187"})


@pytest.fixture(scope="module")
def server(postgres_binaries: PostgresBinaries, tmp_path_factory: pytest.TempPathFactory) -> Iterator[PostgreSQL]:
    with PostgreSQL(postgres_binaries, tmp_path_factory.mktemp("postgres") / "server") as started:
        started.sql("CREATE ROLE presagio LOGIN", "CREATE ROLE shop LOGIN", "CREATE ROLE blind LOGIN")
        started.sql("GRANT pg_signal_backend, pg_read_all_stats TO presagio")
        yield started


def session(server: PostgreSQL, user: str = "shop") -> "psycopg.Connection[Any]":
    return psycopg.connect(server.url.replace("postgres@", f"{user}@"), application_name="till")


def planned(server: PostgreSQL, name: str, **params: Any) -> Plan:
    action = base.load(name)
    plan = action.plan(CART, action.Params.model_validate({"address": server.address, "timeout": "5s", **params}))
    return base.restored(json.loads(json.dumps(asdict(plan))))


IDLE, CANCEL = "postgres.end_idle_transactions", "postgres.cancel_queries"


def settled(plan: Plan) -> None:
    wait_until(lambda: base.load(plan.action).probe(plan, "1") is Probe.APPLIED, "the end of them")


def test_idle_transactions_are_ended_and_nothing_else(server: PostgreSQL) -> None:
    action = base.load(IDLE)
    with (
        closing(session(server)) as idle,
        closing(session(server)) as busy,
        closing(session(server, "postgres")) as own,
    ):
        for each in (idle, busy, own):
            each.execute("SELECT 1")
        plan = planned(server, IDLE, older_than="1ms", users=["shop"])
        assert len(plan.params["sessions"]) == 2
        assert plan.prior_state.keys() == plan.desired_state.keys()
        busy.commit()
        assert action.probe(plan, "1") is Probe.NOT_APPLIED
        assert action.apply(plan, "1").facts["pids"] == [idle.info.backend_pid]
        with pytest.raises(psycopg.OperationalError):
            idle.execute("SELECT 1")
        busy.execute("SELECT 1")
        own.execute("SELECT 1")
    settled(plan)
    assert action.apply(plan, "2").facts["pids"] == []
    with pytest.raises(NotAppliedError, match="no undo"):
        action.undo(plan)


def test_superusers_and_other_applications_are_left_alone(server: PostgreSQL) -> None:
    with closing(session(server, "postgres")) as root, closing(session(server)) as shop:
        root.execute("SELECT 1")
        with pytest.raises(PlanError, match="has no sessions idle"):
            planned(server, IDLE, older_than="1ms")
        shop.execute("SELECT 1")
        with pytest.raises(PlanError, match="has no sessions idle"):
            planned(server, IDLE, older_than="1ms", application_names=["x' OR '1'='1"])
        with pytest.raises(PlanError, match="has no sessions idle"):
            planned(server, IDLE, older_than="1h")


def test_a_long_query_is_cancelled_and_its_session_stays(server: PostgreSQL) -> None:
    with closing(session(server)) as busy:
        busy.pgconn.send_query(b"SELECT pg_sleep(600)")
        running = "SELECT count(*) FROM pg_stat_activity WHERE query ~ '^SELECT pg_sleep' AND state = 'active'"
        wait_until(lambda: server.sql(running) == "1", "the query")
        with pytest.raises(PlanError, match="has no running queries"):
            planned(server, CANCEL, longer_than="1h")
        plan = planned(server, CANCEL, longer_than="1ms")
        assert base.load(CANCEL).apply(plan, "1").facts["pids"] == [busy.info.backend_pid]
        settled(plan)
        there = f"SELECT count(*) FROM pg_stat_activity WHERE pid = {busy.info.backend_pid}"
        assert server.sql(there) == "1"


def test_who_may_not_see_the_sessions_is_told_what_to_grant(server: PostgreSQL) -> None:
    with pytest.raises(PlanError, match="GRANT pg_read_all_stats"):
        planned(server, IDLE, older_than="1ms", user="blind")
    with pytest.raises(NotAppliedError, match='role "nobody" does not exist'):
        planned(server, IDLE, older_than="1ms", user="nobody")


def test_a_server_that_is_gone(server: PostgreSQL) -> None:
    with closing(session(server)) as idle:
        idle.execute("SELECT 1")
        plan = planned(server, IDLE, older_than="1ms")
    gone = base.restored({**asdict(plan), "params": {**plan.params, "address": "127.0.0.1:1"}})
    with pytest.raises(NotAppliedError, match="cannot be reached"):
        base.load(IDLE).apply(gone, "1")
    assert base.load(IDLE).probe(gone, "1") is Probe.UNKNOWN


def test_a_label_picks_only_what_the_policy_lists(server: PostgreSQL) -> None:
    action = base.load(IDLE)
    params = {"addresses": {"postgres-1:9187": server.address}, "older_than": "1ms"}
    with pytest.raises(PlanError, match="does not list"):
        action.plan(Target("cart", {"instance": "x'; DROP TABLE a"}), action.Params.model_validate(params))


SET = "postgres.set"


@pytest.fixture
def settled_server(server: PostgreSQL) -> PostgreSQL:
    server.sql("ALTER SYSTEM RESET ALL", "SELECT pg_reload_conf()")
    server.sql("GRANT SELECT ON pg_file_settings TO presagio")
    server.sql("GRANT EXECUTE ON FUNCTION pg_show_all_file_settings(), pg_reload_conf() TO presagio")
    server.sql("GRANT ALTER SYSTEM ON PARAMETER work_mem, lock_timeout, autovacuum TO presagio")
    wait_until(lambda: server.sql("SHOW work_mem") == "4MB", "the reload")
    return server


def is_shown(server: PostgreSQL, name: str, value: str) -> None:
    wait_until(lambda: server.sql(f"SHOW {name}") == value, f"{name} {value}")


def test_settings_are_set_and_restored_by_a_role_that_may_do_just_that(settled_server: PostgreSQL) -> None:
    server, action = settled_server, base.load(SET)
    server.sql("ALTER SYSTEM SET lock_timeout = '7s'")
    server.sql("SELECT pg_reload_conf()")
    plan = planned(server, SET, set={"work_mem": "8MB", "lock_timeout": "10s", "autovacuum": False})
    assert plan.prior_state == {"work_mem": None, "lock_timeout": "7s", "autovacuum": None}
    assert plan.desired_state == {"work_mem": "8MB", "lock_timeout": "10s", "autovacuum": "off"}
    assert action.probe(plan, "1") is Probe.NOT_APPLIED
    action.apply(plan, "1")
    for name, value in plan.desired_state.items():
        is_shown(server, name, str(value))
    settled(plan)
    assert action.changed(plan) is None
    action.undo(plan)
    for name, value in {"work_mem": "4MB", "lock_timeout": "7s", "autovacuum": "on"}.items():
        is_shown(server, name, value)
    assert action.probe(plan, "1") is Probe.NOT_APPLIED


def test_what_somebody_else_has_set_stays(settled_server: PostgreSQL) -> None:
    server, action = settled_server, base.load(SET)
    plan = planned(server, SET, set={"work_mem": "8MB"})
    server.sql("ALTER SYSTEM SET work_mem = '16MB'")
    with pytest.raises(NotAppliedError, match="has work_mem '16MB', not its default: someone else changed it"):
        action.apply(plan, "1")
    server.sql("ALTER SYSTEM RESET work_mem")
    action.apply(plan, "1")
    server.sql("ALTER SYSTEM SET work_mem = '16MB'")
    assert "has work_mem '16MB', not '8MB'" in (action.changed(plan) or "")
    with pytest.raises(NotAppliedError, match="someone else changed it"):
        action.undo(plan)


def test_what_is_written_and_not_in_force_is_unknown(settled_server: PostgreSQL) -> None:
    server, action = settled_server, base.load(SET)
    plan = planned(server, SET, set={"work_mem": "8MB"})
    server.sql("ALTER SYSTEM SET work_mem = '8MB'")
    assert action.probe(plan, "1") is Probe.UNKNOWN
    assert action.apply(plan, "1").summary.endswith("already has work_mem to '8MB'")
    settled(plan)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"work_mem": "1kB"}, "work_mem is between 64 and .* kB, not '1kB'"),
        ({"work_mem": "8s"}, "work_mem is a number in kB, or with a unit of that kind, not '8s'"),
        ({"random_page_cost": "4MB"}, "random_page_cost is a number without a unit, not '4MB'"),
        ({"autovacuum": "5"}, "autovacuum is on or off, not '5'"),
        # the test's server is started with it
        ({"jit": "on"}, "jit is fixed by its command line, which goes before ALTER SYSTEM"),
        ({"max_parallel_workers": "-1"}, "max_parallel_workers is between 0 and 1024"),
    ],
)
def test_what_the_server_would_not_take_is_no_plan(
    settled_server: PostgreSQL, settings: dict[str, str], message: str
) -> None:
    with pytest.raises(PlanError, match=message):
        planned(settled_server, SET, set=settings)


def test_who_may_not_set_it_is_told_what_to_grant(settled_server: PostgreSQL) -> None:
    plan = planned(settled_server, SET, set={"statement_timeout": "1h"})
    with pytest.raises(NotAppliedError, match=r"permission denied .*statement_timeout.*; grant it, as docs"):
        base.load(SET).apply(plan, "1")
    with pytest.raises(NotAppliedError, match=r"permission denied .*; grant it, as docs"):
        planned(settled_server, SET, set={"work_mem": "8MB"}, user="blind")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"shared_buffers": "1GB"}, "settings out of .*got 'shared_buffers'"),
        ({"archive_command": "rm -rf /"}, "settings out of"),
        ({"work_mem": "8MB'; DROP TABLE a"}, "work_mem that is a number, with its unit"),
        ({"work_mem": [8]}, "work_mem that is a number"),
    ],
)
def test_only_listed_settings_and_plain_values(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        base.load(SET).Params.model_validate({"address": "db:5432", "set": settings})
