"""The servers of one run, all real: Prometheus, Alertmanager, the database, the webhook, and the baseline."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import Engine

from presagio.webhook.database import open_existing
from presagio.webhook.postgresql import open_postgresql

sys.path.insert(0, str(Path(__file__).parents[2] / "demo"))
from packages import locate
from servers import Alertmanager, PostgresBinaries, PostgreSQL, Process, Prometheus, answers_http, free_port, scrape

SQLITE, POSTGRESQL = "sqlite", "postgresql"

CONFIG = """
prometheus: {{url: "{prometheus}"}}
alertmanager: {{url: "{alertmanager}"}}
api: {{authentication: none}}
ledger: {ledger}
limits: {{pending_alerts: 1000000}}
timers: {{sample_interval: 5s, hold: 30s}}
policies:
  - name: storm
    match: {{alertname: Storm}}
    when: ['up{{job="prometheus"}} == 1']
    mode: auto
    actions: [{{wait: {{}}}}]
    verify: {{query: 'up{{job="prometheus"}} == 1', samples: 3, interval: 5s, deadline: 2m}}
    guards: {{cooldown: "0", max_per_hour: 1000000}}
guards: {{max_per_hour: 1000000, storm: {{least: 1000000}}}}
"""


@dataclass(frozen=True)
class Stage:
    """Addresses, and how to open the ledger once the webhook has ended."""

    webhook: Process
    url: str
    baseline: str
    alertmanager: Alertmanager
    database: str
    folder: Path

    def ledger(self) -> Engine:
        """Return the ledger. Raises LedgerError."""
        if self.database == SQLITE:
            return open_existing(self.folder / "data" / "ledger.db")
        return open_postgresql(self.database)

    def hold(self, alerts: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Let Alertmanager hold alerts, and return them as it tells of them."""
        for begin in range(0, len(alerts), 500):
            self.alertmanager.send(alerts[begin : begin + 500])
        wanted = {alert["labels"]["service_id"] for alert in alerts}
        while True:
            held = [one for one in self.alertmanager.alerts() if one["labels"].get("service_id") in wanted]
            if len(held) == len(alerts):
                return held
            time.sleep(0.2)


@contextmanager
def stage(kind: str, folder: Path) -> Iterator[Stage]:
    """Start everything, with a database of this kind; end it by process id."""
    with ExitStack() as stack:
        database = kind if kind == SQLITE else stack.enter_context(_postgresql(folder / kind)).url
        own = free_port()
        jobs = [scrape("prometheus", f"127.0.0.1:{own}")]
        prometheus = stack.enter_context(Prometheus(_program("prometheus"), folder / "prometheus", jobs, port=own))
        prometheus.wait_for("up == 1")
        routes = {"route": {"receiver": "nobody"}, "receivers": [{"name": "nobody"}]}
        alertmanager = stack.enter_context(Alertmanager(_program("alertmanager"), folder / "alertmanager", routes))
        ledger = "{}"
        if kind != SQLITE:
            key = folder / "ledger.key"
            key.write_text("5a" * 32)
            ledger = f'{{url: "{database}", key_file: {key}}}'
        config = folder / "webhook.yml"
        config.write_text(CONFIG.format(prometheus=prometheus.url, alertmanager=alertmanager.url, ledger=ledger))
        webhook, url = _webhook(folder, config)
        stack.enter_context(webhook)
        receiver, baseline = _receiver(folder)
        stack.enter_context(receiver)
        yield Stage(webhook, url, baseline, alertmanager, database, folder)


def _postgresql(folder: Path) -> PostgreSQL:
    binaries = PostgresBinaries(*(_program(name) for name in ("postgres", "initdb", "psql", "pg_basebackup")))
    # as durable as SQLite is here, or it would be no comparison
    return PostgreSQL(binaries, folder, settings={"fsync": "on"})


def _webhook(folder: Path, config: Path) -> tuple[Process, str]:
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    argv: list[str | Path] = [
        Path(sys.executable).with_name("presagio"), "webhook", f"--config.file={config}",
        f"--web.listen-address=127.0.0.1:{port}", f"--storage.path={folder / 'data'}", "--log.level=warn",
    ]  # fmt: skip
    return Process(argv, folder, name="webhook", ready=answers_http(f"{url}/-/ready")), url


def _receiver(folder: Path) -> tuple[Process, str]:
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    argv: list[str | Path] = [sys.executable, "-P", Path(__file__).with_name("receiver.py"), str(port)]
    return Process(argv, folder, name="receiver", ready=answers_http(f"{url}/-/ready")), url


def _program(name: str) -> Path:
    for generation in ("system", "databases"):
        found = locate(name, generation)
        if found is not None:
            return found
    raise SystemExit(f"the benchmark needs {name}; `make servers` gets it")
