"""The tests' own Slack refuses what Slack would refuse, or show otherwise than it was meant."""

from typing import Any

import pytest
from slack_server import problems

GOOD = {
    "title": "[FIRING:1] a",
    "title_link": "https://a.test/?b=1&c=2",
    "text": "*a* <https://a.test/?b=1&amp;c=2|b> &lt;",
    "fallback": "a",
    "color": "#439fe0",
    "mrkdwn_in": ["text"],
}


def message(**changes: Any) -> dict[str, Any]:
    return {"channel": "#alerts", "username": "Presagio", "attachments": [{**GOOD, **changes}]}


def test_a_good_message_is_taken() -> None:
    assert list(problems(message())) == []


@pytest.mark.parametrize(
    ("wrong", "problem"),
    [
        ([], "expected an object, got list"),
        ({"channel": "#alerts"}, "no_text"),
        ({"text": "a", "colour": "red"}, "message has unknown fields ['colour']"),
        ({**message(), "channel": "alerts"}, "channel 'alerts' is no #channel"),
        ({"attachments": [GOOD] * 21}, "21 attachments"),
        (message(heading="a"), "attachment has unknown fields ['heading']"),
        (message(text="", fallback=""), "attachment without text"),
        (message(color="orange"), "color 'orange'"),
        (message(title="x" * 1025), "title of 1025 characters"),
        (message(title_link="/d/presagio-service"), "is no address"),
        (message(text="a & b"), "& is not escaped"),
        (message(text="a < b"), "< or > is neither escaped nor part of a link"),
        (message(text="<ftp://a.test|a>"), "is no address"),
        (message(text="x" * 40_001), "is cut off"),
        (message(actions=[{}] * 6), "too many fields or actions"),
    ],
)
def test_a_wrong_one_is_refused(wrong: Any, problem: str) -> None:
    assert any(problem in found for found in problems(wrong)), list(problems(wrong))
