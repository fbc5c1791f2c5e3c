"""The two actions that leave the world as it is: notify and wait."""

import pytest
from pydantic import ValidationError

from presagio.actions.base import PlanError, Probe, Target
from presagio.actions.notify import Notify, NotifyParams
from presagio.actions.wait import Wait, WaitParams
from presagio.toolkit.schema import FROM_FILE

CART = Target("cart", {"pod": "cart-1", "evil": "a\nb"})


def test_the_message_is_of_the_plan() -> None:
    plan = Notify().plan(CART, NotifyParams(text="look at ${pod}, $5", severity="info"))
    assert plan.summary == "tell people (info): look at cart-1, $5"
    assert Notify().apply(plan, "1").message == {"severity": "info", "text": "look at cart-1, $5"}
    assert Notify().probe(plan, "1") is Probe.NOT_APPLIED


def test_a_label_with_lines_is_no_text() -> None:
    with pytest.raises(PlanError, match="control characters"):
        Notify().plan(CART, NotifyParams(text="${evil}"))


def test_only_known_severities() -> None:
    with pytest.raises(ValidationError, match="critical"):
        NotifyParams.model_validate({"text": "x", "severity": "fatal"})


@pytest.mark.parametrize("params", ["5m", {"for": "5m"}])
def test_how_long_is_when_prometheus_is_looked_at_first(params: object) -> None:
    plan = Wait().plan(CART, WaitParams.model_validate(params, context=FROM_FILE))
    assert (plan.settle_seconds, plan.params) == (300.0, {"for": 300.0})
    assert plan.summary == "wait for 5m, and see whether it heals by itself"


def test_without_a_time_it_looks_at_once() -> None:
    plan = Wait().plan(CART, WaitParams())
    assert plan.settle_seconds == 0
    assert plan.summary == "wait, and see whether it heals by itself"
