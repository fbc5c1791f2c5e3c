"""One battery over every registered action. To register one brings its `Case` here."""

import atexit
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, closing, contextmanager
from dataclasses import asdict, dataclass
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import psycopg
import pytest
from controlplane import ControlPlane, assets, deployment
from fake_cluster import FakeBatch, FakeCore
from http_server import Told, serving
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from kubernetes.client import AppsV1Api, CoreV1Api
from kubernetes.config import new_client_from_config
from packages import locate
from pydantic import BaseModel
from servers import PostgresBinaries, PostgreSQL, RedisServer, wait_until
from systemd_manager import Manager, manager

from presagio.actions import base, redis_server, running
from presagio.actions.addresses import Destination
from presagio.actions.base import ActionClass, Evidence, NotAppliedError, OutcomeError, Plan, PlanError, Probe, Target
from presagio.actions.command import Command
from presagio.actions.disk import Clean
from presagio.actions.http import Http
from presagio.actions.kubernetes.cluster import Cluster
from presagio.actions.kubernetes.cluster import of as cluster_of
from presagio.actions.kubernetes.drain import Drain
from presagio.actions.kubernetes.environment import SetEnvironment
from presagio.actions.kubernetes.job import RunJob
from presagio.actions.kubernetes.nodes import Cordon
from presagio.actions.kubernetes.pods import DeletePod, EvictPod
from presagio.actions.kubernetes.resources import SetResources
from presagio.actions.kubernetes.restart import Restart
from presagio.actions.kubernetes.rollback import Rollback
from presagio.actions.kubernetes.scale import ScaleBy, ScaleTo
from presagio.actions.notify import Notify
from presagio.actions.process_signal import Signal, Terminate
from presagio.actions.redis_server import RedisServer as RedisClient
from presagio.actions.wait import Wait
from presagio.toolkit import plugins

# the test's API server signs its own certificate
pytestmark = pytest.mark.filterwarnings("ignore:Unverified HTTPS request")

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
    then: Probe = Probe.UNKNOWN
    """What the probe says after that."""


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


@cache
def workload() -> tuple[str, Any]:
    """Return the kubeconfig of a control plane for all cases, ended with the tests, and its administrator.

    A deployment `pod-1` is there in a namespace `pod-1`, in its second revision.
    """
    folder = tempfile.TemporaryDirectory(prefix="presagio-")
    atexit.register(folder.cleanup)
    stack = ExitStack()
    atexit.register(stack.close)
    config = str(stack.enter_context(ControlPlane(assets(), Path(folder.name))).kubeconfig())
    api = client(config)
    core: Any = CoreV1Api(api)
    apps: Any = AppsV1Api(api)
    core.create_namespace({"metadata": {"name": "pod-1"}})
    apps.create_namespaced_deployment("pod-1", deployment("pod-1", 3))
    wait_until(lambda: len(apps.list_namespaced_replica_set("pod-1").items) == 1, "the first revision")
    second = [{"op": "replace", "path": "/spec/template/spec/containers/0/image", "value": "registry.test/two"}]
    apps.patch_namespaced_deployment("pod-1", "pod-1", second)
    wait_until(lambda: len(apps.list_namespaced_replica_set("pod-1").items) == 2, "the second revision")
    return config, apps


def client(config: str) -> Any:
    load: Any = new_client_from_config
    api = load(config)
    api.configuration.retries = 0
    return api


def on_workload(
    action: Callable[[Cluster], base.Action[Any]], look: Callable[[Any], Any], **params: Any
) -> Callable[[Path], AbstractContextManager[Case]]:
    @contextmanager
    def case(folder: Path) -> Iterator[Case]:
        config, apps = workload()
        used: Any = client(config)
        cluster = cluster_of(used, "default")
        before = apps.read_namespaced_deployment("pod-1", "pod-1").spec

        def world() -> Any:
            return look(apps.read_namespaced_deployment("pod-1", "pod-1").spec)

        def destroy() -> None:
            text = re.sub(r"https://[0-9.:]+", "https://127.0.0.1:1", Path(config).read_text())
            (folder / "gone").write_text(text)
            vars(cluster).update(vars(cluster_of(client(str(folder / "gone")), "default")))

        names = {"deployment": "${victim}", "namespace": "${victim}"}
        yield Case(action(cluster), {**names, **params}, world, lambda: ["pod-1"], destroy)
        if apps.read_namespaced_deployment("pod-1", "pod-1").spec != before:
            restored = [
                {
                    "op": "replace",
                    "path": "/spec/template",
                    "value": used.sanitize_for_serialization(before.template),
                },
                {"op": "replace", "path": "/spec/replicas", "value": before.replicas},
            ]
            apps.patch_namespaced_deployment("pod-1", "pod-1", restored)

    return case


def replicas(spec: Any) -> Any:
    return spec.replicas


def template(spec: Any) -> Any:
    return spec.template.to_dict()


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
        "CREATE ROLE presagio", "CREATE ROLE shop LOGIN", "GRANT pg_signal_backend, pg_read_all_stats TO presagio",
        "GRANT SELECT ON pg_file_settings TO presagio", "GRANT ALTER SYSTEM ON PARAMETER work_mem TO presagio",
        "GRANT EXECUTE ON FUNCTION pg_show_all_file_settings(), pg_reload_conf() TO presagio",
    )  # fmt: skip
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


@contextmanager
def alter_system(folder: Path) -> Iterator[Case]:
    del folder
    server = postgres_server()
    assert server is not None  # SERVERS saw to it
    server.sql("ALTER ROLE presagio LOGIN", "ALTER SYSTEM RESET ALL", "SELECT pg_reload_conf()")
    wait_until(lambda: server.sql("SHOW work_mem") == "4MB", "the reload")
    look = "SELECT coalesce(max(setting), '') FROM pg_file_settings WHERE name = 'work_mem'"
    params = {"addresses": {HARMLESS: server.address}, "by": "victim", "set": {"work_mem": "8MB"}}

    def world() -> str:
        told = server.sql(look)
        # a reload takes a moment
        wait_until(lambda: server.sql("SHOW work_mem") == (told or "4MB"), "the reload")
        return told

    def destroy() -> None:
        server.sql("ALTER ROLE presagio NOLOGIN")

    yield Case(base.load("postgres.set"), params, world, lambda: [HARMLESS], destroy)


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


@contextmanager
def notify(folder: Path) -> Iterator[Case]:
    del folder
    told: dict[str, str] = {}

    class Told(Notify):
        def apply(self, plan: Plan, attempt_id: str) -> Evidence:
            evidence = super().apply(plan, attempt_id)
            told.update(evidence.message or {})
            return evidence

    params = {"text": "look at ${victim}", "severity": "critical"}
    yield Case(Told(), params, lambda: dict(told), lambda: [told["text"].removeprefix("look at ")], told.clear)


@contextmanager
def wait(folder: Path) -> Iterator[Case]:
    del folder
    yield Case(Wait(), {"for": 60.0}, lambda: None, list, lambda: None)


@contextmanager
def clean(folder: Path) -> Iterator[Case]:
    root = folder / "log"
    root.mkdir()
    for name in ("app.log.1", "app.log.2", "app.log.3", "app.log"):
        (root / name).write_text("x" * 5000)
        os.utime(root / name, (1e9, 1e9))
    params = {"roots": [root], "patterns": ["*.log.*"], "older_than": 60.0}
    yield Case(Clean(), params, lambda: sorted(folder.rglob("*")), list, lambda: shutil.rmtree(root))


@contextmanager
def on_process(folder: Path, action: base.Action[Any], then: Probe, **params: Any) -> Iterator[Case]:
    heard = folder / "heard"
    code = (
        f"import signal, sys, time; h = open({str(heard)!r}, 'w', buffering=1)\n"
        "signal.signal(signal.SIGHUP, lambda *_: print('x', file=h))\n"
        "print('ready', flush=True)\nwhile 1: time.sleep(9)"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        (folder / "pid").write_text(f"{process.pid}\n")

        def world() -> Any:
            # the world of one that heard a signal takes a moment to show it
            return running.find(process.pid) is not None, heard.read_text()

        def destroy() -> None:
            process.kill()
            process.wait()

        yield Case(action, {"pid_file": folder / "pid", **params}, world, list, destroy, then)
        destroy()


def signalled(folder: Path) -> AbstractContextManager[Case]:
    class Awaited(Signal):
        def apply(self, plan: Plan, attempt_id: str) -> Evidence:
            evidence = super().apply(plan, attempt_id)
            wait_until((folder / "heard").read_text, "the signal")
            return evidence

    return on_process(folder, Awaited(), Probe.UNKNOWN, signal="HUP")


def terminated(folder: Path) -> AbstractContextManager[Case]:
    return on_process(folder, Terminate(), Probe.APPLIED)


@cache
def systemd() -> Manager:
    """Return one manager for all cases, ended with the tests."""
    folder = tempfile.TemporaryDirectory(prefix="presagio-")
    atexit.register(folder.cleanup)
    stack = ExitStack()
    atexit.register(stack.close)
    return stack.enter_context(manager(Path(folder.name) / "systemd"))


@contextmanager
def restart_unit(folder: Path) -> Iterator[Case]:
    found = systemd()
    found.service("pod-1", "/bin/sleep infinity")
    away = folder / "away"
    away.mkdir()

    def destroy() -> None:
        os.environ.update(dict.fromkeys(found.environment, str(away)))

    params = {"unit": "${victim}.service", "units": ["pod-1.service"], "user": True}
    with pytest.MonkeyPatch.context() as patch:
        for name, value in found.environment.items():
            patch.setenv(name, value)
        yield Case(
            base.load("systemd.restart"), params, lambda: found.invocation("pod-1"), lambda: ["pod-1"], destroy
        )


CASES: dict[str, Callable[[Path], AbstractContextManager[Case]]] = {
    "postgres.cancel_queries": cancel,
    "postgres.end_idle_transactions": end_idle,
    "postgres.set": alter_system,
    "command": command,
    "http": http,
    "kubernetes.restart": on_workload(Restart, template),
    "kubernetes.rollback": on_workload(Rollback, template),
    "kubernetes.scale_by": on_workload(ScaleBy, replicas, by=2),
    "kubernetes.scale_to": on_workload(ScaleTo, replicas, replicas=5),
    "kubernetes.set_environment": on_workload(SetEnvironment, template, set={"CACHE": "off"}),
    "kubernetes.set_resources": on_workload(SetResources, template, limits={"cpu": "1"}),
    "redis.config_set": config_set,
    "redis.purge_memory": purge_memory,
    "kubernetes.cordon": on_nodes(Cordon),
    "kubernetes.delete_pod": on_pods(DeletePod),
    "kubernetes.drain": on_nodes(Drain),
    "kubernetes.evict_pod": on_pods(EvictPod),
    "kubernetes.run_job": run_job,
    "notify": notify,
    "systemd.restart": restart_unit,
    "wait": wait,
    "disk.clean": clean,
    "process.signal": signalled,
    "process.terminate": terminated,
}


def of_package(entry: EntryPoint) -> Callable[[Path], AbstractContextManager[Case]]:
    """Return the case of an action of another package (docs/custom-actions.md), which cannot import `Case`."""

    @contextmanager
    def opened(folder: Path) -> Iterator[Case]:
        with entry.load()(folder) as found:
            yield Case(**found)

    return opened


CASES |= {entry.name: of_package(entry) for entry in entry_points(group="presagio.action_cases")}
WITHOUT_LABELS = ("disk.clean", "process.signal", "process.terminate", "wait")
"""The policy alone says what they do: no label has a part in it."""
WITHOUT_EFFECT = ("wait",)
OUT_OF_NOTHING = ("notify", "wait")
"""They need nothing that could be gone."""
VICTIMS = {
    "kubernetes.restart": "pod-1",
    "kubernetes.rollback": "pod-1",
    "kubernetes.scale_by": "pod-1",
    "kubernetes.scale_to": "pod-1",
    "kubernetes.set_environment": "pod-1",
    "kubernetes.set_resources": "pod-1",
    "kubernetes.cordon": "pod-1",
    "kubernetes.delete_pod": "pod-1",
    "kubernetes.drain": "pod-1",
    "kubernetes.evict_pod": "pod-1",
    "kubernetes.run_job": "pod-1",
    "systemd.restart": "pod-1",
}


SERVERS = {"redis": "redis_server_binary", "postgres": "postgres_binaries"}
"""The fixtures by which a family of actions asks for the real server that it needs."""


def names(*but: str) -> pytest.MarkDecorator:
    """Ask for all actions without some."""
    return pytest.mark.parametrize("name", sorted(CASES.keys() - set(but)), indirect=True)


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
    assert (case.world() != before) is (name not in WITHOUT_EFFECT)
    assert set(case.values()) == (set() if name in WITHOUT_LABELS else {harmless(name)})
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
    # what is told is in no world yet: it is told again if it was not stored
    expected = Probe.NOT_APPLIED if name == "notify" else Probe.APPLIED
    assert case.action.probe(plan, "attempt-1") is expected


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


@names(*OUT_OF_NOTHING)
def test_a_world_that_is_gone_is_told_in_the_contracts_words(case: Case, name: str) -> None:
    plan = planned(case, harmless(name))
    case.destroy()
    before = case.world()
    with pytest.raises(OutcomeError) as error:
        case.action.apply(plan, "attempt-1")
    if isinstance(error.value, NotAppliedError):
        assert case.world() == before
    assert error.value.evidence.summary
    assert case.action.probe(plan, "attempt-1") is case.then
    with pytest.raises(OutcomeError):
        case.action.undo(plan)


@names(*WITHOUT_LABELS)
def test_a_label_that_is_missing_cannot_be_planned(case: Case) -> None:
    params = case.action.Params.model_validate(case.params)
    for labels in ({}, {"victim": ""}):
        with pytest.raises(PlanError, match="no label 'victim'"):
            case.action.plan(Target(SERVICE, labels), params)


@pytest.mark.parametrize("name", WITHOUT_LABELS, indirect=True)
def test_no_label_has_a_part_in_it(case: Case) -> None:
    params = case.action.Params.model_validate(case.params)
    assert case.action.plan(Target(SERVICE, {}), params) == planned(case, "../../etc/passwd")


@names(*WITHOUT_LABELS)
@pytest.mark.parametrize("victim", HOSTILE, ids=lambda value: ascii(value)[:24])
def test_a_hostile_value_stays_a_value(case: Case, victim: str) -> None:
    check_value(case, victim)


@names(*WITHOUT_LABELS)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(victim=st.text(min_size=1, max_size=30))
def test_any_value_stays_a_value(case: Case, victim: str) -> None:
    check_value(case, victim)


def check_value(case: Case, victim: str) -> None:
    """Either the value is refused before anything is done, or it arrives as what it is, in its place."""
    before = case.world()
    try:
        plan = planned(case, victim)
    except (PlanError, NotAppliedError):  # no such thing is there
        assert case.world() == before
        return
    assert case.world() == before
    assert plan.summary.isprintable()
    case.action.apply(stored(plan), "attempt-1")
    assert set(case.values()) == {victim}
    if plan.undo is not None:
        case.action.undo(plan)
