"""A town for `presagio webhook` as a process: services that leak, a real Prometheus, a real Alertmanager."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from servers import Alertmanager, Process, Prometheus, Queryable, answers_http, free_port, scrape

from presagio.webhook.states import State

KEY = "a-key-for-tests"
CONFIG = """
prometheus: {{url: "{prometheus}", kind: {kind}}}
alertmanager: {{url: "{alertmanager}"}}
api: {{api_key: "{key} alice read,operate,approve"}}
external_url: http://presagio.test
timers: {{workers: 4, sample_interval: 1s, retry: 1s, hold: {hold}}}
action_policies: {{file: action_policies.json}}
ledger: {ledger}
policies:
  - name: restart
    match: {{alertname: Leak}}
    when: ['memory{{service_id="${{service_id}}"}} > 5']
    mode: {mode}
    actions:
      - command: {{argv: [{python}, {script}, {fleet}, "${{service_id}}", "{seconds}"]}}
    verify: {{query: 'memory{{service_id="${{service_id}}"}} < 5', samples: 3, interval: 1s, deadline: 30s}}
    guards: {{cooldown: "0", max_per_hour: 10000}}
guards: {{max_per_hour: 10000, storm: {{least: 10000}}}}
"""
# The effect: the attempt's id at the end of a file, and after a while the service is well.
SCRIPT = """
import os, pathlib, sys, time
fleet, service, seconds = pathlib.Path(sys.argv[1]), sys.argv[2], float(sys.argv[3])
with open(fleet.with_name("attempts"), "a") as attempts:
    attempts.write(os.environ["PRESAGIO_ATTEMPT_ID"] + "\\n")
time.sleep(seconds)
(fleet / service).write_text("1")
print("restarted", service)
"""


class Fleet:
    """Services, each a file with its memory; Prometheus scrapes them all."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "fleet"
        self.folder.mkdir()
        fleet = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.send_response(200)
                self.send_header("Content-Type", "text/plain; version=0.0.4")
                self.end_headers()
                self.wfile.write(fleet.page().encode())

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def page(self) -> str:
        values = {path.name: path.read_text() or "0" for path in self.folder.iterdir()}
        return "".join(f'memory{{service_id="{name}"}} {value}\n' for name, value in values.items())

    def leak(self, *names: str) -> None:
        for name in names:
            (self.folder / name).write_text("10")

    def attempts(self) -> list[str]:
        path = self.folder.with_name("attempts")
        return path.read_text().split() if path.exists() else []


class Webhook(Process):
    """The command that users run, with requests to it."""

    def __init__(self, folder: Path, port: int, **settings: Any) -> None:
        self.url = f"http://127.0.0.1:{port}"
        self.config = folder / "webhook.yml"
        self.storage = folder / "data"
        self.settings = settings
        self.configure()
        (folder / "action_policies.json").write_text(json.dumps(ACTION_POLICIES))
        argv: list[str | Path] = [
            Path(sys.executable).with_name("presagio"), "webhook", f"--config.file={self.config}",
            f"--web.listen-address=127.0.0.1:{port}", f"--storage.path={self.storage}",
        ]  # fmt: skip
        super().__init__(argv, folder, name="webhook", ready=answers_http(f"{self.url}/-/ready"))

    def configure(self, **changes: Any) -> None:
        self.settings |= changes
        self.config.write_text(CONFIG.format(**self.settings, key=KEY, python=sys.executable))

    def ask(self, path: str, body: Any = None) -> tuple[int, str]:
        data = None if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
        headers = {"Content-Type": "application/json", "X-API-Key": KEY}
        try:
            with urllib.request.urlopen(urllib.request.Request(self.url + path, data, headers), timeout=10) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read().decode()

    def remediations(self, *states: State) -> list[dict[str, Any]]:
        wanted = "".join(f"&state={state}" for state in states)
        code, text = self.ask(f"/api/v1/remediations?limit=500{wanted}")
        assert code == 200, text
        return list(json.loads(text)["remediations"])

    def of(self, service: str, *states: State) -> dict[str, Any] | None:
        return next((one for one in self.remediations(*states) if one["service_id"] == service), None)

    def trail(self, number: int) -> list[str]:
        return [line["target"] for line in json.loads(self.ask(f"/api/v1/remediations/{number}")[1])["story"]]

    def audit(self, *words: str) -> str:
        return self.command("audit", *words, f"--storage.path={self.storage}", f"--config.file={self.config}")

    def decide(self, *words: str) -> str:
        keys = self.config.with_name("key")
        keys.write_text(KEY)
        return self.command("remediation", *words, f"--url={self.url}", f"--api-key-file={keys}")

    def command(self, *words: str) -> str:
        argv = [*self.argv[:1], *words]
        told = subprocess.run(argv, capture_output=True, text=True, check=False)
        assert told.returncode == 0, told.stderr
        return told.stdout


ACTION_POLICIES = {
    "web": {"actions": {"restart": {"command": "/bin/true", "conditions": {"metrics": {"memory": "> 5"}}}}}
}


class Town:
    """Everything: services, Prometheus, Alertmanager and the webhook."""

    def __init__(self, fleet: Fleet, prometheus: Queryable, alertmanager: Alertmanager, webhook: Webhook) -> None:
        self.fleet = fleet
        self.prometheus = prometheus
        self.alertmanager = alertmanager
        self.webhook = webhook

    def leak(self, *names: str) -> None:
        """Let services leak, until Prometheus has seen it."""
        self.fleet.leak(*names)
        self.prometheus.wait_for(f"count(memory > 5) >= {len(names)}")

    def fire(self, *names: str) -> None:
        self.alertmanager.send([{"labels": {"alertname": "Leak", "service_id": name}} for name in names])


Source = Callable[[Path, Sequence[Mapping[str, Any]]], Queryable]
"""Makes, in a folder, what scrapes some jobs and answers as Prometheus does."""


def town(stack: ExitStack, folder: Path, binaries: tuple[Path, Path], **settings: Any) -> Town:
    return town_around(lambda home, jobs: Prometheus(binaries[0], home, jobs), stack, folder, binaries[1], **settings)


def town_around(source: Source, stack: ExitStack, folder: Path, alertmanager_binary: Path, **settings: Any) -> Town:
    fleet, port = Fleet(folder), free_port()
    stack.callback(fleet.server.server_close)
    stack.callback(fleet.server.shutdown)
    prometheus = stack.enter_context(source(folder / "prometheus", [scrape("fleet", fleet.address)]))
    receiver = {
        "url": f"http://127.0.0.1:{port}/api/v1/alerts",
        "http_config": {"authorization": {"type": "Bearer", "credentials": KEY}},
    }
    route = {
        "receiver": "presagio", "group_by": ["alertname", "service_id"], "group_wait": "0s", "group_interval": "1s",
    }  # fmt: skip
    config = {"route": route, "receivers": [{"name": "presagio", "webhook_configs": [receiver]}]}
    alertmanager = stack.enter_context(Alertmanager(alertmanager_binary, folder / "alertmanager", config))
    script = folder / "restart.py"
    script.write_text(SCRIPT)
    values: dict[str, Any] = {"mode": "auto", "seconds": 0, "hold": "1s", "ledger": "{}", **settings}
    values |= {
        "prometheus": prometheus.url,
        "kind": prometheus.kind,
        "alertmanager": alertmanager.url,
        "script": script,
        "fleet": fleet.folder,
    }
    return Town(fleet, prometheus, alertmanager, stack.enter_context(Webhook(folder, port, **values)))
