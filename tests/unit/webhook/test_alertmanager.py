import json
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from http_server import HttpServer, serving
from pydantic import SecretStr

from presagio.webhook.alertmanager import Alertmanager
from presagio.webhook.config import AlertmanagerConfig
from presagio.webhook.courier import alert
from presagio.webhook.errors import AlertmanagerError
from presagio.webhook.tables import Message

RUNBOOKS = "https://github.com/presagio/presagio/blob/main/docs/runbooks"


@pytest.fixture
def server() -> Iterator[HttpServer]:
    with serving() as running:
        running.told.body = b"[]"
        yield running


def client(server: HttpServer, **more: object) -> Alertmanager:
    return Alertmanager(AlertmanagerConfig.model_validate({"url": server.url, "timeout": "1s", **more}))


def test_it_asks_for_what_is_active_and_neither_silenced_nor_inhibited(server: HttpServer) -> None:
    server.told.body = json.dumps([{"fingerprint": "a", "labels": {}}, {"fingerprint": "b"}]).encode()
    assert client(server).active() == {"a", "b"}
    assert server.asked[0].path == "/api/v2/alerts?active=true&silenced=false&inhibited=false"


@pytest.mark.parametrize(
    ("labels", "filters"),
    [
        ({"alertname": "Slow", "service_id": 'a"b\\c\nd'}, ['alertname="Slow"', 'service_id="a\\"b\\\\c\\nd"']),
        ({"alertname": "Slow", "ümlaut": "x"}, []),
        ({"alertname": "Slow", "long": "x" * 5000}, []),
    ],
)
def test_it_asks_about_one_alert_by_its_labels_if_they_can_be_said(
    server: HttpServer, labels: dict[str, str], filters: list[str]
) -> None:
    client(server).active(labels)
    assert parse_qs(urlsplit(server.asked[0].path).query).get("filter", []) == filters


def test_it_says_who_we_are(server: HttpServer, tmp_path: Path) -> None:
    client(server, bearer_token=SecretStr("token")).active()
    assert server.asked[0].headers["Authorization"] == "Bearer token"
    with pytest.raises(AlertmanagerError, match="secret file"):
        client(server, bearer_token_file=tmp_path / "gone").active()


@pytest.mark.parametrize(
    ("status", "body", "message"),
    [
        (500, b"oops", "answered 500: oops"),
        (302, b"elsewhere", "answered 302"),
        (200, b"<html>", r"gave no list of alerts: b'<html>'; is it an Alertmanager\?"),
        (200, b'{"status": "ok"}', "gave no list of alerts"),
        (200, b"[1]", "gave no list of alerts"),
        (200, b'[{"labels": {}}]', "gave no list of alerts"),
    ],
)
def test_whatever_is_no_answer_is_an_error(server: HttpServer, status: int, body: bytes, message: str) -> None:
    server.told.status, server.told.body = status, body
    with pytest.raises(AlertmanagerError, match=message):
        client(server).active()


def test_one_that_is_away_is_an_error(server: HttpServer) -> None:
    server.told.drop = True
    with pytest.raises(AlertmanagerError, match="cannot be asked"):
        client(server).active()


def test_our_alerts_are_in_its_words(server: HttpServer) -> None:
    body = {"reason": "deadline", "service_id": "shop", "policy": "p", "from": "blocked"}
    message = Message(id=1, created_at=0.0, remediation_id=7, subject="escalated", body=body)
    client(server).send([alert(message)])
    (sent,) = json.loads(server.asked[0].body)
    assert sent["labels"] == {
        "alertname": "PresagioRemediationEscalated", "service_id": "shop", "policy": "p", "reason": "deadline",
        "remediation": "7", "severity": "critical",
    }  # fmt: skip
    assert sent["annotations"]["summary"] == "remediation 7 of shop needs a person (deadline)"
    assert (sent["startsAt"], sent["endsAt"]) == ("1970-01-01T00:00:00.000+00:00", "1970-01-01T04:00:00.000+00:00")
    assert server.asked[0].headers["Content-Type"] == "application/json"


def test_our_alerts_carry_what_they_answer_and_until_when_an_answer_counts() -> None:
    cause = {"summary": "shop: disk reaches full soon", "why": "the forecast", "actual": "0.9", "expected": "0.5"}
    body = {"reason": "approval", "service_id": "shop", "plan": "clean", "plan_hash": "abc", "until": 900.0}
    message = Message(
        id=1, created_at=0.0, remediation_id=7, subject="awaiting_approval", body={**body, "answers": cause}
    )  # fmt: skip
    assert alert(message, "https://presagio.test/")["annotations"] == {
        "summary": "remediation 7 of shop waits for approval: clean",
        "description": "plan: clean; reason: approval; service_id: shop",
        "actual": "0.9",
        "expected": "0.5",
        "why": "shop: disk reaches full soon; the forecast",
        "answer_by": "1970-01-01 00:15:00 UTC",
        "link": "https://presagio.test/remediations/7",
        "runbook_url": f"{RUNBOOKS}/PresagioRemediationAwaitingApproval.md",
    }
