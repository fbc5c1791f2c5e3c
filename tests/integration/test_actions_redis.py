"""The actions on Redis, on real servers, as a user that may do no more than they say."""

import json
import os
import signal
import time
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError
from servers import RedisServer

from presagio.actions import base, redis_server
from presagio.actions.addresses import Destination
from presagio.actions.base import NotAppliedError, Plan, PlanError, Probe, Target, UnknownOutcomeError

CART = Target("cart", {"instance": "redis-1:9121"})
PASSWORD = "correct horse"


@pytest.fixture
def server(redis_server_binary: Path, tmp_path: Path) -> Iterator[RedisServer]:
    with RedisServer(redis_server_binary, tmp_path / "redis") as started:
        yield started


def admin(server: RedisServer, *words: str) -> Any:
    with redis_server.connected(Destination(address=server.address)) as client:
        return client.client.execute_command(*words)


def allow(server: RedisServer, name: str, folder: Path) -> dict[str, str]:
    """Make a user who may do what the action names, and return how it logs in."""
    verbs = [verb for permission in base.load(name).permissions for verb in permission.verbs]
    admin(server, "ACL SETUSER", "presagio", "reset", "on", f">{PASSWORD}", *verbs)
    file = folder / "password"
    file.write_text(f"{PASSWORD}\n")
    return {"user": "presagio", "password_file": str(file)}


def planned(name: str, server: RedisServer, **params: Any) -> Plan:
    action = base.load(name)
    plan = action.plan(CART, action.Params.model_validate({"address": server.address, "timeout": "5s", **params}))
    return base.restored(json.loads(json.dumps(asdict(plan))))


def settings(server: RedisServer, *names: str) -> list[str]:
    return [admin(server, "CONFIG GET", name)[name] for name in names]


PURGE, SET = base.load("redis.purge_memory"), base.load("redis.config_set")


def test_a_purge_is_counted_by_the_server(server: RedisServer, tmp_path: Path) -> None:
    plan = planned("redis.purge_memory", server, **allow(server, "redis.purge_memory", tmp_path))
    assert plan.prior_state["allocator"].startswith("jemalloc")
    assert plan.prior_state.keys() == plan.desired_state.keys()
    assert PURGE.probe(plan, "1") is Probe.NOT_APPLIED
    assert "gave free memory back" in PURGE.apply(plan, "1").summary
    assert PURGE.probe(plan, "1") is Probe.APPLIED
    assert PURGE.changed(plan) is None
    with pytest.raises(NotAppliedError, match="no undo"):
        PURGE.undo(plan)


def test_a_restarted_server_cannot_say_whether_it_was_purged(server: RedisServer) -> None:
    plan = planned("redis.purge_memory", server)
    server.stop()
    with pytest.raises(NotAppliedError, match="cannot be asked"):
        PURGE.apply(plan, "1")
    server.start()
    server.wait_ready()
    assert PURGE.probe(plan, "1") is Probe.UNKNOWN


def test_settings_are_set_and_restored_by_a_user_who_may_do_no_more(server: RedisServer, tmp_path: Path) -> None:
    wanted = {"maxmemory": "512mb", "maxmemory-policy": "allkeys-lru", "active-defrag-cycle-max": 50}
    plan = planned("redis.config_set", server, set=wanted, **allow(server, "redis.config_set", tmp_path))
    assert plan.prior_state == {"maxmemory": "0", "maxmemory-policy": "noeviction", "active-defrag-cycle-max": "25"}
    assert SET.probe(plan, "1") is Probe.NOT_APPLIED
    SET.apply(plan, "1")
    assert settings(server, *wanted) == ["536870912", "allkeys-lru", "50"]
    assert "already has" in SET.apply(plan, "1").summary
    assert (SET.probe(plan, "1"), SET.changed(plan)) == (Probe.APPLIED, None)
    SET.undo(plan)
    assert settings(server, *wanted) == ["0", "noeviction", "25"]


def test_what_someone_else_changed_is_left_alone(server: RedisServer) -> None:
    plan = planned("redis.config_set", server, set={"maxmemory": "512mb"})
    SET.apply(plan, "1")
    admin(server, "CONFIG SET", "maxmemory", "1gb")
    assert "someone else" in str(SET.changed(plan))
    assert SET.probe(plan, "1") is Probe.UNKNOWN
    with pytest.raises(NotAppliedError, match="someone else"):
        SET.undo(plan)
    with pytest.raises(NotAppliedError, match="someone else"):
        SET.apply(plan, "2")
    assert settings(server, "maxmemory") == [str(2**30)]


@pytest.mark.parametrize(("policy", "words"), [("noeviction", "refused"), ("allkeys-lru", "would evict")])
def test_a_limit_below_what_is_used_is_refused(server: RedisServer, policy: str, words: str) -> None:
    wanted = {"maxmemory": "100kb", "maxmemory-policy": policy}
    with pytest.raises(PlanError, match=words):
        planned("redis.config_set", server, set=wanted)
    if policy != "noeviction":
        SET.apply(planned("redis.config_set", server, set=wanted, allow_eviction=True), "1")
        assert settings(server, "maxmemory") == ["102400"]


def test_no_answer_in_time_is_unknown_and_then_the_probe_tells(server: RedisServer) -> None:
    plan = planned("redis.config_set", server, set={"maxmemory": "512mb"}, timeout="1s")
    with redis_server.connected(Destination(address=server.address, timeout=1.0)) as client:
        client.info("memory")
        process = server._popen
        assert process is not None
        os.kill(process.pid, signal.SIGSTOP)
        try:
            with pytest.raises(UnknownOutcomeError, match="may have done CONFIG SET"):
                client.set({"maxmemory": "536870912"})
            assert SET.probe(plan, "1") is Probe.UNKNOWN
        finally:
            os.kill(process.pid, signal.SIGCONT)
    for _ in range(100):
        if SET.probe(plan, "1") is Probe.APPLIED:
            break
        time.sleep(0.05)
    assert SET.probe(plan, "1") is Probe.APPLIED


def test_a_wrong_password_and_a_lack_of_rights_say_what_to_do(server: RedisServer, tmp_path: Path) -> None:
    login = allow(server, "redis.purge_memory", tmp_path)
    with pytest.raises(NotAppliedError, match="ACL SETUSER"):
        planned("redis.config_set", server, set={"activedefrag": "no"}, **login)
    (tmp_path / "password").write_text("wrong")
    with pytest.raises(NotAppliedError, match="password_file"):
        planned("redis.purge_memory", server, **login)
    (tmp_path / "password").unlink()
    with pytest.raises(NotAppliedError, match="cannot be read"):
        planned("redis.purge_memory", server, **login)


def test_a_label_picks_only_what_the_policy_lists(server: RedisServer) -> None:
    several = {"address": None, "addresses": {"redis-1:9121": server.address}}
    assert planned("redis.purge_memory", server, **several).params["address"] == server.address
    action = base.load("redis.purge_memory")
    hostile = Target("cart", {"instance": "evil.example:6379\r\nFLUSHALL"})
    with pytest.raises(PlanError, match="does not list"):
        action.plan(hostile, action.Params.model_validate({"addresses": several["addresses"]}))


@pytest.mark.parametrize(
    "wanted",
    [
        {},
        {"dir": "/elsewhere"},
        {"maxmemory": "lots"},
        {"maxmemory": True},
        {"maxmemory-policy": "random"},
        {"activedefrag": "maybe"},
        {"active-defrag-cycle-max": 100},
        {"activedefrag": "yes\r\nFLUSHALL"},
    ],
)
def test_only_listed_settings_with_values_of_their_kind(wanted: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        base.load("redis.config_set").Params.model_validate({"address": "127.0.0.1:6379", "set": wanted})


@pytest.mark.parametrize("address", ["localhost", "${instance}:6379", "redis://x:1", "x:0", "x:99999", "a b:1"])
def test_an_address_is_a_host_and_a_port(address: str) -> None:
    with pytest.raises(ValidationError, match="an address such as"):
        base.load("redis.purge_memory").Params.model_validate({"address": address})
