"""One battery over every registered action. To register one brings its `Case` here."""

import atexit
import json
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import psycopg
import pytest
from fake_cluster import FakeBatch, FakeCore
from fake_kubernetes import FakeApps
from http_server import Told, serving
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from packages import locate
from pydantic import BaseModel
from servers import PostgresBinaries, PostgreSQL, RedisServer, wait_until

from presagio.actions import base, redis_server
from presagio.actions.addresses import Destination
from presagio.actions.base import ActionClass, Evidence, NotAppliedError, OutcomeError, Plan, PlanError, Probe, Target
from presagio.actions.command import Command
from presagio.actions.http import Http
from presagio.actions.kubernetes.cluster import Cluster
from presagio.actions.kubernetes.drain import Drain
from presagio.actions.kubernetes.job import RunJob
from presagio.actions.kubernetes.nodes import Cordon
from presagio.actions.kubernetes.pods import DeletePod, EvictPod
from presagio.actions.kubernetes.scale import ScaleBy
from presagio.actions.redis_server import RedisServer as RedisClient
from presagio.toolkit import plugins

SERVICE = "cart"
HARMLESS = "pod-1.example:9100"

HOSTILE = [
    # shell
    "$(reboot)", "`reboot`", "; reboot", "&& reboot", "| reboot", "> /etc/passwd", "$HOME", "${service_id}", "*", "~",
    "' reboot '", '" reboot "', "\\", "a b", "#", "!!",
    # options
    "-rf", "--all", "-", "--replicas=0",
    # paths
    "..", "../../etc/passwd", "/etc/passwd", "a/../../b", "%2e%2e%2f", "..%2f", ".", "\\..\\",
    # addresses
    "x@evil.org", "//evil.org/", "http://evil.org/", "?a=b", "&admin=true", "#fragment", "evil.org#", "%00", "%0d%0a",
    # headers and lines
    "a\r\nX-Evil: 1", "a\nb", "\0", "a\0b", "\x1b[2J", "\u2028", "\u202e",
    # PromQL, SQL, JSON, YAML, templates
    '"} or vector(1) #', "' OR '1'='1", '", "admin": true, "x": "', "{{ evil }}", "!!python/object:x", "${${x}}",
    # sizes and alphabets
    "x" * 100_000, "ä", "名", " ", "\t",
]  # fmt: skip


@dataclass(frozen=True)
class Case:
    """An action in a small world of its own. `params` use ${victim} wherever the action takes a placeholder."""

    action: base.Action[Any]
    params: dict[str, Any]
    world: Callable[[], Any]
    """What the world is like; changes if and only if the action had an effect."""
    values: Callable[[], list[str]]
    """What the world took the victim for, after an effect: each place where it was filled in."""
    destroy: Callable[[], None]
    """From now on the action can reach nothing."""


@contextmanager
def command(folder: Path) -> Iterator[Case]:
    marks = folder / "marks"
    marks.mkdir()
    # Writes the arguments that it really got, and their number, to a new file.
    program = folder / "program"
    code = f"import json, sys, uuid; open('{marks}/' + uuid.uuid4().hex, 'w').write(json.dumps(sys.argv[1:]))"
    program.write_text(f"#!{sys.executable}\n{code}\n")
    program.chmod(0o755)

    def world() -> list[list[str]]:
        return [
            json.loads(path.read_text()) for path in sorted(marks.iterdir(), key=lambda path: path.stat().st_mtime_ns)
        ]

    def values() -> list[str]:
        first, second, third = world()[-1]
        assert first == "first"
        return [second, third.removeprefix("--of=")]

    argv = [str(program), "first", "${victim}", "--of=${victim}"]
    yield Case(Command(), {"argv": argv, "timeout": "10s"}, world, values, program.unlink)


@contextmanager
def http(folder: Path) -> Iterator[Case]:
    with serving() as server:

        def values() -> list[str]:
            asked = server.asked[-1]
            assert "X-Evil" not in asked.headers
            url = urlsplit(asked.path)
            prefix, middle, suffix = url.path.split("/")[1:]
            assert (prefix, suffix, url.fragment) == ("a", "z", "")
            query, body = parse_qs(url.query, strict_parsing=True), json.loads(asked.body)
            assert (set(query), set(body)) == ({"q", "r"}, {"victim"})
            return [unquote(middle), query["q"][0], body["victim"][0]]

        def destroy() -> None:
            server.told = Told(drop=True)
            server.asked.clear()

        params = {
            "url": f"{server.url}/a/${{victim}}/z?q=${{victim}}&r=1",
            "body": {"victim": ["${victim}"]},
            "allow_private": ["127.0.0.1"],
            "timeout": "5s",
        }
        yield Case(Http(), params, lambda: len(server.asked), values, destroy)


@contextmanager
def scale_by(folder: Path) -> Iterator[Case]:
    apps = FakeApps(3)
    asked: list[str] = []
    read = apps.read_namespaced_deployment_scale

    def reading(name: str, namespace: str, **keywords: Any) -> Any:
        asked[:] = [name, namespace]
        return read(name, namespace, **keywords)

    def destroy() -> None:
        apps.fail_read = apps.fail_write = ConnectionResetError("gone")

    apps.read_namespaced_deployment_scale = reading  # type: ignore[method-assign] # to see who is asked for
    params = {"by": 2, "deployment": "${victim}", "namespace": "${victim}"}
    yield Case(ScaleBy(Cluster(apps, "default")), params, lambda: apps.scale.spec.replicas, lambda: asked, destroy)


@contextmanager
def redis(folder: Path, name: str, look: Callable[[Any], Any], **params: Any) -> Iterator[Case]:
    binary = locate("redis-server", "system")
    assert binary is not None  # SERVERS saw to it
    with RedisServer(binary, folder / "redis") as server:

        def world() -> Any:
            try:
                with redis_server.connected(Destination(address=server.address)) as client:
                    return look(client)
            except NotAppliedError:
                return "gone"

        several = {"addresses": {HARMLESS: server.address}, "by": "victim"}
        yield Case(base.load(name), {**several, **params}, world, lambda: [HARMLESS], server.stop)


@contextmanager
def purge_memory(folder: Path) -> Iterator[Case]:
    def look(client: RedisClient) -> bool:
        return "cmdstat_memory|purge" in client.info("commandstats")

    with redis(folder, "redis.purge_memory", look) as case:
        yield case


@contextmanager
def config_set(folder: Path) -> Iterator[Case]:
    def look(client: RedisClient) -> dict[str, str]:
        return client.settings({"maxmemory": ""})

    with redis(folder, "redis.config_set", look, set={"maxmemory": "512mb"}) as case:
        yield case


@cache
def postgres_server() -> PostgreSQL | None:
    """Return one server for all cases, ended with the tests: to make one takes seconds."""
    found = [locate(name, "databases") for name in ("postgres", "initdb", "psql", "pg_basebackup")]
    if None in found:
        return None
    folder = tempfile.TemporaryDirectory(prefix="presagio-")
    server = PostgreSQL(PostgresBinaries(*(path for path in found if path)), Path(folder.name) / "server")
    atexit.register(folder.cleanup)
    atexit.register(server.stop)
    server.__enter__()
    server.sql(
        "CREATE ROLE presagio", "CREATE ROLE shop LOGIN", "GRANT pg_signal_backend, pg_read_all_stats TO presagio"
    )
    return server


@contextmanager
def postgres(name: str, send: bytes, state: str, **params: Any) -> Iterator[Case]:
    server = postgres_server()
    assert server is not None  # SERVERS saw to it
    server.sql("ALTER ROLE presagio LOGIN")
    client = psycopg.connect(server.url.replace("postgres@", "shop@"), autocommit=True)
    client.execute("BEGIN")
    client.pgconn.send_query(send)
    look = f"SELECT count(*) FROM pg_stat_activity WHERE pid = {client.info.backend_pid} AND state = '{state}'"
    wait_until(lambda: server.sql(look) == "1", "the session")
    several = {"addresses": {HARMLESS: server.address}, "by": "victim", "users": ["shop"]}

    def destroy() -> None:
        server.sql("ALTER ROLE presagio NOLOGIN")

    with closing(client):
        yield Case(
            base.load(name),
            {**several, **params},
            lambda: server.sql(look),
            lambda: [HARMLESS],
            destroy,
        )


def end_idle(folder: Path) -> AbstractContextManager[Case]:
    del folder
    return postgres("postgres.end_idle_transactions", b"SELECT 1", "idle in transaction", older_than="1ms")


def cancel(folder: Path) -> AbstractContextManager[Case]:
    del folder
    return postgres("postgres.cancel_queries", b"SELECT pg_sleep(600)", "active", longer_than="1ms")


def on_pods(action: type[DeletePod]) -> Callable[[Path], AbstractContextManager[Case]]:
    @contextmanager
    def case(folder: Path) -> Iterator[Case]:
        core = FakeCore()
        cluster = Cluster(apps=None, core=core, namespace="default")
        params = {"pod": "${victim}", "namespace": "${victim}"}
        destroy = lambda: setattr(core, "fail", ConnectionResetError("gone"))  # noqa: E731
        yield Case(action(cluster), params, lambda: list(core.gone), lambda: core.asked, destroy)

    return case


def on_nodes(action: type[Cordon]) -> Callable[[Path], AbstractContextManager[Case]]:
    @contextmanager
    def case(folder: Path) -> Iterator[Case]:
        core = FakeCore()
        cluster = Cluster(apps=None, core=core, namespace="default")
        destroy = lambda: setattr(core, "fail", ConnectionResetError("gone"))  # noqa: E731
        yield Case(action(cluster), {"node": "${victim}"}, lambda: set(core.cordons), lambda: core.asked, destroy)

    return case


@contextmanager
def run_job(folder: Path) -> Iterator[Case]:
    batch = FakeBatch()

    def values() -> list[str]:
        (job,) = batch.jobs.values()
        (container,) = job["spec"]["template"]["spec"]["containers"]
        first, second = container["command"]
        assert first == "/clean"
        return [second.removeprefix("--of="), container["env"][0]["value"], job["namespace"]]

    def destroy() -> None:
        batch.fail = ConnectionResetError("gone")

    names = {"environment": {"WHO": "${victim}"}, "namespace": "${victim}"}
    params = {"image": "clean:1", "argv": ["/clean", "--of=${victim}"], **names}
    cluster = Cluster(apps=None, batch=batch, namespace="default")
    yield Case(RunJob(cluster), params, lambda: len(batch.jobs), values, destroy)


CASES: dict[str, Callable[[Path], AbstractContextManager[Case]]] = {
    "postgres.cancel_queries": cancel,
    "postgres.end_idle_transactions": end_idle,
    "command": command,
    "http": http,
    "kubernetes.scale_by": scale_by,
    "redis.config_set": config_set,
    "redis.purge_memory": purge_memory,
    "kubernetes.cordon": on_nodes(Cordon),
    "kubernetes.delete_pod": on_pods(DeletePod),
    "kubernetes.drain": on_nodes(Drain),
    "kubernetes.evict_pod": on_pods(EvictPod),
    "kubernetes.run_job": run_job,
}
VICTIMS = {
    "kubernetes.scale_by": "pod-1",
    "kubernetes.cordon": "pod-1",
    "kubernetes.delete_pod": "pod-1",
    "kubernetes.drain": "pod-1",
    "kubernetes.evict_pod": "pod-1",
    "kubernetes.run_job": "pod-1",
}


SERVERS = {"redis": "redis_server_binary", "postgres": "postgres_binaries"}
"""The fixtures by which a family of actions asks for the real server that it needs."""


@pytest.fixture(params=sorted(CASES))
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def case(name: str, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Case]:
    servers = SERVERS.get(name.partition(".")[0])
    if servers:
        request.getfixturevalue(servers)  # skips without them; in CI it fails
    with CASES[name](tmp_path) as found:
        yield found


def target(victim: str) -> Target:
    return Target(SERVICE, {"victim": victim, "service_id": SERVICE})


def planned(case: Case, victim: str) -> Plan:
    return case.action.plan(target(victim), case.action.Params.model_validate(case.params))


def stored(plan: Plan) -> Plan:
    """Return the plan as it comes back from the ledger."""
    return base.restored(json.loads(json.dumps(asdict(plan), sort_keys=True)))


def harmless(name: str) -> str:
    return VICTIMS.get(name, HARMLESS)


def test_every_registered_action_is_here() -> None:
    assert plugins.names(plugins.ACTIONS) == sorted(CASES)


def test_it_is_made_without_arguments_and_says_what_it_is(name: str) -> None:
    action = base.load(name)
    assert isinstance(action.action_class, ActionClass)
    assert 0 <= action.settle_seconds <= 600
    assert issubclass(action.Params, BaseModel)
    assert action.Params.model_config["extra"] == "forbid"
    assert action.Params.model_config["frozen"] is True


def test_every_parameter_is_described(name: str) -> None:
    fields = base.load(name).Params.model_fields
    assert [key for key, field in fields.items() if not field.description] == []


def test_a_plan_changes_nothing(case: Case, name: str) -> None:
    before = case.world()
    plan = planned(case, harmless(name))
    assert case.world() == before
    assert plan.action == name
    assert plan.summary.isprintable()


def test_a_plan_is_json_and_the_same_each_time(case: Case, name: str) -> None:
    plan = planned(case, harmless(name))
    assert stored(plan) == plan
    assert planned(case, harmless(name)) == plan


def test_a_stored_plan_is_carried_out(case: Case, name: str) -> None:
    before = case.world()
    evidence = case.action.apply(stored(planned(case, harmless(name))), "attempt-1")
    assert case.world() != before
    assert set(case.values()) == {harmless(name)}
    assert isinstance(evidence, Evidence)
    assert json.loads(json.dumps(evidence.facts)) == evidence.facts


@pytest.mark.parametrize(
    "name", [name for name in CASES if base.load(name).action_class is ActionClass.DESIRED_STATE], indirect=True
)
def test_class_a_converges(case: Case, name: str) -> None:
    plan = planned(case, harmless(name))
    case.action.apply(plan, "attempt-1")
    once = case.world()
    case.action.apply(plan, "attempt-1")
    assert case.world() == once
    assert case.action.probe(plan, "attempt-1") is Probe.APPLIED


def test_undo_restores_or_says_that_there_is_none(case: Case, name: str) -> None:
    before = case.world()
    plan = planned(case, harmless(name))
    case.action.apply(plan, "attempt-1")
    if plan.undo is None:
        with pytest.raises(NotAppliedError, match="no undo"):
            case.action.undo(plan)
    else:
        assert isinstance(case.action.undo(stored(plan)), Evidence)
        assert case.world() == before


def test_a_world_that_is_gone_is_told_in_the_contracts_words(case: Case, name: str) -> None:
    plan = planned(case, harmless(name))
    case.destroy()
    before = case.world()
    with pytest.raises(OutcomeError) as error:
        case.action.apply(plan, "attempt-1")
    if isinstance(error.value, NotAppliedError):
        assert case.world() == before
    assert error.value.evidence.summary
    assert case.action.probe(plan, "attempt-1") is Probe.UNKNOWN
    with pytest.raises(OutcomeError):
        case.action.undo(plan)


def test_a_label_that_is_missing_cannot_be_planned(case: Case) -> None:
    params = case.action.Params.model_validate(case.params)
    for labels in ({}, {"victim": ""}):
        with pytest.raises(PlanError, match="no label 'victim'"):
            case.action.plan(Target(SERVICE, labels), params)


@pytest.mark.parametrize("victim", HOSTILE, ids=lambda value: ascii(value)[:24])
def test_a_hostile_value_stays_a_value(case: Case, victim: str) -> None:
    check_value(case, victim)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(victim=st.text(min_size=1, max_size=30))
def test_any_value_stays_a_value(case: Case, victim: str) -> None:
    check_value(case, victim)


def check_value(case: Case, victim: str) -> None:
    """Either the value is refused before anything is done, or it arrives as what it is, in its place."""
    before = case.world()
    try:
        plan = planned(case, victim)
    except PlanError:
        assert case.world() == before
        return
    assert case.world() == before
    assert plan.summary.isprintable()
    case.action.apply(stored(plan), "attempt-1")
    assert set(case.values()) == {victim}
    if plan.undo is not None:
        case.action.undo(plan)
