"""`presagio webhook` as a process, between a real Prometheus and a real Alertmanager, killed again and again."""

import json
import random
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from http.client import HTTPException
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from servers import Alertmanager, Process, Prometheus, answers_http, free_port, scrape, wait_until

from presagio.webhook.database import open_existing
from presagio.webhook.inbox import Inbox
from presagio.webhook.records import Records
from presagio.webhook.states import Reason, State

KEY = "a-key-for-tests"
CONFIG = """
prometheus: {{url: "{prometheus}"}}
alertmanager: {{url: "{alertmanager}"}}
api: {{api_key: "{key} alice read,operate,approve"}}
external_url: http://presagio.test
timers: {{sample_interval: 1s, retry: 1s, hold: {hold}}}
action_policies: {{file: action_policies.json}}
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

    def __init__(self, fleet: Fleet, prometheus: Prometheus, alertmanager: Alertmanager, webhook: Webhook) -> None:
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


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as opened:
        yield opened


@pytest.fixture
def binaries(prometheus_binary: Path, alertmanager_binary: Path) -> tuple[Path, Path]:
    return prometheus_binary, alertmanager_binary


def town(stack: ExitStack, folder: Path, binaries: tuple[Path, Path], **settings: Any) -> Town:
    fleet, port = Fleet(folder), free_port()
    stack.callback(fleet.server.server_close)
    stack.callback(fleet.server.shutdown)
    prometheus = stack.enter_context(Prometheus(binaries[0], folder / "prometheus", [scrape("fleet", fleet.address)]))
    receiver = {
        "url": f"http://127.0.0.1:{port}/api/v1/alerts",
        "http_config": {"authorization": {"type": "Bearer", "credentials": KEY}},
    }
    route = {
        "receiver": "presagio", "group_by": ["alertname", "service_id"], "group_wait": "0s", "group_interval": "1s",
    }  # fmt: skip
    config = {"route": route, "receivers": [{"name": "presagio", "webhook_configs": [receiver]}]}
    alertmanager = stack.enter_context(Alertmanager(binaries[1], folder / "alertmanager", config))
    script = folder / "restart.py"
    script.write_text(SCRIPT)
    values: dict[str, Any] = {"mode": "auto", "seconds": 0, "hold": "1s", **settings}
    webhook = Webhook(
        folder, port, prometheus=prometheus.url, alertmanager=alertmanager.url, script=script, fleet=fleet.folder,
        **values,
    )  # fmt: skip
    return Town(fleet, prometheus, alertmanager, stack.enter_context(webhook))


def test_from_alert_to_verified_recovery(stack: ExitStack, workdir: Path, binaries: tuple[Path, Path]) -> None:
    here = town(stack, workdir, binaries)
    here.leak("web")
    here.fire("web")
    closed = wait_until(lambda: here.webhook.of("web", State.CLOSED), "closed remediation", 60)
    assert (closed["outcome"], closed["policy"], closed["action"]) == ("verified", "restart", "command")
    assert here.webhook.trail(closed["id"]) == [
        "received", "evaluating", "planned", "ready", "intent", "applied", "settling", "verifying", "verified",
        "holddown", "closed",
    ]  # fmt: skip
    assert len(here.fleet.attempts()) == 1
    assert here.prometheus.value('memory{service_id="web"}') == 1.0

    shown = here.webhook.audit("show", str(closed["id"]))
    assert f"{sys.executable} {workdir / 'restart.py'}" in shown
    assert "3 good samples in a row: good, good, good" in shown
    assert "the ledger is whole" in here.webhook.audit("verify")
    page = here.webhook.ask("/metrics")[1]
    assert 'presagio_remediations_finished_total{action="command",outcome="verified",policy="restart"} 1.0' in page
    assert "presagio_ledger_head_info{" in page
    assert f"#{closed['id']} Leak" in here.webhook.ask("/")[1]


def test_a_person_approves_and_pauses(stack: ExitStack, workdir: Path, binaries: tuple[Path, Path]) -> None:
    here = town(stack, workdir, binaries, mode="approval")
    assert here.webhook.decide("pause", "--note", "moving racks").endswith("by alice: moving racks\n")
    here.leak("web", "shop")
    here.fire("web", "shop")
    wait_until(lambda: here.webhook.of("web", State.BLOCKED), "blocked by the pause", 30)
    assert here.webhook.decide("resume") == "acting is not paused\n"
    web = wait_until(lambda: here.webhook.of("web", State.AWAITING_APPROVAL), "request for approval", 30)
    shop = wait_until(lambda: here.webhook.of("shop", State.AWAITING_APPROVAL), "request for approval", 30)
    (asked,) = wait_until(lambda: requests_of(here, web["id"]), "alert that asks", 30)
    assert asked["annotations"]["link"] == f"http://presagio.test/remediations/{web['id']}"
    assert here.fleet.attempts() == []

    assert here.webhook.decide("approve", str(web["id"]), "--note", "go") == f"remediation {web['id']} is ready\n"
    assert here.webhook.decide("refuse", str(shop["id"])) == f"remediation {shop['id']} is cancelled\n"
    closed = wait_until(lambda: here.webhook.of("web", State.CLOSED), "closed remediation", 60)
    assert (closed["outcome"], len(here.fleet.attempts())) == ("verified", 1)
    wait_until(lambda: not requests_of(here, web["id"]), "end of the alert that asked", 30)
    assert "alice" in here.webhook.audit("show", str(web["id"]), "--json")
    assert "the ledger is whole" in here.webhook.audit("verify")


def requests_of(here: Town, remediation: int) -> list[dict[str, Any]]:
    """Return the active alerts by which a remediation asks for approval."""
    wanted = {"alertname": "PresagioRemediationAwaitingApproval", "remediation": str(remediation)}
    return [alert for alert in here.alertmanager.alerts() if wanted.items() <= alert["labels"].items()]


def test_a_dry_run_does_nothing_and_a_reload_makes_it_act(
    stack: ExitStack, workdir: Path, binaries: tuple[Path, Path]
) -> None:
    here = town(stack, workdir, binaries, mode="dry-run")
    here.leak("web", "shop")
    here.fire("web")
    closed = wait_until(lambda: here.webhook.of("web", State.CLOSED), "dry run", 30)
    assert (closed["outcome"], here.fleet.attempts()) == ("dry_run", [])
    assert here.prometheus.value('memory{service_id="web"}') == 10.0

    (workdir / "action_policies.json").write_text('{"web": {}}')
    code, report = here.webhook.ask("/-/reload", b"")
    assert (code, "action_policies.json:1: web.actions: expected a value" in report) == (500, True), report
    (workdir / "action_policies.json").write_text(json.dumps(ACTION_POLICIES))
    here.webhook.configure(mode="auto")
    assert here.webhook.ask("/-/reload", b"")[0] == 200
    wait_until(lambda: here.webhook.output().count("Booting worker") == 2, "new worker")
    here.fire("shop")
    wait_until(lambda: here.webhook.of("shop", State.SETTLING), "applied action", 30)
    assert len(here.fleet.attempts()) == 1


@pytest.mark.parametrize("end", ["reload", "stop"])
def test_an_action_that_runs_at_the_end_of_its_worker_is_waited_for(
    stack: ExitStack, workdir: Path, binaries: tuple[Path, Path], end: str
) -> None:
    here = town(stack, workdir, binaries, seconds=4)
    here.leak("web")
    here.fire("web")
    wait_until(here.fleet.attempts, "attempt", 30)
    if end == "reload":
        assert here.webhook.ask("/-/reload", b"")[0] == 200
    else:
        here.webhook.stop(grace=30)
        here.webhook.start()
        here.webhook.wait_ready()
    found = wait_until(lambda: here.webhook.of("web", State.SETTLING, State.VERIFYING), "applied action", 30)
    assert "unknown" not in here.webhook.trail(found["id"])
    assert len(here.fleet.attempts()) == 1


def test_alertmanager_gone_blocks_and_goes_on_when_it_is_back(
    stack: ExitStack, workdir: Path, binaries: tuple[Path, Path]
) -> None:
    here = town(stack, workdir, binaries)
    here.leak("web")
    here.alertmanager.stop()
    labels = {"alertname": "Leak", "service_id": "web"}
    assert here.webhook.ask("/api/v1/alerts", notification("aaaa", labels))[0] == 200
    blocked = wait_until(lambda: here.webhook.of("web", State.BLOCKED), "blocked remediation", 30)
    assert blocked["reason"] == "alertmanager"
    assert here.fleet.attempts() == []


def notification(fingerprint: str, labels: dict[str, str]) -> dict[str, Any]:
    alert = {
        "fingerprint": fingerprint, "status": "firing", "labels": labels, "startsAt": "2026-01-01T00:00:00Z",
    }  # fmt: skip
    return {"version": "4", "status": "firing", "alerts": [alert]}


class Poster(threading.Thread):
    """Sends notifications without end; `acknowledged` are the fingerprints of those that were answered with 200."""

    def __init__(self, webhook: Webhook) -> None:
        super().__init__(daemon=True)
        self.webhook = webhook
        self.done = threading.Event()
        self.acknowledged: list[str] = []

    def run(self) -> None:
        for number in range(1_000_000):
            if self.done.wait(0.01):
                return
            body = notification(f"poster-{number}", {"alertname": "Leak", "service_id": "ghost"})
            try:
                code, _ = self.webhook.ask("/api/v1/alerts", body)
            except (OSError, HTTPException):
                continue
            if code == 200:
                self.acknowledged.append(f"poster-{number}")


BEFORE_THE_OUTCOME = (
    State.RECEIVED, State.EVALUATING, State.BLOCKED, State.PLANNED, State.READY, State.INTENT, State.UNKNOWN,
    State.NOT_APPLIED,
)  # fmt: skip
ROUNDS = 10
SERVICES_A_ROUND = 4


def test_killed_again_and_again_nothing_is_lost_and_nothing_done_twice(
    stack: ExitStack, workdir: Path, binaries: tuple[Path, Path]
) -> None:
    seed = random.randrange(2**32)
    print(f"seed {seed}")  # noqa: T201 # shown if the test fails
    chance = random.Random(seed)
    here = town(stack, workdir, binaries, seconds=0.1)
    names = [f"service-{number}" for number in range(ROUNDS * SERVICES_A_ROUND)]
    here.leak(*names)
    poster = Poster(here.webhook)
    poster.start()
    for number in range(ROUNDS):
        here.fire(*names[number * SERVICES_A_ROUND : (number + 1) * SERVICES_A_ROUND])
        time.sleep(chance.uniform(0.02, 1.0))
        here.webhook.kill9()
        here.webhook.start()
        here.webhook.wait_ready()
    poster.done.set()
    poster.join()
    # The last notification may be stored and not opened yet: then no remediation speaks of it.
    wait_until(lambda: opened(here), "opening of every notification", 90)
    wait_until(lambda: not here.webhook.remediations(*BEFORE_THE_OUTCOME), "decision on every alert", 90)
    here.webhook.stop()
    judge(here, names, poster.acknowledged)


def opened(here: Town) -> bool:
    engine = open_existing(here.webhook.storage / "ledger.db")
    try:
        return not Inbox(engine).waiting()
    finally:
        engine.dispose()


def judge(here: Town, names: Iterable[str], acknowledged: list[str]) -> None:
    done = here.fleet.attempts()
    assert len(done) == len(set(done)), "an attempt ran twice"
    engine = open_existing(here.webhook.storage / "ledger.db")
    records = Records(engine)
    cases = records.recent(1_000_000)
    rows = records.audit(1_000_000)
    engine.dispose()
    intents = {json.loads(row.facts)["attempt_id"] for row in rows if row.target == State.INTENT}
    assert set(done) <= intents, "something was done that was not written down before"
    assert set(acknowledged) <= {case.fingerprint for case in cases}, "an acknowledged alert was lost"
    for name in names:
        attempts = [case.attempt_id for case in cases if case.service_id == name and case.attempt_id]
        assert len(attempts) == 1, f"{name}: {attempts}"
    crashes = sum(row.reason == Reason.CRASH for row in rows)
    told = f"{len(done)} actions, {crashes} of them cut by a kill, {len(acknowledged)} acknowledged notifications"
    print(told, here.webhook.audit("verify"), sep="; ")  # noqa: T201 # shown by pytest -rP
