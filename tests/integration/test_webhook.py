"""`presagio webhook` as a process, between a real Prometheus and a real Alertmanager, killed again and again."""

import json
import random
import sys
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from http.client import HTTPException
from pathlib import Path
from typing import Any

import pytest
from servers import wait_until
from webhook_town import ACTION_POLICIES, Town, Webhook, town

from presagio.webhook.database import open_existing
from presagio.webhook.inbox import Inbox
from presagio.webhook.records import Records
from presagio.webhook.states import Reason, State


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as opened:
        yield opened


@pytest.fixture
def binaries(prometheus_binary: Path, alertmanager_binary: Path) -> tuple[Path, Path]:
    return prometheus_binary, alertmanager_binary


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
    # what the worker before it took while it was ending, it treats by what it knew
    wait_until(lambda: "msg=stopping" in here.webhook.output(), "end of the old worker")
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
