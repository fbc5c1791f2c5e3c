"""Everything that runs in the demo, and how it is configured: the files are what a user would write."""

import contextlib
import secrets
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from packages import locate
from servers import (
    Alertmanager,
    NodeExporter,
    Process,
    Prometheus,
    RedisExporter,
    RedisServer,
    answers_http,
    free_port,
    scrape,
)

HERE = Path(__file__).parent.absolute()
RULES = sorted((HERE.parent / "rules").glob("presagio.*.yml"))
NEEDED = ("prometheus", "alertmanager", "node_exporter", "redis_exporter", "redis-server")
SERVICES = ("checkout", "search", "mail", "catalog")
HEALTHY_BYTES = 100 << 20

EXPORTER = """\
prometheus: {{url: {prometheus}}}
evaluation: {{interval: 1s, delay: 1s, stale_after: 15s}}
services: {{id: "{{app}}"}}
presets: [node, redis]
signals:
  - name: memory
    query: process_resident_memory_bytes{{job="shop"}}
    unit: bytes
    dead_band: {{relative: 0.25}}
  - name: requests
    query: rate(shop_requests_total{{job="shop"}}[5s])
    unit: requests per second
    dead_band: {{relative: 0.25}}
api: {{api_key_file: {key}}}
"""

WEBHOOK = """\
prometheus: {{url: {prometheus}}}
alertmanager: {{url: {alertmanager}}}
api: {{api_key_file: {key}}}
policies:
  - name: restart-a-leaking-service
    match: {{alertname: PresagioAnomaly, signal: memory}}
    when:
      - presagio_signal_value{{service_id="${{service_id}}", signal="memory"}} > {healthy}
    mode: auto
    actions:
      - command: {{argv: [{python}, {restart}, "${{service_id}}", {folder}], timeout: 30s}}
    verify:
      query: process_resident_memory_bytes{{app="${{service_id}}"}} < {healthy}
      samples: 5
      interval: 1s
      deadline: 2m
"""


@dataclass
class Stack:
    """The running parts."""

    folder: Path
    key: str
    prometheus: Prometheus
    alertmanager: Alertmanager
    services: dict[str, Process]
    ports: dict[str, int]
    exporter: Process
    webhook: Process
    exporter_url: str
    webhook_url: str
    stopped: set[str]

    def supervise(self) -> None:
        """Start a service's process again when it has ended, as systemd or Kubernetes would."""
        for name, process in self.services.items():
            if not process.is_alive and name not in self.stopped:
                process.stop()
                process.start()


def missing() -> list[str]:
    """Return the servers that are neither on PATH nor among the packages we got."""
    return [name for name in NEEDED if locate(name, "system") is None]


@contextlib.contextmanager
def running(folder: Path) -> Iterator[Stack]:
    """Start everything in dependency order; end it in the reverse order, whatever happens."""
    with contextlib.ExitStack() as stack:
        yield _start(folder, stack)


def _start(folder: Path, stack: contextlib.ExitStack) -> Stack:
    key = secrets.token_urlsafe(24)
    (folder / "api.key").write_text(key + "\n")
    (folder / "api.key").chmod(0o600)
    ports = {name: free_port() for name in SERVICES}
    services = {name: stack.enter_context(_service(name, ports[name], folder)) for name in SERVICES}
    targets = [*_exporters(folder, stack), *(_target(name, port) for name, port in ports.items())]
    exporter_port, webhook_port = free_port(), free_port()
    alertmanager = stack.enter_context(alertmanager_of(folder, webhook_port))
    ours = [{"targets": [f"127.0.0.1:{port}"]} for port in (exporter_port, webhook_port)]
    jobs = [*_jobs(targets), {"job_name": "presagio", "honor_labels": True, "static_configs": ours}]
    prometheus = stack.enter_context(
        Prometheus(_found("prometheus"), folder / "prometheus", jobs, RULES, alertmanager.url)
    )
    values = {
        "prometheus": prometheus.url, "alertmanager": alertmanager.url, "key": folder / "api.key",
        "python": sys.executable, "restart": HERE / "restart.py", "folder": folder, "healthy": HEALTHY_BYTES,
    }  # fmt: skip
    exporter = stack.enter_context(presagio("exporter", EXPORTER.format(**values), exporter_port, folder))
    webhook = stack.enter_context(presagio("webhook", WEBHOOK.format(**values), webhook_port, folder))
    return Stack(
        folder, key, prometheus, alertmanager, services, ports, exporter, webhook,
        f"http://127.0.0.1:{exporter_port}", f"http://127.0.0.1:{webhook_port}", set(),
    )  # fmt: skip


def _found(name: str) -> Path:
    path = locate(name, "system")
    assert path is not None, name  # noqa: S101 # `missing` has looked
    return path


def _service(name: str, port: int, folder: Path) -> Process:
    argv: list[str | Path] = [sys.executable, HERE / "service.py", name, str(port), folder]
    return Process(argv, folder, name=name, ready=answers_http(f"http://127.0.0.1:{port}/metrics"))


def _exporters(folder: Path, stack: contextlib.ExitStack) -> list[tuple[str, str, str]]:
    """Start node exporter, Redis and its exporter; return (job, app, address) of each exporter."""
    node = stack.enter_context(NodeExporter(_found("node_exporter"), folder / "node"))
    redis = stack.enter_context(RedisServer(_found("redis-server"), folder / "redis"))
    watcher = stack.enter_context(RedisExporter(_found("redis_exporter"), folder / "redis-exporter", redis.url))
    return [("node", "node", node.address), ("redis", "redis", watcher.address)]


def _target(name: str, port: int) -> tuple[str, str, str]:
    return "shop", name, f"127.0.0.1:{port}"


def _jobs(targets: Sequence[tuple[str, str, str]]) -> list[dict[str, Any]]:
    jobs: dict[str, list[dict[str, Any]]] = {}
    for job, app, address in targets:
        jobs.setdefault(job, []).append({"targets": [address], "labels": {"app": app}})
    return [{**scrape(job), "static_configs": static} for job, static in jobs.items()]


def alertmanager_of(folder: Path, webhook_port: int, binary: Path | None = None) -> Alertmanager:
    """Return the Alertmanager that tells the webhook at this port of every alert; the key is in FOLDER/api.key."""
    url = f"http://127.0.0.1:{webhook_port}/api/v1/alerts"
    credentials = {"type": "Bearer", "credentials_file": str(folder / "api.key")}
    config = {
        "route": {
            "receiver": "presagio", "group_by": ["alertname", "service_id"],
            "group_wait": "1s", "group_interval": "5s", "repeat_interval": "1h",
        },
        "receivers": [
            {"name": "presagio", "webhook_configs": [{"url": url, "http_config": {"authorization": credentials}}]}
        ],
    }  # fmt: skip
    return Alertmanager(binary or _found("alertmanager"), folder / "alertmanager", config)


def presagio(wing: str, config: str, port: int, folder: Path, env: Mapping[str, str] | None = None) -> Process:
    """Return the process of `presagio exporter` or `presagio webhook`, its configuration written."""
    yaml.safe_load(config)
    file = folder / f"{wing}.yml"
    file.write_text(config)
    argv: list[str | Path] = [
        Path(sys.executable).with_name("presagio"), wing, f"--config.file={file}",
        f"--web.listen-address=127.0.0.1:{port}", f"--storage.path={folder / wing}",
    ]  # fmt: skip
    healthy = answers_http(f"http://127.0.0.1:{port}/-/healthy")
    return Process(argv, folder, name=wing, ready=healthy, env=env)
