"""Whatever is sent: an answer in our own form, nothing done that a key does not allow, and the ledger goes on."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from fake_front import Front
from fake_world import START, World, alert, policy
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import SecretStr
from schemathesis.core.result import Ok

from presagio.actions import base
from presagio.actions.base import Action
from presagio.webhook.states import TERMINAL

KEYS = "all alice read,operate,approve\nreader bob read"
# one world for all examples of a test: what one leaves behind is part of the next one's life
SHARED = settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow], deadline=None)


@pytest.fixture
def front(world: World) -> Front:
    return Front(world, api_key=SecretStr(KEYS))


def test_nothing_that_the_document_allows_or_forbids_is_a_mistake_of_ours(front: Front) -> None:
    front.world.fire(service_id="shop/cart")
    front.world.run()
    schema = schemathesis.openapi.from_dict(front.document)
    operations = [found.ok() for found in schema.get_all_operations() if isinstance(found, Ok)]
    assert len(operations) >= 8
    for operation in operations:
        attack(operation, front)
    front.world.rest()


def attack(operation: Any, front: Front) -> None:
    """Send what the document of one operation allows, and what is like it."""

    @given(case=operation.as_strategy())
    @settings(SHARED, max_examples=12)
    def send(case: Any) -> None:
        answer = case.call(app=front.app, headers={"X-API-Key": "all"})
        assert answer.status_code < 500 or answer.status_code == 503, (case.as_curl_command(), answer.text)
        if answer.status_code >= 400:
            assert set(answer.json()) <= {"error", "fields"}, (case.as_curl_command(), answer.text)

    send()


def routes(front: Front) -> Iterator[tuple[str, str]]:
    """Yield each method and path of the webhook, with a number where one belongs."""
    for rule in front.app.url_map.iter_rules():
        for method in sorted((rule.methods or set()) - {"HEAD", "OPTIONS"}):
            yield method, rule.rule.replace("<int:remediation>", "1").replace("<path:filename>", "x")


OPEN = ("/-/", "/metrics", "/docs", "/openapi", "/static")
"""Paths that anybody may ask: health, metrics and the API's document."""


def test_without_a_key_nothing_is_told_and_nothing_is_taken(front: Front) -> None:
    asked = [(method, path) for method, path in routes(front) if not path.startswith(OPEN)]
    assert len(asked) >= 10
    for method, path in asked:
        answer = front.client.open(path, method=method, json={})
        assert answer.status_code == 401, (method, path, answer.status_code)
    assert front.world.records.audit() == []


def test_a_key_that_may_read_changes_nothing(front: Front) -> None:
    front.world.fire(service_id="shop/cart")
    front.world.run()
    before = front.world.records.head().seq
    changing = [(method, path) for method, path in routes(front) if method != "GET" and not path.startswith(OPEN)]
    assert len(changing) >= 4
    for method, path in changing:
        answer = front.client.open(path, method=method, json={}, headers={"X-API-Key": "reader"})
        assert answer.status_code == 403, (method, path, answer.status_code)
    assert front.world.records.head().seq == before


JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3), max_leaves=8,
)  # fmt: skip
FIELDS = ("fingerprint", "status", "labels", "annotations", "startsAt", "endsAt", "generatorURL", "stranger")


@settings(SHARED, max_examples=60)
@given(
    changes=st.dictionaries(st.sampled_from(FIELDS), JSON, max_size=3), drop=st.sets(st.sampled_from(FIELDS)),
    outer=st.dictionaries(st.sampled_from(("version", "status", "alerts", "groupKey", "truncatedAlerts")), JSON,
                          max_size=1), cut=st.integers(0, 400),
)  # fmt: skip
def test_a_notification_is_stored_whole_and_opened_or_refused_and_forgotten(
    front: Front, changes: dict[str, Any], drop: set[str], outer: dict[str, Any], cut: int
) -> None:
    one = {**alert("f", "firing", START), **changes}
    told = {"version": "4", "status": "firing", "groupKey": "g", "alerts": [
        {name: value for name, value in one.items() if name not in drop}], **outer}  # fmt: skip
    body = json.dumps(told).encode()
    body = body[: len(body) - cut] if cut < 40 else body
    answer = front.client.post("/api/v1/alerts", data=body, headers={"X-API-Key": "all"})
    waiting = front.world.inbox.waiting()
    if answer.status_code == 200:
        assert [one.payload.encode() for one in waiting] == [body]
        front.world.run()
        assert front.world.inbox.waiting() == []
    else:
        assert answer.status_code in (400, 413, 422), answer.get_data(as_text=True)
        assert set(answer.get_json()) <= {"error", "fields"}
        assert waiting == []


def test_what_was_opened_meanwhile_comes_to_its_end(front: Front) -> None:
    odd = ["\0", "\x1b[31m", "a\r\nX: y", "🦊" * 500, "..", "\u2028", "\u202e", '"', "%00", "x" * 8000]
    for number, value in enumerate(odd):
        front.world.fire(f"f{number}", service_id=value, other=value)
    front.world.rest()
    cases = front.world.records.recent(100)
    assert len(cases) == len(odd)
    assert {case.state for case in cases} <= TERMINAL
    for case in cases:
        assert front.client.get(f"/remediations/{case.id}", headers={"X-API-Key": "all"}).status_code == 200


INJECTIONS = {
    "shell": "$(touch hacked)",
    "backticks": "`touch hacked`",
    "pipe": "x; touch hacked | sh &",
    "newline": "x\ntouch",
    "path": "../../etc/passwd",
    "absolute": "/etc/passwd",
    "option": "--kubeconfig=/tmp/x",
    "nul": "x\0y",
    "sql": "'; drop table audit; --",
    "promql": 'x"} or vector(1) or up{a="',
    "regex": ".*",
    "html": "<script>alert(1)</script>",
    "url": "http://169.254.169.254/latest",
    "userinfo": "a@evil.test/#",
    "header": "x\r\nAuthorization: y",
    "template": "{{ 31337 * 31337 }}${service_id}%s",
    "logfmt": 'x" level=error msg="forged',
}


@pytest.mark.parametrize("name", INJECTIONS)
def test_a_hostile_label_is_one_argument_or_none(name: str, tmp_path: Path) -> None:
    value, record = INJECTIONS[name], tmp_path / "argv"
    script = "import json, sys; open(sys.argv[1], 'a').write(json.dumps(sys.argv[2:]) + '\\n')"
    argv = [sys.executable, "-c", script, str(record), "${service_id}"]
    world = World(tmp_path, policy(actions=[{"command": {"argv": argv}}]))
    world.actions = _Real()  # type: ignore[assignment] # the actions that users have
    world.fire(service_id=value)
    world.rest()
    seen = [json.loads(line) for line in record.read_text().splitlines()] if record.exists() else []
    assert seen in ([], [[value]]), "it was split, expanded or interpreted"
    assert not (tmp_path / "hacked").exists()
    assert not Path("hacked").exists()
    asked = [query for query, _ in world.prometheus.asked if "vector(1)" in query]
    assert all('x\\"} or' in query for query in asked), "a quote left its string"
    front = Front(world, api_key=SecretStr(KEYS))
    page = front.client.get("/remediations/1", headers={"X-API-Key": "all"}).get_data(as_text=True)
    assert "<script>alert(1)" not in page
    assert "982007569" not in page, "a template was rendered"
    world.verified_chain()
    world.engine.dispose()


class _Real(dict[str, Action[Any]]):
    def __missing__(self, name: str) -> Action[Any]:
        return base.load(name)
