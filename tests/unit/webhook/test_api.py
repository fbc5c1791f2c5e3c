"""The API: 200 means stored, what cannot be stored now is 503, what never can be is 4xx."""

import json
import logging

import pytest
from fake_front import KEY, Front
from fake_world import START, World, alert
from sqlalchemy.exc import OperationalError

from presagio.webhook.states import State


@pytest.fixture
def front(world: World) -> Front:
    return Front(world)


def notification(*names: str, **more: object) -> dict[str, object]:
    alerts = [alert(name, "firing", START) for name in names]
    return {"version": "4", "status": "firing", "groupKey": "g", "alerts": alerts, **more}


def test_stored_before_it_is_answered(front: Front) -> None:
    body = notification("f", "g", newField={"of": "a later version"})
    stored = {"status": "stored", "notification": 1, "alerts": 2, "duplicate": False}
    assert front.post(body) == (200, stored)
    (waiting,) = front.world.inbox.waiting()
    assert json.loads(waiting.payload) == body
    assert (waiting.alerts, waiting.sender) == (2, "127.0.0.1")
    assert front.world.metric("alerts_received_total", status="firing") == 2


def test_a_repeated_delivery_is_recognised(front: Front) -> None:
    front.post(notification("f"))
    assert front.post(notification("f")) == (
        200, {"status": "stored", "notification": 1, "alerts": 1, "duplicate": True},
    )  # fmt: skip
    assert front.world.metric("notifications_received_total") == 1
    assert front.world.metric("notifications_repeated_total") == 1


def test_a_notification_without_alerts_is_fine(front: Front) -> None:
    assert front.post(notification())[0] == 200


@pytest.mark.parametrize(
    ("body", "code", "error"),
    [
        ("{", 400, "malformed JSON"),
        ("", 400, "no JSON body"),
        (b'{"version": "4\xff"}', 400, "malformed JSON"),
        ("[]", 422, "body"),
        ({"version": "3", "status": "firing", "alerts": []}, 422, "version: expected '4', got \"3\""),
        ({"version": "4", "alerts": []}, 422, "status: expected a value, got nothing"),
        ('{"version": "4", "status": "firing", "receiver": "\\ud800", "alerts": []}', 422, "receiver: expected a"),
        ({"version": "4", "status": "firing", "alerts": [], "receiver": "x" * 20_000}, 413, "larger than 9.766 KiB"),
    ],
)
def test_what_can_never_be_stored_is_refused(front: Front, body: object, code: int, error: str) -> None:
    answered, document = front.post(body)
    assert (answered, error in document["error"]) == (code, True), document
    assert front.world.inbox.waiting() == []


@pytest.mark.parametrize(
    ("headers", "code"),
    [
        ({"X-API-Key": "secret"}, 200),
        ({"Authorization": "Bearer secret"}, 200),
        ({"Authorization": "Basic eDpzZWNyZXQ="}, 200),
        ({"X-API-Key": "wrong"}, 401),
        ({"Accept": "*/*"}, 401),
    ],
)
def test_only_who_has_a_key_may_notify(front: Front, headers: dict[str, str], code: int) -> None:
    assert front.post(notification("f"), **headers)[0] == code


def test_a_storm_is_asked_to_come_again(front: Front) -> None:
    assert front.post(notification("a", "b", "c"))[0] == 200
    answer = front.client.post("/api/v1/alerts", json=notification("d", "e", "f"), headers=KEY)
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "10")
    assert "more than 5 alerts wait" in answer.get_json()["error"]
    assert front.world.metric("notifications_refused_total", reason="full") == 1
    front.world.fire("x", active=False)
    front.world.run()
    assert front.post(notification("d", "e", "f"))[0] == 200


def test_a_ledger_in_trouble_is_503_and_never_200(front: Front, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise OperationalError("insert", {}, Exception("disk is full"))

    monkeypatch.setattr(front.world.inbox, "store", broken)
    code, document = front.post(notification("f"))
    assert (code, document) == (503, {"error": "the ledger cannot be used now; send it again later"})
    assert front.world.metric("notifications_refused_total", reason="ledger") == 1


def test_what_alertmanager_left_out_is_counted_and_told(front: Front, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        front.post(notification("f", truncatedAlerts=7))
    assert front.world.metric("alerts_truncated_total") == 7
    assert "alertmanager left alerts out" in caplog.text


def test_the_list_has_pages_and_states(front: Front) -> None:
    for name in "abcde":
        front.world.fire(name, service_id=name)
    front.world.run()
    code, page = front.get("/remediations?limit=2")
    assert (code, [one["id"] for one in page["remediations"]], page["next_before"]) == (200, [5, 4], 4)
    _, rest = front.get("/remediations?limit=3&before=4")
    assert [one["id"] for one in rest["remediations"]] == [3, 2, 1]
    assert front.get("/remediations?state=closed")[1] == {"remediations": [], "next_before": None}
    assert len(front.get("/remediations?state=settling&state=closed")[1]["remediations"]) == 5
    assert front.get("/remediations?state=nowhere")[0] == 422
    assert front.get("/remediations?limit=0")[0] == 422


def test_one_remediation_has_its_story(front: Front) -> None:
    front.world.fire()
    front.world.run()
    code, found = front.get("/remediations/1")
    assert code == 200
    assert (found["alertname"], found["service_id"], found["state"]) == ("Leak", "shop", "settling")
    assert [line["target"] for line in found["story"]] == [state.value for state in front.world.states()]
    assert found["story"][2]["text"] == "the conditions hold and nothing objects; plan: fix shop"
    assert found["plan"]["summary"] == "fix shop"
    assert found["verification"]["samples"] == 3


def test_one_that_is_not_there(front: Front) -> None:
    assert front.get("/remediations/7") == (
        404, {"error": "there is no remediation 7; GET /api/v1/remediations lists them"},
    )  # fmt: skip
    assert front.get(f"/remediations/{10**30}")[0] == 422


def test_numbers_that_json_has_no_word_for(front: Front) -> None:
    front.world.prometheus.good = float("nan")
    front.world.fire()
    front.world.run(200)
    samples = front.get("/remediations/1")[1]["samples"]
    assert samples[0]["series"][0]["value"] == "nan"


def test_the_document_names_every_call(front: Front) -> None:
    calls = {"/api/v1/alerts", "/api/v1/remediations", "/api/v1/remediations/{remediation}"}
    assert calls <= set(front.document["paths"])


class TestPages:
    def page(self, front: Front, path: str = "/") -> str:
        answer = front.client.get(path, headers=KEY)
        assert answer.status_code == 200, answer.text
        return answer.text

    def test_a_browser_is_asked_for_the_key_as_a_password(self, front: Front) -> None:
        answer = front.client.get("/")
        assert (answer.status_code, answer.headers["WWW-Authenticate"][:6]) == (401, "Basic ")
        assert front.client.get("/", auth=("anybody", "secret")).status_code == 200

    def test_without_authentication_everybody_sees_it(self, world: World) -> None:
        assert Front(world, authentication="none").client.get("/").status_code == 200

    def test_nothing_comes_from_outside(self, front: Front) -> None:
        front.world.fire()
        front.world.run()
        for path in ("/", "/remediations/1"):
            text = self.page(front, path)
            assert "http://" not in text.replace("http-equiv", "")
            assert "<script" not in text
        headers = front.client.get("/", headers=KEY).headers
        assert headers["Content-Security-Policy"].startswith("default-src 'none'; style-src 'self'")
        assert "prefers-color-scheme: dark" in self.page(front, "/style.css")

    def test_what_comes_from_alerts_stays_text(self, front: Front) -> None:
        evil = "<script>alert(1)</script>\"'><img src=x>"
        front.world.fire(service_id=evil, alertname="Leak", extra=evil)
        front.world.run()
        for path in ("/", "/remediations/1"):
            text = self.page(front, path)
            assert "<script" not in text
            assert "<img" not in text
            assert "&lt;script&gt;alert(1)&lt;/script&gt;" in text

    def test_every_end_has_a_page(self, front: Front) -> None:
        world = front.world
        world.fix.undo_facts = {"size": 0}
        world.fire("f", service_id="a")
        world.run(900)
        world.prometheus.good = None
        world.fire("g", service_id="b")
        world.run(900)
        world.prometheus.down = True
        world.fire("h", service_id="c")
        world.run()
        for number in (1, 2, 3):
            text = self.page(front, f"/remediations/{number}")
            assert "ledger row" in text
        assert "next look in" in text
        overview = self.page(front)
        assert "1 remediation under way" in overview
        assert "Prometheus cannot be asked for scores: prometheus is down" in overview
        assert "scores unknown" in overview
        assert "no anomalous" not in overview

    def test_a_page_of_the_samples(self, front: Front) -> None:
        front.world.fire()
        front.world.prometheus.good = True
        front.world.run(200)
        text = self.page(front, "/remediations/1")
        assert text.count('<tr class="good">') >= 3
        assert "3 good samples in a row: good, good, good" in text

    def test_samples_are_seen_while_they_are_taken(self, front: Front) -> None:
        front.world.fire()
        front.world.run(100)
        assert "UTC: bad, bad" in self.page(front)

    def test_only_addresses_become_links(self, front: Front) -> None:
        links = {"runbook_url": "https://runbooks.test/x?a=1&b=2", "evil": "javascript:alert(1)"}
        front.world.alertmanager.firing.add("f")
        front.world.notify(alert("f", "firing", START) | {"annotations": links})
        front.world.run()
        text = self.page(front, "/remediations/1")
        assert '<a href="https://runbooks.test/x?a=1&amp;b=2" rel="noreferrer">' in text
        assert 'href="javascript' not in text

    def test_one_that_is_not_there(self, front: Front) -> None:
        assert front.client.get("/remediations/9", headers=KEY).status_code == 404
        assert front.client.get(f"/remediations/{10**30}", headers=KEY).status_code == 404

    def test_alerts_that_started_nothing_are_not_shown(self, front: Front) -> None:
        front.world.fire(active=False)
        front.world.run()
        assert front.world.case().state is State.DROPPED
        assert "None yet" in self.page(front)

    def test_a_ledger_in_trouble(self, front: Front, monkeypatch: pytest.MonkeyPatch) -> None:
        def broken(*_: object) -> None:
            raise OperationalError("select", {}, Exception("gone"))

        monkeypatch.setattr(front.world.records, "recent", broken)
        answer = front.client.get("/", headers=KEY)
        assert (answer.status_code, answer.get_json()["error"][:32]) == (503, "the ledger cannot be read now; t")
