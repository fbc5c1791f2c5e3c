"""The actions on PostgreSQL, on a real server, as a role that may do no more than they say."""

import json
from collections.abc import Iterator
from contextlib import closing
from dataclasses import asdict
from typing import Any

import psycopg
import pytest
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
