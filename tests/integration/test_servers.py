"""The harness itself, with real servers of both generations."""

import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread

import pytest
import yaml
from servers import (
    Alertmanager,
    NodeExporter,
    Process,
    Prometheus,
    RedisExporter,
    RedisServer,
    ServerError,
    answers_tcp,
    backfill,
    free_port,
    openmetrics,
    scrape,
    wait_until,
    writes_line,
)

DAY = 86_400


def exists(pid: int) -> bool:
    """Tell whether a process has the number `pid`, a zombie not counted."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_prometheus_scrapes_itself_answers_queries_and_leaves_no_process(
    prometheus_binary: Path, workdir: Path
) -> None:
    port = free_port()
    jobs = [scrape("self", f"127.0.0.1:{port}")]
    with Prometheus(prometheus_binary, workdir, jobs, port=port) as prometheus:
        pid = prometheus.pid
        prometheus.wait_for('up{job="self"} == 1')
        now = time.time()
        assert prometheus.value("vector(41) + 1") == 42.0
        assert prometheus.query('up{job="nobody"}') == []
        assert prometheus.value('up{job="nobody"}') is None
        [series] = prometheus.query_range("vector(7)", now - 10, now, 5)
        assert [value for _, value in series["values"]] == ["7", "7", "7"]
        with pytest.raises(ServerError, match=r"400: .*parse error"):
            prometheus.query("up{")
    assert not exists(pid)
    assert not prometheus.is_alive


def test_prometheus_keeps_its_samples_over_a_restart_and_over_a_crash(prometheus_binary: Path, workdir: Path) -> None:
    port = free_port()
    with Prometheus(prometheus_binary, workdir, [scrape("self", f"127.0.0.1:{port}")], port=port) as prometheus:
        [first] = prometheus.wait_for("timestamp(up)")
        seen = float(first["value"][1])
        prometheus.restart()
        assert prometheus.value("up", time=seen) == 1.0
        prometheus.kill9()
        assert not prometheus.is_alive
        prometheus.start()
        prometheus.wait_ready()
        assert prometheus.value("up", time=seen) == 1.0


def test_history_is_there_after_backfill(prometheus_binary: Path, promtool: Path, workdir: Path) -> None:
    start = (time.time() // DAY - 3) * DAY
    history = [(start + 60 * minute, float(minute)) for minute in range(600)]
    text = openmetrics([('memory_bytes{pod="a"}', history), ('memory_bytes{pod="b"}', [(start, 0.5)])])
    prometheus = Prometheus(prometheus_binary, workdir)
    backfill(promtool, text, prometheus.data_dir)
    with prometheus:
        [series] = prometheus.query_range('memory_bytes{pod="a"}', start, start + 599 * 60, 60)
        assert [(at, float(value)) for at, value in series["values"]] == history
        assert prometheus.value('memory_bytes{pod="b"}', time=start) == 0.5


def test_backfill_says_what_promtool_says(promtool: Path, workdir: Path) -> None:
    with pytest.raises(ServerError, match="promtool cannot backfill: "):
        backfill(promtool, "this is no metric\n# EOF\n", workdir / "data")


def test_a_broken_configuration_is_refused_with_the_words_of_prometheus(
    prometheus_binary: Path, workdir: Path
) -> None:
    with Prometheus(prometheus_binary, workdir) as prometheus:
        prometheus.config["global"]["scrape_interval"] = "often"
        with pytest.raises(ServerError, match="not a valid duration string"):
            prometheus.reload()
        prometheus.config["global"]["scrape_interval"] = "2s"
        prometheus.reload()


def test_a_server_that_cannot_start_shows_the_end_of_its_log(prometheus_binary: Path, workdir: Path) -> None:
    with (
        pytest.raises(ServerError, match=r"(?s)prometheus ended before it was ready; its log ends:.*no-such-flag"),
        Prometheus(prometheus_binary, workdir, flags=["--no-such-flag"]),
    ):
        pass


@contextmanager
def listener() -> Iterator[tuple[str, list[bytes]]]:
    """Yield the address of a web server on the loopback, and the bodies that were posted to it so far."""
    bodies: list[bytes] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            bodies.append(self.rfile.read(int(self.headers["Content-Length"])))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/", bodies
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_a_rule_that_fires_reaches_a_webhook(
    prometheus_binary: Path, alertmanager_binary: Path, workdir: Path
) -> None:
    rules = workdir / "rules.yml"
    alert = {"alert": "Always", "expr": "vector(1)", "labels": {"severity": "info"}}
    rules.write_text(yaml.safe_dump({"groups": [{"name": "test", "rules": [alert]}]}))
    with listener() as (url, bodies):
        config = {
            "route": {"receiver": "webhook", "group_wait": "0s", "group_by": ["alertname"]},
            "receivers": [{"name": "webhook", "webhook_configs": [{"url": url}]}],
        }
        with (
            Alertmanager(alertmanager_binary, workdir / "a", config) as alertmanager,
            Prometheus(prometheus_binary, workdir / "p", (), [rules], alertmanager.url) as prometheus,
        ):
            wait_until(lambda: bodies, "notification")
            assert b'"alertname":"Always"' in bodies[0]
            assert [alert["state"] for alert in prometheus.alerts()] == ["firing"]
            assert [alert["labels"]["severity"] for alert in alertmanager.alerts()] == ["info"]


def test_alertmanager_takes_alerts_and_a_new_configuration(alertmanager_binary: Path, workdir: Path) -> None:
    config = {"route": {"receiver": "nobody"}, "receivers": [{"name": "nobody"}]}
    with Alertmanager(alertmanager_binary, workdir, config) as alertmanager:
        alertmanager.send([{"labels": {"alertname": "Sent"}}])
        wait_until(alertmanager.alerts, "alert")
        alertmanager.config["route"] = {"receiver": "somebody"}
        with pytest.raises(ServerError, match="somebody"):
            alertmanager.reload()


def test_node_exporter_shows_the_collectors_named(
    prometheus_binary: Path, node_exporter_binary: Path, workdir: Path
) -> None:
    with (
        NodeExporter(node_exporter_binary, workdir / "n", ["meminfo"]) as node,
        Prometheus(prometheus_binary, workdir / "p", [scrape("node", node.address)]) as prometheus,
    ):
        prometheus.wait_for("node_memory_MemTotal_bytes > 0")
        assert prometheus.query("node_cpu_seconds_total") == []


def test_redis_exporter_sees_redis_come_and_go(
    prometheus_binary: Path, redis_server_binary: Path, redis_exporter_binary: Path, workdir: Path
) -> None:
    with (
        RedisServer(redis_server_binary, workdir / "r") as redis,
        RedisExporter(redis_exporter_binary, workdir / "e", redis.url) as exporter,
        Prometheus(prometheus_binary, workdir / "p", [scrape("redis", exporter.address)]) as prometheus,
    ):
        prometheus.wait_for("redis_up == 1")
        redis.kill9()
        prometheus.wait_for("redis_up == 0")
        redis.restart()
        prometheus.wait_for("redis_up == 1")


SLEEPER = "import time; print('awake', flush=True); time.sleep(600)"
# a process with a child, both deaf to SIGTERM
DEAF = """
import os, signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
child = os.fork()
if child:
    print('child', child, flush=True)
time.sleep(600)
"""


def sleeper(workdir: Path, code: str = SLEEPER, word: str = "awake") -> Process:
    return Process([sys.executable, "-c", code], workdir, name="sleeper", ready=writes_line(word))


def test_a_deaf_process_is_killed_with_its_children(workdir: Path) -> None:
    with sleeper(workdir, DEAF, "child") as process:
        child = int(process.output().split()[1])
        assert exists(child)
        process.stop(grace=0.2)
        wait_until(lambda: not exists(child), "end of the child")
        with pytest.raises(ServerError, match="sleeper is not running; start it first"):
            _ = process.pid


def test_a_process_that_ends_by_itself_is_not_alive(workdir: Path) -> None:
    with sleeper(workdir) as process:
        os.kill(process.pid, signal.SIGKILL)
        wait_until(lambda: not process.is_alive, "end")
        process.restart()
        assert process.is_alive


def test_a_process_cannot_be_started_twice(workdir: Path) -> None:
    with sleeper(workdir) as process, pytest.raises(ServerError, match="sleeper was started already; stop it first"):
        process.start()


def test_a_process_that_is_never_ready_is_ended(workdir: Path) -> None:
    process = sleeper(workdir, word="never")
    process.deadline = 0.3
    with pytest.raises(ServerError, match=r"(?s)sleeper is not ready after 0.3 s; its log ends:.*awake"), process:
        pass
    assert not process.is_alive


def test_readiness_by_port_is_of_that_port(workdir: Path) -> None:
    process = sleeper(workdir)
    assert not answers_tcp(free_port())(process)


def test_a_process_dies_with_its_parent(workdir: Path) -> None:
    code = f"""
        import sys
        from pathlib import Path
        sys.path[:0] = {sys.path!r}
        from servers import Process, writes_line
        argv = [sys.executable, "-c", {SLEEPER!r}]
        process = Process(argv, Path({str(workdir)!r}), name="orphan", ready=writes_line("awake"))
        process.start()
        process.wait_ready()
        print(process.pid, flush=True)
        sys.stdin.read()
    """
    argv = [sys.executable, "-c", textwrap.dedent(code)]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        assert exists(pid)
        parent.kill()
        wait_until(lambda: not exists(pid), "end of the orphan")


def test_no_port_is_given_twice() -> None:
    ports = [free_port() for _ in range(50)]
    assert len(set(ports)) == 50
    assert all(20_000 <= port < 32_768 for port in ports)
