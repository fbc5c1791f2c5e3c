"""What Alertmanager and Prometheus are asked, and how often."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import pytest
from fake_world import FakePrometheus

from presagio.webhook.errors import AlertmanagerError
from presagio.webhook.questions import Questions
from presagio.webhook.tables import Remediation

START = 1_700_000_000.0


@dataclass
class Router:
    """An Alertmanager that notes what it was asked: the labels of one alert, or None for all."""

    firing: set[str]
    asked: list[Mapping[str, str] | None] = field(default_factory=list)
    down: bool = False

    def active(self, labels: Mapping[str, str] | None = None) -> frozenset[str]:
        self.asked.append(labels)
        if self.down:
            raise AlertmanagerError("alertmanager is down")
        return frozenset(self.firing if labels is None else self.firing & {labels["name"]})


def case(name: str, created_at: float = START - 60) -> Remediation:
    return Remediation(fingerprint=name, created_at=created_at, alert={"labels": {"name": name}})


@pytest.fixture
def router() -> Router:
    return Router({"a", "b"})


@pytest.fixture
def questions(router: Router) -> Questions:
    asked = Questions(FakePrometheus(), router)
    asked.begin()
    return asked


def test_one_alert_is_asked_about_by_its_labels(questions: Questions, router: Router) -> None:
    assert (questions.is_active(case("a"), START), questions.is_active(case("gone"), START)) == (True, False)
    assert router.asked == [{"name": "a"}, {"name": "gone"}]


def test_many_alerts_are_asked_about_at_once(questions: Questions, router: Router) -> None:
    assert [questions.is_active(case(f"x{number}"), START) for number in range(50)] == [False] * 50
    assert len(router.asked) == 17
    assert router.asked[-1] is None


def test_that_many_will_be_asked_about_may_be_known_before(questions: Questions, router: Router) -> None:
    questions.expect(16)
    assert questions.is_active(case("a"), START)
    questions.expect(16)
    assert [questions.is_active(case(f"x{number}"), START) for number in range(16)] == [False] * 16
    assert router.asked == [{"name": "a"}, None]


def test_an_answer_counts_for_two_seconds(questions: Questions, router: Router) -> None:
    questions.is_active(case("a"), START)
    for later, times in ((1.9, 1), (2.1, 2)):
        questions.begin()
        questions.is_active(case("a"), START + later)
        assert len(router.asked) == times


def test_what_was_asked_before_an_alert_came_does_not_count_for_it(questions: Questions, router: Router) -> None:
    questions.is_active(case("a"), START)
    questions.begin()
    assert questions.is_active(case("a", created_at=START + 1), START + 1)
    assert len(router.asked) == 2


def test_one_that_is_down_is_asked_once_in_a_step(questions: Questions, router: Router) -> None:
    router.down = True
    for name in ("a", "b"):
        with pytest.raises(AlertmanagerError):
            questions.is_active(case(name), START)
    assert len(router.asked) == 1
    router.down = False
    questions.begin()
    assert questions.is_active(case("a"), START)
