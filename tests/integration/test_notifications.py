"""What reaches people: real alerts of a real Prometheus, by our example of a configuration, in mails and in Slack.

    pytest tests/integration/test_notifications.py --basetemp=build/notifications

leaves each mail as HTML, to be looked at in a browser.
"""

import json
import re
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from notification_town import GRAFANA, GUIDE, PRESAGIO, NotificationTown, notification_town, settled
from servers import wait_until

from presagio.webhook.states import State

PREDICTION = ("shop/cart", "out_of_memory is likely")
ANOMALY = ("shop/cart", "memory_ratio is not normal")
APPROVAL = ("shop/cart", "waits for approval")
FAILURE = ("shop/cart has no memory left",)
RUNBOOKS = "https://github.com/presagio/presagio/blob/main/docs/runbooks"


@pytest.fixture(scope="module")
def town(
    tmp_path_factory: pytest.TempPathFactory, prometheus_binary: Path, alertmanager_binary: Path
) -> Iterator[NotificationTown]:
    """Run the town; the tests below go through one night in order."""
    folder = tmp_path_factory.mktemp("town")
    with ExitStack() as stack:
        here = notification_town(stack, folder, (prometheus_binary, alertmanager_binary))
        yield here
        for mail in here.mail.mails:
            name = re.sub(r"\W+", "-", mail.subject).strip("-")
            (folder / f"{name}.html").write_text(mail.html)
            (folder / f"{name}.txt").write_text(mail.text)
        (folder / "slack.json").write_text(json.dumps(here.slack.taken, indent=1))


def shown(language: str, first: str) -> str:
    """Return the block of docs/notifications.md in this language that begins so."""
    blocks: list[str] = re.findall(rf"^```{language}\n(.*?)^```$", GUIDE.read_text(), re.MULTILINE | re.DOTALL)
    return next(block for block in blocks if block.startswith(first))


def posted(town: NotificationTown, *words: str) -> str:
    """Return the first message in Slack that has all these words."""
    return wait_until(
        lambda: next((text for text in town.slack.texts() if all(word in text for word in words)), None),
        f"message with {words}; refused: {town.slack.refused}",
    )


def titled(town: NotificationTown, words: str) -> int:
    """Return how many messages in Slack have these words in their title."""
    return len([text for text in town.slack.texts() if words in text.splitlines()[0]])


class TestPrediction:
    def test_the_mail_tells_value_expectation_time_left_and_why(self, town: NotificationTown) -> None:
        mail = wait_until(lambda: town.mail.about(*PREDICTION), "mail on the prediction", 60)[0]
        assert mail.to == ("people@example.org",)
        assert mail.subject == "[FIRING:1] shop/cart: out_of_memory is likely"
        assert settled(mail.text).strip() == shown("text", "shop/cart: out_of_memory is likely").strip()
        facts = ("31% within 1h, 82% within 6h; confidence 0.75", "memory_ratio 0.91", "memory_ratio 0.55",
                 "it is likely within 6h", "most unusual of its signals: memory_ratio (0.72)")  # fmt: skip
        for fact in facts:
            assert fact in mail.html
        assert f'href="{RUNBOOKS}/PresagioFailurePredicted.md"' in mail.html
        link = re.search(rf'href="({GRAFANA}/d/presagio-service[^"]*)"', mail.html)
        assert link
        assert re.search(r"\?var-service_id=shop%2[fF]cart&amp;from=\d{13}&amp;to=now$", link.group(1))

    def test_slack_tells_the_same(self, town: NotificationTown) -> None:
        text = posted(town, *PREDICTION)
        assert settled(text).strip() == shown("text", "[FIRING:1] shop/cart: out_of_memory is likely").strip()

    def test_it_is_told_again_while_it_lasts(self, town: NotificationTown) -> None:
        town.more_mails(2, *PREDICTION)


class TestAnomaly:
    def test_the_mail_tells_the_band_and_the_time_left(self, town: NotificationTown) -> None:
        mail = wait_until(lambda: town.mail.about(*ANOMALY), "mail on the anomaly", 60)[0]
        for line in ("Actual:     0.91\n", "Expected:   0.55, normal from 0.48 to 0.62\n",
                     "Time left:  2h 5m 0s until limit\n", "Why:        anomaly score 0.72, where 0.6 is one sample",
                     "all signals of shop/cart together 0.64\n"):  # fmt: skip
            assert line in mail.text

    def test_slack_tells_the_same(self, town: NotificationTown) -> None:
        text = posted(town, *ANOMALY)
        assert "*Expected:* 0.55, normal from 0.48 to 0.62\n*Time left:* 2h 5m 0s until limit\n" in text

    def test_signs_of_html_and_of_slack_are_text(self, town: NotificationTown) -> None:
        text = posted(town, "a&lt;b&gt;&amp;c: latency is not normal")
        assert "var-service_id=a%3Cb%3E%26c&" in text
        mail = wait_until(lambda: town.mail.about("a<b>&c"), "mail on the odd service", 30)[0]
        assert "a&lt;b&gt;&amp;c: latency is not normal" in mail.html
        assert "<b>&c" not in mail.html

    def test_the_service_as_a_whole_and_the_day_ahead_are_not_told_as_well(self, town: NotificationTown) -> None:
        assert town.state_of("PresagioServiceAnomaly") == "suppressed"
        assert town.state_of("PresagioThresholdAhead") == "suppressed"
        assert not [
            text for text in town.slack.texts() if "within a day" in text or "shop/cart is not normal" in text
        ]


class TestApproval:
    def test_who_can_answer_is_asked_with_a_link(self, town: NotificationTown) -> None:
        mail = wait_until(lambda: town.mail.about(*APPROVAL), "mail that asks for approval", 60)[0]
        asked = town.webhook.of("shop/cart", State.AWAITING_APPROVAL)
        assert asked
        link = f"{PRESAGIO}/remediations/{asked['id']}"
        assert mail.to == ("on-call@example.org",)
        assert f"Approve or refuse: {link}\n" in mail.text
        same = (
            settled(mail.text)
            .replace(f"/{asked['id']}", "/42")
            .replace(f"remediation {asked['id']}", "remediation 42")
        )
        same = same.replace(f"remediation = {asked['id']}", "remediation = 42")
        assert same.strip() == shown("text", "remediation 42 of shop/cart").strip()
        assert f'href="{RUNBOOKS}/PresagioRemediationAwaitingApproval.md"' in mail.html
        assert re.search(rf'<a href="{link}"[^>]*>Approve or refuse</a>', mail.html)
        assert f"<{link}|Approve or refuse>" in posted(town, *APPROVAL)

    def test_the_webhook_took_all_that_it_was_sent(self, town: NotificationTown) -> None:
        page = town.webhook.ask("/metrics")[1]
        received = re.search(r'presagio_alerts_received_total\{status="firing"\} (\S+)', page)
        assert received
        assert float(received.group(1)) >= 3
        assert 'presagio_notifications_refused_total{reason="ledger"} 0.0' in page
        wait_until(lambda: "presagio_ledger_verified 1.0" in town.webhook.ask("/metrics")[1], "verified ledger", 30)


class TestTheFailureItself:
    def test_it_silences_its_prediction(self, town: NotificationTown) -> None:
        assert town.state_of("PresagioFailurePredicted") == "active"
        town.sick.memory(0.99)
        town.more_mails(1, *FAILURE)
        wait_until(lambda: town.state_of("PresagioFailurePredicted") == "suppressed", "inhibition", 30)
        town.more_mails(1, *FAILURE)
        told = len(town.mail.about(*PREDICTION))
        posts = titled(town, PREDICTION[1])
        town.more_mails(3, *FAILURE)
        assert town.prometheus.query('ALERTS{alertname="PresagioFailurePredicted",alertstate="firing"}')
        assert len(town.mail.about(*PREDICTION)) == told
        assert titled(town, PREDICTION[1]) == posts > 0

    def test_it_goes_to_who_is_on_call_and_to_the_webhook(self, town: NotificationTown) -> None:
        assert {mail.to for mail in town.mail.about(*FAILURE)} == {("on-call@example.org",)}
        heard = json.loads(town.webhook.ask("/api/v1/remediations?limit=500")[1])["remediations"]
        assert "OutOfMemory" in {one["alertname"] for one in heard}

    def test_the_prediction_is_told_again_when_it_is_over(self, town: NotificationTown) -> None:
        town.sick.memory(0.91)
        town.more_mails(1, "[RESOLVED]", *FAILURE)
        town.more_mails(1, *PREDICTION)


def test_slack_refused_nothing(town: NotificationTown) -> None:
    assert len(town.slack.taken) > 5
    assert town.slack.refused == []


def test_alertmanager_could_send_everything(town: NotificationTown) -> None:
    assert {mail.to for mail in town.mail.mails} == {("people@example.org",), ("on-call@example.org",)}
    assert not re.search(r"(?i)level=error|Notify for alerts failed", town.alertmanager.output())
