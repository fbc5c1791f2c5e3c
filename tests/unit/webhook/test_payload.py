import json
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from presagio.webhook import payload
from presagio.webhook.payload import Alert, PayloadError, parse

RECORDED = Path(__file__).parent / "payloads"


def alert(**changes: Any) -> dict[str, Any]:
    labels, starts_at = {"alertname": "HighLatency"}, "2026-01-02T03:04:05Z"
    usual = {"fingerprint": "ea7ff10589856a6c", "status": "firing", "labels": labels, "startsAt": starts_at}
    return {**usual, **changes}


def body(*alerts: dict[str, Any], **changes: Any) -> bytes:
    return json.dumps({"version": "4", "status": "firing", "alerts": alerts, **changes}).encode()


@pytest.mark.parametrize("version", ["0.25.0", "0.33.1"])
def test_what_alertmanager_sent(version: str) -> None:
    """Recorded from real servers, see tests/integration/test_payloads.py."""
    found = parse((RECORDED / f"alertmanager-{version}.json").read_bytes())
    assert (found.receiver, found.status, found.truncated_alerts) == ("presagio", "firing", 0)
    assert found.group_key == '{}:{alertname="PresagioAnomaly"}'
    assert found.external_url == "http://alertmanager.test:9093"
    firing, resolved = found.alerts
    assert (firing.name, firing.firing, firing.fingerprint) == ("PresagioAnomaly", True, "ea7ff10589856a6c")
    assert (firing.labels["service_id"], firing.annotations["summary"]) == ("shop/cart", "cart answers slowly")
    assert firing.starts_at == pytest.approx(1767323045.123456)
    assert firing.ends_at is None
    assert (resolved.firing, resolved.ends_at) == (False, 1767326400.0)
    assert resolved.generator_url == "http://prometheus.test/graph?g0.expr=up"


def test_an_alert_survives_being_stored() -> None:
    found = parse(body(alert(annotations={"a": "b"}, endsAt="0001-01-01T00:00:00Z"))).alerts[0]
    assert Alert.model_validate(json.loads(json.dumps(found.model_dump(mode="json")))) == found


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2026-01-02T03:04:05Z", 1767323045.0),
        ("2026-01-02T04:04:05+01:00", 1767323045.0),
        ("2026-01-02T03:04:05.5Z", 1767323045.5),
        ("2026-01-02T03:04:05.123456789Z", 1767323045.123456),
        ("2026-01-02T03:04:05", 1767323045.0),
    ],
)
def test_times_are_unix_seconds(text: str, moment: float) -> None:
    assert parse(body(alert(startsAt=text))).alerts[0].starts_at == pytest.approx(moment, abs=1e-6)


def test_long_annotations_are_shortened_and_labels_stay_whole() -> None:
    found = parse(body(alert(annotations={"a": "x" * 5000}, labels={"l": "y" * 5000}))).alerts[0]
    assert found.annotations["a"] == "x" * 4095 + "…"
    assert found.labels["l"] == "y" * 5000


def test_unknown_fields_and_an_empty_group_are_no_mistake() -> None:
    assert parse(body(alert(new="x"), notification_reason={"deep": [1]})).alerts[0].name == "HighLatency"
    assert parse(body()).alerts == ()
    assert parse(body(truncatedAlerts=7)).truncated_alerts == 7


@pytest.mark.parametrize(
    ("sent", "message"),
    [
        (b"", "body: invalid JSON: EOF while parsing a value at line 1 column 0"),
        (b"\xff\xfe", "body: invalid JSON: expected value at line 1 column 1"),
        (b"[]", "body: input should be an object"),
        (b"{}", "version: field required"),
        (body(version="3"), "version: input should be '4'"),
        (body(status="maybe"), "status: input should be 'firing' or 'resolved'"),
        (body(truncatedAlerts=-1), "truncatedAlerts: input should be greater than or equal to 0"),
        (body(alert(labels={"a": 1})), "alerts.0.labels.a: input should be a valid string"),
        (body(alert(labels={"": "x"})), "alerts.0.labels..[key]: string should have at least 1 character"),
        (body(alert(labels={"a": "x" * 8193})), "alerts.0.labels.a: string should have at most 8192 characters"),
        (
            body(alert(fingerprint="../x")),
            "alerts.0.fingerprint: string should match pattern '^[0-9A-Za-z_-]{1,64}$'",
        ),
        (
            body(alert(startsAt="soon")),
            "alerts.0.startsAt: input should be a valid datetime or date, input is too short",
        ),
        (body(alert(startsAt="0001-01-01T00:00:00Z")), "alerts.0.startsAt: input should be a valid number"),
        (body(alert(), alert(status="")), "alerts.1.status: input should be 'firing' or 'resolved'"),
    ],
)  # fmt: skip
def test_what_is_no_notification_is_told_by_its_field(sent: bytes, message: str) -> None:
    with pytest.raises(PayloadError) as error:
        parse(sent)
    assert str(error.value) == f"no notification of Alertmanager's, version 4: {message}"


def test_sizes_are_bounded() -> None:
    with pytest.raises(PayloadError, match=r"alerts: tuple should have at most 20000 items"):
        parse(body(*[alert()] * (payload.MAX_ALERTS + 1)))
    with pytest.raises(PayloadError, match=r"alerts.0.labels: dictionary should have at most 128 items"):
        parse(body(alert(labels={f"l{n}": "" for n in range(129)})))


KEYS = st.sampled_from(["version", "status", "alerts", "labels", "startsAt"]) | st.text()
LEAVES = st.none() | st.booleans() | st.floats() | st.text()


@given(st.recursive(LEAVES, lambda inner: st.lists(inner) | st.dictionaries(KEYS, inner)))
def test_anything_is_read_or_refused(document: object) -> None:
    with suppress(PayloadError):
        parse(json.dumps(document).encode())
