import json

import pytest
from fake_world import World

from presagio.webhook.states import Reason
from presagio.webhook.story import tell
from presagio.webhook.tables import Audit


def row(reason: Reason, **facts: object) -> Audit:
    return Audit(
        seq=1, time=0.0, remediation_id=1, source="received", target="closed", reason=reason.value,
        who="orchestrator", facts=json.dumps(facts), previous="", hmac="",
    )  # fmt: skip


@pytest.mark.parametrize("reason", Reason)
def test_every_reason_has_its_words_and_needs_no_fact(reason: Reason) -> None:
    text = tell(row(reason)).text
    assert text
    assert "{" not in text


@pytest.mark.parametrize(
    ("line", "text"),
    [
        (row(Reason.NOTIFIED, labels={"alertname": "L", "service_id": "s"}, status="firing"), "L of s was firing"),
        (row(Reason.MATCHED, service_id="shop", policies={"a": "1", "b": "2"}), "target shop, policies a, b"),
        (row(Reason.COOLDOWN, until=3600.0), "the target rests from the last action until 1970-01-01 01:00:00 UTC"),
        (row(Reason.UNPLANNABLE, errors={"p": "no label"}), "it cannot be planned: no label"),
        (row(Reason.TIMER, query="up == 1", deadline=60.0), "watching up == 1 until 1970-01-01 00:01:00 UTC"),
        (row(Reason.NO_DATA), "nobody can tell whether it helped"),
        (row(Reason.SELF_RESOLVED, samples=[{"holds": False}]), "the condition held no more: not holding"),
    ],
)  # fmt: skip
def test_words(line: Audit, text: str) -> None:
    assert tell(line).text == text


def test_braces_in_facts_stay_what_they_are(world: World) -> None:
    world.fire(service_id="{x} ${y} %s")
    world.run()
    assert "{x} ${y} %s" in tell(world.records.story(1)[0]).text
