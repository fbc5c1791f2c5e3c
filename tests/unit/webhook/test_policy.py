from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from presagio.toolkit.prometheus import Vector
from presagio.webhook import policy as policies
from presagio.webhook.criteria import Condition, Sample
from presagio.webhook.payload import Alert
from presagio.webhook.policy import Mode, Policy, PolicyError, Priority, Step


def alert(**labels: str) -> Alert:
    return Alert(fingerprint="f00", status="firing", labels=labels, starts_at=0.0)


def policy(**changes: Any) -> Policy:
    usual = {
        "name": "restart",
        "match": {"alertname": "Leak"},
        "actions": [{"command": {"argv": ["restart", "${service_id}"]}}],
        "verify": {"query": 'memory{service_id="${service_id}"} < 0.7'},
    }
    return Policy.model_validate({**usual, **changes})


def vector(*values: float, warnings: Sequence[str] = ()) -> Vector:
    return Vector([{} for _ in values], np.array(values, dtype=np.float64), tuple(warnings))


@pytest.mark.parametrize(
    ("match", "labels", "matched"),
    [
        ({"alertname": "Leak"}, {"alertname": "Leak", "pod": "x"}, True),
        ({"alertname": "Leak"}, {"alertname": "Leaky"}, False),
        ({"alertname": "Leak"}, {}, False),
        ({"alertname": "Leak", "severity": "critical"}, {"alertname": "Leak"}, False),
        ({"severity": "=~critical|warning"}, {"severity": "warning"}, True),
        ({"severity": "=~critical|warning"}, {"severity": "warnings"}, False),
        ({"severity": "=~crit"}, {"severity": "critical"}, False),
        ({"severity": "=~.+"}, {"severity": ""}, False),
        ({"alertname": "Leak", "team": ""}, {"alertname": "Leak"}, True),
        ({"alertname": "Leak", "team": ""}, {"alertname": "Leak", "team": "sre"}, False),
        ({"alertname": "Leak", "team": "=~|sre"}, {"alertname": "Leak"}, True),
        ({"alertname": "a.b"}, {"alertname": "axb"}, False),
    ],
)
def test_all_labels_of_match_must_fit(match: dict[str, str], labels: dict[str, str], matched: bool) -> None:
    found = policies.select([policy(match=match)], alert(**labels))
    assert (found is not None) is matched


@pytest.mark.parametrize("match", [{}, {"alertname": ""}, {"alertname": "=~.*"}, {"a": "", "b": "=~x?"}])
def test_an_empty_match_means_nothing_never_everything(match: dict[str, str]) -> None:
    with pytest.raises(ValidationError, match="at least one label that the alert must have"):
        policy(match=match)


def test_the_most_urgent_goes_first_then_the_order_of_the_file() -> None:
    ranked = [
        policy(name="a", priority="low"),
        policy(name="b"),
        policy(name="c", priority="high"),
        policy(name="d", match={"alertname": "Other"}, priority="critical"),
        policy(name="e", priority="high"),
        policy(name="f", priority="critical"),
        policy(name="g", priority="medium"),
    ]
    found = policies.matching(ranked, alert(alertname="Leak"))
    assert [one.name for one in found] == ["f", "c", "e", "b", "g", "a"]
    assert policies.select(ranked, alert(alertname="Leak")) is ranked[5]
    assert policies.select(ranked, alert(alertname="Absent")) is None


def test_defaults_are_careful() -> None:
    found = policy()
    assert (found.mode, found.priority, found.guards.cooldown) == (Mode.DRY_RUN, Priority.MEDIUM, 1800.0)
    assert (found.verify.samples, found.verify.interval, found.verify.deadline) == (3, 30.0, 900.0)


@pytest.mark.parametrize(
    ("labels", "service_id"),
    [
        ({"service_id": "shop/cart", "namespace": "a", "deployment": "b"}, "shop/cart"),
        ({"namespace": "a", "deployment": "b", "instance": "i"}, "a/b"),
        ({"namespace": "a", "instance": "i:9100", "job": "j"}, "i:9100"),
        ({"job": "j"}, "j"),
        ({"alertname": "x"}, "f00"),
        ({"service_id": "", "job": "j"}, "j"),
    ],
)
def test_a_target_is_what_the_alert_is_about(labels: dict[str, str], service_id: str) -> None:
    found = policies.target(alert(**labels))
    assert found.service_id == service_id
    assert found.labels == {**labels, "service_id": service_id}


def test_conditions_are_filled_and_escaped() -> None:
    found = policy(when=['a{s="${service_id}"} > 1', 'b{s=~"${service_id}|x"} > 2', "c > 3"])
    target = policies.target(alert(service_id='a.b"}'))
    assert policies.conditions(found, target) == (
        Condition(r'a{s="a.b\"}"} > 1'),
        Condition(r'b{s=~"a\\.b\"\\}|x"} > 2'),
        Condition("c > 3"),
    )


def test_a_label_that_the_alert_lacks_is_named() -> None:
    found = policy(when=['a{p="${pod}"} > 1'], verify={"query": 'a{n="${node}"} > 1'})
    target = policies.target(alert(service_id="cart"))
    with pytest.raises(PolicyError) as error:
        policies.conditions(found, target)
    assert str(error.value) == (
        "policy 'restart' needs the label 'pod', which the alert of 'cart' does not carry; "
        "keep it in the alert rule, or match only alerts that have it"
    )
    with pytest.raises(PolicyError, match="needs the label 'node'"):
        policies.verification(found, target)


@pytest.mark.parametrize(
    ("answer", "holds"),
    [
        (vector(), False),
        (vector(1.0), True),
        (vector(0.0), True),
        (vector(float("nan")), False),
        (vector(float("nan"), 1.0), True),
        (vector(float("inf")), True),
    ],
)
def test_a_condition_holds_if_there_is_a_number(answer: Vector, holds: bool) -> None:
    assert Condition("a > 1").holds(answer) is holds


def test_verification_asks_for_what_is_judged_too() -> None:
    verify = {"query": 'rate(a{s="${service_id}"}[5m]) < on() b', "samples": 5, "deadline": "20m", "interval": "15s"}
    found = policies.verification(policy(verify=verify), policies.target(alert(service_id="cart")))
    assert found.query == 'rate(a{s="cart"}[5m]) < on() b'
    assert found.data == ('rate(a{s="cart"}[5m])', "b")
    assert found.questions == (*found.data, found.query)
    assert (found.samples, found.interval, found.deadline, found.range) == (5, 15.0, 1200.0, 300.0)


@pytest.mark.parametrize(
    ("verify", "questions"),
    [
        ({"query": "0.7 > a"}, ("a",)),
        ({"query": "(a != -1e3)"}, ("a",)),
        ({"query": "a < 1 and b < 2", "data": "a"}, ("a", "a < 1 and b < 2")),
        ({"query": "a < 1", "data": "b"}, ("b", "a < 1")),
    ],
)
def test_what_we_can_compare_ourselves_is_not_asked(verify: dict[str, str], questions: tuple[str, ...]) -> None:
    target = policies.target(alert(service_id="cart"))
    assert policies.verification(policy(verify=verify), target).questions == questions


@pytest.mark.parametrize(
    ("query", "good"),
    [
        ("a < 2", 1), ("a <= 2", 2), ("a > 2", 1), ("a >= 2", 2), ("a == 2", 1), ("a != 2", 2),
        ("1 < a", 2), ("1 <= a", 3), ("1 > a", 0), ("1 >= a", 1), ("1 == a", 1), ("1 != a", 2),
    ],
)  # fmt: skip
def test_a_number_is_compared_as_prometheus_does(query: str, good: int) -> None:
    found = policies.verification(policy(verify={"query": query}), policies.target(alert(service_id="cart")))
    told = found.judge([vector(1, 2, 3)])
    assert (told.good, told.of) == (good, 3)
    assert told.sample is (Sample.GOOD if good == 3 else Sample.BAD)


@pytest.mark.parametrize(
    ("data", "sample"),
    [
        (vector(0.1, 0.2), Sample.GOOD),
        (vector(0.1, 0.9), Sample.BAD),
        (vector(), Sample.NO_DATA),
        (vector(0.1, float("nan")), Sample.NO_DATA),
        (vector(0.1, warnings=["store down"]), Sample.NO_DATA),
        (vector(0.1, warnings=["PromQL info: x"]), Sample.GOOD),
        (vector(float("inf")), Sample.BAD),
        (vector(float("-inf")), Sample.GOOD),
    ],
)
def test_a_sample_that_we_compare_needs_all_series(data: Vector, sample: Sample) -> None:
    found = policies.verification(policy(), policies.target(alert(service_id="cart")))
    assert found.judge([data]).sample is sample


@pytest.mark.parametrize(
    ("answer", "data", "sample"),
    [
        (vector(1, 2), [vector(1, 2)], Sample.GOOD),
        (vector(1), [vector(1, 2)], Sample.BAD),
        (vector(), [vector(1, 2)], Sample.BAD),
        (vector(1, 2), [vector(1)], Sample.BAD),
        (vector(), [vector()], Sample.NO_DATA),
        (vector(1), [vector(1), vector()], Sample.NO_DATA),
        (vector(1), [vector(1), vector(1, 2, 3)], Sample.GOOD),
        (vector(1), [vector(1, float("nan"))], Sample.NO_DATA),
        (vector(1), [vector(1), vector(float("nan"))], Sample.NO_DATA),
        (vector(float("nan")), [vector(1)], Sample.NO_DATA),
        (vector(1, warnings=["store down"]), [vector(1)], Sample.NO_DATA),
        (vector(1), [vector(1, warnings=["store down"])], Sample.NO_DATA),
        (vector(1, warnings=["PromQL info: x"]), [vector(1)], Sample.GOOD),
    ],
)
def test_a_sample_needs_all_series(answer: Vector, data: list[Vector], sample: Sample) -> None:
    query = "a < on() b" if len(data) > 1 else "a < 1 and b < 2"
    verify = {"query": query} if len(data) > 1 else {"query": query, "data": "a"}
    found = policies.verification(policy(verify=verify), policies.target(alert(service_id="cart")))
    assert found.judge([*data, answer]).sample is sample


def test_another_content_is_another_revision() -> None:
    first = policy()
    assert first.revision == policy().revision
    assert len(first.revision) == 16
    changed: list[dict[str, Any]] = [
        {"mode": "auto"}, {"priority": "high"}, {"guards": {"cooldown": "1m"}}, {"description": "x"},
        {"actions": [{"command": {"argv": ["restart", "x"]}}]}, {"when": ["a > 1"]}, {"name": "other"},
    ]  # fmt: skip
    revisions = {policy(**change).revision for change in changed}
    assert len(revisions | {first.revision}) == len(changed) + 1
    assert policy(match={"a": "1", "b": "2"}).revision == policy(match={"b": "2", "a": "1"}).revision


def test_the_ladder_is_in_order() -> None:
    found = policy(actions=[{"command": {"argv": ["a"]}}, {"http": {"url": "http://x"}}, {"notify": None}])
    assert found.steps == (Step("command", {"argv": ["a"]}), Step("http", {"url": "http://x"}), Step("notify", {}))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"mode": "yolo"}, "Input should be 'dry-run', 'approval' or 'auto'"),
        ({"match": {"a": "=~("}}, r"a regular expression after =~ \(missing \), .*\), got '=~\('"),
        ({"when": ["a > bool 1"]}, "a comparison without 'bool', whose answer is empty when it does not hold, got"),
        ({"when": ["a > ${x}"]}, "each placeholder as a label's value between double quotes"),
        ({"actions": []}, "at least one action, got none"),
        ({"actions": [{"a": {}, "b": {}}]}, r"one action an item, such as .*, got \['a', 'b'\]"),
        ({"verify": {"query": "a and b"}}, r"one comparison such as 'x < 5' as query, or 'data' beside it, got 'a"),
        ({"verify": {"query": "1 < 2"}}, "one comparison such as 'x < 5' as query"),
        ({"verify": {"query": "a < 1", "samples": 10, "interval": "1m", "deadline": "5m"}},
         r"a deadline of at least samples x interval \(10m\), got 5m"),
        ({"guards": {"max_unavailable": "x"}}, "a count such as 1, or a share such as 25%, got 'x'"),
    ],
)  # fmt: skip
def test_mistakes(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        policy(**changes)
