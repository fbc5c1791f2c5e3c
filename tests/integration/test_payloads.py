"""What Alertmanager really sends, of both generations, is read."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from http_server import HttpServer, serving
from servers import Alertmanager, wait_until

from presagio.webhook import payload
from presagio.webhook.alertmanager import Alertmanager as Client
from presagio.webhook.config import AlertmanagerConfig

LABELS = {"alertname": "HighLatency", "service_id": "shop/cart", "quote": 'a"b\\c\n', "ümlaut": "ä"}
ALERT = {
    "annotations": {"summary": "p99 is 2.1 s", "long": "x" * 10_000},
    "generatorURL": "http://prometheus.test/graph?g0.expr=up",
}


@pytest.fixture
def receiver() -> Iterator[HttpServer]:
    with serving() as running:
        yield running


def config(url: str, **webhook: object) -> dict[str, object]:
    route = {"receiver": "presagio", "group_wait": "100ms", "group_interval": "100ms", "group_by": ["alertname"]}
    receivers = [{"name": "presagio", "webhook_configs": [{"url": url, "send_resolved": True, **webhook}]}]
    return {"route": route, "receivers": receivers}


def sent(receiver: HttpServer, status: str) -> payload.Notification:
    def found() -> list[payload.Notification]:
        everything = [payload.parse(asked.body) for asked in receiver.asked]
        return [one for one in everything if one.status == status]

    return wait_until(found, f"{status} notification")[-1]


def labels(binary: Path) -> dict[str, str]:
    # names in UTF-8 came with 0.27
    return {name: value for name, value in LABELS.items() if name.isascii() or "system" not in str(binary)}


def test_firing_and_resolved(alertmanager_binary: Path, workdir: Path, receiver: HttpServer) -> None:
    named = labels(alertmanager_binary)
    given = {**ALERT, "labels": named}
    with Alertmanager(alertmanager_binary, workdir, config(receiver.url)) as alertmanager:
        alertmanager.send([{**given, "startsAt": "2026-01-02T03:04:05.123456789Z"}])
        firing = sent(receiver, "firing")
        alert = firing.alerts[0]
        assert (firing.version, firing.receiver, firing.truncated_alerts) == ("4", "presagio", 0)
        assert (alert.name, alert.firing, alert.labels) == ("HighLatency", True, named)
        assert alert.starts_at == pytest.approx(1767323045.123456, abs=1e-3)
        assert alert.ends_at is None
        assert alert.annotations["summary"] == "p99 is 2.1 s"
        assert len(alert.annotations["long"]) == payload.MAX_ANNOTATION
        assert [one["fingerprint"] for one in alertmanager.alerts()] == [alert.fingerprint]

        # asked about it by its labels, whatever is in them, as about all
        client = Client(AlertmanagerConfig(url=alertmanager.url))
        assert client.active(named) == client.active() == {alert.fingerprint}
        assert client.active({"alertname": "HighLatency", "service_id": "shop"}) == frozenset()

        alertmanager.send([{**given, "endsAt": "2026-01-02T04:00:00Z"}])
        resolved = sent(receiver, "resolved").alerts[0]
        assert (resolved.fingerprint, resolved.firing) == (alert.fingerprint, False)
        assert resolved.ends_at == pytest.approx(1767326400.0)


def test_truncated_alerts_are_counted(alertmanager_binary: Path, workdir: Path, receiver: HttpServer) -> None:
    with Alertmanager(alertmanager_binary, workdir, config(receiver.url, max_alerts=1)) as alertmanager:
        alertmanager.send([{"labels": {"alertname": "Many", "number": str(number)}} for number in range(5)])
        firing = sent(receiver, "firing")
        assert (len(firing.alerts), firing.truncated_alerts) == (1, 4)
