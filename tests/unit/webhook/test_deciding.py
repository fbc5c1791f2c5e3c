"""Who may approve, refuse and pause: through the API, on the pages, and with which key."""

import json
from pathlib import Path
from typing import Any

import pytest
from fake_world import World, policy
from flask.testing import FlaskClient

from presagio.toolkit import web
from presagio.toolkit.log import get_log
from presagio.toolkit.webconfig import AuthConfig, Guard
from presagio.webhook import api, dashboard
from presagio.webhook.acting_api import Counter
from presagio.webhook.api import Desk
from presagio.webhook.dashboard import View
from presagio.webhook.states import Outcome, Reason, State

KEYS = """
machine-key
alice-key alice read,operate,approve
reader-key olga read
"""
HERE = {"Origin": "http://localhost"}


class Desks:
    """API and pages on a world whose one remediation waits for approval."""

    def __init__(self, world: World, folder: Path) -> None:
        self.world = world
        keys = folder / "keys"
        keys.write_text(KEYS)
        log = get_log("test")
        guard = Guard(AuthConfig(api_key_file=keys), log)
        site = web.Site(
            title="Presagio test", description="", metrics=lambda: b"", ready=lambda: None, reload=lambda: None,
            landing=False, max_body=10_000,
        )  # fmt: skip
        app = web.create(site, world.registry, log)
        desk = Desk(world.inbox, world.records, world.metrics, world.clock, log, 5)
        counter = Counter(world.machine.tools, world.ledger, world.clock, log)
        app.register_api(api.create(desk, counter, guard))
        app.register_blueprint(dashboard.create(View(world.records, world.prometheus, world.clock), counter, guard))
        self.client: FlaskClient = app.test_client()

    def ask(self, method: str, path: str, key: str, body: object = None) -> tuple[int, Any]:
        answer = self.client.open(f"/api/v1{path}", method=method, json=body, headers={"X-API-Key": f"{key}-key"})
        return answer.status_code, answer.get_json()

    def form(self, path: str, key: str, headers: dict[str, str] = HERE, **fields: str) -> tuple[int, str]:
        answer = self.client.post(path, data=fields, auth=("x", f"{key}-key"), headers=headers)
        return answer.status_code, answer.get_data(as_text=True)

    def page(self, path: str) -> str:
        return self.client.get(path, auth=("x", "reader-key")).get_data(as_text=True)

    @property
    def body(self) -> dict[str, object]:
        return {"plan_hash": self.world.case().plan_hash, "note": "as agreed"}


@pytest.fixture
def desks(world: World, tmp_path: Path) -> Desks:
    world.use(policy(mode="approval"))
    world.fire()
    world.run()
    return Desks(world, tmp_path)


def test_a_person_approves(desks: Desks) -> None:
    code, told = desks.ask("POST", "/remediations/1/approve", "alice", desks.body)
    assert (code, told["state"], told["reason"]) == (200, State.READY, Reason.APPROVED)
    row = desks.world.records.last_row()
    assert row is not None
    assert (row.who, json.loads(row.facts)["note"]) == ("alice", "as agreed")


def test_a_person_refuses(desks: Desks) -> None:
    code, told = desks.ask("POST", "/remediations/1/refuse", "alice", desks.body)
    assert (code, told["outcome"]) == (200, Outcome.REFUSED)


@pytest.mark.parametrize(
    ("key", "error"), [("machine", "an unnamed key may not approve"), ("reader", "olga may only read")]
)
@pytest.mark.parametrize("answer", ["approve", "refuse"])
def test_it_takes_the_role(desks: Desks, key: str, error: str, answer: str) -> None:
    code, told = desks.ask("POST", f"/remediations/1/{answer}", key, desks.body)
    assert (code, desks.world.case().state, told["error"].startswith(error)) == (403, State.AWAITING_APPROVAL, True)
    assert desks.form("/remediations/1", key, plan_hash="x", answer=answer)[0] == 403


@pytest.mark.parametrize(
    ("path", "body", "code", "error"),
    [
        ("/remediations/7/approve", {"plan_hash": "x"}, 404, "there is no remediation 7"),
        ("/remediations/1/approve", {"plan_hash": "beef"}, 409, "the answer is for the plan 'beef'"),
        ("/remediations/1/approve", {}, 422, "plan_hash"),
        ("/remediations/1/approve", {"plan_hash": "x", "note": "x" * 501}, 422, "note"),
    ],
)
def test_what_cannot_be_taken_is_told(desks: Desks, path: str, body: object, code: int, error: str) -> None:
    found, told = desks.ask("POST", path, "alice", body)
    assert (found, error in json.dumps(told)) == (code, True)
    assert desks.world.case().state is State.AWAITING_APPROVAL


def test_of_two_answers_one_counts(desks: Desks) -> None:
    body = desks.body
    assert desks.ask("POST", "/remediations/1/approve", "alice", body)[0] == 200
    code, told = desks.ask("POST", "/remediations/1/approve", "alice", body)
    assert (code, "does not wait for approval, it is 'ready'" in told["error"]) == (409, True)


def test_the_page_shows_the_plan_and_takes_the_answer(desks: Desks) -> None:
    plan_hash = str(desks.world.case().plan_hash)
    assert f'name="plan_hash" value="{plan_hash}"' in desks.page("/remediations/1")
    code, _ = desks.form("/remediations/1", "alice", plan_hash=plan_hash, answer="approve", note="go")
    assert (code, desks.world.case().state) == (303, State.READY)
    assert 'name="plan_hash"' not in desks.page("/remediations/1")


@pytest.mark.parametrize("headers", [{}, {"Origin": "https://evil.test"}, {"Origin": "null"}])
def test_a_form_of_another_site_is_not_taken(desks: Desks, headers: dict[str, str]) -> None:
    plan_hash = str(desks.world.case().plan_hash)
    code, _ = desks.form("/remediations/1", "alice", headers, plan_hash=plan_hash, answer="approve")
    assert (code, desks.world.case().state) == (403, State.AWAITING_APPROVAL)
    assert desks.form("/pause", "alice", headers, paused="on")[0] == 403


def test_a_form_with_any_other_answer_refuses(desks: Desks) -> None:
    desks.form("/remediations/1", "alice", plan_hash=str(desks.world.case().plan_hash), answer="maybe")
    assert desks.world.case().state is State.CANCELLED


def test_who_operates_may_pause(desks: Desks) -> None:
    assert desks.ask("GET", "/pause", "reader") == (200, {"paused": False, "since": None, "who": None, "note": None})
    code, told = desks.ask("PUT", "/pause", "machine", {"paused": True, "note": "deploying"})
    assert (code, told["paused"], told["who"], told["note"]) == (200, True, "an unnamed key", "deploying")
    assert "All acting is paused" in desks.page("/")
    code, told = desks.ask("PUT", "/pause", "reader", {"paused": False})
    assert (code, told["error"]) == (403, "olga may only read; it takes the role operate")
    assert desks.form("/pause", "alice", switch="off")[0] == 303
    assert desks.ask("GET", "/pause", "reader")[1]["paused"] is False
    assert [row.who for row in desks.world.records.audit() if row.reason == "switch"] == ["alice", "an unnamed key"]


def test_who_operates_may_freeze_what_is_learnt(desks: Desks) -> None:
    assert desks.ask("GET", "/learning", "reader")[1]["frozen"] is False
    code, told = desks.ask("PUT", "/learning", "reader", {"frozen": True})
    assert (code, told["error"]) == (403, "olga may only read; it takes the role operate")
    code, told = desks.ask("PUT", "/learning", "alice", {"frozen": True, "note": "odd choices"})
    assert (code, told["frozen"], told["who"], told["note"]) == (200, True, "alice", "odd choices")
    assert desks.world.metric("learning_frozen") == 1
    assert "Learning is frozen" in desks.page("/")
    assert desks.form("/learning", "reader", switch="off")[0] == 403
    assert desks.form("/learning", "alice", switch="off")[0] == 303
    assert desks.ask("GET", "/learning", "reader")[1]["frozen"] is False
    assert [row.who for row in desks.world.records.audit() if row.reason == "switch"] == ["alice", "alice"]


def test_a_label_on_the_page_stays_a_label(world: World, tmp_path: Path) -> None:
    world.use(policy(mode="approval"))
    world.fire(service_id='<script>alert("x")</script>')
    world.run()
    page = Desks(world, tmp_path).page("/remediations/1")
    assert "<script>" not in page
    assert "&lt;script&gt;" in page
